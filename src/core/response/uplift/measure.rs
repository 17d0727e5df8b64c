//! Measures of what the learners find in a log: effect, ranking and policy, each with its interval, or the reason for none.

use std::ops::ControlFlow;

use serde::Serialize;

use super::learners::{CrossFit, Learner};
use super::nuisance::Fit;
use super::qini::{Point, Ranked};
use super::refusal::{self, Refusal, Undecided};
use super::treatments::{MAX_FOLDS, MIN_FOLDS, TreatmentLog, UpliftError};
use crate::ml::estimate::Estimate;
use crate::ml::regression::Regression;
use crate::ml::threads::Threads;

/// Groups of rows by predicted effect.
const GROUPS: usize = 10;

/// A tenth of the rows, by predicted effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Decile {
    /// Rows.
    pub rows: usize,
    /// Of those: treated.
    pub treated: usize,
    /// Mean predicted effect.
    pub predicted: f64,
    /// Mean effect, doubly robust.
    pub effect: Estimate,
}

/// The policy "treat whom it helps": every row of a predicted effect above 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LearnedPolicy {
    /// Share of rows it treats, 0…1.
    pub treats: f64,
    /// Mean outcome under it, doubly robust.
    pub value: Estimate,
    /// Its value less that of treating everybody.
    pub over_all: Estimate,
    /// Its value less that of treating nobody.
    pub over_none: Estimate,
}

/// Measures of one learner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LearnerReport {
    /// Learner measured.
    pub learner: Learner,
    /// Predicted effect of each row, by models that saw no row of its user.
    #[serde(skip)]
    pub predicted: Vec<f64>,
    /// Rank of each row's prediction among the rows that the same model was asked about, 0…1: what the Qini curve orders by.
    #[serde(skip)]
    pub ranks: Vec<f64>,
    /// Area between the Qini curve and random treatment, in units of the outcome a row.
    pub qini: Estimate,
    /// The curve.
    pub curve: Vec<Point>,
    /// The learned policy; `None` where it can't be told whom the treatment helps more.
    pub policy: Option<LearnedPolicy>,
    /// Tenths of the rows, greatest predicted effect first; empty where it can't be told.
    pub deciles: Vec<Decile>,
    /// Reason why it can't be told.
    pub refusal: Option<Undecided>,
}

/// Effects of a treatment, or the reason for which the log can't tell them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Rows.
    pub rows: usize,
    /// Users.
    pub users: usize,
    /// Rows treated.
    pub treated: usize,
    /// True if the probabilities of treatment were estimated and not logged.
    pub estimated_propensities: bool,
    /// Rows whose probability of treatment was moved to between [`CLIP`](super::CLIP) and 1 less it.
    pub clipped: usize,
    /// Rows that the treated and the untreated ones are worth after weighting, (Σ w)² / Σ w² (Kish 1965).
    pub effective: [f64; 2],
    /// Average effect of the treatment on a row.
    pub effect: Option<Estimate>,
    /// Mean outcome if everybody is treated.
    pub treat_all: Option<Estimate>,
    /// Mean outcome if nobody is.
    pub treat_none: Option<Estimate>,
    /// By learner, as asked for.
    pub learners: Vec<LearnerReport>,
    /// Reason why there are no figures.
    pub refusal: Option<Refusal>,
}

/// Cut of the log, and the start of what is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Folds of users, [`MIN_FOLDS`]…[`MAX_FOLDS`].
    pub folds: usize,
    /// Seed of folds, trees and bootstrap.
    pub seed: u64,
}

