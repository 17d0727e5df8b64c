//! Pair models as sparse weights: fitting them, and adding up what a history says by them.
#![expect(
    clippy::indexing_slicing,
    reason = "dense inner loops; each index is bounded by n_items where it is made"
)]

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};

use crate::base::ItemId;
use crate::ml::threads::Threads;
use crate::recommend::models::ease::Gram;
use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::item_knn::{ItemKnn, KnnParameters};
use crate::recommend::models::item_set::Universe;
use crate::recommend::models::item_weights::{ItemWeights, keep_largest};
use crate::recommend::models::local_ridge::{LocalRidgeParameters, Neighbourhoods};
use crate::recommend::models::ridge::RidgeParameters;
use crate::recommend::models::transpose::ListBuilder;
use crate::recommend::train::error::TrainError;

use super::histories::Histories;
use super::parameters::EnsembleParameters;

/// Weight of an old item of a history below which it is not looked at.
pub const LEAST_WEIGHT: f32 = 1e-3;
/// Items that the sparse Gram matrix knows beside each, for one that it is regressed on.
const GRAM_WIDTH: usize = 2;
/// Pairs of a history that are counted at most, newest first.
const MOST_PAIRS: usize = 60_000_000;
/// Parts of the items whose pairs are in memory at the same time, and pairs that one part may always have.
const PARTS: usize = 4;
const PAIRS_OF_PART: usize = 1_000_000;

/// Adds a pair model's weights for all decays in one pass over the history, column after column of the universe.
pub(super) fn add_pairs(
    weights: &ItemWeights,
    decays: &[f32],
    history: &[(ItemId, f32)],
    universe: &Universe,
    scores: &mut [f32],
) {
    let n = universe.width();
    let mut ages = vec![1f32; decays.len()];
    for (item, interest) in history {
        // Decays rise, so those still worth a look are the last ones.
        let first = ages.iter().position(|age| *age >= LEAST_WEIGHT).unwrap_or(decays.len());
        if first == decays.len() {
            break;
        }
        for (other, weight) in weights.of(*item) {
            let Some(place) = universe.place(*other) else { continue };
            let value = weight * interest;
            for (decay, age) in ages.iter().enumerate().skip(first) {
                scores[decay * n + place] += value * age;
            }
        }
        ages.iter_mut().zip(decays).for_each(|(age, decay)| *age *= decay);
    }
}

/// The column of a member over pairs for one history.
#[derive(Clone, Debug)]
pub struct PairColumn<'a> {
    pub(super) weights: &'a ItemWeights,
    /// Weight of each older item of the history against the next newer one.
    pub(super) decay: f32,
    /// Newest first.
    pub(super) history: Cow<'a, [(ItemId, f32)]>,
}

impl PairColumn<'_> {
    /// Adds it to a place of the universe each. O(history · weights kept).
    pub fn add(&self, universe: &Universe, column: &mut [f32]) {
        add_pairs(self.weights, &[self.decay], &self.history, universe, column);
    }

    /// Items that [`PairColumn::add`] adds to, one of them perhaps several times.
    pub fn reached(&self) -> impl Iterator<Item = ItemId> {
        let ages = std::iter::successors(Some(1f32), move |age| Some(age * self.decay));
        let known = self.history.iter().zip(ages.take_while(|age| *age >= LEAST_WEIGHT));
        known.flat_map(move |((item, _), _)| self.weights.of(*item)).map(|(other, _)| *other)
    }
}

/// Fits of EASE^R on one matrix, one penalty after another: of all items at once, or of each on its nearest where there are too
/// many. What items have in common is found once for all penalties that scale users alike.
pub struct Regressions<'a> {
    matrix: &'a Matrix,
    parameters: &'a EnsembleParameters,
    threads: &'a Threads,
    /// Of the last scaling of users.
    near: Option<(f32, Neighbourhoods)>,
    gram: Option<(f32, Gram)>,
    /// Memory of the last fit of all items.
    room: Vec<f32>,
}

impl<'a> Regressions<'a> {
    /// On this matrix, with size limits from `parameters`.
    pub fn new(matrix: &'a Matrix, parameters: &'a EnsembleParameters, threads: &'a Threads) -> Self {
        Self { matrix, parameters, threads, near: None, gram: None, room: Vec::new() }
    }

