//! Item-to-item similarity: cosine between the columns of the user × item matrix, shrunk by the number of users
//! two items share, so that a coincidence of two does not win. Sarwar et al. 2001; shrinkage: Bell & Koren 2007.
//!
//! Time: Σ over rows of (row length)², at most rows · cap². Memory: 12 bytes · items · neighbours, and 17 a cell while it
//! fits.

mod common;
mod neighbour;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::ml::threads::Threads;

use super::interactions::Matrix;
use super::item_weights::ItemWeights;
use super::transpose::Columns;

use self::common::{Both, Rows, Scratch};

pub use self::neighbour::Neighbour;

/// Parameters of the similarity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnnParameters {
    /// Neighbours kept an item.
    pub neighbours: usize,
    /// n shared users multiply by n / (n + shrinkage); 0 = plain cosine.
    pub shrinkage: f32,
}

/// Items that are looked at together.
const BLOCK: usize = 16;
/// Below 1 by more than rounding to f32 a few times may lift or lower a number.
const ROUNDED: f64 = 1.0 - 1e-6;

/// For each item its most similar ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ItemKnn {
    offsets: Vec<u32>,
    neighbours: Vec<Neighbour>,
}

/// Data that all threads read.
struct Data<'a> {
    rows: &'a Rows,
    columns: &'a Columns,
    /// Lengths of the columns. In f64, so that similarities that are equal stay equal when they are rounded to f32.
    norms: &'a [f64],
    /// The same, for a first look at many at once.
    about: &'a [f32],
}

/// The nearest items so far.
struct Nearest {
    k: usize,
    shrinkage: f64,
    list: Vec<Neighbour>,
    /// A cosine below this gets in no more; 0 until k are known.
    bar: f64,
}

impl Nearest {
    /// Takes what was added up of `other`; `norm`: the product of both items' lengths.
    fn look(&mut self, item: usize, other: u32, scratch: &mut Scratch, norm: f64) {
        if let Some(both) = scratch.take(other as usize)
            && other as usize != item
        {
            self.consider(ItemId(other), &both, norm);
        }
    }

    fn consider(&mut self, other: ItemId, both: &Both, norm: f64) {
        // Told without a division.
        if both.product < self.bar * norm {
            return;
        }
        let shared = f64::from(both.shared);
        let similarity = (both.product / norm * (shared / (shared + self.shrinkage))) as f32;
        if !similarity.is_finite() || similarity <= 0.0 {
            return;
        }
        self.list.push(Neighbour {
            item: other,
            similarity: similarity.min(1.0),
            bought_together: u16::try_from(both.bought).unwrap_or(u16::MAX),
        });
        if self.list.len() > self.k.saturating_mul(2) {
            self.keep();
            self.bar = self.list.last().map_or(0.0, |worst| f64::from(worst.similarity) * ROUNDED);
        }
    }

    /// The k nearest, the least of them last, the others in any order. O(list).
    fn keep(&mut self) {
        if self.list.len() > self.k {
            if self.k > 0 {
                self.list.select_nth_unstable_by_key(self.k - 1, nearest_first);
            }
            self.list.truncate(self.k);
        }
    }

    /// Nearest first, and the room they took.
    fn finish(mut self) -> (Vec<Neighbour>, Vec<Neighbour>) {
        self.keep();
        self.list.sort_unstable_by_key(nearest_first);
        let nearest = self.list.clone();
        self.list.clear();
        (nearest, self.list)
    }
}

impl ItemKnn {
    /// Fits on all threads of the pool. `progress` hears 0…1 every few milliseconds of work and may break, then
    /// `None` comes back. An empty matrix gives a model without neighbours.
    pub fn fit(
        matrix: &Matrix,
        parameters: &KnnParameters,
        threads: &Threads,
        progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let (offsets, neighbours) = lists(matrix, parameters, threads, progress, |near| near)?;
        Some(Self { offsets, neighbours })
    }

