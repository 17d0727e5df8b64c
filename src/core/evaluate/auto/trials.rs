//! Trials of hyper-parameters, and of the members good enough alone to choose candidates: each tried on held-out users.

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::ItemId;
use crate::evaluate::ranking::{ndcg, top};
use crate::ml::threads::Threads;
use crate::recommend::ensemble::{
    BaseModel, EnsembleParameters, Histories, LEAST_WEIGHT, Models, Regressions, als_work, fit_similarity,
    similarity_work,
};
use crate::recommend::models::implicit_als::{AlsParameters, ImplicitAls};
use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::item_weights::ItemWeights;
use crate::recommend::models::ridge::RidgeParameters;
use crate::recommend::train::TrainError;

use super::blend::mean;
use super::budget::Budget;
use super::held_out::HeldOut;
use super::known::{Known, Source};
use super::search::{Found, Search};

/// Members that choose candidates.
const CORE: usize = 8;
/// Users on whom members are ranked, at least, if there are as many.
const FEWEST_TO_RANK: usize = 300;
/// Nearest items while penalties are tried, where each item is regressed on its nearest.
const NEAR_IN_TRIALS: usize = 128;
/// Steps of the penalty of EASE^R: coarse ones, then fine ones.
const COARSE: f32 = 5.0;
const FINE: f32 = 2.2;
/// Bounds of factors.
const FACTORS: std::ops::RangeInclusive<usize> = 16..=1_024;
/// Implicit ALS below this share of the best pair model is not refined: more factors cost the most and would change little.
const WEAK: f64 = 0.5;
/// Share by which twice the factors, at up to four times the work, must be better for twice as many again to be tried.
const DOUBLED: f64 = 0.1;
/// Confidence of implicit ALS above which none is tried.
const MOST_ALPHA: f32 = 256.0;
/// Shrinkages of item-to-item similarity.
const SHRINKAGES: [f32; 4] = [0.0, 5.0, 20.0, 100.0];
/// Decays pair models are tried with; their best counts.
const DECAYS: [f32; 3] = [0.5, 0.95, 1.0];

/// Hears 0…1 and may break.
pub(super) type Progress<'a> = dyn FnMut(f32) -> ControlFlow<()> + 'a;

pub(super) struct Trials<'a> {
    pub(super) histories: &'a Histories<'a>,
    pub(super) source: &'a dyn Source,
    /// Cases, with what is known of their users without columns.
    pub(super) cases: Vec<(&'a HeldOut, Known<'a>)>,
    pub(super) budget: &'a Budget,
    pub(super) threads: &'a Threads,
    /// Hears what was found.
    pub(super) tell: &'a dyn Fn(&str),
}

