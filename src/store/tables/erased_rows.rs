//! Rows of a user who is being erased: removed in batches, so that nobody has to wait, each batch counted in the receipt by the transaction
//! that removes it.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::{Value, json};
use uuid::Uuid;

use super::erasures::{Counted, UnderWay, count, erased, erasing};
use super::{audit, event_kinds};
use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ItemId, Timestamp, UserId};
use tidings_core::event::Event;
use tidings_decision::privacy::pseudonym::{self, Lookup, spellings};

/// Rows of a batch.
pub const BATCH: i64 = 5_000;
/// Entries of the audit log that are read at a time.
const ENTRIES: i64 = 500;

/// Keys of encrypted fields.
const KEYS: (&str, &str) = ("data_keys", "key_id");
/// Tables without a bound for one user, each with its key, in the order in which rows go.
const LARGE: [(&str, &str); 7] = [
    KEYS,
    ("events", "event_key, occurred_at"),
    ("decisions", "decision_id"),
    ("lists", "list_id"),
    ("push_outbox", "notification_id, subscription_id"),
    ("feedback", "notification_id, outcome"),
    ("notifications", "notification_id"),
];
/// Tables with few rows of a user.
const SMALL: [&str; 11] = [
    "acknowledgements",
    "consents",
    "held_messages",
    "opt_outs",
    "push_subscriptions",
    "stated_features",
    "topic_subscribers",
    "user_attributes",
    "user_features",
    "user_once",
    "user_preferences",
];
/// Tables whose rows name a user by one of its ids.
const NAMED: [&str; 4] = ["outbox", "broadcast_recipients", "revocations", "webhook_deliveries"];
/// Ids in payloads of webhooks.
const IN_PAYLOAD: &str = "$.data.** ? (@.user_id == $names[*] || @.anonymous_id == $names[*])";

/// Every table whose rows are removed and counted.
pub fn tables() -> impl Iterator<Item = &'static str> {
    let large = LARGE.into_iter().map(|(table, _)| table);
    large.chain(SMALL).chain(NAMED).chain(["items", "users"])
}

/// Removes a batch of a large table; how many rows went.
fn remove_batch(
    conn: &mut PgConnection,
    (table, key): (&'static str, &'static str),
    inner: &[i32],
) -> Result<usize, StoreError> {
    let statement = format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE user_id = ANY(?) LIMIT ?)"
    );
    let rows =
        sql::<()>(statement).bind::<Array<Integer>, _>(inner).bind::<BigInt, _>(BATCH).execute(conn)?;
    Ok(rows)
}

/// Removes the keys of the user's encrypted fields, before anything else: what is under them can't be read from then on, in backups of the
/// database neither. So are the words of calls to nobody else, while rows still tell which they were.
pub fn remove_keys(conn: &mut PgConnection, work: &UnderWay) -> Result<(), StoreError> {
    erasing(conn, |conn| {
        let inner = work.inner.as_deref().unwrap_or_default();
        let rows = remove_batch(conn, KEYS, inner)?;
        count(conn, work.id, Counted::Removed, KEYS.0, rows)?;
        let names: Vec<String> = work.names.iter().map(ToString::to_string).collect();
        sql::<()>(include_str!("sql/forget_words.sql"))
            .bind::<Array<Integer>, _>(inner)
            .bind::<Array<Text>, _>(names)
            .execute(conn)?;
        Ok(())
    })
}

/// Removes one batch of the user's rows that go by inner id; how many. 0 = none is left.
pub fn remove_some(conn: &mut PgConnection, work: &UnderWay) -> Result<usize, StoreError> {
    let inner = work.inner.as_deref().unwrap_or_default();
    for table in LARGE {
        let rows = erasing(conn, |conn| {
            let rows = remove_batch(conn, table, inner)?;
            count(conn, work.id, Counted::Removed, table.0, rows)?;
            Ok(rows)
        })?;
        if rows > 0 {
            return Ok(rows);
        }
    }
    erasing(conn, |conn| {
        let mut removed = 0;
        for table in SMALL {
            let rows = sql::<()>(format!("DELETE FROM {table} WHERE user_id = ANY(?)"))
                .bind::<Array<Integer>, _>(inner)
                .execute(conn)?;
            count(conn, work.id, Counted::Removed, table, rows)?;
            removed += rows;
        }
        Ok(removed)
    })
}

