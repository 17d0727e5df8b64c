//! The models behind the members, fitted on histories, and their scores for a context.
//!
//! Memory: 8 bytes · items · weights kept for each pair model; 4 · items · factors for each ALS; 4 · items · seasons.
#![expect(
    clippy::indexing_slicing,
    reason = "dense inner loops; each index is bounded by n_items where it is made"
)]

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::{Follows, ItemId};
use crate::ml::threads::Threads;
use crate::recommend::models::implicit_als::ImplicitAls;
use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::item_set::Universe;
use crate::recommend::models::item_weights::ItemWeights;
use crate::recommend::train::error::TrainError;

use super::context::Context;
use super::histories::Histories;
use super::kinds::column::KindColumn;
use super::member::{BaseModel, PairModel, SideFeature};
use super::pairs::{PairColumn, Regressions, add_pairs, fit_similarity, sequence};
use super::parameters::{EnsembleParameters, als_work};
use super::seasons::Seasons;

/// Of the sum that chooses candidates.
const PRIOR: f32 = 1e-6;

/// One pair model's weights.
pub type Pairs = (PairModel, ItemWeights);

/// Models fitted on the way to a choice, by their place in the parameters; those left out are empty.
#[derive(Clone, Debug, Default)]
pub struct FittedMembers {
    /// Item-to-item similarity; `None` = to be fitted.
    pub similarity: Option<ItemWeights>,
    /// EASE^R.
    pub ease: Vec<ItemWeights>,
    /// Implicit ALS.
    pub als: Vec<ImplicitAls>,
}

/// The fitted models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Models {
    n_items: usize,
    members: Vec<BaseModel>,
    pairs: Vec<Pairs>,
    als: Vec<ImplicitAls>,
    popularity: Vec<f32>,
    trends: Vec<(f32, Vec<f32>)>,
    seasons: Vec<Seasons>,
    /// Largest popularity, at least 1.
    #[serde(skip)]
    most: Follows<f32>,
}

impl Models {
    /// Fits all that are affordable. `progress` hears 0…1 and may break ([`TrainError::Cancelled`]).
    pub fn fit(
        histories: &Histories<'_>,
        parameters: &EnsembleParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let matrix = histories.matrix();
        let parameters = &parameters.clone().sized(&matrix);
        let parts = (parameters.ridges.len() + parameters.als.len() + 2) as f32;
        let mut done = 0.0;
        let mut fitted = FittedMembers::default();
        let mut regressions = Regressions::new(&matrix, parameters, threads);
        let affordable = parameters.affords_ridges(&matrix);
        for (index, ridge) in (0u8..).zip(&parameters.ridges) {
            let wanted = parameters.wants(|member| member.model() == Some(PairModel::Ease(index)));
            fitted.ease.push(match wanted && affordable {
                true => regressions.fit(*ridge, |part| progress((done + part) / parts))?,
                false => ItemWeights::default(),
            });
            done += 1.0;
        }
        drop(regressions);
        for (index, one) in (0u8..).zip(&parameters.als) {
            let wanted = parameters.wants(|member| *member == BaseModel::Als(index));
            fitted.als.push(match wanted && als_work(one, &matrix) <= parameters.max_work {
                true => ImplicitAls::fit(&matrix, one, threads, |part| progress((done + part) / parts))?,
                false => ImplicitAls::default(),
            });
            done += 1.0;
        }
        Self::with(histories, &matrix, parameters, fitted, threads, |part| {
            progress((done + 2.0 * part) / parts)
        })
    }

    /// Without histories: only what callers bring along.
    pub fn beside_only() -> Self {
        Self { members: SideFeature::ALL.map(BaseModel::SideFeature).to_vec(), ..Self::default() }
    }

    /// With columns of the kinds of behaviour, after all others.
    pub fn with_kinds(mut self, columns: &[KindColumn]) -> Self {
        self.members.extend(columns.iter().copied().map(BaseModel::Kind));
        self
    }

