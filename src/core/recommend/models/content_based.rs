//! Similarity of what items are: TF-IDF over title, category, tags and attributes, cosine between unit vectors, by
//! an inverted index. Salton & Buckley 1988. An item added after training is recommendable at once: its vector is
//! made with the trained document frequencies and searched beside the index.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::catalogue::{Catalogue, Item};

use super::content_comparison::Comparison;
use super::content_index::Index;
pub use super::content_index::Vector;
use super::content_terms::TermTable;
use super::item_set::Universe;
use super::text::{Term, terms};

/// The index is to be made anew when more items than this, and than a quarter of those indexed, came later.
const MAX_BESIDE: usize = 256;
/// Largest group of later items that is still merged with others.
const MAX_GROUP: usize = 16_384;
/// Strongest terms of a profile that are searched for.
const MAX_QUERY_TERMS: usize = 96;

/// Cost of an item's vector against that of one entry of the postings: 200 ns and, in a column as wide as the catalogue, 1.1 (2026-11-30,
/// 100,000 items of 14 terms).
const ITEM_COST: usize = 80;
/// Items read between two looks at cancellation.
const ITEMS_AT_ONCE: usize = 1_024;

/// Items added or changed together, by id; an empty vector = the item has no text now.
type Group = Vec<(ItemId, Arc<[(Term, f32)]>)>;

/// Content vectors of all items. Cloning is cheap: index and groups are shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContentBased {
    index: Arc<Index>,
    /// Items added or changed since, the latest group last: what a later group says of an item holds.
    #[serde(skip)]
    beside: Vec<Arc<Group>>,
    /// By item, a bit: something later is known of it than the index says.
    #[serde(skip)]
    is_later: Arc<Vec<u64>>,
}

impl ContentBased {
    /// Indexes the catalogue. O(words of all items).
    pub fn fit(catalogue: &Catalogue) -> Self {
        Self::fit_with(catalogue, |_| ControlFlow::Continue(())).unwrap_or_default()
    }

    /// As [`ContentBased::fit`]; `progress` hears 0…1 every few milliseconds and may break, then `None` comes back.
    pub fn fit_with(catalogue: &Catalogue, mut progress: impl FnMut(f32) -> ControlFlow<()>) -> Option<Self> {
        let mut documents: Vec<(ItemId, Vector)> = Vec::new();
        for (index, item) in catalogue.iter().enumerate() {
            let terms = terms(item);
            if !terms.is_empty() {
                documents.push((item.id, terms));
            }
            if index % ITEMS_AT_ONCE == 0 && progress(index as f32 / catalogue.len() as f32 * 0.9).is_break()
            {
                return None;
            }
        }
        let n = u32::try_from(documents.len()).unwrap_or(u32::MAX);
        let weigh = |terms: &Vector, frequency: &dyn Fn(Term) -> u32| {
            weighted(terms.clone(), |term| inverse_frequency(n, frequency(term)))
        };
        let index = Arc::new(Index::new(catalogue.width(), documents, weigh));
        Some(Self { index, ..Self::default() })
    }

    /// Takes note of items that were added, changed or removed, as far as their words are others. O(words of the items), and a copy of a
    /// bit for each item.
    pub fn note_items(&mut self, catalogue: &Catalogue, items: &[ItemId]) {
        let mut group: Group = items
            .iter()
            .map(|id| (*id, catalogue.get(*id).map(|item| self.vector_of(item)).unwrap_or_default()))
            .filter(|(id, vector)| self.vector(*id) != vector.as_slice())
            .map(|(id, vector)| (id, vector.into()))
            .collect();
        group.sort_by_key(|(id, _)| *id);
        group.dedup_by_key(|(id, _)| *id);
        if group.is_empty() {
            return;
        }
        let bits = Arc::make_mut(&mut self.is_later);
        for (id, _) in &group {
            let word = id.index() / 64;
            if bits.len() <= word {
                bits.resize(word + 1, 0);
            }
            bits.get_mut(word).into_iter().for_each(|word| *word |= 1 << (id.index() % 64));
        }
        self.beside.push(Arc::new(group));
        self.merge();
    }

