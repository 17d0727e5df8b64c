//! Trials of hyper-parameters, and of the members good enough alone to choose candidates: each tried on held-out users.

use std::collections::HashSet;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::ItemId;
use crate::evaluate::ranking::{ndcg, top};
use crate::ml::threads::Threads;
use crate::recommend::ensemble::{Context, EnsembleParameters, Histories, Models, fit_ease};
use crate::recommend::models::implicit_als::{AlsParameters, ImplicitAls};
use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::item_weights::ItemWeights;
use crate::recommend::train::TrainError;

use super::held_out::{HeldOut, items, newest_first};

/// Members that choose candidates.
const CORE: usize = 8;
/// Penalties of EASE^R, the likeliest first; the two best stay.
const LAMBDAS: [f32; 4] = [100.0, 500.0, 20.0, 2_000.0];
/// Factors, penalty and confidence of implicit ALS, the likeliest first; the two best stay.
const ALS: [(usize, f32, f32); 3] = [(128, 10.0, 1.0), (64, 50.0, 16.0), (32, 10.0, 4.0)];
const STAYING: usize = 2;
/// Decays EASE^R is tried with; its best counts.
const DECAYS: [f32; 3] = [0.5, 0.95, 1.0];

pub(super) struct Trials<'a> {
    pub(super) histories: &'a Histories<'a>,
    pub(super) threads: &'a Threads,
    pub(super) expired: &'a dyn Fn() -> bool,
}

impl Trials<'_> {
    /// Mean NDCG@10 of scores made from a history.
    fn measure(&self, cases: &[HeldOut], score: impl Fn(&[(ItemId, f32)], &mut [f32]) + Sync) -> f64 {
        let one = |case: &HeldOut| {
            let history = case.history(self.histories);
            let seen = items(history);
            let mut scores = vec![0f32; self.histories.n_items];
            score(&newest_first(history), &mut scores);
            quality(&scores, &seen, case)
        };
        let values: Vec<f64> = self.threads.run(|| cases.par_iter().map(one).collect());
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }

    pub(super) fn choose_ease(
        &self,
        matrix: &Matrix,
        cases: &[HeldOut],
        parameters: &EnsembleParameters,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<(Vec<f32>, Vec<ItemWeights>), TrainError> {
        let mut tried = Vec::new();
        for (index, lambda) in LAMBDAS.into_iter().enumerate() {
            if index > 0 && (self.expired)() {
                break;
            }
            let done = |part: f32| (index as f32 + part) / LAMBDAS.len() as f32;
            let fitted = fit_ease(matrix, lambda, parameters, self.threads, |part| progress(done(part)));
            let weights = match fitted {
                Ok(weights) => weights,
                Err(TrainError::Cancelled) => return Err(TrainError::Cancelled),
                // A penalty too small for these weights: the others will do.
                Err(_) => continue,
            };
            let mut best = 0.0f64;
            for decay in DECAYS {
                let quality = self.measure(cases, |history, scores| {
                    weights.add_scores(&faded(history, decay), scores);
                });
                best = best.max(quality);
            }
            tried.push((best, lambda, weights));
        }
        tried.sort_by(|a, b| b.0.total_cmp(&a.0));
        tried.truncate(STAYING);
        Ok(tried.into_iter().map(|(_, lambda, weights)| (lambda, weights)).unzip())
    }

    pub(super) fn choose_als(
        &self,
        matrix: &Matrix,
        cases: &[HeldOut],
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<(Vec<AlsParameters>, Vec<ImplicitAls>), TrainError> {
        let mut tried = Vec::new();
        for (index, (factors, regularisation, alpha)) in ALS.into_iter().enumerate() {
            if index > 0 && (self.expired)() {
                break;
            }
            let parameters = AlsParameters { factors, regularisation, alpha, ..AlsParameters::default() };
            let done = |part: f32| (index as f32 + part) / ALS.len() as f32;
            let als = ImplicitAls::fit(matrix, &parameters, self.threads, |part| progress(done(part)))?;
            let quality = self.measure(cases, |history, scores| als.add_scores(history, scores));
            tried.push((quality, parameters, als));
        }
        tried.sort_by(|a, b| b.0.total_cmp(&a.0));
        tried.truncate(STAYING);
        Ok(tried.into_iter().map(|(_, parameters, als)| (parameters, als)).unzip())
    }

    /// The members that do best alone.
    pub(super) fn core(&self, models: &Models, cases: &[HeldOut]) -> Vec<usize> {
        let n = models.n_items().max(1);
        let one = |case: &HeldOut| -> Vec<f64> {
            let history = case.history(self.histories);
            let seen = items(history);
            let known = newest_first(history);
            let last_day = history.last().map(|one| one.day);
            let context = Context { history: &known, last_day, ..Context::default() };
            let scores = models.scores(&context);
            scores.chunks(n).map(|column| quality(column, &seen, case)).collect()
        };
        let values: Vec<Vec<f64>> = self.threads.run(|| cases.par_iter().map(one).collect());
        let mut sums: Vec<(f64, usize)> = (0..models.members().len()).map(|index| (0.0, index)).collect();
        for values in &values {
            sums.iter_mut().zip(values).for_each(|((sum, _), value)| *sum += value);
        }
        sums.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        sums.into_iter().take(CORE).map(|(_, index)| index).collect()
    }
}

/// NDCG@10 of a column of scores.
fn quality(scores: &[f32], seen: &HashSet<u32>, case: &HeldOut) -> f64 {
    let list = top(scores, 10, |item| !seen.contains(&item));
    let list: Vec<u32> = list.into_iter().map(|(item, _)| item).collect();
    ndcg(&list, &case.relevant, 10)
}

fn faded(history: &[(ItemId, f32)], decay: f32) -> Vec<(ItemId, f32)> {
    let mut age = 1.0f32;
    history
        .iter()
        .map(|(item, weight)| {
            let own = weight * age;
            age *= decay;
            (*item, own)
        })
        .collect()
}
