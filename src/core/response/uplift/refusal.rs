//! Reasons for which a log of treatments can't tell an effect, and how they are found.

use std::collections::HashMap;

use serde::Serialize;

use super::nuisance::{CLIP, Expected};
use super::treatments::TreatmentLog;

/// Fewest rows of each arm, as they stand and as they count after weighting.
const MIN_ROWS: usize = 100;
/// Fewest rows of each arm with another outcome than the commonest.
const MIN_OUTCOMES: usize = 10;
/// Fewest users a fold.
const MIN_USERS_A_FOLD: usize = 10;
/// More rows than this share without both chances are no exception.
const MAX_CLIPPED: f64 = 0.1;
/// Treated rows may differ from the sum of their logged probabilities by so many standard errors.
const MAX_ERRORS: f64 = 4.0;

/// Reason why there are no figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Refusal {
    /// One of the arms is too small.
    #[error(
        "{treated} rows treated and {untreated} not, at least {MIN_ROWS} of each are needed: log longer, or hold out more"
    )]
    FewRows {
        /// Rows treated.
        treated: usize,
        /// Rows not treated.
        untreated: usize,
    },
    /// Nearly all outcomes are the same.
    #[error(
        "{treated} treated and {untreated} untreated rows have another outcome than the commonest, at least {MIN_OUTCOMES} of \
each are needed: log longer"
    )]
    FewOutcomes {
        /// Of the treated.
        treated: usize,
        /// Of the others.
        untreated: usize,
    },
    /// Too few users to learn from some and measure on others.
    #[error("{users} users are too few for {folds} folds, {MIN_USERS_A_FOLD} a fold are needed")]
    FewUsers {
        /// Users.
        users: usize,
        /// Folds asked for.
        folds: usize,
    },
    /// Treatment can be told before, or nearly.
    #[error(
        "no overlap: for {:.0} % of the rows treatment is all but certain or out of the question (beyond {CLIP}…{}), and after \
weighting the treated count as {treated:.0} and the untreated as {untreated:.0} rows of at least {MIN_ROWS}; treat by chance for a \
while", clipped * 100.0, 1.0 - CLIP
    )]
    NoOverlap {
        /// Share of rows whose probability was clipped.
        clipped: f64,
        /// Effective rows treated.
        treated: f64,
        /// Effective rows not treated.
        untreated: f64,
    },
    /// The logged probabilities are not those that rows were treated with.
    #[error(
        "{treated} rows were treated where the propensities add up to {expected:.0}, {errors:.0} standard errors apart: the column \
is not the probability of treatment"
    )]
    Propensities {
        /// Rows treated.
        treated: usize,
        /// Sum of the probabilities.
        expected: f64,
        /// Distance in standard errors.
        errors: f64,
    },
}

/// Reason why a learner's ranking is not told from chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Undecided {
    /// Every row is expected to gain the same.
    #[error("can't tell whom it helps more: no feature predicts the effect")]
    NoDifference,
    /// The interval of the Qini coefficient reaches 0.
    #[error(
        "can't tell whom it helps more: the interval of the Qini coefficient reaches from {low:.6} to {high:.6}, across 0"
    )]
    Qini {
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
}

/// Refusal by counts alone, before anything is learned.
pub(super) fn before(log: &TreatmentLog, folds: usize) -> Option<Refusal> {
    let [untreated, treated] = arms(log, |_| true);
    if treated < MIN_ROWS || untreated < MIN_ROWS {
        return Some(Refusal::FewRows { treated, untreated });
    }
    if log.n_users < folds * MIN_USERS_A_FOLD {
        return Some(Refusal::FewUsers { users: log.n_users, folds });
    }
    let mut counts: HashMap<u64, usize> = HashMap::new();
    // −0 and 0 are one outcome.
    let bits = |outcome: f64| (outcome + 0.0).to_bits();
    log.outcomes.iter().for_each(|outcome| *counts.entry(bits(*outcome)).or_default() += 1);
    let commonest = counts.into_iter().max_by_key(|(bits, count)| (*count, *bits)).map(|(bits, _)| bits);
    let [untreated, treated] = arms(log, |row| Some(bits(log.outcome(row))) != commonest);
    (treated < MIN_OUTCOMES || untreated < MIN_OUTCOMES)
        .then_some(Refusal::FewOutcomes { treated, untreated })
}

/// Rows wanted, untreated and treated.
fn arms(log: &TreatmentLog, wanted: impl Fn(usize) -> bool) -> [usize; 2] {
    let mut arms = [0; 2];
    for row in (0..log.n_rows()).filter(|row| wanted(*row)) {
        let [untreated, treated] = &mut arms;
        *(if log.is_treated(row) { treated } else { untreated }) += 1;
    }
    arms
}

/// Rows that the treated and the untreated ones are worth after weighting by their probabilities.
pub(super) fn effective(log: &TreatmentLog, expected: &[Expected]) -> [f64; 2] {
    let mut sums = [(0.0, 0.0); 2];
    for (row, one) in expected.iter().enumerate() {
        let [treated, untreated] = &mut sums;
        let (sum, weight) = match log.is_treated(row) {
            true => (treated, 1.0 / one.propensity()),
            false => (untreated, 1.0 / (1.0 - one.propensity())),
        };
        *sum = (sum.0 + weight, sum.1 + weight * weight);
    }
    sums.map(|(sum, squares)| if squares > 0.0 { sum * sum / squares } else { 0.0 })
}

/// Refusal by the probabilities of treatment. `effective`: of [`effective`].
pub(super) fn after(log: &TreatmentLog, expected: &[Expected], effective: [f64; 2]) -> Option<Refusal> {
    if log.propensities.is_some() {
        let [_, treated] = arms(log, |_| true);
        let sum: f64 = expected.iter().map(|one| one.raw_propensity).sum();
        let variance: f64 = expected.iter().map(|one| one.raw_propensity * (1.0 - one.raw_propensity)).sum();
        let apart = (treated as f64 - sum).abs();
        let errors = if variance > 0.0 { apart / variance.sqrt() } else { apart };
        if errors > MAX_ERRORS {
            return Some(Refusal::Propensities { treated, expected: sum, errors });
        }
    }
    let clipped =
        expected.iter().filter(|one| one.is_clipped()).count() as f64 / expected.len().max(1) as f64;
    let [treated, untreated] = effective;
    let least = MIN_ROWS as f64;
    (clipped > MAX_CLIPPED || treated < least || untreated < least).then_some(Refusal::NoOverlap {
        clipped,
        treated,
        untreated,
    })
}
