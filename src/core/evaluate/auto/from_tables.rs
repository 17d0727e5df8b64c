//! From tables of a file: what to hold out, and the lists of the cases.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::base::{ItemId, random};
use crate::evaluate::algorithm::number;
use crate::evaluate::split::Case;
use crate::evaluate::tables::Tables;
use crate::ml::threads::Threads;
use crate::recommend::ensemble::{
    Ensemble, EnsembleParameters, Histories, Interaction, KindColumn, KindInputs, KindModels, merged,
};
use crate::recommend::models::ridge::RidgeParameters;
use crate::recommend::train::TrainError;

use super::budget::{Budget, of_files};
use super::held_out::HeldOut;
use super::known::{Kinds, Rows, of_row};
use super::tuning::{Trial, Tuned, fit};

const SECONDS_A_DAY: f64 = 86_400.0;

/// Largest share of a history that is held out, for tables without a validation part.
const MOST_HELD_OUT: f64 = 0.1;
/// Shorter histories lose nothing.
const SHORTEST: usize = 3;

/// Held-out part of each history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// The newest interaction.
    Last,
    /// The newest ones, this share of them.
    Newest(f64),
    /// Any, this share of them.
    Random(f64),
}

impl Part {
    /// Like the test part: one or a share, the newest where the test rows come after the training rows of their users, otherwise
    /// any. Nothing else of the test part is looked at.
    fn like_test(tables: &Tables) -> Self {
        let (mut known, mut asked, mut most) = (0usize, 0usize, 0usize);
        for case in tables.cases() {
            known += case.seen.len();
            asked += case.relevant.len();
            most = most.max(case.relevant.len());
        }
        let share = (asked as f64 / (asked + known).max(1) as f64).min(MOST_HELD_OUT);
        match tables.test_is_later() {
            true if most <= 1 => Self::Last,
            true => Self::Newest(share),
            false => Self::Random(if most <= 1 { 0.0 } else { share }),
        }
    }
}

/// Takes a part of every history that is long enough, at least one interaction.
pub(super) fn hold_out(rows: &mut [Vec<Interaction>], part: Part) -> Vec<HeldOut> {
    let mut held_out = Vec::new();
    let mut rng = random::rng(1, "validation part");
    for (row, history) in rows.iter_mut().enumerate().filter(|(_, history)| history.len() >= SHORTEST) {
        let n = history.len();
        let count = |share: f64| ((n as f64 * share).round() as usize).clamp(1, n - 2);
        let relevant: HashSet<u32> = match part {
            Part::Last => history.split_off(n - 1).iter().map(|one| one.item).collect(),
            Part::Newest(share) => history.split_off(n - count(share)).iter().map(|one| one.item).collect(),
            Part::Random(share) => {
                let mut items: Vec<u32> = history.iter().map(|one| one.item).collect();
                items.partial_shuffle(&mut rng, count(share)).0.iter().copied().collect()
            }
        };
        history.retain(|one| !relevant.contains(&one.item));
        held_out.push(HeldOut { row, relevant });
    }
    held_out
}

/// Chosen on tables, and fitted on all of training.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Ready to rank.
    pub ensemble: Ensemble,
    /// Of tables with kinds.
    pub kinds: Option<KindModels>,
    /// Names of the kinds, by number, the target first.
    pub kind_names: Vec<String>,
    /// Result of the tuning that chose it.
    pub tuned: Tuned,
}

