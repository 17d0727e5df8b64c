//! `tidings demo`: a simulated shop with hidden tastes, its history, and live shoppers.

pub mod chance;
mod dirt;
pub mod history;
pub mod images;
pub mod live;
mod load;
pub mod session;
pub mod shop;
pub mod shoppers;

pub use history::History;
pub use live::{LiveOptions, LiveSummary};
pub use load::{DemoSize, DemoSummary, load, load_sized};
pub use shop::{Shop, ShopItem};
pub use shoppers::Shopper;

/// The demo's seed, unless told otherwise.
pub const SEED: u64 = 1;
/// Items of the demo's catalogue.
pub const N_ITEMS: usize = 600;
/// Shoppers with a history.
pub const N_SHOPPERS: u32 = 2_000;
