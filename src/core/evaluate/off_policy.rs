//! Off-policy evaluation, the estimated value of a policy from the log of another one: IPS, SNIPS and DR with their standard
//! errors, and a refusal where the log can't carry the answer.
//!
//! Row i of the log has a stratum x (what the choice may depend on: a position, a segment, an hour), an action a, a reward r
//! and the probability p with which the logging policy chose a. With w = π(a|x) / p, π the policy asked about:
//! IPS = Σ w r / n (Horvitz & Thompson 1952); SNIPS = Σ w r / Σ w (Swaminathan & Joachims 2015);
//! DR = Σ (Σ_a π(a|x) q(x,a) + w (r − q(x,a))) / n (Dudík, Langford & Li 2011), q fitted on the other folds only;
//! effective sample size (Σ w)² / Σ w² (Kish 1965). Values are in units of the reward.

use serde::Serialize;

use super::reward_model::RewardModel;
use crate::ml::estimate::{mean, standard_error};

pub use super::logged_choice::LoggedChoice;
pub use crate::ml::estimate::Estimate;

/// Fewest effective rows that carry an estimate.
const MIN_EFFECTIVE: f64 = 100.0;
/// No single row may hold more of the whole weight.
const MAX_SHARE: f64 = 0.05;
/// Fewest rows with a reward other than 0 and a weight: below, the standard error itself is a guess.
const MIN_REWARDED: usize = 10;
/// The mean weight is 1 if the logged propensities are true; beyond so many standard errors they are not.
const MAX_MEAN_WEIGHT_ERRORS: f64 = 4.0;
/// Folds of the reward model.
const FOLDS: usize = 5;
/// Probabilities of a stratum may miss 1 by this much: published tables are rounded.
const SUM_TOLERANCE: f64 = 1e-3;
/// Most strata × actions of a target policy.
const MAX_CELLS: usize = 10_000_000;

/// The policy asked about: strata × actions, each stratum's probabilities sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetPolicy {
    n_actions: usize,
    probabilities: Vec<f64>,
}

/// Fault of a log or a target policy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OffPolicyError {
    /// Nothing to choose from, or too much.
    #[error("a policy has 1…{MAX_CELLS} strata × actions, this one has {strata} × {actions}")]
    Shape {
        /// Strata given.
        strata: usize,
        /// Actions given.
        actions: usize,
    },
    /// Negative, not finite, or not a distribution.
    #[error("the target's probabilities of stratum {stratum} must be ≥ 0 and sum to 1, they sum to {sum}")]
    NotADistribution {
        /// Stratum of the fault.
        stratum: usize,
        /// Their sum.
        sum: f64,
    },
    /// A row that names no cell of the target.
    #[error("row {row}: stratum {stratum}, action {action} is not in the target policy")]
    UnknownCell {
        /// 0-based.
        row: usize,
        /// As logged.
        stratum: usize,
        /// As logged.
        action: usize,
    },
    /// Zero, negative, above one, or not finite.
    #[error("row {row}: propensity {propensity} is not in (0, 1]; log the probability of the choice made")]
    Propensity {
        /// 0-based.
        row: usize,
        /// As logged.
        propensity: f64,
    },
    /// Not finite.
    #[error("row {row}: the reward is not a finite number")]
    Reward {
        /// 0-based.
        row: usize,
    },
}

impl TargetPolicy {
    /// From strata × actions, row by row.
    pub fn new(n_actions: usize, probabilities: Vec<f64>) -> Result<Self, OffPolicyError> {
        let strata = probabilities.len().checked_div(n_actions).unwrap_or(0);
        if strata == 0 || strata * n_actions != probabilities.len() || probabilities.len() > MAX_CELLS {
            return Err(OffPolicyError::Shape { strata, actions: n_actions });
        }
        for (stratum, row) in probabilities.chunks(n_actions).enumerate() {
            let sum: f64 = row.iter().sum();
            let distribution = row.iter().all(|p| *p >= 0.0) && (sum - 1.0).abs() <= SUM_TOLERANCE;
            if !distribution {
                return Err(OffPolicyError::NotADistribution { stratum, sum });
            }
        }
        Ok(Self { n_actions, probabilities })
    }

