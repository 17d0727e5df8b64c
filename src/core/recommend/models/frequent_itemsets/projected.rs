//! Eclat over projected bitsets: the search itself.
#![expect(
    clippy::indexing_slicing,
    reason = "the inner loops; every index comes from the lengths built here"
)]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::baskets::Baskets;
use super::itemsets::{Found, ItemsetParameters};
use crate::ml::threads::Threads;

/// Increments between two looks at cancellation: a few milliseconds on two threads.
const COST_AT_ONCE: usize = 500_000;
/// And no more first items than this.
const ITEMS_AT_ONCE: usize = 256;
/// No set is larger than this, whatever is asked: a set of k items has 2^k subsets.
pub(super) const MOST_ITEMS: usize = 12;
/// Not among the frequent items.
const RARE: u32 = u32::MAX;

/// The baskets reduced to their frequent items, renumbered by rank: rank 0 is the rarest, so that the sets that
/// begin with it have the shortest bitsets and the most extensions, and the most frequent item has none.
pub(super) struct Projected {
    least_count: u32,
    /// Item of each rank.
    item: Vec<u32>,
    /// Baskets by row: ranks ascending.
    row_offsets: Vec<usize>,
    rows: Vec<u32>,
    /// Rows by rank.
    tid_offsets: Vec<usize>,
    tids: Vec<u32>,
}

/// Scratch space of one thread.
struct Scratch {
    /// By rank: count, then place among the extensions.
    counts: Vec<u32>,
    touched: Vec<u32>,
    bits: Vec<u64>,
    set: Vec<u32>,
}

impl Projected {
    pub(super) fn new(baskets: &Baskets, max_basket: usize, least_count: u32) -> Self {
        let usable = || baskets.iter().filter(|basket| basket.len() <= max_basket);
        let mut counts = vec![0u32; baskets.n_items()];
        for item in usable().flatten() {
            counts[*item as usize] += 1;
        }
        let mut item: Vec<u32> =
            (0u32..).zip(&counts).filter(|(_, count)| **count >= least_count).map(|(item, _)| item).collect();
        item.sort_unstable_by_key(|item| (counts[*item as usize], *item));
        let mut rank = vec![RARE; counts.len()];
        for (place, item) in (0u32..).zip(&item) {
            rank[*item as usize] = place;
        }
        let mut row_offsets = vec![0];
        let mut rows = Vec::new();
        for basket in usable() {
            let from = rows.len();
            rows.extend(basket.iter().map(|item| rank[*item as usize]).filter(|rank| *rank != RARE));
            if rows.len() > from {
                rows[from..].sort_unstable();
                row_offsets.push(rows.len());
            }
        }
        let mut tid_offsets = vec![0usize; item.len() + 1];
        for rank in &rows {
            tid_offsets[*rank as usize + 1] += 1;
        }
        for place in 1..tid_offsets.len() {
            tid_offsets[place] += tid_offsets[place - 1];
        }
        let mut next = tid_offsets.clone();
        let mut tids = vec![0u32; rows.len()];
        for (row, range) in (0u32..).zip(row_offsets.windows(2)) {
            for rank in &rows[range[0]..range[1]] {
                let place = &mut next[*rank as usize];
                tids[*place] = row;
                *place += 1;
            }
        }
        Self { least_count, item, row_offsets, rows, tid_offsets, tids }
    }

    fn tids(&self, rank: usize) -> &[u32] {
        &self.tids[self.tid_offsets[rank]..self.tid_offsets[rank + 1]]
    }

    fn row(&self, row: u32) -> &[u32] {
        &self.rows[self.row_offsets[row as usize]..self.row_offsets[row as usize + 1]]
    }

