//! The few facts of an item that filters read, kept beside each other: a list of 1,000,000 items is filtered without following
//! a pointer.

use crate::base::Timestamp;

use super::categories::PathId;
use super::item::{Item, Standing};
use super::prices::Currency;

/// Facts of one item. 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// Major units of `currency`; NaN = none.
    pub(super) price: f64,
    /// Moment the shop first named the item.
    pub created_at: Timestamp,
    /// Category path.
    pub path: Option<PathId>,
    /// ISO 4217 code.
    pub currency: Option<Currency>,
    /// Can be bought now.
    pub in_stock: bool,
    /// Amount that the catalogue says of it.
    pub standing: Standing,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            price: f64::NAN,
            created_at: Timestamp(0),
            path: None,
            currency: None,
            in_stock: false,
            standing: Standing::Named,
        }
    }
}

impl Facts {
    pub(super) fn of(item: &Item, path: Option<PathId>) -> Self {
        Self {
            price: item.price.unwrap_or(f64::NAN),
            created_at: item.created_at,
            path,
            currency: item.money_currency(),
            in_stock: item.in_stock(),
            standing: item.standing(),
        }
    }

    /// Price in major units; `None` where there is none.
    pub fn price(&self) -> Option<f64> {
        self.price.is_finite().then_some(self.price)
    }
}
