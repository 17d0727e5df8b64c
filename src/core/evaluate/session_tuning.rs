//! Fits session models with their parameters tuned, and the order of `auto` learnt, on sessions held out of the training
//! ones; then fits on all of them. Nothing here ever sees a test session.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::ml::threads::Threads;
use crate::recommend::session::knn::{ClickWeight, Proximity, SessionKnnParameters};
use crate::recommend::session::learning::{Examples, Guess, TUNED_AT, sample};
use crate::recommend::session::model::{SessionModel, SessionParameters, SessionScorer};
use crate::recommend::session::overlaps::SessionScratch;
use crate::recommend::session::ranking::SessionRanker;
use crate::recommend::session::sparse_scores::SparseScores;
use crate::recommend::train::TrainError;

use super::sessions::{Fitted, SessionAlgorithm, SessionTables};

/// Guesses that parameters are chosen on, and that an order is learnt from, at most, evenly over the slice.
const TO_CHOOSE: usize = 4_000;
const TO_LEARN: usize = 15_000;
/// Shares of the trees that are tried.
const TREES: [f32; 3] = [0.0, 0.7, 1.0];

/// Hears 0…1; `Break` cancels.
pub type Heard<'a> = dyn FnMut(f32) -> ControlFlow<()> + 'a;

impl SessionTables {
    /// Fits one algorithm. All work is bounded by the number of guesses, no clock decides. Errors: no training session, or
    /// cancelled.
    pub fn fit(
        &self,
        algorithm: SessionAlgorithm,
        threads: &Threads,
        progress: &mut Heard<'_>,
    ) -> Result<Fitted, TrainError> {
        if self.train().is_empty() {
            return Err(TrainError::NotEnoughData { needs: "at least one session", has: "none".to_owned() });
        }
        let mut parameters = SessionParameters::default();
        let mut ranker = SessionRanker::default();
        let mut report = BTreeMap::new();
        let grids = grids(algorithm);
        if !grids.is_empty() {
            let (rest, valid) = self.split();
            let mut model = SessionModel::fit(&rest, parameters, threads, |done| progress(0.1 * done))
                .ok_or(TrainError::Cancelled)?;
            let guesses = sample(&valid, TO_CHOOSE);
            for (done, scorer) in grids.iter().enumerate() {
                choose(&mut model, *scorer, &guesses, threads, &mut |share| {
                    progress(0.1 + 0.3 * (done as f32 + share) / grids.len() as f32)
                })?;
                report.extend(describe(&model.parameters, *scorer));
            }
            parameters = model.parameters;
            if algorithm == SessionAlgorithm::Auto {
                let guesses = sample(&valid, TO_LEARN);
                let examples = Examples::new(&model, &guesses, threads);
                ranker = examples
                    .learn(&TREES, threads, &mut |done| progress(0.45 + 0.45 * done))
                    .ok_or(TrainError::Cancelled)?;
                report.insert("trees_share".to_owned(), f64::from(ranker.trees_share()));
                report.insert("learnt".to_owned(), f64::from(u8::from(ranker.is_taught())));
                report.insert("validation_clicks".to_owned(), guesses.len() as f64);
            }
        }
        let model = SessionModel::fit(self.train(), parameters, threads, |done| progress(0.9 + 0.1 * done))
            .ok_or(TrainError::Cancelled)?;
        Ok(Fitted { algorithm, model, ranker, parameters: report })
    }
}

/// Scorers whose parameters are tuned.
fn grids(algorithm: SessionAlgorithm) -> Vec<SessionScorer> {
    match algorithm {
        SessionAlgorithm::Auto => vec![SessionScorer::Vsknn, SessionScorer::Stan],
        SessionAlgorithm::Single(
            scorer @ (SessionScorer::Sknn | SessionScorer::Vsknn | SessionScorer::Stan),
        ) => vec![scorer],
        SessionAlgorithm::Single(_) => Vec::new(),
    }
}

