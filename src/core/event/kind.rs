//! The kinds of behaviour, each with its code in the database and its weight as a sign of interest.

use serde::{Deserialize, Serialize};

/// Kind of a user's action. The number is the code in `events.kind`; never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum EventKind {
    /// Looked at an item, for `dwell_ms`.
    View = 1,
    /// Searched for `query`.
    Search = 2,
    /// Put an item into the cart.
    AddToCart = 3,
    /// Took it out again.
    RemoveFromCart = 4,
    /// Bought it.
    Purchase = 5,
    /// Sent it back.
    Return = 6,
    /// Said that it is good.
    Like = 7,
    /// Gave it stars.
    Rate = 8,
    /// A client says that its user bought it: a sign of interest, no purchase.
    PurchaseClaim = 9,
    /// A client says that its user sent it back: no return.
    ReturnClaim = 10,
}

impl EventKind {
    /// Every kind, in order of code.
    pub const ALL: [Self; 10] = [
        Self::View,
        Self::Search,
        Self::AddToCart,
        Self::RemoveFromCart,
        Self::Purchase,
        Self::Return,
        Self::Like,
        Self::Rate,
        Self::PurchaseClaim,
        Self::ReturnClaim,
    ];

    /// The code in the database.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// From the code; `None` for one that this version does not know.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Search => "search",
            Self::AddToCart => "add_to_cart",
            Self::RemoveFromCart => "remove_from_cart",
            Self::Purchase => "purchase",
            Self::Return => "return",
            Self::Like => "like",
            Self::Rate => "rate",
            Self::PurchaseClaim => "purchase_claim",
            Self::ReturnClaim => "return_claim",
        }
    }

    /// From the name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The user bought it, by the word of the shop or their own.
    pub fn is_bought(self) -> bool {
        matches!(self, Self::Purchase | Self::PurchaseClaim)
    }

    /// Must name an item?
    pub fn needs_item(self) -> bool {
        !matches!(self, Self::Search)
    }

    /// Strength of one event of this kind as a sign of interest; a purchase is 1. Negative takes interest away.
    /// A start from the usual view < cart < purchase order (Hu, Koren, Volinsky 2008 call it confidence).
    pub fn interest(self) -> f32 {
        match self {
            Self::View => 0.2,
            Self::Search => 0.0,
            // What costs its sender nothing says no more than a cart does.
            Self::AddToCart | Self::PurchaseClaim => 0.6,
            Self::RemoveFromCart | Self::ReturnClaim => -0.4,
            Self::Purchase => 1.0,
            Self::Return => -0.8,
            Self::Like => 0.7,
            Self::Rate => 0.6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_their_kind() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
            assert_eq!(EventKind::from_name(kind.name()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
        }
        assert_eq!(EventKind::from_code(99), None);
    }
}
