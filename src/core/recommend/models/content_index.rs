//! An inverted index of sparse unit vectors: vectors by item, items by term. Immutable; 8 bytes a term of an item, twice.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

use super::text::Term;

/// A sparse unit vector, sorted by term.
pub type Vector = Vec<(Term, f32)>;

/// Terms are hashes already: they are spread over all bits, no more.
#[derive(Default)]
struct TermHasher(u64);

impl Hasher for TermHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, term: u32) {
        self.0 = (self.0 ^ u64::from(term)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(32)
    }
}

type ByTerm = HashMap<Term, u32, BuildHasherDefault<TermHasher>>;

/// Inverted index of sparse unit vectors.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    /// By item, where its entries begin; one more at the end. An item without entries is unknown.
    starts: Vec<u32>,
    entries: Vec<(Term, f32)>,
    /// Number of items with any text.
    n_documents: u32,
    /// Sorted.
    terms: Vec<Term>,
    /// By term, where its postings begin; one more at the end.
    term_starts: Vec<u32>,
    /// By term, items that have it, with its weight in them.
    postings: Vec<(ItemId, f32)>,
}

impl Index {
    /// From the raw term weights of each item that has any, by id; `weigh` makes the unit vector of one, from the number of items
    /// that have a term. O(terms of all items).
    pub(super) fn new(
        width: usize,
        documents: Vec<(ItemId, Vector)>,
        weigh: impl Fn(&Vector, &dyn Fn(Term) -> u32) -> Vector,
    ) -> Self {
        let mut frequencies = ByTerm::default();
        for (term, _) in documents.iter().flat_map(|(_, terms)| terms) {
            *frequencies.entry(*term).or_default() += 1;
        }
        let mut terms: Vec<Term> = frequencies.keys().copied().collect();
        terms.sort_unstable();
        let mut term_starts = Vec::with_capacity(terms.len() + 1);
        let mut places = ByTerm::with_capacity_and_hasher(terms.len(), BuildHasherDefault::default());
        let mut begin = 0u32;
        for term in &terms {
            term_starts.push(begin);
            places.insert(*term, begin);
            begin += frequencies.get(term).copied().unwrap_or(0);
        }
        term_starts.push(begin);
        let (mut starts, mut entries) = (Vec::with_capacity(width + 1), Vec::with_capacity(begin as usize));
        let mut postings = vec![(ItemId(0), 0f32); begin as usize];
        let n_documents = u32::try_from(documents.len()).unwrap_or(u32::MAX);
        let frequency = |term: Term| frequencies.get(&term).copied().unwrap_or(0);
        for (item, raw) in documents {
            starts.resize(item.index() + 1, u32::try_from(entries.len()).unwrap_or(u32::MAX));
            for (term, weight) in weigh(&raw, &frequency) {
                entries.push((term, weight));
                let Some(place) = places.get_mut(&term) else { continue };
                if let Some(slot) = postings.get_mut(*place as usize) {
                    *slot = (item, weight);
                    *place += 1;
                }
            }
        }
        starts.resize(width + 1, u32::try_from(entries.len()).unwrap_or(u32::MAX));
        Self { starts, entries, n_documents, terms, term_starts, postings }
    }

    /// The unit vector of an item; empty when nothing is known of it.
    pub(super) fn vector(&self, item: ItemId) -> &[(Term, f32)] {
        let at = |place: usize| self.starts.get(place).map(|start| *start as usize);
        let range = at(item.index()).zip(at(item.index() + 1)).map(|(from, to)| from..to);
        range.and_then(|range| self.entries.get(range)).unwrap_or_default()
    }

    /// Items that have a term, with its weight in them, by id.
    pub(super) fn postings(&self, term: Term) -> &[(ItemId, f32)] {
        let Ok(place) = self.terms.binary_search(&term) else { return &[] };
        let at = |place: usize| self.term_starts.get(place).map(|start| *start as usize);
        let range = at(place).zip(at(place + 1)).map(|(from, to)| from..to);
        range.and_then(|range| self.postings.get(range)).unwrap_or_default()
    }

    /// One more than the largest item it may know.
    pub(super) fn width(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub(super) fn n_documents(&self) -> u32 {
        self.n_documents
    }

    /// Every weight a number, every range in its place? Checked after loading.
    pub(super) fn is_sound(&self) -> bool {
        let rises = |starts: &[u32], end: usize| {
            starts.is_sorted() && starts.last().is_none_or(|last| *last as usize <= end)
        };
        rises(&self.starts, self.entries.len())
            && rises(&self.term_starts, self.postings.len())
            && self.entries.iter().all(|(_, weight)| weight.is_finite())
            && self.postings.iter().all(|(_, weight)| weight.is_finite())
    }
}
