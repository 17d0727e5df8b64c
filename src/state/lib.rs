//! Application state of one server: what actors and request handlers read and write without asking an actor. It stands
//! before `actors` in the order of imports, so it can name none.

pub mod audit;
pub mod budget;
pub mod changed_items;
pub mod definitions;
pub mod identity;
pub mod job_board;
pub mod learned;
pub mod learning;
pub mod limiter;
pub mod live;
pub mod monitor;
pub mod oidc;
pub mod push_state;
mod recount;
pub mod sessions;
mod settle;
pub mod sign_ins;
mod snapshot;
pub mod sources;
pub mod tombstones;
mod under_way;
pub mod unread_items;
pub mod user_lists;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::audit::AuditLog;
use self::budget::Budget;
use self::changed_items::{ChangedItems, Watch};
use self::identity::Identity;
use self::job_board::JobBoard;
use self::learned::Learned;
use self::limiter::Limiter;
use self::live::Live;
use self::monitor::Monitor;
use self::push_state::PushState;
use self::sources::Sources;
use self::tombstones::Tombstones;
pub use self::under_way::{Processing, UnderWay};
use self::unread_items::UnreadItems;
use tidings_core::base::{ItemId, Millis, Timestamp};
use tidings_core::catalogue::{Catalogue, Embedding, Item};
use tidings_core::config::Config;
use tidings_core::event::clean::Caps;
use tidings_core::event::{Event, OwnKinds};
use tidings_core::recommend::ModelSet;
use tidings_core::recommend::models::content_based::ContentBased;
use tidings_decision::decide::{Definitions, ExperimentModels};
use tidings_decision::notify::Rules;
use tidings_decision::notify::triggers::Change;
use tidings_store::Store;
use tidings_store::items::Upserted;
use tidings_telemetry::{Gauge, Metrics};

/// Changes of one update that are told: a shop that re-prices everything tells nobody about the rest.
pub const MAX_CHANGES: usize = 200;
/// Longest that a transaction, or a start, takes from its beginning to when others see it.
const CLOCKS: Millis = Millis(3_600_000);

/// One server's state. Readers take a snapshot and never wait for a writer.
pub struct AppState {
    /// The validated configuration.
    pub config: Config,
    /// PostgreSQL.
    pub store: Store,
    /// Counters and timings.
    pub metrics: Metrics,
    /// Incarnation of all streams.
    pub epoch: Box<str>,
    /// Active triggers, templates, policy and experiments, swapped whole.
    pub definitions: ArcSwap<Definitions>,
    /// Messages sent in this hour.
    pub budget: Budget,
    /// Largest believable values of live events.
    pub caps: Caps,
    /// The current catalogue, swapped whole.
    pub catalogue: ArcSwap<Catalogue>,
    /// Kinds of events of the shop's own.
    pub event_kinds: Arc<OwnKinds>,
    /// The current model set, swapped whole.
    pub models: ArcSwap<ModelSet>,
    /// Models that arms of experiments name, swapped whole.
    pub experiment_models: ArcSwap<ExperimentModels>,
    /// Drift since training, and a version beside the one that serves.
    pub monitor: Monitor,
    /// Counts of events since the model was trained.
    pub live: Live,
    /// State learned from messages.
    pub learned: Learned,
    /// One writer of catalogue and models at a time.
    change: Mutex<()>,
    /// One change of embeddings at a time, in the database and here.
    embeddings_order: Mutex<()>,
    /// One that makes known what it has stored or read at a time.
    items_order: Mutex<()>,
    /// Items that were changed here while others read or store them.
    changed_items: Arc<ChangedItems>,
    /// Stored items that memory has still to follow.
    pub unread_items: UnreadItems,
    /// Told when definitions are stored that could not be read.
    pub unread_definitions: Notify,
    /// Moment of the last reading of the stored catalogue, microseconds since 1970.
    catalogue_read_at: AtomicI64,
    /// The content index is being made anew.
    renewing: AtomicBool,
    /// One reader of the stored definitions at a time, so that the last to swap them has read the latest.
    reading_definitions: Mutex<()>,
    /// Users who can be pushed to, and the keys.
    pub push: PushState,
    /// Latest reports of pullers.
    pub sources: Sources,
    /// Progress of trainings.
    pub jobs: JobBoard,
    /// Rates of requests and connections.
    pub limiter: Limiter,
    /// Requests under an `Idempotency-Key` that are being processed.
    pub under_way: UnderWay,
    /// The server is going down: no new logins.
    pub draining: AtomicBool,
    /// Keys that tokens are verified with.
    pub identity: Arc<Identity>,
    /// Audit log.
    pub audit: Arc<AuditLog>,
    /// Ids of erased users.
    pub tombstones: Arc<Tombstones>,
}

