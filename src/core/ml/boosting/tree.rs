//! Trees as they are stored and walked: all nodes of all trees in one row, children side by side, leaves that lead to
//! themselves, so that several trees can be walked in step without a branch.
#![expect(
    clippy::indexing_slicing,
    reason = "the inner loop of prediction; `is_sound` is checked after loading"
)]

use serde::{Deserialize, Serialize};

/// Trees walked in step: their loads overlap.
const IN_STEP: usize = 8;

/// A node of a tree that grows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GrownNode {
    Leaf(f32),
    Split { column: usize, threshold: f32, missing_left: bool, left: usize, right: usize },
}

/// One tree just grown; node 0 is the root, children come after their parent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Grown(pub(super) Vec<GrownNode>);

impl Grown {
    pub(super) fn n_leaves(&self) -> usize {
        self.0.iter().filter(|node| matches!(node, GrownNode::Leaf(_))).count()
    }
}

/// Twelve bytes a node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    /// Values up to this go left; +∞ in a leaf.
    threshold: f32,
    /// The left child, the right one follows; the node itself for a leaf.
    child: u32,
    column: u16,
    /// True if NaN goes to the left child; true in a leaf.
    missing_left: bool,
}

/// All trees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    /// By node; 0 for a split.
    values: Vec<f32>,
    /// Root and depth of each tree.
    roots: Vec<(u32, u32)>,
}

impl Forest {
    /// Adds a tree breadth first; its index.
    pub(super) fn push(&mut self, grown: &Grown) -> usize {
        let root = self.nodes.len();
        let mut queue = vec![(0usize, 0u32)];
        let mut depth = 0;
        let mut next = 0;
        while let Some((index, level)) = queue.get(next).copied() {
            let own = root + next;
            next += 1;
            depth = depth.max(level);
            let (node, value) = match grown.0.get(index) {
                Some(GrownNode::Split { column, threshold, missing_left, left, right }) => {
                    let child = root + queue.len();
                    queue.extend([(*left, level + 1), (*right, level + 1)]);
                    let node = Node {
                        threshold: *threshold,
                        child: child as u32,
                        column: *column as u16,
                        missing_left: *missing_left,
                    };
                    (node, 0.0)
                }
                leaf => {
                    let value = if let Some(GrownNode::Leaf(value)) = leaf { *value } else { 0.0 };
                    let own = own as u32;
                    (Node { threshold: f32::INFINITY, child: own, column: 0, missing_left: true }, value)
                }
            };
            self.nodes.push(node);
            self.values.push(value);
        }
        self.roots.push((root as u32, depth));
        self.roots.len() - 1
    }

    pub(super) fn n_trees(&self) -> usize {
        self.roots.len()
    }

    /// Keeps the first `n` trees.
    pub(super) fn truncate(&mut self, n: usize) {
        if let Some((root, _)) = self.roots.get(n).copied() {
            self.nodes.truncate(root as usize);
            self.values.truncate(root as usize);
            self.roots.truncate(n);
        }
    }

    /// The sum over all trees. The columns a row lacks are missing.
    pub(super) fn predict(&self, row: &[f32]) -> f32 {
        let mut sum = 0.0;
        let chunks = self.roots.chunks_exact(IN_STEP);
        for (root, depth) in chunks.remainder() {
            sum += self.values[self.walk(*root, *depth, row) as usize];
        }
        for trees in chunks {
            let mut at = [0u32; IN_STEP];
            let mut deepest = 0;
            for (at, (root, depth)) in at.iter_mut().zip(trees) {
                *at = *root;
                deepest = deepest.max(*depth);
            }
            for _ in 0..deepest {
                for at in &mut at {
                    *at = self.nodes[*at as usize].next(row);
                }
            }
            for at in at {
                sum += self.values[at as usize];
            }
        }
        sum
    }

    /// Prediction of one tree.
    pub(super) fn predict_one(&self, tree: usize, row: &[f32]) -> f32 {
        self.roots.get(tree).map_or(0.0, |(root, depth)| self.values[self.walk(*root, *depth, row) as usize])
    }

    fn walk(&self, root: u32, depth: u32, row: &[f32]) -> u32 {
        let mut at = root;
        for _ in 0..depth {
            at = self.nodes[at as usize].next(row);
        }
        at
    }

    /// Returns whether every child is a later node of the same tree (or the leaf itself), every column known and every number finite.
    pub(super) fn is_sound(&self, n_features: usize) -> bool {
        if self.nodes.len() != self.values.len() || u32::try_from(self.nodes.len()).is_err() {
            return false;
        }
        let ends = self.roots.iter().skip(1).map(|(root, _)| *root as usize).chain([self.nodes.len()]);
        let first = self.roots.first().map_or(0, |(root, _)| *root);
        first == 0
            && (self.roots.is_empty() == self.nodes.is_empty())
            && self.values.iter().all(|value| value.is_finite())
            && self.roots.iter().zip(ends).all(|((root, depth), end)| {
                let root = *root as usize;
                root < end
                    && end <= self.nodes.len()
                    && (*depth as usize) < end - root
                    && (root..end).all(|own| self.nodes[own].is_sound(own, end, n_features))
            })
    }
}

impl Node {
    fn next(&self, row: &[f32]) -> u32 {
        let value = row.get(usize::from(self.column)).copied().unwrap_or(f32::NAN);
        let left = (value <= self.threshold) | (self.missing_left & value.is_nan());
        self.child + u32::from(!left)
    }

    fn is_sound(&self, own: usize, end: usize, n_features: usize) -> bool {
        let child = self.child as usize;
        let is_leaf = child == own && self.missing_left && self.threshold == f32::INFINITY;
        let is_split = child > own && child + 1 < end && !self.threshold.is_nan();
        (is_leaf || is_split) && (usize::from(self.column) < n_features)
    }
}
