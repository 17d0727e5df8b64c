//! Embeddings in lists: a column of the blend, what goes with an item, and likeness of two items for variety and reasons.
//!
//! A scan is exact and bounded: at most [`MAX_WORK`] multiplications, 33,000 items of 1,024 numbers or 131,000 of 256. Of more items
//! those are compared that the text finds and that are popular, and with what is left of the work the newest, which nobody may
//! have touched yet.

use crate::base::ItemId;
use crate::catalogue::{Catalogue, Direction, Embeddings};
use crate::recommend::models::content_based::ContentBased;
use crate::recommend::models::content_comparison::Comparison;
use crate::recommend::models::item_set::Universe;
use crate::recommend::models::top;

use super::diversity::Alike;
use super::ranked::Ranked;

/// Most multiplications of one scan.
const MAX_WORK: usize = 1 << 25;
/// Share of the work for what other columns find, one in so many for each of them.
const PART: usize = 4;

/// Score of a likeness 0…1: its square, since the ranking reads logarithms, in which half as alike would be nearly the same.
fn score(likeness: f32) -> f32 {
    likeness * likeness
}

/// Writes how like each item is to what a history holds, newest first, into a column; nothing where no item of the history has an
/// embedding. `others` gives columns of the same items that choose what is compared where not all can be. O(MAX_WORK).
pub(super) fn fill(
    embeddings: &Embeddings,
    history: &[(ItemId, f32)],
    universe: &Universe,
    others: impl FnOnce() -> [Vec<f32>; 2],
    column: &mut [f32],
) {
    let Some(taste) = embeddings.taste(history) else { return };
    scan(embeddings, &taste, universe, others, MAX_WORK, column);
    // Every item is most like itself, which says nothing about wanting it again.
    for (item, _) in history {
        clear(column, universe, *item);
    }
}

/// Writes how like each item is to one item.
pub(super) fn beside(
    embeddings: &Embeddings,
    item: ItemId,
    universe: &Universe,
    others: impl FnOnce() -> [Vec<f32>; 2],
    column: &mut [f32],
) {
    let Some(direction) = embeddings.direction_of(item) else { return };
    scan(embeddings, &direction, universe, others, MAX_WORK, column);
    clear(column, universe, item);
}

fn scan(
    embeddings: &Embeddings,
    direction: &Direction,
    universe: &Universe,
    others: impl FnOnce() -> [Vec<f32>; 2],
    work: usize,
    column: &mut [f32],
) {
    let mut left = work / embeddings.dimensions().unwrap_or(1);
    let compare = |place: usize, column: &mut [f32]| {
        let likeness = universe.item(place).and_then(|item| embeddings.likeness(direction, item));
        let (Some(likeness), Some(slot)) = (likeness, column.get_mut(place)) else { return false };
        *slot = score(likeness);
        true
    };
    if column.len().min(embeddings.len()) > left {
        let part = left / PART;
        for other in others() {
            let best = top::best(&other, part, |_| true).into_iter();
            left -= best.filter(|(place, _)| compare(place.index(), column)).count();
        }
    }
    for place in (0..column.len()).rev() {
        if left == 0 {
            return;
        }
        left -= usize::from(compare(place, column));
    }
}

fn clear(column: &mut [f32], universe: &Universe, item: ItemId) {
    if let Some(slot) = universe.place(item).and_then(|place| column.get_mut(place)) {
        *slot = 0.0;
    }
}

/// Likeness of two items in words and by their embeddings, the mean of both where both are known, 0…1.
pub(super) fn similarity(content: &ContentBased, catalogue: &Catalogue, a: ItemId, b: ItemId) -> f32 {
    let are_worded = !content.vector(a).is_empty() && !content.vector(b).is_empty();
    joined(content.similarity(a, b), are_worded, catalogue.embeddings().similarity(a, b))
}

/// The same of the items of a list, each with each.
pub(super) struct Likenesses<'a> {
    words: Comparison,
    embeddings: &'a Embeddings,
    items: Vec<ItemId>,
    /// The one that others are compared with.
    own: usize,
}

impl<'a> Likenesses<'a> {
    pub(super) fn new(content: &ContentBased, embeddings: &'a Embeddings, list: &[Ranked]) -> Self {
        let items: Vec<ItemId> = list.iter().map(|ranked| ranked.item).collect();
        Self { words: content.comparison(items.iter().copied()), embeddings, items, own: 0 }
    }
}

