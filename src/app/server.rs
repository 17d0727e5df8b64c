//! One server: start-up, the ticking, and a shutdown that drains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Arbiter, ArbiterHandle};
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};

use super::{middleware, tls, upkeep};
use tidings_actors::gateway::UserGateway;
use tidings_actors::journal::messages::Record;
use tidings_actors::user::messages::UserMessage;
use tidings_actors::{App, catalogue_changes, definition_changes, offline_users};
use tidings_core::base::{Timestamp, UserId};
use tidings_core::catalogue::Money;
use tidings_core::config::{AuthMode, Config};
use tidings_core::recommend::ModelSet;
use tidings_http::admin::{DemoMode, SlowCache};
use tidings_http::bodies::Bodies;
use tidings_http::error::ApiError;
use tidings_http::limits::LimitsCache;
use tidings_http::permit::Anybody;
use tidings_http::personal_data::Exports;
use tidings_http::query;
use tidings_http::table::{self, Table};
use tidings_http::websocket::{EchoLimits, Upgrades};
use tidings_state::{AppState, audit, identity, learning};
use tidings_store::models::{self, ModelState};
use tidings_store::{
    Connection, Store, StoreError, event_kinds, items, jobs, push_keys, push_subscriptions, server, users,
};
use tidings_transport::posts::Streams;
use tidings_transport::webpush::VapidKeys;
use tidings_transport::ws;

/// Model versions looked through for one that can be read.
const MAX_VERSIONS: i64 = 50;
/// Users whose connections are closed per turn at shutdown, and the time between turns: a deploy is not a storm.
const DRAIN_GROUP: usize = 500;
const DRAIN_PAUSE: Duration = Duration::from_millis(50);
/// Number of clients asked back a second and core after a drain, and the most cores that count. Two cores log in 7,100 to 9,600 a second
/// (docs/benchmarks.md), with the clients of that benchmark and PostgreSQL on the same two; with more it was not measured.
const RECONNECTS_PER_S: usize = 4_000;
const RECONNECT_CORES: usize = 2;

/// A running server.
pub struct Running {
    /// Address it listens on.
    pub address: SocketAddr,
    /// Its state and its actors.
    pub app: Arc<App>,
    handle: ServerHandle,
    core: Arbiter,
    /// Encrypting pushes takes no time from commits.
    push: Arbiter,
}

/// Loads from the database what a training needs: the catalogue, and the model to compare with. Blocks.
pub fn load_models(config: Config, store: Store) -> anyhow::Result<Arc<AppState>> {
    let (epoch, catalogue, kinds) = store.run_blocking(|connection| {
        let mut catalogue = items::load_catalogue(connection, Timestamp::now())?;
        catalogue.set_money(Money::new(&config.money.base, &config.money.rates));
        let kinds = event_kinds::sync(connection, &config.event.kinds)?;
        Ok((server::epoch(connection)?, catalogue, kinds))
    })?;
    let mut model = store.run_blocking(last_good_model)?.unwrap_or_else(ModelSet::empty);
    let state = AppState::new(config, store, &epoch, catalogue, ModelSet::empty(), kinds);
    let watch = state.watch_items();
    state.store.run_blocking(|connection| state.bring_up_to_date(connection, &mut model))?;
    state.put_models(model, &watch);
    Ok(state)
}

/// Loads from the database what every request needs. Blocks.
pub fn load(config: Config, store: Store) -> anyhow::Result<Arc<AppState>> {
    store.run_blocking(|connection| jobs::fail_unfinished(connection, Timestamp::now()))?;
    let state = load_definitions(config, store)?;
    enable_push(&state)?;
    if state.config.auth.mode == AuthMode::Token {
        state.identity.load_keys().context("auth")?;
    }
    state.store.run_blocking(|connection| state.identity.read_changes(connection))?;
    state.store.run_blocking(|connection| state.tombstones.read(connection))?;
    Ok(state)
}

