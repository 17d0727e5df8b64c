//! `tidings demo`: a simulated shop with hidden tastes, its history, and live shoppers.

pub mod chance;
pub mod history;
pub mod images;
pub mod session;
pub mod shop;
pub mod shoppers;

pub use history::History;
pub use shop::{Shop, ShopItem};
pub use shoppers::Shopper;
