//! An event that was validated, before its ids are mapped.

use uuid::Uuid;

use super::kind::EventKind;
use crate::base::{EventKey, ExternalId, Timestamp};

/// A validated event that still names things as the shop does. `store` maps the ids and writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Makes a retry harmless; random (UUIDv7) when the client gave no `event_id`.
    pub key: EventKey,
    /// The key came from a client's `event_id` (or an importer): a second one is a duplicate.
    pub deduplicate: bool,
    /// User who acted; `None` for an anonymous basket or session.
    pub user: Option<ExternalId>,
    /// About what; `None` only for `search`.
    pub item: Option<ExternalId>,
    /// Kind of the action.
    pub kind: EventKind,
    /// Moment of the event, at most a little in the future.
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
    /// List that the item was found in, as the sender says.
    pub list: Option<Uuid>,
}
