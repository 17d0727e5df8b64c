//! Table `person_sessions`: sessions of people who are signed in.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::people::role;
use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_decision::privacy::sign_in::{Person, SecretHash, Session};

/// Most sessions of one person; the oldest ends for a further one.
const MAX_OF_PERSON: i64 = 20;

/// A session to be stored.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its name.
    pub id: Uuid,
    /// Hash of its secret id.
    pub hash: SecretHash,
    /// Its owner.
    pub person: Uuid,
    /// Moment of the sign-in.
    pub now: Timestamp,
    /// End.
    pub expires_at: Timestamp,
    /// Address of the client.
    pub address: Option<String>,
    /// Browser, as it names itself.
    pub browser: Option<String>,
}

/// A session as it is shown to its person.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Its name.
    pub id: Uuid,
    /// Moment of the sign-in.
    pub created_at: Timestamp,
    /// Last use.
    pub seen_at: Timestamp,
    /// End.
    pub expires_at: Timestamp,
    /// Address of the client.
    pub address: Option<String>,
    /// Browser, as it names itself.
    pub browser: Option<String>,
}

/// Begins a session, and ends those of the person that are over or too many.
pub fn begin(conn: &mut PgConnection, new: &NewSession) -> Result<(), StoreError> {
    conn.transaction(|conn| {
        sql::<()>(
            "DELETE FROM person_sessions WHERE person_id = ? AND (expires_at <= ? OR session_id IN \
             (SELECT session_id FROM person_sessions WHERE person_id = ? ORDER BY created_at DESC OFFSET ?))",
        )
        .bind::<SqlUuid, _>(new.person)
        .bind::<Timestamptz, _>(to_pg(new.now))
        .bind::<SqlUuid, _>(new.person)
        .bind::<BigInt, _>(MAX_OF_PERSON - 1)
        .execute(conn)?;
        sql::<()>(
            "INSERT INTO person_sessions (session_id, hash, person_id, created_at, seen_at, expires_at, address, browser) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind::<SqlUuid, _>(new.id)
        .bind::<Binary, _>(new.hash.as_slice())
        .bind::<SqlUuid, _>(new.person)
        .bind::<Timestamptz, _>(to_pg(new.now))
        .bind::<Timestamptz, _>(to_pg(new.now))
        .bind::<Timestamptz, _>(to_pg(new.expires_at))
        .bind::<Nullable<Text>, _>(new.address.as_deref())
        .bind::<Nullable<Text>, _>(new.browser.as_deref())
        .execute(conn)?;
        sql::<()>("UPDATE people SET signed_in_at = ? WHERE person_id = ?")
            .bind::<Timestamptz, _>(to_pg(new.now))
            .bind::<SqlUuid, _>(new.person)
            .execute(conn)?;
        Ok(())
    })
}

type Columns = (SqlUuid, Binary, SqlUuid, Text, Text, Timestamptz, Timestamptz, Timestamptz);
type Row = (Uuid, Vec<u8>, Uuid, String, String, PgTimestamp, PgTimestamp, PgTimestamp);

/// Every session that goes on, of people who are not disabled.
pub fn all(conn: &mut PgConnection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
    let rows = sql::<Columns>(
        "SELECT session_id, hash, person_id, name, role, person_sessions.created_at, seen_at, expires_at \
         FROM person_sessions JOIN people USING (person_id) \
         WHERE disabled_at IS NULL AND expires_at > ?",
    )
    .bind::<Timestamptz, _>(to_pg(now))
    .load::<Row>(conn)?;
    let unreadable =
        || StoreError::Unreadable { table: "person_sessions", reason: "a hash has 32 bytes".to_owned() };
    let session = |(id, hash, person_id, name, role_name, created_at, seen_at, expires_at): Row| {
        Ok(Session {
            id,
            hash: hash.try_into().map_err(|_| unreadable())?,
            person: Person { id: person_id, name, role: role(&role_name)? },
            created_at: from_pg(created_at),
            seen_at: from_pg(seen_at),
            expires_at: from_pg(expires_at),
        })
    };
    rows.into_iter().map(session).collect()
}

type OwnColumns = (SqlUuid, Timestamptz, Timestamptz, Timestamptz, Nullable<Text>, Nullable<Text>);
type OwnRow = (Uuid, PgTimestamp, PgTimestamp, PgTimestamp, Option<String>, Option<String>);

/// Sessions of a person, the latest first.
pub fn of_person(
    conn: &mut PgConnection,
    person: Uuid,
    now: Timestamp,
) -> Result<Vec<SessionRow>, StoreError> {
    let rows = sql::<OwnColumns>(
        "SELECT session_id, created_at, seen_at, expires_at, address, browser FROM person_sessions \
         WHERE person_id = ? AND expires_at > ? ORDER BY created_at DESC",
    )
    .bind::<SqlUuid, _>(person)
    .bind::<Timestamptz, _>(to_pg(now))
    .load::<OwnRow>(conn)?;
    let row = |(id, created_at, seen_at, expires_at, address, browser): OwnRow| SessionRow {
        id,
        created_at: from_pg(created_at),
        seen_at: from_pg(seen_at),
        expires_at: from_pg(expires_at),
        address,
        browser,
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Ends a session of a person, or with `None` all of them; how many.
pub fn end(conn: &mut PgConnection, person: Uuid, session: Option<Uuid>) -> Result<usize, StoreError> {
    Ok(sql::<()>("DELETE FROM person_sessions WHERE person_id = ? AND (session_id = ? OR ?)")
        .bind::<SqlUuid, _>(person)
        .bind::<SqlUuid, _>(session.unwrap_or_default())
        .bind::<diesel::sql_types::Bool, _>(session.is_none())
        .execute(conn)?)
}

/// Notes when sessions were used last.
pub fn note_seen(conn: &mut PgConnection, seen: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
    let (ids, at): (Vec<Uuid>, Vec<PgTimestamp>) = seen.iter().map(|(id, at)| (*id, to_pg(*at))).unzip();
    sql::<()>(
        "UPDATE person_sessions SET seen_at = greatest(seen_at, seen.at) \
         FROM unnest(?, ?) AS seen (id, at) WHERE session_id = seen.id",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Timestamptz>, _>(at)
    .execute(conn)?;
    Ok(())
}

/// Removes sessions that are over: past their end, or not used since `idle_since`.
pub fn sweep(conn: &mut PgConnection, idle_since: Timestamp, now: Timestamp) -> Result<usize, StoreError> {
    Ok(sql::<()>("DELETE FROM person_sessions WHERE expires_at <= ? OR seen_at <= ?")
        .bind::<Timestamptz, _>(to_pg(now))
        .bind::<Timestamptz, _>(to_pg(idle_since))
        .execute(conn)?)
}
