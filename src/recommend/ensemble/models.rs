//! The models behind the members, fitted on histories, and their scores for a context.
//!
//! Memory: 8 bytes · items · weights kept for each pair model; 4 · items · factors for each ALS; 4 · items · seasons.
#![expect(
    clippy::indexing_slicing,
    reason = "dense inner loops; each index is bounded by n_items where it is made"
)]

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::recommend::ease::{Ease, EaseParameters};
use crate::recommend::implicit_als::{AlsParameters, ImplicitAls};
use crate::recommend::interactions::{Entry, Matrix};
use crate::recommend::item_knn::{ItemKnn, KnnParameters};
use crate::recommend::item_weights::{ItemWeights, keep_largest};
use crate::recommend::threads::Threads;
use crate::recommend::train::TrainError;

use super::Context;
use super::member::{Member, PairModel};

/// Weight of an old item of a history below which it is not looked at.
const LEAST_WEIGHT: f32 = 1e-3;
/// Pairs of a history that are counted at most, newest first.
const MOST_PAIRS: usize = 60_000_000;
/// Bytes of the table of seasons.
const SEASON_BYTES: usize = 16 << 20;
/// Fewer seasons than this say nothing.
const FEWEST_SEASONS: usize = 30;
/// Newest items of one history that count in similarities.
const HISTORY_CAP: usize = 1_000;

/// One item of a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interaction {
    /// Which, below `n_items`.
    pub item: u32,
    /// When, in days since 1970.
    pub day: f64,
    /// Interest, > 0.
    pub weight: f32,
}

/// Histories, each oldest first, no item twice.
#[derive(Clone, Copy, Debug)]
pub struct Histories<'a> {
    /// By user.
    pub rows: &'a [Vec<Interaction>],
    /// One more than the largest item.
    pub n_items: usize,
}

impl Histories<'_> {
    /// The interaction matrix.
    pub fn matrix(&self) -> Matrix {
        let newest = self.newest();
        let entry = |one: &Interaction| Entry {
            item: one.item,
            weight: one.weight,
            age_days: (newest - one.day) as f32,
            bought: true,
        };
        Matrix::from_entries(
            self.rows.iter().map(|row| row.iter().rev().take(HISTORY_CAP).map(entry).collect()),
            self.n_items,
        )
    }

    fn newest(&self) -> f64 {
        self.rows.iter().flatten().map(|one| one.day).fold(0.0, f64::max)
    }
}

/// What is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsembleParameters {
    /// Neighbours an item in item-to-item similarity.
    pub neighbours: usize,
    /// Penalties of EASE^R.
    pub lambdas: Vec<f32>,
    /// EASE^R learns the most popular items up to this many; n² memory, n³ time.
    pub max_ease_items: usize,
    /// Weights kept for each item of EASE^R and of the sequences.
    pub kept: usize,
    /// Implicit ALS.
    pub als: Vec<AlsParameters>,
    /// Decays of a history's older items.
    pub decays: Vec<f32>,
    /// Half-lives of trends, days.
    pub trends: Vec<f32>,
    /// Half-lives of seasons, days.
    pub seasons: Vec<f32>,
}

impl Default for EnsembleParameters {
    fn default() -> Self {
        Self {
            neighbours: 500,
            lambdas: vec![100.0, 500.0],
            max_ease_items: 6_000,
            kept: 600,
            als: vec![AlsParameters {
                factors: 64,
                regularisation: 10.0,
                alpha: 4.0,
                ..AlsParameters::default()
            }],
            decays: vec![0.5, 0.8, 0.95, 0.98, 1.0],
            trends: vec![3.0, 14.0, 60.0],
            seasons: vec![3.0, 14.0],
        }
    }
}

/// One pair model's weights.
pub type Pairs = (PairModel, ItemWeights);

/// The fitted models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Models {
    n_items: usize,
    members: Vec<Member>,
    pairs: Vec<Pairs>,
    als: Vec<ImplicitAls>,
    popularity: Vec<f32>,
    trends: Vec<(f32, Vec<f32>)>,
    seasons: Vec<Seasons>,
}

/// Popularity as of the end of each span of days, faded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seasons {
    half_life: f32,
    first_day: f64,
    days: f64,
    /// Span after span, an item each.
    faded: Vec<f32>,
}