    /// The similarities of [`ItemKnn::fit`] alone, in the same order: two thirds of the memory.
    pub fn weights(
        matrix: &Matrix,
        parameters: &KnnParameters,
        threads: &Threads,
        progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<ItemWeights> {
        let (offsets, weights) =
            lists(matrix, parameters, threads, progress, |near| (near.item, near.similarity))?;
        Some(ItemWeights::new(offsets, weights))
    }

    /// The neighbours of an item, most similar first, ties by id; empty for an unknown item. O(1).
    pub fn neighbours(&self, item: ItemId) -> &[Neighbour] {
        let range = self.offsets.get(item.index()).zip(self.offsets.get(item.index() + 1));
        range.and_then(|(from, to)| self.neighbours.get(*from as usize..*to as usize)).unwrap_or_default()
    }

    /// Adds `weight · similarity` of each history item's `nearest` neighbours to `scores` (indexed by item). Items
    /// beyond its width are left out. O(history · nearest).
    pub fn add_scores(&self, history: &[(ItemId, f32)], nearest: usize, scores: &mut [f32]) {
        for (item, weight) in history {
            for neighbour in self.neighbours(*item).iter().take(nearest) {
                if let Some(score) = scores.get_mut(neighbour.item.index()) {
                    *score += weight * neighbour.similarity;
                }
            }
        }
    }

    /// Number of item pairs kept.
    pub fn n_pairs(&self) -> usize {
        self.neighbours.len()
    }

    /// Returns whether every offset is in range and rising, and every similarity a number. Checked after loading.
    pub(crate) fn is_sound(&self) -> bool {
        self.offsets.windows(2).all(|pair| matches!(pair, [a, b] if a <= b))
            && self.offsets.last().is_none_or(|last| *last as usize == self.neighbours.len())
            && self.neighbours.iter().all(|neighbour| neighbour.similarity.is_finite())
    }
}

/// Neighbours of each item, mapped by `keep`: the offset of each list, and the lists concatenated.
fn lists<T: Send>(
    matrix: &Matrix,
    parameters: &KnnParameters,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
    keep: impl Fn(Neighbour) -> T + Sync + Send,
) -> Option<(Vec<u32>, Vec<T>)> {
    let (columns, rows) = (Columns::new(matrix), Rows::new(matrix));
    let n_items = matrix.n_items();
    let norm = |item| columns.cells(item).map(|(_, weight)| f64::from(weight).powi(2)).sum::<f64>().sqrt();
    let norms: Vec<f64> = (0..n_items).map(norm).collect();
    let about: Vec<f32> = norms.iter().map(|norm| *norm as f32).collect();
    let data = Data { rows: &rows, columns: &columns, norms: &norms, about: &about };
    let init = || Scratch::new(n_items, &rows);
    let list = |item: usize, scratch: &mut Scratch| {
        neighbours(item, &data, parameters, scratch).into_iter().map(&keep).collect()
    };
    columns.lists(matrix, threads, progress, init, list)
}

fn neighbours(
    item: usize,
    data: &Data<'_>,
    parameters: &KnnParameters,
    scratch: &mut Scratch,
) -> Vec<Neighbour> {
    let Data { rows, columns, norms, about } = *data;
    let own = norms.get(item).copied().unwrap_or(0.0);
    let cells = scratch.add_up(item, rows, columns);
    let mut nearest = Nearest {
        k: parameters.neighbours,
        shrinkage: f64::from(parameters.shrinkage.max(0.0)),
        list: std::mem::take(&mut scratch.list),
        bar: 0.0,
    };
    // Everybody is looked at where most were touched anyway, else those touched.
    if cells >= norms.len() / 2 {
        for (block, lengths) in about.chunks(BLOCK).enumerate() {
            let from = block * BLOCK;
            let mut reaching = scratch.reaching(from, lengths, (nearest.bar * own * ROUNDED) as f32);
            while reaching != 0 {
                let other = from + reaching.trailing_zeros() as usize;
                reaching &= reaching - 1;
                nearest.look(item, other as u32, scratch, own * norms.get(other).copied().unwrap_or(0.0));
            }
        }
        scratch.clear();
    } else {
        for other in columns.cells(item).flat_map(|(row, _)| rows.items(row)) {
            let norm = norms.get(*other as usize).copied().unwrap_or(0.0);
            nearest.look(item, *other, scratch, own * norm);
        }
    }
    let (nearest, room) = nearest.finish();
    scratch.list = room;
    nearest
}

/// Similarities are > 0, and then their bits rise as they do.
fn nearest_first(neighbour: &Neighbour) -> u64 {
    u64::from(!neighbour.similarity.to_bits()) << 32 | u64::from(neighbour.item.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::models::interactions::Entry;

    fn fit(rows: &[Vec<(u32, f32)>], n_items: usize, neighbours: usize, shrinkage: f32) -> ItemKnn {
        let matrix = Matrix::from_rows(rows, n_items);
        let threads = Threads::new(2).unwrap();
        let parameters = KnnParameters { neighbours, shrinkage };
        ItemKnn::fit(&matrix, &parameters, &threads, |_| ControlFlow::Continue(())).unwrap()
    }

    fn near(a: f32, b: f32) {
        assert!((a - b).abs() < 1e-6, "{a} is not {b}");
    }

    #[test]
    fn cosine_and_shrinkage_agree_with_values_computed_by_hand() {
        let rows = [vec![(0, 1.0), (1, 2.0)], vec![(0, 3.0)], vec![(1, 1.0), (2, 1.0)]];
        let knn = fit(&rows, 4, 10, 0.0);
        // Columns: (1, 3, 0), (2, 0, 1), (0, 0, 1).
        let cosine = 2.0 / (10f32.sqrt() * 5f32.sqrt());
        assert_eq!(knn.neighbours(ItemId(0)).len(), 1);
        near(knn.neighbours(ItemId(0))[0].similarity, cosine);
        assert_eq!(knn.neighbours(ItemId(1))[0].item, ItemId(2));
        near(knn.neighbours(ItemId(1))[0].similarity, 1.0 / 5f32.sqrt());
        assert!(knn.neighbours(ItemId(3)).is_empty() && knn.neighbours(ItemId(99)).is_empty());
        // One shared user, shrinkage 3: a quarter.
        near(fit(&rows, 4, 10, 3.0).neighbours(ItemId(0))[0].similarity, cosine / 4.0);
    }

    #[test]
    fn only_the_nearest_stay_and_ties_go_by_id() {
        let rows = [vec![(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)], vec![(0, 1.0), (3, 1.0)]];
        let knn = fit(&rows, 4, 2, 0.0);
        let ids: Vec<u32> = knn.neighbours(ItemId(0)).iter().map(|near| near.item.0).collect();
        assert_eq!(ids, [3, 1]);
        assert_eq!(knn.neighbours(ItemId(0))[0].bought_together, 2);
        assert_eq!(fit(&rows, 4, 0, 0.0).n_pairs(), 0);
        assert_eq!(fit(&rows, 4, usize::MAX, 0.0).n_pairs(), 12);
    }

    #[test]
    fn only_what_both_bought_counts_as_bought_together() {
        let cell = |item, bought| Entry { item, weight: 1.0, age_days: 0.0, bought };
        let rows = [
            vec![cell(0, true), cell(1, true)],
            vec![cell(0, true), cell(1, false)],
            vec![cell(0, false), cell(1, true)],
        ];
        let matrix = Matrix::from_entries(rows, 2);
        let parameters = KnnParameters { neighbours: 5, shrinkage: 0.0 };
        let threads = Threads::new(1).unwrap();
        let knn = ItemKnn::fit(&matrix, &parameters, &threads, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(knn.neighbours(ItemId(0))[0].bought_together, 1);
        near(knn.neighbours(ItemId(0))[0].similarity, 1.0);
    }

    #[test]
    fn of_many_neighbours_the_nearest_are_those_of_a_full_sort() {
        let parameters = KnnParameters { neighbours: 7, shrinkage: 2.0 };
        for weighted in [false, true] {
            let item = |user: u32, k: u32| (user * 7 + k * k * 5 + user * k % 11) % 90;
            let weight = |user: u32, k: u32| if weighted { 0.5 + (user * k % 7) as f32 } else { 1.0 };
            let row = |user| (0..12).map(|k| (item(user, k), weight(user, k))).collect();
            let rows: Vec<Vec<(u32, f32)>> = (0..200).map(row).collect();
            let (all, some) = (fit(&rows, 90, usize::MAX, 2.0), fit(&rows, 90, 7, 2.0));
            let (matrix, threads) = (Matrix::from_rows(&rows, 90), Threads::new(2).unwrap());
            let go_on = |_| ControlFlow::Continue(());
            let weights = ItemKnn::weights(&matrix, &parameters, &threads, go_on).unwrap();
            for item in (0..90).map(ItemId) {
                let nearest: Vec<_> = all.neighbours(item).iter().take(7).copied().collect();
                assert_eq!(nearest.len(), 7);
                assert_eq!(some.neighbours(item), nearest);
                let weighted: Vec<_> = nearest.iter().map(|near| (near.item, near.similarity)).collect();
                assert_eq!(weights.of(item), weighted);
            }
        }
    }

    #[test]
    fn scores_add_up_over_the_history() {
        let rows = [vec![(0, 1.0), (2, 1.0)], vec![(1, 1.0), (2, 1.0)]];
        let knn = fit(&rows, 3, 10, 0.0);
        let mut scores = [0.0; 3];
        knn.add_scores(&[(ItemId(0), 1.0), (ItemId(1), 0.5)], 10, &mut scores);
        near(scores[2], 1.5 / 2f32.sqrt());
    }

    #[test]
    fn it_can_be_cancelled_and_has_nothing_to_say_about_nothing() {
        let matrix = Matrix::from_rows(&[vec![(0, 1.0)]], 1);
        let parameters = KnnParameters { neighbours: 5, shrinkage: 0.0 };
        let threads = Threads::new(1).unwrap();
        assert!(ItemKnn::fit(&matrix, &parameters, &threads, |_| ControlFlow::Break(())).is_none());
        assert_eq!(fit(&[], 0, 5, 1.0).n_pairs(), 0);
        assert_eq!(fit(&[vec![(0, f32::NAN), (1, -1.0)]], 2, 5, 1.0).n_pairs(), 0);
    }
}
