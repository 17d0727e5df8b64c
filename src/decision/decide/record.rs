//! Records of decisions, messages and what became of them, as domain types. The journal stores them; the store maps them to
//! tables. Every record names its user and its moment, so that it can be stored at any later time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use super::snooze::{Returned, SnoozeEnded};
use crate::deliver::{Change, Frame};
use crate::notify::policy::{Decision, PreferenceChange, Reason, Step, StepName};
use crate::notify::triggers::{EventData, occasion_of_call};
use crate::notify::{Channel, Priority};
use tidings_core::base::{ItemId, ModelVersion, NotificationId, Timestamp, UserId};
use tidings_core::response::Probabilities;

/// Trigger name of messages of the API, in frames and tables.
pub const API: &str = "api";

/// One decision about a candidate message, sent or not.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRow {
    /// UUIDv7.
    pub decision_id: Uuid,
    /// Moment of the decision.
    pub decided_at: Timestamp,
    /// The user concerned.
    pub user: UserId,
    /// Name of the trigger; `api` for messages of the API.
    pub trigger: String,
    /// Category of the candidate.
    pub category: String,
    /// `send`, `defer`, `digest`, `inbox_only` or `drop`.
    pub outcome: String,
    /// Each policy step that decided something, in order, in words; no control characters.
    pub reasons: Vec<String>,
    /// The message, when sent.
    pub notification_id: Option<NotificationId>,
    /// Model that chose the items; 0 = none.
    pub model_version: ModelVersion,
    /// The user's segment at that moment, 0 = A.
    pub segment: Option<u8>,
    /// The candidate's items, best first.
    pub items: Vec<ItemId>,
    /// Probability of the outcome, in (0, 1]: of the random test, or of the hour where it decided; 1 = deterministic. The
    /// wording has its own ([`Trace::variant_propensity`]).
    pub propensity: f32,
    /// End of a deferral.
    pub until: Option<Timestamp>,
    /// Probabilities of a click, a purchase and a mute; `None` where nothing was predicted.
    pub expected: Option<Probabilities>,
    /// The features `expected` was made from; empty unless sent or decided by a coin.
    pub features: Vec<f32>,
    /// Provenance of the decision.
    pub trace: Trace,
    /// Message of the shop, by the id that its call was answered with; `None` for all others.
    pub call: Option<Uuid>,
}

/// Provenance of a decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The channel taken, or that would have been taken.
    pub channel: String,
    /// Name of the trigger or campaign.
    pub campaign: String,
    /// Names the occasion.
    pub dedupe_key: Option<i64>,
    /// Version of the policy; 0 = the configuration.
    pub policy_version: i32,
    /// The user is in the holdout.
    pub holdout: bool,
    /// The message counts towards frequency caps.
    pub counted: bool,
    /// Variants that could have been chosen, the chosen one first; no control characters.
    pub alternatives: Vec<String>,
    /// Every step asked, in order.
    pub steps: Vec<TraceStep>,
    /// Part of the policy that held for the user: `ordinary`, `holdout` or `random`.
    pub slice: String,
    /// The variant of the template, where there were several.
    pub variant: Option<String>,
    /// Probability of that variant among those on offer, in (0, 1]; `None` where there was nothing to choose.
    pub variant_propensity: Option<f32>,
    /// Experiment and arm, for each experiment the user takes part in.
    pub arms: BTreeMap<String, String>,
    /// Versions of everything the decision read, and its random draw: with the user's state they replay it.
    pub inputs: Inputs,
}

/// One policy step of a stored decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TraceStep {
    /// Name of the step.
    pub step: Cow<'static, str>,
    /// `pass`, `override`, `change` or `stop`.
    pub verdict: Cow<'static, str>,
    /// Stable name of the reason.
    pub reason: Cow<'static, str>,
    /// The reason in words.
    pub text: String,
}

/// Every step of a decision, as stored.
pub fn steps(decision: &Decision) -> Vec<TraceStep> {
    let step = |step: &Step| TraceStep {
        step: step.step.name().into(),
        verdict: step.verdict.name().into(),
        reason: step.reason.name().into(),
        text: step.to_string(),
    };
    decision.steps.iter().map(step).collect()
}