impl Models {
    /// Fits all of them. `progress` hears 0…1 and may break ([`TrainError::Cancelled`]).
    pub fn fit(
        histories: &Histories<'_>,
        parameters: &EnsembleParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let matrix = histories.matrix();
        let parts = (parameters.lambdas.len() + parameters.als.len() + 2) as f32;
        let mut done = 0.0;
        let mut ease = Vec::new();
        for lambda in &parameters.lambdas {
            ease.push(fit_ease(&matrix, *lambda, parameters, threads, |part| {
                progress((done + part) / parts)
            })?);
            done += 1.0;
        }
        let mut als = Vec::new();
        for one in &parameters.als {
            als.push(ImplicitAls::fit(&matrix, one, threads, |part| progress((done + part) / parts))?);
            done += 1.0;
        }
        Self::with(histories, &matrix, parameters, ease, als, threads, |part| {
            progress((done + 2.0 * part) / parts)
        })
    }

    /// As [`Models::fit`], from EASE^R and ALS that were fitted already.
    pub fn with(
        histories: &Histories<'_>,
        matrix: &Matrix,
        parameters: &EnsembleParameters,
        ease: Vec<ItemWeights>,
        als: Vec<ImplicitAls>,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let knn = KnnParameters { neighbours: parameters.neighbours, shrinkage: 0.0 };
        let knn =
            ItemKnn::fit(matrix, &knn, threads, |part| progress(0.5 * part)).ok_or(TrainError::Cancelled)?;
        let mut pairs = vec![(PairModel::ItemKnn, item_weights(&knn, histories.n_items))];
        pairs.extend((0u8..).map(PairModel::Ease).zip(ease));
        for steps in [1u8, 10] {
            pairs.push((PairModel::Sequence(steps), sequence(histories, steps, parameters.kept)));
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
            trends: parameters.trends.iter().map(|days| (*days, trend(histories, *days))).collect(),
            seasons: parameters.seasons.iter().filter_map(|days| Seasons::new(histories, *days)).collect(),
        };
        models.members = models.list(&parameters.decays);
        if progress(1.0).is_break() { Err(TrainError::Cancelled) } else { Ok(models) }
    }

    fn list(&self, decays: &[f32]) -> Vec<Member> {
        let mut members = Vec::new();
        for (model, _) in &self.pairs {
            // What follows what matters for the newest few items only.
            let few = matches!(model, PairModel::Sequence(_));
            let decays = decays.iter().enumerate().filter(|(index, _)| !few || index % 2 == 0 || *index == 1);
            members.extend(decays.map(|(_, decay)| Member::Pair { model: *model, decay: *decay }));
        }
        members.extend((0u8..).take(self.als.len()).map(Member::Als));
        members.push(Member::Popularity);
        members.extend(self.trends.iter().map(|(days, _)| Member::Trend(*days)));
        members.extend(self.seasons.iter().map(|season| Member::Season(season.half_life)));
        members
    }

    /// One column of scores each, in this order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Width of a column.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// What every member says of every item: `members · n_items`, member after member, of any sign, 0 = nothing.
    pub fn scores(&self, context: &Context<'_>) -> Vec<f32> {
        let n = self.n_items;
        let mut scores = vec![0f32; n * self.members.len()];
        let mut from = 0;
        for (model, weights) in &self.pairs {
            let decays: Vec<f32> = self.members[from..]
                .iter()
                .map_while(|member| match member {
                    Member::Pair { model: other, decay } if other == model => Some(*decay),
                    _ => None,
                })
                .collect();
            add_pairs(weights, &decays, context.history, n, &mut scores[from * n..(from + decays.len()) * n]);
            from += decays.len();
        }
        for (column, member) in scores.chunks_mut(n.max(1)).zip(&self.members).skip(from) {
            match member {
                Member::Pair { .. } => {}
                Member::Als(index) => {
                    if let Some(als) = self.als.get(usize::from(*index))
                        && !context.history.is_empty()
                    {
                        als.add_scores(context.history, column);
                    }
                }
                Member::Popularity => column.copy_from_slice(&self.popularity),
                Member::Trend(days) => {
                    if let Some((_, trend)) = self.trends.iter().find(|(other, _)| other == days) {
                        column.copy_from_slice(trend);
                    }
                }
                Member::Season(days) => {
                    let season = self.seasons.iter().find(|season| season.half_life == *days);
                    if let (Some(season), Some(day)) = (season, context.last_day) {
                        column.copy_from_slice(season.at(day, n));
                    }
                }
            }
        }
        scores
    }

