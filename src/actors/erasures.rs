//! Erases users, one after the other. From the request on the id is refused ([`Tombstones`]). An erasure
//! begins as a merge does: the order of changes of the user is held, and while no commit of events and no batch that looked users up by
//! name is under way the user's rows lose their name; then its actor ends. What is left are rows under an inner id that nothing leads
//! to, which go in batches. Every step may be done twice, so that an erasure that was cut off is done again from its row.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::journal::messages::Record;
use super::mailbox::Mailbox;
use super::merges::is_paused;
use super::recommender::messages::ModelCommand;
use super::registry::Registry;
use super::user::messages::Pause;
use tidings_core::base::{ExternalId, ItemId, Timestamp, UserId};
use tidings_core::event::Event;
use tidings_core::recommend::ModelSet;
use tidings_decision::deliver::CloseCode;
use tidings_state::AppState;
use tidings_state::tombstones::Tombstones;
use tidings_store::erasures::{NewErasure, UnderWay};
use tidings_store::{
    Along, Connection, StoreError, Writer, erased_rows, erasures, in_transaction, models, revocations,
};

/// Interval between looks for requests of the command line.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longest wait for what a user has under way.
const PATIENCE: Duration = Duration::from_secs(30);
/// Trainings are asked for this often while versions wait for one.
const TRAIN_AGAIN: Duration = Duration::from_secs(600);

/// Reason why an erasure goes on later.
#[derive(Debug, thiserror::Error)]
enum ErasureError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something of the user was still being stored.
    #[error("the user did not come to rest in time")]
    Busy,
    /// The server goes down.
    #[error("the server goes down")]
    Draining,
}

/// State of the background.
struct Progress {
    /// Changes of identity that were seen.
    changes: Option<i64>,
    /// True if an erasure may wait for a model.
    awaits_model: bool,
    /// Last request for a training.
    trained: Option<Instant>,
}

/// Erases the users of one server.
pub struct Erasures {
    state: Arc<AppState>,
    registry: Arc<Registry>,
    journal: Arc<Mailbox<Record>>,
    recommender: Arc<Mailbox<ModelCommand>>,
    /// A session of its own: nobody waits for a connection while rows are removed.
    writer: Writer,
    wake: Notify,
    progress: Mutex<Progress>,
}

impl Erasures {
    /// Creates what erases users with these actors.
    pub fn new(
        state: Arc<AppState>,
        registry: Arc<Registry>,
        journal: Arc<Mailbox<Record>>,
        recommender: Arc<Mailbox<ModelCommand>>,
    ) -> Arc<Self> {
        let writer = state.store.writer("erasures");
        let progress = Mutex::new(Progress { changes: None, awaits_model: true, trained: None });
        Arc::new(Self { state, registry, journal, recommender, writer, wake: Notify::new(), progress })
    }

    /// Refuses the id from now on and erases its user soon; the id of the receipt. `None` for an id that nothing names.
    pub async fn request(
        &self,
        user: &ExternalId,
        by: &'static str,
        along: Along<Uuid>,
    ) -> Result<Option<Uuid>, StoreError> {
        let now = Timestamp::now();
        let until = now.plus_days(f64::from(self.state.config.privacy.tombstone_days));
        let new = NewErasure { id: Uuid::now_v7(), user: user.clone(), by, now, until };
        let _order = self.registry.in_order(user).await;
        let tombstones = Arc::clone(&self.state.tombstones);
        let receipt = self
            .state
            .store
            .run(move |connection| {
                let receipt = in_transaction(connection, |connection| {
                    let receipt = erasures::request(connection, &new)?;
                    if let Some(receipt) = &receipt {
                        along(connection, receipt)?;
                    }
                    Ok(receipt)
                })?;
                tombstones.read_stored(connection);
                Ok(receipt)
            })
            .await?;
        self.wake.notify_one();
        Ok(receipt)
    }

