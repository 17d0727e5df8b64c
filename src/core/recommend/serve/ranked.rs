//! An item with its score and the source of it, between ranking and the finished list.

use crate::base::ItemId;

use super::placement::Touch;
use super::reason::Unfinished;

/// An item in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) item: ItemId,
    /// 0…1.
    pub(crate) score: f32,
    /// Main source of the score.
    pub(crate) because: Because,
    /// Part of the placement that moved it or brought it in.
    pub(crate) touch: Option<Touch>,
    /// Probability with which exploration was to draw it for its place; 1 for what is there by its rank.
    pub(crate) propensity: f32,
}

impl Ranked {
    /// Returns whether exploration may give its place away.
    pub(super) fn is_open_to_others(&self) -> bool {
        self.touch.is_none() && !matches!(self.because, Because::Unfinished(_) | Because::Due)
    }

    pub(crate) fn new(item: ItemId, score: f32, because: Because) -> Self {
        Self { item, score, because, touch: None, propensity: 1.0 }
    }
}

/// Main source of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// The user's history, or what is popular.
    Own,
    /// The item being looked at, or the cart.
    Seed,
    /// It was bought, and is bought again about now.
    Due,
    /// Nothing but that it is new.
    New,
    /// Nothing but that others like it.
    Popular,
    /// Nothing but that others like it, and its category was asked for.
    PopularInCategory,
    /// The user has seen it lately, and nothing else is left.
    Seen,
    /// The user has begun something with it.
    Unfinished(Unfinished),
    /// Nobody has touched it, and the draw gave it a place.
    Exploring,
}
