//! `tidings demo`: a simulated shop with hidden tastes, its history, and live shoppers.

pub mod chance;
pub mod images;
pub mod shop;

pub use shop::{Shop, ShopItem};
