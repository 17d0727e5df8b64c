//! Tables `people` and `person_links`: accounts of people, and links that set a password.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::Role;
use tidings_decision::privacy::sign_in::{Person, SecretHash};

/// Most accounts.
pub const MAX_PEOPLE: usize = 10_000;

/// An account.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonRow {
    /// Id, name and role.
    pub person: Person,
    /// Argon2id of the password; `None` = none is set.
    pub password_hash: Option<String>,
    /// Identity provider that the person signs in with.
    pub issuer: Option<String>,
    /// Moment at which it was made.
    pub created_at: Timestamp,
    /// Its maker.
    pub created_by: String,
    /// Last sign-in.
    pub signed_in_at: Option<Timestamp>,
    /// Moment at which it was disabled.
    pub disabled_at: Option<Timestamp>,
}

/// Outcome of a change of an account.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// The account before and since.
    Done(Box<(PersonRow, PersonRow)>),
    /// No such account.
    Unknown,
    /// Nobody would be left who manages people.
    LastAdmin,
}

type Columns = (
    SqlUuid,
    Text,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Timestamptz,
    Text,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
);
type Row = (
    Uuid,
    String,
    String,
    Option<String>,
    Option<String>,
    PgTimestamp,
    String,
    Option<PgTimestamp>,
    Option<PgTimestamp>,
);

const SELECT: &str = "SELECT person_id, name, role, password_hash, issuer, created_at, created_by, signed_in_at, disabled_at \
                      FROM people";

/// Role of a stored name.
pub(super) fn role(name: &str) -> Result<Role, StoreError> {
    let unreadable =
        || StoreError::Unreadable { table: "people", reason: format!("there is no role \"{name}\"") };
    Role::named(name).filter(|role| role.is_of_people()).ok_or_else(unreadable)
}

fn person(row: Row) -> Result<PersonRow, StoreError> {
    let (id, name, role_name, password_hash, issuer, created_at, created_by, signed_in_at, disabled_at) = row;
    Ok(PersonRow {
        person: Person { id, name, role: role(&role_name)? },
        password_hash,
        issuer,
        created_at: from_pg(created_at),
        created_by,
        signed_in_at: signed_in_at.map(from_pg),
        disabled_at: disabled_at.map(from_pg),
    })
}

/// Accounts by name, after one of that name.
pub fn list(conn: &mut PgConnection, after: &str, limit: i64) -> Result<Vec<PersonRow>, StoreError> {
    let rows = sql::<Columns>(format!("{SELECT} WHERE name > ? ORDER BY name LIMIT ?"))
        .bind::<Text, _>(after)
        .bind::<BigInt, _>(limit)
        .load::<Row>(conn)?;
    rows.into_iter().map(person).collect()
}

/// Returns true if there is an administrator: people whom an identity provider signed in may be there before.
pub fn any_admin(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let text = "SELECT EXISTS (SELECT FROM people WHERE role = 'admin' AND disabled_at IS NULL)";
    Ok(sql::<Bool>(text).get_result(conn)?)
}

/// The account of a name.
pub fn by_name(conn: &mut PgConnection, name: &str) -> Result<Option<PersonRow>, StoreError> {
    let text = format!("{SELECT} WHERE name = ?");
    let row = sql::<Columns>(text).bind::<Text, _>(name).get_result::<Row>(conn).optional()?;
    row.map(person).transpose()
}

/// The account of an id.
pub fn by_id(conn: &mut PgConnection, id: Uuid) -> Result<Option<PersonRow>, StoreError> {
    let text = format!("{SELECT} WHERE person_id = ?");
    let row = sql::<Columns>(text).bind::<SqlUuid, _>(id).get_result::<Row>(conn).optional()?;
    row.map(person).transpose()
}

