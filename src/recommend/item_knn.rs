//! Item-to-item similarity: cosine between the columns of the user × item matrix, shrunk by the number of users
//! two items share, so that a coincidence of two does not win. Sarwar et al. 2001; shrinkage: Bell & Koren 2007.
//!
//! Time: Σ over rows of (row length)², at most rows · cap². Memory: 12 bytes · items · neighbours.

use std::ops::ControlFlow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::ItemId;

use super::interactions::Matrix;
use super::threads::Threads;

/// Multiplications between two looks at cancellation: a few milliseconds of work on two threads.
const COST_AT_ONCE: usize = 2_000_000;
/// And no more items than this.
const ITEMS_AT_ONCE: usize = 1_024;

/// How similarity is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnnParameters {
    /// Neighbours kept an item.
    pub neighbours: usize,
    /// n shared users multiply by n / (n + shrinkage); 0 = plain cosine.
    pub shrinkage: f32,
}

/// One similar item.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Which.
    pub item: ItemId,
    /// Cosine after shrinkage, 0…1.
    pub similarity: f32,
    /// Users or baskets that bought both, saturating.
    pub bought_together: u16,
}

/// For each item its most similar ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ItemKnn {
    offsets: Vec<u32>,
    neighbours: Vec<Neighbour>,
}

/// One column of the matrix: its cells by row.
struct Columns {
    offsets: Vec<usize>,
    rows: Vec<u32>,
    weights: Vec<f32>,
    bought: Vec<bool>,
    /// In f64, so that similarities that are equal stay equal when they are rounded to f32.
    norms: Vec<f64>,
}

impl Columns {
    fn new(matrix: &Matrix) -> Self {
        let n_items = matrix.n_items();
        let mut offsets = vec![0usize; n_items + 1];
        for entry in matrix.rows().flatten() {
            if let Some(count) = offsets.get_mut(entry.item as usize + 1) {
                *count += 1;
            }
        }
        let mut total = 0;
        for offset in &mut offsets {
            total += *offset;
            *offset = total;
        }
        let mut next = offsets.clone();
        let mut columns = Self {
            offsets,
            rows: vec![0; total],
            weights: vec![0.0; total],
            bought: vec![false; total],
            norms: vec![0.0; n_items],
        };
        for (row, entries) in (0u32..).zip(matrix.rows()) {
            for entry in entries {
                let Some(place) = next.get_mut(entry.item as usize) else { continue };
                if let (Some(to_row), Some(to_weight), Some(to_bought)) = (
                    columns.rows.get_mut(*place),
                    columns.weights.get_mut(*place),
                    columns.bought.get_mut(*place),
                ) {
                    (*to_row, *to_weight, *to_bought) = (row, entry.weight, entry.bought);
                }
                *place += 1;
                if let Some(norm) = columns.norms.get_mut(entry.item as usize) {
                    *norm += f64::from(entry.weight) * f64::from(entry.weight);
                }
            }
        }
        columns.norms.iter_mut().for_each(|norm| *norm = norm.sqrt());
        columns
    }

    /// Where a chunk of items that begins at `from` ends: by cost, at least one item further.
    fn chunk_end(&self, from: usize, matrix: &Matrix) -> usize {
        let mut cost = 0;
        let mut end = from;
        while end < self.norms.len() && end < from + ITEMS_AT_ONCE && cost < COST_AT_ONCE {
            cost += self.cells(end).map(|(row, ..)| matrix.row(row as usize).len()).sum::<usize>();
            end += 1;
        }
        end
    }

    fn cells(&self, item: usize) -> impl Iterator<Item = (u32, f32, bool)> {
        let range =
            self.offsets.get(item).zip(self.offsets.get(item + 1)).map_or(0..0, |(from, to)| *from..*to);
        let rows = self.rows.get(range.clone()).unwrap_or_default();
        let weights = self.weights.get(range.clone()).unwrap_or_default();
        let bought = self.bought.get(range).unwrap_or_default();
        rows.iter().zip(weights).zip(bought).map(|((row, weight), bought)| (*row, *weight, *bought))
    }
}

