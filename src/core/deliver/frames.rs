//! Frames from the server: JSON text frames, encoded once and shared by every connection of the user.

use std::sync::Arc;

use serde::Serialize;

use super::inbound::InboundError;
use super::withdrawal::{News, Restoration, Withdrawal};
use crate::base::{ExternalId, NotificationId, Score, Timestamp};
use crate::catalogue::Catalogue;
use crate::notify::Content;
use crate::notify::content::ItemLanguage;
use crate::notify::message::Message;
use crate::recommend::Recommendation as Recommended;

/// An encoded frame.
pub type Frame = Arc<str>;

/// Head of a recommendation; the fields of the minimal exchange come first.
#[derive(Clone, Debug, Serialize)]
pub struct Recommendation<'a> {
    /// `recommendation`, or `notification` for a message about one item.
    #[serde(rename = "type")]
    pub frame_type: &'static str,
    /// Kind of a `notification`: `price_drop`, `cart_reminder`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'a str>,
    /// Recipient, by the shop's id.
    pub user_id: &'a ExternalId,
    /// Best first.
    pub recommendations: Vec<&'a ExternalId>,
    /// Key for showing it once.
    pub notification_id: NotificationId,
    /// Incarnation of the stream.
    pub epoch: &'a str,
    /// Place in the stream, from 1.
    pub offset: i64,
    /// The items in full, same order.
    pub items: Vec<RecommendedItem<'a>>,
    /// One line.
    pub title: &'a str,
    /// One sentence.
    pub body: &'a str,
    /// Category, by which caps and mutes go.
    pub category: &'a str,
    /// Name of the trigger.
    pub trigger: &'a str,
    /// Moment of the decision.
    pub sent_at: Timestamp,
    /// Not worth showing after this.
    pub expires_at: Timestamp,
    /// Model version; 0 = none yet.
    pub model: i32,
    /// `inbox`: keep it where it can be looked for, disturb nobody. Absent = show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'static str>,
    /// A later message with the same key takes the place of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<&'a str>,
}

/// One recommended item, with what a client needs to show it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RecommendedItem<'a> {
    /// The shop's id.
    pub item_id: &'a ExternalId,
    /// 0…1, best 1.
    pub score: Score,
    /// Human title, or the id.
    pub title: String,
    /// Product page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<&'a str>,
    /// Picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<&'a str>,
    /// Major units of `currency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'a str>,
    /// Reason for the recommendation: "because you viewed …".
    pub reason: String,
}

/// Fields that every message of the stream carries.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Key for showing it once.
    pub notification_id: NotificationId,
    /// Recipient, by the shop's id.
    pub user_id: &'a ExternalId,
    /// Incarnation of the stream.
    pub epoch: &'a str,
    /// Place in the stream.
    pub offset: i64,
    /// Category, by which caps and mutes go.
    pub category: &'a str,
    /// Name of the trigger.
    pub trigger: &'a str,
    /// Moment of the decision.
    pub sent_at: Timestamp,
    /// Not worth showing after this.
    pub expires_at: Timestamp,
    /// Model version; 0 = none yet.
    pub model: i32,
    /// `inbox` when nobody is to be disturbed.
    pub channel: Option<&'static str>,
    /// A later message with the same key takes its place.
    pub collapse_key: Option<&'a str>,
    /// Of a message about one item; `None` = a recommendation.
    pub kind: Option<&'a str>,
}

/// Encodes a recommendation.
pub fn recommendation(envelope: &Envelope<'_>, content: &Content, items: Vec<RecommendedItem<'_>>) -> Frame {
    encode(&Recommendation {
        frame_type: if envelope.kind.is_some() { "notification" } else { "recommendation" },
        kind: envelope.kind,
        user_id: envelope.user_id,
        recommendations: items.iter().map(|item| item.item_id).collect(),
        notification_id: envelope.notification_id,
        epoch: envelope.epoch,
        offset: envelope.offset,
        items,
        title: &content.title,
        body: &content.body,
        category: envelope.category,
        trigger: envelope.trigger,
        sent_at: envelope.sent_at,
        expires_at: envelope.expires_at,
        model: envelope.model,
        channel: envelope.channel,
        collapse_key: envelope.collapse_key,
    })
}

/// The fields of a notification that differ from user to user.
#[derive(Serialize)]
struct NotificationHead<'a> {
    r#type: &'static str,
    user_id: &'a ExternalId,
    notification_id: NotificationId,
    epoch: &'a str,
    offset: i64,
    trigger: &'a str,
    sent_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'static str>,
}

