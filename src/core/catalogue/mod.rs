//! Catalogue of recommendable items: items by dense id, with interned category names. An immutable snapshot; the
//! shell swaps it whole when the catalogue changes, so a reader never sees half an update.

mod item_field;
mod prices;
mod read;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::{ExternalId, ItemId, Timestamp};

pub use item_field::{Cleared, ItemField};
pub use prices::{Currency, KEPT_DAYS, PricePoint, Prices, REFERENCE_DAYS, Reduction};
pub use wire::{ItemError, NewItem};

/// A top-level category, interned: an index into [`Catalogue::category_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CategoryId(pub u32);

/// How much the catalogue says of an item; the more, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// Only its id, which events have named.
    Named,
    /// Something that the shop says of it, such as a category, but no title.
    Described,
    /// A title.
    Titled,
}

/// One item as recommending needs it. Items that only events have named carry no title.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Dense id.
    pub id: ItemId,
    /// The shop's id.
    pub external_id: ExternalId,
    /// Human title; `None` until the catalogue says one.
    pub title: Option<String>,
    /// Category path from general to special, e.g. `["Watches", "Dive watches"]`.
    pub category: Vec<String>,
    /// Free tags.
    pub tags: Vec<String>,
    /// Price in major units of `currency`, ≥ 0.
    pub price: Option<f64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Units on hand; `None` = not tracked (always available), 0 = out of stock.
    pub stock: Option<i32>,
    /// Product page.
    pub url: Option<String>,
    /// Picture.
    pub image_url: Option<String>,
    /// Anything else, e.g. brand or colour.
    pub attributes: BTreeMap<String, String>,
    /// Bought again and again (food, cosmetics): a purchase does not hide it.
    pub consumable: bool,
    /// Moment the shop first named the item.
    pub created_at: Timestamp,
}

impl Item {
    /// An item of which nothing but its id is known.
    pub fn named(id: ItemId, external_id: ExternalId, created_at: Timestamp) -> Self {
        Self {
            id,
            external_id,
            title: None,
            category: Vec::new(),
            tags: Vec::new(),
            price: None,
            currency: None,
            stock: None,
            url: None,
            image_url: None,
            attributes: BTreeMap::new(),
            consumable: false,
            created_at,
        }
    }

    /// The title, or the id when there is none.
    pub fn name(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.external_id.to_string())
    }

    /// How much the catalogue says of it. A price alone says nothing: purchases name one too.
    pub fn standing(&self) -> Standing {
        let is_described = !self.category.is_empty()
            || !self.tags.is_empty()
            || !self.attributes.is_empty()
            || self.stock.is_some()
            || self.url.is_some()
            || self.image_url.is_some();
        match &self.title {
            Some(title) if !title.trim().is_empty() => Standing::Titled,
            _ if is_described => Standing::Described,
            _ => Standing::Named,
        }
    }

    /// Whether the item can be bought now.
    pub fn in_stock(&self) -> bool {
        self.stock.is_none_or(|units| units > 0)
    }
}

