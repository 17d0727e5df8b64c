//! The kinds of behaviour, each with its code in the database and its weight as a sign of interest.

use serde::{Serialize, Serializer};

/// Kind of a user's action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// Looked at an item, for `dwell_ms`.
    View,
    /// Searched for `query`.
    Search,
    /// Put an item into the cart.
    AddToCart,
    /// Took it out again.
    RemoveFromCart,
    /// Bought it.
    Purchase,
    /// Sent it back.
    Return,
    /// Said that it is good.
    Like,
    /// Gave it stars.
    Rate,
    /// A client says that its user bought it: a sign of interest, no purchase.
    PurchaseClaim,
    /// A client says that its user sent it back: no return.
    ReturnClaim,
    /// Did what the shop has a kind of its own for.
    Own(OwnKind),
}

/// A kind of the shop's own, with its weight. Its name is in [`super::OwnKinds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnKind {
    /// Above [`FIRST_OWN_CODE`].
    place: u8,
    hundredths: i8,
    needs_item: bool,
}

/// Code of the first kind of the shop's own.
pub const FIRST_OWN_CODE: i16 = 100;

impl OwnKind {
    /// From the code in the database, a weight within ±1 (kept to the hundredth), and whether its events name an item.
    pub fn new(code: i16, weight: f32, needs_item: bool) -> Self {
        let place = u8::try_from(code.saturating_sub(FIRST_OWN_CODE)).unwrap_or(u8::MAX);
        let hundredths = if weight.is_finite() { (weight.clamp(-1.0, 1.0) * 100.0).round() as i8 } else { 0 };
        Self { place, hundredths, needs_item }
    }

    /// The code in the database.
    pub fn code(self) -> i16 {
        FIRST_OWN_CODE + i16::from(self.place)
    }
}

impl EventKind {
    /// Every built-in kind, in order of code.
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

    /// The code in `events.kind`; never reuse one.
    pub fn code(self) -> i16 {
        match self {
            Self::View => 1,
            Self::Search => 2,
            Self::AddToCart => 3,
            Self::RemoveFromCart => 4,
            Self::Purchase => 5,
            Self::Return => 6,
            Self::Like => 7,
            Self::Rate => 8,
            Self::PurchaseClaim => 9,
            Self::ReturnClaim => 10,
            Self::Own(own) => own.code(),
        }
    }

    /// A built-in kind from its code; `None` for one that this version does not know, and for the shop's own
    /// ([`super::OwnKinds::from_code`]).
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name on the wire of a built-in kind; `own` of others.
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
            Self::Own(_) => "own",
        }
    }

    /// A built-in kind from its name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The user bought it, by the word of the shop or their own.
    pub fn is_bought(self) -> bool {
        matches!(self, Self::Purchase | Self::PurchaseClaim)
    }

    /// Returns whether an event of this kind must name an item.
    pub fn needs_item(self) -> bool {
        match self {
            Self::Search => false,
            Self::Own(own) => own.needs_item,
            _ => true,
        }
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
            Self::Own(own) => f32::from(own.hundredths) / 100.0,
        }
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
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
        assert_eq!(EventKind::ALL.map(EventKind::name), crate::config::BUILT_IN_KINDS);
    }
}
