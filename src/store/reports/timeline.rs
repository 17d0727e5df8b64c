//! Timeline of one user: decisions, messages, answers and events of the shop's own kinds, by time.

use std::collections::BTreeSet;

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{
    BigInt, Bool, Double, Float, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::conversions;
use crate::encryption::{Fields, owner, unavailable_message};
use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use crate::postgres::sql::sql;
use tidings_core::base::{ItemId, Millis, Timestamp, UserId};
use tidings_core::catalogue::Money;
use tidings_decision::feedback::FeedbackOutcome;
use tidings_decision::feedback::attribution::Credit;
use tidings_decision::privacy::encryption::Field;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Moment of the entry.
    pub at: Timestamp,
    /// Content of the entry.
    pub what: What,
}

/// Content of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The policy decided.
    Decision {
        /// UUIDv7.
        decision_id: Uuid,
        /// Name of the trigger.
        trigger: String,
        /// Category of the candidate.
        category: String,
        /// send, defer, digest, inbox_only or drop.
        outcome: String,
        /// Array of {step, verdict, reason, text}.
        steps: Value,
        /// In (0, 1].
        propensity: f32,
        /// ordinary, holdout or random.
        slice: String,
        /// Of the template.
        variant: Option<String>,
        /// Put off until when.
        until: Option<Timestamp>,
        /// The message, when sent.
        notification_id: Option<Uuid>,
    },
    /// A message entered the stream.
    Message {
        /// UUIDv7.
        notification_id: Uuid,
        /// recommendation, announcement, …
        kind: String,
        /// Category, by which caps and mutes go.
        category: String,
        /// As sent.
        title: Option<String>,
        /// 0 socket, 1 push, 2 inbox.
        channel: i16,
        /// Confirmed by a client.
        delivered: bool,
        /// Opened in the inbox.
        read: bool,
        /// Reason for the withdrawal.
        withdrawn: Option<String>,
    },
    /// The user answered.
    Feedback {
        /// Id of the message.
        notification_id: Uuid,
        /// Outcome of the message.
        outcome: FeedbackOutcome,
        /// The item clicked or bought.
        item: Option<ItemId>,
        /// Converted: money for what was not returned.
        value: Option<f64>,
    },
    /// The user did something that the shop has a kind of its own for.
    Event {
        /// Name of the kind.
        kind: String,
        /// About what.
        item: Option<ItemId>,
        /// As sent.
        value: Option<f64>,
    },
}

/// Entries before `before`, newest first: `limit` of them, and whatever else happened in the last one's instant, so
/// that no page cuts through it. Purchases are credited to messages up to `window` before them.
pub fn of(
    conn: &mut PgConnection,
    fields: &Fields,
    user: UserId,
    before: Timestamp,
    limit: usize,
    window: Millis,
    money: &Money,
) -> Result<Vec<Moment>, StoreError> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut moments = decisions(conn, user, before, most)?;
    moments.extend(messages(conn, fields, user, before, most)?);
    let credits = conversions::credits(conn, Some(user), Timestamp(0), window, money)?;
    let credited: BTreeSet<Uuid> = credits.iter().map(|credit| credit.message.0).collect();
    let mut reported = feedback(conn, user, before, most)?;
    // Purchases on record say more than a client's own word.
    reported.retain(|moment| !moment.what.is_conversion_of(&credited));
    moments.extend(reported);
    moments.extend(purchases(&credits, before, limit));
    moments.extend(own_events(conn, user, before, most)?);
    // Of one instant: the answer above the message, the message above the decision.
    moments.sort_by_key(|moment| (std::cmp::Reverse(moment.at), moment.what.rank()));
    let last = limit.checked_sub(1).and_then(|last| moments.get(last)).map(|moment| moment.at);
    moments.retain(|moment| last.is_none_or(|last| moment.at >= last));
    Ok(moments)
}

impl What {
    fn is_conversion_of(&self, messages: &BTreeSet<Uuid>) -> bool {
        matches!(self, Self::Feedback { notification_id, outcome: FeedbackOutcome::Converted, .. }
            if messages.contains(notification_id))
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Feedback { .. } => 0,
            Self::Message { .. } => 1,
            Self::Decision { .. } => 2,
            Self::Event { .. } => 3,
        }
    }
}

type DecisionColumns = (
    PgTimestamp,
    Uuid,
    String,
    String,
    String,
    Value,
    f32,
    String,
    Option<String>,
    Option<PgTimestamp>,
    Option<Uuid>,
);

fn decisions(
    conn: &mut PgConnection,
    user: UserId,
    before: Timestamp,
    most: i64,
) -> Result<Vec<Moment>, StoreError> {
    let rows = sql::<(
        Timestamptz,
        SqlUuid,
        Text,
        Text,
        Text,
        Jsonb,
        Float,
        Text,
        Nullable<Text>,
        Nullable<Timestamptz>,
        Nullable<SqlUuid>,
    )>(
        "SELECT decided_at, decision_id, trigger, category, outcome, steps, propensity, slice, \
         coalesce(variant, alternatives[1]), until, notification_id FROM decisions \
         WHERE user_id = ? AND decided_at < ? ORDER BY decided_at DESC FETCH FIRST (?) ROWS WITH TIES",
    )
    .bind::<Integer, _>(user.to_sql())
    .bind::<Timestamptz, _>(to_pg(before))
    .bind::<BigInt, _>(most)
    .load::<DecisionColumns>(conn)?;
    let moment = |row: DecisionColumns| {
        let (at, decision_id, trigger, category, outcome, steps, propensity, slice, variant, until, message) =
            row;
        let until = until.map(from_pg);
        let notification_id = message;
        Moment {
            at: from_pg(at),
            what: What::Decision {
                decision_id,
                trigger,
                category,
                outcome,
                steps,
                propensity,
                slice,
                variant,
                until,
                notification_id,
            },
        }
    };
    Ok(rows.into_iter().map(moment).collect())
}

