//! The best that can be learnt from a table of interactions: models' hyper-parameters and the weights of their blend, learnt on held-out
//! interactions, then everything fitted again on all of them.
//!
//! Three shapes of the blend are learnt (logarithms of scores; the same, changing with the length of the history; logarithms and
//! plain scores); the best of them and of their mean serves.
//!
//! Goes in: histories without the held-out part, and for each of up to [`MOST_CASES`] users what was held out. The penalty of
//! the blend, and whether its weights depend on the length of a history, are chosen by cross-validation over users, so
//! nothing is judged on what it was learnt from.

use std::collections::HashSet;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::ItemId;
use crate::recommend::ensemble::{
    CANDIDATES, Candidates, Context, Ensemble, EnsembleParameters, Histories, Interaction, Models, Ranker,
    candidates, fit_ease, part,
};
use crate::recommend::implicit_als::{AlsParameters, ImplicitAls};
use crate::recommend::interactions::Matrix;
use crate::recommend::item_weights::ItemWeights;
use crate::recommend::listwise::{Lists, Listwise};
use crate::recommend::{Threads, TrainError};

use super::ranking::{ndcg, top};
use super::split::Case;
use super::tables::Tables;

const SECONDS_A_DAY: f64 = 86_400.0;

/// Users the blend is learnt on, spread evenly.
pub const MOST_CASES: usize = 4_000;
/// Users single models are compared on.
const MOST_TO_COMPARE: usize = 1_000;
/// Members that choose candidates.
const CORE: usize = 8;
const FOLDS: usize = 3;
/// Penalties of EASE^R, the likeliest first; the two best stay.
const LAMBDAS: [f32; 4] = [100.0, 500.0, 20.0, 2_000.0];
/// Factors, penalty and confidence of implicit ALS, the likeliest first; the two best stay.
const ALS: [(usize, f32, f32); 3] = [(128, 10.0, 1.0), (64, 50.0, 16.0), (32, 10.0, 4.0)];
const STAYING: usize = 2;
/// Penalties of the blend, by user.
const PENALTIES: [f64; 3] = [0.002, 0.01, 0.03];
/// Fewer users than this don't teach a blend.
const FEWEST_CASES: usize = 20;

/// What a user did later.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// Row of the histories.
    pub row: usize,
    /// What is to be found, not in the history.
    pub relevant: HashSet<u32>,
}

/// What was chosen.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Of the models.
    pub parameters: EnsembleParameters,
    /// Of the blend.
    pub ranker: Ranker,
    /// NDCG@10 of the blend on users it was not learnt on.
    pub ndcg: f64,
    /// Shape of the blend: `logarithmic`, `by_length`, `with_plain` or `mean` of the three.
    pub shape: &'static str,
}