/// Encodes a notification: the head is this user's, `message` is the JSON object of [`crate::notify::Message`] as it is
/// stored, the same bytes for everyone who gets it. O(length).
pub fn notification(envelope: &Envelope<'_>, message: &str) -> Frame {
    let head = NotificationHead {
        r#type: "notification",
        user_id: envelope.user_id,
        notification_id: envelope.notification_id,
        epoch: envelope.epoch,
        offset: envelope.offset,
        trigger: envelope.trigger,
        sent_at: envelope.sent_at,
        channel: envelope.channel,
    };
    let mut frame = serde_json::to_string(&head).unwrap_or_default();
    frame.pop();
    frame.reserve_exact(message.len());
    frame.push(',');
    frame.push_str(message.strip_prefix('{').unwrap_or(message));
    frame.into()
}

/// The fields of an ephemeral notification before the message's own.
#[derive(Serialize)]
struct EphemeralHead<'a> {
    r#type: &'static str,
    notification_id: NotificationId,
    ephemeral: bool,
    trigger: &'static str,
    sent_at: Timestamp,
    #[serde(flatten)]
    message: &'a Message,
}

/// Encodes a notification that is the same for everyone and has no place in a stream. O(length).
pub fn ephemeral(notification_id: NotificationId, message: &Message, sent_at: Timestamp) -> Frame {
    let (r#type, trigger) = ("notification", "api");
    encode(&EphemeralHead { r#type, notification_id, ephemeral: true, trigger, sent_at, message })
}

/// Recommendations with what a client needs to show them, in the reader's language and, where items have a price in it, a currency;
/// items that have left the catalogue are left out.
pub fn recommended_items<'a>(
    list: &[Recommended],
    catalogue: &'a Catalogue,
    language: &ItemLanguage,
    currency: Option<&'a str>,
) -> Vec<RecommendedItem<'a>> {
    list.iter()
        .filter_map(|recommended| {
            let item = catalogue.get(recommended.item)?;
            let shown = item.shown(language.choose(item), currency);
            Some(RecommendedItem {
                item_id: &item.external_id,
                score: recommended.score,
                title: shown.title.map_or_else(|| item.external_id.to_string(), str::to_owned),
                url: shown.url,
                image_url: shown.image_url,
                price: shown.price,
                currency: shown.currency,
                reason: recommended.reason.text(catalogue),
            })
        })
        .collect()
}

/// The answer to a login.
#[derive(Clone, Debug, Serialize)]
pub struct Welcome<'a> {
    /// Always `welcome`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// This connection.
    pub session_id: String,
    /// Id of the user.
    pub user_id: &'a ExternalId,
    /// Incarnation of the stream.
    pub epoch: &'a str,
    /// Last offset of the stream so far; 0 = empty.
    pub offset: i64,
    /// True if everything since `resume` was sent. False = reload the inbox. True when nothing was to be resumed.
    pub recovered: bool,
    /// The user's segment, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Between two pings.
    pub ping_ms: u64,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// Encodes a welcome.
pub fn welcome(welcome: &Welcome<'_>) -> Frame {
    encode(welcome)
}

/// Adds the name by which frames for the connection are posted to an encoded welcome; `id` needs no escaping in JSON. O(length).
pub fn with_connection_id(welcome: &str, id: &str) -> String {
    match welcome.strip_suffix('}') {
        Some(fields) => format!("{fields},\"connection_id\":\"{id}\"}}"),
        None => welcome.to_owned(),
    }
}

/// An event was committed; `event_id` echoes the client's.
pub fn accepted(event_id: Option<&serde_json::Value>, duplicate: bool) -> Frame {
    #[derive(Serialize)]
    struct Accepted<'a> {
        r#type: &'static str,
        event_id: Option<&'a serde_json::Value>,
        duplicate: bool,
    }
    encode(&Accepted { r#type: "accepted", event_id, duplicate })
}

/// Several events were committed.
pub fn accepted_many(accepted: usize, duplicates: usize) -> Frame {
    #[derive(Serialize)]
    struct Accepted {
        r#type: &'static str,
        accepted: usize,
        duplicates: usize,
    }
    encode(&Accepted { r#type: "accepted", accepted, duplicates })
}

/// Something was refused. `temporary`: the same frame may be taken later.
pub fn error(code: &str, message: &str, temporary: bool, reply_to: Option<&serde_json::Value>) -> Frame {
    #[derive(Serialize)]
    struct Refused<'a> {
        r#type: &'static str,
        code: &'a str,
        message: &'a str,
        temporary: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        reply_to: Option<&'a serde_json::Value>,
    }
    encode(&Refused { r#type: "error", code, message, temporary, reply_to })
}

impl InboundError {
    /// As a frame.
    pub fn frame(&self) -> Frame {
        error(self.code, &self.message, false, None)
    }
}

/// Something was muted.
pub fn muted(of: &str, name: &str) -> Frame {
    #[derive(Serialize)]
    struct Muted<'a> {
        r#type: &'static str,
        of: &'a str,
        name: &'a str,
    }
    encode(&Muted { r#type: "muted", of, name })
}

/// A topic is followed, or no longer.
pub fn follows(topic: &str, follows: bool) -> Frame {
    #[derive(Serialize)]
    struct Follows<'a> {
        r#type: &'static str,
        topic: &'a str,
    }
    encode(&Follows { r#type: if follows { "subscribed" } else { "unsubscribed" }, topic })
}

/// Number of messages that wait; sent whenever it changes, on any device.
pub fn inbox(unread: usize, unseen: usize) -> Frame {
    #[derive(Serialize)]
    struct Inbox {
        r#type: &'static str,
        unread: usize,
        unseen: usize,
    }
    encode(&Inbox { r#type: "inbox", unread, unseen })
}

/// A message has another standing.
pub fn news(id: NotificationId, news: News) -> Frame {
    match news {
        News::Gone(reason) => withdraw(id, reason),
        News::Back(reason) => restore(id, reason),
    }
}

/// A message is no longer to be shown.
pub fn withdraw(id: NotificationId, reason: Withdrawal) -> Frame {
    #[derive(Serialize)]
    struct Withdraw {
        r#type: &'static str,
        notification_id: NotificationId,
        reason: &'static str,
    }
    encode(&Withdraw { r#type: "withdraw", notification_id: id, reason: reason.name() })
}

/// A message is to be listed again.
pub fn restore(id: NotificationId, reason: Restoration) -> Frame {
    #[derive(Serialize)]
    struct Restore {
        r#type: &'static str,
        notification_id: NotificationId,
        reason: &'static str,
    }
    encode(&Restore { r#type: "restore", notification_id: id, reason: reason.name() })
}

/// The answer to a `ping`.
pub fn pong(now: Timestamp) -> Frame {
    #[derive(Serialize)]
    struct Pong {
        r#type: &'static str,
        server_time: Timestamp,
    }
    encode(&Pong { r#type: "pong", server_time: now })
}

fn encode<T: Serialize>(value: &T) -> Frame {
    // These types hold no map with non-string keys and no failing Serialize, the two ways this can fail.
    serde_json::to_string(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_frame_begins_with_its_type() {
        let id = serde_json::json!("e1");
        for (frame, kind) in [
            (accepted(Some(&id), false), "accepted"),
            (accepted_many(1, 0), "accepted"),
            (error("code", "message", true, Some(&id)), "error"),
            (pong(Timestamp(0)), "pong"),
        ] {
            assert!(frame.starts_with(&format!("{{\"type\":\"{kind}\",")), "{frame}");
        }
    }

    #[test]
    fn a_recommendation_begins_like_the_minimal_exchange() {
        let user = ExternalId::Integer(1);
        let items: Vec<ExternalId> = (101..=105).map(ExternalId::Integer).collect();
        let envelope = Envelope {
            notification_id: NotificationId(Uuid::nil()),
            user_id: &user,
            epoch: "e",
            offset: 1,
            category: "for_you",
            trigger: "login",
            sent_at: Timestamp(0),
            expires_at: Timestamp(0),
            model: 0,
            channel: None,
            collapse_key: None,
            kind: None,
        };
        let items = items
            .iter()
            .map(|id| RecommendedItem {
                item_id: id,
                score: Score::new(0.5),
                title: "t".into(),
                url: None,
                image_url: None,
                price: None,
                currency: None,
                reason: "popular".into(),
            })
            .collect();
        let content = Content { title: "T".into(), body: "B".into() };
        let frame = recommendation(&envelope, &content, items);
        assert!(
            frame.starts_with(
                r#"{"type":"recommendation","user_id":1,"recommendations":[101,102,103,104,105],"#
            ),
            "{frame}"
        );
    }
}
