//! From events and a catalogue to a [`ModelSet`], stage by stage, cancellable between any two short pieces of work.

use std::ops::ControlFlow;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{ModelVersion, Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::profile::{Features, Profile, SegmentError, SegmentId, Segmentation};

use super::association_rules::{AssociationRules, purchase_baskets};
use super::baseline::Baseline;
use super::content_based::ContentBased;
use super::ensemble::{EventHistories, Models};
use super::frequent_itemsets;
use super::interactions::{Groups, Matrix, Weighting};
use super::item_knn::{ItemKnn, KnnParameters};
use super::model_set::plain;
use super::next_item::NextItem;
use super::popularity::Popularity;
use super::propensity::{Fitted, Message, Propensity};
use super::repeat::Repeat;
use super::threads::Threads;
use super::{Metrics, ModelSet, TrainingParameters};

/// Users folded between two looks at cancellation.
const USERS_AT_ONCE: usize = 2_048;

/// What a model is trained from.
#[derive(Clone, Debug, Default)]
pub struct TrainingData {
    /// In order of `occurred_at`; users and items by dense id.
    pub events: Vec<Event>,
    /// One more than the largest user id.
    pub n_users: usize,
}

impl TrainingData {
    /// Leaves out all but the newest `most` events of each user; anonymous ones stay. How many went. O(events), 4 bytes a
    /// user.
    pub fn cap_users(&mut self, most: usize) -> usize {
        let mut surplus = vec![0u32; self.n_users];
        for event in &self.events {
            if let Some(count) = event.user.and_then(|user| surplus.get_mut(user.index())) {
                *count = count.saturating_add(1);
            }
        }
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        surplus.iter_mut().for_each(|count| *count = count.saturating_sub(most));
        let before = self.events.len();
        // Oldest first: the surplus is used up by the oldest.
        self.events.retain(|event| {
            let left = event.user.and_then(|user| surplus.get_mut(user.index())).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_none()
        });
        before - self.events.len()
    }
}

/// The stages of a training job, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Events are read from the database.
    Read,
    /// They are cleaned.
    Clean,
    /// Held-out data is predicted, weights are chosen.
    Evaluate,
    /// Users' features.
    Profiles,
    /// Users' segments.
    Segments,
    /// What is popular.
    Popularity,
    /// Item-to-item similarity.
    ItemKnn,
    /// The members of the blend.
    Ensemble,
    /// What is clicked next, and bought again.
    Sessions,
    /// What is bought together.
    Rules,
    /// Content index.
    Content,
    /// What came of messages.
    Propensity,
    /// The model is stored.
    Save,
}

impl Stage {
    /// For jobs and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Clean => "clean",
            Self::Evaluate => "evaluate",
            Self::Profiles => "profiles",
            Self::Segments => "segments",
            Self::Popularity => "popularity",
            Self::ItemKnn => "item_knn",
            Self::Ensemble => "ensemble",
            Self::Sessions => "sessions",
            Self::Rules => "rules",
            Self::Content => "content",
            Self::Propensity => "propensity",
            Self::Save => "save",
        }
    }
}

/// Hears the stage and how much of it is done, 0…1; `Break` cancels the training.
pub type Progress<'a> = dyn FnMut(Stage, f32) -> ControlFlow<()> + 'a;

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// Nothing to learn from.
    #[error("not enough data: training needs {needs}, there is {has}")]
    NotEnoughData {
        /// The least that would do.
        needs: &'static str,
        /// What there is.
        has: String,
    },
    /// The progress function said stop.
    #[error("the training was cancelled")]
    Cancelled,
    /// A parameter is out of range.
    #[error("bad training parameter: {0}")]
    Parameter(String),
    /// A dense model would not fit.
    #[error(
        "{items} items are too many for a dense model: it takes at most {most} ({bytes} bytes would be needed)"
    )]
    TooManyItems {
        /// Items there are.
        items: usize,
        /// Items allowed.
        most: usize,
        /// Memory they would take.
        bytes: usize,
    },
    /// No threads could be started.
    #[error("no threads for training: {0}")]
    Threads(String),
}

/// What training gives.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Ready to serve; its version is 0 until stored.
    pub model: ModelSet,
    /// On held-out data; empty when nothing could be held out.
    pub metrics: Metrics,
    /// Of every user with at least one event, by user.
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
    train_in(&threads, &data.events, data.n_users, catalogue, now, parameters, progress)
}

