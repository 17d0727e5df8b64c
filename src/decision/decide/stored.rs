//! A user as the store holds it: rows as domain types, the input of [`super::Loaded::fold`].

use uuid::Uuid;

use super::record::{API, DeferredRow};
use crate::deliver::Marks;
use crate::notify::policy::PreferenceDocument;
use crate::notify::triggers::occasion_of_call;
use crate::notify::{Channel, Priority};
use tidings_core::base::{ExternalId, ItemId, NotificationId, Timestamp, UserId};
use tidings_core::event::Event;
use tidings_core::profile::{Attributes, StatedFeatures};

/// Deferred triggers of one user that are read at a time, the earliest first; the others when these are decided.
pub const MAX_DEFERRED_READ: usize = 256;

/// Everything stored about one user that deciding and delivering need.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredUser {
    /// Dense inner id.
    pub user: UserId,
    /// The shop's id.
    pub external_id: ExternalId,
    /// Moment at which the user was last found to act faster than a person; `None` = taken for a person. Robots are not answered.
    pub robot_since: Option<Timestamp>,
    /// Moment at which a connection of the user was last known to be open, to the hour; `None` = never.
    pub last_connected: Option<Timestamp>,
    /// Moment of the last merge of another user into this one; `None` = never.
    pub merged_at: Option<Timestamp>,
    /// Triggers that fire once and have fired, by name.
    pub fired_once: Vec<(String, Timestamp)>,
    /// All of the user's events by time; at one moment, by arrival.
    pub events: Vec<Event>,
    /// Features that the shop states of the user, if it does.
    pub stated: Option<StatedFeatures>,
    /// The server's defaults where the user set nothing.
    pub preferences: PreferenceDocument,
    /// Attributes that the shop has set.
    pub attributes: Attributes,
    /// The latest entry for each purpose of consent; none where nothing was said.
    pub consents: Vec<(String, bool)>,
    /// Deferred triggers that have not expired, the earliest first, at most [`MAX_DEFERRED_READ`].
    pub held: Vec<DeferredRow>,
    /// Largest offset of the stream; 0 = nothing sent yet.
    pub last_offset: i64,
    /// The newest messages of the stream, whatever has become of them, by offset.
    pub tail: Vec<StoredNotification>,
    /// Live messages before `tail` that the inbox keeps, by offset, without their frames; at most [`MAX_OLDER`](crate::deliver::stream::MAX_OLDER), the newest.
    pub older: Vec<StoredNotification>,
    /// Offset after which `tail` is complete: a resume from before it can't be.
    pub floor: i64,
    /// Sent in the last 7 days, by offset: in the order of their time unless another user was merged into this one.
    pub recent: Vec<RecentSend>,
}

/// A stored message as delivering it again needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredNotification {
    /// The client's key for showing it once.
    pub notification_id: NotificationId,
    /// Position in the user's stream, from 1.
    pub offset: i64,
    /// `recommendation`, `announcement`, …
    pub kind: String,
    /// Category for frequency caps and mutes.
    pub category: String,
    /// Name of the trigger.
    pub trigger: String,
    /// Items recommended, best first.
    pub items: Vec<ItemId>,
    /// The JSON frame as sent; empty = it need not be sent again.
    pub frame: String,
    /// Moment of the decision.
    pub created_at: Timestamp,
    /// Not delivered after this.
    pub expires_at: Timestamp,
    /// True if a client has acknowledged it.
    pub acknowledged: bool,
    /// A newer message with the same key supersedes it.
    pub collapse_key: Option<String>,
    /// Urgency of the message.
    pub priority: Priority,
    /// Its standing in the user's inbox.
    pub marks: Marks,
    /// It is not to be shown any more.
    pub withdrawn: bool,
    /// The way it takes: that of its decision, or Web Push after pages have closed on it.
    pub channel: Channel,
    /// Moment at which the shop took it back; `None` for one that was superseded as well.
    pub taken_back_at: Option<Timestamp>,
    /// A page that somebody looks at was given it, or a push service.
    pub given: bool,
    /// The call of the shop that it is part of.
    pub call: Option<Uuid>,
}

/// A message that was put into the user's stream, as frequency caps and repeats see it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentSend {
    /// The client's key for showing it once.
    pub notification_id: NotificationId,
    /// Moment of the decision.
    pub at: Timestamp,
    /// Category for frequency caps and mutes.
    pub category: String,
    /// Name of the trigger.
    pub trigger: String,
    /// Items recommended, best first.
    pub items: Vec<ItemId>,
    /// Name of the trigger or campaign.
    pub campaign: String,
    /// The channel taken.
    pub channel: String,
    /// Not shown after this: its expiry, or the moment at which the shop took it back if that was earlier.
    pub expires_at: Timestamp,
    /// A page that somebody looks at was given it, or a push service.
    pub given: bool,
    /// Names the occasion.
    pub dedupe_key: Option<i64>,
    /// Transactional, kept for the inbox or solicited: not counted by caps.
    pub passes_caps: bool,
    /// Codes of the outcomes reported so far (`feedback.outcome`).
    pub outcomes: Vec<i16>,
}

/// Data of a message that its decision holds; messages of the API have no stored decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentAs {
    /// Name of the trigger or campaign.
    pub campaign: String,
    /// The channel taken.
    pub channel: String,
    /// Names the occasion.
    pub dedupe_key: Option<i64>,
    /// It counts towards frequency caps.
    pub counted: bool,
}

impl RecentSend {
    /// A message of the stream with its decision, if one is stored, and the outcomes reported so far.
    pub fn new(message: &StoredNotification, decision: Option<SentAs>, mut outcomes: Vec<i16>) -> Self {
        let SentAs { campaign, channel, dedupe_key, counted } = decision.unwrap_or_else(|| SentAs {
            campaign: if message.trigger == API { &message.kind } else { &message.trigger }.clone(),
            channel: message.channel.name().to_owned(),
            dedupe_key: None,
            counted: message.priority != Priority::Transactional,
        });
        outcomes.sort_unstable();
        Self {
            notification_id: message.notification_id,
            at: message.created_at,
            category: message.category.clone(),
            trigger: message.trigger.clone(),
            items: message.items.clone(),
            campaign,
            channel,
            expires_at: message.taken_back_at.map_or(message.expires_at, |at| message.expires_at.min(at)),
            given: message.given || message.marks.is_touched(),
            dedupe_key: occasion(dedupe_key, message.call),
            passes_caps: !counted,
            outcomes,
        }
    }
}

/// Occasion of a stored message: that of its decision, or of the call of the shop that it is part of.
pub fn occasion(decided: Option<i64>, call: Option<Uuid>) -> Option<i64> {
    decided.or(call.map(|call| occasion_of_call(call).cast_signed()))
}
