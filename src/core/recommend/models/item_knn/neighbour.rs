//! One similar item.

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

/// One similar item.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Similar item.
    pub item: ItemId,
    /// Cosine after shrinkage, 0…1.
    pub similarity: f32,
    /// Users or baskets that bought both, saturating.
    pub bought_together: u16,
}
