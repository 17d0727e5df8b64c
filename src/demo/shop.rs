//! The simulated shop: a catalogue that reads like a real one, drawn from `catalogue.toml` by a seed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;

use super::{chance, images};
use tidings_core::base::ExternalId;
use tidings_core::base::random::{ChaCha8Rng, rng};
use tidings_core::catalogue::NewItem;

/// The first item's id; the others follow without a gap.
pub const FIRST_ITEM: i64 = 101;
/// Share of the items that appear only within the last two weeks.
const NEW_SHARE: f64 = 0.04;
/// Share of the items that are sold out.
const OUT_OF_STOCK_SHARE: f64 = 0.03;

/// A category as written in `catalogue.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// As shown, e.g. `Watches`.
    pub name: String,
    /// Tastes that run through the category; each product line has one.
    pub styles: Vec<String>,
    /// Makers, cheapest first.
    pub brands: Vec<String>,
    /// Product lines: the first word of a title.
    pub lines: Vec<String>,
    /// Kinds of items in it.
    #[serde(rename = "kind")]
    pub kinds: Vec<Kind>,
}

/// A subcategory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// As shown, e.g. `Dive watches`.
    pub name: String,
    /// One of them, e.g. `Dive Watch`.
    pub noun: String,
    /// Its picture: the name of a file in `images/motifs/`, without the ending.
    pub motif: String,
    /// Median price in EUR.
    pub price: f64,
    /// Number of items, relative to other kinds.
    #[serde(default = "one")]
    pub share: f64,
    /// True if it is bought again and again.
    #[serde(default)]
    pub consumable: bool,
    /// Materials, sizes or flavours.
    pub materials: Vec<String>,
    /// Names from [`images::COLOURS`].
    pub colours: Vec<String>,
    /// Follows the colour in the title; `None` keeps the colour out of it.
    #[serde(default)]
    pub ending: Option<String>,
    /// Tags that any of them may carry.
    pub tags: Vec<String>,
    /// Search terms of people who look for one.
    pub searches: Vec<String>,
    /// Names of kinds bought afterwards.
    pub goes_with: Vec<String>,
}

fn one() -> f64 {
    1.0
}

/// One thing on sale, with what only the simulation knows about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShopItem {
    /// The shop's id, from [`FIRST_ITEM`].
    pub id: i64,
    /// Title.
    pub title: String,
    /// Index into [`Shop::categories`].
    pub category: usize,
    /// Index into [`Shop::kinds`].
    pub kind: usize,
    /// Index into the category's brands.
    pub brand: usize,
    /// Index into the category's styles.
    pub style: usize,
    /// Material, size or flavour.
    pub material: String,
    /// Colour name.
    pub colour: String,
    /// Price in EUR.
    pub price: f64,
    /// Rank of the price among its kind: 0 the cheapest, 1 the dearest.
    pub price_level: f64,
    /// Units on hand.
    pub stock: i32,
    /// Tags.
    pub tags: Vec<String>,
    /// Popularity with the whole town, > 0, mean 1.
    pub popularity: f64,
    /// Days before "now" it came on sale.
    pub age_days: f64,
    /// `/demo/images/…`.
    pub image_url: String,
}

/// Categories, kinds and items.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The seed it was drawn from.
    pub seed: u64,
    /// Categories in the order of `catalogue.toml`.
    pub categories: Vec<Category>,
    /// All kinds with the index of their category.
    pub kinds: Vec<(usize, Arc<Kind>)>,
    /// Items by id, ascending.
    pub items: Vec<ShopItem>,
    /// Items (by index) of every kind.
    pub by_kind: Vec<Vec<usize>>,
    /// Kinds (by index) that go with every kind.
    pub goes_with: Vec<Vec<usize>>,
    /// The item (by index) that is often bought together with each item: this strap with that watch.
    pub companions: Vec<Option<usize>>,
}

#[derive(Deserialize)]
struct Source {
    category: Vec<Category>,
}