/// What one thread needs: sums by item, and which items were touched.
struct Scratch {
    sums: Vec<Pair>,
    touched: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Pair {
    product: f32,
    shared: u32,
    bought: u32,
}

impl ItemKnn {
    /// Fits on all threads of the pool. `progress` hears 0…1 every few milliseconds of work and may break, then
    /// `None` comes back. An empty matrix gives a model without neighbours.
    pub fn fit(
        matrix: &Matrix,
        parameters: &KnnParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let columns = Columns::new(matrix);
        let n_items = matrix.n_items();
        let mut model = Self { offsets: vec![0], neighbours: Vec::new() };
        let mut next = 0;
        while next < n_items {
            let chunk = next..columns.chunk_end(next, matrix);
            next = chunk.end;
            let lists: Vec<Vec<Neighbour>> = threads.run(|| {
                chunk
                    .into_par_iter()
                    .with_min_len(8)
                    .map_init(
                        || Scratch { sums: vec![Pair::default(); n_items], touched: Vec::new() },
                        |scratch, item| neighbours(item, matrix, &columns, parameters, scratch),
                    )
                    .collect()
            });
            for list in lists {
                model.neighbours.extend(list);
                model.offsets.push(u32::try_from(model.neighbours.len()).unwrap_or(u32::MAX));
            }
            if progress(model.offsets.len() as f32 / (n_items + 1) as f32).is_break() {
                return None;
            }
        }
        model.neighbours.shrink_to_fit();
        Some(model)
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

    /// Is every offset in range and rising, every similarity a number? Checked after loading.
    pub(super) fn is_sound(&self) -> bool {
        self.offsets.windows(2).all(|pair| matches!(pair, [a, b] if a <= b))
            && self.offsets.last().is_none_or(|last| *last as usize == self.neighbours.len())
            && self.neighbours.iter().all(|neighbour| neighbour.similarity.is_finite())
    }
}

fn neighbours(
    item: usize,
    matrix: &Matrix,
    columns: &Columns,
    parameters: &KnnParameters,
    scratch: &mut Scratch,
) -> Vec<Neighbour> {
    for (row, weight, bought) in columns.cells(item) {
        for entry in matrix.row(row as usize) {
            let Some(pair) = scratch.sums.get_mut(entry.item as usize) else { continue };
            if pair.shared == 0 {
                scratch.touched.push(entry.item);
            }
            pair.product += weight * entry.weight;
            pair.shared += 1;
            pair.bought += u32::from(bought && entry.bought);
        }
    }
    let own_norm = columns.norms.get(item).copied().unwrap_or(0.0);
    let mut list = Vec::with_capacity(scratch.touched.len());
    for other in scratch.touched.drain(..) {
        let Some(pair) = scratch.sums.get_mut(other as usize).map(std::mem::take) else { continue };
        if other as usize == item {
            continue;
        }
        let norm = own_norm * columns.norms.get(other as usize).copied().unwrap_or(0.0);
        let shared = f64::from(pair.shared);
        let shrunk = shared / (shared + f64::from(parameters.shrinkage.max(0.0)));
        let similarity = (f64::from(pair.product) / norm * shrunk) as f32;
        if similarity.is_finite() && similarity > 0.0 {
            list.push(Neighbour {
                item: ItemId(other),
                similarity: similarity.min(1.0),
                bought_together: u16::try_from(pair.bought).unwrap_or(u16::MAX),
            });
        }
    }
    let best_first =
        |a: &Neighbour, b: &Neighbour| b.similarity.total_cmp(&a.similarity).then(a.item.cmp(&b.item));
    if list.len() > parameters.neighbours {
        if parameters.neighbours == 0 {
            return Vec::new();
        }
        list.select_nth_unstable_by(parameters.neighbours - 1, best_first);
        list.truncate(parameters.neighbours);
    }
    list.sort_unstable_by(best_first);
    list.shrink_to_fit();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

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
