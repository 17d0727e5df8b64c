//! The models of the kinds, fitted on acts, and their columns for one user.
//!
//! Memory: 8 bytes · items · weights kept for each kind, 4 · items for each conversion.
#![expect(
    clippy::indexing_slicing,
    reason = "dense inner loops; each index is bounded by n_items where it is made"
)]

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::ml::threads::Threads;
use crate::recommend::ensemble::pairs::{LEAST_WEIGHT, PairColumn, Regressions, add_pairs};
use crate::recommend::ensemble::parameters::EnsembleParameters;
use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::item_set::Universe;
use crate::recommend::models::item_weights::ItemWeights;
use crate::recommend::models::ridge::RidgeParameters;
use crate::recommend::train::error::TrainError;

use super::act::{Act, TARGET, Touch, masked_items, touches};
use super::column::{KindColumn, KindFeature};
use super::cross::cross;

/// Newest items of one kind and user that count.
const HISTORY_CAP: usize = 500;
/// Begun items of a user that are candidates, newest first.
const BEGUN_CAP: usize = 100;
/// Users of the mean conversion that each item's own is smoothed with, and items for each user's.
const SMOOTHING: f32 = 10.0;
/// Decays of the pair models, rising.
const DECAYS: [f32; 3] = [0.7, 0.95, 1.0];
const HOURS_A_DAY: f64 = 24.0;
/// Features of a touch by itself.
const TOUCHES: [KindFeature; 4] =
    [KindFeature::Touched, KindFeature::Repeated, KindFeature::Recency, KindFeature::Age];
/// Features of what comes of touches.
const OUTCOMES: [KindFeature; 3] =
    [KindFeature::Conversion, KindFeature::UserConversion, KindFeature::Dilution];

/// Models of all kinds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KindModels {
    n_items: usize,
    /// By kind: whether what was touched stays out of lists.
    masked: Vec<bool>,
    columns: Vec<KindColumn>,
    /// By kind: to the target kind.
    pairs: Vec<ItemWeights>,
    /// Among items of the target kind.
    ease: Option<ItemWeights>,
    /// Users of the target kind by item.
    popularity: Vec<f32>,
    /// By kind and item; empty for a masked kind.
    conversion: Vec<Vec<f32>>,
    /// By kind: the mean of all items.
    mean_conversion: Vec<f32>,
}

/// Acts that the models of the kinds are fitted on.
#[derive(Clone, Copy, Debug)]
pub struct KindInputs<'a> {
    /// By user, oldest first.
    pub acts: &'a [Vec<Act>],
    /// One more than the largest item.
    pub n_items: usize,
    /// By kind, the target first: whether what was touched stays out of lists.
    pub masked: &'a [bool],
    /// Columns to fit, others cost nothing; `None` = all.
    pub needed: Option<&'a [KindColumn]>,
}

impl KindInputs<'_> {
    /// By user, the items of a kind, newest first.
    fn rows(&self, kind: u8) -> Vec<Vec<u32>> {
        let items = |acts: &Vec<Act>| {
            let touches = touches(acts, kind, HISTORY_CAP).into_iter();
            touches.map(|touch| touch.item).filter(|item| (*item as usize) < self.n_items).collect()
        };
        self.acts.iter().map(items).collect()
    }

    /// Columns of all items first, those of begun items after them.
    fn columns(&self, with_ease: bool) -> Vec<KindColumn> {
        let target = |of| KindColumn { kind: TARGET, of };
        let mut columns = vec![target(KindFeature::Popularity)];
        if with_ease {
            columns.extend(DECAYS.map(|decay| target(KindFeature::Ease { decay })));
        }
        let kinds = || (0u8..).zip(self.masked.iter().copied());
        for (kind, _) in kinds() {
            columns.extend(DECAYS.map(|decay| KindColumn { kind, of: KindFeature::Pair { decay } }));
        }
        if self.masked.contains(&false) {
            columns.push(target(KindFeature::PopularityBegun));
            columns.extend(kinds().map(|(kind, _)| KindColumn { kind, of: KindFeature::PairBegun }));
            for (kind, _) in kinds().filter(|(_, masked)| !masked) {
                columns.extend(TOUCHES.map(|of| KindColumn { kind, of }));
                if kind != TARGET {
                    columns.extend(OUTCOMES.map(|of| KindColumn { kind, of }));
                }
            }
        }
        columns.retain(|column| self.needed.is_none_or(|needed| needed.contains(column)));
        columns
    }
}

