//! Reasons of recommendations, in words. The cause is the one that added most to the score.

use serde::Serialize;

use crate::base::{ItemId, Timestamp};
use crate::catalogue::{Catalogue, CategoryId};
use crate::profile::SegmentId;

/// Days after which an item is no longer new.
const NEW_DAYS: f64 = 30.0;
/// Act of a user on an item that they have not bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfinished {
    /// Put it into the cart.
    InCart,
    /// Said that it is good.
    Liked,
    /// Viewed it again and again, or after liking it.
    CameBack,
}

/// The true cause of a recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// People who dealt with this item, which the user viewed, dealt with the recommended one; or they are alike.
    Viewed(ItemId),
    /// The same of an item that the user rated.
    Rated(ItemId),
    /// The same of an item that the user liked.
    Liked(ItemId),
    /// The user has come across the very item, and there is nothing better.
    Seen,
    /// The message is about the very item, whether the user knows it or not.
    Subject,
    /// At least two users or baskets bought both.
    OftenBoughtWith(ItemId),
    /// An association rule that holds for what the user has: baskets with `with` (and `and`) hold this one too.
    Rule {
        /// Item that the user has.
        with: ItemId,
        /// Further item of the rule's left side, if any.
        and: Option<ItemId>,
        /// Lift: factor by which both occur more often than by chance, > 1.
        lift: f32,
    },
    /// Alike in title, category, tags or attributes, or in who deals with them.
    SimilarTo(ItemId),
    /// Popular in a category the user likes.
    PopularIn(CategoryId),
    /// Popular among users who behave alike.
    PopularInSegment(SegmentId),
    /// Popular overall.
    Popular,
    /// Bought before, and about so many days pass before people buy it again.
    BuyAgain(u16),
    /// New and touched by nobody yet: shown to find out, in its top-level category if it has one.
    Exploring(Option<CategoryId>),
    /// Newly in the catalogue; nothing else is known to fit.
    New,
    /// In the catalogue for long; nothing else is known to fit.
    Assortment,
    /// Begun, and not bought.
    Unfinished(Unfinished),
}

impl Reason {
    /// Returns whether an item that came then has come within the last 30 days.
    pub(super) fn is_new(created_at: Timestamp, now: Timestamp) -> bool {
        now.days_since(created_at) <= NEW_DAYS
    }

    /// Reason of an item that nothing else speaks for.
    pub(super) fn by_age(created_at: Timestamp, now: Timestamp) -> Self {
        if Self::is_new(created_at, now) { Self::New } else { Self::Assortment }
    }

    /// For a person, e.g. "because you viewed WHITE METAL LANTERN".
    pub fn text(&self, catalogue: &Catalogue) -> String {
        let name = |item: &ItemId| catalogue.get(*item).map(|item| item.name());
        match self {
            Self::Viewed(item) => name(item).map(|name| format!("because you viewed {name}")),
            Self::Rated(item) => name(item).map(|name| format!("because you rated {name}")),
            Self::Liked(item) => name(item).map(|name| format!("because you liked {name}")),
            Self::Seen => Some("you have seen it before".to_owned()),
            Self::Subject => Some("what this message is about".to_owned()),
            Self::OftenBoughtWith(item) => name(item).map(|name| format!("often bought with {name}")),
            Self::Rule { with, and, lift } => {
                let and =
                    and.and_then(|item| name(&item)).map_or_else(String::new, |name| format!(" and {name}"));
                name(with)
                    .map(|with| format!("often bought with {with}{and} ({lift:.1}\u{d7} more than chance)"))
            }
            Self::SimilarTo(item) => name(item).map(|name| format!("similar to {name}")),
            Self::PopularIn(category) => {
                catalogue.category_name(*category).map(|name| format!("popular in {name}"))
            }
            Self::PopularInSegment(_) => Some("popular with shoppers like you".to_owned()),
            Self::Popular => Some("popular right now".to_owned()),
            Self::BuyAgain(days) => Some(format!("time to buy again: people do after about {days} days")),
            Self::Exploring(category) => {
                let name = category.and_then(|id| catalogue.category_name(id));
                Some(name.map_or_else(
                    || "exploring: new in the shop".to_owned(),
                    |name| format!("exploring: new in {name}"),
                ))
            }
            Self::New => Some("new in the shop".to_owned()),
            Self::Assortment => Some("from our range".to_owned()),
            Self::Unfinished(Unfinished::InCart) => Some("in your cart".to_owned()),
            Self::Unfinished(Unfinished::Liked) => Some("you liked it".to_owned()),
            Self::Unfinished(Unfinished::CameBack) => Some("you came back to it".to_owned()),
        }
        // The item or category that was the cause has left the catalogue.
        .unwrap_or_else(|| "chosen from what you did here".to_owned())
    }
}
