//! Grows one tree, always splitting the leaf that gains most (Ke et al. 2017); the larger child's histogram is the
//! parent's less the smaller one's.

use std::ops::{ControlFlow, Range};

use rayon::prelude::*;

use crate::ml::threads::Threads;

use super::bins::Bins;
use super::gradients::Gradients;
use super::histogram::{Split, Sum, best_split, fill};
use super::parameters::BoostingParameters;
use super::tree::{Grown, GrownNode};

/// Values below which handing work to other threads costs more than it saves (measured: 20 µs a handing over).
const MIN_PARALLEL: usize = 30_000;

/// Grows trees over one set of bins; its buffers are used again for each.
pub(super) struct Grower<'a> {
    bins: &'a Bins,
    parameters: &'a BoostingParameters,
    /// Rows of the sample, those of one leaf side by side and in rising order.
    rows: Vec<u32>,
    scratch: Vec<u32>,
    derivatives: Vec<(f32, f32)>,
    /// Rows (as a range of `rows`) and value of each leaf of the last tree.
    leaves: Vec<(Range<usize>, f32)>,
    spare: Vec<Vec<Sum>>,
}

struct Leaf {
    node: usize,
    depth: usize,
    rows: Range<usize>,
    total: Sum,
    histogram: Option<Vec<Sum>>,
    split: Option<Split>,
}

/// The columns in use, each with its place in a histogram.
struct Columns {
    columns: Vec<usize>,
    /// Of equal length for each: the largest number of bins.
    stride: usize,
}

