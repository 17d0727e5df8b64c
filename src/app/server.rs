//! One server: start-up, the ticking, and a shutdown that drains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Arbiter;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpRequest, HttpResponse, ResponseError, web};
use anyhow::Context;
use tokio::sync::oneshot;

use super::{middleware, upkeep};
use crate::actors::Shared;
use crate::actors::absent;
use crate::actors::gateway::UserGateway;
use crate::actors::ingest::IngestActor;
use crate::actors::journal::{JournalActor, Record};
use crate::actors::learning;
use crate::actors::loader::LoaderActor;
use crate::actors::notifier::NotifierActor;
use crate::actors::recommender::RecommenderActor;
use crate::actors::send::offer;
use crate::actors::user::Drain;
use crate::actors::web_push;
use crate::base::{Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::http::admin::{DemoMode, SlowCache};
use crate::http::error::ApiError;
use crate::http::limits::LimitsCache;
use crate::http::websocket::{EchoLimits, Upgrades};
use crate::recommend::ModelSet;
use crate::store::models::{self, ModelState};
use crate::store::{
    Connection, Store, StoreError, items, jobs, push_keys, push_subscriptions, server, users,
};
use crate::transport::webpush::VapidKeys;
use crate::transport::ws;
use crate::transport::ws::socket::Room;

/// Model versions looked through for one that can be read.
const MAX_VERSIONS: i64 = 50;
/// Users whose connections are closed per turn at shutdown, and the time between turns: a deploy is not a storm.
const DRAIN_GROUP: usize = 500;
const DRAIN_PAUSE: Duration = Duration::from_millis(50);
/// How many clients are asked back a second after a drain.
const RECONNECTS_PER_S: usize = 4_000;

/// A running server.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its state.
    pub shared: Arc<Shared>,
    handle: ServerHandle,
    core: Arbiter,
    /// Encrypting pushes takes no time from commits.
    push: Arbiter,
}

/// What the database holds that a training needs: the catalogue, and the model to compare with. Blocks.
pub fn load_models(config: Config, store: Store) -> anyhow::Result<Arc<Shared>> {
    let (epoch, catalogue) = store.run_blocking(|connection| {
        Ok((server::epoch(connection)?, Catalogue::from_items(items::load_all(connection)?)))
    })?;
    let model = store.run_blocking(last_good_model)?;
    let shared = Shared::new(config, store, &epoch, catalogue, ModelSet::empty());
    shared.put_models(model.unwrap_or_else(ModelSet::empty));
    Ok(shared)
}

/// What the database holds that every request needs. Blocks.
pub fn load(config: Config, store: Store) -> anyhow::Result<Arc<Shared>> {
    store.run_blocking(|connection| jobs::fail_unfinished(connection, Timestamp::now()))?;
    let shared = load_models(config, store)?;
    shared.store.run_blocking(|connection| shared.begin_recount(connection))?;
    shared.store.run_blocking(|connection| shared.read_definitions(connection))?;
    shared.store.run_blocking(|connection| shared.read_learner(connection))?;
    enable_push(&shared)?;
    Ok(shared)
}

/// The key pushes are signed with, from the configuration or the database, and who can be pushed to. Blocks.
fn enable_push(shared: &Shared) -> anyhow::Result<()> {
    let webpush = &shared.config.webpush;
    if !webpush.enabled {
        return Ok(());
    }
    let configured = &webpush.private_key;
    let (stored, subscribed) = shared.store.run_blocking(|connection| {
        let stored = match configured.is_empty() {
            true => Some(push_keys::get_or_create(connection, &VapidKeys::generate())?),
            false => None,
        };
        Ok((stored, push_subscriptions::subscribed(connection, None)?))
    })?;
    let keys = match stored {
        Some(bytes) => VapidKeys::from_bytes(&bytes),
        None => VapidKeys::from_base64(configured),
    };
    shared.push.enable(keys.context("webpush.private_key")?, subscribed);
    Ok(())
}