impl Shop {
    /// The same seed and number give the same shop. Categories take turns, so that any first few items are a mixed lot.
    /// Fails only when the embedded `catalogue.toml` is broken or too small for `n_items`.
    pub fn generate(seed: u64, n_items: usize) -> anyhow::Result<Self> {
        let source: Source =
            toml::from_str(include_str!("catalogue.toml")).context("the demo's catalogue.toml")?;
        let kinds: Vec<(usize, Arc<Kind>)> = source
            .category
            .iter()
            .enumerate()
            .flat_map(|(index, category)| category.kinds.iter().map(move |k| (index, Arc::new(k.clone()))))
            .collect();
        let goes_with = kinds
            .iter()
            .map(|(_, kind)| {
                let named = |(_, other): &(usize, Arc<Kind>)| kind.goes_with.contains(&other.name);
                kinds.iter().enumerate().filter(|(_, other)| named(other)).map(|(index, _)| index).collect()
            })
            .collect();
        let by_kind = vec![Vec::new(); kinds.len()];
        let categories = source.category;
        let (items, companions) = (Vec::new(), Vec::new());
        let mut shop = Self { seed, categories, kinds, items, by_kind, goes_with, companions };
        shop.fill(n_items)?;
        shop.rank_prices();
        shop.pair();
        Ok(shop)
    }

    fn fill(&mut self, n_items: usize) -> anyhow::Result<()> {
        let mut rng = rng(self.seed, "shop");
        let mut titles = HashSet::new();
        let mut tries = 0;
        while self.items.len() < n_items {
            tries += 1;
            anyhow::ensure!(tries < 100 * n_items + 1_000, "catalogue.toml has no {n_items} different items");
            let turn = self.items.len() % self.categories.len().max(1);
            let shares: Vec<f64> = self
                .kinds
                .iter()
                .map(|(category, kind)| if *category == turn { kind.share } else { 0.0 })
                .collect();
            let kind = chance::weighted(&mut rng, &shares).context("a category without kinds")?;
            let id = FIRST_ITEM + i64::try_from(self.items.len())?;
            let Some(item) = self.draw(&mut rng, id, kind) else { continue };
            if titles.insert(item.title.clone()) {
                if let Some(list) = self.by_kind.get_mut(kind) {
                    list.push(self.items.len());
                }
                self.items.push(item);
            }
        }
        Ok(())
    }

    fn draw(&self, rng: &mut ChaCha8Rng, id: i64, kind_index: usize) -> Option<ShopItem> {
        let (category_index, kind) = self.kinds.get(kind_index)?;
        let category = self.categories.get(*category_index)?;
        let line = chance::index(rng, category.lines.len());
        let style = line % category.styles.len().max(1);
        let brand = chance::index(rng, category.brands.len());
        let material = kind.materials.get(chance::index(rng, kind.materials.len()))?.clone();
        let colour = kind.colours.get(chance::index(rng, kind.colours.len()))?.clone();
        // Brands are listed from cheap to dear: 0.75 … 1.6 times the median, with a little spread.
        let tier = 0.75 + 0.85 * brand as f64 / (category.brands.len().max(2) - 1) as f64;
        let price = tidy(kind.price * tier * (0.18 * chance::normal(rng)).exp());
        let mut title = format!("{} {}, {material}", category.lines.get(line)?, kind.noun);
        if let Some(ending) = &kind.ending {
            title.push_str(&format!(", {colour}{ending}"));
        }
        let mut tags: Vec<String> = kind.tags.iter().filter(|_| chance::happens(rng, 0.7)).cloned().collect();
        tags.push(category.styles.get(style)?.clone());
        let stock = if chance::happens(rng, OUT_OF_STOCK_SHARE) {
            0
        } else {
            3 + i32::try_from(chance::index(rng, 120)).unwrap_or(0)
        };
        let age_days = if chance::happens(rng, NEW_SHARE) { chance::between(rng, 1.0, 14.0) } else { 365.0 };
        Some(ShopItem {
            id,
            title,
            category: *category_index,
            kind: kind_index,
            brand,
            style,
            image_url: images::path(&kind.motif, images::seed(&colour, chance::index(rng, 1_000) as u64)),
            material,
            colour,
            price,
            price_level: 0.5,
            stock,
            tags,
            popularity: chance::noise(rng, 0.8),
            age_days,
        })
    }