/// Loads what decisions read, events since the training counted, for a command that works beside a server. Blocks.
pub fn load_decisions(config: Config, store: Store) -> anyhow::Result<Arc<AppState>> {
    let state = load_definitions(config, store)?;
    state.store.run_blocking(|connection| state.recount(connection))?;
    Ok(state)
}

fn load_definitions(config: Config, store: Store) -> anyhow::Result<Arc<AppState>> {
    let state = load_models(config, store)?;
    state.store.run_blocking(|connection| state.begin_recount(connection))?;
    state.store.run_blocking(|connection| state.read_definitions(connection))?;
    state.store.run_blocking(|connection| state.read_learner(connection))?;
    Ok(state)
}

/// The key pushes are signed with, from the configuration or the database, and who can be pushed to. Blocks.
fn enable_push(state: &AppState) -> anyhow::Result<()> {
    let webpush = &state.config.webpush;
    if !webpush.enabled {
        return Ok(());
    }
    let configured = &webpush.private_key;
    let keys = match configured.is_empty() {
        true => VapidKeys::from_bytes(
            &state
                .store
                .run_blocking(|connection| push_keys::get_or_create(connection, &VapidKeys::generate()))?,
        ),
        false => VapidKeys::from_base64(configured),
    };
    let keys = keys.context("webpush.private_key")?;
    let (ended, subscribed) = state.store.run_blocking(|connection| {
        let ended = push_subscriptions::note_key(connection, keys.public(), Timestamp::now())?;
        Ok((ended, push_subscriptions::subscribed(connection, None)?))
    })?;
    if ended > 0 {
        log::warn!(
            "push subscriptions of another key have ended, browsers subscribe anew subscriptions={ended}"
        );
    }
    state.push.enable(keys, subscribed);
    Ok(())
}

/// The active model set; if its artefact can't be read, the newest one that served before and can.
pub(super) fn last_good_model(connection: &mut Connection) -> Result<Option<ModelSet>, StoreError> {
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
pub async fn start(state: Arc<AppState>, demo: bool, echo: EchoLimits) -> anyhow::Result<Running> {
    let app = App::new(Arc::clone(&state));
    app.registry.aliases.load(state.store.run_patiently(users::aliases).await?);
    let core = Arbiter::new();
    let arbiter = core.handle();
    app.start(&arbiter).await.context("an actor did not start")?;
    let push = Arbiter::new();
    start_senders(&app, &arbiter, &push.handle()).await?;
    keep_keys(&state, &arbiter, &push.handle());
    let limits = Arc::new(ws::Limits {
        socket: state.config.socket.clone(),
        max_events: state.config.ingest.max_batch,
    });
    let gateway = Arc::new(UserGateway::new(Arc::clone(&app)));
    let upgrades = Arc::new(Upgrades {
        app: Arc::clone(&app),
        limits: Arc::clone(&limits),
        gateway: Arc::clone(&gateway),
        echo: echo.clone(),
        sockets: Arc::new(Semaphore::new(state.config.server.max_connections)),
    });
    let data = shared_data(Arc::clone(&app), limits, gateway, demo, echo);
    let service = move || {
        actix_web::App::new()
            .configure(&data)
            .configure(refusals)
            .wrap(from_fn(middleware::run))
            .wrap(from_fn(middleware::enter))
            .configure(demo_images)
            .configure(tidings_http::routes)
    };
    let tls = tls::enable(&state)?;
    let handshakes = tls.as_ref().map(|(handshakes, _)| Arc::clone(handshakes));
    let (server, address) =
        super::listen::bind(&state.config.server, state.config.socket.backend, upgrades, handshakes, service)
            .with_context(|| format!("cannot listen on {}", state.config.server.listen))?;
    if let Some((_, serving)) = tls {
        // Heard from now on: whoever waits until the server is ready may send it at once.
        let hangup = signal(SignalKind::hangup()).context("SIGHUP can't be listened to")?;
        arbiter.spawn(tls::keep(Arc::clone(&state), serving, hangup));
    }
    let handle = server.handle();
    actix::spawn(async move {
        if let Err(error) = server.await {
            log::error!("server ended error={error}");
        }
    });
    spawn_upkeep(&app, &arbiter);
    Ok(Running { address, app, handle, core, push })
}

/// Data that the handlers of all workers share.
fn shared_data(
    app: Arc<App>,
    limits: Arc<ws::Limits>,
    gateway: Arc<UserGateway>,
    demo: bool,
    echo: EchoLimits,
) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
    let max_body = app.state.config.server.max_body_bytes;
    let bodies = web::Data::new(Bodies::new(&app.state.config));
    let app = web::Data::from(app);
    let cache = web::Data::new(SlowCache::default());
    let limits_cache = web::Data::new(LimitsCache::default());
    let streams = web::Data::new(Streams::default());
    let exports = web::Data::new(Exports::default());
    move |config| {
        config
            .app_data(app.clone())
            .app_data(web::Data::new(Arc::clone(&limits)))
            .app_data(web::Data::new(Arc::clone(&gateway)))
            .app_data(web::Data::new(DemoMode(demo)))
            .app_data(web::Data::new(echo.clone()))
            .app_data(cache.clone())
            .app_data(limits_cache.clone())
            .app_data(streams.clone())
            .app_data(exports.clone())
            .app_data(bodies.clone())
            .app_data(web::PayloadConfig::new(max_body));
    }
}

