//! The log of decisions: tables `decisions` and `notifications`, written in one statement. A group with nothing else in it is
//! one round trip to PostgreSQL instead of five.

use std::borrow::{Borrow, Cow};

use diesel::prelude::*;
use diesel::sql_types::{
    BigInt, Bool, Float, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};

use super::decisions::DecisionRow;
use super::notifications::{self, NewNotification};
use crate::encryption::owner;
use crate::postgres::columns::Batch;
use crate::postgres::convert::{join_items, join_numbers, join_texts, segment_to_sql, to_pg};
use crate::postgres::sql::{Binds, sql};
use crate::postgres::{Store, StoreError};
use tidings_decision::deliver::channel;
use tidings_decision::privacy::encryption::Field;

/// Stores messages and decisions, all or none, unless another server has taken the lease: then it is
/// [`StoreError::LeaseLost`] (see [`super::lease`]; no check where none was taken). A message for the socket is given to a
/// page that somebody looks at. An offset that the user's stream already has is an error; a decision that is stored already
/// stays as it is, since one that nobody waits for is said again after a commit without an answer. One statement; one more
/// where a message has a `collapse_key`, which withdraws the user's earlier ones with the same: then the caller's transaction
/// has to hold them together. Frames are encrypted, if that is on.
pub fn insert(
    conn: &mut PgConnection,
    store: &Store,
    messages: &[impl Borrow<NewNotification>],
    decisions: &[DecisionRow],
) -> Result<(), StoreError> {
    let messages: Vec<&NewNotification> = messages.iter().map(Borrow::borrow).collect();
    let sealer = store.fields().sealer(conn, messages.iter().map(|row| owner(Some(row.user))))?;
    let frames = messages
        .iter()
        .map(|row| sealer.seal(owner(Some(row.user)), Field::Frame, &row.frame))
        .collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<Stored<'_>> = messages.iter().copied().zip(frames).collect();
    let (notified, decided) = (notification_columns(&rows), decision_columns(decisions));
    // The row of `server` stays as it is until the transaction ends, so that a successor waits for this one.
    let text = format!(
        "WITH ours AS MATERIALIZED (SELECT 1 FROM server WHERE holder = ? OR ?::uuid IS NULL FOR SHARE), \
         messages AS ({} WHERE EXISTS (SELECT FROM ours)), \
         decisions AS ({} WHERE EXISTS (SELECT FROM ours) ON CONFLICT DO NOTHING) \
         SELECT EXISTS (SELECT FROM ours)",
        notified.insert_into("notifications"),
        decided.insert_into("decisions"),
    );
    let ours = sql::<Bool>(text)
        .bind::<Nullable<SqlUuid>, _>(store.holder())
        .bind::<Nullable<SqlUuid>, _>(store.holder())
        .binds(notified.into_binds())
        .binds(decided.into_binds())
        .get_result::<bool>(conn)?;
    if !ours {
        return Err(StoreError::LeaseLost);
    }
    notifications::supersede(conn, &messages)
}

/// A message and its frame as it is stored.
type Stored<'r> = (&'r NewNotification, Cow<'r, str>);

/// Table `notifications`. A message for the socket is given to a page that somebody looks at.
fn notification_columns<'r>(rows: &'r [Stored<'r>]) -> Batch<'r, Stored<'r>, impl Binds> {
    Batch::of(rows)
        .column::<SqlUuid, _>("notification_id", |(row, _)| row.notification_id.0)
        .column::<Integer, _>("user_id", |(row, _)| row.user.to_sql())
        .column::<BigInt, _>("stream_offset", |(row, _)| row.offset)
        .column::<Text, _>("kind", |(row, _)| row.kind.as_str())
        .column::<Text, _>("category", |(row, _)| row.category.as_str())
        .column::<Text, _>("trigger", |(row, _)| row.trigger.as_str())
        .column::<Integer, _>("model_version", |(row, _)| row.model_version.0)
        .column::<Nullable<SmallInt>, _>("segment", |(row, _)| segment_to_sql(row.segment))
        .column_as::<Text, _>("items", "string_to_array(items, ',')::integer[]", |(row, _)| {
            join_items(&row.items)
        })
        .column::<Text, _>("frame", |(_, frame)| &**frame)
        .column::<Timestamptz, _>("created_at", |(row, _)| to_pg(row.created_at))
        .column::<Timestamptz, _>("expires_at", |(row, _)| to_pg(row.expires_at))
        .column::<Nullable<Text>, _>("collapse_key", |(row, _)| row.collapse_key.as_deref())
        .column::<SmallInt, _>("priority", |(row, _)| row.priority.code())
        .column::<SmallInt, _>("channel", |(row, _)| channel::code(row.channel))
        .column::<Nullable<SqlUuid>, _>("call_id", |(row, _)| row.call)
        .computed("given_at", "CASE WHEN channel = 0 THEN created_at END")
}