/// All items, by dense id. Cheap to clone (items are shared), so an update is copy, change, swap.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    items: Vec<Option<Arc<Item>>>,
    by_external_id: HashMap<ExternalId, ItemId>,
    category_names: Vec<Arc<str>>,
    category_ids: HashMap<Arc<str>, CategoryId>,
    item_category: Vec<Option<CategoryId>>,
    /// Number of items of each standing, in order.
    standings: [usize; 3],
    /// Number of changes so far.
    version: u64,
    /// Of items whose price has changed lately; for all others the present price is the only one known.
    prices: HashMap<ItemId, Arc<Prices>>,
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

    /// Adds or replaces an item. O(1) amortised.
    pub fn upsert(&mut self, item: Item) {
        self.version += 1;
        let index = item.id.index();
        if self.items.len() <= index {
            self.items.resize(index + 1, None);
            self.item_category.resize(index + 1, None);
        }
        let category = item.category.first().map(|name| self.intern(name));
        self.by_external_id.insert(item.external_id.clone(), item.id);
        self.count(item.standing(), 1);
        if let (Some(slot), Some(category_slot)) =
            (self.items.get_mut(index), self.item_category.get_mut(index))
        {
            let before = slot.replace(Arc::new(item));
            *category_slot = category;
            if let Some(before) = before {
                self.count(before.standing(), -1);
            }
        }
    }

    fn count(&mut self, standing: Standing, change: isize) {
        if let Some(count) = self.standings.get_mut(standing as usize) {
            *count = count.saturating_add_signed(change);
        }
    }

    /// Whether lists may name an item: one with a title. A catalogue without any title recommends what it describes otherwise, and
    /// one that describes nothing, of a shop that only sends events, what they name.
    pub fn is_recommendable(&self, item: &Item) -> bool {
        let best = [Standing::Titled, Standing::Described];
        let known =
            |standing: &Standing| self.standings.get(*standing as usize).is_some_and(|count| *count > 0);
        item.standing() >= best.into_iter().find(known).unwrap_or(Standing::Named)
    }

    /// Removes an item: it is no longer recommended. Its id stays taken.
    pub fn remove(&mut self, id: ItemId) {
        if let Some(slot) = self.items.get_mut(id.index())
            && let Some(item) = slot.take()
        {
            self.version += 1;
            self.by_external_id.remove(&item.external_id);
            self.count(item.standing(), -1);
        }
    }

    /// Notes prices and since when they hold, in any order; a new one together with the one before it. Kept for items of which
    /// at least two are known. O(prices of the items).
    pub fn note_prices(&mut self, points: &[(ItemId, PricePoint)]) {
        self.version += u64::from(!points.is_empty());
        for (item, point) in points {
            Arc::make_mut(self.prices.entry(*item).or_default()).note(*point);
        }
        for (item, _) in points {
            if self.prices.get(item).is_some_and(|prices| prices.len() < 2) {
                self.prices.remove(item);
            }
        }
    }

    /// Prices of the last weeks, at least two; `None` where only the present one is known.
    pub fn prices(&self, item: ItemId) -> Option<&Prices> {
        self.prices.get(&item).map(AsRef::as_ref)
    }

    /// Price of an item at a moment; `None` without a price, or where it was in another currency than now.
    pub fn price_at(&self, item: ItemId, moment: Timestamp) -> Option<f64> {
        match self.prices(item) {
            Some(prices) => prices.at(moment),
            None => self.get(item)?.price,
        }
    }

    fn intern(&mut self, name: &str) -> CategoryId {
        if let Some(id) = self.category_ids.get(name) {
            return *id;
        }
        let id = CategoryId(u32::try_from(self.category_names.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = name.into();
        self.category_names.push(Arc::clone(&name));
        self.category_ids.insert(name, id);
        id
    }

    /// The item, if it is there.
    pub fn get(&self, id: ItemId) -> Option<&Arc<Item>> {
        self.items.get(id.index())?.as_ref()
    }

    /// The item with the shop's id.
    pub fn find(&self, external_id: &ExternalId) -> Option<&Arc<Item>> {
        self.get(*self.by_external_id.get(external_id)?)
    }

    /// The top-level category of an item.
    pub fn category_of(&self, id: ItemId) -> Option<CategoryId> {
        *self.item_category.get(id.index())?
    }

    /// A category's name.
    pub fn category_name(&self, id: CategoryId) -> Option<&str> {
        self.category_names.get(id.0 as usize).map(AsRef::as_ref)
    }

    /// A category by name.
    pub fn category(&self, name: &str) -> Option<CategoryId> {
        self.category_ids.get(name).copied()
    }

    /// Number of categories; ids are 0…n − 1.
    pub fn n_categories(&self) -> usize {
        self.category_names.len()
    }

    /// Items in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.items.iter().flatten()
    }

    /// One more than the largest item id: the width of item-indexed vectors.
    pub fn width(&self) -> usize {
        self.items.len()
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.by_external_id.len()
    }

    /// No item at all?
    pub fn is_empty(&self) -> bool {
        self.by_external_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