impl KindModels {
    /// Fits what the needed columns read. `ridge`: penalty of EASE^R on the target kind, `None` = without it. `progress` hears 0…1
    /// and may break ([`TrainError::Cancelled`]).
    pub fn fit(
        inputs: &KindInputs<'_>,
        ridge: Option<RidgeParameters>,
        parameters: &EnsembleParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let KindInputs { n_items, masked, .. } = *inputs;
        let parts = masked.len() as f32 + 1.0;
        let target = inputs.rows(TARGET);
        let mut models = Self { n_items, masked: masked.to_vec(), ..Self::default() };
        models.columns = inputs.columns(ridge.is_some());
        models.popularity = counts(&target, n_items);
        for (kind, is_masked) in (0u8..).zip(masked) {
            let done = f32::from(kind);
            let of_pairs = models.reads(|column| column.kind == kind && column.of.is_of_pairs());
            let converts =
                !is_masked && models.reads(|column| column.kind == kind && column.of.is_of_outcomes());
            let own = if of_pairs || converts { inputs.rows(kind) } else { Vec::new() };
            let hear = |part| progress((done + part) / parts);
            let pairs = match of_pairs {
                true => cross(&own, &target, n_items, parameters.kept, threads, hear),
                false => Some(ItemWeights::default()),
            };
            models.pairs.push(pairs.ok_or(TrainError::Cancelled)?);
            let (shares, mean) =
                if converts { conversion(&own, &target, n_items) } else { (Vec::new(), 0.0) };
            models.conversion.push(shares);
            models.mean_conversion.push(mean);
        }
        let ridge = ridge.filter(|_| models.reads(|column| matches!(column.of, KindFeature::Ease { .. })));
        if let Some(ridge) = ridge {
            let cells: Vec<Vec<(u32, f32)>> =
                target.iter().map(|row| row.iter().map(|item| (*item, 1.0)).collect()).collect();
            let matrix = Matrix::from_rows(&cells, n_items);
            let mut regressions = Regressions::new(&matrix, parameters, threads);
            models.ease = Some(regressions.fit(ridge, |part| progress((parts - 1.0 + part) / parts))?);
        }
        if progress(1.0).is_break() { Err(TrainError::Cancelled) } else { Ok(models) }
    }

    /// Returns whether any column is like that.
    fn reads(&self, of: impl Fn(&KindColumn) -> bool) -> bool {
        self.columns.iter().any(of)
    }

    /// The columns: those of all items, then those of begun items.
    pub fn columns(&self) -> &[KindColumn] {
        &self.columns
    }

    /// Items of a user's acts that stay out of lists.
    pub fn seen(&self, acts: &[Act]) -> HashSet<u32> {
        masked_items(acts, &self.masked)
    }

    /// The continue list: items that the user touched and that may be recommended, newest first, at most a hundred.
    pub fn begun(&self, acts: &[Act]) -> Vec<ItemId> {
        let mut known = self.seen(acts);
        let open = |act: &&Act| (act.item as usize) < self.n_items && known.insert(act.item);
        acts.iter().rev().filter(open).take(BEGUN_CAP).map(|act| ItemId(act.item)).collect()
    }

    /// Columns of all items, in order: the first of [`KindModels::columns`].
    pub fn dense(&self) -> &[KindColumn] {
        let of_all = self.columns.iter().take_while(|column| !column.of.is_of_begun()).count();
        &self.columns[..of_all]
    }

    /// Values of the columns for a user with these acts, oldest first. O(acts · weights kept + columns · items).
    pub fn columns_of(&self, acts: &[Act]) -> UserColumns {
        let n = self.n_items;
        let begun = self.begun(acts);
        let user = self.user(acts);
        let mut beside = vec![0f32; n * self.dense().len()];
        for (column, slots) in self.dense().iter().zip(beside.chunks_mut(n.max(1))) {
            self.fill(*column, &user, &Universe::All(n), slots);
        }
        let of_begun = &self.columns[self.dense().len()..];
        let mut values = vec![0f32; begun.len() * of_begun.len()];
        for (place, column) in of_begun.iter().enumerate() {
            let own = self.of_begun(*column, &user, &begun);
            for (row, value) in values.chunks_mut(of_begun.len()).zip(own) {
                row[place] = value;
            }
        }
        UserColumns { beside, begun, values }
    }