/// Starts what runs beside the actors: recounting, ticks, upkeep of tables, learning, the audit log, erasures, stored items and definitions
/// that were not read, changes of keys.
fn spawn_upkeep(app: &Arc<App>, arbiter: &ArbiterHandle) {
    let state = &app.state;
    state.store.keep_asking();
    arbiter.spawn(warm(Arc::clone(state)));
    arbiter.spawn(Arc::clone(state).recount_beside());
    arbiter.spawn(tick(Arc::clone(state)));
    arbiter.spawn(upkeep::run(Arc::clone(state)));
    arbiter.spawn(learning::keep(Arc::clone(state)));
    arbiter.spawn(audit::keep(Arc::clone(&state.audit), state.store.clone(), Arc::clone(&state.tombstones)));
    arbiter.spawn(Arc::clone(&app.erasures).run());
    arbiter.spawn(catalogue_changes::follow(Arc::clone(state), Arc::clone(&app.registry)));
    arbiter.spawn(definition_changes::follow(Arc::clone(state), Arc::clone(&app.registry)));
    let drained = Arc::clone(state);
    let is_draining = move || drained.draining.load(Ordering::Acquire);
    arbiter.spawn(identity::watch_changes(Arc::clone(&state.identity), state.store.clone(), is_draining));
}

/// Starts what sends to others: Web Push and webhooks.
async fn start_senders(app: &Arc<App>, core: &ArbiterHandle, push: &ArbiterHandle) -> anyhow::Result<()> {
    if let Some(reachable) = app.start_web_push(push) {
        reachable.await.context("an actor did not start")?;
        core.spawn(offline_users::look_after(
            Arc::clone(&app.state),
            Arc::clone(&app.launcher),
            Arc::clone(&app.registry),
        ));
    }
    app.start_webhooks(push).await.context("an actor did not start")
}

/// Keeps the keys of tokens up to date.
fn keep_keys(state: &AppState, core: &ArbiterHandle, push: &ArbiterHandle) {
    if state.config.auth.mode == AuthMode::Token {
        core.spawn(identity::watch_files(Arc::clone(&state.identity)));
        let identity = Arc::clone(&state.identity);
        push.spawn_fn(move || {
            actix::spawn(identity::fetch_keys(identity));
        });
    }
}

