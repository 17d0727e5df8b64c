//! The interaction matrix by column (CSC): for each item the rows that touched it, in order of row. What every
//! item-by-item model walks over. 8 bytes a cell and 8 an item.

use std::ops::{ControlFlow, Range};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ml::threads::Threads;

use super::interactions::Matrix;

/// Multiplications between two looks at cancellation: a few milliseconds of work on two threads.
const COST_AT_ONCE: usize = 2_000_000;
/// And no more items than this.
const ITEMS_AT_ONCE: usize = 1_024;

/// The cells of each item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Columns {
    offsets: Vec<usize>,
    rows: Vec<u32>,
    weights: Vec<f32>,
}

impl Columns {
    /// Counting sort, O(cells + items).
    pub(crate) fn new(matrix: &Matrix) -> Self {
        let mut offsets = vec![0usize; matrix.n_items() + 1];
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
        let mut columns = Self { offsets, rows: vec![0; total], weights: vec![0.0; total] };
        for (row, entries) in (0u32..).zip(matrix.rows()) {
            for entry in entries {
                let Some(place) = next.get_mut(entry.item as usize) else { continue };
                if let (Some(to_row), Some(to_weight)) =
                    (columns.rows.get_mut(*place), columns.weights.get_mut(*place))
                {
                    (*to_row, *to_weight) = (row, entry.weight);
                }
                *place += 1;
            }
        }
        columns
    }

    /// Number of items.
    pub(crate) fn n_items(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The rows that touched an item, rising, and how much; empty for an unknown item. O(1).
    pub(crate) fn column(&self, item: usize) -> (&[u32], &[f32]) {
        let range =
            self.offsets.get(item).zip(self.offsets.get(item + 1)).map_or(0..0, |(from, to)| *from..*to);
        let rows = self.rows.get(range.clone()).unwrap_or_default();
        (rows, self.weights.get(range).unwrap_or_default())
    }

    /// The same as pairs.
    pub(crate) fn cells(&self, item: usize) -> impl Iterator<Item = (u32, f32)> {
        let (rows, weights) = self.column(item);
        rows.iter().copied().zip(weights.iter().copied())
    }

    /// Range of a chunk of items that begins at `from`: its end follows from the cost of multiplying with the rows, at least one
    /// item further.
    fn chunk(&self, from: usize, matrix: &Matrix) -> Range<usize> {
        let mut cost = 0;
        let mut end = from;
        while end < self.n_items() && end < from + ITEMS_AT_ONCE && cost < COST_AT_ONCE {
            cost += self.column(end).0.iter().map(|row| matrix.row(*row as usize).len()).sum::<usize>();
            end += 1;
        }
        from..end
    }

    /// One list an item, made on all threads of the pool from what `init` gives each of them; as offsets and the
    /// lists one after another, in order of item. `progress` hears 0…1 every few milliseconds of work and may
    /// break, then `None` comes back.
    pub(crate) fn lists<S, T: Send>(
        &self,
        matrix: &Matrix,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
        init: impl Fn() -> S + Sync + Send,
        list: impl Fn(usize, &mut S) -> Vec<T> + Sync + Send,
    ) -> Option<(Vec<u32>, Vec<T>)> {
        let mut made: Vec<Vec<T>> = Vec::with_capacity(self.n_items());
        let mut next = 0;
        while next < self.n_items() {
            let chunk = self.chunk(next, matrix);
            next = chunk.end;
            let one = |scratch: &mut S, item: usize| {
                let mut made = list(item, scratch);
                made.shrink_to_fit();
                made
            };
            let lists: Vec<Vec<T>> =
                threads.run(|| chunk.into_par_iter().with_min_len(8).map_init(&init, one).collect());
            made.extend(lists);
            if progress(next as f32 / self.n_items() as f32).is_break() {
                return None;
            }
        }
        Some(joined(made))
    }

    /// Every offset in range and rising, every row below `n_rows`, every weight a number? Checked after loading.
    pub(crate) fn is_sound(&self, n_rows: usize) -> bool {
        self.offsets.windows(2).all(|pair| matches!(pair, [a, b] if a <= b))
            && self.offsets.last().copied().unwrap_or(0) == self.rows.len()
            && self.rows.len() == self.weights.len()
            && self.rows.iter().all(|row| (*row as usize) < n_rows)
            && self.weights.iter().all(|weight| weight.is_finite())
    }
}

/// Lists one after another: where each begins, one more at the end, and the elements. Each list goes as soon as it is copied: a vector
/// that grows by doubling would hold all of them twice.
pub(crate) fn joined<T>(lists: Vec<Vec<T>>) -> (Vec<u32>, Vec<T>) {
    let mut offsets = Vec::with_capacity(lists.len() + 1);
    offsets.push(0u32);
    let mut all = Vec::with_capacity(lists.iter().map(Vec::len).sum());
    for list in lists {
        all.extend(list);
        offsets.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
    }
    (offsets, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_in_their_order() {
        assert_eq!(joined(vec![vec![3, 1], vec![], vec![2]]), (vec![0, 2, 2, 3], vec![3, 1, 2]));
        assert_eq!(joined(Vec::<Vec<u8>>::new()), (vec![0], vec![]));
    }

    #[test]
    fn a_column_holds_the_rows_that_touched_the_item() {
        let matrix = Matrix::from_rows(&[vec![(2, 1.0), (0, 0.5)], vec![], vec![(2, 3.0)]], 4);
        let columns = Columns::new(&matrix);
        assert_eq!(columns.n_items(), 4);
        assert_eq!(columns.column(2), (&[0, 2][..], &[1.0, 3.0][..]));
        assert_eq!(columns.column(0), (&[0][..], &[0.5][..]));
        assert!(columns.column(1).0.is_empty() && columns.column(99).0.is_empty());
        assert!(columns.is_sound(3) && !columns.is_sound(2));
        assert_eq!(Columns::new(&Matrix::default()).n_items(), 0);
    }
}
