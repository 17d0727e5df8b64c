//! An event as profiles and models read it.

use serde::Serialize;

use super::kind::EventKind;
use crate::base::{ItemId, Timestamp, UserId};
use crate::catalogue::Currency;

/// An event as stored, with dense ids: what profiles and models are computed from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Moment of the event.
    pub occurred_at: Timestamp,
    /// User who acted; `None` for an anonymous basket.
    pub user: Option<UserId>,
    /// About what.
    pub item: Option<ItemId>,
    /// Kind of the action.
    pub kind: EventKind,
    /// `view`: how long, in milliseconds.
    pub dwell_ms: Option<u32>,
    /// Units, > 0.
    pub quantity: f32,
    /// Money of a purchase or return; stars of a rating.
    pub value: Option<f64>,
    /// Currency of the money; `None` = that of the shop.
    pub currency: Option<Currency>,
    /// Basket or session.
    pub basket: Option<i64>,
}