impl Trials<'_> {
    /// Mean NDCG@10 of scores made from a history.
    fn measure(&self, score: impl Fn(&[(ItemId, f32)], &mut [f32]) + Sync) -> f64 {
        // Without `tell`, which threads can't share.
        let (n_items, cases) = (self.histories.n_items, &self.cases);
        let one = |scores: &mut Vec<f32>, (case, known): &(&HeldOut, Known<'_>)| {
            scores.clear();
            scores.resize(n_items, 0.0);
            score(&known.history, scores);
            quality(scores, known, case)
        };
        let values: Vec<f64> = self.threads.run(|| cases.par_iter().map_init(Vec::new, one).collect());
        mean(&values)
    }

    /// Multiplications that a search may take whose first trial costs `first`.
    fn work(&self, of_all: f64, first: f64) -> f64 {
        of_all + if self.budget.first_is_free { first } else { 0.0 }
    }

    /// Of a pair model with its best decay.
    fn measure_pairs(&self, weights: &ItemWeights) -> f64 {
        match self.histories.are_ordered() {
            true => self.measure_faded(weights, DECAYS),
            false => self.measure_faded(weights, [1.0]),
        }
    }

    /// The best mean NDCG@10 of these decays.
    fn measure_faded<const D: usize>(&self, weights: &ItemWeights, decays: [f32; D]) -> f64 {
        let (n_items, cases) = (self.histories.n_items, &self.cases);
        let init = || (vec![[0f32; D]; n_items], vec![0f32; n_items]);
        type Room<const D: usize> = (Vec<[f32; D]>, Vec<f32>);
        let one = |(all, column): &mut Room<D>, (case, known): &(&HeldOut, Known<'_>)| -> [f64; D] {
            all.fill([0.0; D]);
            weights.add_faded(&known.history, decays, LEAST_WEIGHT, all);
            std::array::from_fn(|place| {
                let scores = all.iter().filter_map(|scores| scores.get(place));
                column.iter_mut().zip(scores).for_each(|(slot, score)| *slot = *score);
                quality(column, known, case)
            })
        };
        let values: Vec<[f64; D]> = self.threads.run(|| cases.par_iter().map_init(init, one).collect());
        let of = |place: usize| {
            mean(&values.iter().filter_map(|values| values.get(place).copied()).collect::<Vec<_>>())
        };
        (0..D).map(of).fold(0.0, f64::max)
    }

    /// The best penalties of EASE^R from the first given one on: λ over decades, then the scaling of users and of items.
    pub(super) fn choose_ridges(
        &self,
        matrix: &Matrix,
        parameters: &EnsembleParameters,
        progress: &mut Progress<'_>,
    ) -> Result<Found<RidgeParameters, ItemWeights>, TrainError> {
        let Some(first) = parameters.ridges.first().copied() else { return Ok(Found::default()) };
        let near = parameters.ridge_neighbours.min(NEAR_IN_TRIALS);
        let in_trials = EnsembleParameters { ridge_neighbours: near, ..parameters.clone() };
        let mut regressions = Regressions::new(matrix, &in_trials, self.threads);
        let cost = in_trials.ridge_work(matrix);
        let attempt = |ridge: RidgeParameters, done: f32| {
            let weights = match regressions.fit(ridge, |_| progress(done)) {
                Ok(weights) => weights,
                // A penalty too small for these weights: the others will do.
                Err(TrainError::Parameter(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            let quality = self.measure_pairs(&weights);
            let RidgeParameters { lambda, user_scaling, item_scaling } = ridge;
            (self.tell)(&format!("ease λ {lambda:.1}, scaling {user_scaling} {item_scaling}: {quality:.4}"));
            Ok(Some((quality, weights)))
        };
        let mut search = Search::new(
            (self.budget.staying, self.budget.trials),
            self.work(self.budget.work, cost),
            |_| cost,
            attempt,
        );
        let times = |factor: f32| {
            move |ridge: RidgeParameters| Some(RidgeParameters { lambda: ridge.lambda * factor, ..ridge })
        };
        let raise = |value: f32| (value < 1.0).then_some(value + 0.5);
        search.attempt(first)?;
        search.climb_either(times(COARSE), times(1.0 / COARSE))?;
        search.climb(|ridge| Some(RidgeParameters { user_scaling: raise(ridge.user_scaling)?, ..ridge }))?;
        search.climb(|ridge| Some(RidgeParameters { item_scaling: raise(ridge.item_scaling)?, ..ridge }))?;
        search.climb_either(times(FINE), times(1.0 / FINE))?;
        let mut found = search.finish();
        if matrix.n_items() > parameters.max_ease_items && near < parameters.ridge_neighbours {
            // Dear, and the second best says much the same.
            found.parameters.truncate(1);
            let mut regressions = Regressions::new(matrix, parameters, self.threads);
            let fitted = found.parameters.iter().map(|ridge| regressions.fit(*ridge, |_| progress(0.9)));
            found.models = fitted.collect::<Result<_, _>>()?;
        }
        Ok(found)
    }

    /// The best parameters of implicit ALS from the given ones on: confidence, penalty, its growth with frequency, factors (as
    /// Rendle et al. 2022). None takes more work than `most`. `rival`: NDCG@10 of the best pair model.
    pub(super) fn choose_als(
        &self,
        matrix: &Matrix,
        from: &[AlsParameters],
        (most, rival): (f64, f64),
        progress: &mut Progress<'_>,
    ) -> Result<Found<AlsParameters, ImplicitAls>, TrainError> {
        let Some(first) = from.first() else { return Ok(Found::default()) };
        let attempt = |parameters: AlsParameters, done: f32| {
            let als = ImplicitAls::fit(matrix, &parameters, self.threads, |_| progress(done))?;
            let quality = self.measure(|history, scores| als.add_scores(history, scores));
            let AlsParameters { factors, regularisation, alpha, frequency_scaling, .. } = parameters;
            (self.tell)(&format!(
                "ials {factors} factors, λ {regularisation}, α {alpha}, frequency {frequency_scaling}: {quality:.4}"
            ));
            Ok(Some((quality, als)))
        };
        let cost = |parameters| Some(als_work(&parameters, matrix)).filter(|cost| *cost <= most);
        let cost = |parameters| cost(parameters).unwrap_or(f64::INFINITY);
        let work = self.work(self.budget.als_work, cost(*first));
        let mut search = Search::new((self.budget.staying, self.budget.trials), work, cost, attempt);
        for parameters in from {
            search.attempt(*parameters)?;
        }
        let penalty = |factor: f32| {
            move |als: AlsParameters| {
                Some(AlsParameters { regularisation: als.regularisation * factor, ..als })
            }
        };
        search.climb(|als| {
            (als.alpha < MOST_ALPHA).then_some(AlsParameters { alpha: 4.0 * als.alpha, ..als })
        })?;
        search.climb_either(penalty(4.0), penalty(0.25))?;
        let raise = |value: f32| (value < 1.0).then_some(value + 0.5);
        search
            .climb(|als| Some(AlsParameters { frequency_scaling: raise(als.frequency_scaling)?, ..als }))?;
        if search.best() >= WEAK * rival {
            let factors = |als: AlsParameters, factors: usize| {
                FACTORS.contains(&factors).then_some(AlsParameters { factors, ..als })
            };
            if !search.climb_while(DOUBLED, |als| factors(als, als.factors * 2))? {
                search.climb(|als| factors(als, als.factors / 2))?;
            }
        }
        search.climb_either(penalty(2.0), penalty(0.5))?;
        Ok(search.finish())
    }

    /// The best shrinkage of item-to-item similarity, from the given one on.
    pub(super) fn choose_shrinkage(
        &self,
        matrix: &Matrix,
        parameters: &EnsembleParameters,
        progress: &mut Progress<'_>,
    ) -> Result<Found<f32, ItemWeights>, TrainError> {
        let attempt = |shrinkage: f32, done: f32| {
            let parameters = EnsembleParameters { shrinkage, ..parameters.clone() };
            let weights = fit_similarity(matrix, &parameters, self.threads, |_| progress(done))?;
            let quality = self.measure_pairs(&weights);
            (self.tell)(&format!("item_knn shrinkage {shrinkage}: {quality:.4}"));
            Ok(Some((quality, weights)))
        };
        let cost = similarity_work(matrix);
        let mut search =
            Search::new((1, self.budget.trials), self.work(self.budget.work, cost), |_| cost, attempt);
        search.attempt(parameters.shrinkage)?;
        let more = |from: f32| SHRINKAGES.into_iter().find(|other| *other > from);
        let less = |from: f32| SHRINKAGES.into_iter().rev().find(|other| *other < from);
        search.climb_either(more, less)?;
        Ok(search.finish())
    }

    /// The members that do best alone, the best first, and `always` behind them.
    pub(super) fn core(&self, models: &Models, always: &[BaseModel]) -> Vec<usize> {
        let (source, cases) = (self.source, &self.cases);
        let one = |(case, brief): &(&HeldOut, Known<'_>)| -> Vec<f64> {
            let known = source.known(case, true);
            let scores = models.scores(&known.context());
            let width = models.width(&known.context()).max(1);
            scores.chunks(width).map(|column| quality(column, brief, case)).collect()
        };
        // Every second user tells which members are the best ones, where there are many.
        let step = (cases.len() / FEWEST_TO_RANK).clamp(1, 2);
        let values: Vec<Vec<f64>> = self.threads.run(|| cases.par_iter().step_by(step).map(one).collect());
        let mut sums: Vec<(f64, usize)> = (0..models.members().len()).map(|index| (0.0, index)).collect();
        for values in &values {
            sums.iter_mut().zip(values).for_each(|((sum, _), value)| *sum += value);
        }
        for (member, (sum, _)) in models.members().iter().zip(&sums) {
            (self.tell)(&format!("{member} alone: {:.4}", sum / values.len().max(1) as f64));
        }
        sums.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let can = |index: &usize| models.members().get(*index).is_some_and(|one| !one.is_of_begun());
        let best = sums.into_iter().filter(|(_, index)| can(index)).take(CORE);
        let mut core: Vec<usize> = best.map(|(_, index)| index).collect();
        for (index, member) in models.members().iter().enumerate() {
            if always.contains(member) && !core.contains(&index) {
                core.push(index);
            }
        }
        core
    }
}

/// NDCG@10 of a column of scores.
pub(super) fn quality(scores: &[f32], known: &Known<'_>, case: &HeldOut) -> f64 {
    let list = top(scores, 10, |item| known.allows(ItemId(item)));
    let list: Vec<u32> = list.into_iter().map(|(item, _)| item).collect();
    ndcg(&list, &case.relevant, 10)
}