    /// Works through the erasures until the server goes down.
    pub async fn run(self: Arc<Self>) {
        let mut failed = false;
        while !self.state.draining.load(Ordering::Acquire) {
            match self.work().await {
                Ok(()) | Err(ErasureError::Draining) => failed = false,
                Err(error) if !std::mem::replace(&mut failed, true) => {
                    log::error!("erasures are tried again error={error}");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn work(&self) -> Result<(), ErasureError> {
        self.read_tombstones().await?;
        let mut outcome = Ok(());
        for work in self.writer.run(erasures::under_way).await? {
            self.go_on()?;
            self.read_tombstones().await?;
            // One that does not end keeps no other from its end.
            if let Err(error) = self.erase(work).await {
                outcome = Err(error);
            }
        }
        self.settle_models().await?;
        outcome
    }

    /// Reads tombstones that another process has put or released.
    async fn read_tombstones(&self) -> Result<(), StoreError> {
        let (tombstones, seen) = (Arc::clone(&self.state.tombstones), self.progress.lock().changes);
        let read = move |connection: &mut Connection| {
            let changes = revocations::changes(connection)?;
            if seen != Some(changes) {
                tombstones.read(connection)?;
            }
            Ok(changes)
        };
        self.progress.lock().changes = Some(self.writer.run(read).await?);
        Ok(())
    }

    /// One user, from wherever it was cut off.
    async fn erase(&self, work: UnderWay) -> Result<(), ErasureError> {
        let work = Arc::new(self.begin(work).await?);
        self.end_actors(&work.names).await?;
        self.remove_keys(&work).await?;
        self.forget_sessions(&work).await?;
        let own = Arc::clone(&work);
        let items = self.writer.run(move |connection| erased_rows::note_items(connection, &own)).await?;
        self.remove_rows(&work).await?;
        let own = Arc::clone(&work);
        let remove = move |connection: &mut Connection| erased_rows::remove_items(connection, &own, &items);
        self.forget_items(&self.writer.run(remove).await?);
        // What was added before the id was refused is stored by then.
        self.state.audit.flush().await;
        let (own, tombstones) = (Arc::clone(&work), Arc::clone(&self.state.tombstones));
        self.writer
            .run(move |connection| {
                let lookup = names_of(&own, &tombstones);
                erased_rows::replace_in_answers(connection, &own, &lookup)?;
                erased_rows::replace_in_audit(connection, &own, &lookup)?;
                erased_rows::finish(connection, &own, Timestamp::now())
            })
            .await?;
        self.note_erased(&work).await?;
        log::info!("user erased erasure_id={}", work.id);
        Ok(())
    }

    /// Takes the names off the rows, unless that is done.
    async fn begin(&self, work: UnderWay) -> Result<UnderWay, ErasureError> {
        if work.inner.is_some() {
            return Ok(work);
        }
        let Some(named) = work.names.first() else { return Ok(work) };
        let _order = self.registry.in_order(named).await;
        // Connected before anybody has to wait for it.
        self.writer.run(|_| Ok(())).await?;
        let _moving = self.registry.aliases.moving().await;
        let tombstones = Arc::clone(&self.state.tombstones);
        let begin = move |connection: &mut Connection| {
            let begun = erasures::begin(connection, &work)?;
            tombstones.read(connection)?;
            Ok(begun)
        };
        let begun = self.writer.run(begin).await?;
        for name in &begun.names {
            self.registry.aliases.forget(name);
        }
        Ok(begun)
    }

    /// Ends the actors of these ids with their connections, once nothing of them is being stored.
    async fn end_actors(&self, names: &[ExternalId]) -> Result<(), ErasureError> {
        let end = async {
            for name in names {
                while let Some(entry) = self.registry.running(name) {
                    let (left, gone) = oneshot::channel();
                    if is_paused(&entry, Pause::Leave { left, code: CloseCode::Erased }, gone).await {
                        break;
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, end).await.map_err(|_| ErasureError::Busy)?;
        let (reply, flushed) = oneshot::channel();
        if !self.journal.offer(Record::Flush(reply)).is_queued() || flushed.await.is_err() {
            return Err(ErasureError::Busy);
        }
        Ok(())
    }

    /// Makes the user's encrypted fields unreadable.
    async fn remove_keys(&self, work: &Arc<UnderWay>) -> Result<(), ErasureError> {
        let own = Arc::clone(work);
        self.writer.run(move |connection| erased_rows::remove_keys(connection, &own)).await?;
        self.state.store.fields().forget(work.inner.as_deref().unwrap_or_default());
        Ok(())
    }

    /// Lets every model forget the sessions of the user: the one that serves, and those that are stored.
    async fn forget_sessions(&self, work: &Arc<UnderWay>) -> Result<(), ErasureError> {
        let own = Arc::clone(work);
        let events =
            Arc::new(self.writer.run(move |connection| erased_rows::events(connection, &own)).await?);
        if events.is_empty() {
            return Ok(());
        }
        let (state, own) = (Arc::clone(&self.state), Arc::clone(&events));
        self.writer
            .run(move |_| {
                state.forget_sessions(&own);
                Ok(())
            })
            .await?;
        for version in self.writer.run(models::versions).await? {
            self.go_on()?;
            let events = Arc::clone(&events);
            let forget = move |connection: &mut Connection| {
                let Some(artefact) = models::load(connection, version)? else { return Ok(()) };
                match without(&artefact, &events) {
                    Some(artefact) => models::replace(connection, version, &artefact),
                    None => Ok(()),
                }
            };
            self.writer.run(forget).await?;
        }
        Ok(())
    }

    async fn remove_rows(&self, work: &Arc<UnderWay>) -> Result<(), ErasureError> {
        loop {
            self.go_on()?;
            // Another's erasure that is asked for meanwhile does not wait for this one to be refused everywhere.
            self.read_tombstones().await?;
            let own = Arc::clone(work);
            let removed =
                self.writer.run(move |connection| erased_rows::remove_some(connection, &own)).await?;
            if removed == 0 {
                return Ok(());
            }
        }
    }

    fn forget_items(&self, items: &[ItemId]) {
        for item in items {
            self.state.remove_item(*item);
        }
    }

    /// Counts of what happened lately, and who can be pushed to, without the user.
    async fn note_erased(&self, work: &UnderWay) -> Result<(), ErasureError> {
        let users: Vec<UserId> = work.inner.iter().flatten().map(|inner| UserId::from_sql(*inner)).collect();
        self.state.push.note(&users, &[]);
        let state = Arc::clone(&self.state);
        self.writer.run(move |connection| state.begin_recount(connection)).await?;
        Arc::clone(&self.state).recount_beside().await;
        let mut progress = self.progress.lock();
        (progress.awaits_model, progress.trained) = (true, None);
        Ok(())
    }

    /// Removes versions that were trained before a user was erased, and asks for one that was not.
    async fn settle_models(&self) -> Result<(), ErasureError> {
        if !self.progress.lock().awaits_model {
            return Ok(());
        }
        let waiting =
            self.writer.run(|connection| erasures::settle_models(connection, Timestamp::now())).await?;
        self.progress.lock().awaits_model = waiting > 0;
        let is_due = self.progress.lock().trained.is_none_or(|at| at.elapsed() >= TRAIN_AGAIN);
        if waiting > 0 && is_due {
            // A training that runs has read the user's events, perhaps.
            let is_running = self.state.jobs.current().is_some_and(|job| job.finished_at.is_none());
            if !is_running {
                let (reply, _) = oneshot::channel();
                let _ = self.recommender.offer(ModelCommand::Retrain(None, reply));
                self.progress.lock().trained = Some(Instant::now());
            }
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), ErasureError> {
        if self.state.draining.load(Ordering::Acquire) { Err(ErasureError::Draining) } else { Ok(()) }
    }
}

/// Pseudonyms of the user's ids.
fn names_of<'a>(work: &UnderWay, tombstones: &'a Tombstones) -> impl Fn(&str) -> Option<String> + use<'a> {
    let names: Vec<String> = work.names.iter().map(ToString::to_string).collect();
    move |id: &str| names.iter().any(|name| name == id).then(|| tombstones.pseudonym(id)).flatten()
}

/// The artefact without what its model remembers of the events; `None` where that is nothing, and for one that can't be read, which can't
/// serve either.
fn without(artefact: &[u8], events: &[Event]) -> Option<Vec<u8>> {
    let masked = ModelSet::decode(artefact).ok()?.without_sessions_of(events)?;
    match masked.encode() {
        Ok(artefact) => Some(artefact),
        Err(error) => {
            log::error!("model not rewritten version={} error={error}", masked.version);
            None
        }
    }
}
