//! Training in a process of its own: a session of its own to the scheduler, so that its low priority counts against
//! PostgreSQL too; memory that is given back whole; and a training that runs out of memory takes no server with it.
//!
//! The parent writes one line, the [`Order`], to the worker's standard input and keeps it open: when it closes, the order is
//! withdrawn and the worker ends, also when the server is killed. The worker answers with [`Report`]s, one a line. Models and
//! data go through PostgreSQL alone.

use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::duty_cycle::DutyCycle;
use super::requested::Requested;
use super::training::{Outcome, TrainingError, train};
use tidings_core::base::{ModelVersion, Timestamp};
use tidings_core::catalogue::Item;
use tidings_core::config::Config;
use tidings_core::evaluate::gate::Gate;
use tidings_core::recommend::ModelSet;
use tidings_core::recommend::train::{Stage, TrainError};
use tidings_state::AppState;
use tidings_state::changed_items::Watch;
use tidings_store::items::Upserted;
use tidings_store::{Connection, StoreError, embeddings, item_prices, items, models};

/// The subcommand that works.
pub const SUBCOMMAND: &str = "training-worker";
/// Progress within a stage is told this often.
const TELL_EVERY: Duration = Duration::from_millis(20);

/// Input of a training worker.
#[derive(Serialize, Deserialize)]
pub struct Order {
    /// The database, with its password: never in an argument or a log.
    pub url: String,
    /// The server's configuration.
    pub config: Config,
    /// Request of somebody who asked for it.
    pub requested: Option<Requested>,
}

/// Report of a training worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    /// Progress of the training.
    Progress { stage: Stage, share: f32 },
    /// The model is stored.
    Stored { version: ModelVersion, gate: Gate, took: Duration },
    /// No model.
    Failed(String),
}

/// Reads the catalogue as it is stored: an import beside the running server may have brought items, which the model may name.
/// Items that are changed meanwhile stay as they are then.
fn read_catalogue(
    state: &AppState,
    read: impl FnOnce(&mut Connection) -> Result<Vec<Item>, StoreError>,
) -> Result<(), StoreError> {
    let (niceness, now, watch) = (state.config.training.niceness, Timestamp::now(), state.watch_items());
    state.store.read_in_background(niceness, |connection| {
        let (items, prices) = (read(connection)?, item_prices::load_changes(connection, now)?);
        state.settle(&watch, connection, Upserted { items, prices, ..Upserted::default() })
    })?;
    state.with_embeddings(|| {
        let since = state.catalogue_read_at();
        let changed = |connection: &mut Connection| embeddings::changed_since(connection, since);
        let embeddings = state.store.read_in_background(niceness, changed)?;
        let _ = state.upsert_items(Upserted { embeddings, ..Upserted::default() });
        Ok::<_, StoreError>(())
    })?;
    state.note_catalogue_read(now);
    Ok(())
}

/// Trains in a worker and reads the new model back; it learns of what was changed in the catalogue since `watch` began. Blocks for
/// as long as it takes; told to break, it ends the worker.
pub fn train_beside(
    state: &AppState,
    watch: &Watch,
    requested: Option<Requested>,
    progress: &mut dyn FnMut(Stage, f32) -> ControlFlow<()>,
) -> Result<Outcome, TrainingError> {
    let niceness = state.config.training.niceness;
    read_catalogue(state, items::load_all)?;
    let mut worker = Worker::start(state, requested)?;
    let stdout =
        worker.child.stdout.take().ok_or_else(|| TrainingError::Worker("it has no output".to_owned()))?;
    for line in BufReader::new(stdout).lines() {
        let report = line.map_err(|error| TrainingError::Worker(error.to_string())).and_then(|line| {
            serde_json::from_str(&line).map_err(|error| TrainingError::Worker(format!("{error} in: {line}")))
        })?;
        // From its first word on: by then it ends with this process even when it stands still.
        worker.take_turns(niceness)?;
        match report {
            Report::Progress { stage, share } if progress(stage, share).is_break() => {
                return Err(TrainError::Cancelled.into());
            }
            Report::Progress { .. } => {}
            Report::Stored { version, gate, took } => {
                drop(worker);
                let mut model = read_back(state, version)?;
                read_catalogue(state, |connection| {
                    let since = state.catalogue_read_at();
                    let changed = items::changed_since(connection, since)?;
                    items::load(connection, &changed)
                })?;
                state.note_changed(&mut model, watch);
                return Ok(Outcome { model, gate, took });
            }
            Report::Failed(message) => return Err(TrainingError::Worker(message)),
        }
    }
    worker.turns = None;
    let status = worker.child.wait().map_err(|error| TrainingError::Worker(error.to_string()))?;
    Err(TrainingError::Worker(format!(
        "the training process ended early, {status}; does it have enough memory?"
    )))
}

