//! Probabilities that a message is clicked, is followed by a purchase of what it names, or makes the user mute its category. In
//! go messages sent before, each with the numbers it was decided by ([`features`]) and what came of it; out comes a calibrated
//! probability for each [`Response`].
//!
//! For each response three ways are compared by log loss on rows the model had not seen ([`FOLDS`] folds): smoothed
//! base rates by trigger × segment, smartcore's logistic regression (up to [`MAX_LINEAR_ROWS`] rows) and boosted trees, the
//! latter two behind a Platt curve. The best serves; below [`MIN_MESSAGES`] messages or [`MIN_RESPONSES`] responses only
//! base rates are tried. [`Drift`] corrects between trainings. [`uplift`] learns whom a message helps, by those it was kept
//! from.

mod drift;
mod message;
mod per_response;
mod rates;
mod scorer;
mod situation;
#[cfg(test)]
mod tests;
pub mod uplift;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::{Millis, Timestamp};
use crate::ml::boosting::{Boosting, BoostingError, Dataset};
use crate::ml::calibration::Platt;
use crate::ml::linear::Linear;
use crate::ml::threads::Threads;

use per_response::LEAST;
use rates::BaseRates;
use scorer::{Scorer, tree_parameters};
use uplift::MessageUplift;

pub use drift::{Corrections, Drift};
pub use message::Message;
pub use per_response::{PerResponse, Probabilities, Response};
pub use situation::{Contact, FEATURE_NAMES, Features, Situation, features};
pub use uplift::{CoinDecision, UpliftReport};

/// Fewest messages a model is learned from.
pub const MIN_MESSAGES: usize = 200;
/// Fewest messages with the response, and without it.
pub const MIN_RESPONSES: usize = 20;
/// Rows are scored by models that have not seen them; row by row in turn, so each fold spans all of time.
pub const FOLDS: usize = 4;
/// Logistic regression is for few rows: smartcore's can't be cancelled.
pub const MAX_LINEAR_ROWS: usize = 4_000;
/// Names of triggers and categories that get a column of their own.
const MAX_NAMES: usize = 32;
/// Segments that get a column of their own.
const MAX_SEGMENTS: u8 = 26;
/// A message has had its time when it is older than this share of responses took.
const PATIENT_SHARE: f64 = 0.95;
/// Until the first responses tell how long they take.
const DEFAULT_PATIENCE: Millis = Millis::seconds(60);

/// Kind of model that predicts the probabilities of one response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Basis {
    /// Smoothed base rates: too little was there to learn from, or no model did better.
    BaseRates(String),
    /// smartcore's logistic regression.
    Logistic,
    /// Boosted trees.
    Trees,
}

/// Training report on one response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Kind of model that serves.
    pub basis: Basis,
    /// Messages that had had their time.
    pub messages: u64,
    /// Of those: with the response.
    pub responses: u64,
    /// Messages younger than this were left out.
    pub patience: Millis,
}

/// A scorer and the curve to probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Calibrated {
    scorer: Scorer,
    platt: Platt,
}

/// The columns of a row: [`FEATURE_NAMES`], then one for each known trigger, category and segment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Encoder {
    triggers: Vec<String>,
    categories: Vec<String>,
    segments: u8,
}

/// The fitted probabilities of all responses; the default knows nothing and says what is usual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponseModel {
    encoder: Encoder,
    rates: BaseRates,
    models: PerResponse<Option<Calibrated>>,
    reports: PerResponse<Option<Report>>,
    uplift: MessageUplift,
}

/// Result of fitting: the model, and for each response (probability, outcome) of messages that the part of the model which
/// predicts it had not seen; empty where base rates serve.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Ready to serve.
    pub model: ResponseModel,
    /// To measure it by.
    pub held_out: PerResponse<Vec<(f64, bool)>>,
}