    /// The item of the history that a pair member's score for `item` came from most; `None` for other members.
    pub fn pair_cause(&self, member: Member, context: &Context<'_>, item: ItemId) -> Option<ItemId> {
        let Member::Pair { model, decay } = member else { return None };
        let (_, weights) = self.pairs.iter().find(|(other, _)| *other == model)?;
        let mut age = 1.0f32;
        let mut best: Option<(ItemId, f32)> = None;
        for (known, interest) in context.history {
            let weight = weights.of(*known).iter().find(|(other, _)| *other == item).map_or(0.0, |(_, w)| *w);
            let added = weight * interest * age;
            if added > best.map_or(0.0, |(_, most)| most) {
                best = Some((*known, added));
            }
            age *= decay;
        }
        best.map(|(known, _)| known)
    }

    /// Do widths fit, is every number one?
    pub fn is_sound(&self) -> bool {
        let n = self.n_items;
        let column = |values: &[f32]| values.len() == n && values.iter().all(|value| value.is_finite());
        let below = |weights: &ItemWeights| {
            weights.is_sound()
                && (0u32..)
                    .take(n)
                    .all(|item| weights.of(ItemId(item)).iter().all(|(other, _)| other.index() < n))
        };
        self.pairs.iter().all(|(_, weights)| below(weights))
            && self.als.iter().all(|als| als.is_sound() && als.n_items() <= n)
            && column(&self.popularity)
            && self.trends.iter().all(|(_, trend)| column(trend))
            && self.seasons.iter().all(|season| season.is_sound(n))
    }
}

/// Adds a pair model's weights for all decays in one pass over the history.
fn add_pairs(weights: &ItemWeights, decays: &[f32], history: &[(ItemId, f32)], n: usize, scores: &mut [f32]) {
    let mut ages = vec![1f32; decays.len()];
    for (item, interest) in history {
        // Decays rise, so those still worth a look are the last ones.
        let first = ages.iter().position(|age| *age >= LEAST_WEIGHT).unwrap_or(decays.len());
        if first == decays.len() {
            break;
        }
        for (other, weight) in weights.of(*item).iter().filter(|(other, _)| other.index() < n) {
            let value = weight * interest;
            for (decay, age) in ages.iter().enumerate().skip(first) {
                scores[decay * n + other.index()] += value * age;
            }
        }
        ages.iter_mut().zip(decays).for_each(|(age, decay)| *age *= decay);
    }
}

