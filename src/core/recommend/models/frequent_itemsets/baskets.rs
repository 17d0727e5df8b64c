//! Baskets of items, as rows of a sparse matrix without weights.

/// Baskets of distinct items, in the order they were pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Baskets {
    offsets: Vec<usize>,
    items: Vec<u32>,
    n_items: usize,
}

impl Default for Baskets {
    fn default() -> Self {
        Self { offsets: vec![0], items: Vec::new(), n_items: 0 }
    }
}

impl Baskets {
    /// Adds a basket; what occurs twice counts once. An empty basket counts as one too: support is a share of all.
    /// O(n log n).
    pub fn push(&mut self, basket: &mut Vec<u32>) {
        basket.sort_unstable();
        basket.dedup();
        self.n_items = self.n_items.max(basket.last().map_or(0, |item| *item as usize + 1));
        self.items.extend_from_slice(basket);
        self.offsets.push(self.items.len());
    }

    /// Number of baskets.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Returns whether there is no basket.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the largest item.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// The baskets in order, each sorted by item.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.offsets.windows(2).map(|range| match range {
            [from, to] => self.items.get(*from..*to).unwrap_or_default(),
            _ => &[],
        })
    }
}