impl AppState {
    /// State before any actor runs.
    pub fn new(
        config: Config,
        store: Store,
        epoch: &str,
        catalogue: Catalogue,
        models: ModelSet,
        event_kinds: OwnKinds,
    ) -> Arc<Self> {
        let (definitions, _) = Definitions::new(&[], &config.policy);
        let identity = Arc::new(Identity::new(&config.auth, &config.people));
        let state = Self {
            limiter: Limiter::new(&config),
            config,
            store,
            metrics: Metrics::default(),
            epoch: epoch.into(),
            definitions: ArcSwap::from_pointee(definitions),
            budget: Budget::default(),
            caps: Caps::live_default(),
            catalogue: ArcSwap::from_pointee(catalogue),
            event_kinds: Arc::new(event_kinds),
            models: ArcSwap::from_pointee(models),
            experiment_models: ArcSwap::default(),
            monitor: Monitor::default(),
            live: Live::default(),
            learned: Learned::default(),
            change: Mutex::new(()),
            embeddings_order: Mutex::new(()),
            items_order: Mutex::new(()),
            changed_items: Arc::default(),
            unread_items: UnreadItems::default(),
            unread_definitions: Notify::new(),
            catalogue_read_at: AtomicI64::new((Timestamp::now() - CLOCKS).0),
            renewing: AtomicBool::new(false),
            reading_definitions: Mutex::new(()),
            push: PushState::default(),
            sources: Sources::default(),
            jobs: JobBoard::default(),
            under_way: UnderWay::default(),
            draining: AtomicBool::new(false),
            identity,
            audit: Arc::default(),
            tombstones: Arc::default(),
        };
        state.metrics.set(Gauge::Items, i64::try_from(state.catalogue.load().len()).unwrap_or(i64::MAX));
        state.metrics.set(Gauge::ModelVersion, i64::from(state.models.load().version.0));
        Arc::new(state)
    }

