//! Effects of rows by the T-, X- and DR-learner, each row by models that saw no row of its user.
//!
//! T: the difference of two outcome models. X (Künzel, Sekhon, Bickel & Yu, PNAS 2019): each arm's difference to what the
//! other's model expects, regressed and weighted by the probability of treatment. DR (Kennedy 2020, 2023): doubly robust
//! scores regressed on the features, the scores of each fold by models fitted on the folds left.

use rand::seq::SliceRandom;
use serde::Serialize;

use super::nuisance::{Expected, Fit, Nuisances, Progress};
use super::treatments::TreatmentLog;
use crate::base::random;

/// A way to the effect of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Learner {
    /// Two models.
    T,
    /// Crossed models.
    X,
    /// Doubly robust.
    Dr,
}

impl Learner {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::T, Self::X, Self::Dr];

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::T => "T",
            Self::X => "X",
            Self::Dr => "DR",
        }
    }
}

/// The folds of the users, with the models fitted on all folds but one.
pub(super) struct CrossFit<'a> {
    fit: Fit<'a>,
    folds: Vec<usize>,
    n_folds: usize,
    outer: Vec<Nuisances>,
    /// Of each row by the models that did not see its fold.
    pub(super) expected: Vec<Expected>,
}

/// The fold of each row: users drawn, as even as their number allows.
fn folds(log: &TreatmentLog, n_folds: usize, seed: u64) -> Vec<usize> {
    let mut users: Vec<usize> = (0..log.n_users).collect();
    users.shuffle(&mut random::rng(seed, "uplift folds"));
    let mut of_user = vec![0; log.n_users];
    for (place, user) in users.into_iter().enumerate() {
        if let Some(fold) = of_user.get_mut(user) {
            *fold = place % n_folds;
        }
    }
    log.users.iter().map(|user| of_user.get(*user as usize).copied().unwrap_or(0)).collect()
}

/// The `part`-th of `parts` equal spans of a whole.
fn span(part: usize, parts: usize) -> impl Fn(f32) -> f32 {
    move |share| (part as f32 + share) / parts.max(1) as f32
}

impl<'a> CrossFit<'a> {
    /// Fits the models of each fold; `None` when cancelled.
    pub(super) fn new(fit: Fit<'a>, n_folds: usize, progress: Progress<'_>) -> Option<Self> {
        let folds = folds(fit.log, n_folds, fit.seed);
        let mut outer = Vec::with_capacity(n_folds);
        for fold in 0..n_folds {
            let at = span(fold, n_folds);
            outer.push(fit.nuisances(|row| folds.get(row) != Some(&fold), &mut |share| progress(at(share)))?);
        }
        let expected = folds
            .iter()
            .enumerate()
            .map(|(row, fold)| {
                outer.get(*fold).map(|models| models.expected(fit.log, row)).unwrap_or_default()
            })
            .collect();
        Some(Self { fit, folds, n_folds, outer, expected })
    }

    /// Predicted effect of each row; `None` when cancelled.
    pub(super) fn effects(&self, learner: Learner, progress: Progress<'_>) -> Option<Vec<f64>> {
        match learner {
            Learner::T => Some(self.expected.iter().map(|one| one.treated - one.untreated).collect()),
            Learner::X => self.crossed(progress),
            Learner::Dr => self.doubly_robust(progress),
        }
    }

    /// Rank of each row's prediction among the rows of its fold, 0…1, ties in the middle of their span. Each fold has a model of
    /// its own, whose level depends on the other folds: compared across folds, it would rank by what was measured.
    pub(super) fn ranks(&self, predicted: &[f64]) -> Vec<f64> {
        let mut ranks = vec![0.5; predicted.len()];
        for fold in 0..self.n_folds {
            let mut rows: Vec<(usize, f64)> =
                self.rows_of(fold).filter_map(|row| Some((row, *predicted.get(row)?))).collect();
            rows.sort_by(|a, b| a.1.total_cmp(&b.1));
            let (n, mut below) = (rows.len() as f64, 0.0);
            for ties in rows.chunk_by(|a, b| a.1 == b.1) {
                let rank = (below + ties.len() as f64 / 2.0) / n;
                below += ties.len() as f64;
                for (row, _) in ties {
                    if let Some(of_row) = ranks.get_mut(*row) {
                        *of_row = rank;
                    }
                }
            }
        }
        ranks
    }

