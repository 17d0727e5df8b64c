//! What sets a message off.

use crate::base::ItemId;
use crate::event::{Event, EventKind};

/// Why a message is being considered at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The user has logged in and waits for an answer.
    Login,
    /// The user has just looked at this item.
    View(ItemId),
    /// The user has just put this item into the cart.
    Cart(ItemId),
    /// A new model set serves, and the user's list has changed.
    Retrain,
}

impl Trigger {
    /// What an event sets off, if anything.
    pub fn of(event: &Event) -> Option<Self> {
        match (event.kind, event.item) {
            (EventKind::View, Some(item)) => Some(Self::View(item)),
            (EventKind::AddToCart, Some(item)) => Some(Self::Cart(item)),
            _ => None,
        }
    }

    /// The name in decisions, metrics and frames.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::View(_) => "view",
            Self::Cart(_) => "cart",
            Self::Retrain => "retrain",
        }
    }

    /// What frequency caps and mutes go by.
    pub fn category(self) -> &'static str {
        match self {
            Self::Login | Self::Retrain => "for_you",
            Self::View(_) => "similar_items",
            Self::Cart(_) => "goes_with",
        }
    }

    /// The item whose neighbours are wanted.
    pub fn seed(self) -> Option<ItemId> {
        match self {
            Self::View(item) | Self::Cart(item) => Some(item),
            Self::Login | Self::Retrain => None,
        }
    }

    /// The client asked and waits: the answer passes caps, repeats and quiet hours.
    pub fn is_asked_for(self) -> bool {
        matches!(self, Self::Login)
    }
}