    fn rank_prices(&mut self) {
        for list in &self.by_kind {
            let price = |index: &usize| self.items.get(*index).map_or(0.0, |item| item.price);
            let mut order = list.clone();
            order.sort_by(|a, b| price(a).total_cmp(&price(b)));
            let last = (order.len().max(2) - 1) as f64;
            for (rank, index) in order.into_iter().enumerate() {
                if let Some(item) = self.items.get_mut(index) {
                    item.price_level = rank as f64 / last;
                }
            }
        }
    }

    /// Finds each item's companion: of a kind that goes with its own, on sale all along, of like price, and of its own
    /// style where the two share a shelf. A little chance spreads them.
    fn pair(&mut self) {
        let mut rng = rng(self.seed, "companions");
        let fit = |item: &ShopItem, other: &ShopItem, rng: &mut ChaCha8Rng| {
            let same_style = item.category == other.category && item.style == other.style;
            let price = 1.0 - (item.price_level - other.price_level).abs();
            price + if same_style { 0.5 } else { 0.0 } + chance::between(rng, 0.0, 0.6)
        };
        let mut companions = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let kinds = self.goes_with.get(item.kind).into_iter().flatten();
            let candidates = kinds.filter_map(|kind| self.by_kind.get(*kind)).flatten();
            let mut best: Option<(usize, f64)> = None;
            for index in candidates {
                let Some(other) = self.items.get(*index) else { continue };
                let fit = fit(item, other, &mut rng);
                let sold = other.stock > 0 && other.age_days > 100.0;
                if sold && best.is_none_or(|(_, best)| fit > best) {
                    best = Some((*index, fit));
                }
            }
            companions.push(best.map(|(index, _)| index));
        }
        self.companions = companions;
    }

    /// The item with the shop's id.
    pub fn find(&self, id: i64) -> Option<&ShopItem> {
        self.items.get(usize::try_from(id.checked_sub(FIRST_ITEM)?).ok()?)
    }

    /// The category of an item.
    pub fn category_of(&self, item: &ShopItem) -> Option<&Category> {
        self.categories.get(item.category)
    }

    /// The kind of an item.
    pub fn kind_of(&self, item: &ShopItem) -> Option<&Kind> {
        self.kinds.get(item.kind).map(|(_, kind)| kind.as_ref())
    }

    /// Everything as `PUT /v1/items` takes it, by id.
    pub fn new_items(&self) -> Vec<NewItem> {
        self.items.iter().map(|item| self.new_item(item)).collect()
    }

    fn new_item(&self, item: &ShopItem) -> NewItem {
        let category = self.category_of(item);
        let kind = self.kind_of(item);
        let text = |list: Option<&Vec<String>>, index| {
            list.and_then(|l: &Vec<String>| l.get(index)).cloned().unwrap_or_default()
        };
        let attributes = BTreeMap::from([
            ("brand".to_owned(), text(category.map(|c| &c.brands), item.brand)),
            ("style".to_owned(), text(category.map(|c| &c.styles), item.style)),
            ("material".to_owned(), item.material.clone()),
            ("colour".to_owned(), item.colour.clone()),
        ]);
        NewItem {
            title: Some(item.title.clone()),
            category: Some(
                [category.map(|c| &c.name), kind.map(|k| &k.name)].into_iter().flatten().cloned().collect(),
            ),
            tags: Some(item.tags.clone()),
            price: Some(item.price),
            currency: Some("EUR".to_owned()),
            stock: Some(item.stock),
            url: Some(format!("/?item={}", item.id)),
            image_url: Some(item.image_url.clone()),
            attributes: Some(attributes),
            consumable: Some(kind.is_some_and(|k| k.consumable)),
            ..NewItem::new(ExternalId::Integer(item.id))
        }
    }
}