    /// Adds the columns of all items to slots of 0, column after column, a place of the universe each.
    pub fn fill_dense(&self, acts: &[Act], universe: &Universe, beside: &mut [f32]) {
        let user = self.user(acts);
        for (column, slots) in self.dense().iter().zip(beside.chunks_mut(universe.width().max(1))) {
            self.fill(*column, &user, universe, slots);
        }
    }

    /// One of the columns of all items, where it is over pairs.
    pub fn pair_column(&self, column: KindColumn, acts: &[Act]) -> Option<PairColumn<'_>> {
        let (weights, decay) = self.weights(column)?;
        let touched = self.touched(acts, column.kind).into_iter();
        let history = touched.map(|touch| (ItemId(touch.item), 1.0)).collect();
        Some(PairColumn { weights, decay, history: Cow::Owned(history) })
    }

    /// Users of the target kind by item.
    pub fn popularity(&self) -> &[f32] {
        &self.popularity
    }

    /// The weights and the decay of a column over pairs.
    fn weights(&self, column: KindColumn) -> Option<(&ItemWeights, f32)> {
        match column.of {
            KindFeature::Pair { decay } => Some((self.pairs.get(usize::from(column.kind))?, decay)),
            KindFeature::Ease { decay } => Some((self.ease.as_ref()?, decay)),
            _ => None,
        }
    }

    /// Contribution of each touched item to a column's value of `item`; see [`EventKinds::parts`](super::EventKinds::parts).
    pub(super) fn parts(&self, column: KindColumn, acts: &[Act], item: ItemId) -> Vec<(ItemId, f32)> {
        let Some((weights, decay)) = self.weights(column) else { return Vec::new() };
        let mut age = 1.0f32;
        let part = |touch: Touch| {
            let known = ItemId(touch.item);
            let weight = weights.of(known).iter().find(|(other, _)| *other == item).map_or(0.0, |(_, w)| *w);
            let own = if age >= LEAST_WEIGHT { weight * age } else { 0.0 };
            age *= decay;
            (known, own)
        };
        self.touched(acts, column.kind).into_iter().map(part).filter(|(_, own)| *own != 0.0).collect()
    }

    /// Returns whether widths fit and every number is one, for at most `width` items. Checked after loading.
    pub fn is_sound(&self, width: usize) -> bool {
        let n = self.n_items;
        n <= width
            && self.pairs.iter().chain(&self.ease).all(|weights| weights.is_sound_below(n))
            && (self.popularity.is_empty() || self.popularity.len() == n)
            && self.popularity.iter().all(|count| count.is_finite())
            && self.columns.iter().all(|column| usize::from(column.kind) < self.pairs.len())
    }

    fn user<'a>(&self, acts: &'a [Act]) -> User<'a> {
        let mut user = User { acts, touched: Vec::new() };
        user.touched.extend((0u8..).take(self.masked.len()).map(|kind| self.touched(acts, kind)));
        user
    }

    /// Items known that the acts of a kind touched.
    fn touched(&self, acts: &[Act], kind: u8) -> Vec<Touch> {
        let mut touched = touches(acts, kind, HISTORY_CAP);
        touched.retain(|touch| (touch.item as usize) < self.n_items);
        touched
    }

    fn fill(&self, column: KindColumn, user: &User<'_>, universe: &Universe, slots: &mut [f32]) {
        let kind = usize::from(column.kind);
        match column.of {
            KindFeature::Popularity => universe.gather(slots, &self.popularity),
            _ => {
                if let Some((weights, decay)) = self.weights(column) {
                    add_pairs(weights, &[decay], &user.history(kind), universe, slots);
                }
            }
        }
    }

    /// Values of one column for the begun items.
    fn of_begun(&self, column: KindColumn, user: &User<'_>, begun: &[ItemId]) -> Vec<f32> {
        let kind = usize::from(column.kind);
        let bought = || user.bought(kind);
        let by_touch = |value: &dyn Fn(usize, &Touch) -> f32| user.by_touch(kind, begun, value);
        match column.of {
            KindFeature::PopularityBegun => {
                let most = self.popularity.iter().copied().fold(1.0, f32::max);
                begun.iter().map(|item| self.popularity[item.index()] / most).collect()
            }
            KindFeature::PairBegun => {
                let mut pairs = vec![0f32; self.n_items];
                let all = Universe::All(self.n_items);
                let column = KindColumn { of: KindFeature::Pair { decay: 1.0 }, ..column };
                self.fill(column, user, &all, &mut pairs);
                let values = || begun.iter().map(|item| pairs[item.index()]);
                let best = values().fold(f32::MIN_POSITIVE, f32::max);
                values().map(|value| value / best).collect()
            }
            KindFeature::Repeated => {
                let all = user.touched[kind].iter().map(|touch| touch.count as f32).sum::<f32>();
                by_touch(&|_, touch| touch.count as f32 / all)
            }
            KindFeature::Recency => by_touch(&|place, _| 1.0 / (1.0 + place as f32)),
            KindFeature::Age => {
                let newest = user.acts.last().map_or(0.0, |act| act.day);
                let hours = |touch: &Touch| ((newest - touch.day) * HOURS_A_DAY).max(0.0) as f32;
                by_touch(&|_, touch| 1.0 / (1.0 + hours(touch)))
            }
            KindFeature::Conversion => by_touch(&|_, touch| self.conversion[kind][touch.item as usize]),
            KindFeature::UserConversion => {
                let (bought, all) = bought();
                let share = (bought + SMOOTHING * self.mean_conversion[kind]) / (all + SMOOTHING);
                by_touch(&|_, _| share)
            }
            KindFeature::Dilution => {
                let (bought, all) = bought();
                by_touch(&|_, _| 1.0 / (all - bought).max(1.0))
            }
            _ => by_touch(&|_, _| 1.0),
        }
    }
}

