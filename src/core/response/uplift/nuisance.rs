//! Models that an effect is computed from: the expected outcome with and without treatment, and the probability of treatment.
//! Each is asked about rows of folds alone that it was not fitted on.

use std::ops::ControlFlow;

use super::treatments::TreatmentLog;
use crate::ml::linear::Linear;
use crate::ml::regression::{Regression, Rows};
use crate::ml::threads::Threads;

/// Probabilities of treatment are kept within this and 1 less it, so that no single row is the answer.
pub const CLIP: f64 = 0.005;
/// Rows that the probability of treatment is estimated from, evenly spaced over all.
const MAX_PROPENSITY_ROWS: usize = 20_000;

/// Expectations about one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Expected {
    /// Outcome if treated.
    pub(super) treated: f64,
    /// Outcome if not.
    pub(super) untreated: f64,
    /// Probability of treatment before clipping.
    pub(super) raw_propensity: f64,
}

impl Expected {
    /// Probability of treatment, clipped.
    pub(super) fn propensity(&self) -> f64 {
        self.raw_propensity.clamp(CLIP, 1.0 - CLIP)
    }

    /// Returns whether the probability of treatment was moved.
    pub(super) fn is_clipped(&self) -> bool {
        self.raw_propensity != self.propensity()
    }

    /// Doubly robust scores of one row, treated and untreated: their means are the values of treating everybody and nobody, their
    /// difference has the row's effect as its expectation (Robins, Rotnitzky & Zhao 1994).
    pub(super) fn scores(&self, is_treated: bool, outcome: f64) -> (f64, f64) {
        let p = self.propensity();
        if is_treated {
            (self.treated + (outcome - self.treated) / p, self.untreated)
        } else {
            (self.treated, self.untreated + (outcome - self.untreated) / (1.0 - p))
        }
    }
}

/// Probability of treatment of a row.
#[derive(Clone, Debug)]
enum Propensity {
    /// As logged.
    Logged,
    /// By logistic regression.
    Estimated(Linear),
    /// The share of treated rows, where that has no answer.
    Share(f64),
}

/// The fitted three.
#[derive(Clone, Debug)]
pub(super) struct Nuisances {
    treated: Regression,
    untreated: Regression,
    propensity: Propensity,
}

/// Everything a fit is given beside its rows.
pub(super) struct Fit<'a> {
    pub(super) log: &'a TreatmentLog,
    pub(super) seed: u64,
    pub(super) threads: &'a Threads,
}

/// Hears 0…1 and may break.
pub(super) type Progress<'a> = &'a mut dyn FnMut(f32) -> ControlFlow<()>;

impl Fit<'_> {
    /// The expected `target` of the rows for which there is one; `None` when cancelled.
    pub(super) fn regression(
        &self,
        targets: impl Iterator<Item = (usize, f64)>,
        progress: Progress<'_>,
    ) -> Option<Regression> {
        let mut rows = Rows { width: self.log.width, ..Rows::default() };
        targets.for_each(|(row, target)| rows.push(self.log.row(row), target));
        Regression::fit(&rows, self.seed, self.threads, progress)
    }

    /// From the rows wanted; `None` when cancelled.
    pub(super) fn nuisances(
        &self,
        wanted: impl Fn(usize) -> bool,
        progress: Progress<'_>,
    ) -> Option<Nuisances> {
        let log = self.log;
        let arm = |treated: bool| {
            let wanted = &wanted;
            (0..log.n_rows())
                .filter(move |row| wanted(*row) && log.is_treated(*row) == treated)
                .map(|row| (row, log.outcome(row)))
        };
        Some(Nuisances {
            treated: self.regression(arm(true), &mut |share| progress(share / 2.0))?,
            untreated: self.regression(arm(false), &mut |share| progress(0.5 + share / 2.0))?,
            propensity: self.propensity(&wanted),
        })
    }

    fn propensity(&self, wanted: &impl Fn(usize) -> bool) -> Propensity {
        let log = self.log;
        if log.propensities.is_some() {
            return Propensity::Logged;
        }
        let rows: Vec<usize> = (0..log.n_rows()).filter(|row| wanted(*row)).collect();
        let treated = rows.iter().filter(|row| log.is_treated(**row)).count();
        let share = treated as f64 / rows.len().max(1) as f64;
        let step = rows.len().div_ceil(MAX_PROPENSITY_ROWS).max(1);
        let (mut values, mut outcomes) = (Vec::new(), Vec::new());
        for row in rows.into_iter().step_by(step) {
            values.extend_from_slice(log.row(row));
            outcomes.push(log.is_treated(row));
        }
        match Linear::logistic(&values, &outcomes, log.width) {
            Some(linear) => Propensity::Estimated(linear),
            None => Propensity::Share(share),
        }
    }
}

impl Nuisances {
    /// Expectations about a row. O(trees · depth).
    pub(super) fn expected(&self, log: &TreatmentLog, row: usize) -> Expected {
        let values = log.row(row);
        let raw_propensity = match &self.propensity {
            Propensity::Logged => {
                log.propensities.as_ref().and_then(|all| all.get(row)).copied().unwrap_or(0.5)
            }
            Propensity::Estimated(linear) => 1.0 / (1.0 + (-f64::from(linear.score(values))).exp()),
            Propensity::Share(share) => *share,
        };
        Expected {
            treated: self.treated.predict(values),
            untreated: self.untreated.predict(values),
            raw_propensity,
        }
    }
}