    /// As [`Models::fit`], from models that were fitted already.
    pub fn with(
        histories: &Histories<'_>,
        matrix: &Matrix,
        parameters: &EnsembleParameters,
        fitted: FittedMembers,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let wants = |model: PairModel| parameters.wants(|member| member.model() == Some(model));
        let FittedMembers { similarity, ease, als } = fitted;
        let mut pairs = Vec::new();
        if wants(PairModel::ItemKnn) {
            let fit = || fit_similarity(matrix, parameters, threads, |part| progress(0.5 * part));
            pairs.push((PairModel::ItemKnn, similarity.map_or_else(fit, Ok)?));
        }
        // One that was left out has no row, not even an empty one.
        let there = |(model, weights): &(PairModel, ItemWeights)| wants(*model) && weights.n_items() > 0;
        pairs.extend((0u8..).map(PairModel::Ease).zip(ease).filter(there));
        // A server's events have times.
        let ordered = parameters.beside || histories.are_ordered();
        for steps in [1u8, 10] {
            let model = PairModel::Sequence(steps);
            if ordered && wants(model) {
                pairs.push((model, sequence(histories, steps, parameters.kept)));
            }
            if progress(if steps == 1 { 0.7 } else { 0.9 }).is_break() {
                return Err(TrainError::Cancelled);
            }
        }
        let mut popularity = vec![0f32; histories.n_items];
        for one in histories.rows.iter().flatten() {
            popularity[one.item as usize] += 1.0;
        }
        let mut models = Self {
            n_items: histories.n_items,
            members: Vec::new(),
            pairs,
            als,
            popularity,
            trends: (parameters.trends.iter())
                .filter(|days| ordered && parameters.wants(|member| *member == BaseModel::Trend(**days)))
                .map(|days| (*days, trend(histories, *days)))
                .collect(),
            seasons: (parameters.seasons.iter())
                .filter(|days| ordered && parameters.wants(|member| *member == BaseModel::Season(**days)))
                .filter_map(|days| Seasons::new(histories, *days))
                .collect(),
            most: Follows::default(),
        };
        models.members = models.list(parameters, ordered);
        if progress(1.0).is_break() { Err(TrainError::Cancelled) } else { Ok(models) }
    }

    fn list(&self, parameters: &EnsembleParameters, ordered: bool) -> Vec<BaseModel> {
        // Without an order no item of a history is older than another.
        let decays: &[f32] = if ordered { &parameters.decays } else { &[1.0] };
        let mut members = Vec::new();
        for (model, _) in &self.pairs {
            // What follows what matters for the newest few items only.
            let few = matches!(model, PairModel::Sequence(_));
            let decays = decays.iter().enumerate().filter(|(index, _)| !few || index % 2 == 0 || *index == 1);
            members.extend(decays.map(|(_, decay)| BaseModel::Pair { model: *model, decay: *decay }));
        }
        let als = (0u8..).zip(&self.als).filter(|(_, als)| als.is_fitted());
        members.extend(als.map(|(index, _)| BaseModel::Als(index)));
        if !parameters.beside {
            members.push(BaseModel::Popularity);
        }
        members.extend(self.trends.iter().map(|(days, _)| BaseModel::Trend(*days)));
        members.extend(self.seasons.iter().map(|season| BaseModel::Season(season.half_life)));
        if parameters.beside {
            members.extend(SideFeature::ALL.map(BaseModel::SideFeature));
        }
        members.retain(|member| parameters.wants(|wanted| wanted == member));
        members
    }

    /// With these members only, by their places, rising; what no member reads any more goes.
    pub fn restricted(mut self, to: &[usize]) -> Self {
        let members: Vec<BaseModel> =
            to.iter().filter_map(|index| self.members.get(*index).copied()).collect();
        self.pairs.retain(|(model, _)| members.iter().any(|member| member.model() == Some(*model)));
        for (index, als) in (0u8..).zip(&mut self.als) {
            if !members.contains(&BaseModel::Als(index)) {
                *als = ImplicitAls::default();
            }
        }
        self.trends.retain(|(days, _)| members.contains(&BaseModel::Trend(*days)));
        self.seasons.retain(|season| members.contains(&BaseModel::Season(season.half_life)));
        Self { members, ..self }
    }

    /// One column of scores each, in this order.
    pub fn members(&self) -> &[BaseModel] {
        &self.members
    }

    /// One more than the largest item known.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Popularity, scaled to be outweighed by anything that a core member says: so that every item ever touched has a place.
    pub fn prior(&self, universe: &Universe) -> Vec<f32> {
        let most = *self.most.get(|| self.popularity.iter().copied().fold(1.0, f32::max));
        let mut prior = vec![0f32; universe.width()];
        universe.gather(&mut prior, &self.popularity);
        prior.iter_mut().for_each(|count| *count = PRIOR * *count / most);
        prior
    }

