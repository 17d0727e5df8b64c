//! Sets of items as bits, and the universe of a request: the items that are scored, numbered without gaps.

use crate::base::ItemId;

const BITS: usize = u64::BITS as usize;

/// A set of items below a width. An item costs a bit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemSet {
    words: Vec<u64>,
}

impl ItemSet {
    /// Empty, for items below `width`, rounded up to a multiple of 64.
    pub fn new(width: usize) -> Self {
        Self { words: vec![0; width.div_ceil(BITS)] }
    }

    /// Of these items, those below `width`.
    pub fn of(width: usize, items: impl IntoIterator<Item = ItemId>) -> Self {
        let mut set = Self::new(width);
        items.into_iter().for_each(|item| _ = set.insert(item));
        set
    }

    /// An empty one of the same width.
    pub fn emptied(&self) -> Self {
        Self { words: vec![0; self.words.len()] }
    }

    fn bit(item: ItemId) -> (usize, u64) {
        (item.index() / BITS, 1 << (item.index() % BITS))
    }

    /// Returns whether it is there. O(1).
    pub fn has(&self, item: ItemId) -> bool {
        let (word, bit) = Self::bit(item);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Puts an item in; false where it was there, or lies beyond the width.
    pub fn insert(&mut self, item: ItemId) -> bool {
        let (word, bit) = Self::bit(item);
        self.words.get_mut(word).is_some_and(|word| std::mem::replace(word, *word | bit) & bit == 0)
    }

    /// Takes an item out; false where it was not there.
    pub fn remove(&mut self, item: ItemId) -> bool {
        let (word, bit) = Self::bit(item);
        self.words.get_mut(word).is_some_and(|word| std::mem::replace(word, *word & !bit) & bit != 0)
    }

    /// Puts all items of another set in that lie below the width. O(width / 64).
    pub fn insert_all(&mut self, others: &Self) {
        self.words.iter_mut().zip(&others.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes all items of another set out; the number of those that were there. O(width / 64).
    pub fn remove_all(&mut self, others: &Self) -> usize {
        let mut removed = 0;
        for (word, other) in self.words.iter_mut().zip(&others.words) {
            removed += (*word & other).count_ones() as usize;
            *word &= !other;
        }
        removed
    }

    /// Those of its items that are wanted.
    pub fn filtered(&self, wanted: impl Fn(ItemId) -> bool) -> Self {
        let mut left = self.clone();
        self.iter().filter(|item| !wanted(*item)).for_each(|item| _ = left.remove(item));
        left
    }

    /// One more than the largest item that it could hold: a multiple of 64.
    pub fn width(&self) -> usize {
        self.words.len() * BITS
    }

    /// By item below the width, what `value` says of one that is there or not. O(width).
    pub fn by_item<T: Copy>(&self, value: impl Fn(bool) -> T) -> Vec<T> {
        let (absent, present) = (value(false), value(true));
        let mut all = vec![absent; self.width()];
        for (word, slots) in self.words.iter().zip(all.chunks_mut(BITS)) {
            slots.iter_mut().enumerate().for_each(|(bit, slot)| {
                if word >> bit & 1 == 1 {
                    *slot = present;
                }
            });
        }
        all
    }

    /// Number of items. O(width / 64).
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// In order of id. O(width / 64 + items).
    pub fn iter(&self) -> impl Iterator<Item = ItemId> {
        (0u32..).step_by(BITS).zip(&self.words).flat_map(|(first, word)| {
            let rest = |word: &u64| Some(word & (word - 1)).filter(|rest| *rest != 0);
            let from = Some(*word).filter(|word| *word != 0);
            std::iter::successors(from, rest).map(move |word| ItemId(first + word.trailing_zeros()))
        })
    }
}

/// Items that are scored, in order of id: each column of scores has a place for each of them. What is not among them costs
/// nothing.
#[derive(Clone, Debug)]
pub enum Universe {
    /// Every item below a width; the place of an item is its id.
    All(usize),
    /// Only these.
    Of(Numbered),
}

/// A set whose items have numbers.
#[derive(Clone, Debug)]
pub struct Numbered {
    set: ItemSet,
    /// By word of the set, the number of its first item.
    ranks: Vec<u32>,
    items: Vec<ItemId>,
}

impl Universe {
    /// Of the items of a set. O(width / 64 + items).
    pub fn of(set: ItemSet) -> Self {
        let mut rank = 0;
        let begin = |word: &u64| {
            let own = rank;
            rank += word.count_ones();
            own
        };
        let ranks = set.words.iter().map(begin).collect();
        let mut items = Vec::with_capacity(rank as usize);
        items.extend(set.iter());
        Self::Of(Numbered { set, ranks, items })
    }

    /// Number of items: the width of a column.
    pub fn width(&self) -> usize {
        match self {
            Self::All(width) => *width,
            Self::Of(some) => some.items.len(),
        }
    }

    /// Place of an item in the columns; `None` for one that is not scored. O(1).
    #[inline]
    pub fn place(&self, item: ItemId) -> Option<usize> {
        match self {
            Self::All(width) => (item.index() < *width).then(|| item.index()),
            Self::Of(some) => {
                let (word, bit) = ItemSet::bit(item);
                let own = *some.set.words.get(word)?;
                let before = (own & (bit - 1)).count_ones();
                (own & bit != 0).then(|| (some.ranks.get(word).copied().unwrap_or(0) + before) as usize)
            }
        }
    }

    /// The item at a place. O(1).
    pub fn item(&self, place: usize) -> Option<ItemId> {
        match self {
            Self::All(width) => u32::try_from(place).ok().filter(|_| place < *width).map(ItemId),
            Self::Of(some) => some.items.get(place).copied(),
        }
    }

    /// The items by place; `None` where they are all there are.
    pub fn items(&self) -> Option<&[ItemId]> {
        match self {
            Self::All(_) => None,
            Self::Of(some) => Some(&some.items),
        }
    }

    /// Fills a column with what `value` says of each item.
    pub fn fill(&self, column: &mut [f32], value: impl Fn(ItemId) -> f32) {
        match self {
            Self::All(_) => {
                (0u32..).map(ItemId).zip(column).for_each(|(item, slot)| *slot = value(item));
            }
            Self::Of(some) => {
                some.items.iter().zip(column).for_each(|(item, slot)| *slot = value(*item));
            }
        }
    }

    /// Fills a column with values by item; what lies beyond them stays.
    pub fn gather(&self, column: &mut [f32], values: &[f32]) {
        match self {
            Self::All(_) => column.iter_mut().zip(values).for_each(|(slot, value)| *slot = *value),
            Self::Of(some) => {
                for (item, slot) in some.items.iter().zip(column) {
                    *slot = values.get(item.index()).copied().unwrap_or(*slot);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(set: &ItemSet) -> Vec<u32> {
        set.iter().map(|item| item.0).collect()
    }

    #[test]
    fn a_set_holds_what_was_put_in_below_its_width() {
        let mut set = ItemSet::of(130, [0, 63, 64, 129, 63, 500].map(ItemId));
        assert_eq!((ids(&set), set.len()), (vec![0, 63, 64, 129], 4));
        assert!(!set.insert(ItemId(64)) && set.insert(ItemId(65)) && !set.insert(ItemId(1_000)));
        assert!(set.remove(ItemId(0)) && !set.remove(ItemId(0)) && !set.remove(ItemId(1_000)));
        assert!(set.has(ItemId(129)) && !set.has(ItemId(128)) && !set.has(ItemId(1_000)));
        assert_eq!(ids(&set), [63, 64, 65, 129]);
        assert!(ItemSet::new(0).is_empty() && ItemSet::new(100).is_empty() && !set.is_empty());
    }

    #[test]
    fn sets_are_joined_and_taken_from_one_another() {
        let mut set = ItemSet::of(130, [1, 64, 100].map(ItemId));
        set.insert_all(&ItemSet::of(300, [2, 64, 299].map(ItemId)));
        assert_eq!(ids(&set), [1, 2, 64, 100]);
        assert_eq!(set.remove_all(&ItemSet::of(65, [1, 2, 3, 64].map(ItemId))), 3);
        assert_eq!((ids(&set), set.remove_all(&ItemSet::new(0))), (vec![100], 0));
    }

    #[test]
    fn a_column_of_all_items_is_by_id() {
        let all = Universe::All(3);
        assert_eq!((all.width(), all.place(ItemId(2)), all.place(ItemId(3))), (3, Some(2), None));
        assert_eq!((all.item(2), all.item(3)), (Some(ItemId(2)), None));
        let mut column = [9.0; 3];
        all.gather(&mut column, &[1.0, 2.0]);
        assert_eq!(column, [1.0, 2.0, 9.0]);
    }

    proptest! {
        #[test]
        fn places_are_the_order_of_ids(items in prop::collection::btree_set(0u32..400, 0..80), width in 0usize..400) {
            let universe = Universe::of(ItemSet::of(width, items.iter().copied().map(ItemId)));
            // A width is rounded up to whole words.
            let own: Vec<u32> = items.into_iter().filter(|item| (*item as usize) < width.next_multiple_of(64)).collect();
            prop_assert_eq!(universe.width(), own.len());
            for item in 0..500 {
                prop_assert_eq!(universe.place(ItemId(item)), own.iter().position(|other| *other == item));
            }
            for (place, item) in own.iter().enumerate() {
                prop_assert_eq!(universe.item(place), Some(ItemId(*item)));
            }
            let mut column = vec![-1.0; own.len()];
            universe.fill(&mut column, |item| item.0 as f32);
            prop_assert!(column.iter().zip(&own).all(|(value, item)| *value == *item as f32));
            universe.gather(&mut column, &[5.0; 10]);
            let expected: Vec<f32> = own.iter().map(|item| if *item < 10 { 5.0 } else { *item as f32 }).collect();
            prop_assert_eq!(column, expected);
        }
    }
}
