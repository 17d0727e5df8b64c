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
        let mut made = ListBuilder::default();
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
            made.push(lists);
            if progress(next as f32 / self.n_items() as f32).is_break() {
                return None;
            }
        }
        Some(made.finish())
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

/// Concatenates lists while they are made, a part of them at a time. The lists of a part are freed once they are copied: one small list
/// for each item until the end, allocated by one thread and freed by another, leaves the allocator with pages that stay resident.
#[derive(Clone, Debug)]
pub(crate) struct ListBuilder<T>(Vec<Part<T>>);

/// Some of the lists, concatenated.
#[derive(Clone, Debug)]
struct Part<T> {
    /// Length of each list.
    lengths: Vec<usize>,
    /// Their elements.
    all: Vec<T>,
}

impl<T> Default for ListBuilder<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ListBuilder<T> {
    /// Appends lists.
    pub(crate) fn push(&mut self, lists: Vec<Vec<T>>) {
        let lengths: Vec<usize> = lists.iter().map(Vec::len).collect();
        let mut all = Vec::with_capacity(lengths.iter().sum());
        all.extend(lists.into_iter().flatten());
        self.0.push(Part { lengths, all });
    }

    /// Number of lists.
    pub(crate) fn n_lists(&self) -> usize {
        self.0.iter().map(|part| part.lengths.len()).sum()
    }

    /// The elements of all lists, in order.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|part| &part.all)
    }

    /// Calls `visit` with every list, in order. Each part is freed once its lists were visited.
    pub(crate) fn drain(self, mut visit: impl FnMut(&[T])) {
        for Part { lengths, all } in self.0 {
            let mut rest = all.as_slice();
            for length in lengths {
                let (list, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                visit(list);
                rest = others;
            }
        }
    }

    /// Offset of each list, one more at the end, and the elements. Each part is freed once it is copied: a vector that grows by doubling
    /// would hold all of them twice.
    pub(crate) fn finish(self) -> (Vec<u32>, Vec<T>) {
        let (mut offsets, mut end) = (Vec::with_capacity(self.n_lists() + 1), 0usize);
        offsets.push(0u32);
        for length in self.0.iter().flat_map(|part| &part.lengths) {
            end += length;
            offsets.push(u32::try_from(end).unwrap_or(u32::MAX));
        }
        let mut all = Vec::with_capacity(end);
        self.0.into_iter().for_each(|part| all.extend(part.all));
        (offsets, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_in_their_order() {
        let mut lists = ListBuilder::default();
        lists.push(vec![vec![3, 1], vec![]]);
        lists.push(vec![vec![2]]);
        lists.push(Vec::new());
        assert_eq!((lists.n_lists(), lists.elements().sum::<i32>()), (3, 6));
        let mut visited = Vec::new();
        lists.clone().drain(|list| visited.push(list.to_vec()));
        assert_eq!(visited, [vec![3, 1], vec![], vec![2]]);
        assert_eq!(lists.finish(), (vec![0, 2, 2, 3], vec![3, 1, 2]));
        assert_eq!(ListBuilder::<u8>::default().finish(), (vec![0], vec![]));
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