impl Alike for Likenesses<'_> {
    fn compare_with(&mut self, place: usize) {
        self.own = place;
        self.words.compare_with(place);
    }

    fn of(&self, place: usize) -> f32 {
        let are_worded = !self.words.is_empty(self.own) && !self.words.is_empty(place);
        let both = self.items.get(self.own).zip(self.items.get(place));
        let likeness = both.and_then(|(own, other)| self.embeddings.similarity(*own, *other));
        joined(self.words.of(place).clamp(0.0, 1.0), are_worded, likeness)
    }
}

/// Likeness in words and, where both items have one, by embeddings; that by embeddings alone where not both have words.
pub(super) fn joined(in_words: f32, are_worded: bool, likeness: Option<f32>) -> f32 {
    match likeness {
        None => in_words,
        Some(likeness) if !are_worded => likeness,
        Some(likeness) => 0.5 * (in_words + likeness),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Embedding;
    use crate::recommend::fixtures::item;
    use crate::recommend::models::item_set::ItemSet;

    /// A thousand items; those with the same last digit point the same way.
    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::from_items((0..1_000).map(|id| item(id, "", "")));
        for id in 0..1_000 {
            let vector: Vec<f32> = (0..10).map(|axis| f32::from(u8::from(axis == id % 10))).collect();
            assert!(catalogue.set_embedding(ItemId(id), Embedding::of(&vector).as_ref()));
        }
        catalogue
    }

    fn touched(column: &[f32]) -> Vec<usize> {
        column.iter().enumerate().filter(|(_, score)| **score > 0.0).map(|(item, _)| item).collect()
    }

    #[test]
    fn what_lies_in_the_direction_of_a_history_has_a_score_and_the_history_has_none() {
        let catalogue = catalogue();
        let mut column = vec![0f32; 1_000];
        let history = [(ItemId(3), 1.0), (ItemId(13), 0.9)];
        fill(catalogue.embeddings(), &history, &Universe::All(1_000), Default::default, &mut column);
        assert_eq!((column[3], column[13], column[4]), (0.0, 0.0, 0.0));
        assert!(column[993] > 0.9 && touched(&column).iter().all(|item| item % 10 == 3));
        assert_eq!(touched(&column).len(), 98);
    }

    #[test]
    fn where_not_all_can_be_compared_it_is_what_others_find_and_the_newest() {
        let catalogue = catalogue();
        let embeddings = catalogue.embeddings();
        let direction = embeddings.direction_of(ItemId(3)).unwrap();
        let mut in_words = vec![0f32; 1_000];
        in_words[13] = 0.5;
        in_words[14] = 0.5;
        let mut column = vec![0f32; 1_000];
        // Forty items can be compared: two that the text finds, and the newest 38.
        let others = || [in_words, vec![0f32; 1_000]];
        scan(embeddings, &direction, &Universe::All(1_000), others, 400, &mut column);
        assert_eq!(touched(&column), [13, 963, 973, 983, 993]);
    }

    #[test]
    fn a_column_of_some_items_has_them_at_their_places() {
        let catalogue = catalogue();
        let even = Universe::of(ItemSet::of(1_000, (0..500).map(|place| ItemId(2 * place))));
        let mut column = vec![0f32; 500];
        let history = [(ItemId(4), 1.0), (ItemId(13), 0.0)];
        fill(catalogue.embeddings(), &history, &even, Default::default, &mut column);
        assert!(touched(&column).iter().all(|place| 2 * place % 10 == 4));
        assert_eq!((touched(&column).len(), column[2]), (99, 0.0));
    }

    #[test]
    fn words_and_embeddings_count_alike_where_both_are_known() {
        let mut catalogue = catalogue();
        catalogue.upsert(item(1, "red mug", "Mugs"));
        catalogue.upsert(item(11, "red mug", "Mugs"));
        catalogue.upsert(item(2, "red mug", "Mugs"));
        let content = ContentBased::fit(&catalogue);
        let near = |a, b| similarity(&content, &catalogue, ItemId(a), ItemId(b));
        assert!(near(1, 11) > 0.99 && (0.4..0.6).contains(&near(1, 2)), "{} {}", near(1, 11), near(1, 2));
        catalogue.remove(ItemId(2));
        assert!(similarity(&content, &catalogue, ItemId(1), ItemId(2)) > 0.9, "words alone");
    }
}