/// Queries and paths that can't be read are answered like every other error.
fn refusals(config: &mut web::ServiceConfig) {
    config
        .app_data(web::QueryConfig::default().error_handler(|error, _| query::refused(&error).into()))
        .app_data(
            web::PathConfig::default()
                .error_handler(|error, _| ApiError::invalid("bad_path", None, error.to_string()).into()),
        );
}

/// Every connection reads a user once before it is needed: the first query on a connection plans over all partitions.
async fn warm(state: Arc<AppState>) {
    let reads = (0..state.config.database.pool_size).map(|_| {
        let fields = Arc::clone(state.store.fields());
        state.store.run_patiently(move |connection| {
            users::load_states(connection, &fields, &[UserId(0)], Timestamp::now())
        })
    });
    for read in futures_util::future::join_all(reads).await {
        if let Err(error) = read {
            log::warn!("connection not warmed error={error}");
        }
    }
}

async fn tick(state: Arc<AppState>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !state.draining.load(Ordering::Acquire) {
        second.tick().await;
        state.metrics.sample(Timestamp::now());
    }
}

impl Running {
    /// No new logins; every connection is told to come back (3001), a group at a time; requests under way are
    /// answered; what was decided is committed.
    pub async fn stop(self) {
        self.app.state.draining.store(true, Ordering::Release);
        let entries = self.app.registry.entries();
        log::info!("draining users={}", entries.len());
        let turns = entries.len().div_ceil(DRAIN_GROUP);
        let cores =
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(RECONNECT_CORES);
        for (turn, group) in entries.chunks(DRAIN_GROUP).enumerate() {
            let left = DRAIN_PAUSE * u32::try_from(turns - turn).unwrap_or(u32::MAX);
            for (place, entry) in group.iter().enumerate() {
                // A full mailbox: the connection ends with the process, and the client resumes.
                let retry_ms = retry_ms(left, turn * DRAIN_GROUP + place, cores);
                let _ = entry.offer(UserMessage::Drain { retry_ms });
            }
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
        self.handle.stop(true).await;
        let (reply, flushed) = oneshot::channel();
        let state = &self.app.state;
        let last_words = async {
            if self.app.journal.offer(Record::Flush(reply)).is_queued() {
                let _ = tokio::time::timeout(Duration::from_secs(10), flushed).await;
            }
            state.save_learner().await;
            state.audit.flush().await;
        };
        tokio::select! {
            () = last_words => {}
            () = state.store.until_it_hangs() => log::error!("PostgreSQL does not answer: not waited for"),
        }
        self.app.stop_supervising();
        self.push.stop();
        self.core.stop();
    }
}

/// Reconnect delay of the n-th released client: [`RECONNECTS_PER_S`] a second and core, the first after what is `left` of the drain and
/// a moment for the new process to start. Whoever came earlier would find nobody there, and come again at a time that chance chooses.
fn retry_ms(left: Duration, n: usize, cores: usize) -> u32 {
    const FIRST_MS: u128 = 500;
    let spread_ms = n as u128 * 1_000 / (RECONNECTS_PER_S * cores) as u128;
    u32::try_from(left.as_millis() + FIRST_MS + spread_ms).unwrap_or(u32::MAX).min(20_000)
}

fn demo_images(config: &mut web::ServiceConfig) {
    let table = Table::default().route("/demo/images/{category}/{seed}", table::get().to(demo_image));
    for resource in table.resources() {
        config.service(resource);
    }
}

/// A picture of the simulated shop, coloured on the spot; always there, since `serve` may serve a demo's database too.
async fn demo_image(request: HttpRequest, _: Anybody) -> HttpResponse {
    match tidings_demo::images::from_path(request.path()) {
        Some(svg) => HttpResponse::Ok()
            .content_type("image/svg+xml")
            .insert_header(("Cache-Control", "public, max-age=86400"))
            .body(svg),
        None => ApiError::NotFound("this picture").error_response(),
    }
}