/// As [`train`], in a pool that is already there, from events in order of time.
pub fn train_in(
    threads: &Threads,
    events: &[Event],
    n_users: usize,
    catalogue: &Catalogue,
    now: Timestamp,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<Trained, TrainError> {
    if events.is_empty() && catalogue.is_empty() {
        return Err(TrainError::NotEnoughData {
            needs: "at least one event or one item",
            has: "0 events and 0 items".to_owned(),
        });
    }
    let features = features(threads, events, n_users, catalogue, now, progress)?;
    let segmentation = segments(&features, parameters, progress)?;
    let features: Vec<_> = features
        .into_iter()
        .map(|(user, features)| (user, features, segmentation.as_ref().map(|found| found.assign(&features))))
        .collect();
    let mut segment_of = vec![None; n_users];
    for (user, _, segment) in &features {
        if let Some(slot) = segment_of.get_mut(user.index()) {
            *slot = *segment;
        }
    }

    step(progress, Stage::Popularity, 0.0)?;
    let weighting = Weighting {
        half_life_days: parameters.interaction_half_life_days,
        history_cap: parameters.history_cap,
    };
    let matrix =
        Matrix::from_events(events, n_users, &weighting, |done| progress(Stage::Popularity, done * 0.9))
            .ok_or(TrainError::Cancelled)?;
    let popularity = Popularity::fit(
        &matrix,
        catalogue,
        parameters.popularity_half_life_days,
        segmentation.as_ref().map_or(0, |found| found.summaries().len()),
        |row| segment_of.get(row).copied().flatten(),
    );
    step(progress, Stage::Popularity, 1.0)?;

    step(progress, Stage::ItemKnn, 0.0)?;
    let knn = KnnParameters { neighbours: parameters.neighbours, shrinkage: parameters.shrinkage };
    let item_knn = ItemKnn::fit(&matrix, &knn, threads, |done| progress(Stage::ItemKnn, done))
        .ok_or(TrainError::Cancelled)?;
    drop(matrix);
    let (models, unit) = ensemble(threads, events, n_users, parameters, progress)?;
    step(progress, Stage::Sessions, 0.0)?;
    let sessions = NextItem::fit(events, n_users);
    step(progress, Stage::Sessions, 0.5)?;
    let repeat = Repeat::fit(events);
    step(progress, Stage::Sessions, 1.0)?;
    let association_rules = association_rules(threads, events, parameters, progress)?;

    step(progress, Stage::Content, 0.0)?;
    let content = ContentBased::fit_with(catalogue, |done| progress(Stage::Content, done))
        .ok_or(TrainError::Cancelled)?;
    step(progress, Stage::Content, 1.0)?;

    let baseline = Baseline::fit(events, features.iter().map(|(user, features, _)| (user.index(), features)));
    let model = ModelSet {
        version: ModelVersion(0),
        trained_at: now,
        events: events.len() as u64,
        metrics: Metrics::new(),
        segmentation,
        parameters: parameters.clone(),
        baseline: Arc::new(baseline),
        popularity: Arc::new(popularity),
        item_knn: Arc::new(item_knn),
        association_rules: Arc::new(association_rules),
        content,
        ensemble: Arc::new(plain(models)),
        unit,
        sessions: Arc::new(sessions),
        repeat: Arc::new(repeat),
        propensity: Arc::default(),
    };
    Ok(Trained { model, metrics: Metrics::new(), features })
}

/// Adds to a model how likely messages are to be answered, from messages in order of time; what it gives back measures it.
pub fn train_propensity(
    model: &mut ModelSet,
    messages: &[Message],
    now: Timestamp,
    progress: &mut Progress<'_>,
) -> Result<Fitted, TrainError> {
    step(progress, Stage::Propensity, 0.0)?;
    let threads = Threads::new(model.parameters.n_threads)?;
    let hear = |done| progress(Stage::Propensity, done);
    let fitted =
        Propensity::fit(messages, now, model.parameters.seed, &threads, hear).ok_or(TrainError::Cancelled)?;
    model.propensity = Arc::new(fitted.propensity.clone());
    Ok(fitted)
}

fn step(progress: &mut Progress<'_>, stage: Stage, done: f32) -> Result<(), TrainError> {
    if progress(stage, done).is_break() { Err(TrainError::Cancelled) } else { Ok(()) }
}

/// The features of every user with events, by folding the very events the live profile folds.
fn features(
    threads: &Threads,
    events: &[Event],
    n_users: usize,
    catalogue: &Catalogue,
    now: Timestamp,
    progress: &mut Progress<'_>,
) -> Result<Vec<(UserId, Features)>, TrainError> {
    step(progress, Stage::Profiles, 0.0)?;
    let groups = Groups::by_user(n_users, events);
    let users: Vec<u32> = (0u32..).take(groups.n_rows()).collect();
    let mut features = Vec::new();
    for (index, chunk) in users.chunks(USERS_AT_ONCE).enumerate() {
        let folded: Vec<_> = threads.run(|| {
            chunk
                .par_iter()
                .filter_map(|user| {
                    let mut profile = Profile::default();
                    for event in groups.row(*user as usize, events) {
                        profile.apply(event, catalogue);
                    }
                    (profile.events() > 0).then(|| (UserId(*user), profile.features(now)))
                })
                .collect()
        });
        features.extend(folded);
        let done = ((index + 1) * USERS_AT_ONCE) as f32 / users.len() as f32;
        step(progress, Stage::Profiles, done.min(1.0))?;
    }
    Ok(features)
}

/// The members of the blend, and the mean interest of the shop.
fn ensemble(
    threads: &Threads,
    events: &[Event],
    n_users: usize,
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<(Models, f32), TrainError> {
    step(progress, Stage::Ensemble, 0.0)?;
    let rows = EventHistories::new(events, n_users, parameters.history_cap, |done| {
        progress(Stage::Ensemble, 0.1 * done)
    })
    .ok_or(TrainError::Cancelled)?;
    let histories = rows.histories();
    let models = Models::fit(&histories, &parameters.ensemble, threads, |done| {
        progress(Stage::Ensemble, 0.1 + 0.9 * done)
    })?;
    Ok((models, rows.unit))
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
    parameters: &TrainingParameters,
    progress: &mut Progress<'_>,
) -> Result<Option<Segmentation>, TrainError> {
    step(progress, Stage::Segments, 0.0)?;
    let users: Vec<Features> = features.iter().map(|(_, features)| *features).collect();
    let fitted = Segmentation::fit_with(&users, &parameters.segments, |done| progress(Stage::Segments, done));
    match fitted {
        Ok(segmentation) => Ok(Some(segmentation)),
        Err(SegmentError::NoUsers) => Ok(None),
        Err(SegmentError::Cancelled) => Err(TrainError::Cancelled),
        Err(error @ SegmentError::BadCount(_)) => Err(TrainError::Parameter(error.to_string())),
    }
}
