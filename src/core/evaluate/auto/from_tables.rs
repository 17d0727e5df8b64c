//! From tables of a file: what to hold out, and the lists of the cases.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use rayon::prelude::*;
use serde_json::{Value, json};

use crate::evaluate::algorithm::number;
use crate::evaluate::split::Case;
use crate::evaluate::tables::Tables;
use crate::ml::threads::Threads;
use crate::recommend::ensemble::{Context, Ensemble, Histories, Interaction};
use crate::recommend::train::TrainError;

use super::held_out::{HeldOut, newest_first};
use super::tuning::{Tuned, fit, tune};

const SECONDS_A_DAY: f64 = 86_400.0;

/// Holds out the newest interaction of every user who has at least three: for tables without a validation part.
pub(super) fn hold_out_last(rows: &mut [Vec<Interaction>]) -> Vec<HeldOut> {
    let mut held_out = Vec::new();
    for (row, history) in rows.iter_mut().enumerate() {
        if history.len() >= 3
            && let Some(last) = history.pop()
        {
            held_out.push(HeldOut { row, relevant: HashSet::from([last.item]) });
        }
    }
    held_out
}

/// Chosen on tables, and fitted on all of training.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Ready to rank.
    pub ensemble: Ensemble,
    /// Result of the tuning that chose it.
    pub tuned: Tuned,
}

impl Chosen {
    /// For tables and JSON: hyper-parameters, and each member's weight.
    pub fn parameters(&self) -> Value {
        let Tuned { parameters, ranker, ndcg, shape } = &self.tuned;
        let numbers = |values: &[f32]| values.iter().copied().map(number).collect::<Vec<_>>();
        let als: Vec<Value> = parameters
            .als
            .iter()
            .map(|als| {
                json!({
                    "factors": als.factors, "regularisation": number(als.regularisation), "alpha": number(als.alpha),
                    "iterations": als.iterations,
                })
            })
            .collect();
        let members = self.ensemble.models().members().iter().map(ToString::to_string);
        let weights: BTreeMap<String, Value> = members.zip(numbers(&ranker.weights)).collect();
        json!({
            "lambdas": numbers(&parameters.lambdas), "als": als, "decays": numbers(&parameters.decays),
            "neighbours": parameters.neighbours, "shape": shape, "validation_ndcg@10": ndcg, "weights": weights,
        })
    }
}

/// Chooses on the validation part of the tables (without one: on the newest interaction of each user) and fits on all of
/// training.
pub fn choose(
    tables: &Tables,
    threads: &Threads,
    expired: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Chosen, TrainError> {
    let n_items = tables.n_known();
    let (rows, held_out) = if tables.valid().is_empty() {
        let mut rows = histories(tables);
        let held_out = hold_out_last(&mut rows);
        (rows, held_out)
    } else {
        let tuning = tables.tuning();
        let held_out = tuning
            .cases()
            .iter()
            .map(|case| HeldOut { row: case.user.index(), relevant: case.relevant.clone() })
            .collect();
        (histories(&tuning), held_out)
    };
    let part = Histories { rows: &rows, n_items };
    let tuned = tune(&part, &held_out, threads, expired, &mut |done| progress(0.75 * done))?;
    let rows = histories(tables);
    let all = Histories { rows: &rows, n_items };
    let ensemble = fit(&all, &tuned, threads, |done| progress(0.75 + 0.25 * done))?;
    Ok(Chosen { ensemble, tuned })
}

/// The best `n` items of every case, in their order, the user's own training items left out.
pub fn rank(tables: &Tables, ensemble: &Ensemble, n: usize, threads: &Threads) -> Vec<Vec<(u32, f32)>> {
    let one = |case: &Case| {
        let history = tables.histories().get(case.user.index()).map_or(&[][..], Vec::as_slice);
        let history: Vec<Interaction> = history.iter().map(interaction).collect();
        let known = newest_first(&history);
        let last_day = history.last().map(|one| one.day);
        let context = Context { history: &known, last_day, ..Context::default() };
        let list = ensemble.recommend(&context, n, |item| !case.seen.contains(&item.0));
        list.into_iter().map(|(item, score)| (item.0, score)).collect()
    };
    threads.run(|| tables.cases().par_iter().map(one).collect())
}

fn histories(tables: &Tables) -> Vec<Vec<Interaction>> {
    tables.histories().iter().map(|row| row.iter().map(interaction).collect()).collect()
}

fn interaction((item, ts): &(u32, f64)) -> Interaction {
    Interaction { item: *item, day: ts / SECONDS_A_DAY, weight: 1.0 }
}
