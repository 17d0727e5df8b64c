//! Steps of a history as data: drawn from a seed, replayed, shortened, printed one a line. Numbers are taken modulo what there is,
//! so that a step makes sense whatever was left out before it.

mod display;
mod draw;

pub use draw::draw;

use tidings::event::EventKind;
use tidings::feedback::FeedbackOutcome;
use tidings::notify::Priority;
use tidings::notify::policy::Purpose;

use crate::journal::Fate;
use crate::notifier::RoundFate;
use crate::push::{Illness, PushFate};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemChange {
    Cheaper,
    Dearer,
    SoldOut,
    Back,
    Gone,
    New,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    OptOut(bool),
    Pause(u16),
    Mute(u8),
    MuteKind(u8),
    MuteItem(u8),
    Digest(u8),
    NoDigest,
    Block { push: bool, category: u8 },
    Quiet(u16, u16),
    Zone(u8),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    pub user: u8,
    /// To everybody.
    pub all: bool,
    pub category: u8,
    pub priority: Priority,
    pub collapses: bool,
    pub lives_min: u16,
    pub send_in_min: u16,
    pub directly: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    Pass(u64),
    Jump(i64),
    Login {
        device: u8,
        resumes: bool,
        bare: bool,
        zone: Option<u8>,
    },
    Close {
        device: u8,
        told: bool,
    },
    Stall(u8),
    Flow(u8),
    Look(u8, bool),
    Ack(u8),
    Read {
        device: u8,
        back: u8,
        all: bool,
    },
    Seen(u8),
    Change {
        device: u8,
        back: u8,
        to: u8,
    },
    Feedback {
        device: u8,
        back: u8,
        outcome: FeedbackOutcome,
    },
    Mute {
        device: u8,
        back: u8,
        of: u8,
    },
    Ping(u8),
    Event {
        user: u8,
        kind: EventKind,
        item: u8,
        n: u8,
    },
    Api(Api),
    Ephemeral {
        user: u8,
        category: u8,
    },
    Fire {
        user: u8,
        trigger: u8,
        item: Option<u8>,
        same: bool,
    },
    Withdraw(u8),
    Switch {
        back: u8,
        pauses: bool,
    },
    HttpRead {
        user: u8,
        all: bool,
    },
    HttpSeen(u8),
    HttpChange {
        user: u8,
        back: u8,
        to: u8,
    },
    HttpMute {
        user: u8,
        category: u8,
    },
    Wish {
        user: u8,
        wish: Wish,
    },
    Consent {
        user: u8,
        purpose: Purpose,
        granted: bool,
    },
    Item {
        item: u8,
        change: ItemChange,
    },
    Model(u8),
    Definitions(u8),
    Subscribe(u8),
    Unsubscribe(u8),
    Crash(u8),
    Restart,
    Lease,
    Notice,
    Commit {
        server: u8,
        fate: Fate,
    },
    Round(RoundFate),
    Read1(u16),
    Push(PushFate),
    /// A push service falls ill, or is well again.
    PushService {
        service: u8,
        illness: Option<Illness>,
    },
    Full(u8),
    /// One user is merged into another.
    Merge {
        alias: u8,
        user: u8,
    },
}

/// Changes of the inbox.
pub const CHANGES: [&str; 8] = [
    "reads",
    "marks as unread",
    "archives",
    "unarchives",
    "snoozes for a minute",
    "snoozes for an hour",
    "deletes",
    "marks as unread",
];
/// Triggers that the shop fires.
pub const TRIGGERS: [&str; 3] = ["announcement", "order_status", "price_drop"];
/// Categories that are muted over HTTP.
pub const MUTABLE: [&str; 5] = ["news", "promo", "announcements", "similar_items", "for_you"];
