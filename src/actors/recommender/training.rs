//! One training from the tables to a stored version. Everything here blocks: never on an arbiter.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::requested::Requested;
use tidings_core::base::{ModelVersion, Timestamp, UserId};
use tidings_core::evaluate::card::{DataFacts, ModelCard};
use tidings_core::evaluate::cold::{self, Cold};
use tidings_core::evaluate::{self, Evaluated, clicks, gate};
use tidings_core::ml::metrics::Metrics;
use tidings_core::profile::{Features, SegmentId};
use tidings_core::recommend::ModelSet;
use tidings_core::recommend::train::{
    Stage, TrainError, Trained, TrainingData, TrainingParameters, train_responses,
};
use tidings_decision::decide::ServedLists;
use tidings_state::AppState;
use tidings_store::models::{self, ModelState, NewModel};
use tidings_store::rules::RuleRow;
use tidings_store::user_features::{self, UserFeaturesRow};
use tidings_store::{
    StoreError, audit, events, experiments, in_transaction, response_examples, rules, stated_features, users,
};

/// Events read between two looks at cancellation: some milliseconds.
const EVENTS_AT_ONCE: usize = 8_192;
/// Propensities are learned from the latest messages: so many, of so many days.
const MESSAGES: i64 = 50_000;
const MESSAGE_DAYS: f64 = 180.0;
/// Their uplift from the latest decisions of the random test.
const COINS: i64 = 20_000;

/// Reason why a training ended without a model that serves.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The learning itself.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Reading or writing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artefact.
    #[error("the model could not be encoded: {0}")]
    Encode(String),
    /// The process that trains, in its own words or about it.
    #[error("{0}")]
    Worker(String),
}

/// A finished training.
pub struct Outcome {
    /// The new model set.
    pub model: ModelSet,
    /// The gate's verdict.
    pub gate: gate::Gate,
    /// Wall clock.
    pub took: Duration,
}

/// A training that was measured, and the data that it was made of.
pub struct Measured {
    /// The model, its metrics and figures.
    pub evaluated: Evaluated,
    /// Facts of the data.
    pub facts: DataFacts,
}

/// Parameters from the configuration.
pub fn parameters(state: &AppState) -> TrainingParameters {
    let training = &state.config.training;
    let mut parameters = TrainingParameters::default();
    parameters.segments.k = training.segments;
    parameters.segments.seed = training.seed;
    parameters.seed = training.seed;
    parameters.diversity = state.config.recommend.diversity;
    parameters.ensemble.max_work = f64::from(training.dense_work) * 1e9;
    parameters.tuning_work = f64::from(training.tuning_work) * 1e9;
    parameters.n_threads = match training.threads {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
        threads => threads,
    };
    parameters
}

/// Reads, trains and measures on a hold-out in time; stores nothing. Blocks.
pub fn measure(
    state: &AppState,
    now: Timestamp,
    progress: &mut dyn FnMut(Stage, f32) -> ControlFlow<()>,
) -> Result<Measured, TrainingError> {
    let mut data = read(state, progress)?;
    let parameters = parameters(state);
    let left_out = data.cap_users(parameters.max_user_events);
    if left_out > 0 {
        log::warn!(
            "users with more than {} events: {left_out} of their older ones are not used",
            parameters.max_user_events
        );
    }
    let catalogue = state.catalogue.load_full();
    let models = state.models.load_full();
    let current = (models.version != ModelVersion(0)).then_some(&*models);
    let placements = state.definitions.load().placements.values().cloned().collect::<Vec<_>>();
    let mut served = ServedLists::new(&state.config.recommend, state.rules().profiling_by_default)
        .with_placements(placements);
    note_wishes(state, &evaluate::held_out_users(&data, &parameters), &mut served)?;
    let beside = evaluate::Beside { current, served: Some(&served) };
    let mut evaluated = evaluate::train_against(&data, &catalogue, now, &parameters, &beside, progress)?;
    let facts = DataFacts::of(&data, &catalogue, evaluated.held_out_from);
    drop(data);
    let trained = &mut evaluated.trained;
    let since = now.plus_days(-MESSAGE_DAYS);
    let window = state.rules().attribution_window;
    let (messages, coins) = state.store.read_in_background(state.config.training.niceness, |connection| {
        let messages = response_examples::messages(connection, since, MESSAGES, window)?;
        Ok((messages, experiments::coin_decisions(connection, since, window, now, COINS)?))
    })?;
    let fitted = train_responses(&mut trained.model, &messages, &coins, now, progress)?;
    trained.metrics.extend(evaluate::response::measure_responses(&fitted));
    trained.model.metrics.clone_from(&trained.metrics);
    Ok(Measured { evaluated, facts })
}

/// Reads, trains on all but the latest part and measures the lists after the clicks of that part; stores nothing. Blocks.
pub fn measure_clicks(
    state: &AppState,
    ks: &[usize],
    progress: &mut dyn FnMut(Stage, f32) -> ControlFlow<()>,
) -> Result<Metrics, TrainingError> {
    let mut data = read(state, progress)?;
    let parameters = parameters(state);
    data.cap_users(parameters.max_user_events);
    let (catalogue, settings) = (state.catalogue.load_full(), &state.config.recommend);
    let mut served = ServedLists::new(settings, state.rules().profiling_by_default);
    note_wishes(state, &clicks::users_measured(&data, &parameters), &mut served)?;
    Ok(clicks::measure_stored(&data, &catalogue, (settings, &served), &parameters, ks, progress)?)
}

