//! `tidings serve` and `tidings demo`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{people, say};
use crate::app::database::{Database, Sharing, open};
use crate::app::server::{self, Running};
use crate::app::usage::Usage;
use tidings_actors::recommender::training;
use tidings_core::base::Timestamp;
use tidings_core::config::{AuthMode, Config, listen_address};
use tidings_demo::live;
use tidings_http::websocket::EchoLimits;
use tidings_state::sign_ins::page_of_link;
use tidings_store::cluster::Cluster;
use tidings_store::lease::{Lease, Standing};

/// So many restarts of the private PostgreSQL within the window are a fault to look at, not to hide.
const MAX_RESTARTS: usize = 20;
const RESTART_WINDOW: Duration = Duration::from_secs(600);
/// A stop may take this much longer than open requests are waited for.
const LAST_RESORT: Duration = Duration::from_secs(15);
/// It was tried and failed.
const EXIT_FAILED: i32 = 1;
/// The lease on the database is looked at this often.
const LEASE_CHECK: Duration = Duration::from_secs(1);

/// Serves until it is told to stop.
pub fn serve(config: Config, conformance_echo: bool) -> anyhow::Result<()> {
    let loopback = listen_address(&config.server.listen).is_some_and(|at| at.ip().is_loopback());
    anyhow::ensure!(loopback || !conformance_echo, "--conformance-echo is for a loopback address only");
    let echo = if conformance_echo { EchoLimits::wide(config.socket.clone()) } else { EchoLimits::default() };
    let database = open(&config, Sharing::Exclusive)?;
    let state = server::load(config, database.store.clone())?;
    actix::System::new().block_on(async {
        let running = server::start(state, false, echo).await?;
        let end = Signals::new()?;
        announce(&running)?;
        invite(&running)?;
        until_told(end, &database).await?;
        wind_down(running, &database).await;
        anyhow::Ok(())
    })?;
    log::info!("stopped");
    Ok(())
}

/// Stops the server. What waits for a PostgreSQL that hangs never ends, so the process does; and so it does, as a last resort, when the
/// stop takes too long for whatever reason.
async fn wind_down(running: Running, database: &Database) {
    let grace = Duration::from_secs(running.app.state.config.server.shutdown_grace_s) + LAST_RESORT;
    let last_resort = std::thread::Builder::new().name("last-resort".to_owned()).spawn(move || {
        std::thread::sleep(grace);
        log::error!("not stopped within {} s: ended", grace.as_secs());
        std::process::exit(EXIT_FAILED);
    });
    if let Err(error) = last_resort {
        log::error!("nothing ends a stop that takes too long: no thread error={error}");
    }
    running.stop().await;
    if database.store.hangs() {
        log::error!("PostgreSQL does not answer: ended without it");
        std::process::exit(EXIT_FAILED);
    }
}

