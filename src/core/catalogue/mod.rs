//! Catalogue of recommendable items: items by dense id, with interned category paths. An immutable snapshot; the
//! shell swaps it whole when the catalogue changes, so a reader never sees half an update.
//!
//! A copy shares everything with the original in pieces of at most 128 entries, and a change copies the pieces that it touches:
//! of 1,000,000 items one change copies 32,000 pointers.

mod bounds;
mod categories;
mod embeddings;
mod facts;
mod id_index;
mod item;
mod item_field;
mod kept;
mod local;
mod memo;
mod money;
mod prices;
mod read;
mod wire;

use std::any::Any;
use std::sync::Arc;

use crate::base::{ExternalId, ItemId, Timestamp};

use categories::Categories;
use id_index::IdIndex;
use memo::Memo;
use money::CountedMoney;

pub(crate) use bounds::category_path;
pub use bounds::{category_levels, other_length, too_complex_item};
pub use categories::{CategoryId, PathId};
pub use embeddings::{Direction, Embedding, Embeddings, MAX_DIMENSIONS};
pub use facts::{Facts, Marks};
pub use item::{Item, Shown, Standing};
pub use item_field::{Cleared, ItemField};
pub use kept::Kept;
pub use local::{Local, LocalPrices, Translation, Translations};
pub use money::{Amounts, Money};
pub use prices::{Currency, KEPT_DAYS, PricePoint, Prices, REFERENCE_DAYS, Reduction};
pub use wire::NewItem;

/// Slots of one shelf.
const SHELF: usize = 64;

/// One item id: the item, if it is in the catalogue, its prices and what filters read. 56 bytes.
#[derive(Clone, Debug, Default)]
struct Slot {
    item: Option<Arc<Item>>,
    /// Of items whose price has changed lately; for all others the present price is the only one known.
    prices: Option<Arc<Prices>>,
    facts: Facts,
}

/// All items, by dense id. Cheap to clone (pieces are shared), so an update is copy, change, swap.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// [`SHELF`] slots each, the last one fewer.
    shelves: Vec<Arc<Vec<Slot>>>,
    width: usize,
    by_external_id: IdIndex,
    categories: Arc<Categories>,
    /// Number of items of each standing, in order.
    standings: [usize; 3],
    /// Number of changes so far.
    version: u64,
    money: CountedMoney,
    memo: Memo,
    embeddings: Embeddings,
}

impl Catalogue {
    /// Number of changes so far: names what a decision read.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// From items in any order.
    pub fn from_items(items: impl IntoIterator<Item = Item>) -> Self {
        let mut catalogue = Self::default();
        for item in items {
            catalogue.upsert(item);
        }
        catalogue
    }