/// Measures what the learners find in a log. The same log, options and seed give the same report on any number of threads.
/// `progress` hears 0…1 and may break. Time: about folds² / 2 fits of two outcome models for DR, folds for the others.
pub fn measure(
    log: &TreatmentLog,
    learners: &[Learner],
    options: Options,
    threads: &Threads,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Report, UpliftError> {
    Ok(run(log, learners, options, threads, progress)?.0)
}

/// Measures the DR-learner and fits it to the whole log; there is no model where it can't tell whom the treatment helps.
pub(super) fn learn(
    log: &TreatmentLog,
    options: Options,
    threads: &Threads,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<(Report, Option<Regression>), UpliftError> {
    let (report, scores) = run(log, &[Learner::Dr], options, threads, &mut |share| progress(0.9 * share))?;
    let is_told = report.learners.iter().any(|learner| learner.refusal.is_none());
    let Some(scores) = scores.filter(|_| is_told) else { return Ok((report, None)) };
    let fit = Fit { log, seed: options.seed, threads };
    let targets = scores.effects.iter().copied().enumerate();
    let model = fit.regression(targets, &mut |share| progress(0.9 + 0.1 * share));
    Ok((report, Some(model.ok_or(UpliftError::Cancelled)?)))
}

/// The report, and the scores it was made from where there are figures.
fn run<'a>(
    log: &'a TreatmentLog,
    learners: &[Learner],
    options: Options,
    threads: &Threads,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<(Report, Option<Scores<'a>>), UpliftError> {
    log.check()?;
    if !(MIN_FOLDS..=MAX_FOLDS).contains(&options.folds) {
        return Err(UpliftError::Folds(options.folds));
    }
    let mut report = Report {
        rows: log.n_rows(),
        users: log.n_users,
        treated: log.treated.iter().filter(|treated| **treated).count(),
        estimated_propensities: log.propensities.is_none(),
        clipped: 0,
        effective: [0.0; 2],
        effect: None,
        treat_all: None,
        treat_none: None,
        learners: Vec::new(),
        refusal: refusal::before(log, options.folds),
    };
    if report.refusal.is_some() {
        return Ok((report, None));
    }
    let parts = learners.len() as f32 + 1.0;
    let fit = Fit { log, seed: options.seed, threads };
    let cross = CrossFit::new(fit, options.folds, &mut |share| progress(share / parts))
        .ok_or(UpliftError::Cancelled)?;
    report.clipped = cross.expected.iter().filter(|one| one.is_clipped()).count();
    report.effective = refusal::effective(log, &cross.expected);
    report.refusal = refusal::after(log, &cross.expected, report.effective);
    if report.refusal.is_some() {
        return Ok((report, None));
    }
    let scores = Scores::new(log, &cross);
    report.effect = Some(scores.mean(&scores.effects));
    report.treat_all = Some(scores.mean(&scores.treated));
    report.treat_none = Some(scores.mean(&scores.untreated));
    for (learner, done) in learners.iter().zip(1u8..) {
        let mut hear = |share: f32| progress((f32::from(done) + share) / parts);
        let predicted = cross.effects(*learner, &mut hear).ok_or(UpliftError::Cancelled)?;
        let ranks = cross.ranks(&predicted);
        report.learners.push(scores.judge(*learner, predicted, ranks, options.seed));
    }
    Ok((report, Some(scores)))
}

/// Doubly robust scores of each row.
struct Scores<'a> {
    log: &'a TreatmentLog,
    treated: Vec<f64>,
    untreated: Vec<f64>,
    effects: Vec<f64>,
}

impl<'a> Scores<'a> {
    fn new(log: &'a TreatmentLog, cross: &CrossFit<'_>) -> Self {
        let rows = cross.expected.iter().enumerate();
        let (treated, untreated): (Vec<f64>, Vec<f64>) =
            rows.map(|(row, one)| one.scores(log.is_treated(row), log.outcome(row))).unzip();
        let effects =
            treated.iter().zip(&untreated).map(|(treated, untreated)| treated - untreated).collect();
        Self { log, treated, untreated, effects }
    }

    fn mean(&self, terms: &[f64]) -> Estimate {
        Estimate::of_clusters(terms, &self.log.users, self.log.n_users)
    }

    fn judge(&self, learner: Learner, predicted: Vec<f64>, ranks: Vec<f64>, seed: u64) -> LearnerReport {
        let ranked = Ranked::new(&ranks, &self.effects);
        let qini = ranked.estimate(&self.log.users, self.log.n_users, seed);
        let refusal = match ranked.n_steps() {
            0 | 1 => Some(Undecided::NoDifference),
            _ if qini.low <= 0.0 => Some(Undecided::Qini { low: qini.low, high: qini.high }),
            _ => None,
        };
        let is_told = refusal.is_none();
        LearnerReport {
            learner,
            qini,
            curve: ranked.curve(),
            policy: is_told.then(|| self.policy(&predicted)),
            deciles: if is_told { self.deciles(&ranked, &predicted) } else { Vec::new() },
            refusal,
            predicted,
            ranks,
        }
    }

    fn policy(&self, predicted: &[f64]) -> LearnedPolicy {
        let treats = predicted.iter().filter(|effect| **effect > 0.0).count();
        let rows = || self.treated.iter().zip(&self.untreated).zip(predicted);
        let value: Vec<f64> =
            rows().map(|((all, none), effect)| if *effect > 0.0 { *all } else { *none }).collect();
        let over =
            |other: &[f64]| -> Vec<f64> { value.iter().zip(other).map(|(own, other)| own - other).collect() };
        LearnedPolicy {
            treats: treats as f64 / predicted.len().max(1) as f64,
            value: self.mean(&value),
            over_all: self.mean(&over(&self.treated)),
            over_none: self.mean(&over(&self.untreated)),
        }
    }

    fn deciles(&self, ranked: &Ranked<'_>, predicted: &[f64]) -> Vec<Decile> {
        let order: Vec<usize> = ranked.rows().collect();
        let n = order.len();
        let bound = |group: usize| group * n / GROUPS;
        (0..GROUPS)
            .filter_map(|group| order.get(bound(group)..bound(group + 1)).filter(|rows| !rows.is_empty()))
            .map(|rows| {
                let of = |all: &[f64]| -> Vec<f64> {
                    rows.iter().filter_map(|row| all.get(*row).copied()).collect()
                };
                let users: Vec<u32> =
                    rows.iter().filter_map(|row| self.log.users.get(*row).copied()).collect();
                Decile {
                    rows: rows.len(),
                    treated: rows.iter().filter(|row| self.log.is_treated(**row)).count(),
                    predicted: of(predicted).iter().sum::<f64>() / rows.len() as f64,
                    effect: Estimate::of_clusters(&of(&self.effects), &users, self.log.n_users),
                }
            })
            .collect()
    }
}