/// Everything the user did, by time; users are left out.
pub fn events(conn: &mut PgConnection, work: &UnderWay) -> Result<Vec<Event>, StoreError> {
    let kinds = event_kinds::load(conn)?;
    let rows = sql::<(Timestamptz, Integer, SmallInt)>(
        "SELECT occurred_at, item_id, kind FROM events WHERE user_id = ANY(?) AND item_id IS NOT NULL \
         ORDER BY occurred_at, received_at, event_key",
    )
    .bind::<Array<Integer>, _>(work.inner.as_deref().unwrap_or_default())
    .load::<(PgTimestamp, i32, i16)>(conn)?;
    let event = |(at, item, kind): (PgTimestamp, i32, i16)| {
        Some(Event {
            occurred_at: from_pg(at),
            user: Some(UserId(0)),
            item: Some(ItemId::from_sql(item)),
            kind: kinds.from_code(kind)?,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        })
    };
    Ok(rows.into_iter().filter_map(event).collect())
}

/// Notes the items that may go with the user's events, unless that is done.
pub fn note_items(conn: &mut PgConnection, work: &UnderWay) -> Result<Vec<i32>, StoreError> {
    if let Some(items) = &work.items {
        return Ok(items.clone());
    }
    erasing(conn, |conn| {
        let items = sql::<Integer>(include_str!("sql/lone_items.sql"))
            .bind::<Array<Integer>, _>(work.inner.as_deref().unwrap_or_default())
            .load::<i32>(conn)?;
        sql::<()>("UPDATE erasures SET items_under_way = ? WHERE erasure_id = ?")
            .bind::<Array<Integer>, _>(&items)
            .bind::<SqlUuid, _>(work.id)
            .execute(conn)?;
        Ok(items)
    })
}

/// Removes those of the items that no event names any more; which.
pub fn remove_items(
    conn: &mut PgConnection,
    work: &UnderWay,
    items: &[i32],
) -> Result<Vec<ItemId>, StoreError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    erasing(conn, |conn| {
        let gone = sql::<Integer>(include_str!("sql/remove_lone_items.sql"))
            .bind::<Array<Integer>, _>(items)
            .load::<i32>(conn)?;
        count(conn, work.id, Counted::Removed, "items", gone.len())?;
        Ok(gone.into_iter().map(ItemId::from_sql).collect())
    })
}

/// Removes the rows that name the user by one of its ids.
pub fn remove_named(conn: &mut PgConnection, work: &UnderWay) -> Result<(), StoreError> {
    let names: Vec<String> = work.names.iter().map(ToString::to_string).collect();
    let statements = [
        ("outbox", "DELETE FROM outbox WHERE users <@ ?"),
        ("broadcast_recipients", "DELETE FROM broadcast_recipients WHERE external_id = ANY(?)"),
        ("revocations", "DELETE FROM revocations WHERE subject = ANY(?)"),
    ];
    erasing(conn, |conn| {
        for (table, statement) in statements {
            let rows = sql::<()>(statement).bind::<Array<Text>, _>(&names).execute(conn)?;
            count(conn, work.id, Counted::Removed, table, rows)?;
        }
        let shared = sql::<()>(
            "UPDATE outbox SET users = ARRAY(SELECT u FROM unnest(users) u WHERE u <> ALL(?)) WHERE users && ?",
        )
        .bind::<Array<Text>, _>(&names)
        .bind::<Array<Text>, _>(&names)
        .execute(conn)?;
        count(conn, work.id, Counted::Removed, "outbox", shared)?;
        let rows = sql::<()>(include_str!("sql/remove_webhook_copies.sql"))
            .bind::<Array<Text>, _>(&names)
            .bind::<Text, _>(IN_PAYLOAD)
            .bind::<Jsonb, _>(json!({ "names": as_json(&names) }))
            .execute(conn)?;
        count(conn, work.id, Counted::Removed, "webhook_deliveries", rows)
    })
}

/// Ids as JSON writes them: as a text, and those that are integers as a number as well.
fn as_json(names: &[String]) -> Vec<Value> {
    let numbers = names.iter().filter_map(|name| name.parse::<i64>().ok()).map(Value::from);
    names.iter().map(|name| Value::from(name.as_str())).chain(numbers).collect()
}

