//! Trains on its schedule and when asked, one training at a time, off the request path; swaps only what passes the
//! gate; then tells the actors of connected users.

mod training;
mod turns;
pub mod worker;

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::registry::Entry;
use super::shared::Shared;
use super::watch::Lifeline;
use crate::base::{ModelVersion, Timestamp};
use crate::decide::Input;
use crate::recommend::{ModelSet, Stage, TrainError};
use crate::store::jobs::{self, JobRow};
use crate::store::{models, thread_stands_back};
use crate::telemetry::{Count, Gauge};

use worker::train_beside;

pub use training::{Outcome, TrainingError, measure, parameters, train};

/// After a swap one user is told each so often: each asks the new model for a list, about a millisecond that a click may
/// have to wait.
const TELL_PAUSE: Duration = Duration::from_millis(20);
/// All are told within about this, however many they are.
const TELL_WITHIN: Duration = Duration::from_secs(60);
/// Age of the model is exposed this often.
const AGE_TICK: Duration = Duration::from_secs(10);

/// Starts a training, unless one runs. From request handlers and the schedule. The reply names the job: the new one,
/// or the one that runs.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retrain(pub oneshot::Sender<Uuid>);

/// From request handlers: let this version serve. The reply is false when there is no such version.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Activate(pub ModelVersion, pub oneshot::Sender<Result<bool, String>>);

/// The job that runs or ran last, for whoever asks.
#[derive(Default)]
pub struct JobBoard {
    current: Mutex<Option<JobRow>>,
    cancel: AtomicBool,
}

impl JobBoard {
    /// The current or last job.
    pub fn current(&self) -> Option<JobRow> {
        self.current.lock().clone()
    }

    /// Asks the job to stop; false when it is not the one that runs.
    pub fn cancel(&self, job: Uuid) -> bool {
        let running =
            self.current().is_some_and(|current| current.job_id == job && current.finished_at.is_none());
        if running {
            self.cancel.store(true, Ordering::Release);
        }
        running
    }

    fn begin(&self, now: Timestamp) -> JobRow {
        let job = JobRow {
            job_id: Uuid::now_v7(),
            kind: "train".to_owned(),
            state: "running".to_owned(),
            stage: Stage::Read.name().to_owned(),
            progress: 0.0,
            message: None,
            created_at: now,
            finished_at: None,
        };
        self.cancel.store(false, Ordering::Release);
        *self.current.lock() = Some(job.clone());
        job
    }

    fn progress(&self, stage: Stage, share: f32) -> ControlFlow<()> {
        if let Some(job) = &mut *self.current.lock() {
            job.stage = stage.name().to_owned();
            job.progress = share.clamp(0.0, 1.0);
        }
        if self.cancel.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn end(&self, state: &str, message: String) -> Option<JobRow> {
        let mut current = self.current.lock();
        let job = current.as_mut()?;
        state.clone_into(&mut job.state);
        if state == "succeeded" {
            job.progress = 1.0;
        }
        job.message = Some(message);
        job.finished_at = Some(Timestamp::now());
        Some(job.clone())
    }
}

/// Age, drift and shadow as metrics.
fn expose(shared: &Shared) {
    let set = |gauge, value: u64| shared.metrics.set(gauge, i64::try_from(value).unwrap_or(i64::MAX));
    let permille = |share: Option<f64>| share.map_or(0, |share| (share * 1e3).round() as i64);
    set(Gauge::ModelAge, Timestamp::now().millis_since(shared.models.load().trained_at).0 / 1_000);
    let drift = shared.monitor.drift();
    set(Gauge::EventsSince, drift.events_since);
    shared.metrics.set(Gauge::DriftItems, permille(drift.items));
    let features = drift.features.iter().filter_map(|(_, index)| *index).reduce(f64::max);
    shared.metrics.set(Gauge::DriftFeatures, permille(features));
    let shadow = shared.monitor.shadow_report();
    shared.metrics.set(Gauge::ShadowVersion, shadow.map_or(0, |shadow| i64::from(shadow.version)));
    shared.metrics.set(Gauge::ShadowOverlap, permille(shadow.and_then(|shadow| shadow.overlap_at_10)));
    shared.metrics.set(Gauge::ShadowAgreement, permille(shadow.and_then(|shadow| shadow.rank_agreement)));
}

/// Holds the schedule; see the module.
pub struct RecommenderActor {
    shared: Arc<Shared>,
    running: Option<Uuid>,
    /// Who has still to learn of the last swap.
    to_tell: VecDeque<Arc<Entry>>,
    told_at_once: usize,
    is_telling: bool,
    _lifeline: Lifeline,
}

impl RecommenderActor {
    /// Waiting for its time.
    pub fn new(shared: Arc<Shared>, lifeline: Lifeline) -> Self {
        Self {
            shared,
            running: None,
            to_tell: VecDeque::new(),
            told_at_once: 0,
            is_telling: false,
            _lifeline: lifeline,
        }
    }