impl Chosen {
    /// For tables and JSON: hyper-parameters, and each member's weight.
    pub fn parameters(&self) -> Value {
        let Tuned { parameters, ndcg, shape, best, .. } = &self.tuned;
        let numbers = |values: &[f32]| values.iter().copied().map(number).collect::<Vec<_>>();
        let als: Vec<Value> = parameters
            .als
            .iter()
            .map(|als| {
                json!({
                    "factors": als.factors, "regularisation": number(als.regularisation), "alpha": number(als.alpha),
                    "iterations": als.iterations, "frequency_scaling": number(als.frequency_scaling),
                })
            })
            .collect();
        let ridge = |ridge: &RidgeParameters| {
            json!({
                "lambda": number(ridge.lambda), "user_scaling": number(ridge.user_scaling),
                "item_scaling": number(ridge.item_scaling),
            })
        };
        let ridges: Vec<Value> = parameters.ridges.iter().map(ridge).collect();
        let members = self.ensemble.models().members().iter().map(ToString::to_string);
        let weights: BTreeMap<String, Value> =
            members.zip(numbers(&self.ensemble.ranker().weights)).collect();
        json!({
            "ease": ridges, "als": als, "decays": numbers(&parameters.decays), "neighbours": parameters.neighbours,
            "shrinkage": number(parameters.shrinkage), "shape": shape, "validation_ndcg@10": ndcg,
            "best_member": best.0.to_string(), "best_member_validation_ndcg@10": best.1, "weights": weights,
            "kinds": self.kind_names,
        })
    }
}

/// Chooses on the validation part of the tables (without one: on a part of training like the test part) and fits on all of
/// training. `tell` hears what was found on the way.
pub fn choose(
    tables: &Tables,
    threads: &Threads,
    tell: &dyn Fn(&str),
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Chosen, TrainError> {
    let n_items = tables.n_known();
    let (part, held_out) = if tables.valid().is_empty() && tables.acts().is_none() {
        let mut rows = rows_of(tables);
        let held_out = hold_out(&mut rows, Part::like_test(tables));
        (TuningPart { rows, kinds: None, tables: None }, held_out)
    } else {
        let tuning = tables.tuning();
        let held_out = tuning
            .cases()
            .iter()
            .map(|case| HeldOut { row: case.user.index(), relevant: case.relevant.clone() })
            .collect();
        (TuningPart::new(tuning, threads, &mut |done| progress(0.1 * done))?, held_out)
    };
    let histories = &Histories { rows: &part.rows, n_items };
    let source = &Rows { histories: *histories, kinds: part.kinds() };
    let (start, budget, held_out) = (of_files(), Budget::OF_FILES, held_out.as_slice());
    let trial = Trial { histories, source, held_out, start, always: &[], budget, threads, tell };
    let (tuned, _) = trial.choose(&mut |done| progress(0.1 + 0.65 * done))?;
    drop(part);
    let columns = tuned.parameters.kind_columns();
    let kinds = kind_models(tables, Some(&columns), threads, &mut |done| progress(0.75 + 0.05 * done))?;
    let rows = rows_of(tables);
    let all = Histories { rows: &rows, n_items };
    let ensemble = fit(&all, kinds.as_ref(), &tuned, threads, |done| progress(0.8 + 0.2 * done))?;
    Ok(Chosen { ensemble, kinds, kind_names: tables.kind_names().to_vec(), tuned })
}

/// Histories that are tuned on.
struct TuningPart {
    rows: Vec<Vec<Interaction>>,
    kinds: Option<KindModels>,
    /// With kinds, the tables they were fitted on.
    tables: Option<Tables>,
}

impl TuningPart {
    fn new(
        tables: Tables,
        threads: &Threads,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let kinds = kind_models(&tables, None, threads, progress)?;
        Ok(Self { rows: rows_of(&tables), kinds, tables: Some(tables) })
    }

    fn kinds(&self) -> Option<Kinds<'_>> {
        let acts = self.tables.as_ref().and_then(Tables::acts)?;
        Some(Kinds { models: self.kinds.as_ref()?, acts })
    }
}