impl<'a> Grower<'a> {
    pub(super) fn new(bins: &'a Bins, parameters: &'a BoostingParameters, n: usize) -> Self {
        Self {
            bins,
            parameters,
            rows: Vec::with_capacity(n),
            scratch: Vec::with_capacity(n),
            derivatives: Vec::with_capacity(n),
            leaves: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// One tree; a single leaf when no split gains. `hear` is told the number of splits made and may break: `None`.
    /// Adds each split's gain to its column's in `gains`.
    pub(super) fn grow(
        &mut self,
        gradients: &Gradients,
        in_sample: &[bool],
        columns: &[usize],
        threads: &Threads,
        gains: &mut [f32],
        hear: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Option<Grown> {
        let all = self.bins.columns();
        let stride = columns.iter().filter_map(|column| all.get(*column)).map(|column| column.n_bins()).max();
        let columns = Columns { columns: columns.to_vec(), stride: stride.unwrap_or(2) };
        self.rows.clear();
        self.rows.extend((0u32..).zip(in_sample).filter(|(_, sampled)| **sampled).map(|(row, _)| row));
        let mut grown = Grown(vec![GrownNode::Leaf(0.0)]);
        let mut leaves = vec![self.root(gradients, &columns, threads)];
        let mut n_splits = 0;
        while leaves.len() < self.parameters.leaves {
            if hear(n_splits).is_break() {
                return None;
            }
            let Some((index, split)) = best_leaf(&leaves) else { break };
            let leaf = leaves.remove(index);
            if let Some(gain) = gains.get_mut(split.column) {
                *gain += split.gain as f32;
            }
            let children = self.split(leaf, &split, &mut grown, gradients, &columns, threads);
            leaves.extend(children);
            n_splits += 1;
        }
        self.leaves.clear();
        for leaf in leaves {
            let value = leaf.total.value(self.parameters.l2) * f64::from(self.parameters.learning_rate);
            let value = if value.is_finite() { value as f32 } else { 0.0 };
            if let Some(node) = grown.0.get_mut(leaf.node) {
                *node = GrownNode::Leaf(value);
            }
            self.leaves.push((leaf.rows, value));
            self.spare.extend(leaf.histogram);
        }
        Some(grown)
    }

    /// Adds the values of the last tree to the scores of the rows it was grown on.
    pub(super) fn add_to(&self, scores: &mut [f32]) {
        for (rows, value) in &self.leaves {
            for row in self.rows.get(rows.clone()).unwrap_or_default() {
                if let Some(score) = scores.get_mut(*row as usize) {
                    *score += value;
                }
            }
        }
    }

    fn root(&mut self, gradients: &Gradients, columns: &Columns, threads: &Threads) -> Leaf {
        let rows = 0..self.rows.len();
        let mut total = Sum { rows: rows.len() as u32, ..Sum::default() };
        for row in &self.rows {
            let (gradient, hessian) = gradients.at(*row);
            total.gradient += f64::from(gradient);
            total.hessian += f64::from(hessian);
        }
        let mut leaf = Leaf { node: 0, depth: 0, rows, total, histogram: None, split: None };
        if self.may_split(&leaf) {
            let histogram = self.histogram(&leaf.rows, gradients, columns, threads);
            leaf.split = self.find(&histogram, leaf.total, columns, threads);
            leaf.histogram = Some(histogram);
        }
        leaf
    }

    fn may_split(&self, leaf: &Leaf) -> bool {
        let deep = self.parameters.max_depth > 0 && leaf.depth >= self.parameters.max_depth;
        !deep && leaf.rows.len() >= 2 * self.parameters.min_rows.max(1)
    }

    fn split(
        &mut self,
        leaf: Leaf,
        split: &Split,
        grown: &mut Grown,
        gradients: &Gradients,
        columns: &Columns,
        threads: &Threads,
    ) -> [Leaf; 2] {
        let middle = self.part(&leaf.rows, split);
        let (left, right) = (grown.0.len(), grown.0.len() + 1);
        grown.0.extend([GrownNode::Leaf(0.0), GrownNode::Leaf(0.0)]);
        if let Some(node) = grown.0.get_mut(leaf.node) {
            let Split { column, threshold, missing_left, .. } = *split;
            *node = GrownNode::Split { column, threshold, missing_left, left, right };
        }
        let child = |node, rows, total| Leaf {
            node,
            depth: leaf.depth + 1,
            rows,
            total,
            histogram: None,
            split: None,
        };
        let mut left = child(left, leaf.rows.start..middle, split.left);
        let mut right = child(right, middle..leaf.rows.end, split.right);
        let (small, large) = if left.rows.len() <= right.rows.len() {
            (&mut left, &mut right)
        } else {
            (&mut right, &mut left)
        };
        if self.may_split(large) {
            let own = self.histogram(&small.rows, gradients, columns, threads);
            if let Some(mut parent) = leaf.histogram {
                for (sum, part) in parent.iter_mut().zip(&own) {
                    *sum = sum.minus(*part);
                }
                large.split = self.find(&parent, large.total, columns, threads);
                large.histogram = Some(parent);
            }
            if self.may_split(small) {
                small.split = self.find(&own, small.total, columns, threads);
            }
            small.histogram = Some(own);
        } else {
            self.spare.extend(leaf.histogram);
        }
        [left, right]
    }

    /// Sorts the rows of a leaf into left and right, each in rising order; where the right ones begin.
    fn part(&mut self, range: &Range<usize>, split: &Split) -> usize {
        let Some(column) = self.bins.columns().get(split.column) else { return range.end };
        let missing = column.uppers.len() + 1;
        let Some(rows) = self.rows.get_mut(range.clone()) else { return range.end };
        self.scratch.clear();
        let mut n_left = 0;
        for index in 0..rows.len() {
            let Some(row) = rows.get(index).copied() else { break };
            let bin = column.rows.get(row as usize).copied().unwrap_or(0);
            let is_missing = usize::from(bin) == missing;
            if if is_missing { split.missing_left } else { bin <= split.bin } {
                if let Some(slot) = rows.get_mut(n_left) {
                    *slot = row;
                }
                n_left += 1;
            } else {
                self.scratch.push(row);
            }
        }
        if let Some(right) = rows.get_mut(n_left..) {
            right.copy_from_slice(&self.scratch);
        }
        range.start + n_left
    }

    /// Sums by column and bin of the rows of a leaf.
    fn histogram(
        &mut self,
        range: &Range<usize>,
        gradients: &Gradients,
        columns: &Columns,
        threads: &Threads,
    ) -> Vec<Sum> {
        let mut histogram = self.spare.pop().unwrap_or_default();
        histogram.resize(columns.columns.len() * columns.stride, Sum::default());
        let rows = self.rows.get(range.clone()).unwrap_or_default();
        self.derivatives.clear();
        self.derivatives.extend(rows.iter().map(|row| gradients.at(*row)));
        let (all, derivatives) = (self.bins.columns(), &self.derivatives);
        let one = |(place, column): (&mut [Sum], &usize)| {
            if let Some(column) = all.get(*column) {
                fill(place, column, rows, derivatives);
            }
        };
        let places = columns.stride.max(1);
        if rows.len() * columns.columns.len() < MIN_PARALLEL {
            histogram.chunks_mut(places).zip(&columns.columns).for_each(one);
        } else {
            threads.run(|| histogram.par_chunks_mut(places).zip(&columns.columns).for_each(one));
        }
        histogram
    }

    /// The best split over the columns; ties go to the lower column.
    fn find(&self, histogram: &[Sum], total: Sum, columns: &Columns, threads: &Threads) -> Option<Split> {
        let all = self.bins.columns();
        let one = |(place, index): (&[Sum], &usize)| {
            all.get(*index).and_then(|column| best_split(*index, column, place, total, self.parameters))
        };
        let places = columns.stride.max(1);
        let best = |best: Option<Split>, split: Split| match best {
            Some(best) if best.gain >= split.gain => Some(best),
            _ => Some(split),
        };
        if histogram.len() < MIN_PARALLEL {
            histogram.chunks(places).zip(&columns.columns).filter_map(one).fold(None, best)
        } else {
            let found: Vec<Option<Split>> =
                threads.run(|| histogram.par_chunks(places).zip(&columns.columns).map(one).collect());
            found.into_iter().flatten().fold(None, best)
        }
    }
}

/// The leaf whose split gains most, ties to the one made first.
fn best_leaf(leaves: &[Leaf]) -> Option<(usize, Split)> {
    let mut best: Option<(usize, Split)> = None;
    for (index, leaf) in leaves.iter().enumerate() {
        if let Some(split) = leaf.split
            && best.as_ref().is_none_or(|(_, best)| split.gain > best.gain)
        {
            best = Some((index, split));
        }
    }
    best
}