    /// Merges the last groups while one is not twice as large as the next: their number grows with the logarithm of the items.
    fn merge(&mut self) {
        while let [.., before, last] = self.beside.as_slice() {
            if before.len() >= 2 * last.len() || before.len() + last.len() > MAX_GROUP {
                return;
            }
            let mut merged: Group = before.iter().chain(last.iter()).cloned().collect();
            // Stable: of the two of an item the later comes second, and is kept.
            merged.sort_by_key(|(id, _)| *id);
            merged.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    kept.1 = Arc::clone(&later.1);
                }
                same
            });
            self.beside.truncate(self.beside.len() - 2);
            self.beside.push(Arc::new(merged));
        }
    }

    /// Returns whether so much is known beside the index that it is to be made anew.
    pub fn is_due(&self) -> bool {
        let later: usize = self.beside.iter().map(|group| group.len()).sum();
        later > MAX_BESIDE.max(self.index.n_documents() as usize / 4)
    }

    /// An index of `catalogue` made from this one: `fresh`, and beside it what `self` has noted since it was `before`.
    pub fn renewed(&self, fresh: Self, before: &Self, catalogue: &Catalogue) -> Self {
        let is_known = |group: &&Arc<Group>| before.beside.iter().any(|known| Arc::ptr_eq(known, group));
        let since: Vec<ItemId> = self
            .beside
            .iter()
            .filter(|group| !is_known(group))
            .flat_map(|group| group.iter().map(|(id, _)| *id))
            .collect();
        let mut renewed = fresh;
        renewed.note_items(catalogue, &since);
        renewed
    }

    fn vector_of(&self, item: &Item) -> Vector {
        let n = self.index.n_documents();
        let frequency = |term| u32::try_from(self.index.postings(term).len()).unwrap_or(u32::MAX);
        weighted(terms(item), |term| inverse_frequency(n, frequency(term)))
    }

    fn has_later(&self, item: ItemId) -> bool {
        self.is_later.get(item.index() / 64).is_some_and(|word| word >> (item.index() % 64) & 1 == 1)
    }

    /// The unit vector of an item; empty when nothing is known of it.
    pub fn vector(&self, item: ItemId) -> &[(Term, f32)] {
        if !self.has_later(item) {
            return self.index.vector(item);
        }
        let mut groups = self.beside.iter().rev();
        let found = groups.find_map(|group| {
            let place = group.binary_search_by_key(&item, |(id, _)| *id).ok()?;
            group.get(place).map(|(_, vector)| vector.as_ref())
        });
        found.unwrap_or_default()
    }

    /// Cosine of two items, 0…1; 0 when nothing is known of one. O(words).
    pub fn similarity(&self, a: ItemId, b: ItemId) -> f32 {
        dot(self.vector(a), self.vector(b)).clamp(0.0, 1.0)
    }

    /// For cosines of a unit vector with items, one by one.
    pub fn likeness(&self, taste: &[(Term, f32)]) -> Likeness<'_> {
        Likeness { content: self, terms: TermTable::new(taste) }
    }

    /// For cosines of a few items with one another.
    pub fn comparison(&self, items: impl Iterator<Item = ItemId>) -> Comparison {
        Comparison::new(items.map(|item| self.vector(item)))
    }

    /// A user's taste: the weighted sum of the vectors of their history, cut to its strongest terms, as a unit
    /// vector; empty when nothing is known.
    pub fn taste(&self, history: &[(ItemId, f32)]) -> Vector {
        let mut sum = Vector::new();
        for (item, weight) in history.iter().filter(|(_, weight)| weight.is_finite() && *weight > 0.0) {
            sum.extend(self.vector(*item).iter().map(|(term, value)| (*term, value * weight)));
        }
        sum.sort_by_key(|(term, _)| *term);
        sum.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 += later.1;
            }
            same
        });
        if sum.len() > MAX_QUERY_TERMS {
            sum.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sum.truncate(MAX_QUERY_TERMS);
            sum.sort_by_key(|(term, _)| *term);
        }
        unit(sum)
    }

    /// Adds the cosine with `taste` (a unit vector) to `scores`, a place of the universe each. By the postings of the terms, or item by
    /// item where that is less: O(min(postings + items beside, items · words)).
    pub fn add_scores(&self, taste: &[(Term, f32)], universe: &Universe, scores: &mut [f32]) {
        if taste.is_empty() {
            return;
        }
        let postings: usize = taste.iter().map(|(term, _)| self.index.postings(*term).len()).sum();
        match universe.items() {
            Some(items) if items.len() * ITEM_COST < postings => {
                let likeness = self.likeness(taste);
                items.iter().zip(scores).for_each(|(item, score)| *score += likeness.of(*item));
            }
            // Looking up a place costs more than one of the whole catalogue.
            Some(items) if self.index.width() < postings => {
                let mut all = vec![0f32; self.index.width()];
                self.add_postings(taste, &Universe::All(all.len()), &mut all);
                let of = |item: &ItemId| all.get(item.index()).copied().unwrap_or(0.0);
                items.iter().zip(scores.iter_mut()).for_each(|(item, score)| *score += of(item));
                self.add_later(taste, universe, scores);
            }
            _ => {
                self.add_postings(taste, universe, scores);
                self.add_later(taste, universe, scores);
            }
        }
    }

    /// Of the items that the index knows all about.
    fn add_postings(&self, taste: &[(Term, f32)], universe: &Universe, scores: &mut [f32]) {
        let any_later = !self.beside.is_empty();
        for (term, value) in taste {
            for (item, other) in self.index.postings(*term) {
                if any_later && self.has_later(*item) {
                    continue;
                }
                if let Some(score) = universe.place(*item).and_then(|place| scores.get_mut(place)) {
                    *score += value * other;
                }
            }
        }
    }

    /// Of the others.
    fn add_later(&self, taste: &[(Term, f32)], universe: &Universe, scores: &mut [f32]) {
        let mut done = vec![0u64; if self.beside.is_empty() { 0 } else { self.is_later.len() }];
        let terms = TermTable::new(taste);
        for (item, vector) in self.beside.iter().rev().flat_map(|group| group.iter()) {
            let bit = 1u64 << (item.index() % 64);
            let word = done.get_mut(item.index() / 64);
            let is_done = word.is_some_and(|word| std::mem::replace(word, *word | bit) & bit != 0);
            let place = universe.place(*item).filter(|_| !is_done);
            if let Some(score) = place.and_then(|place| scores.get_mut(place)) {
                *score += terms.dot(vector);
            }
        }
    }

    /// Number of items known when the index was made.
    pub fn n_documents(&self) -> usize {
        self.index.n_documents() as usize
    }

    /// Every weight a number? Checked after loading.
    pub(crate) fn is_sound(&self) -> bool {
        self.index.is_sound()
    }
}