    /// `None` when cancelled, `Some(None)` when there are too many.
    pub(super) fn mine(
        &self,
        parameters: &ItemsetParameters,
        threads: &Threads,
        progress: &mut impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Option<Found>> {
        let n = self.item.len();
        let max_items = parameters.max_items.clamp(1, MOST_ITEMS);
        let total = AtomicUsize::new(0);
        let mut found = Found::default();
        let mut next = 0;
        while next < n {
            let from = next;
            let mut cost = 0;
            while next < n && next < from + ITEMS_AT_ONCE && cost < COST_AT_ONCE {
                cost += self.tids(next).iter().map(|row| self.row(*row).len()).sum::<usize>();
                next += 1;
            }
            let parts: Vec<Found> = threads.run(|| {
                (from..next)
                    .into_par_iter()
                    .map_init(
                        || Scratch {
                            counts: vec![0; n],
                            touched: Vec::new(),
                            bits: Vec::new(),
                            set: Vec::new(),
                        },
                        |scratch, rank| {
                            let mut part = Found::default();
                            let mut sink = |set: &[u32], count| {
                                part.push(set, count);
                                let before = total.fetch_add(1, Ordering::Relaxed);
                                before < parameters.max_itemsets
                            };
                            // Whether all or too many are found is read from the total.
                            let _ = self.begin_with(rank, max_items, scratch, &mut sink);
                            part
                        },
                    )
                    .collect()
            });
            if total.load(Ordering::Relaxed) > parameters.max_itemsets {
                return Some(None);
            }
            parts.into_iter().for_each(|part| found.append(part));
            if progress(next as f32 / n as f32).is_break() {
                return None;
            }
        }
        Some(Some(found))
    }

    /// All sets whose rarest item is this. Breaks when the sink wants no more.
    fn begin_with(
        &self,
        first: usize,
        max_items: usize,
        scratch: &mut Scratch,
        sink: &mut impl FnMut(&[u32], u32) -> bool,
    ) -> ControlFlow<()> {
        let tids = self.tids(first);
        scratch.set.clear();
        scratch.set.push(self.item[first]);
        emit(&scratch.set, tids.len() as u32, sink)?;
        if max_items == 1 {
            return ControlFlow::Continue(());
        }
        let later = |row: u32| {
            let row = self.row(row);
            &row[row.partition_point(|rank| *rank as usize <= first)..]
        };
        for rank in tids.iter().flat_map(|row| later(*row)) {
            let count = &mut scratch.counts[*rank as usize];
            if *count == 0 {
                scratch.touched.push(*rank);
            }
            *count += 1;
        }
        scratch.touched.sort_unstable();
        let mut extensions = Vec::new();
        for rank in scratch.touched.drain(..) {
            let count = std::mem::take(&mut scratch.counts[rank as usize]);
            if count >= self.least_count {
                extensions.push(Extension { rank, count, at: 0 });
            }
        }
        let words = tids.len().div_ceil(64);
        if max_items > 2 && extensions.len() > 1 {
            scratch.bits.clear();
            scratch.bits.resize(words * extensions.len(), 0);
            for (place, extension) in extensions.iter_mut().enumerate() {
                extension.at = place * words;
                scratch.counts[extension.rank as usize] = place as u32 + 1;
            }
            for (local, row) in tids.iter().enumerate() {
                for rank in later(*row) {
                    let place = scratch.counts[*rank as usize] as usize;
                    if place > 0 {
                        scratch.bits[(place - 1) * words + local / 64] |= 1 << (local % 64);
                    }
                }
            }
            for extension in &extensions {
                scratch.counts[extension.rank as usize] = 0;
            }
        }
        let Scratch { bits, set, .. } = scratch;
        self.extend(&extensions, words, max_items, bits, set, sink)
    }

    /// Depth first; at most [`MOST_ITEMS`] deep. What `bits` held on entry it holds on return.
    fn extend(
        &self,
        extensions: &[Extension],
        words: usize,
        max_items: usize,
        bits: &mut Vec<u64>,
        set: &mut Vec<u32>,
        sink: &mut impl FnMut(&[u32], u32) -> bool,
    ) -> ControlFlow<()> {
        for (place, extension) in extensions.iter().enumerate() {
            set.push(self.item[extension.rank as usize]);
            emit(set, extension.count, sink)?;
            if set.len() < max_items && place + 1 < extensions.len() {
                let before = bits.len();
                let mut deeper = Vec::new();
                for other in &extensions[place + 1..] {
                    let at = bits.len();
                    let mut count = 0;
                    for word in 0..words {
                        let both = bits[extension.at + word] & bits[other.at + word];
                        count += both.count_ones();
                        bits.push(both);
                    }
                    if count >= self.least_count {
                        deeper.push(Extension { rank: other.rank, count, at });
                    } else {
                        bits.truncate(at);
                    }
                }
                if !deeper.is_empty() {
                    self.extend(&deeper, words, max_items, bits, set, sink)?;
                }
                bits.truncate(before);
            }
            set.pop();
        }
        ControlFlow::Continue(())
    }
}

/// An item that may be added, and where in the bits its baskets stand.
#[derive(Clone, Copy)]
struct Extension {
    rank: u32,
    count: u32,
    at: usize,
}

fn emit(set: &[u32], count: u32, sink: &mut impl FnMut(&[u32], u32) -> bool) -> ControlFlow<()> {
    let mut sorted = [0u32; MOST_ITEMS];
    let sorted = &mut sorted[..set.len()];
    sorted.copy_from_slice(set);
    sorted.sort_unstable();
    if sink(sorted, count) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