    /// The largest weights. `progress` hears 0…1 and may break ([`TrainError::Cancelled`]).
    pub fn fit(
        &mut self,
        ridge: RidgeParameters,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<ItemWeights, TrainError> {
        let EnsembleParameters { max_ease_items, ridge_neighbours, kept, .. } = *self.parameters;
        if self.matrix.n_items() <= max_ease_items {
            let gram = match self.gram.take().filter(|(scaling, _)| *scaling == ridge.user_scaling) {
                Some((_, gram)) => gram,
                None => Gram::new(self.matrix, &ridge, self.threads, |done| progress(0.1 * done))?,
            };
            let room = std::mem::take(&mut self.room);
            let fitted = gram.fit(&ridge, room, self.threads, |done| progress(0.1 + 0.9 * done));
            self.gram = Some((ridge.user_scaling, gram));
            let ease = fitted?;
            let weights = ease.truncate(kept);
            self.room = ease.into_room();
            return Ok(weights);
        }
        let near = match self.near.take().filter(|(scaling, _)| *scaling == ridge.user_scaling) {
            Some((_, near)) => near,
            None => {
                let width = GRAM_WIDTH * ridge_neighbours;
                Neighbourhoods::new(self.matrix, &ridge, width, self.threads, |done| progress(0.3 * done))?
            }
        };
        let local = LocalRidgeParameters { ridge, neighbours: ridge_neighbours, kept };
        let weights = near.fit(&local, self.threads, |done| progress(0.3 + 0.7 * done))?;
        self.near = Some((ridge.user_scaling, near));
        Ok(weights)
    }
}

/// Item-to-item cosine as weights. `progress` hears 0…1 and may break ([`TrainError::Cancelled`]).
pub fn fit_similarity(
    matrix: &Matrix,
    parameters: &EnsembleParameters,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Result<ItemWeights, TrainError> {
    let knn = KnnParameters { neighbours: parameters.neighbours, shrinkage: parameters.shrinkage };
    ItemKnn::weights(matrix, &knn, threads, progress).ok_or(TrainError::Cancelled)
}

/// Transition weights within at most `steps` steps of a history, a step further counting a fifth less; rows sum to 1. Made at
/// once from all histories, unlike `recommend::session::transitions`, which learns session by session and pays for it with a search a pair.
pub(super) fn sequence(histories: &Histories<'_>, steps: u8, kept: usize) -> ItemWeights {
    let n = histories.n_items;
    let total: usize = histories.rows.iter().map(Vec::len).sum::<usize>().max(1);
    let most_steps = usize::from(steps).min((MOST_PAIRS / total).max(1));
    let mut lengths = vec![0usize; n];
    for row in histories.rows {
        for (index, earlier) in row.iter().enumerate() {
            lengths[earlier.item as usize] += most_steps.min(row.len() - index - 1);
        }
    }
    let most = (lengths.iter().sum::<usize>() / PARTS).max(PAIRS_OF_PART);
    let mut made = ListBuilder::default();
    for items in parts(&lengths, most) {
        made.push(followers(histories, most_steps, items.clone(), &lengths[items], kept));
    }
    let (offsets, all) = made.finish();
    ItemWeights::new(offsets, all)
}

/// Ranges of items with at most `most` pairs each, or of one item.
fn parts(lengths: &[usize], most: usize) -> Vec<Range<usize>> {
    let (mut parts, mut first) = (Vec::new(), 0);
    while first < lengths.len() {
        let mut pairs = 0;
        let fits = |length: &&usize| {
            pairs += **length;
            pairs <= most
        };
        let end = first + lengths[first..].iter().take_while(fits).count().max(1);
        parts.push(first..end);
        first = end;
    }
    parts
}

/// Transition weights of a range of items, each followed `lengths` times.
fn followers(
    histories: &Histories<'_>,
    most_steps: usize,
    items: Range<usize>,
    lengths: &[usize],
    kept: usize,
) -> Vec<Vec<(ItemId, f32)>> {
    // Of its size from the beginning: lists that double take up to three times their pairs while they grow.
    let mut follow: Vec<Vec<(u32, f32)>> = lengths.iter().map(|length| Vec::with_capacity(*length)).collect();
    for row in histories.rows {
        for (index, later) in row.iter().enumerate() {
            let mut weight = 1.0;
            for earlier in row[..index].iter().rev().take(most_steps) {
                let item = earlier.item as usize;
                if items.contains(&item) {
                    follow[item - items.start].push((later.item, weight));
                }
                weight *= 0.8;
            }
        }
    }
    let merged = |mut list: Vec<(u32, f32)>| {
        list.sort_by_key(|(item, _)| *item);
        let mut merged: Vec<(ItemId, f32)> = Vec::new();
        for (item, weight) in list {
            match merged.last_mut() {
                Some((last, sum)) if last.0 == item => *sum += weight,
                _ => merged.push((ItemId(item), weight)),
            }
        }
        let sum: f32 = merged.iter().map(|(_, weight)| weight).sum();
        merged.iter_mut().for_each(|(_, weight)| *weight /= sum.max(1e-9));
        keep_largest(&mut merged, kept);
        merged.shrink_to_fit();
        merged
    };
    follow.into_iter().map(merged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::ensemble::Interaction;

    #[test]
    fn parts_are_full_and_followers_are_the_same_in_any_of_them() {
        assert_eq!(parts(&[2, 1, 0, 9, 1, 1], 3), [0..3, 3..4, 4..6]);
        assert!(parts(&[], 3).is_empty());
        let item = |user: u32, step: u32| (user * 7 + step * step * 5 + user * step) % 30;
        let one = |user, step| Interaction { item: item(user, step), day: f64::from(step), weight: 1.0 };
        let rows: Vec<Vec<Interaction>> =
            (0..60).map(|user| (0..6).map(|step| one(user, step)).collect()).collect();
        let histories = Histories { rows: &rows, n_items: 30 };
        let whole = followers(&histories, 3, 0..30, &[0; 30], 4);
        assert!(whole.iter().any(|list| list.len() == 4));
        let of = |items: Range<usize>| followers(&histories, 3, items.clone(), &vec![0; items.len()], 4);
        assert_eq!([of(0..11), of(11..12), of(12..30)].concat(), whole);
    }
}
