//! Item-to-item similarity: cosine between the columns of the user × item matrix, shrunk by the number of users
//! two items share, so that a coincidence of two does not win. Sarwar et al. 2001; shrinkage: Bell & Koren 2007.
//!
//! Time: Σ over rows of (row length)², at most rows · cap². Memory: 12 bytes · items · neighbours, and 17 a cell while it
//! fits.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

use super::columns::Columns;
use super::interactions::{Entry, Matrix};
use super::threads::Threads;

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

/// The rows in 8 bytes a cell, so that twice as many fit a cache line; the highest bit of the item says "bought".
struct Rows {
    offsets: Vec<usize>,
    cells: Vec<(u32, f32)>,
    /// No cell without the bit: whoever has both has bought both.
    all_bought: bool,
    /// No weight but 1: a product is the number of rows that have both.
    all_ones: bool,
}

const BOUGHT: u32 = 1 << 31;

impl Rows {
    fn new(matrix: &Matrix) -> Self {
        let mut rows = Self {
            offsets: vec![0],
            cells: Vec::with_capacity(matrix.n_entries()),
            all_bought: true,
            all_ones: true,
        };
        for row in matrix.rows() {
            let cell = |entry: &Entry| (entry.item | if entry.bought { BOUGHT } else { 0 }, entry.weight);
            rows.cells.extend(row.iter().map(cell));
            rows.offsets.push(rows.cells.len());
            rows.all_bought &= row.iter().all(|entry| entry.bought);
            rows.all_ones &= row.iter().all(|entry| entry.weight == 1.0);
        }
        rows
    }

    /// Was this item of the row bought?
    fn bought(&self, row: u32, item: usize) -> bool {
        let cells = self.row(row);
        let place = cells.binary_search_by_key(&item, |(item, _)| (item & !BOUGHT) as usize);
        place.ok().and_then(|place| cells.get(place)).is_some_and(|(item, _)| item & BOUGHT != 0)
    }

    fn row(&self, row: u32) -> &[(u32, f32)] {
        let range = self.offsets.get(row as usize).zip(self.offsets.get(row as usize + 1));
        range.and_then(|(from, to)| self.cells.get(*from..*to)).unwrap_or_default()
    }
}

/// What all threads read.
struct Data<'a> {
    rows: &'a Rows,
    columns: &'a Columns,
    /// Lengths of the columns.
    norms: &'a [f64],
}