fn read_back(state: &AppState, version: ModelVersion) -> Result<ModelSet, TrainingError> {
    let artefact = state.store.run_blocking(|connection| models::load(connection, version))?;
    let artefact =
        artefact.ok_or_else(|| TrainingError::Worker(format!("version {version} is not stored")))?;
    let mut model = ModelSet::decode(&artefact).map_err(|error| TrainingError::Worker(error.to_string()))?;
    model.version = version;
    Ok(model)
}

/// A worker that ends when this is dropped.
struct Worker {
    child: Child,
    /// Over before the child is waited for.
    turns: Option<DutyCycle>,
}

impl Worker {
    fn start(state: &AppState, requested: Option<Requested>) -> Result<Self, TrainingError> {
        let failed =
            |error: std::io::Error| TrainingError::Worker(format!("it could not be started: {error}"));
        let order = Order { url: state.store.url().to_owned(), config: state.config.clone(), requested };
        let order = serde_json::to_string(&order).map_err(|error| failed(error.into()))?;
        let mut command = Command::new(program());
        command.arg0("tidings").arg(SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::piped());
        let worker = Self { child: command.spawn().map_err(failed)?, turns: None };
        let mut stdin = worker.child.stdin.as_ref();
        match stdin.as_mut().map_or(Ok(()), |stdin| writeln!(stdin, "{order}")) {
            // It has ended already; how, is told when its reports end.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            told => told.map_err(failed)?,
        }
        Ok(worker)
    }

    /// Unless it does already, or is not to stand back. On Linux only: elsewhere nothing ends a worker that stands still.
    fn take_turns(&mut self, niceness: i32) -> Result<(), TrainingError> {
        if cfg!(target_os = "linux") && niceness > 0 && self.turns.is_none() {
            let turns = DutyCycle::take(self.child.id());
            self.turns = Some(turns.map_err(|error| TrainingError::Worker(error.to_string()))?);
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.turns = None;
        let _ = self.child.kill(); // It may have ended.
        let _ = self.child.wait();
    }
}

/// This very program, also when an upgrade has put another in its place.
fn program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

/// The worker's part: trains and says on standard output how it goes. Blocks.
pub fn work(state: &AppState, requested: Option<&Requested>) -> std::io::Result<()> {
    let mut told: Option<(Stage, Instant)> = None;
    let outcome = train(state, requested, &mut |stage, share| {
        if told.is_some_and(|(last, at)| last == stage && at.elapsed() < TELL_EVERY) {
            return ControlFlow::Continue(());
        }
        told = Some((stage, Instant::now()));
        // Nobody listens any more.
        if say(&Report::Progress { stage, share }).is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    say(&match outcome {
        Ok(Outcome { model, gate, took }) => Report::Stored { version: model.version, gate, took },
        Err(error) => Report::Failed(error.to_string()),
    })
}

fn say(report: &Report) -> std::io::Result<()> {
    let line = serde_json::to_string(report)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