/// EASE^R over the most popular items, its largest weights kept.
pub fn fit_ease(
    matrix: &Matrix,
    lambda: f32,
    parameters: &EnsembleParameters,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Result<ItemWeights, TrainError> {
    let n_items = matrix.n_items();
    let ease = EaseParameters { lambda, max_items: parameters.max_ease_items.max(1) };
    if n_items <= parameters.max_ease_items {
        return Ok(Ease::fit(matrix, &ease, threads, progress)?.truncate(parameters.kept));
    }
    let mut counts: Vec<(usize, u32)> = (0u32..).take(n_items).map(|item| (0, item)).collect();
    for entry in matrix.rows().flatten() {
        counts[entry.item as usize].0 += 1;
    }
    counts.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut popular: Vec<u32> =
        counts.iter().take(parameters.max_ease_items).map(|(_, item)| *item).collect();
    popular.sort_unstable();
    let mut place = vec![u32::MAX; n_items];
    for (index, item) in (0u32..).zip(&popular) {
        place[*item as usize] = index;
    }
    let local = |entry: &Entry| {
        let item = place[entry.item as usize];
        (item != u32::MAX).then_some(Entry { item, ..*entry })
    };
    let small =
        Matrix::from_entries(matrix.rows().map(|row| row.iter().filter_map(local).collect()), popular.len());
    let weights = Ease::fit(&small, &ease, threads, progress)?.truncate(parameters.kept);
    let (mut offsets, mut all) = (vec![0u32], Vec::with_capacity(weights.len()));
    for place in &place {
        if *place != u32::MAX {
            all.extend(
                weights.of(ItemId(*place)).iter().map(|(other, w)| (ItemId(popular[other.index()]), *w)),
            );
        }
        offsets.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
    }
    Ok(ItemWeights::new(offsets, all))
}

fn item_weights(knn: &ItemKnn, n_items: usize) -> ItemWeights {
    let (mut offsets, mut all) = (vec![0u32], Vec::with_capacity(knn.n_pairs()));
    for item in (0u32..).take(n_items).map(ItemId) {
        all.extend(knn.neighbours(item).iter().map(|near| (near.item, near.similarity)));
        offsets.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
    }
    ItemWeights::new(offsets, all)
}

/// What follows what within so many steps of a history, a step further counting a fifth less; rows sum to 1.
fn sequence(histories: &Histories<'_>, steps: u8, kept: usize) -> ItemWeights {
    let n = histories.n_items;
    let total: usize = histories.rows.iter().map(Vec::len).sum::<usize>().max(1);
    let most_steps = usize::from(steps).min((MOST_PAIRS / total).max(1));
    let mut follow: Vec<Vec<(u32, f32)>> = vec![Vec::new(); n];
    for row in histories.rows {
        for (index, later) in row.iter().enumerate() {
            let mut weight = 1.0;
            for earlier in row[..index].iter().rev().take(most_steps) {
                follow[earlier.item as usize].push((later.item, weight));
                weight *= 0.8;
            }
        }
    }
    let (mut offsets, mut all) = (vec![0u32], Vec::new());
    for list in &mut follow {
        list.sort_by_key(|(item, _)| *item);
        let mut merged: Vec<(ItemId, f32)> = Vec::new();
        for (item, weight) in list.drain(..) {
            match merged.last_mut() {
                Some((last, sum)) if last.0 == item => *sum += weight,
                _ => merged.push((ItemId(item), weight)),
            }
        }
        let sum: f32 = merged.iter().map(|(_, weight)| weight).sum();
        merged.iter_mut().for_each(|(_, weight)| *weight /= sum.max(1e-9));
        keep_largest(&mut merged, kept);
        all.extend(merged);
        offsets.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
    }
    ItemWeights::new(offsets, all)
}

fn trend(histories: &Histories<'_>, half_life: f32) -> Vec<f32> {
    let newest = histories.newest();
    let mut trend = vec![0f32; histories.n_items];
    for one in histories.rows.iter().flatten() {
        trend[one.item as usize] += (-(newest - one.day) / f64::from(half_life.max(0.01))).exp2() as f32;
    }
    trend
}

impl Seasons {
    /// `None` where the span is too short, or there are too many items for a table.
    fn new(histories: &Histories<'_>, half_life: f32) -> Option<Self> {
        let n = histories.n_items;
        let days = histories.rows.iter().flatten().map(|one| one.day);
        let first_day = days.fold(f64::INFINITY, f64::min).floor();
        let span = histories.newest() - first_day + 1.0;
        let most = SEASON_BYTES / 4 / n.max(1);
        let n_seasons = (span.ceil() as usize).min(most);
        if !span.is_finite() || n_seasons < FEWEST_SEASONS {
            return None;
        }
        let days = span / n_seasons as f64;
        let mut season = Self { half_life, first_day, days, faded: vec![0f32; n_seasons * n] };
        for one in histories.rows.iter().flatten() {
            let place = season.place(one.day, n) + one.item as usize;
            season.faded[place] += 1.0;
        }
        let fade = (-days / f64::from(half_life)).exp2() as f32;
        for later in 1..n_seasons {
            let (before, own) = season.faded.split_at_mut(later * n);
            let before = &before[(later - 1) * n..];
            own[..n].iter_mut().zip(before).for_each(|(own, before)| *own += fade * before);
        }
        Some(season)
    }

    fn place(&self, day: f64, n: usize) -> usize {
        let last = (self.faded.len() / n.max(1)).saturating_sub(1);
        (((day - self.first_day) / self.days).max(0.0) as usize).min(last) * n
    }

    fn at(&self, day: f64, n: usize) -> &[f32] {
        let from = self.place(day, n);
        &self.faded[from..from + n]
    }

    fn is_sound(&self, n: usize) -> bool {
        n > 0
            && !self.faded.is_empty()
            && self.faded.len().is_multiple_of(n)
            && self.days > 0.0
            && self.first_day.is_finite()
            && self.faded.iter().all(|value| value.is_finite())
    }
}