    fn rows_of(&self, fold: usize) -> impl Iterator<Item = usize> {
        self.folds.iter().enumerate().filter(move |(_, of)| **of == fold).map(|(row, _)| row)
    }

    fn rows_outside(&self, fold: usize) -> impl Iterator<Item = usize> {
        self.folds.iter().enumerate().filter(move |(_, of)| **of != fold).map(|(row, _)| row)
    }

    fn crossed(&self, progress: Progress<'_>) -> Option<Vec<f64>> {
        let log = self.fit.log;
        let mut effects = vec![0.0; log.n_rows()];
        for (fold, models) in self.outer.iter().enumerate() {
            let mut arms = [None, None];
            for (arm, place) in arms.iter_mut().zip(0..) {
                let is_treated = place == 1;
                let differences =
                    self.rows_outside(fold).filter(|row| log.is_treated(*row) == is_treated).map(|row| {
                        let expected = models.expected(log, row);
                        let outcome = log.outcome(row);
                        (
                            row,
                            if is_treated {
                                outcome - expected.untreated
                            } else {
                                expected.treated - outcome
                            },
                        )
                    });
                let at = span(2 * fold + place, 2 * self.n_folds);
                *arm = Some(self.fit.regression(differences, &mut |share| progress(at(share)))?);
            }
            let [Some(untreated), Some(treated)] = arms else { continue };
            for row in self.rows_of(fold) {
                let (values, expected) = (log.row(row), self.expected.get(row).copied().unwrap_or_default());
                let p = expected.propensity();
                if let Some(effect) = effects.get_mut(row) {
                    *effect = p * untreated.predict(values) + (1.0 - p) * treated.predict(values);
                }
            }
        }
        Some(effects)
    }

    fn doubly_robust(&self, progress: Progress<'_>) -> Option<Vec<f64>> {
        let log = self.fit.log;
        let n_pairs = self.n_folds * (self.n_folds - 1) / 2;
        let steps = n_pairs + self.n_folds;
        // Scores of the rows outside of each fold, by models that saw neither that fold nor the row's own.
        let mut scores = vec![vec![0.0; log.n_rows()]; self.n_folds];
        let pairs = (0..self.n_folds).flat_map(|a| (a + 1..self.n_folds).map(move |b| (a, b)));
        for (step, (a, b)) in pairs.enumerate() {
            let at = span(step, steps);
            let outside = |row: usize| self.folds.get(row).is_some_and(|fold| *fold != a && *fold != b);
            let models = self.fit.nuisances(outside, &mut |share| progress(at(share)))?;
            for (of, without) in [(a, b), (b, a)] {
                for row in self.rows_of(of) {
                    let (treated, untreated) =
                        models.expected(log, row).scores(log.is_treated(row), log.outcome(row));
                    if let Some(score) = scores.get_mut(without).and_then(|scores| scores.get_mut(row)) {
                        *score = treated - untreated;
                    }
                }
            }
        }
        let mut effects = vec![0.0; log.n_rows()];
        for (fold, scores) in scores.iter().enumerate() {
            let at = span(n_pairs + fold, steps);
            let targets =
                self.rows_outside(fold).map(|row| (row, scores.get(row).copied().unwrap_or_default()));
            let model = self.fit.regression(targets, &mut |share| progress(at(share)))?;
            for row in self.rows_of(fold) {
                if let Some(effect) = effects.get_mut(row) {
                    *effect = model.predict(log.row(row));
                }
            }
        }
        Some(effects)
    }
}
