//! `tidings serve` and `tidings demo`.

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::say;
use crate::actors::recommender;
use crate::app::database::{Database, Sharing, open};
use crate::app::demo::{self, live};
use crate::app::server::{self, Running};
use crate::base::Timestamp;
use crate::config::Config;

/// Serves until it is told to stop.
pub fn serve(config: Config) -> anyhow::Result<()> {
    let database = open(&config, Sharing::Exclusive)?;
    let shared = server::load(config, database.store.clone())?;
    actix::System::new().block_on(async {
        let running = server::start(shared, false).await?;
        announce(&running)?;
        until_told(&database).await?;
        running.stop().await;
        anyhow::Ok(())
    })?;
    log::info!("stopped");
    Ok(())
}

/// Serves a simulated shop.
pub fn demo(config: Config, shoppers: usize, seed: u64) -> anyhow::Result<()> {
    let database = open(&config, Sharing::Exclusive)?;
    let summary = demo::load(&database.store, seed, Timestamp::now(), &mut progress())?;
    log::info!(
        "demo shop ready items={} shoppers={} events_loaded={}",
        summary.items,
        summary.shoppers,
        summary.events
    );
    let shared = server::load(config, database.store.clone())?;
    if shared.models.load().version.0 == 0 {
        log::info!("training the first model");
        let outcome = recommender::train(&shared, &mut |_, _| std::ops::ControlFlow::Continue(()))
            .context("the first model could not be trained")?;
        log::info!(
            "trained version={} took_ms={}: {}",
            outcome.model.version,
            outcome.took.as_millis(),
            outcome.gate.reason
        );
        shared.put_models(outcome.model);
    }
    actix::System::new().block_on(async {
        let running = server::start(shared, true).await?;
        announce(&running)?;
        let (stop, stopped) = watch::channel(false);
        let url = format!("ws://{}/ws", running.address);
        let options = live::LiveOptions { shoppers, seed, ..live::LiveOptions::new(url) };
        let shoppers = actix::spawn(live::run(options, stopped));
        until_told(&database).await?;
        // The shoppers leave first, so that their last events are stored.
        let _ = stop.send(true);
        let _ = tokio::time::timeout(Duration::from_secs(5), shoppers).await;
        running.stop().await;
        anyhow::Ok(())
    })?;
    log::info!("stopped");
    Ok(())
}

/// One log line a step of loading.
fn progress() -> impl FnMut(&'static str, f32) {
    let mut last = "";
    move |step, _| {
        if step != last {
            last = step;
            log::info!("{step}");
        }
    }
}

/// The one line that scripts wait for.
fn announce(running: &Running) -> anyhow::Result<()> {
    say(&format!("tidings is ready at http://{}/", running.address))
}

/// Waits for SIGINT or SIGTERM; an end of the private PostgreSQL is an error.
async fn until_told(database: &Database) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut check = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = check.tick() => {
                if let Some(cluster) = &database.cluster
                    && !cluster.is_running()
                {
                    anyhow::bail!("PostgreSQL has ended; start again, and it recovers by itself");
                }
            }
        }
    }
}