    /// Rules of the active policy.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.definitions.load().rules)
    }

    /// Returns whether messages of this trigger may be sent by Web Push.
    pub fn is_pushable(&self, trigger: &str) -> bool {
        !self.config.webpush.not_for.iter().any(|name| name == trigger)
    }

    /// Adds or replaces items and notes what they cost since when, and their embeddings: the catalogue first, then the model set learns
    /// of them. Items that became cheaper, available or new, at most [`MAX_CHANGES`]. Of items that others may change see
    /// [`Self::settle`].
    pub fn upsert_items(&self, stored: Upserted) -> Vec<Change> {
        let Upserted { items, prices, embeddings } = stored;
        let _writer = self.change.lock();
        // A training reads the whole catalogue again, of which next to nothing is news.
        let current = self.catalogue.load();
        let is_known = |item: &Item| current.get(item.id).is_some_and(|known| **known == *item);
        let items: Vec<Item> = items.into_iter().filter(|item| !is_known(item)).collect();
        if items.is_empty() && prices.is_empty() && embeddings.is_empty() {
            return Vec::new();
        }
        let ids: Vec<ItemId> = items.iter().map(|item| item.id).collect();
        let mut catalogue = Catalogue::clone(&current);
        catalogue.note_prices(&prices);
        let mut changes = Vec::new();
        for item in items {
            if changes.len() < MAX_CHANGES {
                changes.extend(Change::between(catalogue.get(item.id).map(AsRef::as_ref), &item));
            }
            catalogue.upsert(item);
        }
        // Of another length than those in memory: the stored ones were all replaced, and all are news.
        let known = catalogue.embeddings().dimensions();
        let is_other = |one: &Embedding| known.is_some_and(|known| one.dimensions() != known);
        if embeddings.iter().any(|(_, one)| one.as_ref().is_some_and(is_other)) {
            catalogue.erase_embeddings();
        }
        for (item, embedding) in &embeddings {
            if catalogue.get(*item).is_some() && !catalogue.set_embedding(*item, embedding.as_ref()) {
                log::warn!("embedding of another length left out item_id={}", item.0);
            }
        }
        self.put_catalogue(catalogue, &ids);
        changes
    }

    /// Erases every embedding.
    pub fn erase_embeddings(&self) {
        let _writer = self.change.lock();
        let mut catalogue = Catalogue::clone(&self.catalogue.load());
        catalogue.erase_embeddings();
        self.put_catalogue(catalogue, &[]);
    }

    /// Moment since which a catalogue that is read again may hold news.
    pub fn catalogue_read_at(&self) -> Timestamp {
        Timestamp(self.catalogue_read_at.load(Ordering::Acquire))
    }

    /// Notes that all that was stored before a moment has been read.
    pub fn note_catalogue_read(&self, began: Timestamp) {
        self.catalogue_read_at.fetch_max((began - CLOCKS).0, Ordering::AcqRel);
    }

    /// Stores or reads embeddings and notes them here in one piece: of two changes the later one holds in the database and in memory.
    /// Blocks while another one does.
    pub fn with_embeddings<T>(&self, work: impl FnOnce() -> T) -> T {
        let _order = self.embeddings_order.lock();
        work()
    }

    /// Takes an item out.
    pub fn remove_item(&self, item: ItemId) {
        let _writer = self.change.lock();
        let mut catalogue = Catalogue::clone(&self.catalogue.load());
        catalogue.remove(item);
        self.put_catalogue(catalogue, &[item]);
    }

    fn put_catalogue(&self, catalogue: Catalogue, changed: &[ItemId]) {
        self.metrics.set(Gauge::Items, i64::try_from(catalogue.len()).unwrap_or(i64::MAX));
        let catalogue = Arc::new(catalogue);
        self.catalogue.store(Arc::clone(&catalogue));
        self.changed_items.note(changed);
        // Items that events have named carry no text yet: content has nothing to learn from them.
        let told: Vec<ItemId> = changed
            .iter()
            .copied()
            .filter(|id| {
                catalogue.get(*id).is_some_and(|item| item.title.is_some() || !item.category.is_empty())
            })
            .collect();
        if !told.is_empty() {
            let mut models = ModelSet::clone(&self.models.load());
            models.note_items(&catalogue, &told);
            self.models.store(Arc::new(models));
            let experiments = self.experiment_models.load_full().as_ref().clone();
            self.experiment_models.store(Arc::new(experiments.noting_items(&catalogue, &told)));
        }
    }

    /// Lets the models forget the sessions of a person who did these events, all of one visitor.
    pub fn forget_sessions(&self, events: &[Event]) {
        let _writer = self.change.lock();
        if let Some(masked) = self.models.load().without_sessions_of(events) {
            self.models.store(Arc::new(masked));
        }
        let experiments = self.experiment_models.load_full().as_ref().clone();
        self.experiment_models.store(Arc::new(experiments.without_sessions_of(events)));
    }

    /// Makes the content index anew if so much has come beside it that it is due; one thread at a time, changes go on meanwhile.
    /// Blocks for seconds where items are a million.
    pub fn renew_content(&self) {
        let before = self.models.load_full();
        if !before.content().is_due() || self.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let fresh = ContentBased::fit(&self.catalogue.load());
        let _writer = self.change.lock();
        let mut models = ModelSet::clone(&self.models.load());
        // A model that was trained meanwhile has an index of its own.
        if models.version == before.version {
            let content = models.content().renewed(fresh, before.content(), &self.catalogue.load());
            models.set_content(content);
            self.models.store(Arc::new(models));
        }
        self.renewing.store(false, Ordering::Release);
    }

    /// A new model set serves from now on; it learns of items that came or were changed since `watch` began: before it was trained
    /// or read.
    pub fn put_models(&self, mut models: ModelSet, watch: &Watch) {
        let _writer = self.change.lock();
        self.note_changed(&mut models, watch);
        let experiments = self.experiment_models.load_full().as_ref().clone();
        self.experiment_models.store(Arc::new(experiments.after_swap(&self.models.load_full(), &models)));
        self.monitor.begin(&models.baseline);
        self.metrics.set(Gauge::ModelVersion, i64::from(models.version.0));
        self.models.store(Arc::new(models));
        self.learned.reset_drift();
    }
}
