//! The whole training, stage by stage.

use std::sync::Arc;

use rayon::prelude::*;

use crate::base::{Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;
use crate::profile::{
    Features, Observed, Profile, ReturnTimes, SegmentError, SegmentId, SegmentParameters, Segmentation,
};
use crate::recommend::ensemble::{
    EventKinds, EventRows, KindColumn, KindInputs, KindModels, KindNumbers, Models, TARGET,
};
use crate::recommend::models::association_rules::AssociationRules;
use crate::recommend::models::content_based::ContentBased;
use crate::recommend::models::frequent_itemsets;
use crate::recommend::models::interactions::{Groups, Matrix, Weighting};
use crate::recommend::models::item_knn::{ItemKnn, KnnParameters};
use crate::recommend::models::popularity::Popularity;
use crate::recommend::models::purchase_baskets::purchase_baskets;
use crate::recommend::models::repurchase::Repeat;
use crate::recommend::serve::model_set::{ModelSet, plain};
use crate::recommend::session::next_item::NextItem;
use crate::response::{CoinDecision, Fitted, Message, ResponseModel};

use super::baseline::Baseline;
use super::data::{TrainingData, Users};
use super::error::TrainError;
use super::parameters::TrainingParameters;
use super::stage::{Progress, Stage};

/// Users folded between two looks at cancellation.
const USERS_AT_ONCE: usize = 2_048;

/// Result of a training.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Ready to serve; its version is 0 until stored.
    pub model: ModelSet,
    /// On held-out data; empty when nothing could be held out.
    pub metrics: Metrics,
    /// Of every user with an event or with stated features, by user.
    pub features: Vec<(UserId, Features, Option<SegmentId>)>,
}

/// Trains on all the data, measuring nothing. A shop with a catalogue and no events gets a content model, one with
/// events and no catalogue a behavioural one; without both there is [`TrainError::NotEnoughData`].
pub fn train(
    data: &TrainingData,
    catalogue: &Catalogue,
    now: Timestamp,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<Trained, TrainError> {
    let threads = Threads::new(parameters.n_threads)?;
    let (threads, events, users) = (&threads, data.events.as_slice(), data.users());
    let inputs = Inputs { threads, events, users, catalogue, now, content: None };
    train_in(&inputs, parameters, progress)
}

/// Inputs of a training.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The pool.
    pub threads: &'a Threads,
    /// In order of time.
    pub events: &'a [Event],
    /// All users.
    pub users: Users<'a>,
    /// All items.
    pub catalogue: &'a Catalogue,
    /// The moment of the training.
    pub now: Timestamp,
    /// The content model of this catalogue, where it has been made already.
    pub content: Option<&'a ContentBased>,
}

/// As [`train`], in a pool that is already there, the blend as the parameters say.
pub fn train_in(
    inputs: &Inputs<'_>,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<Trained, TrainError> {
    stages(inputs, parameters, true, progress)
}

/// All models but the blend and the next clicks: what a blend is chosen on.
pub fn ground(
    inputs: &Inputs<'_>,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<ModelSet, TrainError> {
    Ok(stages(inputs, parameters, false, progress)?.model)
}

fn stages(
    inputs: &Inputs<'_>,
    parameters: &TrainingParameters,
    with_blend: bool,
    progress: &mut Progress<'_>,
) -> Result<Trained, TrainError> {
    let Inputs { threads, events, users, catalogue, now, .. } = *inputs;
    if events.is_empty() && catalogue.is_empty() && users.stated.is_empty() {
        return Err(TrainError::NotEnoughData {
            needs: "at least one event, one item or one user with stated features",
            has: "0 events and 0 items".to_owned(),
        });
    }
    let observed = Observed::of(events);
    let (features, returns) = features(threads, events, users, catalogue, &observed, progress)?;
    let segmentation = segments(&features, returns.least_months(), parameters, progress)?;
    let (features, segment_of) = in_segments(features, segmentation.as_ref(), users.n);
    let n_segments = segmentation.as_ref().map_or(0, |found| found.summaries().len());
    let by_segment = (n_segments, segment_of.as_slice());
    let (popularity, item_knn) =
        popularity_and_neighbours(threads, events, catalogue, by_segment, parameters, progress)?;
    let baseline = Baseline::fit(events, features.iter().map(|(user, features, _)| (user.index(), features)));
    let mut model = ModelSet {
        trained_at: now,
        events: events.len() as u64,
        observed,
        segmentation,
        parameters: parameters.clone(),
        baseline: Arc::new(baseline),
        popularity: Arc::new(popularity),
        item_knn: Arc::new(item_knn),
        ..ModelSet::empty()
    };
    // Before the blend: fitting the sessions takes more memory, and the models of the blend stay.
    step(progress, Stage::Sessions, 0.0)?;
    if with_blend {
        let hear = |done| progress(Stage::Sessions, 0.9 * done);
        let sessions = NextItem::fit(events, users.n, threads, hear).ok_or(TrainError::Cancelled)?;
        model.sessions = Arc::new(sessions);
    }
    model.repeat = Arc::new(Repeat::fit(events));
    step(progress, Stage::Sessions, 1.0)?;
    step(progress, Stage::Ensemble, 0.0)?;
    if with_blend {
        blend(threads, events, users.n, &mut model, progress)?;
    }
    model.association_rules = Arc::new(association_rules(threads, events, parameters, progress)?);
    step(progress, Stage::Content, 0.0)?;
    model.content = match inputs.content {
        Some(made) => made.clone(),
        None => ContentBased::fit_with(catalogue, |done| progress(Stage::Content, done))
            .ok_or(TrainError::Cancelled)?,
    };
    step(progress, Stage::Content, 1.0)?;
    Ok(Trained { model, metrics: Metrics::new(), features })
}

