//! Objectives of boosting: log loss, squared error, or pairs in the wrong order weighted by what they cost in NDCG
//! (LambdaRank: Burges 2010, normalised as in LightGBM), and how a validation set ends the growing.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ml::threads::Threads;

use super::dataset::Dataset;
use super::error::BoostingError;
use super::gradients::Gradients;
use super::tree::Forest;

/// The loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objective {
    /// Log loss of a probability; labels 0…1.
    Logistic,
    /// Order within groups by NDCG of the first `k` with gains 2^label − 1.
    LambdaRank {
        /// Length of the list that counts, at least 1.
        k: usize,
    },
    /// Squared error of a number; any finite labels.
    Squared,
}

/// 1 / (1 + e^−x).
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn weight(data: &Dataset<'_>, row: usize) -> f32 {
    data.weights.and_then(|weights| weights.get(row).copied()).unwrap_or(1.0)
}

/// Weighted mean of the labels; `None` where all weights are 0.
fn mean(data: &Dataset<'_>) -> Option<f64> {
    let (mut sum, mut all) = (0.0, 0.0);
    for (row, label) in data.labels.iter().enumerate() {
        let weight = f64::from(weight(data, row));
        sum += weight * f64::from(*label);
        all += weight;
    }
    (all > 0.0).then(|| sum / all)
}

/// Ranges of rows of the groups.
fn groups<'a>(data: &Dataset<'a>) -> impl Iterator<Item = std::ops::Range<usize>> + use<'a> {
    let mut start = 0;
    data.groups.unwrap_or_default().iter().map(move |size| {
        start += size;
        start - size..start
    })
}

impl Objective {
    pub(super) fn check_shape(self, data: &Dataset<'_>) -> Result<(), BoostingError> {
        let bad = |text: &str| Err(BoostingError::Input(text.to_owned()));
        match self {
            Self::Logistic if data.labels.iter().any(|label| !(0.0..=1.0).contains(label)) => {
                bad("labels of a probability are 0…1")
            }
            Self::LambdaRank { k: 0 } => bad("LambdaRank needs k of at least 1"),
            Self::LambdaRank { .. } if data.labels.iter().any(|label| !(0.0..=30.0).contains(label)) => {
                bad("grades are 0…30")
            }
            Self::LambdaRank { .. } => match data.groups {
                Some(groups) if groups.iter().sum::<usize>() == data.n_rows() => Ok(()),
                Some(_) => bad("the sizes of the groups do not add up to the rows"),
                None => bad("LambdaRank needs groups"),
            },
            Self::Squared if data.labels.iter().any(|label| !label.is_finite()) => {
                bad("labels of a squared error are finite numbers")
            }
            Self::Logistic | Self::Squared => Ok(()),
        }
    }

    pub(super) fn check_labels(self, data: &Dataset<'_>) -> Result<(), BoostingError> {
        let differ = |labels: &[f32]| labels.windows(2).any(|pair| matches!(pair, [a, b] if a != b));
        let (enough, needs, has) = match self {
            Self::Logistic => {
                let certain = data.labels.iter().all(|label| *label == 0.0 || *label == 1.0);
                (!certain || differ(data.labels), "rows of both outcomes", "rows of one")
            }
            Self::LambdaRank { .. } => {
                let any = groups(data).any(|group| data.labels.get(group).is_some_and(differ));
                (any, "a group with two grades", "none")
            }
            Self::Squared => (true, "a row", ""),
        };
        if enough { Ok(()) } else { Err(BoostingError::NotEnoughData { needs, has: has.to_owned() }) }
    }

    /// The score before the first tree.
    pub(super) fn base(self, data: &Dataset<'_>) -> f32 {
        match self {
            Self::Logistic => {
                let mean = mean(data).map_or(0.5, |mean| mean.clamp(1e-6, 1.0 - 1e-6));
                (mean / (1.0 - mean)).ln() as f32
            }
            Self::Squared => mean(data).unwrap_or(0.0) as f32,
            Self::LambdaRank { .. } => 0.0,
        }
    }