    /// Every action alike in every stratum.
    pub fn uniform(strata: usize, n_actions: usize) -> Result<Self, OffPolicyError> {
        let cells = strata.saturating_mul(n_actions);
        if cells == 0 || cells > MAX_CELLS {
            return Err(OffPolicyError::Shape { strata, actions: n_actions });
        }
        Self::new(n_actions, vec![1.0 / n_actions as f64; cells])
    }

    /// Number of actions.
    pub fn n_actions(&self) -> usize {
        self.n_actions
    }

    /// Number of strata.
    pub fn n_strata(&self) -> usize {
        self.probabilities.len() / self.n_actions
    }

    /// The probabilities of a stratum; empty if there is none of that number.
    pub fn of(&self, stratum: usize) -> &[f64] {
        self.probabilities.chunks(self.n_actions).nth(stratum).unwrap_or_default()
    }
}

/// Estimates of the policy's value from the log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = OffPolicyEstimates))]
pub struct Estimates {
    /// Unbiased if the propensities are true; varies most.
    pub ips: Estimate,
    /// Biased by O(1/n), varies less, and bounded by the rewards seen.
    pub snips: Estimate,
    /// Right if either the propensities or the reward model are.
    pub dr: Estimate,
}

/// Reason why no honest answer exists.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = OffPolicyRefusal))]
pub enum Refusal {
    /// No rows.
    #[error("the log is empty")]
    Empty,
    /// The policy seldom does what was logged.
    #[error(
        "effective sample size {effective:.0}, at least {MIN_EFFECTIVE:.0} are needed: the log has too little of what this \
policy would do. Log more of it, or keep a uniformly random slice"
    )]
    EffectiveSample {
        /// (Σ w)² / Σ w².
        effective: f64,
    },
    /// One row would be the answer.
    #[error(
        "one row holds {:.0} % of all weight (largest weight {largest_weight:.0}): its luck would be the answer",
        share * 100.0
    )]
    OneRow {
        /// max w / Σ w.
        share: f64,
        /// max w.
        largest_weight: f64,
    },
    /// Too few clicks.
    #[error("{rewarded} rewarded rows, at least {MIN_REWARDED} are needed: log longer")]
    FewRewards {
        /// Rows with a reward other than 0 and a weight above 0.
        rewarded: usize,
    },
    /// The propensities can't be those the log was made with, or the target does what the log never did.
    #[error(
        "the mean weight is {mean_weight:.3}, {errors:.0} standard errors from 1: propensities are wrong, or the policy does \
what was never logged"
    )]
    Propensities {
        /// Σ w / n.
        mean_weight: f64,
        /// Distance from 1.
        errors: f64,
    },
}

/// An answer or a refusal, with the numbers it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = OffPolicyReport))]
pub struct Report {
    /// Logged choices.
    pub rows: usize,
    /// Mean reward of the policy that logged.
    pub logged: f64,
    /// (Σ w)² / Σ w², in rows.
    pub effective_sample_size: f64,
    /// max w.
    pub largest_weight: f64,
    /// Σ w / n; 1 in expectation.
    pub mean_weight: f64,
    /// Rows with a reward other than 0 and a weight above 0.
    pub rewarded: usize,
    /// The answer.
    pub estimates: Option<Estimates>,
    /// Or why there is none.
    pub refusal: Option<Refusal>,
}

/// Judges a policy by the log of another. O(rows + strata × actions × folds).
pub fn estimate(rows: &[LoggedChoice], target: &TargetPolicy) -> Result<Report, OffPolicyError> {
    let weights = weights(rows, target)?;
    let n = rows.len() as f64;
    let sum: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let mut report = Report {
        rows: rows.len(),
        logged: mean(rows.iter().map(|row| row.reward), n),
        effective_sample_size: if squares > 0.0 { sum * sum / squares } else { 0.0 },
        largest_weight: largest,
        mean_weight: if rows.is_empty() { 0.0 } else { sum / n },
        rewarded: rows.iter().zip(&weights).filter(|(row, w)| row.reward != 0.0 && **w > 0.0).count(),
        estimates: None,
        refusal: None,
    };
    report.refusal = refusal(&report, &weights, sum);
    if report.refusal.is_none() {
        report.estimates = Some(Estimates {
            ips: ips(rows, &weights),
            snips: snips(rows, &weights, sum),
            dr: doubly_robust(rows, &weights, target),
        });
    }
    Ok(report)
}