/// The active model set; if its artefact can't be read, the newest one that served before and can.
fn last_good_model(connection: &mut Connection) -> Result<Option<ModelSet>, StoreError> {
    let mut versions = models::list(connection, MAX_VERSIONS)?;
    versions.retain(|row| row.state != ModelState::Rejected);
    versions.sort_by_key(|row| (row.state != ModelState::Active, std::cmp::Reverse(row.version)));
    for row in versions {
        let Some(artefact) = models::load(connection, row.version)? else { continue };
        match ModelSet::decode(&artefact) {
            Ok(mut model) => {
                model.version = row.version;
                return Ok(Some(model));
            }
            Err(error) => log::error!("model not loaded version={} error={error}", row.version),
        }
    }
    Ok(None)
}

/// Starts the actors and listens.
pub async fn start(shared: Arc<Shared>, demo: bool, echo: EchoLimits) -> anyhow::Result<Running> {
    let core = Arbiter::new();
    let arbiter = core.handle();
    start_actors(&shared, &arbiter).await?;
    let push = Arbiter::new();
    if let Some(reachable) = web_push::start(&shared, &push.handle()) {
        reachable.await.context("an actor did not start")?;
        arbiter.spawn(absent::look_after(Arc::clone(&shared)));
    }
    let limits = Arc::new(ws::Limits {
        socket: shared.config.socket.clone(),
        max_events: shared.config.ingest.max_batch,
    });
    let gateway = Arc::new(UserGateway::new(Arc::clone(&shared)));
    let upgrades = Arc::new(Upgrades {
        shared: Arc::clone(&shared),
        limits: Arc::clone(&limits),
        gateway: Arc::clone(&gateway),
        echo: echo.clone(),
        room: Room::new(shared.config.server.max_connections),
    });
    let max_body = shared.config.server.max_body_bytes;
    let app_shared = Arc::clone(&shared);
    let cache = web::Data::new(SlowCache::default());
    let limits_cache = web::Data::new(LimitsCache::default());
    let app = move || {
        App::new()
            .app_data(web::Data::new(Arc::clone(&app_shared)))
            .app_data(web::Data::new(Arc::clone(&limits)))
            .app_data(web::Data::new(Arc::clone(&gateway)))
            .app_data(web::Data::new(DemoMode(demo)))
            .app_data(web::Data::new(echo.clone()))
            .app_data(cache.clone())
            .app_data(limits_cache.clone())
            .app_data(web::PayloadConfig::new(max_body))
            .app_data(
                web::QueryConfig::default()
                    .error_handler(|error, _| ApiError::invalid("bad_query", None, error.to_string()).into()),
            )
            .app_data(
                web::PathConfig::default()
                    .error_handler(|error, _| ApiError::invalid("bad_path", None, error.to_string()).into()),
            )
            .wrap(from_fn(middleware::guard))
            .wrap(middleware::headers())
            .route("/demo/images/{category}/{seed}", web::get().to(demo_image))
            .configure(crate::http::routes)
    };
    let (server, address) =
        super::listen::bind(&shared.config.server, shared.config.socket.backend, upgrades, app)
            .with_context(|| format!("cannot listen on {}", shared.config.server.listen))?;
    let handle = server.handle();
    actix::spawn(async move {
        if let Err(error) = server.await {
            log::error!("server ended error={error}");
        }
    });
    arbiter.spawn(warm(Arc::clone(&shared)));
    arbiter.spawn(Arc::clone(&shared).recount_beside());
    arbiter.spawn(tick(Arc::clone(&shared)));
    arbiter.spawn(upkeep::run(Arc::clone(&shared)));
    arbiter.spawn(learning::keep(Arc::clone(&shared)));
    Ok(Running { address, shared, handle, core, push })
}

