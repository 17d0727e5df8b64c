//! What was decided and what was said, tables `decisions` and `notifications`, in one statement: a group with nothing else
//! in it is one round trip to PostgreSQL instead of five.

use std::borrow::Borrow;

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Float, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};

use super::decisions::DecisionRow;
use super::notifications::{self, NewNotification};
use crate::deliver::channel;
use crate::store::postgres::columns::column;
use crate::store::postgres::convert::{join_items, join_numbers, join_texts, segment_to_sql, to_pg};
use crate::store::postgres::sql::sql;
use crate::store::postgres::{Store, StoreError};

/// Stores messages and decisions, all or none, unless another server has taken the lease: then it is
/// [`StoreError::LeaseLost`] (see [`super::lease`]; no check where none was taken). A message for the socket is given to a
/// page that somebody looks at. An offset that the user's stream already has is an error. One statement; one more where a
/// message has a `collapse_key`, which withdraws the user's earlier ones with the same: then the caller's transaction has to
/// hold them together.
pub fn insert(
    conn: &mut PgConnection,
    store: &Store,
    messages: &[impl Borrow<NewNotification>],
    decisions: &[DecisionRow],
) -> Result<(), StoreError> {
    let messages: Vec<&NewNotification> = messages.iter().map(Borrow::borrow).collect();
    // The row of `server` stays as it is until the transaction ends, so that a successor waits for this one.
    let ours = sql::<Bool>(
        "WITH ours AS MATERIALIZED (SELECT 1 FROM server WHERE holder = ? OR ?::uuid IS NULL FOR SHARE), \
         messages AS (INSERT INTO notifications (notification_id, user_id, stream_offset, kind, category, trigger, model_version, \
         segment, items, frame, created_at, expires_at, collapse_key, priority, channel, given_at) \
         SELECT id, u, o, k, c, t, m, s, string_to_array(i, ',')::integer[], f, created, expires, ck, p, ch, \
         CASE WHEN ch = 0 THEN created END \
         FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         AS n (id, u, o, k, c, t, m, s, i, f, created, expires, ck, p, ch) WHERE EXISTS (SELECT FROM ours)), \
         decisions AS (INSERT INTO decisions (decision_id, decided_at, user_id, trigger, category, outcome, reasons, \
         notification_id, model_version, segment, items, propensity, until, p_click, p_purchase, p_mute, features, \
         channel, campaign, dedupe_key, policy_version, holdout, counted, alternatives, steps, slice, variant, arms, \
         variant_propensity, inputs) \
         SELECT id, at, u, t, c, o, string_to_array(r, E'\\x1f'), n, m, s, string_to_array(i, ',')::integer[], p, until, \
         pc, pp, pm, string_to_array(f, ',')::real[], ch, ca, dk, pv, h, co, string_to_array(al, E'\\x1f'), st::jsonb, \
         sl, va, ar::jsonb, vp, ins::jsonb \
         FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         AS d (id, at, u, t, c, o, r, n, m, s, i, p, until, pc, pp, pm, f, ch, ca, dk, pv, h, co, al, st, sl, va, ar, vp, ins) \
         WHERE EXISTS (SELECT FROM ours)) \
         SELECT EXISTS (SELECT FROM ours)",
    )
    .bind::<Nullable<SqlUuid>, _>(store.holder())
    .bind::<Nullable<SqlUuid>, _>(store.holder())
    .bind::<Array<SqlUuid>, _>(column(&messages, |row| row.notification_id.0))
    .bind::<Array<Integer>, _>(column(&messages, |row| row.user.to_sql()))
    .bind::<Array<BigInt>, _>(column(&messages, |row| row.offset))
    .bind::<Array<Text>, _>(column(&messages, |row| row.kind.as_str()))
    .bind::<Array<Text>, _>(column(&messages, |row| row.category.as_str()))
    .bind::<Array<Text>, _>(column(&messages, |row| row.trigger.as_str()))
    .bind::<Array<Integer>, _>(column(&messages, |row| row.model_version.0))
    .bind::<Array<Nullable<SmallInt>>, _>(column(&messages, |row| segment_to_sql(row.segment)))
    .bind::<Array<Text>, _>(column(&messages, |row| join_items(&row.items)))
    .bind::<Array<Text>, _>(column(&messages, |row| &*row.frame))
    .bind::<Array<Timestamptz>, _>(column(&messages, |row| to_pg(row.created_at)))
    .bind::<Array<Timestamptz>, _>(column(&messages, |row| to_pg(row.expires_at)))
    .bind::<Array<Nullable<Text>>, _>(column(&messages, |row| row.collapse_key.as_deref()))
    .bind::<Array<SmallInt>, _>(column(&messages, |row| row.priority.code()))
    .bind::<Array<SmallInt>, _>(column(&messages, |row| channel::code(row.channel)))
    .bind::<Array<SqlUuid>, _>(column(decisions, |row| row.decision_id))
    .bind::<Array<Timestamptz>, _>(column(decisions, |row| to_pg(row.decided_at)))
    .bind::<Array<Integer>, _>(column(decisions, |row| row.user.to_sql()))
    .bind::<Array<Text>, _>(column(decisions, |row| row.trigger.as_str()))
    .bind::<Array<Text>, _>(column(decisions, |row| row.category.as_str()))
    .bind::<Array<Text>, _>(column(decisions, |row| row.outcome.as_str()))
    .bind::<Array<Text>, _>(column(decisions, |row| join_texts(&row.reasons)))
    .bind::<Array<Nullable<SqlUuid>>, _>(column(decisions, |row| row.notification_id.map(|id| id.0)))
    .bind::<Array<Integer>, _>(column(decisions, |row| row.model_version.0))
    .bind::<Array<Nullable<SmallInt>>, _>(column(decisions, |row| segment_to_sql(row.segment)))
    .bind::<Array<Text>, _>(column(decisions, |row| join_items(&row.items)))
    .bind::<Array<Float>, _>(column(decisions, |row| row.propensity))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(decisions, |row| row.until.map(to_pg)))
    .bind::<Array<Nullable<Float>>, _>(column(decisions, |row| row.expected.map(|expected| expected.click)))
    .bind::<Array<Nullable<Float>>, _>(column(decisions, |row| row.expected.map(|expected| expected.purchase)))
    .bind::<Array<Nullable<Float>>, _>(column(decisions, |row| row.expected.map(|expected| expected.mute)))
    .bind::<Array<Nullable<Text>>, _>(column(decisions, |row| join_numbers(&row.features)))
    .bind::<Array<Text>, _>(column(decisions, |row| row.trace.channel.as_str()))
    .bind::<Array<Text>, _>(column(decisions, |row| row.trace.campaign.as_str()))
    .bind::<Array<Nullable<BigInt>>, _>(column(decisions, |row| row.trace.dedupe_key))
    .bind::<Array<Integer>, _>(column(decisions, |row| row.trace.policy_version))
    .bind::<Array<Bool>, _>(column(decisions, |row| row.trace.holdout))
    .bind::<Array<Bool>, _>(column(decisions, |row| row.trace.counted))
    .bind::<Array<Text>, _>(column(decisions, |row| join_texts(&row.trace.alternatives)))
    .bind::<Array<Text>, _>(column(decisions, |row| json(&row.trace.steps)))
    .bind::<Array<Text>, _>(column(decisions, |row| row.trace.slice.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(decisions, |row| row.trace.variant.as_deref()))
    .bind::<Array<Text>, _>(column(decisions, |row| json(&row.trace.arms)))
    .bind::<Array<Nullable<Float>>, _>(column(decisions, |row| row.trace.variant_propensity))
    .bind::<Array<Text>, _>(column(decisions, |row| json(&row.trace.inputs)))
    .get_result::<bool>(conn)?;
    if !ours {
        return Err(StoreError::LeaseLost);
    }
    notifications::supersede(conn, &messages)
}

/// As JSON text; these types hold no map with other keys than strings and no number that JSON lacks.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
