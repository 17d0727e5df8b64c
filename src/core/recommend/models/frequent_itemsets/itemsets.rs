//! Frequent itemsets: the parameters of the search, the sets as they are found, and all of them in order.

use serde::{Deserialize, Serialize};

/// Parameters of the search for frequent itemsets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemsetParameters {
    /// Least share of baskets, 0…1.
    pub support: f64,
    /// Least number of baskets, whatever the share says: in a small shop a share of a thousandth is one coincidence.
    pub least_count: u32,
    /// Most items of a set, 1…12; larger values count as 12.
    pub max_items: usize,
    /// Most sets; when there are more, sets get fewer items, down to 3, then the least count is raised by half until there are
    /// not.
    pub max_itemsets: usize,
    /// Baskets of more distinct items than this are left out, also of the number of baskets: a wholesaler's or a
    /// robot's list of everything says nothing about what goes together, and costs its length squared.
    pub max_basket: usize,
}

impl Default for ItemsetParameters {
    fn default() -> Self {
        Self { support: 0.0002, least_count: 5, max_items: 3, max_itemsets: 50_000, max_basket: 500 }
    }
}

/// Sets and how many baskets hold them: by size, then by items.
#[derive(Clone, Debug, PartialEq)]
pub struct Itemsets {
    offsets: Vec<usize>,
    items: Vec<u32>,
    counts: Vec<u32>,
    /// Baskets looked at.
    pub n_baskets: usize,
    /// Baskets left out because they were too long.
    pub left_out: usize,
    /// A set is frequent from this count on.
    pub least_count: u32,
    /// Most items of a set; fewer than asked for where there were too many sets.
    pub largest: usize,
    /// Notes for a person on what was asked for and cut, with the reasons; empty = nothing.
    pub notes: Vec<String>,
}

impl Itemsets {
    /// Number of sets.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Returns whether there is no set.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Each set, items ascending, with the number of baskets that hold all of it; by size, then by items.
    pub fn iter(&self) -> impl Iterator<Item = (&[u32], u32)> {
        self.offsets.windows(2).zip(&self.counts).map(|(range, count)| match range {
            [from, to] => (self.items.get(*from..*to).unwrap_or_default(), *count),
            _ => (Default::default(), *count),
        })
    }
}

/// Sets as they are found.
#[derive(Default)]
pub(super) struct Found {
    lengths: Vec<u8>,
    items: Vec<u32>,
    counts: Vec<u32>,
}

impl Found {
    pub(super) fn push(&mut self, set: &[u32], count: u32) {
        self.lengths.push(u8::try_from(set.len()).unwrap_or(u8::MAX));
        self.items.extend_from_slice(set);
        self.counts.push(count);
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.lengths.append(&mut other.lengths);
        self.items.append(&mut other.items);
        self.counts.append(&mut other.counts);
    }

    pub(super) fn into_itemsets(self, n_baskets: usize, least_count: u32) -> Itemsets {
        let mut rest = self.items.as_slice();
        let mut sets: Vec<(&[u32], u32)> = Vec::with_capacity(self.counts.len());
        for (length, count) in self.lengths.iter().zip(&self.counts) {
            let (set, after) = rest.split_at_checked(usize::from(*length)).unwrap_or_default();
            sets.push((set, *count));
            rest = after;
        }
        sets.sort_unstable_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        let mut itemsets = Itemsets {
            offsets: vec![0],
            items: Vec::with_capacity(self.items.len()),
            counts: Vec::with_capacity(sets.len()),
            n_baskets,
            left_out: 0,
            least_count,
            largest: 0,
            notes: Vec::new(),
        };
        for (set, count) in sets {
            itemsets.items.extend_from_slice(set);
            itemsets.offsets.push(itemsets.items.len());
            itemsets.counts.push(count);
        }
        itemsets
    }
}
