//! Items that a list may hold whoever asks: what standing, stock, settings, placement and the filter of the request leave. Made once
//! for each snapshot of the catalogue and each set of conditions, and kept with the snapshot.
//!
//! Time: O(items) for conditions that are new, and a look at each item that may have the tags and attributes; O(conditions kept)
//! for known ones. Memory: a bit for each item id and set of conditions, of which [`KEPT`] stay.

use std::sync::Arc;

use crate::base::{ItemId, Timestamp};
use crate::catalogue::{Catalogue, Facts, Kept, Money, Standing};
use crate::config::Recommend;
use crate::recommend::models::item_set::ItemSet;

use super::item_filter::{Compiled, ItemFilter};
use super::removed::{Filter, Removed};
use super::request::Request;

/// Sets of conditions whose items are kept with a snapshot, those asked for last.
const KEPT: usize = 64;

/// The open items, and how many of the others each filter has taken out.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    pub(super) open: ItemSet,
    pub(super) removed: Removed,
}

/// The openings of one snapshot.
type Openings = Kept<Conditions, Opening>;

/// All that decides which items are open, beside the catalogue.
#[derive(Debug, PartialEq)]
struct Conditions {
    min_price: f64,
    max_price: f64,
    blocked: Vec<String>,
    any_stock: bool,
    /// Those that an item must pass: the placement's own.
    placement: Option<ItemFilter>,
    /// Those of which it must pass none: of the placement's rules that remove.
    removing: Vec<ItemFilter>,
    asked: Option<ItemFilter>,
}

/// The same by reference, of one request.
#[derive(Clone, Copy)]
struct Asking<'a> {
    settings: &'a Recommend,
    any_stock: bool,
    placement: Option<&'a ItemFilter>,
    removing: &'a [&'a ItemFilter],
    asked: Option<&'a ItemFilter>,
}

impl Asking<'_> {
    fn matches(&self, known: &Conditions) -> bool {
        known.asked.as_ref() == self.asked
            && known.placement.as_ref() == self.placement
            && known.any_stock == self.any_stock
            && known.removing.iter().eq(self.removing.iter().copied())
            && known.min_price == self.settings.min_price
            && known.max_price == self.settings.max_price
            && known.blocked == self.settings.blocked_categories
    }

    fn to_conditions(self) -> Conditions {
        Conditions {
            min_price: self.settings.min_price,
            max_price: self.settings.max_price,
            blocked: self.settings.blocked_categories.clone(),
            any_stock: self.any_stock,
            placement: self.placement.cloned(),
            removing: self.removing.iter().copied().cloned().collect(),
            asked: self.asked.cloned(),
        }
    }

    /// Returns whether it leaves the same items at every moment.
    fn is_lasting(&self) -> bool {
        let mut filters = self.placement.iter().chain(self.removing).chain(&self.asked);
        filters.all(|filter| filter.new_days.is_none())
    }
}

/// Items that the request leaves, whoever asks.
pub(super) fn opening(request: &Request<'_>) -> Arc<Opening> {
    let placement = request.selection.placement.as_deref();
    let removing: Vec<&ItemFilter> =
        placement.into_iter().flat_map(|placement| placement.removing(request.now)).collect();
    let own = placement.map(|placement| &placement.filter);
    let asked = &request.selection.filter;
    let asking = Asking {
        settings: request.settings,
        any_stock: request.selection.any_stock || placement.is_some_and(|placement| placement.any_stock()),
        placement: own.filter(|filter| !filter.is_empty()),
        removing: &removing,
        asked: Some(asked).filter(|filter| !filter.is_empty()),
    };
    known_or_made(&asking, request.catalogue, request.now)
}

fn known_or_made(asking: &Asking<'_>, catalogue: &Catalogue, now: Timestamp) -> Arc<Opening> {
    if !asking.is_lasting() {
        return Arc::new(made(asking, catalogue, now));
    }
    let kept = catalogue.memo::<Openings>();
    if let Some(known) = kept.find(|known| asking.matches(known)) {
        return known;
    }
    let opening = Arc::new(made(asking, catalogue, now));
    kept.keep(asking.to_conditions(), &opening, KEPT);
    opening
}

/// Of what the other conditions leave, the items that the filter of the request does: those are few, and known more often.
fn made(asking: &Asking<'_>, catalogue: &Catalogue, now: Timestamp) -> Opening {
    if let Some(asked) = asking.asked {
        let before = known_or_made(&Asking { asked: None, ..*asking }, catalogue, now);
        let mut opening = Opening::clone(&before);
        let compiled = asked.compile(catalogue, now);
        for item in before.open.iter() {
            let facts = catalogue.facts_of(item);
            if let Some(filter) = facts.and_then(|facts| compiled.refuses(item, facts)) {
                opening.open.remove(item);
                opening.removed.note(filter, 1);
            }
        }
        return opening;
    }
    let rules = Rules::new(asking, catalogue, now);
    let mut opening = Opening { open: ItemSet::new(catalogue.width()), removed: Removed::default() };
    for (item, facts) in catalogue.facts() {
        match rules.refuse(item, facts) {
            Some(filter) => opening.removed.note(filter, 1),
            None => _ = opening.open.insert(item),
        }
    }
    opening
}

/// Conditions that are asked of every item, looked up once.
struct Rules<'a> {
    settings: &'a Recommend,
    money: &'a Money,
    /// By path.
    blocked: Vec<bool>,
    /// Standing from which lists may name an item.
    least: Standing,
    any_stock: bool,
    placement: Option<Compiled<'a>>,
    removing: Vec<Compiled<'a>>,
}

