//! Conditions of one list: what a caller asks for beside the shop's settings.

use std::sync::Arc;

use crate::base::ItemId;

use super::item_filter::ItemFilter;
use super::placement::{Placement, Wants};

/// Conditions of one list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Only items that pass.
    pub filter: ItemFilter,
    /// Also what is sold out.
    pub any_stock: bool,
    /// Never these.
    pub exclude: Vec<ItemId>,
    /// Items of the cart that the list stands beside, the one put in last at the end; never in the list.
    pub basket: Vec<ItemId>,
    /// Place of the shop where the list stands.
    pub placement: Option<Arc<Placement>>,
    /// Kind of items that the list is to hold; `None` = as the placement says.
    pub wants: Option<Wants>,
}

impl Selection {
    /// No condition.
    pub const NONE: Self = Self {
        filter: ItemFilter::NONE,
        any_stock: false,
        exclude: Vec::new(),
        basket: Vec::new(),
        placement: None,
        wants: None,
    };
}