    /// Derivatives of the loss at `scores`.
    pub(super) fn gradients(
        self,
        data: &Dataset<'_>,
        scores: &[f32],
        gradients: &mut Gradients,
        threads: &Threads,
    ) {
        match self {
            Self::Logistic => {
                let rows = gradients.0.iter_mut().zip(scores).zip(data.labels).enumerate();
                for (row, ((derivatives, score), label)) in rows {
                    let p = sigmoid(*score);
                    let weight = weight(data, row);
                    *derivatives = (weight * (p - label), weight * (p * (1.0 - p)).max(1e-7));
                }
            }
            Self::Squared => {
                let rows = gradients.0.iter_mut().zip(scores).zip(data.labels).enumerate();
                for (row, ((derivatives, score), label)) in rows {
                    let weight = weight(data, row);
                    *derivatives = (weight * (score - label), weight);
                }
            }
            Self::LambdaRank { k } => {
                let ranges: Vec<_> = groups(data).collect();
                let parts: Vec<Vec<(f32, f32)>> = threads.run(|| {
                    let one = |range: &std::ops::Range<usize>| {
                        let labels = data.labels.get(range.clone()).unwrap_or_default();
                        lambdas(labels, scores.get(range.clone()).unwrap_or_default(), k)
                    };
                    ranges.par_iter().with_min_len(16).map(one).collect()
                });
                for (row, (derivatives, new)) in
                    gradients.0.iter_mut().zip(parts.into_iter().flatten()).enumerate()
                {
                    let weight = weight(data, row);
                    *derivatives = (weight * new.0, weight * new.1);
                }
            }
        }
    }

    /// Mean loss, lower is better: log loss, squared error, or 1 − NDCG@k over the groups in which there is something to find.
    pub(super) fn loss(self, data: &Dataset<'_>, scores: &[f32]) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        match self {
            Self::Logistic => {
                for (row, (label, score)) in data.labels.iter().zip(scores).enumerate() {
                    let (label, score, weight) =
                        (f64::from(*label), f64::from(*score), f64::from(weight(data, row)));
                    // ln(1 + e^s) − y s, without overflow.
                    sum += weight * (score.max(0.0) + (-score.abs()).exp().ln_1p() - label * score);
                    total += weight;
                }
            }
            Self::Squared => {
                for (row, (label, score)) in data.labels.iter().zip(scores).enumerate() {
                    let weight = f64::from(weight(data, row));
                    sum += weight * (f64::from(*label) - f64::from(*score)).powi(2);
                    total += weight;
                }
            }
            Self::LambdaRank { k } => {
                for range in groups(data) {
                    let labels = data.labels.get(range.clone()).unwrap_or_default();
                    if let Some(ndcg) = ndcg(labels, scores.get(range).unwrap_or_default(), k) {
                        sum += 1.0 - ndcg;
                        total += 1.0;
                    }
                }
            }
        }
        if total > 0.0 { sum / total } else { 0.0 }
    }
}

fn gain(label: f32) -> f64 {
    f64::from(label).exp2() - 1.0
}

fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 2.0).log2()
}

/// DCG of the best order there is.
fn ideal(labels: &[f32], k: usize) -> f64 {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    sorted.iter().take(k).enumerate().map(|(rank, label)| gain(*label) * discount(rank)).sum()
}

/// Rows by score, best first, ties in the order of the rows.
fn by_score(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let key = |row: &usize| scores.get(*row).copied().unwrap_or(f32::NEG_INFINITY);
    order.sort_by(|a, b| key(b).total_cmp(&key(a)));
    order
}