/// Replaces the user's ids in stored answers to requests with an `Idempotency-Key`, which name users that do not exist.
pub fn replace_in_answers(
    conn: &mut PgConnection,
    work: &UnderWay,
    lookup: Lookup<'_>,
) -> Result<(), StoreError> {
    let names: Vec<String> = work.names.iter().map(ToString::to_string).collect();
    erasing(conn, |conn| {
        let rows = sql::<(SqlUuid, Text)>(
            "SELECT key_hash, answer FROM idempotency_keys \
             WHERE EXISTS (SELECT FROM unnest(?) AS t (name) WHERE position(t.name IN answer) > 0)",
        )
        .bind::<Array<Text>, _>(&names)
        .load::<(Uuid, String)>(conn)?;
        for (key, answer) in rows {
            let Some(answer) = pseudonym::of_json(&answer, lookup) else { continue };
            sql::<()>("UPDATE idempotency_keys SET answer = ? WHERE key_hash = ?")
                .bind::<Text, _>(answer)
                .bind::<SqlUuid, _>(key)
                .execute(conn)?;
        }
        Ok(())
    })
}

/// Replaces the user's ids in the audit log by their pseudonyms, a batch at a time.
pub fn replace_in_audit(
    conn: &mut PgConnection,
    work: &UnderWay,
    lookup: Lookup<'_>,
) -> Result<(), StoreError> {
    let names: Vec<String> = work.names.iter().map(ToString::to_string).collect();
    let texts: Vec<String> = names.iter().flat_map(|name| spellings(name)).collect();
    let mut after = 0;
    loop {
        let (last, read) = erasing(conn, |conn| {
            let mut entries = audit::naming(conn, &texts, after, ENTRIES)?;
            let (last, read) = (entries.last().map_or(after, |entry| entry.seq), entries.len());
            entries.retain_mut(|link| {
                let by_field = pseudonym::of_entry(&link.entry, lookup);
                let mut entry = by_field.unwrap_or_else(|| link.entry.clone());
                let own = names.iter().filter_map(|name| Some((name, lookup(name)?)));
                for (name, pseudonym) in own {
                    let mut texts: Vec<&mut String> = vec![&mut entry.object];
                    texts.extend(entry.before.as_mut().into_iter().chain(entry.after.as_mut()));
                    texts.into_iter().for_each(|text| *text = pseudonym::of_text(text, name, &pseudonym));
                }
                let is_changed = entry != link.entry;
                link.entry = entry;
                is_changed
            });
            audit::replace(conn, &entries)?;
            count(conn, work.id, Counted::Kept, "audit_log", entries.len())?;
            Ok((last, read))
        })?;
        if read < ENTRIES as usize {
            return Ok(());
        }
        after = last;
    }
}

/// Removes the user, and with it what was stored since its rows were removed; the erasure has no rows from then on.
pub fn finish(conn: &mut PgConnection, work: &UnderWay, now: Timestamp) -> Result<(), StoreError> {
    let inner = work.inner.as_deref().unwrap_or_default();
    remove_named(conn, work)?;
    erasing(conn, |conn| {
        sql::<Integer>("SELECT user_id FROM users WHERE user_id = ANY(?) ORDER BY user_id FOR UPDATE")
            .bind::<Array<Integer>, _>(inner)
            .load::<i32>(conn)?;
        for (table, _) in LARGE {
            let rows = sql::<()>(format!("DELETE FROM {table} WHERE user_id = ANY(?)"))
                .bind::<Array<Integer>, _>(inner)
                .execute(conn)?;
            count(conn, work.id, Counted::Removed, table, rows)?;
        }
        // Rows of small tables go with it.
        let rows = sql::<()>("DELETE FROM users WHERE user_id = ANY(?)")
            .bind::<Array<Integer>, _>(inner)
            .execute(conn)?;
        count(conn, work.id, Counted::Removed, "users", rows)?;
        erased(conn, work.id, now)
    })
}

/// Removes rows under inner ids that no user has any more since an erasure that was over after `since`: an import, a training or an
/// expired trigger remembers ids for a while. How many.
pub fn remove_late(conn: &mut PgConnection, since: Timestamp) -> Result<usize, StoreError> {
    let erased = sql::<Integer>(
        "SELECT unnest(inner_ids) FROM erasures WHERE erased_at > ? AND inner_ids IS NOT NULL",
    )
    .bind::<Timestamptz, _>(to_pg(since))
    .load::<i32>(conn)?;
    if erased.is_empty() {
        return Ok(0);
    }
    erasing(conn, |conn| {
        let mut removed = 0;
        for table in LARGE {
            removed += remove_batch(conn, table, &erased)?;
        }
        for table in ["acknowledgements", "user_features"] {
            removed += sql::<()>(format!("DELETE FROM {table} WHERE user_id = ANY(?)"))
                .bind::<Array<Integer>, _>(&erased)
                .execute(conn)?;
        }
        Ok(removed)
    })
}
