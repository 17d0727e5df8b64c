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
pub mod simulation;
mod size;

pub use history::History;
pub use live::{LiveOptions, LiveSummary};
pub use load::{DemoSummary, load, load_sized};
pub use shop::{Shop, ShopItem};
pub use shoppers::Shopper;
pub use size::{DemoSize, N_ITEMS, N_SHOPPERS, SEED};