/// Reads what the users that are measured on have said about messages and data.
fn note_wishes(
    state: &AppState,
    held_out: &[UserId],
    served: &mut ServedLists<'_>,
) -> Result<(), TrainingError> {
    let wishes = state.store.read_in_background(state.config.training.niceness, |connection| {
        users::load_wishes(connection, held_out)
    })?;
    wishes.iter().for_each(|wish| served.note(wish.user, &wish.preferences, &wish.consents));
    Ok(())
}

/// Reads, trains without what is made cold and measures lists for it; stores nothing. Blocks.
pub fn measure_cold(
    state: &AppState,
    cold: Cold,
    ks: &[usize],
    progress: &mut dyn FnMut(Stage, f32) -> ControlFlow<()>,
) -> Result<Metrics, TrainingError> {
    let mut data = read(state, progress)?;
    let parameters = parameters(state);
    data.cap_users(parameters.max_user_events);
    Ok(cold::measure(&data, &state.catalogue.load_full(), cold, &parameters, ks, progress)?)
}

/// Reads, trains, judges and stores, with the end of the request in the audit log. Blocks for as long as it takes: never on an arbiter.
pub fn train(
    state: &AppState,
    requested: Option<&Requested>,
    progress: &mut dyn FnMut(Stage, f32) -> ControlFlow<()>,
) -> Result<Outcome, TrainingError> {
    let started = Instant::now();
    let now = Timestamp::now();
    let Measured { evaluated, facts } = measure(state, now, progress)?;
    let Trained { mut model, metrics, features } = evaluated.trained;
    let current = state.models.load();
    let current_metrics = (current.version != ModelVersion(0)).then_some(&current.metrics);
    let gate = gate::judge(&metrics, current_metrics, state.config.training.gate_tolerance);
    if progress(Stage::Save, 0.95).is_break() {
        return Err(TrainError::Cancelled.into());
    }
    let took = started.elapsed();
    let before = state.store.run_blocking(|connection| {
        model.version = models::reserve_version(connection)?;
        models::card(connection, current.version)
    })?;
    // One that this version can't read is none to compare with.
    let before: Option<ModelCard> = before.and_then(|card| serde_json::from_value(card).ok());
    let card = ModelCard::new(model.version, &model, facts, evaluated.figures, before.as_ref());
    let artefact = model.artefact().map_err(|error| TrainingError::Encode(error.to_string()))?;
    let new = NewModel {
        version: model.version,
        created_at: now,
        state: if gate.passed { ModelState::Active } else { ModelState::Rejected },
        parameters: serde_json::to_value(&model.parameters).unwrap_or_default(),
        metrics: serde_json::to_value(&metrics).unwrap_or_default(),
        gate: serde_json::to_value(&gate).unwrap_or_default(),
        events: i64::try_from(model.events).unwrap_or(i64::MAX),
        took_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
        card: serde_json::to_value(&card).ok(),
    };
    let rows = feature_rows(&model, &features);
    let rule_rows = rule_rows(&model);
    let keep = i64::from(state.config.training.keep_versions);
    state.store.run_blocking(|connection| {
        in_transaction(connection, |connection| {
            models::insert(connection, &new, &artefact)?;
            rules::insert(connection, new.version, &rule_rows)?;
            if gate.passed {
                user_features::replace(connection, &rows)?;
            }
            models::prune(connection, keep)?;
            let end = requested.map(|requested| requested.with_model(new.version, gate.passed));
            audit::append(connection, end.as_slice())
        })
    })?;
    Ok(Outcome { model, gate, took })
}

/// Rates as the segments compare them, so that the means of a segment are those of its rows.
fn feature_rows(
    model: &ModelSet,
    features: &[(UserId, Features, Option<SegmentId>)],
) -> Vec<UserFeaturesRow> {
    let row = |(user, features, segment): &(UserId, Features, Option<SegmentId>)| {
        let rates = model.segmentation.as_ref().map(|segmentation| segmentation.rates(features));
        let [purchases, minutes, searches] = rates.unwrap_or_else(|| features.observed());
        UserFeaturesRow {
            user: *user,
            purchases_per_month: purchases,
            browsing_minutes_per_month: minutes,
            searches_per_month: searches,
            recency_days: features.recency_days,
            monetary: features.monetary,
            segment: segment.map(|segment| segment.0),
        }
    };
    features.iter().map(row).collect()
}

fn rule_rows(model: &ModelSet) -> Vec<RuleRow> {
    (0i32..)
        .zip(model.association_rules().rules())
        .map(|(place, rule)| RuleRow {
            place,
            antecedent: rule.antecedent.to_vec(),
            consequent: rule.consequent.to_vec(),
            count: rule.count,
            support: rule.support,
            confidence: rule.confidence,
            lift: rule.lift,
        })
        .collect()
}

fn read(
    state: &AppState,
    progress: &mut dyn FnMut(Stage, f32) -> ControlFlow<()>,
) -> Result<TrainingData, TrainingError> {
    let mut events_read = Vec::new();
    let mut cancelled = progress(Stage::Read, 0.0).is_break();
    let (n_users, stated) = state.store.read_in_background(state.config.training.niceness, |connection| {
        // Room for all at once: a vector that doubles holds the events one and a half times while it grows.
        let about = usize::try_from(events::count_estimate(connection)?).unwrap_or(0).max(1);
        events_read.reserve(about + about / 64);
        events::for_each(connection, |event| {
            events_read.push(event);
            if events_read.len() % EVENTS_AT_ONCE == 0 {
                let done = events_read.len() as f32 / about as f32;
                cancelled |= progress(Stage::Read, done.min(1.0)).is_break();
            }
            if cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok((users::width(connection)?, stated_features::load_all(connection)?))
    })?;
    if cancelled {
        return Err(TrainError::Cancelled.into());
    }
    Ok(TrainingData { events: events_read, n_users, stated })
}