impl ResponseModel {
    /// Fits to messages in order of `sent_at`, as of `now`. Never fails for want of data: the [`Report`] says what a model
    /// would need. `None` when `progress`, which hears 0…1, broke. Time: 9 fits a response; at 20,000 messages about two
    /// seconds on two cores.
    pub fn fit(
        messages: &[Message],
        now: Timestamp,
        seed: u64,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Fitted> {
        let mut model = Self { encoder: Encoder::new(messages), ..Self::default() };
        let mut held_out = PerResponse::default();
        for (done, response) in (0u8..).zip(Response::ALL) {
            let patience = patience(messages, response);
            let mature: Vec<&Message> =
                messages.iter().filter(|message| message.sent_at + patience <= now).collect();
            mature.iter().for_each(|message| model.rates.note(message, response));
            let mut hear = |share: f32| progress((f32::from(done) + share) / 3.0);
            let trial = Trial { model: &model, response, seed, threads };
            let (found, basis) = match trial.run(&mature, &mut hear)? {
                Ok((found, basis)) => (Some(found), basis),
                Err(reason) => (None, Basis::BaseRates(reason)),
            };
            if let Some((calibrated, pairs)) = found {
                *model.models.get_mut(response) = Some(calibrated);
                *held_out.get_mut(response) = pairs;
            }
            let responses = mature.iter().filter(|message| message.has(response)).count();
            *model.reports.get_mut(response) =
                Some(Report { basis, messages: mature.len() as u64, responses: responses as u64, patience });
        }
        Some(Fitted { model, held_out })
    }

    /// The probabilities for a message. `features` of another length than this release's (or none) get base rates.
    pub fn probabilities(
        &self,
        trigger: &str,
        category: &str,
        segment: Option<u8>,
        features: &[f32],
    ) -> Probabilities {
        let known = features.len() == FEATURE_NAMES.len();
        let any = known && Response::ALL.iter().any(|response| self.models.get(*response).is_some());
        let row = if any { self.encoder.row(trigger, category, segment, features) } else { Vec::new() };
        PerResponse::from_fn(|response| {
            let probability = match self.models.get(response) {
                Some(model) if known => model.probability(&row),
                _ => self.rates.rate(response, trigger, segment),
            };
            probability.clamp(LEAST, 1.0 - LEAST) as f32
        })
    }

    /// Learns by how much a message raises the probability of a purchase, from decisions that a coin made. Replaces what was
    /// learned before; the report says what stands against a model. `None` when `progress`, which hears 0…1, broke.
    pub fn learn_uplift(
        &mut self,
        decisions: &[CoinDecision],
        seed: u64,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<()> {
        let encoder = &self.encoder;
        let row = |one: &CoinDecision| encoder.row(&one.trigger, &one.category, one.segment, &one.features);
        self.uplift = MessageUplift::learn(decisions, encoder.width(), row, seed, threads, &mut progress)?;
        Some(())
    }

    /// By how much a message raises the probability that its user buys, −1…1; `None` where no model has learned it, or
    /// `features` have another length than this release's. Takes about as long as one probability.
    pub fn uplift(
        &self,
        trigger: &str,
        category: &str,
        segment: Option<u8>,
        features: &[f32],
    ) -> Option<f32> {
        let model = self.uplift.model().filter(|_| features.len() == FEATURE_NAMES.len())?;
        let effect = model.predict(&self.encoder.row(trigger, category, segment, features));
        Some(effect.clamp(-1.0, 1.0) as f32)
    }

    /// Report of the training of [`uplift`](Self::uplift); `None` before any.
    pub fn uplift_report(&self) -> Option<&UpliftReport> {
        self.uplift.report()
    }

    /// Returns whether a model, and no base rate, predicts this response.
    pub fn has_learned(&self, response: Response) -> bool {
        self.models.get(response).is_some()
    }

    /// Training report on this response; `None` before any training.
    pub fn report(&self, response: Response) -> Option<&Report> {
        self.reports.get(response).as_ref()
    }

    /// Time after a message by which most clicks and mutes have come.
    pub fn patience(&self) -> Millis {
        let of = |response| self.report(response).map(|report| report.patience);
        of(Response::Click).max(of(Response::Mute)).unwrap_or(DEFAULT_PATIENCE)
    }

    /// Returns whether the numbers make sense. Checked after loading.
    pub fn is_sound(&self) -> bool {
        let width = self.encoder.width();
        let responses = Response::ALL.iter().all(|response| {
            self.models
                .get(*response)
                .as_ref()
                .is_none_or(|model| model.platt.is_sound() && model.scorer.is_sound(width))
        });
        responses && self.uplift.model().is_none_or(|model| model.is_sound(width))
    }
}

impl Calibrated {
    fn probability(&self, row: &[f32]) -> f64 {
        self.platt.probability(self.scorer.score(row))
    }
}

impl Encoder {
    fn new(messages: &[Message]) -> Self {
        let names = |of: fn(&Message) -> &String| {
            let mut names: Vec<String> = messages.iter().map(of).cloned().collect();
            names.sort_unstable();
            names.dedup();
            names.truncate(MAX_NAMES);
            names
        };
        let segments = messages.iter().filter_map(|message| message.segment).max();
        Self {
            triggers: names(|message| &message.trigger),
            categories: names(|message| &message.category),
            segments: segments.map_or(0, |last| last.saturating_add(1).min(MAX_SEGMENTS)),
        }
    }

    fn width(&self) -> usize {
        FEATURE_NAMES.len() + self.triggers.len() + self.categories.len() + usize::from(self.segments)
    }

    fn row(&self, trigger: &str, category: &str, segment: Option<u8>, features: &[f32]) -> Vec<f32> {
        let one = |is: bool| f32::from(u8::from(is));
        let mut row = Vec::with_capacity(self.width());
        row.extend_from_slice(features);
        row.extend(self.triggers.iter().map(|name| one(name == trigger)));
        row.extend(self.categories.iter().map(|name| one(name == category)));
        row.extend((0..self.segments).map(|of| one(segment == Some(of))));
        row
    }
}

/// The comparison for one response.
struct Trial<'a> {
    model: &'a ResponseModel,
    response: Response,
    seed: u64,
    threads: &'a Threads,
}

type Found = ((Calibrated, Vec<(f64, bool)>), Basis);

impl Trial<'_> {
    /// The best model, or why there is none; `None` when cancelled.
    fn run(
        &self,
        messages: &[&Message],
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Result<Found, String>> {
        if progress(0.0).is_break() {
            return None;
        }
        let complete: Vec<&Message> = messages
            .iter()
            .filter(|message| message.features.len() == FEATURE_NAMES.len())
            .copied()
            .collect();
        let outcomes: Vec<bool> = complete.iter().map(|message| message.has(self.response)).collect();
        let positive = outcomes.iter().filter(|outcome| **outcome).count();
        let rarer = positive.min(outcomes.len() - positive);
        if outcomes.len() < MIN_MESSAGES || rarer < MIN_RESPONSES {
            return Some(Err(format!(
                "not enough data: needs {MIN_MESSAGES} messages, {MIN_RESPONSES} with and {MIN_RESPONSES} without a {}; \
                 there are {}, {positive} with",
                self.response.name(),
                outcomes.len()
            )));
        }
        let encoder = &self.model.encoder;
        let values: Vec<f32> = complete
            .iter()
            .flat_map(|m| encoder.row(&m.trigger, &m.category, m.segment, &m.features))
            .collect();
        let data = Rows { values, outcomes, width: encoder.width() };
        let mut best: Option<(Found, f64)> = None;
        let least = self.base_loss(&complete, &data.outcomes);
        for (done, basis) in [(0.0, Basis::Logistic), (0.5, Basis::Trees)] {
            let mut hear = |share: f32| progress(done + share / 2.0);
            let Some((model, pairs)) = self.candidate(&data, &basis, &mut hear)? else { continue };
            let loss = log_loss(&pairs);
            if loss < best.as_ref().map_or(least, |(_, best)| *best) {
                best = Some((((model, pairs), basis), loss));
            }
        }
        let none = || format!("no model was better than base rates on {} messages", complete.len());
        Some(best.map(|(found, _)| found).ok_or_else(none))
    }

    /// Of base rates by trigger × segment. They have seen these rows, which favours them a little.
    fn base_loss(&self, messages: &[&Message], outcomes: &[bool]) -> f64 {
        let rates = &self.model.rates;
        let pairs: Vec<(f64, bool)> = messages
            .iter()
            .zip(outcomes)
            .map(|(m, outcome)| (rates.rate(self.response, &m.trigger, m.segment), *outcome))
            .collect();
        log_loss(&pairs)
    }

    /// Outer `None`: cancelled. Inner: this way has no model for these rows.
    #[expect(clippy::type_complexity, reason = "used once; a name would hide which None is which")]
    fn candidate(
        &self,
        data: &Rows,
        basis: &Basis,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Option<(Calibrated, Vec<(f64, bool)>)>> {
        if *basis == Basis::Logistic && data.outcomes.len() > MAX_LINEAR_ROWS {
            return Some(None);
        }
        let fits = (FOLDS + 1) as f32;
        let mut scores = vec![0f32; data.outcomes.len()];
        for fold in 0..FOLDS {
            let mut hear = |share: f32| progress((fold as f32 + share) / fits);
            let part = data.part(|row| row % FOLDS != fold);
            let Some(scorer) = self.fit(&part, basis, &mut hear)? else { return Some(None) };
            let outside = data.values.chunks_exact(data.width).zip(&mut scores).enumerate();
            outside
                .filter(|(row, _)| row % FOLDS == fold)
                .for_each(|(_, (row, score))| *score = scorer.score(row));
        }
        let Some(platt) = Platt::fit(&scores, &data.outcomes) else { return Some(None) };
        let mut hear = |share: f32| progress((FOLDS as f32 + share) / fits);
        let Some(scorer) = self.fit(data, basis, &mut hear)? else { return Some(None) };
        let probability = |score: &f32| platt.probability(*score);
        let pairs = scores.iter().map(probability).zip(data.outcomes.iter().copied()).collect();
        Some(Some((Calibrated { scorer, platt }, pairs)))
    }

    fn fit(
        &self,
        data: &Rows,
        basis: &Basis,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Option<Scorer>> {
        if *basis == Basis::Logistic {
            let linear = Linear::logistic(&data.values, &data.outcomes, data.width);
            return progress(1.0).is_continue().then_some(linear.map(Scorer::Linear));
        }
        let labels: Vec<f32> = data.outcomes.iter().map(|outcome| f32::from(u8::from(*outcome))).collect();
        let rows = Dataset {
            values: &data.values,
            n_features: data.width,
            labels: &labels,
            weights: None,
            groups: None,
        };
        match Boosting::fit(&rows, None, &tree_parameters(self.seed), self.threads, progress) {
            Ok(trees) => Some(Some(Scorer::Trees(trees))),
            Err(BoostingError::Cancelled) => None,
            Err(_) => Some(None),
        }
    }
}

/// Encoded messages, row-major, and whether the response came.
struct Rows {
    values: Vec<f32>,
    outcomes: Vec<bool>,
    width: usize,
}

impl Rows {
    fn part(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let mut part = Self { values: Vec::new(), outcomes: Vec::new(), width: self.width };
        let rows = self.values.chunks_exact(self.width).zip(&self.outcomes).enumerate();
        for (_, (row, outcome)) in rows.filter(|(index, _)| wanted(*index)) {
            part.values.extend_from_slice(row);
            part.outcomes.push(*outcome);
        }
        part
    }
}

/// Least age of a message to count, answered or not: as long as 19 of 20 responses took. Were only silent messages left out while
/// young, the young would all seem to answer.
fn patience(messages: &[Message], response: Response) -> Millis {
    let mut delays: Vec<Millis> =
        messages.iter().filter_map(|message| *message.after.get(response)).collect();
    delays.sort_unstable();
    let place = (delays.len() as f64 * PATIENT_SHARE) as usize;
    delays.get(place.min(delays.len().saturating_sub(1))).copied().unwrap_or(DEFAULT_PATIENCE)
}

/// Mean, in nats.
fn log_loss(pairs: &[(f64, bool)]) -> f64 {
    let one = |(p, outcome): &(f64, bool)| if *outcome { *p } else { 1.0 - p }.max(1e-15).ln();
    -pairs.iter().map(one).sum::<f64>() / pairs.len().max(1) as f64
}