    /// Width of a column for a context: that of its universe, else of the models, or the wider one asked for.
    pub fn width(&self, context: &Context<'_>) -> usize {
        context.universe.map_or_else(|| self.n_items.max(context.width), Universe::width)
    }

    /// Scores of every member for every item of the universe: `members · width`, member after member, of any sign, 0 = nothing. Those
    /// that only begun items have a value of, the last ones, are left out. O(history · weights kept + members · width).
    pub fn scores(&self, context: &Context<'_>) -> Vec<f32> {
        let n = self.width(context);
        let all = Universe::All(n);
        let universe = context.universe.unwrap_or(&all);
        let of_all = self.members.iter().filter(|member| !member.is_of_begun()).count();
        let mut scores = vec![0f32; n * of_all];
        let mut from = 0;
        for (model, weights) in &self.pairs {
            let decays: Vec<f32> = self.members[from..]
                .iter()
                .map_while(|member| match member {
                    BaseModel::Pair { model: other, decay } if other == model => Some(*decay),
                    _ => None,
                })
                .collect();
            let columns = &mut scores[from * n..(from + decays.len()) * n];
            add_pairs(weights, &decays, context.history, universe, columns);
            from += decays.len();
        }
        let mut beside = context.beside.chunks(n.max(1));
        for (column, member) in scores.chunks_mut(n.max(1)).zip(&self.members).skip(from) {
            match member {
                BaseModel::Pair { .. } => {}
                BaseModel::Als(index) => {
                    if let Some(als) = self.als.get(usize::from(*index))
                        && !context.history.is_empty()
                    {
                        als.add_scores_of(context.history, universe.items(), column);
                    }
                }
                BaseModel::SideFeature(_) | BaseModel::Kind(_) => {
                    if let Some(brought) = beside.next() {
                        column.iter_mut().zip(brought).for_each(|(slot, value)| *slot = *value);
                    }
                }
                _ => universe.gather(column, self.fixed(*member, context.last_day).unwrap_or_default()),
            }
        }
        scores
    }

    /// Scores by item of a member that says the same of an item to everybody who was last here on the same day; `None` for other members.
    pub fn fixed(&self, member: BaseModel, last_day: Option<f64>) -> Option<&[f32]> {
        match member {
            BaseModel::Popularity => Some(&self.popularity),
            BaseModel::Trend(days) => {
                let (_, trend) = self.trends.iter().find(|(other, _)| *other == days)?;
                Some(trend)
            }
            BaseModel::Season(days) => {
                let season = self.seasons.iter().find(|season| season.half_life == days);
                Some(season.zip(last_day).map_or(&[][..], |(season, day)| season.at(day, self.n_items)))
            }
            _ => None,
        }
    }

    /// The column of a member over pairs.
    pub fn pair_column<'a>(
        &'a self,
        model: PairModel,
        decay: f32,
        history: &'a [(ItemId, f32)],
    ) -> Option<PairColumn<'a>> {
        let weights = self.weights(model)?;
        Some(PairColumn { weights, decay, history: Cow::Borrowed(history) })
    }

    /// The weights of a pair model.
    pub(super) fn weights(&self, model: PairModel) -> Option<&ItemWeights> {
        self.pairs.iter().find(|(other, _)| *other == model).map(|(_, weights)| weights)
    }

    /// The n-th implicit ALS.
    pub fn als(&self, index: u8) -> Option<&ImplicitAls> {
        self.als.get(usize::from(index))
    }

    /// Returns whether widths fit and every number is one.
    pub fn is_sound(&self) -> bool {
        let n = self.n_items;
        let column = |values: &[f32]| values.len() == n && values.iter().all(|value| value.is_finite());
        self.pairs.iter().all(|(_, weights)| weights.is_sound_below(n))
            && self.als.iter().all(|als| als.is_sound() && als.n_items() <= n)
            && column(&self.popularity)
            && self.trends.iter().all(|(_, trend)| column(trend))
            && self.seasons.iter().all(|season| season.is_sound(n))
    }
}

fn trend(histories: &Histories<'_>, half_life: f32) -> Vec<f32> {
    let newest = histories.newest();
    let mut trend = vec![0f32; histories.n_items];
    for one in histories.rows.iter().flatten() {
        trend[one.item as usize] += (-(newest - one.day) / f64::from(half_life.max(0.01))).exp2() as f32;
    }
    trend
}