/// Fits the blend that the parameters of the model name.
fn blend(
    threads: &Threads,
    events: &[Event],
    n_users: usize,
    model: &mut ModelSet,
    progress: &mut Progress<'_>,
) -> Result<(), TrainError> {
    let parameters = model.parameters.clone();
    let mut rows = rows(events, n_users, &parameters, progress)?;
    let columns = parameters.ensemble.kind_columns();
    if !columns.is_empty() {
        model.set_kinds(kinds(threads, &rows, &parameters, Some(&columns), progress)?);
    }
    rows.acts = Vec::new();
    let models = Models::fit(&rows.histories(), &parameters.ensemble, threads, |done| {
        progress(Stage::Ensemble, 0.2 + 0.8 * done)
    })?;
    let models = models.with_kinds(model.kinds.columns());
    model.set_ensemble(plain(models));
    Ok(())
}

/// A user's features and segment.
type Segmented = (UserId, Features, Option<SegmentId>);

/// Features with the segment of each user, and the segments by user.
fn in_segments(
    features: Vec<(UserId, Features)>,
    segmentation: Option<&Segmentation>,
    n_users: usize,
) -> (Vec<Segmented>, Vec<Option<SegmentId>>) {
    let assign = |(user, features): (UserId, Features)| {
        (user, features, segmentation.map(|found| found.assign(&features)))
    };
    let features: Vec<_> = features.into_iter().map(assign).collect();
    let mut segment_of = vec![None; n_users];
    for (user, _, segment) in &features {
        if let Some(slot) = segment_of.get_mut(user.index()) {
            *slot = *segment;
        }
    }
    (features, segment_of)
}

/// Adds to a model how likely messages are to be answered, from messages in order of time, and by how much they raise the
/// probability of a purchase, from decisions that a coin made; what it gives back measures it.
pub fn train_responses(
    model: &mut ModelSet,
    messages: &[Message],
    coins: &[CoinDecision],
    now: Timestamp,
    progress: &mut Progress<'_>,
) -> Result<Fitted, TrainError> {
    step(progress, Stage::Responses, 0.0)?;
    let threads = Threads::new(model.parameters.n_threads)?;
    let seed = model.parameters.seed;
    let hear = |done: f32| progress(Stage::Responses, 0.7 * done);
    let mut fitted = ResponseModel::fit(messages, now, seed, &threads, hear).ok_or(TrainError::Cancelled)?;
    let hear = |done: f32| progress(Stage::Responses, 0.7 + 0.3 * done);
    fitted.model.learn_uplift(coins, seed, &threads, hear).ok_or(TrainError::Cancelled)?;
    model.response = Arc::new(fitted.model.clone());
    Ok(fitted)
}

fn step(progress: &mut Progress<'_>, stage: Stage, done: f32) -> Result<(), TrainError> {
    if progress(stage, done).is_break() { Err(TrainError::Cancelled) } else { Ok(()) }
}

/// The features of every user with events or stated features, by folding the very events the live profile folds; and how long
/// users take to come back.
fn features(
    threads: &Threads,
    events: &[Event],
    known: Users<'_>,
    catalogue: &Catalogue,
    observed: &Observed,
    progress: &mut Progress<'_>,
) -> Result<(Vec<(UserId, Features)>, ReturnTimes), TrainError> {
    step(progress, Stage::Profiles, 0.0)?;
    let groups = Groups::by_user(known.n, events);
    let users: Vec<u32> = (0u32..).take(groups.n_rows()).collect();
    let clock = observed.context(None, Timestamp(0), catalogue.money());
    let (mut features, mut returns) = (Vec::new(), ReturnTimes::default());
    for (index, chunk) in users.chunks(USERS_AT_ONCE).enumerate() {
        let folded: Vec<(UserId, Features, ReturnTimes)> = threads.run(|| {
            chunk
                .par_iter()
                .filter_map(|user| {
                    let mut profile = Profile::default();
                    let stated = known.stated(UserId(*user));
                    stated.into_iter().for_each(|stated| profile.state(stated));
                    for event in groups.row(*user as usize, events) {
                        profile.apply(event, catalogue);
                    }
                    let is_known = profile.events() > 0 || stated.is_some();
                    let returns = ReturnTimes::of(groups.row(*user as usize, events));
                    is_known.then(|| (UserId(*user), profile.features(clock), returns))
                })
                .collect()
        });
        returns = folded.iter().fold(returns, |sum, (_, _, user)| sum + *user);
        features.extend(folded.into_iter().map(|(user, features, _)| (user, features)));
        let done = ((index + 1) * USERS_AT_ONCE) as f32 / users.len() as f32;
        step(progress, Stage::Profiles, done.min(1.0))?;
    }
    Ok((features, returns))
}

