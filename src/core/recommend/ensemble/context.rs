//! Input of the blend for one user.

use crate::base::ItemId;
use crate::recommend::models::item_set::Universe;

/// Input of a recommendation: the known data of the user it is computed for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Items with their interest, newest first, none twice.
    pub history: &'a [(ItemId, f32)],
    /// Day (fractions count, since 1970) of the newest interaction; `None` without any.
    pub last_day: Option<f64>,
    /// Width of the columns, where larger than that of the models: the catalogue has grown.
    pub width: usize,
    /// Items that are scored; `None` = all.
    pub universe: Option<&'a Universe>,
    /// Columns of [`SideFeature::ALL`](super::SideFeature::ALL), one after another, each as wide as
    /// [`Models::width`](super::Models::width), or those of [`KindModels`](super::KindModels); empty = nothing is known.
    pub beside: &'a [f32],
    /// Items that are candidates whatever their scores: what the user touched and may go on with.
    pub begun: Begun<'a>,
}

/// The continue list with its values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Begun<'a> {
    /// None twice.
    pub items: &'a [ItemId],
    /// Row-major, for each item a value 0…1 for each member that only begun items have one of.
    pub values: &'a [f32],
}

impl Begun<'_> {
    /// The values of an item, `n` of them; 0 for one that was not begun.
    pub(super) fn of(&self, item: ItemId, n: usize) -> impl Iterator<Item = f32> {
        let place = self.items.iter().position(|other| *other == item);
        let row = place.and_then(|place| self.values.get(place * n..(place + 1) * n)).unwrap_or_default();
        row.iter().copied().chain(std::iter::repeat(0.0)).take(n)
    }
}
