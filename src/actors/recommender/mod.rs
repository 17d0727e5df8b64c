//! Trains on its schedule and when asked, one training at a time, off the request path; swaps only what passes the
//! gate; then tells the actors of connected users.

mod duty_cycle;
pub mod messages;
pub mod requested;
pub mod training;
pub mod worker;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use self::messages::{Asked, ModelCommand, Reply};
use self::requested::Requested;
use self::training::{Outcome, TrainingError, parameters};
use self::worker::train_beside;
use super::mailbox::DropGuard;
use super::registry::{Entry, Registry};
use tidings_core::base::{ModelVersion, Timestamp};
use tidings_core::recommend::ModelSet;
use tidings_core::recommend::train::TrainError;
use tidings_decision::decide::Input;
use tidings_decision::privacy::audit::AuditEntry;
use tidings_state::changed_items::Watch;
use tidings_state::{AppState, job_board};
use tidings_store::jobs::{self, JobRow};
use tidings_store::{Along, Connection, StoreError, audit, in_transaction, models, thread_stands_back};
use tidings_telemetry::{Count, Gauge, Ratio};

/// After a swap one user is told each so often: each asks the new model for a list, about a millisecond that a click may
/// have to wait.
const TELL_PAUSE: Duration = Duration::from_millis(20);
/// All are told within about this, however many they are.
const TELL_WITHIN: Duration = Duration::from_secs(60);
/// Age of the model is exposed this often.
const AGE_TICK: Duration = Duration::from_secs(10);

/// Age, drift and shadow as metrics.
fn expose(state: &AppState) {
    let set = |gauge, value: u64| state.metrics.set(gauge, i64::try_from(value).unwrap_or(i64::MAX));
    set(Gauge::ModelAge, Timestamp::now().millis_since(state.models.load().trained_at).0 / 1_000);
    let drift = state.monitor.drift();
    set(Gauge::EventsSince, drift.events_since);
    state.metrics.set_ratio(Ratio::DriftItems, drift.items);
    let features = drift.features.iter().filter_map(|(_, index)| *index).reduce(f64::max);
    state.metrics.set_ratio(Ratio::DriftFeatures, features);
    let shadow = state.monitor.shadow_report();
    state.metrics.set(Gauge::ShadowVersion, shadow.map_or(0, |shadow| i64::from(shadow.version)));
    state.metrics.set_ratio(Ratio::ShadowOverlap, shadow.and_then(|shadow| shadow.overlap_at_10));
    state.metrics.set_ratio(Ratio::ShadowAgreement, shadow.and_then(|shadow| shadow.rank_agreement));
}

/// Holds the schedule; see the module.
pub struct RecommenderActor {
    state: Arc<AppState>,
    registry: Arc<Registry>,
    running: Option<Uuid>,
    /// Requests that came while the start of a training is being stored; `None` when none is.
    starting: Option<Vec<(Option<AuditEntry>, Reply)>>,
    /// Users' actors that have still to learn of the last swap.
    to_tell: VecDeque<Arc<Entry>>,
    told_at_once: usize,
    is_telling: bool,
    _guard: DropGuard,
}

impl RecommenderActor {
    /// Waiting for its time.
    pub fn new(state: Arc<AppState>, registry: Arc<Registry>, guard: DropGuard) -> Self {
        Self {
            state,
            registry,
            running: None,
            starting: None,
            to_tell: VecDeque::new(),
            told_at_once: 0,
            is_telling: false,
            _guard: guard,
        }
    }

    /// Starts a training once its job is stored, and with it the request, unless one runs.
    fn ask(&mut self, request: Option<AuditEntry>, reply: Reply, context: &mut Context<Self>) {
        if let Some(job) = self.running {
            let _ = reply.send(Ok(Asked { job, is_new: false }));
            return;
        }
        if let Some(others) = &mut self.starting {
            others.push((request, reply));
            return;
        }
        self.starting = Some(Vec::new());
        let job = job_board::training(Timestamp::now());
        let entry = request.as_ref().map(|entry| Requested::new(entry, Some(job.job_id)).started());
        let stored = self.save(&job, entry);
        context.spawn(stored.into_actor(self).map(move |stored, actor, context| {
            let others = actor.starting.take().unwrap_or_default();
            let asked = Asked { job: job.job_id, is_new: true };
            let is_stored = stored.is_ok();
            // One of the schedule is tried whether or not its job can be stored; what somebody asked for is not, without its entry.
            if is_stored || request.is_none() {
                actor.retrain(job, request, context);
            }
            let _ = reply.send(stored.map(|()| asked));
            for (request, reply) in others {
                actor.ask(request, reply, context);
            }
        }));
    }