/// Table `decisions`.
fn decision_columns(rows: &[DecisionRow]) -> Batch<'_, DecisionRow, impl Binds> {
    Batch::of(rows)
        .column::<SqlUuid, _>("decision_id", |row| row.decision_id)
        .column::<Timestamptz, _>("decided_at", |row| to_pg(row.decided_at))
        .column::<Integer, _>("user_id", |row| row.user.to_sql())
        .column::<Text, _>("trigger", |row| row.trigger.as_str())
        .column::<Text, _>("category", |row| row.category.as_str())
        .column::<Text, _>("outcome", |row| row.outcome.as_str())
        .column_as::<Text, _>("reasons", r"string_to_array(reasons, E'\x1f')", |row| join_texts(&row.reasons))
        .column::<Nullable<SqlUuid>, _>("notification_id", |row| row.notification_id.map(|id| id.0))
        .column::<Integer, _>("model_version", |row| row.model_version.0)
        .column::<Nullable<SmallInt>, _>("segment", |row| segment_to_sql(row.segment))
        .column_as::<Text, _>("items", "string_to_array(items, ',')::integer[]", |row| join_items(&row.items))
        .column::<Float, _>("propensity", |row| row.propensity)
        .column::<Nullable<Timestamptz>, _>("until", |row| row.until.map(to_pg))
        .column::<Nullable<Float>, _>("p_click", |row| row.expected.map(|expected| expected.click))
        .column::<Nullable<Float>, _>("p_purchase", |row| row.expected.map(|expected| expected.purchase))
        .column::<Nullable<Float>, _>("p_mute", |row| row.expected.map(|expected| expected.mute))
        .column_as::<Nullable<Text>, _>("features", "string_to_array(features, ',')::real[]", |row| {
            join_numbers(&row.features)
        })
        .column::<Text, _>("channel", |row| row.trace.channel.as_str())
        .column::<Text, _>("campaign", |row| row.trace.campaign.as_str())
        .column::<Nullable<BigInt>, _>("dedupe_key", |row| row.trace.dedupe_key)
        .column::<Integer, _>("policy_version", |row| row.trace.policy_version)
        .column::<Bool, _>("holdout", |row| row.trace.holdout)
        .column::<Bool, _>("counted", |row| row.trace.counted)
        .column_as::<Text, _>("alternatives", r"string_to_array(alternatives, E'\x1f')", |row| {
            join_texts(&row.trace.alternatives)
        })
        .column_as::<Text, _>("steps", "steps::jsonb", |row| json(&row.trace.steps))
        .column::<Text, _>("slice", |row| row.trace.slice.as_str())
        .column::<Nullable<Text>, _>("variant", |row| row.trace.variant.as_deref())
        .column_as::<Text, _>("arms", "arms::jsonb", |row| json(&row.trace.arms))
        .column::<Nullable<Float>, _>("variant_propensity", |row| row.trace.variant_propensity)
        .column_as::<Text, _>("inputs", "inputs::jsonb", |row| json(&row.trace.inputs))
        .column::<Nullable<SqlUuid>, _>("call_id", |row| row.call)
}

/// As JSON text; these types hold no map with other keys than strings and no number that JSON lacks.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