/// Adds an account without a password; `None` if the name is taken or there are [`MAX_PEOPLE`] already.
pub fn add(
    conn: &mut PgConnection,
    name: &str,
    role: Role,
    by: &str,
) -> Result<Option<PersonRow>, StoreError> {
    let id = Uuid::now_v7();
    let added = sql::<()>(
        "INSERT INTO people (person_id, name, role, created_by) SELECT ?, ?, ?, ? \
         WHERE (SELECT count(*) FROM people) < ? ON CONFLICT (name) DO NOTHING",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Text, _>(name)
    .bind::<Text, _>(role.name())
    .bind::<Text, _>(by)
    .bind::<BigInt, _>(i64::try_from(MAX_PEOPLE).unwrap_or(i64::MAX))
    .execute(conn)?;
    if added == 0 { Ok(None) } else { by_id(conn, id) }
}

/// Sets a password, and ends links and sessions of the account.
pub fn set_password(conn: &mut PgConnection, id: Uuid, hash: &str) -> Result<(), StoreError> {
    conn.transaction(|conn| {
        sql::<()>("UPDATE people SET password_hash = ? WHERE person_id = ?")
            .bind::<Text, _>(hash)
            .bind::<SqlUuid, _>(id)
            .execute(conn)?;
        for text in [
            "DELETE FROM person_links WHERE person_id = ?",
            "DELETE FROM person_sessions WHERE person_id = ?",
        ] {
            sql::<()>(text).bind::<SqlUuid, _>(id).execute(conn)?;
        }
        Ok(())
    })
}

/// Changes role or state of an account. Whoever is disabled is signed out; the last administrator stays one.
pub fn change(
    conn: &mut PgConnection,
    id: Uuid,
    new_role: Option<Role>,
    disabled: Option<bool>,
) -> Result<Changed, StoreError> {
    conn.transaction(|conn| {
        // One change after the other, so that two administrators can't remove each other.
        sql::<()>("LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE").execute(conn)?;
        let Some(before) = by_id(conn, id)? else { return Ok(Changed::Unknown) };
        let role = new_role.unwrap_or(before.person.role);
        let is_disabled = disabled.unwrap_or(before.disabled_at.is_some());
        let others = sql::<Bool>(
            "SELECT EXISTS (SELECT FROM people WHERE role = 'admin' AND disabled_at IS NULL AND person_id <> ?)",
        );
        let was_admin = before.person.role == Role::Admin && before.disabled_at.is_none();
        let ends = was_admin && (role != Role::Admin || is_disabled);
        if ends && !others.bind::<SqlUuid, _>(id).get_result::<bool>(conn)? {
            return Ok(Changed::LastAdmin);
        }
        sql::<()>(
            "UPDATE people SET role = ?, disabled_at = CASE WHEN ? THEN coalesce(disabled_at, now()) END \
             WHERE person_id = ?",
        )
        .bind::<Text, _>(role.name())
        .bind::<Bool, _>(is_disabled)
        .bind::<SqlUuid, _>(id)
        .execute(conn)?;
        if is_disabled {
            sql::<()>("DELETE FROM person_sessions WHERE person_id = ?")
                .bind::<SqlUuid, _>(id)
                .execute(conn)?;
        }
        let after = by_id(conn, id)?;
        Ok(after.map_or(Changed::Unknown, |after| Changed::Done(Box::new((before, after)))))
    })
}

/// Adds a link that sets the password of a person, or makes the first administrator. Links before it for the same are over.
pub fn add_link(
    conn: &mut PgConnection,
    hash: &SecretHash,
    person: Option<Uuid>,
    until: Timestamp,
) -> Result<(), StoreError> {
    conn.transaction(|conn| {
        sql::<()>("DELETE FROM person_links WHERE person_id IS NOT DISTINCT FROM ? OR expires_at <= now()")
            .bind::<Nullable<SqlUuid>, _>(person)
            .execute(conn)?;
        sql::<()>("INSERT INTO person_links (hash, person_id, expires_at) VALUES (?, ?, ?)")
            .bind::<Binary, _>(hash.as_slice())
            .bind::<Nullable<SqlUuid>, _>(person)
            .bind::<Timestamptz, _>(to_pg(until))
            .execute(conn)?;
        Ok(())
    })
}

/// Owner of a link that is good: `Some(None)` makes the first administrator, as long as there is none.
pub fn link(
    conn: &mut PgConnection,
    hash: &SecretHash,
    now: Timestamp,
) -> Result<Option<Option<PersonRow>>, StoreError> {
    let found =
        sql::<Nullable<SqlUuid>>("SELECT person_id FROM person_links WHERE hash = ? AND expires_at > ?")
            .bind::<Binary, _>(hash.as_slice())
            .bind::<Timestamptz, _>(to_pg(now))
            .get_result::<Option<Uuid>>(conn)
            .optional()?;
    match found {
        None => Ok(None),
        Some(None) => Ok((!any_admin(conn)?).then_some(None)),
        Some(Some(id)) => Ok(by_id(conn, id)?.filter(|person| person.disabled_at.is_none()).map(Some)),
    }
}

/// Uses a link up: sets the password of its person, or makes the first administrator with that name. `None` if it is not good any more.
pub fn redeem(
    conn: &mut PgConnection,
    hash: &SecretHash,
    name: &str,
    password_hash: &str,
    now: Timestamp,
) -> Result<Option<Person>, StoreError> {
    conn.transaction(|conn| {
        sql::<()>("LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE").execute(conn)?;
        let person = match link(conn, hash, now)? {
            None => return Ok(None),
            Some(Some(row)) => row.person,
            Some(None) => match add(conn, name, Role::Admin, "first link")? {
                Some(row) => row.person,
                None => return Ok(None),
            },
        };
        set_password(conn, person.id, password_hash)?;
        sql::<()>("DELETE FROM person_links WHERE hash = ?")
            .bind::<Binary, _>(hash.as_slice())
            .execute(conn)?;
        Ok(Some(person))
    })
}

/// The account of a subject of an identity provider, with that role from now on (the last administrator stays one); made where there
/// is none. `None` if it is disabled, or its name belongs to another account.
pub fn of_provider(
    conn: &mut PgConnection,
    issuer: &str,
    subject: &str,
    name: &str,
    role: Role,
) -> Result<Option<Person>, StoreError> {
    let text = "INSERT INTO people (person_id, name, role, issuer, issuer_subject, created_by) VALUES (?, ?, ?, ?, ?, ?) \
                ON CONFLICT (issuer, issuer_subject) DO UPDATE SET role = CASE WHEN people.role = 'admin' AND NOT EXISTS \
                (SELECT FROM people o WHERE o.role = 'admin' AND o.disabled_at IS NULL AND o.person_id <> people.person_id) \
                THEN people.role ELSE EXCLUDED.role END \
                WHERE people.disabled_at IS NULL RETURNING person_id, name, role";
    let row = conn.transaction(|conn| {
        // As in [`change`]: one after the other.
        sql::<()>("LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE").execute(conn)?;
        sql::<(SqlUuid, Text, Text)>(text)
            .bind::<SqlUuid, _>(Uuid::now_v7())
            .bind::<Text, _>(name)
            .bind::<Text, _>(role.name())
            .bind::<Text, _>(issuer)
            .bind::<Text, _>(subject)
            .bind::<Text, _>(issuer)
            .get_result::<(Uuid, String, String)>(conn)
            .optional()
    });
    match row {
        Ok(Some((id, name, stored))) => Ok(Some(Person { id, name, role: self::role(&stored)? })),
        Ok(None) => Ok(None),
        Err(diesel::result::Error::DatabaseError(diesel::result::DatabaseErrorKind::UniqueViolation, _)) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