    fn retrain(&mut self, job: JobRow, request: Option<AuditEntry>, context: &mut Context<Self>) {
        self.running = Some(job.job_id);
        log::info!("training begins job={}", job.job_id);
        self.state.jobs.begin(job.clone());
        self.state.live.prepare(parameters(&self.state).popularity_half_life_days);
        let state = Arc::clone(&self.state);
        let watch = Arc::new(state.watch_items());
        let watched = Arc::clone(&watch);
        let (done, ended) = oneshot::channel();
        let told = request.as_ref().map(|entry| Requested::new(entry, Some(job.job_id)));
        // A thread of its own: its low priority, for reading the model back, can't be taken back. A panic ends the thread,
        // not the server: the sender is gone then.
        let thread = std::thread::Builder::new().name("training".to_owned()).spawn(move || {
            if let Err(error) = thread_stands_back(state.config.training.niceness) {
                log::warn!("training keeps its priority error={error}");
            }
            let progress = &mut |stage, share| state.jobs.progress(stage, share);
            let _ = done.send(train_beside(&state, &watched, told, progress));
        });
        if let Err(error) = thread {
            log::error!("no thread for training error={error}");
        }
        context.spawn(ended.into_actor(self).map(move |outcome, actor, context| {
            actor.running = None;
            let (state, message) = match outcome {
                Ok(Ok(outcome)) => ("succeeded", actor.trained(outcome, &watch, context)),
                Ok(Err(TrainingError::Train(TrainError::Cancelled))) => ("cancelled", "cancelled".to_owned()),
                Ok(Err(error)) => ("failed", error.to_string()),
                Err(_) => ("failed", "training panicked; the log says where".to_owned()),
            };
            actor.state.live.give_up();
            log::info!("training ended state={state} message=\"{message}\"");
            let Some(job) = actor.state.jobs.end(state, message) else { return };
            // One that succeeded stored its end with its model.
            let failed = request.filter(|_| state != "succeeded");
            let entry = failed.map(|entry| Requested::new(&entry, Some(job.job_id)).without_model(state));
            actix::spawn(actor.save(&job, entry));
        }));
    }

    fn trained(&mut self, outcome: Outcome, watch: &Watch, context: &mut Context<Self>) -> String {
        let Outcome { model, gate, took } = outcome;
        let version = model.version;
        self.state.metrics.add(Count::Trainings, 1);
        if !gate.passed {
            return format!("version {version} was not activated: {}", gate.reason);
        }
        self.state.put_models(model, watch);
        self.state.live.take_over();
        self.tell_users(context);
        format!("version {version} serves after {} ms: {}", took.as_millis(), gate.reason)
    }

    /// Tells connected users' actors, spread over time. Those who have still to learn of an earlier swap keep their turn.
    fn tell_users(&mut self, context: &mut Context<Self>) {
        let waiting: HashSet<u64> = self.to_tell.iter().map(|entry| entry.instance).collect();
        let others = self.registry.entries().into_iter();
        self.to_tell.extend(others.filter(|entry| !waiting.contains(&entry.instance)));
        let turns = (TELL_WITHIN.as_micros() / TELL_PAUSE.as_micros()) as usize;
        self.told_at_once = self.to_tell.len().div_ceil(turns);
        if !std::mem::replace(&mut self.is_telling, true) {
            self.tell_some(context);
        }
    }

    fn tell_some(&mut self, context: &mut Context<Self>) {
        let n = self.told_at_once.min(self.to_tell.len());
        for entry in self.to_tell.drain(..n) {
            entry.happened(Input::ModelChanged);
        }
        self.is_telling = !self.to_tell.is_empty();
        if self.is_telling {
            context.run_later(TELL_PAUSE, Self::tell_some);
        }
    }

    fn activate(
        &mut self,
        version: ModelVersion,
        along: Along<ModelVersion>,
        reply: oneshot::Sender<Result<bool, String>>,
        context: &mut Context<Self>,
    ) {
        let state = Arc::clone(&self.state);
        let watch = state.watch_items();
        let load = async move {
            let store = state.store.clone();
            store
                .run_patiently(move |connection| {
                    let Some(artefact) = models::load(connection, version)? else { return Ok(None) };
                    // A corrupt artefact is refused before anything changes.
                    let mut model = ModelSet::decode(&artefact);
                    if let Ok(model) = &mut model {
                        model.version = version;
                        state.bring_up_to_date(connection, model)?;
                        in_transaction(connection, |connection| {
                            models::activate(connection, version)?;
                            along(connection, &version)
                        })?;
                        state.begin_recount(connection)?;
                    }
                    Ok(Some(model))
                })
                .await
        };
        context.spawn(load.into_actor(self).map(move |outcome, actor, context| {
            let answer = match outcome {
                Ok(Some(Ok(model))) => {
                    actor.state.put_models(model, &watch);
                    actor.tell_users(context);
                    let state = Arc::clone(&actor.state);
                    // Answered when its lists know what happened since it was trained.
                    actix::spawn(async move {
                        state.recount_beside().await;
                        let _ = reply.send(Ok(true));
                    });
                    return;
                }
                Ok(Some(Err(error))) => Err(error.to_string()),
                Ok(None) => Ok(false),
                Err(error) => Err(error.to_string()),
            };
            let _ = reply.send(answer);
        }));
    }

    /// Stores a job as it is now, and an entry of the audit log with it.
    fn save(
        &self,
        job: &JobRow,
        entry: Option<AuditEntry>,
    ) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let (store, job) = (self.state.store.clone(), job.clone());
        let entry = entry.map(|entry| self.state.tombstones.in_entry(&entry));
        async move {
            let save = move |connection: &mut Connection| {
                in_transaction(connection, |connection| {
                    jobs::save(connection, &job)?;
                    audit::append(connection, entry.as_slice())
                })
            };
            let saved = store.run_patiently(save).await;
            if let Err(error) = &saved {
                log::error!("job not saved error={error}");
            }
            saved
        }
    }
}

impl Actor for RecommenderActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let interval = self.state.config.training.interval_s;
        if interval > 0 {
            context.run_interval(Duration::from_secs(interval), |actor, context| {
                let (reply, _) = oneshot::channel();
                actor.ask(None, reply, context);
            });
        }
        context.run_interval(AGE_TICK, |actor, _| {
            expose(&actor.state);
        });
    }
}

impl Handler<ModelCommand> for RecommenderActor {
    type Result = ();

    fn handle(&mut self, command: ModelCommand, context: &mut Self::Context) {
        match command {
            ModelCommand::Retrain(request, reply) => self.ask(request, reply, context),
            ModelCommand::Activate(version, along, reply) => self.activate(version, along, reply, context),
        }
    }
}
