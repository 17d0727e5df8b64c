//! For one item after the other, what every other item has in common with it: the rows that have both, or the sum of their
//! products. Two additions a cell at most; this is where the time of item-to-item similarity goes.

use std::ops::Range;

use crate::recommend::models::interactions::Matrix;
use crate::recommend::models::transpose::Columns;

use super::neighbour::Neighbour;

/// The rows, items and weights apart: where no weight says anything only items are read.
pub(super) struct Rows {
    offsets: Vec<usize>,
    items: Vec<u32>,
    /// Empty where all are 1: a product is the number of rows that have both.
    weights: Vec<f32>,
    /// By cell; empty where everything was bought: whoever has both has bought both.
    bought: Vec<bool>,
}

impl Rows {
    pub(super) fn new(matrix: &Matrix) -> Self {
        let cells = || matrix.rows().flatten();
        let mut offsets = vec![0];
        offsets.extend(matrix.rows().scan(0, |end, row| {
            *end += row.len();
            Some(*end)
        }));
        let all_ones = cells().all(|entry| entry.weight == 1.0);
        let weights = if all_ones { Vec::new() } else { cells().map(|entry| entry.weight).collect() };
        let all_bought = cells().all(|entry| entry.bought);
        Self {
            offsets,
            items: cells().map(|entry| entry.item).collect(),
            weights,
            bought: if all_bought { Vec::new() } else { cells().map(|entry| entry.bought).collect() },
        }
    }

    fn range(&self, row: u32) -> Range<usize> {
        let ends = self.offsets.get(row as usize).zip(self.offsets.get(row as usize + 1));
        ends.map_or(0..0, |(from, to)| *from..*to)
    }

    pub(super) fn items(&self, row: u32) -> &[u32] {
        self.items.get(self.range(row)).unwrap_or_default()
    }

    fn weights(&self, row: u32) -> &[f32] {
        self.weights.get(self.range(row)).unwrap_or_default()
    }

    /// The items of the row that were bought, if this one was.
    fn bought_with(&self, row: u32, item: usize) -> impl Iterator<Item = u32> {
        let bought = self.bought.get(self.range(row)).unwrap_or_default();
        let cells = self.items(row).iter().copied().zip(bought.iter().copied());
        let place = self.items(row).binary_search_by_key(&item, |item| *item as usize).ok();
        let is_bought = place.and_then(|place| bought.get(place)).copied().unwrap_or(false);
        cells.filter(move |(_, bought)| is_bought && *bought).map(|(item, _)| item)
    }
}

/// Sums of one thread, by item, for one item after the other; all 0 between two of them.
pub(super) struct Scratch {
    /// Rows that have both; unused where weights differ.
    shared: Vec<i32>,
    /// Products and rows that have both, in one place; unused where no weight but 1 is.
    sums: Vec<(f32, u32)>,
    /// Rows that bought both; unused where everything was bought.
    bought: Vec<u32>,
    /// Empty between two items.
    pub(super) list: Vec<Neighbour>,
}

/// Sums over two items.
pub(super) struct Both {
    pub(super) product: f64,
    pub(super) shared: u32,
    pub(super) bought: u32,
}

impl Scratch {
    pub(super) fn new(n_items: usize, rows: &Rows) -> Self {
        let (shared, sums) = if rows.weights.is_empty() { (n_items, 0) } else { (0, n_items) };
        let bought = if rows.bought.is_empty() { 0 } else { n_items };
        Self {
            shared: vec![0; shared],
            sums: vec![(0.0, 0); sums],
            bought: vec![0; bought],
            list: Vec::new(),
        }
    }

    /// Adds up the rows of an item. How many cells that were.
    pub(super) fn add_up(&mut self, item: usize, rows: &Rows, columns: &Columns) -> usize {
        let mut cells = 0;
        for (row, weight) in columns.cells(item) {
            let others = rows.items(row);
            cells += others.len();
            if rows.weights.is_empty() {
                for other in others {
                    if let Some(shared) = self.shared.get_mut(*other as usize) {
                        *shared += 1;
                    }
                }
            } else {
                for (other, other_weight) in others.iter().zip(rows.weights(row)) {
                    if let Some((product, shared)) = self.sums.get_mut(*other as usize) {
                        *product += weight * other_weight;
                        *shared += 1;
                    }
                }
            }
            if !rows.bought.is_empty() {
                for other in rows.bought_with(row, item) {
                    if let Some(bought) = self.bought.get_mut(other as usize) {
                        *bought += 1;
                    }
                }
            }
        }
        cells
    }

    /// Takes the sums of this item, once.
    pub(super) fn take(&mut self, other: usize) -> Option<Both> {
        let (product, shared) = match self.shared.get_mut(other) {
            Some(shared) => {
                let shared = std::mem::take(shared);
                (f64::from(shared), shared.cast_unsigned())
            }
            None => {
                let (product, shared) = std::mem::take(self.sums.get_mut(other)?);
                (f64::from(product), shared)
            }
        };
        let bought = self.bought.get_mut(other).map_or(shared, std::mem::take);
        (shared > 0).then_some(Both { product, shared, bought })
    }

    /// Bit mask of the items from `from` on, of these lengths, that have at least `bar` · their length in common. Computed on
    /// whole vectors at once.
    pub(super) fn reaching(&self, from: usize, lengths: &[f32], bar: f32) -> u32 {
        let bit = |index: u32, product: f32, length: f32| {
            u32::from((product >= bar * length) & (product != 0.0)) << index
        };
        let block = from..from + lengths.len();
        match self.shared.get(block.clone()) {
            Some(shared) => {
                let items = (0u32..).zip(shared).zip(lengths);
                items.fold(0, |all, ((index, shared), length)| all | bit(index, *shared as f32, *length))
            }
            None => {
                let sums = self.sums.get(block).unwrap_or_default();
                let items = (0u32..).zip(sums).zip(lengths);
                items.fold(0, |all, ((index, (product, _)), length)| all | bit(index, *product, *length))
            }
        }
    }

    /// Forgets whatever was not taken.
    pub(super) fn clear(&mut self) {
        self.shared.fill(0);
        self.sums.fill((0.0, 0));
        self.bought.fill(0);
    }
}
