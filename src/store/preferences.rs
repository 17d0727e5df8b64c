//! Table `user_preferences`: what a user asked of us.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{Integer, Jsonb};

use super::StoreError;
use super::schema::user_preferences as table;
use super::sql::sql;
use crate::base::UserId;

/// What a user asked of us; `None` and empty mean the server's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Queryable, Insertable, AsChangeset)]
#[diesel(table_name = table, treat_none_as_null = true)]
pub struct Preferences {
    /// IANA name, e.g. Europe/Berlin.
    pub time_zone: Option<String>,
    /// BCP 47 tag, e.g. de-AT.
    pub locale: Option<String>,
    /// Quiet hours begin, minutes after local midnight, 0…1439.
    pub quiet_from_minute: Option<i16>,
    /// Quiet hours end, 0…1439; less than the beginning = across midnight, equal = none. Both or neither.
    pub quiet_to_minute: Option<i16>,
    /// Notification categories the user has muted.
    pub muted: Vec<String>,
    /// Everything else, as `notify::policy::Settings` reads it.
    pub settings: Settings,
}

/// A document; `{}` when nothing was said.
#[derive(Clone, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Jsonb)]
pub struct Settings(pub serde_json::Value);

impl Default for Settings {
    fn default() -> Self {
        Self(serde_json::json!({}))
    }
}

impl ToSql<Jsonb, Pg> for Settings {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <serde_json::Value as ToSql<Jsonb, Pg>>::to_sql(&self.0, out)
    }
}

impl FromSql<Jsonb, Pg> for Settings {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        <serde_json::Value as FromSql<Jsonb, Pg>>::from_sql(bytes).map(Self)
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

/// What the user asked of us; the default when nothing.
pub fn get(conn: &mut PgConnection, user: UserId) -> Result<Preferences, StoreError> {
    let found = table::table.find(user.to_sql()).select(COLUMNS).first::<Preferences>(conn).optional()?;
    Ok(found.unwrap_or_default())
}

/// Replaces all of the user's preferences; opting out is dated. The user must exist.
pub fn put(conn: &mut PgConnection, user: UserId, preferences: &Preferences) -> Result<(), StoreError> {
    if preferences.settings.0.get("opted_out") == Some(&serde_json::Value::Bool(true)) {
        note_opt_out(conn, user)?;
    }
    diesel::insert_into(table::table)
        .values((table::user_id.eq(user.to_sql()), preferences))
        .on_conflict(table::user_id)
        .do_update()
        .set((preferences, table::updated_at.eq(diesel::dsl::now)))
        .execute(conn)?;
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

/// Adds a category to those muted; false when it was there. The user must exist.
pub fn mute(conn: &mut PgConnection, user: UserId, category: &str) -> Result<bool, StoreError> {
    conn.transaction(|conn| {
        let mut preferences = get(conn, user)?;
        if preferences.muted.iter().any(|muted| muted == category) {
            return Ok(false);
        }
        preferences.muted.push(category.to_owned());
        put(conn, user, &preferences)?;
        Ok(true)
    })
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
            .load::<(i32, Preferences)>(conn)?;
    Ok(rows.into_iter().map(|(user, preferences)| (UserId::from_sql(user), preferences)).collect())
}