/// Popularity and item-to-item similarity, from one matrix of users and items. `by_segment`: the number of segments, and that
/// of each user.
fn popularity_and_neighbours(
    threads: &Threads,
    events: &[Event],
    catalogue: &Catalogue,
    (n_segments, segment_of): (usize, &[Option<SegmentId>]),
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<(Popularity, ItemKnn), TrainError> {
    step(progress, Stage::Popularity, 0.0)?;
    let weighting = Weighting {
        half_life_days: parameters.interaction_half_life_days,
        history_cap: parameters.history_cap,
    };
    let matrix = Matrix::from_events(events, segment_of.len(), &weighting, |done| {
        progress(Stage::Popularity, done * 0.9)
    })
    .ok_or(TrainError::Cancelled)?;
    let popularity =
        Popularity::fit(&matrix, catalogue, parameters.popularity_half_life_days, n_segments, |row| {
            segment_of.get(row).copied().flatten()
        });
    step(progress, Stage::Popularity, 1.0)?;

    step(progress, Stage::ItemKnn, 0.0)?;
    let knn = KnnParameters { neighbours: parameters.neighbours, shrinkage: parameters.shrinkage };
    let item_knn = ItemKnn::fit(&matrix, &knn, threads, |done| progress(Stage::ItemKnn, done))
        .ok_or(TrainError::Cancelled)?;
    Ok((popularity, item_knn))
}

/// The examples that a blend is fitted on.
pub fn rows(
    events: &[Event],
    n_users: usize,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<EventRows, TrainError> {
    let hear = |done| progress(Stage::Ensemble, 0.1 * done);
    let kinds = parameters.kinds.clone().unwrap_or_else(|| KindNumbers::of(events));
    EventRows::new(events, n_users, parameters.history_cap, kinds, hear).ok_or(TrainError::Cancelled)
}

/// Models of the kinds of behaviour with the columns needed, `None` = all; none where kinds are not told apart. What was bought
/// stays out of lists.
pub fn kinds(
    threads: &Threads,
    rows: &EventRows,
    parameters: &TrainingParameters,
    needed: Option<&[KindColumn]>,
    progress: &mut Progress<'_>,
) -> Result<EventKinds, TrainError> {
    if rows.kinds.is_empty() {
        return Ok(EventKinds::default());
    }
    let masked: Vec<bool> = (0..rows.kinds.len()).map(|kind| kind == usize::from(TARGET)).collect();
    let hear = |done| progress(Stage::Ensemble, 0.1 + 0.1 * done);
    let inputs = KindInputs { acts: &rows.acts, n_items: rows.n_items, masked: &masked, needed };
    let models = KindModels::fit(&inputs, None, &parameters.ensemble, threads, hear)?;
    Ok(EventKinds { numbers: rows.kinds.clone(), models })
}

fn association_rules(
    threads: &Threads,
    events: &[Event],
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<AssociationRules, TrainError> {
    step(progress, Stage::Rules, 0.0)?;
    if parameters.rules.max_rules == 0 {
        return Ok(AssociationRules::default());
    }
    let baskets = purchase_baskets(events);
    let itemsets = frequent_itemsets::mine(&baskets, &parameters.itemsets, threads, |done| {
        progress(Stage::Rules, done * 0.9)
    })
    .ok_or(TrainError::Cancelled)?;
    let rules = AssociationRules::new(&itemsets, &parameters.rules);
    step(progress, Stage::Rules, 1.0)?;
    Ok(rules)
}

fn segments(
    features: &[(UserId, Features)],
    least_months: f64,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<Option<Segmentation>, TrainError> {
    step(progress, Stage::Segments, 0.0)?;
    let users: Vec<Features> = features.iter().map(|(_, features)| *features).collect();
    let parameters = SegmentParameters { least_months, ..parameters.segments };
    let fitted = Segmentation::fit_with(&users, &parameters, |done| progress(Stage::Segments, done));
    match fitted {
        Ok(segmentation) => Ok(Some(segmentation)),
        Err(SegmentError::NoUsers) => Ok(None),
        Err(SegmentError::Cancelled) => Err(TrainError::Cancelled),
        Err(error @ SegmentError::BadCount(_)) => Err(TrainError::Parameter(error.to_string())),
    }
}
