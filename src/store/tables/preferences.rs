//! Table `user_preferences`: what a user asked of us.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::Integer;

use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::UserId;
use tidings_decision::notify::policy::PreferenceChange;
use tidings_schema::user_preferences as table;

pub use tidings_decision::notify::policy::{PreferenceDocument as Preferences, SettingsDocument as Settings};

/// The row of a user.
#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = table, treat_none_as_null = true)]
struct Columns {
    time_zone: Option<String>,
    locale: Option<String>,
    quiet_from_minute: Option<i16>,
    quiet_to_minute: Option<i16>,
    muted: Vec<String>,
    settings: serde_json::Value,
}

impl From<Columns> for Preferences {
    fn from(columns: Columns) -> Self {
        let Columns { time_zone, locale, quiet_from_minute, quiet_to_minute, muted, settings } = columns;
        Self { time_zone, locale, quiet_from_minute, quiet_to_minute, muted, settings: Settings(settings) }
    }
}

impl From<Preferences> for Columns {
    fn from(preferences: Preferences) -> Self {
        let Preferences { time_zone, locale, quiet_from_minute, quiet_to_minute, muted, settings } =
            preferences;
        Self { time_zone, locale, quiet_from_minute, quiet_to_minute, muted, settings: settings.0 }
    }
}

type PreferencesColumns = (
    table::time_zone,
    table::locale,
    table::quiet_from_minute,
    table::quiet_to_minute,
    table::muted,
    table::settings,
);
const COLUMNS: PreferencesColumns = (
    table::time_zone,
    table::locale,
    table::quiet_from_minute,
    table::quiet_to_minute,
    table::muted,
    table::settings,
);

/// Preferences of the user; the default when there are none.
pub fn get(conn: &mut PgConnection, user: UserId) -> Result<Preferences, StoreError> {
    let found = table::table.find(user.to_sql()).select(COLUMNS).first::<Columns>(conn).optional()?;
    Ok(found.map(Preferences::from).unwrap_or_default())
}

/// The same, for a change in the same transaction: until it ends nobody else changes them so.
pub fn get_for_update(conn: &mut PgConnection, user: UserId) -> Result<Preferences, StoreError> {
    sql::<()>("SELECT FROM users WHERE user_id = ? FOR NO KEY UPDATE")
        .bind::<Integer, _>(user.to_sql())
        .execute(conn)?;
    get(conn, user)
}

/// Replaces all of the user's preferences; opting out is dated. The user must exist.
pub fn put(conn: &mut PgConnection, user: UserId, preferences: &Preferences) -> Result<(), StoreError> {
    if preferences.settings.0.get("opted_out") == Some(&serde_json::Value::Bool(true)) {
        note_opt_out(conn, user)?;
    }
    let columns = Columns::from(preferences.clone());
    diesel::insert_into(table::table)
        .values((table::user_id.eq(user.to_sql()), &columns))
        .on_conflict(table::user_id)
        .do_update()
        .set((&columns, table::updated_at.eq(diesel::dsl::now)))
        .execute(conn)?;
    Ok(())
}

/// Stores a change that a client made, in the caller's transaction. One that is older than what is stored changes less of it.
/// The user must exist.
pub fn change(conn: &mut PgConnection, user: UserId, change: &PreferenceChange) -> Result<(), StoreError> {
    let mut preferences = get_for_update(conn, user)?;
    let row = table::table.find(user.to_sql());
    let replaced = row.select(table::updated_at).first::<PgTimestamp>(conn).optional()?;
    let before = preferences.clone();
    change.apply(&mut preferences, replaced.map(from_pg));
    if preferences != before {
        put(conn, user, &preferences)?;
        // Not later than the change: the next one may have been made before this is stored.
        let updated_at = replaced.map_or(change.at, |replaced| change.at.max(from_pg(replaced)));
        diesel::update(row).set(table::updated_at.eq(to_pg(updated_at))).execute(conn)?;
    }
    Ok(())
}

/// Before the preferences are replaced: what is said again is no new opt-out.
fn note_opt_out(conn: &mut PgConnection, user: UserId) -> Result<(), StoreError> {
    sql::<()>(
        "INSERT INTO opt_outs (user_id) SELECT u FROM (SELECT ?::integer AS u) who WHERE NOT EXISTS (\
         SELECT FROM user_preferences WHERE user_id = u AND (settings->>'opted_out')::boolean) ON CONFLICT DO NOTHING",
    )
    .bind::<Integer, _>(user.to_sql())
    .execute(conn)?;
    Ok(())
}

/// Preferences of many users; those with the default are left out.
pub(super) fn load(
    conn: &mut PgConnection,
    users: &[UserId],
) -> Result<Vec<(UserId, Preferences)>, StoreError> {
    let ids: Vec<i32> = users.iter().map(|user| user.to_sql()).collect();
    let rows =
        table::table
            .filter(table::user_id.eq_any(ids))
            .select((table::user_id, COLUMNS))
            .load::<(i32, Columns)>(conn)?;
    Ok(rows.into_iter().map(|(user, columns)| (UserId::from_sql(user), columns.into())).collect())
}