/// What one thread needs: sums by item, and which items were touched.
struct Scratch {
    /// Product and rows that have both: 8 bytes an item, so that some thousand stay in the first-level cache.
    sums: Vec<(f32, u32)>,
    /// Rows that bought both; unused where everything was bought.
    bought: Vec<u32>,
    touched: Vec<u32>,
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
        let (columns, rows) = (Columns::new(matrix), Rows::new(matrix));
        let n_items = matrix.n_items();
        // In f64, so that similarities that are equal stay equal when they are rounded to f32.
        let norm =
            |item| columns.cells(item).map(|(_, weight)| f64::from(weight).powi(2)).sum::<f64>().sqrt();
        let norms: Vec<f64> = (0..n_items).map(norm).collect();
        let data = Data { rows: &rows, columns: &columns, norms: &norms };
        let init =
            || Scratch { sums: vec![(0.0, 0); n_items], bought: vec![0; n_items], touched: Vec::new() };
        let list = |item: usize, scratch: &mut Scratch| neighbours(item, &data, parameters, scratch);
        let (offsets, neighbours) = columns.lists(matrix, threads, progress, init, list)?;
        Some(Self { offsets, neighbours })
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
    data: &Data<'_>,
    parameters: &KnnParameters,
    scratch: &mut Scratch,
) -> Vec<Neighbour> {
    let Scratch { sums, bought, touched } = scratch;
    let Data { rows, columns, norms } = *data;
    let cost: usize = columns.cells(item).map(|(row, _)| rows.row(row).len()).sum();
    for (row, weight) in columns.cells(item) {
        let cells = rows.row(row);
        if rows.all_ones {
            for (other, _) in cells {
                if let Some((_, shared)) = sums.get_mut((other & !BOUGHT) as usize) {
                    *shared += 1;
                }
            }
        } else {
            for (other, other_weight) in cells {
                if let Some((product, shared)) = sums.get_mut((other & !BOUGHT) as usize) {
                    *product += weight * other_weight;
                    *shared += 1;
                }
            }
        }
        if !rows.all_bought && rows.bought(row, item) {
            for (other, _) in cells.iter().filter(|(other, _)| other & BOUGHT != 0) {
                if let Some(bought) = bought.get_mut((other & !BOUGHT) as usize) {
                    *bought += 1;
                }
            }
        }
    }
    // Whom to look at: everybody where most were touched anyway, else those touched, each once.
    touched.clear();
    if cost >= sums.len() / 2 {
        touched
            .extend((0u32..).zip(sums.iter()).filter(|(_, (_, shared))| *shared > 0).map(|(other, _)| other));
    } else {
        touched
            .extend(columns.cells(item).flat_map(|(row, _)| rows.row(row)).map(|(other, _)| other & !BOUGHT));
    }
    let k = parameters.neighbours;
    let own_norm = norms.get(item).copied().unwrap_or(0.0);
    let shrinkage = f64::from(parameters.shrinkage.max(0.0));
    let mut list = Vec::with_capacity(touched.len().min(2 * k.min(touched.len()) + 1));
    // Below this nobody gets in any more; 0 until k are known.
    let mut bar = 0f64;
    for other in touched.drain(..) {
        let Some((product, shared)) = sums.get_mut(other as usize).map(std::mem::take) else { continue };
        let both =
            if rows.all_bought { shared } else { bought.get_mut(other as usize).map_or(0, std::mem::take) };
        let norm = own_norm * norms.get(other as usize).copied().unwrap_or(0.0);
        let product = if rows.all_ones { f64::from(shared) } else { f64::from(product) };
        // Seen already, or too far, told without a division: most end here. Rounding to f32 may lift one by 1e-7 at most.
        if shared == 0 || other as usize == item || product < bar * norm {
            continue;
        }
        let shared = f64::from(shared);
        let similarity = (product / norm * (shared / (shared + shrinkage))) as f32;
        if similarity.is_finite() && similarity > 0.0 {
            list.push(Neighbour {
                item: ItemId(other),
                similarity: similarity.min(1.0),
                bought_together: u16::try_from(both).unwrap_or(u16::MAX),
            });
        }
        if list.len() > k.saturating_mul(2) {
            keep_nearest(&mut list, k);
            bar = list.last().map_or(0.0, |worst| f64::from(worst.similarity) * (1.0 - 1e-6));
        }
    }
    keep_nearest(&mut list, k);
    list.sort_unstable_by(nearest_first);
    list.shrink_to_fit();
    list
}

fn nearest_first(a: &Neighbour, b: &Neighbour) -> Ordering {
    b.similarity.total_cmp(&a.similarity).then(a.item.cmp(&b.item))
}

/// The k nearest, the least of them last, the others in any order. O(list).
fn keep_nearest(list: &mut Vec<Neighbour>, k: usize) {
    if list.len() > k {
        if k > 0 {
            list.select_nth_unstable_by(k - 1, nearest_first);
        }
        list.truncate(k);
    }
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
        let rows: Vec<Vec<(u32, f32)>> = (0..200u32)
            .map(|user| (0..12).map(|k| ((user * 7 + k * k * 5 + user * k % 11) % 90, 1.0)).collect())
            .collect();
        let (all, some) = (fit(&rows, 90, usize::MAX, 2.0), fit(&rows, 90, 7, 2.0));
        for item in (0..90).map(ItemId) {
            let nearest: Vec<_> = all.neighbours(item).iter().take(7).copied().collect();
            assert_eq!(some.neighbours(item), nearest);
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