    fn retrain(&mut self, context: &mut Context<Self>) -> Uuid {
        if let Some(job) = self.running {
            return job;
        }
        let job = self.shared.jobs.begin(Timestamp::now());
        self.running = Some(job.job_id);
        log::info!("training begins job={}", job.job_id);
        self.save(job.clone());
        self.shared.live.prepare(parameters(&self.shared).popularity_half_life_days);
        let shared = Arc::clone(&self.shared);
        let (done, ended) = oneshot::channel();
        // A thread of its own: its low priority, for reading the model back, can't be taken back. A panic ends the thread,
        // not the server: the sender is gone then.
        let thread = std::thread::Builder::new().name("training".to_owned()).spawn(move || {
            if let Err(error) = thread_stands_back(shared.config.training.niceness) {
                log::warn!("training keeps its priority error={error}");
            }
            let jobs = &shared.jobs;
            let _ = done.send(train_beside(&shared, &mut |stage, share| jobs.progress(stage, share)));
        });
        if let Err(error) = thread {
            log::error!("no thread for training error={error}");
        }
        context.spawn(ended.into_actor(self).map(|outcome, actor, context| {
            actor.running = None;
            let (state, message) = match outcome {
                Ok(Ok(outcome)) => ("succeeded", actor.trained(outcome, context)),
                Ok(Err(TrainingError::Train(TrainError::Cancelled))) => ("cancelled", "cancelled".to_owned()),
                Ok(Err(error)) => ("failed", error.to_string()),
                Err(_) => ("failed", "training panicked; the log says where".to_owned()),
            };
            actor.shared.live.give_up();
            log::info!("training ended state={state} message=\"{message}\"");
            if let Some(job) = actor.shared.jobs.end(state, message) {
                actor.save(job);
            }
        }));
        job.job_id
    }

    fn trained(&mut self, outcome: Outcome, context: &mut Context<Self>) -> String {
        let Outcome { model, gate, took } = outcome;
        let version = model.version;
        self.shared.metrics.add(Count::Trainings, 1);
        if !gate.passed {
            return format!("version {version} was not activated: {}", gate.reason);
        }
        self.shared.put_models(model);
        self.shared.live.take_over();
        self.tell_users(context);
        format!("version {version} serves after {} ms: {}", took.as_millis(), gate.reason)
    }

    /// Tells connected users' actors, spread over time. Those who have still to learn of an earlier swap keep their turn.
    fn tell_users(&mut self, context: &mut Context<Self>) {
        let waiting: HashSet<u64> = self.to_tell.iter().map(|entry| entry.instance).collect();
        let others = self.shared.registry.entries().into_iter();
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

    fn save(&self, job: JobRow) {
        let store = self.shared.store.clone();
        actix::spawn(async move {
            if let Err(error) = store.run(move |connection| jobs::save(connection, &job)).await {
                log::error!("job not saved error={error}");
            }
        });
    }
}

impl Actor for RecommenderActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let interval = self.shared.config.training.interval_s;
        if interval > 0 {
            context.run_interval(Duration::from_secs(interval), |actor, context| {
                actor.retrain(context);
            });
        }
        context.run_interval(AGE_TICK, |actor, _| {
            expose(&actor.shared);
        });
    }
}

impl Handler<Retrain> for RecommenderActor {
    type Result = ();

    fn handle(&mut self, retrain: Retrain, context: &mut Self::Context) {
        let job = self.retrain(context);
        let _ = retrain.0.send(job);
    }
}

impl Handler<Activate> for RecommenderActor {
    type Result = ();

    fn handle(&mut self, activate: Activate, context: &mut Self::Context) {
        let Activate(version, reply) = activate;
        let shared = Arc::clone(&self.shared);
        let load = async move {
            let store = shared.store.clone();
            store
                .run(move |connection| {
                    let Some(artefact) = models::load(connection, version)? else { return Ok(None) };
                    // A corrupt artefact is refused before anything changes.
                    let mut model = ModelSet::decode(&artefact);
                    if let Ok(model) = &mut model {
                        model.version = version;
                        models::activate(connection, version)?;
                        shared.begin_recount(connection)?;
                    }
                    Ok(Some(model))
                })
                .await
        };
        context.spawn(load.into_actor(self).map(|outcome, actor, context| {
            let answer = match outcome {
                Ok(Some(Ok(model))) => {
                    actor.shared.put_models(model);
                    actix::spawn(Arc::clone(&actor.shared).recount_beside());
                    actor.tell_users(context);
                    Ok(true)
                }
                Ok(Some(Err(error))) => Err(error.to_string()),
                Ok(None) => Ok(false),
                Err(error) => Err(error.to_string()),
            };
            let _ = reply.send(answer);
        }));
    }
}