/// Models of the kinds of a table with the columns needed, `None` = all; `None` for a table without kinds.
fn kind_models(
    tables: &Tables,
    needed: Option<&[KindColumn]>,
    threads: &Threads,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Option<KindModels>, TrainError> {
    let Some(acts) = tables.acts() else { return Ok(None) };
    let parameters = EnsembleParameters::default();
    let ridge = parameters.ridges.first().copied();
    let inputs = KindInputs { acts, n_items: tables.n_known(), masked: tables.masked(), needed };
    KindModels::fit(&inputs, ridge, &parameters, threads, progress).map(Some)
}

/// The best `n` items of every case, in their order, without what stays out of the user's list.
pub fn rank(tables: &Tables, chosen: &Chosen, n: usize, threads: &Threads) -> Vec<Vec<(u32, f32)>> {
    let one = |case: &Case| {
        let acts = tables.known_acts(case.user);
        let history = match &chosen.kinds {
            Some(_) => merged(acts),
            None => tables.known_history(case.user).iter().map(interaction).collect(),
        };
        let known = of_row(&history, chosen.kinds.as_ref(), acts, true);
        let open = known.open(tables.n_known());
        let allowed = |item: ItemId| open.get(item.index()).copied().unwrap_or(false);
        let list = chosen.ensemble.recommend(&known.context(), n, allowed);
        list.into_iter().map(|(item, score)| (item.0, score)).collect()
    };
    threads.run(|| tables.cases().par_iter().map(one).collect())
}

fn rows_of(tables: &Tables) -> Vec<Vec<Interaction>> {
    match tables.acts() {
        Some(acts) => acts.iter().map(|acts| merged(acts)).collect(),
        None => tables.histories().iter().map(|row| row.iter().map(interaction).collect()).collect(),
    }
}

fn interaction((item, ts): &(u32, f64)) -> Interaction {
    Interaction { item: *item, day: ts / SECONDS_A_DAY, weight: 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::files::Row;

    fn tables(test: &[(&str, &str, f64)]) -> Tables {
        let row = |(user, item, ts): &(&'static str, &'static str, f64)| Row { user, item, ts: *ts };
        let train = [("u", "a", 1.0), ("u", "b", 2.0), ("u", "c", 3.0), ("v", "a", 1.0), ("v", "b", 9.0)];
        let train: Vec<Row<'_>> = train.iter().map(row).collect();
        let test: Vec<Row<'_>> = test.iter().map(|(user, item, ts)| Row { user, item, ts: *ts }).collect();
        Tables::new(&train, &[], &test)
    }

    #[test]
    fn the_validation_part_is_made_like_the_test_part() {
        assert_eq!(Part::like_test(&tables(&[("u", "d", 4.0), ("v", "c", 10.0)])), Part::Last);
        let share = MOST_HELD_OUT;
        assert_eq!(Part::like_test(&tables(&[("u", "d", 4.0), ("u", "e", 5.0)])), Part::Newest(share));
        assert_eq!(Part::like_test(&tables(&[("u", "d", 2.0), ("u", "e", 3.0)])), Part::Random(share));
        assert_eq!(Part::like_test(&tables(&[("u", "d", 0.0), ("v", "e", 0.0)])), Part::Random(0.0));
    }

    #[test]
    fn each_long_history_loses_its_part() {
        let history =
            |n: u32| (0..n).map(|item| Interaction { item, day: f64::from(item), weight: 1.0 }).collect();
        let rows: Vec<Vec<Interaction>> = vec![history(2), history(3), history(40)];
        for (part, counts) in [(Part::Last, [1, 1]), (Part::Newest(0.1), [1, 4]), (Part::Random(0.1), [1, 4])]
        {
            let mut left = rows.clone();
            let held_out = hold_out(&mut left, part);
            assert_eq!(held_out.iter().map(|case| case.row).collect::<Vec<_>>(), [1, 2]);
            assert_eq!(
                held_out.iter().map(|case| case.relevant.len()).collect::<Vec<_>>(),
                counts,
                "{part:?}"
            );
            assert_eq!(left.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 40 - counts[1]]);
            let newest = held_out[1].relevant.iter().all(|item| *item >= 36);
            assert_eq!(newest, !matches!(part, Part::Random(_)), "{part:?}");
            let mut again = rows.clone();
            assert_eq!(hold_out(&mut again, part)[1].relevant, held_out[1].relevant);
        }
    }
}