/// Serves a simulated shop.
pub fn demo(config: Config, shoppers: usize, seed: u64) -> anyhow::Result<()> {
    if config.tls.is_on() {
        return Err(Usage::error(
            "tls: the shoppers of the demo speak without TLS; leave it out, or run `tidings serve`",
        ));
    }
    let database = open(&config, Sharing::Exclusive)?;
    let summary = tidings_demo::load(&database.store, seed, Timestamp::now(), &mut progress())?;
    log::info!(
        "demo shop ready items={} shoppers={} events_loaded={}",
        summary.items,
        summary.shoppers,
        summary.events
    );
    let state = server::load(config, database.store.clone())?;
    if state.models.load().version.0 == 0 {
        log::info!("training the first model");
        let watch = state.watch_items();
        let outcome = training::train(&state, None, &mut |_, _| std::ops::ControlFlow::Continue(()))
            .context("the first model could not be trained")?;
        log::info!(
            "trained version={} took_ms={}: {}",
            outcome.model.version,
            outcome.took.as_millis(),
            outcome.gate.reason
        );
        state.put_models(outcome.model, &watch);
    }
    actix::System::new().block_on(async {
        let running = server::start(state, true, EchoLimits::default()).await?;
        let end = Signals::new()?;
        announce(&running)?;
        let (stop, stopped) = watch::channel(false);
        let url = format!("ws://{}/ws", running.address);
        let options = live::LiveOptions { shoppers, seed, ..live::LiveOptions::new(url) };
        let shoppers = actix::spawn(live::run(options, stopped));
        until_told(end, &database).await?;
        // The shoppers leave first, so that their last events are stored.
        let _ = stop.send(true);
        let _ = tokio::time::timeout(Duration::from_secs(5), shoppers).await;
        wind_down(running, &database).await;
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
    let config = &running.app.state.config;
    let scheme = config.tls.scheme();
    say(&format!("tidings is ready at {scheme}://{}{}/", running.address, config.server.base_path.as_str()))
}

/// A line with the link that makes the first administrator, where people sign in and there is none yet.
fn invite(running: &Running) -> anyhow::Result<()> {
    let state = &running.app.state;
    let config = &state.config;
    if config.auth.mode != AuthMode::Token || !config.people.passwords {
        return Ok(());
    }
    let Some(secret) = state.store.run_blocking(|connection| people::first_link(config, connection))? else {
        return Ok(());
    };
    let (base, page) = (config.server.base_path.as_str(), page_of_link(&secret));
    let hours = config.people.link_h;
    let link = format!("{}://{}{base}/{page}", config.tls.scheme(), running.address);
    // Whoever started the server may read its first line only.
    if let Err(error) =
        say(&format!("there is no administrator yet; the first one, once within {hours} h: {link}"))
    {
        log::warn!("the link of the first administrator was not printed: {error}");
    }
    Ok(())
}

/// SIGINT and SIGTERM, heard from the moment it is made: before the server says that it is ready, since whoever waits for that line may
/// stop it at once.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
}

/// Waits for SIGINT or SIGTERM, and meanwhile keeps the private PostgreSQL running and the lease held.
async fn until_told(mut end: Signals, database: &Database) -> anyhow::Result<()> {
    tokio::select! {
        _ = end.interrupt.recv() => Ok(()),
        _ = end.terminate.recv() => Ok(()),
        error = keep_cluster(database.cluster.clone()) => Err(error),
        error = keep_lease(database.lease.clone()) => Err(error),
    }
}

/// Looks after the lease on the database; ends with an error when another server has taken it. Nothing that this one decides
/// is stored from then on, and what it remembers of its users is out of date.
async fn keep_lease(lease: Option<Arc<Mutex<Lease>>>) -> anyhow::Error {
    let Some(lease) = lease else { return std::future::pending().await };
    let mut check = tokio::time::interval(LEASE_CHECK);
    check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = Standing::Held;
    loop {
        check.tick().await;
        let checked = Arc::clone(&lease);
        let standing = tokio::task::spawn_blocking(move || checked.lock().check()).await;
        match standing.unwrap_or(Standing::Unknown) {
            Standing::Lost => {
                return anyhow::anyhow!(
                    "another server has taken over this database while it could not be reached: this one ends. \
                     Run one server a database"
                );
            }
            Standing::Unknown if last == Standing::Held => {
                log::warn!("the lease on the database can't be checked: PostgreSQL can't be reached");
                last = Standing::Unknown;
            }
            standing => last = standing,
        }
    }
}

/// Starts a private PostgreSQL that has ended again; ends with an error when it ends too often.
async fn keep_cluster(cluster: Option<Arc<Cluster>>) -> anyhow::Error {
    let Some(cluster) = cluster else { return std::future::pending().await };
    let mut check = tokio::time::interval(Duration::from_millis(200));
    let mut restarts: VecDeque<Instant> = VecDeque::new();
    loop {
        check.tick().await;
        if cluster.is_running() {
            continue;
        }
        restarts.retain(|at| at.elapsed() < RESTART_WINDOW);
        if restarts.len() >= MAX_RESTARTS {
            return anyhow::anyhow!(
                "PostgreSQL has ended {MAX_RESTARTS} times within {} min; its log is postgres.log in the data directory",
                RESTART_WINDOW.as_secs() / 60
            );
        }
        restarts.push_back(Instant::now());
        log::error!("PostgreSQL has ended, starting it again");
        let again = Arc::clone(&cluster);
        match tokio::task::spawn_blocking(move || again.restart()).await {
            Ok(Ok(())) => log::info!("PostgreSQL runs again pid={}", cluster.pid()),
            Ok(Err(error)) => log::error!("PostgreSQL not started error={error}"),
            Err(error) => log::error!("PostgreSQL not started error={error}"),
        }
    }
}
