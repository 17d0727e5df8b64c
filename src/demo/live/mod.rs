//! Live shoppers: simulated people as real WebSocket clients, who come and go, browse, buy and react to notifications
//! by their hidden tastes. Nothing here touches the server's insides.

mod counters;
mod mind;
mod options;
mod town;
mod visit;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::counters::{Counters, count};
use self::town::{Town, told};
use super::chance;
use super::shop::Shop;
use tidings_core::base::Timestamp;
use tidings_core::base::random::rng;

pub use counters::LiveSummary;
pub use options::LiveOptions;

/// Longest pause between a shopper's leaving and the next one's coming, in the same seat.
const MAX_GAP: Duration = Duration::from_secs(6);

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

#[cfg(test)]
mod tests;