/// A unit vector that is compared with items.
#[derive(Debug)]
pub struct Likeness<'a> {
    content: &'a ContentBased,
    terms: TermTable,
}

impl Likeness<'_> {
    /// Cosine with an item. O(words of the item).
    pub fn of(&self, item: ItemId) -> f32 {
        self.terms.dot(self.content.vector(item))
    }
}

/// Smoothed: `ln((1 + n) / (1 + df)) + 1`, so that it is > 0 also for a word in every item.
fn inverse_frequency(n_documents: u32, frequency: u32) -> f32 {
    ((1.0 + n_documents as f32) / (1.0 + frequency as f32)).ln() + 1.0
}

/// TF-IDF weights of raw term weights, as a unit vector. The term frequency is damped by its square root.
fn weighted(terms: Vector, inverse_frequency: impl Fn(Term) -> f32) -> Vector {
    unit(terms.into_iter().map(|(term, weight)| (term, weight.sqrt() * inverse_frequency(term))).collect())
}

fn unit(mut vector: Vector) -> Vector {
    let norm = vector.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    if norm.is_finite() && norm > 0.0 {
        vector.iter_mut().for_each(|(_, weight)| *weight /= norm);
        vector
    } else {
        Vector::new()
    }
}

/// Dot product of two vectors sorted by term.
fn dot(a: &[(Term, f32)], b: &[(Term, f32)]) -> f32 {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut sum = 0.0;
    while let (Some((a_term, a_weight)), Some((b_term, b_weight))) = (a.peek(), b.peek()) {
        match a_term.cmp(b_term) {
            std::cmp::Ordering::Less => _ = a.next(),
            std::cmp::Ordering::Greater => _ = b.next(),
            std::cmp::Ordering::Equal => {
                sum += a_weight * b_weight;
                (_, _) = (a.next(), b.next());
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::fixtures::{item, shop};

    #[test]
    fn tf_idf_agrees_with_a_value_computed_by_hand() {
        let mut items = [item(0, "red mug", ""), item(1, "red hat", "")];
        items.iter_mut().for_each(|item| item.category.clear());
        let content = ContentBased::fit(&Catalogue::from_items(items));
        // "red" is in both of 2: ln(3/3) + 1 = 1; "mug" and "hat" in one: ln(3/2) + 1.
        let rare = 1.5f32.ln() + 1.0;
        let cosine = 1.0 / (1.0 + rare * rare);
        assert!((content.similarity(ItemId(0), ItemId(1)) - cosine).abs() < 1e-6);
        assert!((content.similarity(ItemId(0), ItemId(0)) - 1.0).abs() < 1e-6);
        assert_eq!(content.similarity(ItemId(0), ItemId(9)), 0.0);
    }

    #[test]
    fn the_index_gives_what_comparing_one_by_one_gives() {
        let content = ContentBased::fit(&shop());
        let mut scores = vec![0f32; 6];
        content.add_scores(content.vector(ItemId(0)), &Universe::All(scores.len()), &mut scores);
        for (other, score) in (0..6).zip(&scores) {
            assert!((score - content.similarity(ItemId(0), ItemId(other))).abs() < 1e-6);
        }
        assert!(scores[1] > scores[2] && scores[2] > scores[3], "{scores:?}");
        assert_eq!(scores[3], 0.0);
    }

    #[test]
    fn an_item_added_later_is_found_and_one_changed_is_as_it_is_now() {
        let mut catalogue = shop();
        let mut content = ContentBased::fit(&catalogue);
        catalogue.upsert(item(6, "Dive watch carbon", "Watches"));
        catalogue.upsert(item(1, "Yellow teapot", "Kitchen"));
        catalogue.remove(ItemId(2));
        content.note_items(&catalogue, &[ItemId(6), ItemId(1), ItemId(2)]);
        let mut scores = vec![0f32; 7];
        content.add_scores(content.vector(ItemId(0)), &Universe::All(scores.len()), &mut scores);
        assert!(scores[6] > 0.3, "{scores:?}");
        assert_eq!((scores[1], scores[2]), (0.0, 0.0));
        assert!(content.similarity(ItemId(1), ItemId(5)) > 0.3);
    }

    #[test]
    fn without_training_new_items_are_compared_too_and_many_of_them_are_indexed() {
        let mut content = ContentBased::default();
        let catalogue = Catalogue::from_items(
            (0..1_000).map(|id| item(id, &format!("thing {} of {}", id, id % 10), "All")),
        );
        let ids: Vec<_> = (0..1_000).map(ItemId).collect();
        content.note_items(&catalogue, &ids[..100]);
        assert_eq!(content.n_documents(), 0);
        assert!(content.similarity(ItemId(1), ItemId(11)) > content.similarity(ItemId(1), ItemId(12)));
        assert!(!content.is_due());
        content.note_items(&catalogue, &ids);
        assert!(
            content.is_due()
                && content.similarity(ItemId(1), ItemId(11)) > content.similarity(ItemId(1), ItemId(12))
        );
        let before = content.clone();
        content.note_items(&Catalogue::from_items([item(7, "teapot", "Kitchen")]), &[ItemId(7)]);
        let content = content.renewed(ContentBased::fit(&catalogue), &before, &catalogue);
        assert!(!content.is_due());
        assert_eq!(content.n_documents(), 1_000);
        assert!(content.similarity(ItemId(1), ItemId(11)) > content.similarity(ItemId(1), ItemId(12)));
    }

    #[test]
    fn numbers_are_the_more_alike_the_nearer_they_are() {
        let values = ["20", "20.5", "23", "95", "4000", "twenty"];
        let items = values.iter().zip(0..).map(|(value, id)| {
            let mut item = item(id, "", "");
            (item.title, item.category) = (None, Vec::new());
            item.attributes.insert("weight".to_owned(), (*value).to_owned());
            item
        });
        let content = ContentBased::fit(&Catalogue::from_items(items));
        let near = |other| content.similarity(ItemId(0), ItemId(other));
        assert!(near(1) > near(2) && near(2) > near(3) && near(3) > near(4), "{:?}", [1, 2, 3, 4].map(near));
        assert_eq!(near(5), 0.0);
    }

    #[test]
    fn of_many_changes_the_last_one_holds() {
        let mut catalogue = shop();
        let mut content = ContentBased::fit(&catalogue);
        for round in 0..300u32 {
            catalogue.upsert(item(
                round % 6,
                if round % 2 == 0 { "Dive watch" } else { "Green teapot" },
                "All",
            ));
            content.note_items(&catalogue, &[ItemId(round % 6)]);
        }
        let mut scores = vec![0f32; 6];
        content.add_scores(content.vector(ItemId(0)), &Universe::All(scores.len()), &mut scores);
        for (id, score) in (0..6).zip(&scores) {
            assert!((score - content.similarity(ItemId(0), ItemId(id))).abs() < 1e-5, "{id}: {scores:?}");
        }
        assert!(scores[2] > 0.99 && scores[1] < 0.8, "{scores:?}");
    }

    #[test]
    fn items_without_words_are_like_nothing() {
        let mut nameless = item(0, "", "");
        nameless.title = None;
        nameless.category.clear();
        let content = ContentBased::fit(&Catalogue::from_items([nameless, item(1, "...", "!")]));
        assert!(content.vector(ItemId(0)).is_empty());
        assert!(content.taste(&[(ItemId(0), 1.0), (ItemId(1), f32::NAN)]).is_empty());
    }
}