/// Starts them and waits until each can be reached: from the ready line on, every request is answered.
async fn start_actors(shared: &Arc<Shared>, arbiter: &actix::ArbiterHandle) -> anyhow::Result<()> {
    let state = || Arc::clone(shared);
    let (ingest, journal, loader, recommender, notifier) = (state(), state(), state(), state(), state());
    let started = [
        shared.ingest.start(arbiter, move |lifeline| IngestActor::new(Arc::clone(&ingest), lifeline)),
        shared.journal.start(arbiter, move |lifeline| JournalActor::new(Arc::clone(&journal), lifeline)),
        shared.loader.start(arbiter, move |lifeline| LoaderActor::new(Arc::clone(&loader), lifeline)),
        shared
            .recommender
            .start(arbiter, move |lifeline| RecommenderActor::new(Arc::clone(&recommender), lifeline)),
        // Last: what it finds in the outbox goes to users at once.
        shared.notifier.start(arbiter, move |lifeline| NotifierActor::new(Arc::clone(&notifier), lifeline)),
    ];
    for reachable in started {
        reachable.await.context("an actor did not start")?;
    }
    Ok(())
}

/// Every connection reads a user once before it is needed: the first query on a connection plans over all partitions.
async fn warm(shared: Arc<Shared>) {
    let reads = (0..shared.config.database.pool_size).map(|_| {
        shared.store.run(|connection| users::load_states(connection, &[UserId(0)], Timestamp::now()))
    });
    for read in futures_util::future::join_all(reads).await {
        if let Err(error) = read {
            log::warn!("connection not warmed error={error}");
        }
    }
}

async fn tick(shared: Arc<Shared>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !shared.draining.load(Ordering::Acquire) {
        second.tick().await;
        shared.metrics.sample(Timestamp::now());
    }
}

impl Running {
    /// No new logins; every connection is told to come back (3001), a group at a time; requests under way are
    /// answered; what was decided is committed.
    pub async fn stop(self) {
        self.shared.draining.store(true, Ordering::Release);
        let entries = self.shared.registry.entries();
        log::info!("draining users={}", entries.len());
        for (turn, group) in entries.chunks(DRAIN_GROUP).enumerate() {
            for (place, entry) in group.iter().enumerate() {
                // A full mailbox: the connection ends with the process, and the client resumes.
                let retry_ms = retry_ms(turn * DRAIN_GROUP + place);
                let _ = offer(&entry.address, Drain { retry_ms });
            }
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
        self.handle.stop(true).await;
        let (reply, flushed) = oneshot::channel();
        if self.shared.journal.offer(Record::Flush(reply)).is_queued() {
            let _ = tokio::time::timeout(Duration::from_secs(10), flushed).await;
        }
        self.shared.save_learner().await;
        self.shared.ingest.let_go();
        self.shared.journal.let_go();
        self.shared.loader.let_go();
        self.shared.recommender.let_go();
        self.shared.notifier.let_go();
        self.shared.web_push.let_go();
        self.push.stop();
        self.core.stop();
    }
}

/// When the n-th client to be let go is to come back: [`RECONNECTS_PER_S`] a second, the first after a moment for the new
/// process to start. Those let go early come back early, so nobody waits longer than the drain takes to reach them.
fn retry_ms(n: usize) -> u32 {
    const FIRST_MS: usize = 500;
    u32::try_from(FIRST_MS + n * 1_000 / RECONNECTS_PER_S).unwrap_or(u32::MAX).min(20_000)
}

/// A picture of the simulated shop, drawn on the spot; always there, since `serve` may serve a demo's database too.
async fn demo_image(request: HttpRequest) -> HttpResponse {
    match super::demo::images::from_path(request.path()) {
        Some(svg) => HttpResponse::Ok()
            .content_type("image/svg+xml")
            .insert_header(("Cache-Control", "public, max-age=86400"))
            .body(svg),
        None => ApiError::NotFound("this picture").error_response(),
    }
}