type MessageColumns = (PgTimestamp, Uuid, String, String, String, i16, bool, bool, Option<String>);

/// The part of a frame that is shown.
#[derive(Deserialize)]
struct Titled {
    title: Option<String>,
}

fn messages(
    conn: &mut PgConnection,
    fields: &Fields,
    user: UserId,
    before: Timestamp,
    most: i64,
) -> Result<Vec<Moment>, StoreError> {
    let rows =
        sql::<(Timestamptz, SqlUuid, Text, Text, Text, SmallInt, Bool, Bool, Nullable<Text>)>(
            "SELECT created_at, notification_id, kind, category, frame, channel, \
         stream_offset <= coalesce(up_to, 0), read_at IS NOT NULL, withdrawn_reason \
         FROM notifications LEFT JOIN acknowledgements USING (user_id) WHERE user_id = ? AND created_at < ? ORDER BY created_at DESC FETCH FIRST (?) ROWS WITH TIES",
        )
        .bind::<Integer, _>(user.to_sql())
        .bind::<Timestamptz, _>(to_pg(before))
        .bind::<BigInt, _>(most)
        .load::<MessageColumns>(conn)?;
    let own = owner(Some(user));
    let opener = fields.opener(conn, rows.iter().map(|(_, _, _, _, frame, ..)| (own, frame.as_str())))?;
    let moment =
        |(at, notification_id, kind, category, frame, channel, delivered, read, withdrawn): MessageColumns| {
            let frame = opener.open(own, Field::Frame, frame).unwrap_or_else(unavailable_message);
            let title = serde_json::from_str::<Titled>(&frame).ok().and_then(|frame| frame.title);
            Moment {
                at: from_pg(at),
                what: What::Message { notification_id, kind, category, title, channel, delivered, read, withdrawn },
            }
        };
    Ok(rows.into_iter().map(moment).collect())
}

fn feedback(
    conn: &mut PgConnection,
    user: UserId,
    before: Timestamp,
    most: i64,
) -> Result<Vec<Moment>, StoreError> {
    let rows = sql::<(Timestamptz, SqlUuid, SmallInt, Nullable<Integer>, Nullable<Double>)>(
        "SELECT occurred_at, notification_id, outcome, item_id, value FROM feedback \
         WHERE user_id = ? AND occurred_at < ? AND (outcome <> 4 OR EXISTS (SELECT FROM notifications n \
         WHERE n.notification_id = feedback.notification_id AND n.created_at <= feedback.occurred_at)) \
         ORDER BY occurred_at DESC FETCH FIRST (?) ROWS WITH TIES",
    )
    .bind::<Integer, _>(user.to_sql())
    .bind::<Timestamptz, _>(to_pg(before))
    .bind::<BigInt, _>(most)
    .load::<(PgTimestamp, Uuid, i16, Option<i32>, Option<f64>)>(conn)?;
    let moment =
        |(at, notification_id, code, item, value): (PgTimestamp, Uuid, i16, Option<i32>, Option<f64>)| {
            let outcome = FeedbackOutcome::from_code(code)?;
            let item = item.map(ItemId::from_sql);
            Some(Moment { at: from_pg(at), what: What::Feedback { notification_id, outcome, item, value } })
        };
    Ok(rows.into_iter().filter_map(moment).collect())
}

/// Events of the shop's own kinds.
fn own_events(
    conn: &mut PgConnection,
    user: UserId,
    before: Timestamp,
    most: i64,
) -> Result<Vec<Moment>, StoreError> {
    let rows = sql::<(Timestamptz, Text, Nullable<Integer>, Nullable<Double>)>(
        "SELECT occurred_at, name, item_id, value FROM events JOIN event_kinds ON code = kind \
         WHERE user_id = ? AND occurred_at < ? ORDER BY occurred_at DESC FETCH FIRST (?) ROWS WITH TIES",
    )
    .bind::<Integer, _>(user.to_sql())
    .bind::<Timestamptz, _>(to_pg(before))
    .bind::<BigInt, _>(most)
    .load::<(PgTimestamp, String, Option<i32>, Option<f64>)>(conn)?;
    let moment = |(at, kind, item, value): (PgTimestamp, String, Option<i32>, Option<f64>)| Moment {
        at: from_pg(at),
        what: What::Event { kind, item: item.map(ItemId::from_sql), value },
    };
    Ok(rows.into_iter().map(moment).collect())
}

/// Purchases credited to messages, but for what was returned: the latest `limit`, and what else happened in the last one's
/// instant.
fn purchases(credits: &[Credit], before: Timestamp, limit: usize) -> Vec<Moment> {
    let mut moments: Vec<Moment> = credits
        .iter()
        .filter(|credit| credit.purchase.is_kept() && credit.purchase.trade.at < before)
        .map(|credit| Moment {
            at: credit.purchase.trade.at,
            what: What::Feedback {
                notification_id: credit.message.0,
                outcome: FeedbackOutcome::Converted,
                item: Some(credit.purchase.trade.item),
                value: credit.purchase.trade.value.map(|_| credit.purchase.value()),
            },
        })
        .collect();
    moments.sort_by_key(|moment| std::cmp::Reverse(moment.at));
    let last = limit.checked_sub(1).and_then(|last| moments.get(last)).map(|moment| moment.at);
    moments.retain(|moment| last.is_none_or(|last| moment.at >= last));
    moments
}
