//! Live shoppers: simulated people as real WebSocket clients, who come and go, browse, buy and react to notifications
//! by their hidden tastes. Nothing here touches the server's insides.

mod mind;
mod visit;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::chance::{self, happens};
use super::session::Memory;
use super::{Shop, Shopper};
use crate::base::Timestamp;
use crate::base::random::{ChaCha8Rng, rng};

/// Ids below this are left to people who try the shop.
const FIRST_LIVE_SHOPPER: i64 = 20;
/// Longest pause between a shopper's leaving and the next one's coming, in the same seat.
const MAX_GAP: Duration = Duration::from_secs(6);

/// How to simulate.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// `ws://host:port/ws`.
    pub url: String,
    /// How many are there at the same time; with 0 the simulation is over at once.
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
            seed: super::SEED,
            n_items: super::N_ITEMS,
            population: super::N_SHOPPERS,
            pace: Duration::from_secs(4),
            duration: None,
        }
    }
}

/// What happened, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveSummary {
    /// Shoppers who came.
    pub visits: u64,
    /// Connections made, the first of each visit too.
    pub connections: u64,
    /// Events sent, repeats after a lost connection not counted.
    pub events: u64,
    /// Events that the server has committed.
    pub accepted: u64,
    /// Error frames received.
    pub errors: u64,
    /// Notifications received, each once.
    pub notifications: u64,
    /// Notifications clicked.
    pub clicked: u64,
    /// Notifications dismissed.
    pub dismissed: u64,
    /// Categories muted.
    pub muted: u64,
    /// Purchases made.
    pub purchases: u64,
}

/// The counters behind [`LiveSummary`].
#[derive(Debug, Default)]
struct Counters {
    visits: AtomicU64,
    connections: AtomicU64,
    events: AtomicU64,
    accepted: AtomicU64,
    errors: AtomicU64,
    notifications: AtomicU64,
    clicked: AtomicU64,
    dismissed: AtomicU64,
    muted: AtomicU64,
    purchases: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    fn summary(&self) -> LiveSummary {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LiveSummary {
            visits: read(&self.visits),
            connections: read(&self.connections),
            events: read(&self.events),
            accepted: read(&self.accepted),
            errors: read(&self.errors),
            notifications: read(&self.notifications),
            clicked: read(&self.clicked),
            dismissed: read(&self.dismissed),
            muted: read(&self.muted),
            purchases: read(&self.purchases),
        }
    }
}

/// What all seats share.
struct Town {
    options: LiveOptions,
    shop: Arc<Shop>,
    /// Shoppers who are in: nobody is in twice.
    inside: Mutex<HashSet<i64>>,
    /// What those who left remember.
    memories: Mutex<HashMap<i64, Memory>>,
    counters: Counters,
    /// The server can't be reached: said once, not by everyone.
    outage: AtomicBool,
    /// Separates the event ids of this run from those of the one before.
    run: i64,
}

/// Simulates until told to stop (or, with `duration`, until then) and says what happened. Connections that are lost
/// are made again; fails only if `url` is no WebSocket address or the server turns somebody away for good.
pub async fn run(options: LiveOptions, mut stop: watch::Receiver<bool>) -> anyhow::Result<LiveSummary> {
    visit::check_url(&options.url)?;
    let shop = Arc::new(Shop::generate(options.seed, options.n_items)?);
    let (seats, duration) = (options.shoppers, options.duration);
    let town = Arc::new(Town {
        options,
        shop,
        inside: Mutex::default(),
        memories: Mutex::default(),
        counters: Counters::default(),
        outage: AtomicBool::new(false),
        run: Timestamp::now().as_millis(),
    });
    let (close, closing) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for seat in 0..seats {
        tasks.spawn(sit(Arc::clone(&town), seat, closing.clone()));
    }
    let refused = tokio::select! {
        refused = first_refusal(&mut tasks) => refused,
        () = told(&mut stop) => None,
        () = after(duration) => None,
    };
    // The receivers may all be gone already, which is as well.
    let _ = close.send(true);
    let refused = match refused {
        Some(error) => Some(error),
        None => first_refusal(&mut tasks).await,
    };
    while tasks.join_next().await.is_some() {}
    let summary = town.counters.summary();
    match refused {
        Some(error) => Err(error),
        None => Ok(summary),
    }
}

/// Waits for seats to empty: the first that was turned away for good, or `None` when all have left.
async fn first_refusal(seats: &mut JoinSet<anyhow::Result<()>>) -> Option<anyhow::Error> {
    while let Some(left) = seats.join_next().await {
        match left {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Some(error),
            Err(error) => return Some(error.into()),
        }
    }
    None
}

/// Returns when told to stop, or when nobody is left who could tell.
async fn told(stop: &mut watch::Receiver<bool>) {
    // The guard it answers with must not live across an await.
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}

async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// One seat of the shop: shopper after shopper until told to stop.
async fn sit(town: Arc<Town>, seat: usize, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut rng = rng(town.options.seed, &format!("seat {seat}"));
    while !*stop.borrow() {
        let gap = MAX_GAP.min(town.options.pace * 2).mul_f64(chance::between(&mut rng, 0.0, 1.0));
        tokio::select! {
            () = tokio::time::sleep(gap) => {}
            () = told(&mut stop) => return Ok(()),
        }
        let Some(shopper) = town.invite(&mut rng, Timestamp::now()) else { continue };
        let id = shopper.id;
        let memory = town.memories.lock().remove(&id).unwrap_or_default();
        let label = format!("visit {seat} {}", chance::index(&mut rng, usize::MAX));
        let head =
            mind::Mind::new(Arc::clone(&town.shop), shopper, memory, self::rng(town.options.seed, &label));
        count(&town.counters.visits);
        let ended = visit::Visit::new(&town, head).run(&mut stop).await;
        town.inside.lock().remove(&id);
        town.memories.lock().insert(id, ended?.into_memory());
    }
    Ok(())
}

impl Town {
    /// Somebody who is not in yet and for whom it is a good hour to shop; `None` when nobody was found.
    fn invite(&self, rng: &mut ChaCha8Rng, now: Timestamp) -> Option<Shopper> {
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

#[cfg(test)]
mod tests;