/// Versions of what a decision read. 0 = not recorded (decisions of older releases).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inputs {
    /// Triggers, templates, policy and experiments.
    pub definitions: i64,
    /// The catalogue.
    pub catalogue: u64,
    /// Knowledge learned from earlier messages.
    pub learner: u64,
    /// Seed of the transition's random draws.
    pub draw: u64,
}

/// A message to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewNotification {
    /// The client's key for showing it once.
    pub notification_id: NotificationId,
    /// The recipient.
    pub user: UserId,
    /// Position in the user's stream, from 1.
    pub offset: i64,
    /// `recommendation`, `announcement`, …
    pub kind: String,
    /// Category for frequency caps and mutes.
    pub category: String,
    /// Name of the trigger.
    pub trigger: String,
    /// Model that chose the items; 0 = none.
    pub model_version: ModelVersion,
    /// The user's segment at that moment, 0 = A.
    pub segment: Option<u8>,
    /// Items recommended, best first.
    pub items: Vec<ItemId>,
    /// The JSON frame as sent.
    pub frame: Frame,
    /// Moment of the decision.
    pub created_at: Timestamp,
    /// Not delivered after this.
    pub expires_at: Timestamp,
    /// A newer message with the same key supersedes this one.
    pub collapse_key: Option<Box<str>>,
    /// Urgency of the message.
    pub priority: Priority,
    /// The channel taken.
    pub channel: Channel,
    /// Message of the shop to many, or with a time, that it is part of.
    pub call: Option<Uuid>,
}

/// An outcome of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedbackRow {
    /// The message.
    pub notification_id: NotificationId,
    /// 1 displayed, 2 clicked, 3 dismissed, 4 converted, 5 muted, 6 liked, 7 disliked.
    pub outcome: i16,
    /// The recipient.
    pub user: UserId,
    /// The item clicked or bought.
    pub item: Option<ItemId>,
    /// Converted: money.
    pub value: Option<f64>,
    /// Moment of the outcome.
    pub occurred_at: Timestamp,
}

/// A deferred trigger of one user.
#[derive(Clone, Debug, PartialEq)]
pub struct DeferredRow {
    /// UUIDv7.
    pub held_id: Uuid,
    /// The user concerned.
    pub user: UserId,
    /// Name of the trigger.
    pub trigger: String,
    /// Its category.
    pub category: String,
    /// The item concerned.
    pub item: Option<ItemId>,
    /// The item's price before, where that fired the trigger.
    pub price_before: Option<f64>,
    /// Data of the shop's call.
    pub event: Option<EventData>,
    /// Collected for the digest.
    pub for_digest: bool,
    /// Decided again then.
    pub until: Timestamp,
    /// Dropped after this.
    pub expires_at: Timestamp,
    /// The call of the shop that fired it.
    pub call: Option<Uuid>,
}

impl DeferredRow {
    /// The decision that ends a trigger which expired while its user was away: drop, expired. `decision_id`: a new UUIDv7.
    pub fn expired(&self, decision_id: Uuid, now: Timestamp) -> DecisionRow {
        self.dropped(StepName::StillTrue, Reason::Expired, decision_id, now)
    }

    /// The decision that ends a trigger of a merged user whose call has told the person already, then, or waits for them already
    /// (`None`).
    pub fn doubled(&self, told_at: Option<Timestamp>, decision_id: Uuid, now: Timestamp) -> DecisionRow {
        let reason = told_at.map_or(Reason::WaitsAlready, Reason::SaidBefore);
        self.dropped(StepName::Duplicate, reason, decision_id, now)
    }

    fn dropped(&self, step: StepName, reason: Reason, decision_id: Uuid, now: Timestamp) -> DecisionRow {
        let decision = Decision::stopped(step, reason);
        DecisionRow {
            decision_id,
            decided_at: now,
            user: self.user,
            trigger: self.trigger.clone(),
            category: self.category.clone(),
            outcome: decision.outcome.name().to_owned(),
            reasons: decision.reasons(),
            notification_id: None,
            model_version: ModelVersion::default(),
            segment: None,
            items: self.item.into_iter().collect(),
            propensity: 1.0,
            until: None,
            expected: None,
            features: Vec::new(),
            trace: Trace {
                channel: Channel::Inbox.name().to_owned(),
                campaign: self.trigger.clone(),
                steps: steps(&decision),
                slice: "ordinary".to_owned(),
                ..Trace::default()
            },
            call: self.call,
        }
    }