/// Prices as shops write them: x.90 below 20, whole x9 or x5 above.
fn tidy(price: f64) -> f64 {
    if price < 20.0 {
        price.floor().max(2.0) + 0.9
    } else if price < 100.0 {
        price.round()
    } else {
        (price / 5.0).round() * 5.0 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_of_any_size_is_valid_varied_and_repeatable() {
        let shop = Shop::generate(1, 600).unwrap();
        let items = shop.new_items();
        assert_eq!(items.len(), 600);
        assert_eq!(items[0].item_id, ExternalId::Integer(101));
        for item in &items {
            item.validate().unwrap_or_else(|error| panic!("{item:?}: {error}"));
            assert!(item.attributes.as_ref().unwrap().values().all(|value| !value.is_empty()), "{item:?}");
        }
        let titles: HashSet<_> = items.iter().map(|item| item.title.clone()).collect();
        assert_eq!(titles.len(), 600);
        assert!((10..=12).contains(&shop.categories.len()));
        assert!(shop.by_kind.iter().all(|list| list.len() >= 3), "a kind with hardly any item");
        let sold_out = shop.items.iter().filter(|item| item.stock == 0).count();
        assert!((5..60).contains(&sold_out), "{sold_out}");
        assert_eq!(items, Shop::generate(1, 600).unwrap().new_items());
        assert_ne!(items, Shop::generate(2, 600).unwrap().new_items());
    }

    #[test]
    fn every_kind_names_known_pictures_colours_and_companions() {
        let shop = Shop::generate(1, 500).unwrap();
        let names: Vec<_> = shop.kinds.iter().map(|(_, kind)| kind.name.as_str()).collect();
        for (_, kind) in &shop.kinds {
            assert!(images::svg(&kind.motif, 0).is_some(), "{}: no picture {}", kind.name, kind.motif);
            for colour in &kind.colours {
                assert!(images::COLOURS.iter().any(|(name, _)| name == colour), "{}: {colour}", kind.name);
            }
            for other in &kind.goes_with {
                assert!(names.contains(&other.as_str()), "{}: {other}", kind.name);
            }
            assert!(!kind.searches.is_empty());
        }
    }

    #[test]
    fn a_companion_is_of_a_kind_that_goes_with_the_item_and_can_be_had() {
        let shop = Shop::generate(1, 600).unwrap();
        assert_eq!(shop.companions, Shop::generate(1, 600).unwrap().companions);
        for (item, companion) in shop.items.iter().zip(&shop.companions) {
            let going_with = &shop.goes_with[item.kind];
            assert_eq!(companion.is_some(), !going_with.is_empty(), "{}", item.title);
            let Some(companion) = companion.map(|index| &shop.items[index]) else { continue };
            assert!(going_with.contains(&companion.kind), "{} with {}", item.title, companion.title);
            assert!(companion.stock > 0, "{} is sold out", companion.title);
        }
        let different: HashSet<_> = shop.companions.iter().flatten().collect();
        assert!(different.len() > 60, "{}", different.len());
    }

    #[test]
    fn prices_look_like_prices_and_dear_brands_are_dearer() {
        let shop = Shop::generate(3, 900).unwrap();
        let mean = |brand| {
            let prices: Vec<f64> =
                shop.items.iter().filter(|i| i.category == 0 && i.brand == brand).map(|i| i.price).collect();
            prices.iter().sum::<f64>() / prices.len() as f64
        };
        assert!(mean(5) > 1.3 * mean(0), "{} {}", mean(5), mean(0));
        assert!(shop.items.iter().all(|item| (2.0..2_000.0).contains(&item.price)));
    }
}
