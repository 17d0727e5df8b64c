//! What users did: kinds, the wire form, validation, cleaning. Goes in as JSON or an imported row, comes out
//! as an [`Event`] that can't be wrong.

pub mod clean;
pub mod kind;
pub mod robots;
pub mod wire;

use serde::Serialize;

use crate::base::{EventKey, ExternalId, ItemId, Timestamp, UserId};

pub use kind::EventKind;
pub use wire::{EventError, EventLimits, RawEvent};

/// A validated event that still names things as the shop does. `store` maps the ids and writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Makes a retry harmless; random (UUIDv7) when the client gave no `event_id`.
    pub key: EventKey,
    /// The key came from a client's `event_id` (or an importer): a second one is a duplicate.
    pub deduplicate: bool,
    /// Who; `None` for an anonymous basket or session.
    pub user: Option<ExternalId>,
    /// About what; `None` only for `search`.
    pub item: Option<ExternalId>,
    /// What was done.
    pub kind: EventKind,
    /// When, at most a little in the future.
    pub occurred_at: Timestamp,
    /// `view`: how long the page was looked at.
    pub dwell_ms: Option<u32>,
    /// `search`: what was typed.
    pub query: Option<String>,
    /// Units, > 0 (1 when the client says nothing).
    pub quantity: f32,
    /// `purchase`, `return`: money for all units, major units, ≥ 0. `rate`: the rating, 0…5.
    pub value: Option<f64>,
    /// ISO 4217 code of `value`.
    pub currency: Option<String>,
    /// Groups the events of one basket or session: hash of the shop's invoice or session id.
    pub basket: Option<i64>,
}

/// An event as stored, with dense ids: what profiles and models are computed from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When.
    pub occurred_at: Timestamp,
    /// Who; `None` for an anonymous basket.
    pub user: Option<UserId>,
    /// About what.
    pub item: Option<ItemId>,
    /// What was done.
    pub kind: EventKind,
    /// `view`: how long, in milliseconds.
    pub dwell_ms: Option<u32>,
    /// Units, > 0.
    pub quantity: f32,
    /// Money of a purchase or return; stars of a rating.
    pub value: Option<f64>,
    /// Basket or session.
    pub basket: Option<i64>,
}