impl<'a> Rules<'a> {
    fn new(asking: &Asking<'a>, catalogue: &'a Catalogue, now: Timestamp) -> Self {
        Self {
            settings: asking.settings,
            money: catalogue.money(),
            blocked: blocked(catalogue, &asking.settings.blocked_categories),
            least: catalogue.least_standing(),
            any_stock: asking.any_stock,
            placement: asking.placement.map(|filter| filter.compile(catalogue, now)),
            removing: asking.removing.iter().map(|filter| filter.compile(catalogue, now)).collect(),
        }
    }

    /// The first filter that an item does not pass.
    fn refuse(&self, id: ItemId, facts: &Facts) -> Option<Filter> {
        if facts.standing < self.least {
            return Some(Filter::Untold);
        }
        if !(facts.in_stock || self.any_stock) {
            return Some(Filter::Stock);
        }
        if !self.is_sold(facts) {
            return Some(Filter::Settings);
        }
        let passes = |filter: &Compiled<'_>| filter.refuses(id, facts).is_none();
        let is_placed = self.placement.as_ref().is_none_or(passes) && !self.removing.iter().any(passes);
        (!is_placed).then_some(Filter::Placement)
    }

    /// In a category and at a price that may be recommended? The settings name prices in the shop's currency. An item passes whose
    /// price is unknown, or of a currency without a rate.
    fn is_sold(&self, facts: &Facts) -> bool {
        let path = facts.path.map(|path| path.0 as usize);
        let blocked = path.and_then(|path| self.blocked.get(path)).is_some_and(|blocked| *blocked);
        let price = facts.price().and_then(|price| self.money.in_base(price, facts.currency));
        let most = self.settings.max_price;
        let above = price.is_none_or(|price| price >= self.settings.min_price);
        let below = most <= 0.0 || price.is_none_or(|price| price <= most);
        !blocked && above && below
    }
}

/// By path, whether it is below a blocked top-level category.
fn blocked(catalogue: &Catalogue, names: &[String]) -> Vec<bool> {
    let below = |name: &String| catalogue.paths_below(std::slice::from_ref(name));
    let either = |a: Vec<bool>, b: Vec<bool>| a.into_iter().zip(b).map(|(a, b)| a || b).collect();
    names.iter().map(below).reduce(either).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Item;
    use crate::profile::Profile;
    use crate::recommend::fixtures::{item, request};
    use crate::recommend::serve::selection::Selection;

    fn shop() -> Catalogue {
        Catalogue::from_items((0..200).map(|id| Item {
            price: Some(f64::from(id)),
            tags: vec![format!("tag {}", id % 7)],
            attributes: [("colour".to_owned(), format!("colour {}", id % 3))].into(),
            ..item(id, "Thing", &format!("Category {}", id % 5))
        }))
    }

    fn open(catalogue: &Catalogue, filter: &str) -> Arc<Opening> {
        let selection = Selection { filter: serde_json::from_str(filter).unwrap(), ..Selection::NONE };
        let nobody = Profile::default();
        opening(&Request { selection: &selection, ..request(&nobody, catalogue, 5) })
    }

    #[test]
    fn items_of_known_conditions_are_not_looked_at_again_until_the_catalogue_changes() {
        let mut catalogue = shop();
        let filter = r#"{"category":"Category 2","min_price":50,"attributes":{"colour":"colour 1"}}"#;
        let first = open(&catalogue, filter);
        assert!(first.open.iter().all(|item| item.0 % 5 == 2 && item.0 % 3 == 1 && item.0 >= 50));
        assert_eq!(first.open.len(), 10);
        assert!(Arc::ptr_eq(&first, &open(&catalogue, filter)));
        let copy = catalogue.clone();
        assert!(Arc::ptr_eq(&first, &open(&copy, filter)), "a copy is the same snapshot");
        catalogue.upsert(Item { stock: Some(0), ..(**catalogue.get(ItemId(52)).unwrap()).clone() });
        let second = open(&catalogue, filter);
        assert_eq!((second.open.len(), second.removed.by(Filter::Stock)), (9, 1));
        assert!(Arc::ptr_eq(&first, &open(&copy, filter)), "the old snapshot is as it was");
        catalogue.set_money(Money::default());
        assert!(!Arc::ptr_eq(&second, &open(&catalogue, filter)));
    }

    #[test]
    fn the_conditions_asked_for_last_are_kept() {
        let catalogue = shop();
        let of = |price: usize| open(&catalogue, &format!(r#"{{"min_price":{price}}}"#));
        let first = of(0);
        for price in 1..KEPT - 1 {
            of(price);
            assert!(Arc::ptr_eq(&first, &of(0)));
        }
        assert_eq!(of(150).open.len(), 50);
        (1..=KEPT).for_each(|price| _ = of(price));
        assert!(!Arc::ptr_eq(&first, &of(0)));
    }

    #[test]
    fn what_is_new_is_asked_at_each_moment() {
        let catalogue = shop();
        let filter: ItemFilter = serde_json::from_str(r#"{"new_days":100}"#).unwrap();
        let selection = Selection { filter, ..Selection::NONE };
        let nobody = Profile::default();
        let asked = Request { selection: &selection, ..request(&nobody, &catalogue, 5) };
        let later = Request { now: asked.now.plus_days(1.0), ..asked };
        // Items are a second apart.
        assert_eq!((opening(&asked).open.len(), opening(&later).open.len()), (200, 0));
    }
}
