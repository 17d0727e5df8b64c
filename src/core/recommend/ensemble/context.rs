//! Input of the blend for one user.

use crate::base::ItemId;

/// Input of a recommendation: the known data of the user it is computed for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Items with their interest, newest first, none twice.
    pub history: &'a [(ItemId, f32)],
    /// Day (fractions count, since 1970) of the newest interaction; `None` without any.
    pub last_day: Option<f64>,
    /// Width of the columns, where larger than that of the models: the catalogue has grown.
    pub width: usize,
    /// Columns of [`SideFeature::ALL`](super::SideFeature::ALL), one after another, each as wide as
    /// [`Models::width`](super::Models::width); empty = nothing is known.
    pub beside: &'a [f32],
}
