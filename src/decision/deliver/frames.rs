//! Frames from the server: JSON text frames, encoded once and shared by every connection of the user.

use std::sync::Arc;

use serde::Serialize;

use super::inbound::InboundError;
use super::shapes::{
    Accepted, AcceptedMany, Ephemeral, Follows, InboxCounts, MutedOf, NotificationHead, Pong, Refused,
    Restore, Withdraw,
};
pub use super::shapes::{Recommendation, RecommendedItem, Welcome};
use super::withdrawal::{News, Restoration, Withdrawal};
use crate::notify::Content;
use crate::notify::content::ItemLanguage;
use crate::notify::message::Message;
use tidings_core::base::{ExternalId, NotificationId, Timestamp};
use tidings_core::catalogue::Catalogue;
use tidings_core::recommend::Recommendation as Recommended;

/// An encoded frame.
pub type Frame = Arc<str>;

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

/// Encodes a notification that is the same for everyone and has no place in a stream. O(length).
pub fn ephemeral(notification_id: NotificationId, message: &Message, sent_at: Timestamp) -> Frame {
    let (r#type, trigger) = ("notification", "api");
    encode(&Ephemeral { r#type, notification_id, ephemeral: true, trigger, sent_at, message })
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
    encode(&Accepted { r#type: "accepted", event_id, duplicate })
}

/// Several events were committed.
pub fn accepted_many(accepted: usize, duplicates: usize) -> Frame {
    encode(&AcceptedMany { r#type: "accepted", accepted, duplicates })
}

/// Something was refused. `temporary`: the same frame may be taken later.
pub fn error(code: &str, message: &str, temporary: bool, reply_to: Option<&serde_json::Value>) -> Frame {
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
    encode(&MutedOf { r#type: "muted", of, name })
}

/// A topic is followed, or no longer.
pub fn follows(topic: &str, follows: bool) -> Frame {
    encode(&Follows { r#type: if follows { "subscribed" } else { "unsubscribed" }, topic })
}

/// Number of messages that wait; sent whenever it changes, on any device.
pub fn inbox(unread: usize, unseen: usize) -> Frame {
    encode(&InboxCounts { r#type: "inbox", unread, unseen })
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
    encode(&Withdraw { r#type: "withdraw", notification_id: id, reason: reason.name() })
}

/// A message is to be listed again.
pub fn restore(id: NotificationId, reason: Restoration) -> Frame {
    encode(&Restore { r#type: "restore", notification_id: id, reason: reason.name() })
}

/// The answer to a `ping`.
pub fn pong(now: Timestamp) -> Frame {
    encode(&Pong { r#type: "pong", server_time: now })
}

fn encode<T: Serialize>(value: &T) -> Frame {
    // These types hold no map with non-string keys and no failing Serialize, the two ways this can fail.
    serde_json::to_string(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::Score;
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