    /// A row without a user: the database makes one for each user it concerns.
    pub fn unaddressed(trigger: &str, category: &str, until: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            held_id: Uuid::nil(),
            user: UserId(0),
            trigger: trigger.to_owned(),
            category: category.to_owned(),
            item: None,
            price_before: None,
            event: None,
            for_digest: false,
            until,
            expires_at,
            call: None,
        }
    }
}

/// A part of a user's stream was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The user.
    pub user: UserId,
    /// Last offset received.
    pub up_to: i64,
    /// Moment of the acknowledgement.
    pub at: Timestamp,
}

/// A change of state of stored messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// Its user changed messages.
    Change {
        /// The user.
        user: UserId,
        /// The messages.
        ids: Vec<NotificationId>,
        /// The change of their standing.
        change: Change,
        /// Moment of the change.
        at: Timestamp,
    },
    /// Everything up to an offset was opened.
    ReadAll {
        /// The user.
        user: UserId,
        /// Last offset that was opened.
        up_to: i64,
        /// Moment of opening.
        at: Timestamp,
    },
    /// A list with everything up to an offset was looked at.
    Seen {
        /// The user.
        user: UserId,
        /// Last offset of the list.
        up_to: i64,
        /// Moment of looking.
        at: Timestamp,
    },
    /// Handed to a page that a person looks at.
    Given {
        /// The messages.
        ids: Vec<NotificationId>,
        /// Moment of handing over.
        at: Timestamp,
    },
    /// Replaced by newer messages.
    Superseded {
        /// The message.
        id: NotificationId,
        /// Moment of replacement.
        at: Timestamp,
    },
}

/// Messages of a user whose pages nobody looks at are to be pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The user.
    pub user: UserId,
    /// Later messages were seen by nobody, acknowledged or not.
    pub seen_up_to: i64,
    /// Not pushed before this.
    pub due_at: Timestamp,
}

/// A trigger that fires once has fired for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The user.
    pub user: UserId,
    /// Name of the trigger.
    pub trigger: String,
    /// Moment of firing.
    pub at: Timestamp,
}

/// Reason and moment for which a user is taken for a robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotFlag {
    /// Moment at which the rate was last found to be no person's.
    pub since: Timestamp,
    /// The rate, in words.
    pub reason: String,
}

/// A record that nobody waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A decision without a message, and the deferred triggers that it ends: removed in the transaction that stores it.
    Decision(Box<DecisionRow>, Vec<Uuid>),
    /// A part of the stream was received.
    Acknowledged(Acknowledged),
    /// A change of state of stored messages.
    Mark(Mark),
    /// An outcome of a message. The first report of an outcome counts.
    Feedback(FeedbackRow),
    /// A change of the user's preferences.
    Preferences(UserId, Box<PreferenceChange>),
    /// A deferred trigger; of one that is stored already only the moment changes.
    Defer(Box<DeferredRow>),
    /// A user who acts faster than a person, or does so still.
    Robot(UserId, RobotFlag),
    /// A user who was taken for a robot acts like a person again.
    Rested(UserId, Timestamp),
    /// The user has, or had until now, an open connection.
    Connected(UserId, Timestamp),
    /// A trigger that fires once has fired.
    FiredOnce(Fired),
    /// Messages nobody looked at.
    HandOver(HandOver),
    /// A message came back from a snooze.
    Returned(Returned),
}

/// A message of the API with its encoding, shared by all its recipients.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiMessage {
    /// Key of the message to this user; follows from the request and the user.
    pub id: NotificationId,
    /// The message.
    pub content: Arc<crate::notify::message::Encoded>,
    /// Message to many, or with a time, that it is part of; or the request that it came in with others.
    pub call: Option<Uuid>,
    /// The call says this one message to all of its users: to each person once, whichever of their ids it names.
    pub is_to_many: bool,
}

impl ApiMessage {
    /// Key of what it tells; `None` for a message of its own, which its id tells apart from others.
    pub(super) fn occasion(&self) -> Option<u64> {
        self.call.filter(|_| self.is_to_many).map(occasion_of_call)
    }
}
