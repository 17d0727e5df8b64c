//! Fits session models with their parameters tuned, and the order of `auto` learnt, on sessions held out of the training
//! ones; then fits on all of them. Nothing here ever sees a test session.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::ml::listwise::Lists;
use crate::ml::threads::Threads;
use crate::recommend::session::knn::{ClickWeight, Proximity, SessionKnnParameters, SessionScratch};
use crate::recommend::session::memory::Click;
use crate::recommend::session::sparse_scores::SparseScores;
use crate::recommend::train::TrainError;

use super::offline::session_model::{SessionModel, SessionParameters, SessionScorer};
use super::offline::session_ranking::{N_FEATURES, SessionRanker, Workspace, prepare};
use super::sessions::{Fitted, SessionAlgorithm, SessionTables};

/// Guesses that parameters are chosen on, and that an order is learnt from, at most, evenly over the slice.
const TO_CHOOSE: usize = 4_000;
const TO_LEARN: usize = 15_000;
/// Fewer lists than this teach chance.
const FEWEST_LISTS: usize = 50;
/// Length of the lists whose reciprocal rank is tuned.
const TUNED_AT: usize = 20;
/// Shares of the trees that are tried.
const TREES: [f32; 3] = [0.0, 0.7, 1.0];

/// Hears 0…1; `Break` cancels.
pub type Heard<'a> = dyn FnMut(f32) -> ControlFlow<()> + 'a;

/// One guess of the validation slice: a session and how many of its clicks are known.
type Guess<'a> = (&'a [Click], Click);

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
                ranker = learn(&model, &guesses, threads, &mut |done| progress(0.4 + 0.5 * done))?;
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

/// At most `most` guesses, evenly over the sessions in their order.
fn sample(sessions: &[Vec<Click>], most: usize) -> Vec<Guess<'_>> {
    let all = sessions.iter().flat_map(|clicks| {
        clicks
            .iter()
            .enumerate()
            .skip(1)
            .map(|(known, right)| (clicks.get(..known).unwrap_or_default(), *right))
    });
    let total = sessions.iter().map(|clicks| clicks.len().saturating_sub(1)).sum::<usize>();
    let wanted = |index: usize| (index + 1) * most / total.max(1) > index * most / total.max(1);
    all.enumerate().filter(|(index, _)| total <= most || wanted(*index)).map(|(_, guess)| guess).collect()
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
            model.score(scorer, before, None, &mut room.0, &mut room.1);
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

/// Learns an order on all guesses; halves that judge each other say how much of the trees to take, and whether what is
/// learnt beats STAN alone at all.
fn learn(
    model: &SessionModel,
    guesses: &[Guess<'_>],
    threads: &Threads,
    progress: &mut Heard<'_>,
) -> Result<SessionRanker, TrainError> {
    let rows = rows(model, guesses, threads);
    if progress(0.1).is_break() {
        return Err(TrainError::Cancelled);
    }
    // Guesses of one session come one after the other: two halves in time share next to no session.
    let middle = rows.len() / 2;
    let (early, late) = rows.split_at(middle);
    let whole = lists(rows.iter());
    if whole.len() < FEWEST_LISTS {
        return Ok(SessionRanker::default());
    }
    let mut sums = [0.0; TREES.len()];
    let mut alone = 0.0;
    for (place, (own, other)) in [(early, late), (late, early)].into_iter().enumerate() {
        let fitted = SessionRanker::fit(&lists(own.iter()), threads, |done| {
            progress(0.1 + 0.25 * (place as f32 + done))
        });
        let fitted = fitted.ok_or(TrainError::Cancelled)?;
        alone += judge(&SessionRanker::default(), other, threads);
        for (sum, trees_share) in sums.iter_mut().zip(TREES) {
            *sum += judge(&fitted.clone().with_trees_share(trees_share), other, threads);
        }
    }
    let mut best = (alone, None);
    for (sum, trees_share) in sums.into_iter().zip(TREES) {
        if sum > best.0 {
            best = (sum, Some(trees_share));
        }
    }
    let Some(trees_share) = best.1 else { return Ok(SessionRanker::default()) };
    let fitted = SessionRanker::fit(&whole, threads, |done| progress(0.6 + 0.4 * done));
    Ok(fitted.ok_or(TrainError::Cancelled)?.with_trees_share(trees_share))
}

/// The rows of each guess, and which is right, if it is among the candidates.
fn rows(model: &SessionModel, guesses: &[Guess<'_>], threads: &Threads) -> Vec<(Vec<f32>, Option<usize>)> {
    let make = |workspace: &mut Workspace, (before, right): &Guess<'_>| {
        prepare(model, before, None, TUNED_AT, workspace);
        let place = workspace.candidates().binary_search(&right.item.0).ok();
        (workspace.rows().to_vec(), place)
    };
    threads.run(|| guesses.par_iter().map_init(Workspace::default, make).collect())
}

fn lists<'a>(rows: impl Iterator<Item = &'a (Vec<f32>, Option<usize>)>) -> Lists {
    let mut lists = Lists::new(N_FEATURES);
    for (rows, right) in rows {
        if let Some(right) = right {
            lists.push(rows, *right);
        }
    }
    lists
}

/// Sum of reciprocal ranks among the first [`TUNED_AT`].
fn judge(ranker: &SessionRanker, rows: &[(Vec<f32>, Option<usize>)], threads: &Threads) -> f64 {
    let reciprocal = |(rows, right): &(Vec<f32>, Option<usize>)| {
        let Some(right) = right else { return 0.0 };
        let scores: Vec<f32> = rows.chunks_exact(N_FEATURES).map(|row| ranker.score(row)).collect();
        let Some(own) = scores.get(*right).copied() else { return 0.0 };
        let ahead = |(place, score): (usize, &f32)| *score > own || (*score == own && place < *right);
        let rank = scores.iter().enumerate().filter(|scored| ahead(*scored)).count();
        if rank < TUNED_AT { 1.0 / (rank + 1) as f64 } else { 0.0 }
    };
    let parts: Vec<f64> = threads.run(|| rows.par_iter().map(reciprocal).collect());
    parts.iter().sum()
}