    /// The value that a reader keeps of this very snapshot, by type; its default at first, and again after every change.
    pub fn memo<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        self.memo.get()
    }

    /// Counts a change, which ends what has been derived.
    fn change(&mut self) {
        self.version += 1;
        self.memo.forget();
    }

    fn slot(&self, id: ItemId) -> Option<&Slot> {
        self.shelves.get(id.index() / SHELF)?.get(id.index() % SHELF)
    }

    /// The slot of an id, made if there is none; its shelf is copied where others share it.
    fn slot_mut(&mut self, id: ItemId) -> Option<&mut Slot> {
        let (shelf, place) = (id.index() / SHELF, id.index() % SHELF);
        if self.shelves.len() <= shelf {
            self.shelves.resize_with(shelf + 1, Arc::default);
        }
        self.width = self.width.max(id.index() + 1);
        let slots = Arc::make_mut(self.shelves.get_mut(shelf)?);
        if slots.len() <= place {
            slots.resize_with(place + 1, Slot::default);
        }
        slots.get_mut(place)
    }

    /// Sets the base and rates of money. Without a base that of most items is taken.
    pub fn set_money(&mut self, money: Money) {
        self.memo.forget();
        self.money.set(money);
    }

    /// Base currency and rates by which amounts of several currencies are summed.
    pub fn money(&self) -> &Money {
        self.money.get()
    }

    /// Embeddings of the items.
    pub fn embeddings(&self) -> &Embeddings {
        &self.embeddings
    }

    /// Sets or, with `None`, erases the embedding of an item. False, and nothing changes, where its length is not that of the others.
    pub fn set_embedding(&mut self, item: ItemId, embedding: Option<&Embedding>) -> bool {
        self.version += 1;
        self.embeddings.set(item, embedding)
    }

    /// Erases every embedding.
    pub fn erase_embeddings(&mut self) {
        self.version += 1;
        self.embeddings = Embeddings::default();
    }

    /// Adds or replaces an item, which keeps its embedding. O(1) amortised, and a copy of its shelf where that is shared.
    pub fn upsert(&mut self, item: Item) {
        self.change();
        let was = self.get(item.id).cloned();
        self.money.count(was.as_deref().and_then(Item::money_currency), item.money_currency());
        let path = Categories::intern(&mut self.categories, &item.category);
        let facts = Facts::of(&item, path);
        let before = was.map(|known| known.external_id.clone());
        if before.as_ref() != Some(&item.external_id) {
            if let Some(before) = before {
                self.by_external_id.remove(&before, item.id);
            }
            match self.find(&item.external_id).map(|known| known.id) {
                Some(known) => self.by_external_id.replace(&item.external_id, known, item.id),
                None => self.by_external_id.insert(&item.external_id, item.id),
            }
        }
        self.count(facts.standing, 1);
        if let Some(slot) = self.slot_mut(item.id) {
            let before = slot.item.replace(Arc::new(item)).map(|_| slot.facts.standing);
            slot.facts = facts;
            if let Some(before) = before {
                self.count(before, -1);
            }
        }
    }

    fn count(&mut self, standing: Standing, change: isize) {
        if let Some(count) = self.standings.get_mut(standing as usize) {
            *count = count.saturating_add_signed(change);
        }
    }

    /// Standing from which lists may name an item: a title. A catalogue without any title recommends what it describes otherwise,
    /// and one that describes nothing, of a shop that only sends events, what they name.
    pub fn least_standing(&self) -> Standing {
        let best = [Standing::Titled, Standing::Described];
        let known =
            |standing: &Standing| self.standings.get(*standing as usize).is_some_and(|count| *count > 0);
        best.into_iter().find(known).unwrap_or(Standing::Named)
    }

    /// Returns whether lists may name an item.
    pub fn is_recommendable(&self, item: &Item) -> bool {
        item.standing() >= self.least_standing()
    }

    /// Removes an item: it is no longer recommended. Its id stays taken.
    pub fn remove(&mut self, id: ItemId) {
        let Some(item) = self.get(id).cloned() else { return };
        self.change();
        self.by_external_id.remove(&item.external_id, id);
        self.count(item.standing(), -1);
        self.money.count(item.money_currency(), None);
        self.embeddings.set(id, None);
        if let Some(slot) = self.slot_mut(id) {
            slot.item = None;
            slot.facts = Facts { path: slot.facts.path, ..Facts::default() };
        }
    }

    /// Notes prices and since when they hold, in any order; a new one together with the one before it. Kept for items of which
    /// at least two are known. O(prices of the items).
    pub fn note_prices(&mut self, points: &[(ItemId, PricePoint)]) {
        if points.is_empty() {
            return;
        }
        self.change();
        for (item, point) in points {
            if let Some(slot) = self.slot_mut(*item) {
                Arc::make_mut(slot.prices.get_or_insert_default()).note(*point);
            }
        }
        for (item, _) in points {
            if self.prices(*item).is_some_and(|prices| prices.len() < 2)
                && let Some(slot) = self.slot_mut(*item)
            {
                slot.prices = None;
            }
        }
    }

    /// Prices of the last weeks, at least two; `None` where only the present one is known.
    pub fn prices(&self, item: ItemId) -> Option<&Prices> {
        self.slot(item)?.prices.as_deref()
    }

    /// Price of an item at a moment; `None` without a price, or where it was in another currency than now.
    pub fn price_at(&self, item: ItemId, moment: Timestamp) -> Option<f64> {
        match self.prices(item) {
            Some(prices) => prices.at(moment),
            None => self.get(item)?.price,
        }
    }

    /// The item, if it is there.
    pub fn get(&self, id: ItemId) -> Option<&Arc<Item>> {
        self.slot(id)?.item.as_ref()
    }

    /// Facts that filters read of an item, if it is there.
    pub fn facts_of(&self, id: ItemId) -> Option<&Facts> {
        self.slot(id).filter(|slot| slot.item.is_some()).map(|slot| &slot.facts)
    }

    /// The item with the shop's id.
    pub fn find(&self, external_id: &ExternalId) -> Option<&Arc<Item>> {
        self.by_external_id
            .candidates(external_id)
            .filter_map(|id| self.get(id))
            .find(|item| item.external_id == *external_id)
    }

    /// The category path of an item.
    pub fn path_of(&self, id: ItemId) -> Option<PathId> {
        self.slot(id)?.facts.path
    }

    /// The top-level category of an item.
    pub fn category_of(&self, id: ItemId) -> Option<CategoryId> {
        self.categories.top(self.path_of(id)?)
    }

    /// A category's name.
    pub fn category_name(&self, id: CategoryId) -> Option<&str> {
        self.categories.name(id)
    }

    /// A category by name.
    pub fn category(&self, name: &str) -> Option<CategoryId> {
        self.categories.find(name)
    }

    /// Number of categories; ids are 0…n − 1.
    pub fn n_categories(&self) -> usize {
        self.categories.len()
    }

    /// Names of top-level categories, in order of id.
    pub fn category_names(&self) -> impl Iterator<Item = &str> {
        self.categories.names()
    }

    /// Returns whether a category path begins with `prefix`, by [`PathId`]. O(paths).
    pub fn paths_below(&self, prefix: &[String]) -> Vec<bool> {
        self.categories.below(prefix)
    }

    /// Levels of each category path that any item has had, by [`PathId`].
    pub fn paths(&self) -> impl Iterator<Item = &[String]> {
        self.categories.paths()
    }

    /// Items in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.shelves.iter().flat_map(|shelf| shelf.iter()).filter_map(|slot| slot.item.as_ref())
    }

    /// Facts that filters read of every item, in order of id, without a look at the item itself.
    pub fn facts(&self) -> impl DoubleEndedIterator<Item = (ItemId, &Facts)> {
        let shelves = self.shelves.iter().enumerate();
        let slots = shelves.flat_map(|(shelf, slots)| {
            let id = move |place: usize| ItemId(u32::try_from(shelf * SHELF + place).unwrap_or(u32::MAX));
            slots.iter().enumerate().map(move |(place, slot)| (id(place), slot))
        });
        slots.filter(|(_, slot)| slot.item.is_some()).map(|(id, slot)| (id, &slot.facts))
    }

    /// One more than the largest item id: the width of item-indexed vectors.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.by_external_id.len()
    }

    /// Returns whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::fixtures::item;

    #[test]
    fn a_copy_does_not_see_what_is_changed_in_the_other() {
        let before = Catalogue::from_items((0..1_000).map(|id| item(id, "Mug", "Kitchen")));
        let mut after = before.clone();
        after.upsert(item(7, "Dive watch", "Watches"));
        after.upsert(item(1_500, "Teapot", "Kitchen"));
        after.remove(ItemId(9));
        assert_eq!(before.get(ItemId(7)).unwrap().name(), "Mug");
        assert_eq!((before.len(), before.width(), before.n_categories()), (1_000, 1_000, 1));
        assert_eq!((after.len(), after.width(), after.n_categories()), (1_000, 1_501, 2));
        let named = |catalogue: &Catalogue, id: u32| {
            let external_id = item(id, "", "").external_id;
            catalogue.find(&external_id).map(|item| item.name())
        };
        assert_eq!(named(&after, 7).as_deref(), Some("Dive watch"));
        assert_eq!(named(&after, 1_500).as_deref(), Some("Teapot"));
        assert_eq!((named(&after, 9), named(&before, 9).as_deref()), (None, Some("Mug")));
        assert_eq!(after.iter().count(), 1_000);
        let ids: Vec<ItemId> = after.facts().map(|(id, _)| id).collect();
        assert_eq!(ids, after.iter().map(|item| item.id).collect::<Vec<_>>());
        let backwards: Vec<ItemId> = after.facts().rev().map(|(id, _)| id).collect();
        assert_eq!(backwards, ids.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn an_id_that_takes_another_name_is_found_by_that_one_only() {
        let mut catalogue = Catalogue::from_items([item(0, "Mug", "Kitchen")]);
        let name = |id: i64| ExternalId::Integer(id);
        catalogue.upsert(Item { external_id: name(77), ..item(0, "Cup", "Kitchen") });
        assert_eq!(catalogue.find(&name(77)).unwrap().name(), "Cup");
        assert!(catalogue.find(&item(0, "", "").external_id).is_none());
        catalogue.upsert(Item { external_id: name(77), ..item(3, "Bowl", "Kitchen") });
        assert_eq!((catalogue.find(&name(77)).unwrap().name().as_str(), catalogue.len()), ("Bowl", 1));
    }

    #[test]
    fn paths_are_found_by_their_beginning() {
        let mut dive = item(0, "Dive watch", "");
        dive.category = vec!["Watches".into(), "Dive".into()];
        let catalogue = Catalogue::from_items([dive, item(1, "Watch", "Watches"), item(2, "Mug", "Kitchen")]);
        let below = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|level| (*level).to_owned()).collect();
            let below = catalogue.paths_below(&path);
            let is_below = |facts: &Facts| facts.path.is_some_and(|path| below[path.0 as usize]);
            catalogue.facts().filter(|(_, facts)| is_below(facts)).map(|(id, _)| id.0).collect::<Vec<_>>()
        };
        assert_eq!(below(&["Watches"]), [0, 1]);
        assert_eq!(below(&["Watches", "Dive"]), [0]);
        assert_eq!((below(&["Dive"]), below(&["Wat"])), (vec![], vec![]));
        assert_eq!(catalogue.category_of(ItemId(0)), catalogue.category("Watches"));
    }

    fn named(id: u32) -> Item {
        Item { price: Some(1.0), ..Item::named(ItemId(id), ExternalId::Integer(i64::from(id)), Timestamp(0)) }
    }

    fn recommendable(catalogue: &Catalogue) -> Vec<u32> {
        catalogue.iter().filter(|item| catalogue.is_recommendable(item)).map(|item| item.id.0).collect()
    }

    #[test]
    fn only_what_the_catalogue_says_most_of_is_recommended() {
        let titled = |id| Item { title: Some("Mug".into()), ..named(id) };
        let described = |id| Item { category: vec!["Mugs".into()], ..named(id) };
        let mut catalogue = Catalogue::from_items([named(0), named(1)]);
        assert_eq!(recommendable(&catalogue), [0, 1], "a shop that only sends events");
        catalogue.upsert(described(2));
        assert_eq!(recommendable(&catalogue), [2], "attributes and categories without titles");
        catalogue.upsert(titled(3));
        catalogue.upsert(Item { title: Some("  ".into()), ..named(4) });
        assert_eq!(recommendable(&catalogue), [3]);
        catalogue.upsert(titled(0));
        assert_eq!(recommendable(&catalogue), [0, 3], "an item that was named first gets its title");
        catalogue.upsert(titled(3));
        catalogue.remove(ItemId(3));
        catalogue.remove(ItemId(3));
        catalogue.upsert(named(0));
        assert_eq!(recommendable(&catalogue), [2], "without any title again");
    }
}
