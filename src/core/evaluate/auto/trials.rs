//! Trials of hyper-parameters, and of the members good enough alone to choose candidates: each tried on held-out users.

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::ItemId;
use crate::evaluate::ranking::{ndcg, top};
use crate::ml::threads::Threads;
use crate::recommend::ensemble::{BaseModel, EnsembleParameters, Histories, Models, Regressions, als_work};
use crate::recommend::models::implicit_als::{AlsParameters, ImplicitAls};
use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::item_knn::{ItemKnn, KnnParameters};
use crate::recommend::models::item_weights::ItemWeights;
use crate::recommend::models::ridge::RidgeParameters;
use crate::recommend::train::TrainError;

use super::budget::Budget;
use super::held_out::HeldOut;
use super::known::{Known, Source};
use super::search::Search;

/// Members that choose candidates.
const CORE: usize = 8;
/// Nearest items while penalties are tried, where each item is regressed on its nearest.
const NEAR_IN_TRIALS: usize = 128;
/// First penalty of EASE^R where none is given, and the steps from it: coarse ones, then fine ones.
const LAMBDA: f32 = 100.0;
const COARSE: f32 = 5.0;
const FINE: f32 = 2.2;
/// Bounds of factors.
const FACTORS: std::ops::RangeInclusive<usize> = 16..=128;
/// Decays pair models are tried with; their best counts.
const DECAYS: [f32; 3] = [1.0, 0.95, 0.5];

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
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }

    /// Multiplications that a search may take whose first trial costs `first`.
    fn work(&self, first: f64) -> f64 {
        self.budget.work + if self.budget.first_is_free { first } else { 0.0 }
    }

    /// Of a pair model with its best decay.
    fn measure_pairs(&self, weights: &ItemWeights) -> f64 {
        let decays = if self.histories.are_ordered() { &DECAYS[..] } else { &[1.0] };
        let of =
            |decay: &f32| self.measure(|history, scores| weights.add_scores(&faded(history, *decay), scores));
        decays.iter().map(of).fold(0.0, f64::max)
    }

    /// The best penalties of EASE^R from the first given one on: λ over decades, then the scaling of users and of items.
    pub(super) fn choose_ridges(
        &self,
        matrix: &Matrix,
        parameters: &EnsembleParameters,
        progress: &mut Progress<'_>,
    ) -> Result<(Vec<RidgeParameters>, Vec<ItemWeights>), TrainError> {
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
        let mut search =
            Search::new((self.budget.staying, self.budget.trials), self.work(cost), |_| cost, attempt);
        let times = |factor: f32| {
            move |ridge: RidgeParameters| Some(RidgeParameters { lambda: ridge.lambda * factor, ..ridge })
        };
        let raise = |value: f32| (value < 1.0).then_some(value + 0.5);
        let first = parameters.ridges.first().copied();
        search.attempt(first.unwrap_or(RidgeParameters::plain(LAMBDA)))?;
        search.climb_either(times(COARSE), times(1.0 / COARSE))?;
        search.climb(|ridge| Some(RidgeParameters { user_scaling: raise(ridge.user_scaling)?, ..ridge }))?;
        search.climb(|ridge| Some(RidgeParameters { item_scaling: raise(ridge.item_scaling)?, ..ridge }))?;
        search.climb_either(times(FINE), times(1.0 / FINE))?;
        let (mut ridges, mut weights) = search.finish();
        if matrix.n_items() > parameters.max_ease_items && near < parameters.ridge_neighbours {
            // Dear, and the second best says much the same.
            ridges.truncate(1);
            let mut regressions = Regressions::new(matrix, parameters, self.threads);
            let fitted = ridges.iter().map(|ridge| regressions.fit(*ridge, |_| progress(0.9)));
            weights = fitted.collect::<Result<_, _>>()?;
        }
        Ok((ridges, weights))
    }

    /// The best parameters of implicit ALS from the given ones on: confidence, penalty, its growth with frequency, factors (as Rendle et al. 2022).
    pub(super) fn choose_als(
        &self,
        matrix: &Matrix,
        from: &[AlsParameters],
        progress: &mut Progress<'_>,
    ) -> Result<(Vec<AlsParameters>, Vec<ImplicitAls>), TrainError> {
        let Some(first) = from.first() else { return Ok((Vec::new(), Vec::new())) };
        let attempt = |parameters: AlsParameters, done: f32| {
            let als = ImplicitAls::fit(matrix, &parameters, self.threads, |_| progress(done))?;
            let quality = self.measure(|history, scores| als.add_scores(history, scores));
            let AlsParameters { factors, regularisation, alpha, frequency_scaling, .. } = parameters;
            (self.tell)(&format!(
                "ials {factors} factors, λ {regularisation}, α {alpha}, frequency {frequency_scaling}: {quality:.4}"
            ));
            Ok(Some((quality, als)))
        };
        let cost = |parameters| als_work(&parameters, matrix);
        let mut search =
            Search::new((self.budget.staying, self.budget.trials), self.work(cost(*first)), cost, attempt);
        for parameters in from {
            search.attempt(*parameters)?;
        }
        let penalty = |factor: f32| {
            move |als: AlsParameters| {
                Some(AlsParameters { regularisation: als.regularisation * factor, ..als })
            }
        };
        search.climb_either(penalty(4.0), penalty(0.25))?;
        let raise = |value: f32| (value < 1.0).then_some(value + 0.5);
        search
            .climb(|als| Some(AlsParameters { frequency_scaling: raise(als.frequency_scaling)?, ..als }))?;
        let factors = |als: AlsParameters, factors: usize| {
            FACTORS.contains(&factors).then_some(AlsParameters { factors, ..als })
        };
        search.climb_either(|als| factors(als, als.factors * 2), |als| factors(als, als.factors / 2))?;
        search.climb_either(penalty(2.0), penalty(0.5))?;
        Ok(search.finish())
    }

    /// The best shrinkage of item-to-item similarity; the given one where none is to be tried.
    pub(super) fn choose_shrinkage(
        &self,
        matrix: &Matrix,
        parameters: &EnsembleParameters,
        progress: &mut Progress<'_>,
    ) -> Result<f32, TrainError> {
        let neighbours = parameters.neighbours;
        let mut best = (f64::NEG_INFINITY, parameters.shrinkage);
        for shrinkage in self.budget.shrinkages.iter().copied() {
            let knn = KnnParameters { neighbours, shrinkage };
            let knn = ItemKnn::fit(matrix, &knn, self.threads, |_| progress(0.5));
            let knn = knn.ok_or(TrainError::Cancelled)?;
            let decays = if self.histories.are_ordered() { &DECAYS[..] } else { &[1.0] };
            let of = |decay: &f32| {
                self.measure(|history, scores| knn.add_scores(&faded(history, *decay), usize::MAX, scores))
            };
            let quality = decays.iter().map(of).fold(0.0, f64::max);
            (self.tell)(&format!("item_knn shrinkage {shrinkage}: {quality:.4}"));
            if quality <= best.0 {
                break;
            }
            best = (quality, shrinkage);
        }
        Ok(best.1)
    }

    /// The members that do best alone, the best first, and `always` behind them.
    pub(super) fn core(&self, models: &Models, always: Option<BaseModel>) -> Vec<usize> {
        let (source, cases) = (self.source, &self.cases);
        let one = |(case, brief): &(&HeldOut, Known<'_>)| -> Vec<f64> {
            let known = source.known(case, true);
            let scores = models.scores(&known.context());
            let width = models.width(&known.context()).max(1);
            scores.chunks(width).map(|column| quality(column, brief, case)).collect()
        };
        let values: Vec<Vec<f64>> = self.threads.run(|| cases.par_iter().map(one).collect());
        let mut sums: Vec<(f64, usize)> = (0..models.members().len()).map(|index| (0.0, index)).collect();
        for values in &values {
            sums.iter_mut().zip(values).for_each(|((sum, _), value)| *sum += value);
        }
        for (member, (sum, _)) in models.members().iter().zip(&sums) {
            (self.tell)(&format!("{member} alone: {:.4}", sum / self.cases.len().max(1) as f64));
        }
        sums.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let can = |index: &usize| models.members().get(*index).is_some_and(|one| !one.is_of_begun());
        let best = sums.into_iter().filter(|(_, index)| can(index)).take(CORE);
        let mut core: Vec<usize> = best.map(|(_, index)| index).collect();
        let always = models.members().iter().position(|member| Some(*member) == always);
        core.extend(always.filter(|index| !core.contains(index)));
        core
    }
}

/// NDCG@10 of a column of scores.
pub(super) fn quality(scores: &[f32], known: &Known<'_>, case: &HeldOut) -> f64 {
    let list = top(scores, 10, |item| known.allows(ItemId(item)));
    let list: Vec<u32> = list.into_iter().map(|(item, _)| item).collect();
    ndcg(&list, &case.relevant, 10)
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
