//! Rows from before: fields that are not encrypted yet, and data keys under a master key that is being replaced. In batches, each a
//! transaction of its own; what was cut off is taken up where it ended.

use std::borrow::Cow;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Fields, data_keys, nonce};
use crate::postgres::columns::column;
use crate::postgres::error::StoreError;
use crate::postgres::session::{in_transaction, without_time_limit};
use crate::postgres::sql::sql;
use tidings_decision::privacy::encryption::{Field, Owner};

/// Begin of the fields that are encrypted, in a condition.
const SEALED: &str = "'enc1:%'";

/// A place in the rows of a column, from which it goes on.
#[derive(Clone, Debug)]
pub struct Existing {
    /// The column.
    pub field: Field,
    /// Key of the last row that was looked at, as text.
    key: Option<String>,
    /// The same of events, whose key is of two columns.
    event: (Uuid, PgTimestamp),
}

impl Existing {
    /// At the first row.
    pub fn new(field: Field) -> Self {
        Self { field, key: None, event: (Uuid::nil(), PgTimestamp(i64::MIN)) }
    }
}

/// Encrypts at most `limit` fields of a column; how many, 0 = none is left. Encryption has to be on. Rows are passed in the order of their
/// keys, each once; other writers wait for those of a batch only.
pub fn encrypt_some(
    conn: &mut PgConnection,
    fields: &Fields,
    place: &mut Existing,
    limit: i64,
) -> Result<usize, StoreError> {
    match place.field {
        Field::Query => queries(conn, fields, place, limit),
        Field::Frame => texts(conn, fields, place, limit, &FRAMES),
        Field::Attribute => attributes(conn, fields, place, limit),
        Field::Waiting => texts(conn, fields, place, limit, &WAITING),
        Field::Broadcast => texts(conn, fields, place, limit, &BROADCASTS),
        Field::Held => held(conn, fields, place, limit),
    }
}

fn queries(
    conn: &mut PgConnection,
    fields: &Fields,
    place: &mut Existing,
    limit: i64,
) -> Result<usize, StoreError> {
    without_time_limit(conn, |conn| {
        let rows = sql::<(Timestamptz, SqlUuid, Nullable<Integer>, Text)>(format!(
            "SELECT occurred_at, event_key, user_id, query FROM events WHERE query NOT LIKE {SEALED} \
             AND (event_key, occurred_at) > (?, ?) ORDER BY event_key, occurred_at LIMIT ? FOR UPDATE"
        ))
        .bind::<SqlUuid, _>(place.event.0)
        .bind::<Timestamptz, _>(place.event.1)
        .bind::<BigInt, _>(limit)
        .load::<(PgTimestamp, Uuid, Option<i32>, String)>(conn)?;
        let Some((last_at, last_key, ..)) = rows.last() else { return Ok(0) };
        place.event = (*last_key, *last_at);
        let owner = |user: &Option<i32>| user.map_or(Owner::SERVER, Owner);
        let sealer = fields.sealer(conn, rows.iter().map(|(_, _, user, _)| owner(user)))?;
        let sealed: Vec<Cow<'_, str>> = rows
            .iter()
            .map(|(_, _, user, text)| sealer.seal(owner(user), Field::Query, text))
            .collect::<Result<_, _>>()?;
        sql::<()>(
            "UPDATE events e SET query = s.query FROM unnest(?, ?, ?) AS s (at, key, query) \
             WHERE e.occurred_at = s.at AND e.event_key = s.key",
        )
        .bind::<Array<Timestamptz>, _>(column(&rows, |(at, ..)| *at))
        .bind::<Array<SqlUuid>, _>(column(&rows, |(_, key, ..)| *key))
        .bind::<Array<Text>, _>(column(&sealed, AsRef::as_ref))
        .execute(conn)?;
        Ok(rows.len())
    })
}

