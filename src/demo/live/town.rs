//! The town that live shoppers come from: who is in the shop, who remembers what.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::counters::Counters;
use super::options::LiveOptions;
use crate::chance::{self, happens};
use crate::session::Memory;
use crate::shop::Shop;
use crate::shoppers::Shopper;
use tidings_core::base::Timestamp;
use tidings_core::base::random::ChaCha8Rng;

/// Ids below this are left to people who try the shop.
const FIRST_LIVE_SHOPPER: i64 = 20;

/// State shared by all seats.
pub(super) struct Town {
    pub(super) options: LiveOptions,
    pub(super) shop: Arc<Shop>,
    /// Shoppers who are in: nobody is in twice.
    pub(super) inside: Mutex<HashSet<i64>>,
    /// Memories of those who left.
    pub(super) memories: Mutex<HashMap<i64, Memory>>,
    pub(super) counters: Counters,
    /// The server can't be reached: said once, not by everyone.
    pub(super) outage: AtomicBool,
    /// Separates the event ids of this run from those of the one before.
    pub(super) run: i64,
}

impl Town {
    /// Somebody who is not in yet and for whom it is a good hour to shop; `None` when nobody was found.
    pub(super) fn invite(&self, rng: &mut ChaCha8Rng, now: Timestamp) -> Option<Shopper> {
        let first = FIRST_LIVE_SHOPPER.min(i64::from(self.options.population));
        let others = usize::try_from(i64::from(self.options.population) - first).unwrap_or(0) + 1;
        (0..200).find_map(|_| {
            let id = first + i64::try_from(chance::index(rng, others)).unwrap_or(0);
            if self.inside.lock().contains(&id) {
                return None;
            }
            let shopper = Shopper::generate(&self.shop, id);
            let comes = happens(rng, shopper.activity(now));
            (comes && self.inside.lock().insert(id)).then_some(shopper)
        })
    }
}

/// Returns when told to stop, or when nobody is left who could tell.
pub(super) async fn told(stop: &mut watch::Receiver<bool>) {
    // The guard it answers with must not live across an await.
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}