fn weights(rows: &[LoggedChoice], target: &TargetPolicy) -> Result<Vec<f64>, OffPolicyError> {
    let weight = |(row, choice): (usize, &LoggedChoice)| {
        let LoggedChoice { stratum, action, reward, propensity } = *choice;
        if !(propensity > 0.0 && propensity <= 1.0) {
            return Err(OffPolicyError::Propensity { row, propensity });
        }
        if !reward.is_finite() {
            return Err(OffPolicyError::Reward { row });
        }
        match target.of(stratum).get(action) {
            Some(probability) => Ok(probability / propensity),
            None => Err(OffPolicyError::UnknownCell { row, stratum, action }),
        }
    };
    rows.iter().enumerate().map(weight).collect()
}

/// The first thing that stands against an answer.
fn refusal(report: &Report, weights: &[f64], sum: f64) -> Option<Refusal> {
    let n = weights.len() as f64;
    let spread = standard_error(weights, report.mean_weight);
    let errors = if spread > 0.0 { (report.mean_weight - 1.0).abs() / spread } else { 0.0 };
    // All weights alike and not 1: no spread to measure by.
    let constant = spread == 0.0 && (report.mean_weight - 1.0).abs() > 0.01;
    let share = if sum > 0.0 { report.largest_weight / sum } else { 1.0 };
    if n == 0.0 {
        Some(Refusal::Empty)
    } else if report.effective_sample_size < MIN_EFFECTIVE {
        Some(Refusal::EffectiveSample { effective: report.effective_sample_size })
    } else if share > MAX_SHARE {
        Some(Refusal::OneRow { share, largest_weight: report.largest_weight })
    } else if errors > MAX_MEAN_WEIGHT_ERRORS || constant {
        Some(Refusal::Propensities { mean_weight: report.mean_weight, errors })
    } else if report.rewarded < MIN_REWARDED {
        Some(Refusal::FewRewards { rewarded: report.rewarded })
    } else {
        None
    }
}

fn ips(rows: &[LoggedChoice], weights: &[f64]) -> Estimate {
    let terms: Vec<f64> = rows.iter().zip(weights).map(|(row, w)| w * row.reward).collect();
    Estimate::of_mean(&terms)
}

/// The standard error by the delta method: the terms are w (r − value) / mean w.
fn snips(rows: &[LoggedChoice], weights: &[f64], sum: f64) -> Estimate {
    let value = rows.iter().zip(weights).map(|(row, w)| w * row.reward).sum::<f64>() / sum;
    let mean_weight = sum / rows.len() as f64;
    let terms: Vec<f64> =
        rows.iter().zip(weights).map(|(row, w)| w * (row.reward - value) / mean_weight).collect();
    Estimate::around(value, standard_error(&terms, 0.0))
}

fn doubly_robust(rows: &[LoggedChoice], weights: &[f64], target: &TargetPolicy) -> Estimate {
    let mut terms = Vec::with_capacity(rows.len());
    for fold in 0..FOLDS {
        let others = rows.iter().enumerate().filter(|(row, _)| row % FOLDS != fold).map(|(_, choice)| choice);
        let model = RewardModel::fit(others, target.n_strata(), target.n_actions());
        let direct: Vec<f64> = (0..target.n_strata())
            .map(|stratum| {
                target
                    .of(stratum)
                    .iter()
                    .enumerate()
                    .map(|(action, p)| p * model.predict(stratum, action))
                    .sum()
            })
            .collect();
        for (row, w) in rows.iter().zip(weights).skip(fold).step_by(FOLDS) {
            let direct = direct.get(row.stratum).copied().unwrap_or(0.0);
            terms.push(direct + w * (row.reward - model.predict(row.stratum, row.action)));
        }
    }
    Estimate::of_mean(&terms)
}

#[cfg(test)]
#[path = "off_policy_tests.rs"]
mod tests;