/// A UUID before any other.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// A column of text, as statements name it.
struct Texts {
    table: &'static str,
    /// The key of a row, its type, and a value before any.
    key: (&'static str, &'static str, &'static str),
    column: &'static str,
    /// Inner id of the user whose key the text is to be under.
    owner: &'static str,
}

const FRAMES: Texts = Texts {
    table: "notifications",
    key: ("notification_id", "uuid", NIL),
    column: "frame",
    owner: "user_id",
};
const WAITING: Texts = Texts {
    table: "outbox",
    key: ("outbox_id", "bigint", "-1"),
    column: "message",
    // Of several users, or of one who is not known: the server's.
    owner: "coalesce((SELECT coalesce(merged_into, user_id) FROM users \
            WHERE cardinality(t.users) = 1 AND external_id = t.users[1]), -1)",
};
/// Nothing says to whom those from before went: they are under the server's own key.
const BROADCASTS: Texts =
    Texts { table: "broadcasts", key: ("broadcast_id", "uuid", NIL), column: "message", owner: "-1" };

fn texts(
    conn: &mut PgConnection,
    fields: &Fields,
    place: &mut Existing,
    limit: i64,
    of: &Texts,
) -> Result<usize, StoreError> {
    let Texts { table, key: (key, key_type, first), column: text, owner } = of;
    without_time_limit(conn, |conn| {
        // JSON's null has no words.
        let rows = sql::<(Text, Integer, Text)>(format!(
            "SELECT {key}::text, {owner}, {text} FROM {table} t WHERE {text} NOT LIKE {SEALED} AND {text} <> 'null' \
             AND t.{key} > ?::{key_type} ORDER BY t.{key} LIMIT ? FOR UPDATE OF t"
        ))
        .bind::<Text, _>(place.key.as_deref().unwrap_or(first))
        .bind::<BigInt, _>(limit)
        .load::<(String, i32, String)>(conn)?;
        let Some((last, ..)) = rows.last() else { return Ok(0) };
        place.key = Some(last.clone());
        let sealer = fields.sealer(conn, rows.iter().map(|(_, owner, _)| Owner(*owner)))?;
        let sealed: Vec<Cow<'_, str>> = rows
            .iter()
            .map(|(_, owner, text)| sealer.seal(Owner(*owner), place.field, text))
            .collect::<Result<_, _>>()?;
        sql::<()>(format!(
            "UPDATE {table} t SET {text} = s.text FROM unnest(?, ?) AS s (key, text) WHERE t.{key} = s.key::{key_type}"
        ))
        .bind::<Array<Text>, _>(column(&rows, |(key, ..)| key.as_str()))
        .bind::<Array<Text>, _>(column(&sealed, AsRef::as_ref))
        .execute(conn)?;
        Ok(rows.len())
    })
}

fn attributes(
    conn: &mut PgConnection,
    fields: &Fields,
    place: &mut Existing,
    limit: i64,
) -> Result<usize, StoreError> {
    without_time_limit(conn, |conn| {
        let names: Vec<&str> = fields.sealed_names().collect();
        let mut rows = sql::<(Integer, Jsonb)>(
            "SELECT user_id, attributes FROM user_attributes WHERE user_id > ?::integer AND EXISTS (SELECT FROM unnest(?) AS n (name) \
             WHERE jsonb_exists(attributes, name) AND attributes -> name -> 'sealed' IS NULL) ORDER BY user_id LIMIT ? FOR UPDATE",
        )
        .bind::<Text, _>(place.key.as_deref().unwrap_or("-1"))
        .bind::<Array<Text>, _>(names)
        .bind::<BigInt, _>(limit)
        .load::<(i32, Value)>(conn)?;
        let Some((last, _)) = rows.last() else { return Ok(0) };
        place.key = Some(last.to_string());
        let sealer = fields.sealer(conn, rows.iter().map(|(user, _)| Owner(*user)))?;
        for (user, stored) in &mut rows {
            fields.seal_attributes(&sealer, Owner(*user), stored)?;
        }
        sql::<()>(
            "UPDATE user_attributes a SET attributes = s.attributes FROM unnest(?, ?) AS s (id, attributes) WHERE a.user_id = s.id",
        )
        .bind::<Array<Integer>, _>(column(&rows, |(user, _)| *user))
        .bind::<Array<Jsonb>, _>(column(&rows, |(_, stored)| stored.clone()))
        .execute(conn)?;
        Ok(rows.len())
    })
}

fn held(
    conn: &mut PgConnection,
    fields: &Fields,
    place: &mut Existing,
    limit: i64,
) -> Result<usize, StoreError> {
    without_time_limit(conn, |conn| {
        let rows = sql::<(Text, Integer, Jsonb)>(format!(
            "SELECT held_id::text, user_id, event FROM held_messages WHERE event #>> '{{}}' NOT LIKE {SEALED} \
             AND held_id > ?::uuid ORDER BY held_id LIMIT ? FOR UPDATE"
        ))
        .bind::<Text, _>(place.key.as_deref().unwrap_or(NIL))
        .bind::<BigInt, _>(limit)
        .load::<(String, i32, Value)>(conn)?;
        let Some((last, ..)) = rows.last() else { return Ok(0) };
        place.key = Some(last.clone());
        let sealer = fields.sealer(conn, rows.iter().map(|(_, user, _)| Owner(*user)))?;
        let seal = |(_, user, event): &(String, i32, Value)| {
            sealer.seal(Owner(*user), Field::Held, &event.to_string()).map(|text| json!(text))
        };
        let sealed: Vec<Value> = rows.iter().map(seal).collect::<Result<_, _>>()?;
        sql::<()>(
            "UPDATE held_messages h SET event = s.event FROM unnest(?, ?) AS s (key, event) WHERE h.held_id = s.key::uuid",
        )
        .bind::<Array<Text>, _>(column(&rows, |(key, ..)| key.as_str()))
        .bind::<Array<Jsonb>, _>(sealed)
        .execute(conn)?;
        Ok(rows.len())
    })
}

/// Wraps at most `limit` data keys by the current master key that are wrapped by another; how many, 0 = none is left. Fields stay as they
/// are. An error names a master key that is needed and is not there.
pub fn rewrap_some(conn: &mut PgConnection, fields: &Fields, limit: i64) -> Result<usize, StoreError> {
    let (Some(masters), Some(current)) = (fields.masters(), fields.masters().and_then(|all| all.current()))
    else {
        return Ok(0);
    };
    in_transaction(conn, |conn| {
        let mut others = data_keys::names(conn)?;
        others.retain(|name| name != current.name().as_str());
        let rows = sql::<(SqlUuid, Integer, Text, Binary)>(
            "SELECT key_id, user_id, master_key, wrapped FROM data_keys WHERE master_key = ANY(?) LIMIT ? FOR UPDATE SKIP LOCKED",
        )
        .bind::<Array<Text>, _>(others)
        .bind::<BigInt, _>(limit)
        .load::<(Uuid, i32, String, Vec<u8>)>(conn)?;
        let rewrapped = rows
            .iter()
            .map(|(id, owner, master, wrapped)| {
                let bytes = masters.named(master).and_then(|key| key.unwrap(wrapped, *id, Owner(*owner)));
                let bytes = bytes.ok_or_else(|| StoreError::Unreadable {
                    table: "data_keys",
                    reason: format!("master key {master} does not unwrap key {id}"),
                })?;
                Ok(current.wrap(&bytes, *id, Owner(*owner), &nonce()))
            })
            .collect::<Result<Vec<Vec<u8>>, StoreError>>()?;
        sql::<()>(
            "UPDATE data_keys k SET master_key = ?, wrapped = r.wrapped FROM unnest(?, ?) AS r (id, wrapped) \
             WHERE k.key_id = r.id",
        )
        .bind::<Text, _>(current.name().as_str())
        .bind::<Array<SqlUuid>, _>(column(&rows, |(id, ..)| *id))
        .bind::<Array<Binary>, _>(column(&rewrapped, Vec::as_slice))
        .execute(conn)?;
        Ok(rows.len())
    })
}