/// NDCG@k; `None` when no label is above 0.
pub(super) fn ndcg(labels: &[f32], scores: &[f32], k: usize) -> Option<f64> {
    let ideal = ideal(labels, k);
    let order = by_score(scores);
    let dcg: f64 = order
        .iter()
        .take(k)
        .enumerate()
        .map(|(rank, row)| gain(labels.get(*row).copied().unwrap_or(0.0)) * discount(rank))
        .sum();
    (ideal > 0.0).then(|| dcg / ideal)
}

/// Derivatives of one group: for each pair of different grades of which one is among the first `k`.
pub(super) fn lambdas(labels: &[f32], scores: &[f32], k: usize) -> Vec<(f32, f32)> {
    let mut derivatives = vec![(0f64, 0f64); labels.len()];
    let ideal = ideal(labels, k);
    let ranked: Vec<(usize, f32, f64)> = by_score(scores)
        .into_iter()
        .filter_map(|row| Some((row, *labels.get(row)?, f64::from(*scores.get(row)?))))
        .collect();
    let spread = ranked.first().map(|(.., best)| *best) != ranked.last().map(|(.., worst)| *worst);
    let mut sum = 0.0;
    if ideal > 0.0 {
        for (rank, (row, label, score)) in ranked.iter().enumerate().take(k) {
            for (other_rank, (other_row, other_label, other_score)) in
                ranked.iter().enumerate().skip(rank + 1)
            {
                if label == other_label {
                    continue;
                }
                let (high, low, apart) = if label > other_label {
                    (*row, *other_row, score - other_score)
                } else {
                    (*other_row, *row, other_score - score)
                };
                let mut cost = (gain(*label) - gain(*other_label)).abs()
                    * (discount(rank) - discount(other_rank)).abs()
                    / ideal;
                if spread {
                    // Pairs that are far apart already matter less.
                    cost /= 0.01 + apart.abs();
                }
                let p = 1.0 / (1.0 + apart.exp());
                let (lambda, hessian) = (cost * p, cost * p * (1.0 - p));
                if let Some(derivatives) = derivatives.get_mut(high) {
                    *derivatives = (derivatives.0 - lambda, derivatives.1 + hessian);
                }
                if let Some(derivatives) = derivatives.get_mut(low) {
                    *derivatives = (derivatives.0 + lambda, derivatives.1 + hessian);
                }
                sum += 2.0 * lambda;
            }
        }
    }
    // A long list does not outweigh a short one.
    let scale = if sum > 0.0 { (1.0 + sum).log2() / sum } else { 0.0 };
    derivatives.into_iter().map(|(first, second)| ((first * scale) as f32, (second * scale) as f32)).collect()
}

/// The validation set while trees are added.
pub(super) struct Rounds<'a> {
    objective: Objective,
    valid: &'a Dataset<'a>,
    scores: Vec<f32>,
    patience: usize,
    /// Least loss and the number of trees that had it.
    best: (f64, usize),
}

impl<'a> Rounds<'a> {
    pub(super) fn new(objective: Objective, valid: &'a Dataset<'a>, base: f32, patience: usize) -> Self {
        let scores = vec![base; valid.n_rows()];
        Self { objective, valid, scores, patience, best: (f64::INFINITY, 0) }
    }

    /// Adds tree `index` to the scores; has there been nothing better for `patience` trees?
    pub(super) fn is_over(&mut self, forest: &Forest, index: usize) -> bool {
        if self.patience == 0 {
            return false;
        }
        for (row, score) in self.scores.iter_mut().enumerate() {
            *score += forest.predict_one(index, self.valid.row(row));
        }
        let loss = self.objective.loss(self.valid, &self.scores);
        if loss < self.best.0 {
            self.best = (loss, index + 1);
        }
        index + 1 >= self.best.1 + self.patience
    }

    /// Number of trees to keep; `None` = all.
    pub(super) fn best_trees(&self) -> Option<usize> {
        (self.patience > 0 && self.best.0.is_finite()).then_some(self.best.1)
    }
}
