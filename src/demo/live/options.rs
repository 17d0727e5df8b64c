//! Options of the live shoppers.

use std::time::Duration;

use crate::size::{N_ITEMS, N_SHOPPERS, SEED};

/// Options of a live simulation.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// `ws://host:port/ws`.
    pub url: String,
    /// Number of shoppers there at the same time; with 0 the simulation is over at once.
    pub shoppers: usize,
    /// Seed of the shop and its town; the same as the history's.
    pub seed: u64,
    /// Items of the shop; the same as the catalogue's.
    pub n_items: usize,
    /// Shoppers in town: ids 1…n.
    pub population: u32,
    /// Mean pause between two acts of one shopper.
    pub pace: Duration,
    /// Stop by itself after this long.
    pub duration: Option<Duration>,
}

impl LiveOptions {
    /// Forty shoppers of the demo's town, each acting every four seconds or so.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            shoppers: 40,
            seed: SEED,
            n_items: N_ITEMS,
            population: N_SHOPPERS,
            pace: Duration::from_secs(4),
            duration: None,
        }
    }
}
