//! Filters: items that must not be shown, whatever their score. Every list is made from what is left, so it is full where
//! enough items are left.

use crate::base::ItemId;
use crate::catalogue::{Catalogue, Facts, Money, Standing};
use crate::config::Recommend;
use crate::recommend::models::repurchase::Repeat;

use super::item_filter::Compiled;
use super::removed::{Filter, Removed};
use super::request::Request;

/// May be shown.
const OPEN: u8 = 1;
/// Lies in the cart.
const IN_CART: u8 = 2;
/// Among the user's recent items: showing it tells them nothing new.
const SEEN: u8 = 4;

/// Items that one request may be answered with, and how many each filter has taken out.
#[derive(Clone, Debug)]
pub struct Eligible {
    /// Flags by item.
    flags: Vec<u8>,
    /// Items taken out, by filter; each is counted once.
    pub removed: Removed,
}

impl Eligible {
    /// Looks once at every item: at what the catalogue says too little of or is out of stock, forbidden by the settings, the
    /// placement or the request; then at what the user has bought (unless it is consumed and due), put into the cart or
    /// dismissed, and at what the list stands beside. O(items); tags and attributes cost a look at the item.
    pub fn new(request: &Request<'_>, repeat: &Repeat) -> Self {
        let mut all = Self { flags: vec![0; request.catalogue.width()], removed: Removed::default() };
        let conditions = Conditions::new(request);
        for (id, facts) in request.catalogue.facts() {
            match conditions.refuse(id, facts) {
                Some(filter) => all.removed.note(filter, 1),
                None => all.flags.get_mut(id.index()).into_iter().for_each(|flags| *flags = OPEN),
            }
        }
        all.close(Filter::Excluded, request.selection.exclude.iter().copied());
        let beside = request.seed.iter().chain(&request.selection.basket);
        all.close(Filter::Context, beside.copied());
        all.close(Filter::Resting, request.exclude.iter().copied());
        let is_consumable = |item| request.catalogue.get(item).is_some_and(|item| item.consumable);
        let bought = request.profile.bought().iter();
        let done = bought.filter(|one| !repeat.is_due(one, is_consumable(one.item), request.now));
        all.close(Filter::Bought, done.map(|one| one.item));
        all.mark(request, repeat, is_consumable);
        all
    }

    fn close(&mut self, filter: Filter, items: impl Iterator<Item = ItemId>) {
        for item in items {
            if let Some(flags) = self.flags.get_mut(item.index()).filter(|flags| **flags & OPEN != 0) {
                *flags = 0;
                self.removed.note(filter, 1);
            }
        }
    }

    /// Marks items that are in the cart and those that are no news. What is consumed is news as soon as it is due.
    fn mark(&mut self, request: &Request<'_>, repeat: &Repeat, is_consumable: impl Fn(ItemId) -> bool) {
        for item in request.profile.in_cart() {
            if let Some(flags) = self.flags.get_mut(item.index()).filter(|flags| **flags & OPEN != 0) {
                *flags |= IN_CART;
                let is_wanted = request.wants().continues();
                self.removed.note(Filter::InCart, usize::from(!is_wanted));
            }
        }
        for known in request.profile.recent() {
            let consumable = is_consumable(known.item);
            let bought = request.profile.bought_item(known.item);
            let due = bought.is_some_and(|bought| repeat.is_due(bought, consumable, request.now));
            if !consumable && !due {
                self.flags.get_mut(known.item.index()).into_iter().for_each(|flags| *flags |= SEEN);
            }
        }
    }

    fn has(&self, item: ItemId, wanted: u8, unwanted: u8) -> bool {
        self.flags.get(item.index()).is_some_and(|flags| flags & (wanted | unwanted) == wanted)
    }

    /// Whether an item may be shown, in the cart or not.
    pub fn is_open(&self, item: ItemId) -> bool {
        self.has(item, OPEN, 0)
    }

    /// Whether an item may be shown as something to look at.
    pub fn is_allowed(&self, item: ItemId) -> bool {
        self.has(item, OPEN, IN_CART)
    }

    /// Whether it may be shown and is news to the user.
    pub fn is_fresh(&self, item: ItemId) -> bool {
        self.has(item, OPEN, IN_CART | SEEN)
    }
}

/// Conditions that are asked of every item, looked up once.
struct Conditions<'a> {
    settings: &'a Recommend,
    money: &'a Money,
    /// By path.
    blocked: Vec<bool>,
    /// Standing from which lists may name an item.
    least: Standing,
    any_stock: bool,
    asked: Option<Compiled<'a>>,
    placement: Option<Compiled<'a>>,
    /// Filters of the placement's rules that remove, now.
    removing: Vec<Compiled<'a>>,
}

impl<'a> Conditions<'a> {
    fn new(request: &Request<'a>) -> Self {
        let (catalogue, now) = (request.catalogue, request.now);
        let placement = request.selection.placement.as_deref();
        let filter = placement.map(|placement| &placement.filter);
        let removing = placement.into_iter().flat_map(|placement| placement.removing(now));
        let asked = &request.selection.filter;
        Self {
            settings: request.settings,
            money: catalogue.money(),
            blocked: blocked(catalogue, &request.settings.blocked_categories),
            least: catalogue.least_standing(),
            any_stock: request.selection.any_stock
                || placement.is_some_and(|placement| placement.any_stock()),
            asked: (!asked.is_empty()).then(|| asked.compile(catalogue, now)),
            placement: filter
                .filter(|filter| !filter.is_empty())
                .map(|filter| filter.compile(catalogue, now)),
            removing: removing.map(|filter| filter.compile(catalogue, now)).collect(),
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
        if !self.placement.as_ref().is_none_or(passes) || self.removing.iter().any(passes) {
            return Some(Filter::Placement);
        }
        self.asked.as_ref()?.refuses(id, facts)
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalogue::Item;
    use crate::profile::Profile;
    use crate::recommend::fixtures::{item, request};

    #[test]
    fn the_prices_of_the_settings_are_in_the_currency_of_the_shop() {
        let priced = |id: u32, price: f64, currency: Option<&str>| Item {
            price: Some(price),
            currency: currency.map(str::to_owned),
            ..item(id, "Thing", "Things")
        };
        let mut catalogue = Catalogue::from_items([
            priced(0, 50.0, Some("EUR")),
            priced(1, 500.0, Some("EUR")),
            priced(2, 5_000.0, Some("JPY")),
            priced(3, 500.0, Some("JPY")),
            priced(4, 50.0, None),
            priced(5, 500.0, None),
            Item { price: None, ..item(6, "Thing", "Things") },
        ]);
        let settings = Recommend { min_price: 10.0, max_price: 100.0, ..Recommend::RELEVANCE_ONLY };
        let nobody = Profile::default();
        let open = |catalogue: &Catalogue| -> Vec<u32> {
            let asked = Request { settings: &settings, ..request(&nobody, catalogue, 5) };
            let eligible = Eligible::new(&asked, &Repeat::default());
            (0..7).filter(|id| eligible.is_open(ItemId(*id))).collect()
        };
        assert_eq!(open(&catalogue), [0, 2, 3, 4, 6], "yen can't be compared");
        catalogue.set_money(Money::new("EUR", &BTreeMap::from([("JPY".to_owned(), 0.006)])));
        assert_eq!(open(&catalogue), [0, 2, 4, 6], "30 euros, and 3");
    }
}