fn grid(scorer: SessionScorer) -> Vec<SessionKnnParameters> {
    let mut grid = Vec::new();
    for neighbours in [100, 500, 1_500] {
        match scorer {
            SessionScorer::Sknn => {
                grid.extend([1_000, 2_500].map(|sample| SessionKnnParameters::s_knn(neighbours, sample)));
            }
            SessionScorer::Vsknn => {
                for rarity in [0.0, 1.0, 2.0] {
                    let plain = SessionKnnParameters::v_sknn(neighbours, 2_500);
                    let powers = [1.0, 2.0, 4.0].map(ClickWeight::Place);
                    grid.extend(powers.map(|click_weight| SessionKnnParameters {
                        rarity,
                        click_weight,
                        ..plain
                    }));
                }
            }
            _ => {
                for clicks in [0.5, 1.0, 2.0] {
                    for days in [2.5, 10.0, 40.0] {
                        grid.extend([1.0, 3.0].map(|distance| {
                            SessionKnnParameters::stan(neighbours, 2_500, clicks, days, distance)
                        }));
                    }
                }
            }
        }
    }
    grid
}

fn slot(parameters: &mut SessionParameters, scorer: SessionScorer) -> &mut SessionKnnParameters {
    match scorer {
        SessionScorer::Sknn => &mut parameters.s_knn,
        SessionScorer::Vsknn => &mut parameters.v_sknn,
        _ => &mut parameters.stan,
    }
}

fn describe(parameters: &SessionParameters, scorer: SessionScorer) -> Vec<(String, f64)> {
    let mut parameters = *parameters;
    let chosen = *slot(&mut parameters, scorer);
    let name = match scorer {
        SessionScorer::Sknn => "sknn",
        SessionScorer::Vsknn => "v_sknn",
        _ => "stan",
    };
    let mut named = vec![("neighbours", chosen.neighbours as f64), ("sample", chosen.sample as f64)];
    if scorer == SessionScorer::Vsknn {
        named.push(("rarity", f64::from(chosen.rarity)));
    }
    if let ClickWeight::Place(power) = chosen.click_weight {
        named.push(("place_power", f64::from(power)));
    }
    if let ClickWeight::Exponential(lambda) = chosen.click_weight {
        named.push(("lambda_clicks", f64::from(lambda)));
        named.push(("lambda_days", f64::from(chosen.fade_days)));
    }
    if let Proximity::Around { after, .. } = chosen.proximity {
        named.push(("lambda_distance", f64::from(after)));
    }
    named.into_iter().map(|(what, value)| (format!("{name}.{what}"), value)).collect()
}

/// Tries the grid of one scorer and leaves the best in the model; ties to the earlier one.
fn choose(
    model: &mut SessionModel,
    scorer: SessionScorer,
    guesses: &[Guess<'_>],
    threads: &Threads,
    progress: &mut Heard<'_>,
) -> Result<(), TrainError> {
    let given = *slot(&mut model.parameters, scorer);
    let grid: Vec<_> = std::iter::once(given).chain(grid(scorer)).collect();
    let mut best = (f64::NEG_INFINITY, given);
    for (index, candidate) in grid.iter().enumerate() {
        *slot(&mut model.parameters, scorer) = *candidate;
        let rank = |room: &mut (SessionScratch, SparseScores), (before, right): &Guess<'_>| {
            model.score(scorer, &mut model.query(before, None, &mut room.0), &mut room.1);
            let list = room.1.best(TUNED_AT);
            list.iter().position(|(item, _)| *item == right.item).map_or(0.0, |rank| 1.0 / (rank + 1) as f64)
        };
        let ranks: Vec<f64> = threads.run(|| guesses.par_iter().map_init(Default::default, rank).collect());
        let mean = ranks.iter().sum::<f64>();
        if mean > best.0 {
            best = (mean, *candidate);
        }
        if progress(index as f32 / grid.len() as f32).is_break() {
            return Err(TrainError::Cancelled);
        }
    }
    *slot(&mut model.parameters, scorer) = best.1;
    Ok(())
}
