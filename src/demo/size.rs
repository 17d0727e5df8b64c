//! Size and seed of the demo's shop.

/// The demo's seed, unless told otherwise.
pub const SEED: u64 = 1;
/// Items of the demo's catalogue.
pub const N_ITEMS: usize = 600;
/// Shoppers with a history.
pub const N_SHOPPERS: u32 = 2_000;

/// Size of a demo shop, and its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoSize {
    /// Seed of everything.
    pub seed: u64,
    /// Items of the catalogue.
    pub n_items: usize,
    /// Shoppers with a history.
    pub n_shoppers: u32,
}

impl DemoSize {
    /// Size that `tidings demo` shows.
    pub fn of_seed(seed: u64) -> Self {
        Self { seed, n_items: N_ITEMS, n_shoppers: N_SHOPPERS }
    }
}
