//! Shapes of the frames from the server, as they are encoded and as they are described.

use serde::Serialize;
use serde_json::Value;

use crate::notify::message::Message;
use tidings_core::base::{ExternalId, NotificationId, Score, Timestamp};

/// Head of a recommendation; the fields of the minimal exchange come first.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = RecommendationFrame))]
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

/// The fields of a notification of the shop that differ from user to user.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotificationHead<'a> {
    /// Always `notification`.
    pub r#type: &'static str,
    /// Recipient, by the shop's id.
    pub user_id: &'a ExternalId,
    /// Key for showing it once.
    pub notification_id: NotificationId,
    /// Incarnation of the stream.
    pub epoch: &'a str,
    /// Place in the stream, from 1.
    pub offset: i64,
    /// Name of the trigger; `api` for a message of the shop.
    pub trigger: &'a str,
    /// Moment of the decision.
    pub sent_at: Timestamp,
    /// `inbox`: keep it where it can be looked for, disturb nobody. Absent = show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'static str>,
}

#[cfg(feature = "schema")]
/// A notification of the shop: the fields of this user, then those that are the same for everybody, which are stored encoded.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = NotificationFrame))]
pub struct Notification<'a> {
    /// Fields of this user.
    #[serde(flatten)]
    pub head: NotificationHead<'a>,
    /// Content and properties.
    #[serde(flatten)]
    pub message: &'a Message,
}

/// The answer to a login.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = WelcomeFrame))]
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
    /// True if everything since `resume` was sent, or nothing was to be resumed; false = reload the inbox.
    pub recovered: bool,
    /// The user's segment, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Between two pings.
    pub ping_ms: u64,
    /// The server's clock.
    pub server_time: Timestamp,
    /// Name by which frames of an event stream are posted; the stream itself adds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
}

/// A notification that is the same for everyone and has no place in a stream.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = EphemeralFrame))]
pub struct Ephemeral<'a> {
    /// Always `notification`.
    pub r#type: &'static str,
    /// Key for showing it once.
    pub notification_id: NotificationId,
    /// Always true.
    pub ephemeral: bool,
    /// Always `api`.
    pub trigger: &'static str,
    /// Moment at which it was sent.
    pub sent_at: Timestamp,
    /// Content and properties.
    #[serde(flatten)]
    pub message: &'a Message,
}

/// An event was committed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = AcceptedFrame))]
pub struct Accepted<'a> {
    /// Always `accepted`.
    pub r#type: &'static str,
    /// Of the event, as the client wrote it.
    #[cfg_attr(feature = "schema", schema(value_type = Option<ExternalId>))]
    pub event_id: Option<&'a Value>,
    /// True for one that had come before.
    pub duplicate: bool,
}

/// Several events were committed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = AcceptedManyFrame))]
pub struct AcceptedMany {
    /// Always `accepted`.
    pub r#type: &'static str,
    /// Events that are stored now.
    pub accepted: usize,
    /// Events that had come before.
    pub duplicates: usize,
}

/// Something was refused.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = ErrorFrame))]
pub struct Refused<'a> {
    /// Always `error`.
    pub r#type: &'static str,
    /// Stable, snake_case.
    pub code: &'a str,
    /// For a person.
    pub message: &'a str,
    /// True if the same frame may be accepted later.
    pub temporary: bool,
    /// The `event_id` of the event, as the client wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<ExternalId>))]
    pub reply_to: Option<&'a Value>,
}

/// Something was muted.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = MutedFrame))]
pub struct MutedOf<'a> {
    /// Always `muted`.
    pub r#type: &'static str,
    /// Kind of subject: `category`, `item`, `item_category`, `brand` or `kind`.
    pub of: &'a str,
    /// Name of the subject.
    pub name: &'a str,
}

/// A topic is followed, or no longer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = FollowsFrame))]
pub struct Follows<'a> {
    /// `subscribed` or `unsubscribed`.
    pub r#type: &'static str,
    /// Name of the topic.
    pub topic: &'a str,
}

/// Number of messages that wait.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = InboxFrame))]
pub struct InboxCounts {
    /// Always `inbox`.
    pub r#type: &'static str,
    /// Messages that were not opened.
    pub unread: usize,
    /// Messages that came since a list was looked at.
    pub unseen: usize,
}

/// A message is no longer to be shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = WithdrawFrame))]
pub struct Withdraw {
    /// Always `withdraw`.
    pub r#type: &'static str,
    /// The message.
    pub notification_id: NotificationId,
    /// `read_elsewhere`, `archived`, `snoozed`, `deleted`, `expired`, `superseded` or `withdrawn`.
    pub reason: &'static str,
}

/// A message is to be listed again.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = RestoreFrame))]
pub struct Restore {
    /// Always `restore`.
    pub r#type: &'static str,
    /// The message.
    pub notification_id: NotificationId,
    /// `unread`, `unarchived` or `returned`.
    pub reason: &'static str,
}

/// The answer to a `ping`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = PongFrame))]
pub struct Pong {
    /// Always `pong`.
    pub r#type: &'static str,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// The end of an event stream. A WebSocket ends with the same code and reason in its closing handshake.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = CloseFrame))]
pub struct Close {
    /// Always `close`.
    pub r#type: &'static str,
    /// Number of the reason.
    pub code: u16,
    /// Reason, for a person.
    pub reason: &'static str,
    /// True if the client is to connect again.
    pub reconnect: bool,
    /// Delay before that, milliseconds.
    pub retry_ms: u32,
}