/// Chooses. `expired` is asked between two trials; when true, what is known by then decides. `progress` hears 0…1 and may
/// break ([`TrainError::Cancelled`]).
pub fn tune(
    histories: &Histories<'_>,
    held_out: &[HeldOut],
    threads: &Threads,
    expired: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Tuned, TrainError> {
    let cases = spread(held_out, MOST_CASES);
    if cases.len() < FEWEST_CASES {
        return Err(TrainError::NotEnoughData {
            needs: "at least 20 users with held-out interactions",
            has: format!("{} users", cases.len()),
        });
    }
    let matrix = histories.matrix();
    let mut parameters = EnsembleParameters::default();
    let setting = Setting { histories, threads, expired };
    let few = spread(&cases, MOST_TO_COMPARE);
    let (lambdas, ease) =
        setting.choose_ease(&matrix, &few, &parameters, &mut |done| progress(0.4 * done))?;
    parameters.lambdas = lambdas;
    let (chosen, als) = setting.choose_als(&matrix, &few, &mut |done| progress(0.4 + 0.25 * done))?;
    parameters.als = chosen;
    let models = Models::with(histories, &matrix, &parameters, ease, als, threads, |done| {
        progress(0.65 + 0.1 * done)
    })?;
    let core = setting.core(&models, &few);
    let lists: Vec<Candidates> =
        threads.run(|| cases.par_iter().map(|case| propose(&models, &core, histories, case)).collect());
    stop(progress, 0.8)?;
    let blend =
        Blending { cases: &cases, lists: &lists, members: models.members().len(), histories, threads };
    let (ranker, shape, ndcg) = blend.learn(core, expired, &mut |done| progress(0.8 + 0.2 * done))?;
    Ok(Tuned { parameters, ranker, ndcg, shape })
}

/// Fits everything on all histories.
pub fn fit(
    histories: &Histories<'_>,
    tuned: &Tuned,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Result<Ensemble, TrainError> {
    Ok(Ensemble::new(Models::fit(histories, &tuned.parameters, threads, progress)?, tuned.ranker.clone()))
}

/// Holds out the newest interaction of every user who has at least three: for tables without a validation part.
pub fn hold_out_last(rows: &mut [Vec<Interaction>]) -> Vec<HeldOut> {
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
    /// How it was chosen.
    pub tuned: Tuned,
}

impl Chosen {
    /// For tables and JSON: hyper-parameters, and each member's weight.
    pub fn parameters(&self) -> serde_json::Value {
        let Tuned { parameters, ranker, ndcg, shape } = &self.tuned;
        let members = self.ensemble.models().members();
        let weights: std::collections::BTreeMap<String, f32> =
            members.iter().map(ToString::to_string).zip(ranker.weights.iter().copied()).collect();
        serde_json::json!({
            "lambdas": parameters.lambdas, "als": parameters.als, "decays": parameters.decays,
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
        let context = Context { history: &known, last_day: history.last().map(|one| one.day) };
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

/// A history as the models want it: newest first.
pub fn newest_first(history: &[Interaction]) -> Vec<(ItemId, f32)> {
    history.iter().rev().map(|one| (ItemId(one.item), one.weight)).collect()
}

fn spread(cases: &[HeldOut], most: usize) -> Vec<HeldOut> {
    let step = (cases.len() as f64 / most.max(1) as f64).max(1.0);
    (0..most).map_while(|index| cases.get((index as f64 * step) as usize)).cloned().collect()
}

fn stop(progress: &mut dyn FnMut(f32) -> ControlFlow<()>, done: f32) -> Result<(), TrainError> {
    if progress(done).is_break() { Err(TrainError::Cancelled) } else { Ok(()) }
}

fn propose(models: &Models, core: &[usize], histories: &Histories<'_>, case: &HeldOut) -> Candidates {
    let history = histories.rows.get(case.row).map_or(&[][..], Vec::as_slice);
    let known = newest_first(history);
    let seen: HashSet<u32> = history.iter().map(|one| one.item).collect();
    let context = Context { history: &known, last_day: history.last().map(|one| one.day) };
    candidates(models, &models.scores(&context), core, |item| !seen.contains(&item.0))
}

struct Setting<'a> {
    histories: &'a Histories<'a>,
    threads: &'a Threads,
    expired: &'a dyn Fn() -> bool,
}

impl Setting<'_> {
    /// Mean NDCG@10 of scores made from a history.
    fn measure(&self, cases: &[HeldOut], score: impl Fn(&[(ItemId, f32)], &mut [f32]) + Sync) -> f64 {
        let one = |case: &HeldOut| {
            let history = self.histories.rows.get(case.row).map_or(&[][..], Vec::as_slice);
            let seen: HashSet<u32> = history.iter().map(|one| one.item).collect();
            let mut scores = vec![0f32; self.histories.n_items];
            score(&newest_first(history), &mut scores);
            let list: Vec<u32> =
                top(&scores, 10, |item| !seen.contains(&item)).into_iter().map(|(item, _)| item).collect();
            ndcg(&list, &case.relevant, 10)
        };
        let values: Vec<f64> = self.threads.run(|| cases.par_iter().map(one).collect());
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }

    fn choose_ease(
        &self,
        matrix: &Matrix,
        cases: &[HeldOut],
        parameters: &EnsembleParameters,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<(Vec<f32>, Vec<ItemWeights>), TrainError> {
        let mut tried = Vec::new();
        for (index, lambda) in LAMBDAS.into_iter().enumerate() {
            if index > 0 && (self.expired)() {
                break;
            }
            let done = |part: f32| (index as f32 + part) / LAMBDAS.len() as f32;
            let fitted = fit_ease(matrix, lambda, parameters, self.threads, |part| progress(done(part)));
            let weights = match fitted {
                Ok(weights) => weights,
                Err(TrainError::Cancelled) => return Err(TrainError::Cancelled),
                // A penalty too small for these weights: the others will do.
                Err(_) => continue,
            };
            let mut best = 0.0f64;
            for decay in [0.5f32, 0.95, 1.0] {
                let quality = self.measure(cases, |history, scores| {
                    weights.add_scores(&faded(history, decay), scores);
                });
                best = best.max(quality);
            }
            tried.push((best, lambda, weights));
        }
        tried.sort_by(|a, b| b.0.total_cmp(&a.0));
        tried.truncate(STAYING);
        Ok(tried.into_iter().map(|(_, lambda, weights)| (lambda, weights)).unzip())
    }

    fn choose_als(
        &self,
        matrix: &Matrix,
        cases: &[HeldOut],
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<(Vec<AlsParameters>, Vec<ImplicitAls>), TrainError> {
        let mut tried = Vec::new();
        for (index, (factors, regularisation, alpha)) in ALS.into_iter().enumerate() {
            if index > 0 && (self.expired)() {
                break;
            }
            let parameters = AlsParameters { factors, regularisation, alpha, ..AlsParameters::default() };
            let done = |part: f32| (index as f32 + part) / ALS.len() as f32;
            let als = ImplicitAls::fit(matrix, &parameters, self.threads, |part| progress(done(part)))?;
            let quality = self.measure(cases, |history, scores| als.add_scores(history, scores));
            tried.push((quality, parameters, als));
        }
        tried.sort_by(|a, b| b.0.total_cmp(&a.0));
        tried.truncate(STAYING);
        Ok(tried.into_iter().map(|(_, parameters, als)| (parameters, als)).unzip())
    }

    /// The members that do best alone.
    fn core(&self, models: &Models, cases: &[HeldOut]) -> Vec<usize> {
        let n = models.n_items().max(1);
        let one = |case: &HeldOut| -> Vec<f64> {
            let history = self.histories.rows.get(case.row).map_or(&[][..], Vec::as_slice);
            let seen: HashSet<u32> = history.iter().map(|one| one.item).collect();
            let known = newest_first(history);
            let context = Context { history: &known, last_day: history.last().map(|one| one.day) };
            let scores = models.scores(&context);
            let quality = |column: &[f32]| {
                let list = top(column, 10, |item| !seen.contains(&item));
                let list: Vec<u32> = list.into_iter().map(|(item, _)| item).collect();
                ndcg(&list, &case.relevant, 10)
            };
            scores.chunks(n).map(quality).collect()
        };
        let values: Vec<Vec<f64>> = self.threads.run(|| cases.par_iter().map(one).collect());
        let mut sums: Vec<(f64, usize)> = (0..models.members().len()).map(|index| (0.0, index)).collect();
        for values in &values {
            sums.iter_mut().zip(values).for_each(|((sum, _), value)| *sum += value);
        }
        sums.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        sums.into_iter().take(CORE).map(|(_, index)| index).collect()
    }
}

fn faded(history: &[(ItemId, f32)], decay: f32) -> Vec<(ItemId, f32)> {
    let mut age = 1.0f32;
    history
        .iter()
        .map(|(item, weight)| {
            let own = weight * age;
            age *= decay;
            (*item, own)
        })
        .collect()
}

struct Blending<'a> {
    cases: &'a [HeldOut],
    lists: &'a [Candidates],
    members: usize,
    histories: &'a Histories<'a>,
    threads: &'a Threads,
}

impl Blending<'_> {
    fn learn(
        &self,
        core: Vec<usize>,
        expired: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<(Ranker, &'static str, f64), TrainError> {
        let rule = self.empty(core);
        // By shape: its best penalty, its quality, and its rules without each fold.
        let mut shapes: Vec<(Shape, f64, f64, Vec<Ranker>)> = Vec::new();
        let trials = (SHAPES.len() * PENALTIES.len() + 1) as f32;
        let mut done = 0.0;
        for shape in SHAPES {
            let mut best: Option<(f64, f64, Vec<Ranker>)> = None;
            for penalty in PENALTIES {
                if best.is_some() && expired() {
                    break;
                }
                let folds = self.folds(&rule, penalty, shape)?;
                let quality = self.quality(&folds);
                if best.as_ref().is_none_or(|(_, known, _)| quality > *known) {
                    best = Some((penalty, quality, folds));
                }
                done += 1.0;
                stop(progress, done / trials)?;
            }
            shapes.extend(best.map(|(penalty, quality, folds)| (shape, penalty, quality, folds)));
        }
        let means: Vec<Ranker> = (0..FOLDS)
            .map(|fold| self.mean(&rule, shapes.iter().filter_map(|(.., folds)| folds.get(fold))))
            .collect();
        let together = self.quality(&means);
        let fitted: Vec<Ranker> = shapes
            .iter()
            .map(|(shape, penalty, ..)| self.fit(&rule, *penalty, *shape, |_| true))
            .collect::<Result<_, _>>()?;
        stop(progress, 1.0)?;
        let alone = shapes.iter().zip(&fitted).max_by(|(a, _), (b, _)| a.2.total_cmp(&b.2));
        Ok(match alone {
            Some(((shape, _, quality, _), ranker)) if *quality > together => {
                (ranker.clone(), shape.name(), *quality)
            }
            _ => (self.mean(&rule, fitted.iter()), "mean", together),
        })
    }

    /// A rule without weights, with the lengths of the histories it will be learnt on.
    fn empty(&self, core: Vec<usize>) -> Ranker {
        let lengths: Vec<f32> = self.cases.iter().map(|case| (self.length(case) as f32).ln_1p()).collect();
        let n = lengths.len().max(1) as f32;
        let centre = lengths.iter().sum::<f32>() / n;
        let variance = lengths.iter().map(|length| (length - centre) * (length - centre)).sum::<f32>() / n;
        Ranker { core, centre, spread: variance.sqrt().max(1e-3), ..Ranker::default() }
    }

    /// The rule whose scores are the mean of theirs.
    fn mean<'r>(&self, rule: &Ranker, rules: impl Iterator<Item = &'r Ranker> + Clone) -> Ranker {
        let n = rules.clone().count().max(1) as f32;
        let mean = |of: fn(&Ranker) -> &Vec<f32>| {
            let mut sums = vec![0f32; self.members];
            for rule in rules.clone() {
                sums.iter_mut().zip(of(rule)).for_each(|(sum, weight)| *sum += weight / n);
            }
            sums
        };
        Ranker {
            weights: mean(|rule| &rule.weights),
            slopes: mean(|rule| &rule.slopes),
            linear: mean(|rule| &rule.linear),
            ..rule.clone()
        }
    }

    fn length(&self, case: &HeldOut) -> usize {
        self.histories.rows.get(case.row).map_or(0, Vec::len)
    }

    /// One rule for each fold, learnt on the others.
    fn folds(&self, rule: &Ranker, penalty: f64, shape: Shape) -> Result<Vec<Ranker>, TrainError> {
        (0..FOLDS).map(|fold| self.fit(rule, penalty, shape, |index| index % FOLDS != fold)).collect()
    }

    /// Mean NDCG@10 over users, each ordered by the rule of their fold.
    fn quality(&self, folds: &[Ranker]) -> f64 {
        let one = |(index, (case, list)): (usize, (&HeldOut, &Candidates))| {
            let ranker = folds.get(index % FOLDS)?;
            let order = ranker.rank(list, self.length(case));
            let order: Vec<u32> = order.into_iter().take(10).map(|(item, _)| item.0).collect();
            Some(ndcg(&order, &case.relevant, 10))
        };
        let sum: f64 = self.cases.iter().zip(self.lists).enumerate().filter_map(one).sum();
        sum / self.cases.len().max(1) as f64
    }

    fn fit(
        &self,
        rule: &Ranker,
        penalty: f64,
        shape: Shape,
        learnt: impl Fn(usize) -> bool,
    ) -> Result<Ranker, TrainError> {
        let width = if shape == Shape::Logarithmic { self.members } else { 2 * self.members };
        let mut lists = Lists::new(width);
        let mut rows = Vec::with_capacity(CANDIDATES * width);
        for (index, (case, list)) in self.cases.iter().zip(self.lists).enumerate() {
            let right: Vec<usize> = (list.items.iter().enumerate())
                .filter(|(_, item)| case.relevant.contains(&item.0))
                .map(|(place, _)| place)
                .collect();
            if !learnt(index) || right.is_empty() {
                continue;
            }
            let length = rule.length(self.length(case)).clamp(-3.0, 3.0);
            rows.clear();
            for shares in list.shares.chunks(self.members.max(1)) {
                rows.extend_from_slice(shares);
                match shape {
                    Shape::Logarithmic => {}
                    Shape::ByLength => rows.extend(shares.iter().map(|share| share * length)),
                    Shape::WithPlain => rows.extend(shares.iter().map(|share| part(*share))),
                }
            }
            lists.push_many(&rows, &right);
        }
        let l2 = penalty * lists.len() as f64;
        let model = Listwise::fit(&lists, l2, self.threads, |_| ControlFlow::Continue(()))
            .ok_or(TrainError::Cancelled)?;
        let mut weights = model.weights().to_vec();
        weights.resize(width, 0.0);
        let others = weights.split_off(self.members);
        let (slopes, linear) = match shape {
            Shape::Logarithmic => (Vec::new(), Vec::new()),
            Shape::ByLength => (others, Vec::new()),
            Shape::WithPlain => (Vec::new(), others),
        };
        Ok(Ranker { weights, slopes, linear, ..rule.clone() })
    }
}

/// What the blend sees of each member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Logarithmic,
    ByLength,
    WithPlain,
}

const SHAPES: [Shape; 3] = [Shape::Logarithmic, Shape::ByLength, Shape::WithPlain];

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Logarithmic => "logarithmic",
            Self::ByLength => "by_length",
            Self::WithPlain => "with_plain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 90 users of three tastes walk through ten items; the next one is held out.
    fn walks() -> Vec<Vec<Interaction>> {
        (0..90u32)
            .map(|user| {
                let day = |step: u32| f64::from(20_000 + user + step);
                let item = |step: u32| user % 3 * 10 + (user / 3 + step) % 10;
                (0..5).map(|step| Interaction { item: item(step), day: day(step), weight: 1.0 }).collect()
            })
            .collect()
    }

    #[test]
    fn the_blend_finds_the_next_step_and_repeats_exactly() {
        let mut rows = walks();
        let held_out = hold_out_last(&mut rows);
        assert_eq!(held_out.len(), 90);
        let histories = Histories { rows: &rows, n_items: 30 };
        let tuned = |n| {
            let threads = Threads::new(n).unwrap();
            tune(&histories, &held_out, &threads, &|| false, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let found = tuned(1);
        assert!(found.ndcg > 0.9, "{}", found.ndcg);
        assert_eq!(found.ranker, tuned(2).ranker);
        let threads = Threads::new(1).unwrap();
        let ensemble = fit(&histories, &found, &threads, |_| ControlFlow::Continue(())).unwrap();
        assert!(ensemble.is_sound());
        let mut hits = 0;
        for case in &held_out {
            let history = newest_first(&rows[case.row]);
            let context = Context { history: &history, last_day: rows[case.row].last().map(|one| one.day) };
            let list =
                ensemble.recommend(&context, 1, |item| history.iter().all(|(known, _)| *known != item));
            hits += usize::from(list.first().is_some_and(|(item, _)| case.relevant.contains(&item.0)));
        }
        assert!(hits > 80, "{hits}");
    }

    #[test]
    fn too_few_users_and_a_stop_are_said() {
        let mut rows = walks();
        rows.truncate(5);
        let held_out = hold_out_last(&mut rows);
        let histories = Histories { rows: &rows, n_items: 30 };
        let threads = Threads::new(1).unwrap();
        let few = tune(&histories, &held_out, &threads, &|| false, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(few, Err(TrainError::NotEnoughData { .. })));
        let mut rows = walks();
        let held_out = hold_out_last(&mut rows);
        let histories = Histories { rows: &rows, n_items: 30 };
        let cut = tune(&histories, &held_out, &threads, &|| true, &mut |_| ControlFlow::Break(()));
        assert!(matches!(cut, Err(TrainError::Cancelled)));
    }
}
