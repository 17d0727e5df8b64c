//! Candidate messages and the circumstances of the decision on them.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::notify::message::Priority;
use tidings_core::base::{ItemId, Timestamp};
use tidings_core::catalogue::Item;
use tidings_core::response::Probabilities;

/// The way a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Channel {
    /// An open connection: WebSocket or SSE.
    Socket,
    /// Web Push.
    Push,
    /// Waits to be looked for.
    Inbox,
}

impl Channel {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Push => "push",
            Self::Inbox => "inbox",
        }
    }

    /// From the wire.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Socket, Self::Push, Self::Inbox].into_iter().find(|channel| channel.name() == text)
    }
}

/// Channels available at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// A connection is open.
    pub socket: bool,
    /// There is a Web Push subscription.
    pub push: bool,
}

/// State of the fact behind the message. Looked up again at the moment of sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Precondition {
    /// Nothing that could have changed, or it holds.
    #[default]
    Holds,
    /// The price is not lower any more.
    PriceRose,
    /// Sold out.
    SoldOut,
    /// No longer in the catalogue.
    Gone,
    /// The user has bought it meanwhile.
    AlreadyBought,
    /// No longer in the cart.
    LeftCart,
    /// The user is back.
    CameBack,
    /// The user does not meet the condition (any more).
    NotMet,
}

impl Precondition {
    /// For a person.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Holds => "it holds",
            Self::PriceRose => "the price is not lower any more",
            Self::SoldOut => "sold out",
            Self::Gone => "no longer in the catalogue",
            Self::AlreadyBought => "bought meanwhile",
            Self::LeftCart => "no longer in the cart",
            Self::CameBack => "the user is back",
            Self::NotMet => "the condition is not met",
        }
    }
}

/// A message that could be sent. Borrowed: judging allocates nothing for it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Category that frequency caps and mutes go by.
    pub category: &'a str,
    /// The trigger's or the request's name: the narrowest scope of a cap.
    pub campaign: &'a str,
    /// Urgency: how much the message may disturb.
    pub priority: Priority,
    /// Items it names, best first.
    pub items: &'a [ItemId],
    /// The item it is about, where there is one.
    pub subject: Option<&'a Item>,
    /// Without items there is nothing to say.
    pub needs_items: bool,
    /// The client asked and waits: the answer passes everything.
    pub solicited: bool,
    /// The shop's own message in its own words: no model chose it, so worth and experiments have no part in it.
    pub said_by_shop: bool,
    /// Made from what the user did, so that it needs consent to profiling.
    pub from_profile: bool,
    /// It collects messages that were decided before: it is not collected itself, and its items are occasions, not a list.
    pub is_digest: bool,
    /// State of the fact behind the message.
    pub truth: Precondition,
    /// Names the occasion: one message for each within its lifetime (price of an item, one order's state).
    pub dedupe_key: Option<u64>,
    /// Not worth saying after this.
    pub expires_at: Timestamp,
}

impl<'a> Candidate<'a> {
    /// A message of the shop in its own words, about no item.
    pub fn of_shop(category: &'a str, campaign: &'a str, priority: Priority, expires_at: Timestamp) -> Self {
        Self {
            category,
            campaign,
            priority,
            items: &[],
            subject: None,
            needs_items: false,
            solicited: false,
            said_by_shop: true,
            from_profile: false,
            is_digest: false,
            truth: Precondition::Holds,
            dedupe_key: None,
            expires_at,
        }
    }

    /// Returns whether its message stays uncounted by frequency caps.
    pub fn passes_caps(&self) -> bool {
        self.solicited || self.priority == Priority::Transactional
    }
}

/// Role of an experiment in a decision. Answers, transactional messages and the shop's own messages are exempt from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trial {
    /// Nothing: the policy decides.
    #[default]
    None,
    /// Gets nothing, for comparison: shows what messages do at all.
    HeldOut,
    /// A coin decides instead of worth and hour, so that any policy can be judged by what came of it. The draw; true = send.
    Drawn(bool),
}

impl Trial {
    /// Probability of what a coin decides.
    pub const COIN: f32 = 0.5;
}

/// Time, place and circumstances of the decision on a candidate.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Now.
    pub now: Timestamp,
    /// Time zone of the device that is connected; before the user's own, before the server's.
    pub device_zone: Option<&'a TimeZone>,
    /// Decides the jitter: the user's number will do.
    pub seed: u64,
    /// Probability of each response; `None` until a model has learned it, and then worth is neutral.
    pub expected: Option<Probabilities>,
    /// By how much the message raises the probability of a purchase; `None` until a model has learned it, and where the rules
    /// do not go by it.
    pub uplift: Option<f64>,
    /// Attention cost of one more message to this user, in clicks; 0 = the rules' own cost alone.
    pub attention_price: f64,
    /// Messages the server may still send in this hour; `None` = no budget.
    pub budget_left: Option<u64>,
    /// Ways that are open.
    pub channels: Channels,
    /// The user's best hour, where one was learned.
    pub best_time: Option<Timestamp>,
    /// Role of an experiment in the decision.
    pub trial: Trial,
}

impl Moment<'_> {
    /// An ordinary moment: a connection is open, nothing is known of worth, budget and best hours.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            device_zone: None,
            seed: 0,
            expected: None,
            uplift: None,
            attention_price: 0.0,
            budget_left: None,
            channels: Channels { socket: true, push: false },
            best_time: None,
            trial: Trial::None,
        }
    }
}
