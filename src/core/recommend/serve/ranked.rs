//! An item with its score and the source of it, between ranking and the finished list.

use crate::base::ItemId;

/// An item in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) item: ItemId,
    /// 0…1.
    pub(crate) score: f32,
    /// Main source of the score.
    pub(crate) because: Because,
}

/// Main source of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// The user's history, or what is popular.
    Own,
    /// The item being looked at.
    Seed,
    /// It was bought, and is bought again about now.
    Due,
}