/// The columns of one user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserColumns {
    /// Of all items, column after column.
    pub beside: Vec<f32>,
    /// The continue list, newest first.
    pub begun: Vec<ItemId>,
    /// Of begun items, a row an item.
    pub values: Vec<f32>,
}

/// One user's acts, ready to be read by kind.
struct User<'a> {
    acts: &'a [Act],
    /// By kind, newest first.
    touched: Vec<Vec<Touch>>,
}

impl User<'_> {
    fn history(&self, kind: usize) -> Vec<(ItemId, f32)> {
        self.touched[kind].iter().map(|touch| (ItemId(touch.item), 1.0)).collect()
    }

    /// A value for each begun item; 0 for those that were not touched in this way. `value` is given the place among all that were,
    /// newest first.
    fn by_touch(&self, kind: usize, begun: &[ItemId], value: &dyn Fn(usize, &Touch) -> f32) -> Vec<f32> {
        let touched = &self.touched[kind];
        let places: HashMap<u32, usize> =
            touched.iter().enumerate().map(|(place, touch)| (touch.item, place)).collect();
        let of = |item: &ItemId| places.get(&item.0).map_or(0.0, |place| value(*place, &touched[*place]));
        begun.iter().map(of).collect()
    }

    /// Items of the kind that the user also bought, and all of the kind.
    fn bought(&self, kind: usize) -> (f32, f32) {
        let bought: HashSet<u32> = self.touched[usize::from(TARGET)].iter().map(|touch| touch.item).collect();
        let touched = &self.touched[kind];
        let both = touched.iter().filter(|touch| bought.contains(&touch.item)).count();
        (both as f32, touched.len() as f32)
    }
}

fn counts(rows: &[Vec<u32>], n_items: usize) -> Vec<f32> {
    let mut counts = vec![0f32; n_items];
    rows.iter().flatten().for_each(|item| counts[*item as usize] += 1.0);
    counts
}

/// By item, the share of its users in `own` who have it in `target` too, smoothed with the mean; and the mean.
fn conversion(own: &[Vec<u32>], target: &[Vec<u32>], n_items: usize) -> (Vec<f32>, f32) {
    let all = counts(own, n_items);
    let mut both = vec![0f32; n_items];
    for (row, bought) in own.iter().zip(target) {
        let bought: HashSet<&u32> = bought.iter().collect();
        row.iter().filter(|item| bought.contains(item)).for_each(|item| both[*item as usize] += 1.0);
    }
    let mean = both.iter().sum::<f32>() / all.iter().sum::<f32>().max(1.0);
    let share = |(both, all): (&f32, &f32)| (both + SMOOTHING * mean) / (all + SMOOTHING);
    (both.iter().zip(&all).map(share).collect(), mean)
}
