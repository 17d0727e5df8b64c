//! Filters: items that must not be shown, whatever their score. Every list is made from what is left, so it is full where
//! enough items are left.

use crate::base::ItemId;
use crate::profile::Bought;
use crate::recommend::models::item_set::ItemSet;
use crate::recommend::models::repurchase::Repeat;

use super::opening::opening;
use super::removed::{Filter, Removed};
use super::request::Request;

/// Items that one request may be answered with, and how many each filter has taken out.
#[derive(Clone, Debug)]
pub struct Eligible {
    /// May be shown.
    open: ItemSet,
    /// Those that are not in the cart.
    allowed: ItemSet,
    /// Those of them that the user does not know: showing one that they know would tell them nothing new.
    fresh: ItemSet,
    /// Those of them that the user knows, and not from lately.
    long_ago: ItemSet,
    /// Items taken out, by filter; each is counted once.
    pub removed: Removed,
}

impl Eligible {
    /// Items that the conditions leave whoever asks (`opening.rs`), without what the user has bought (unless it is due, and
    /// consumed or wanted to go on with), put into the cart, dismissed or muted, and what the list stands beside.
    /// O(items / 64 + items of the profile), where the conditions are known.
    pub fn new(request: &Request<'_>, repeat: &Repeat) -> Self {
        let opening = opening(request);
        let (open, mut removed) = (opening.open.clone(), opening.removed);
        let mut close = Closing { open, removed: &mut removed };
        close.all(Filter::Excluded, request.selection.exclude.iter().copied());
        let beside = request.seed.iter().chain(&request.selection.basket);
        close.all(Filter::Context, beside.copied());
        close.all(Filter::Resting, request.exclude.iter().copied());
        let is_consumable = |item| request.catalogue.get(item).is_some_and(|item| item.consumable);
        let bought = request.profile.bought().iter();
        let may_return = request.wants().continues();
        let is_due = |one: &Bought| repeat.is_due(one, is_consumable(one.item), request.now);
        // Sent back, or disliked.
        let is_refused =
            |item| request.profile.recent().iter().any(|one| one.item == item && one.weight < 0.0);
        let returns =
            |one: &Bought| (may_return || is_consumable(one.item)) && is_due(one) && !is_refused(one.item);
        let done = bought.filter(|one| !returns(one));
        close.all(Filter::Bought, done.map(|one| one.item));
        if let Some(silenced) = request.silenced {
            close.set(Filter::Muted, silenced);
        }
        let open = close.open;
        let mut allowed = open.clone();
        for item in request.profile.in_cart() {
            let is_wanted = request.wants().continues();
            if allowed.remove(*item) && !is_wanted {
                removed.note(Filter::InCart, 1);
            }
        }
        let (mut fresh, mut long_ago) = (allowed.clone(), allowed.emptied());
        let profile = request.profile;
        // What is consumed is news all the same.
        let is_no_news =
            |item: ItemId| !is_consumable(item) && !profile.bought_item(item).is_some_and(is_due);
        for item in profile.known().iter().copied().filter(|item| is_no_news(*item)) {
            if fresh.remove(item) {
                long_ago.insert(item);
            }
        }
        for known in profile.recent().iter().filter(|known| is_no_news(known.item)) {
            fresh.remove(known.item);
            long_ago.remove(known.item);
        }
        Self { open, allowed, fresh, long_ago, removed }
    }

    /// Items that may be shown, in the cart or not.
    pub(super) fn open(&self) -> &ItemSet {
        &self.open
    }

    /// Items that may be shown and are news to the user.
    pub(super) fn fresh(&self) -> &ItemSet {
        &self.fresh
    }

    /// Items that may be shown and that the user knows, and not from lately.
    pub(super) fn long_ago(&self) -> &ItemSet {
        &self.long_ago
    }

    /// Returns whether an item may be shown, in the cart or not.
    pub fn is_open(&self, item: ItemId) -> bool {
        self.open.has(item)
    }

    /// Returns whether an item may be shown as something to look at.
    pub fn is_allowed(&self, item: ItemId) -> bool {
        self.allowed.has(item)
    }

    /// Returns whether it may be shown and is news to the user.
    pub fn is_fresh(&self, item: ItemId) -> bool {
        self.fresh.has(item)
    }
}

/// Items that are taken out for one user.
struct Closing<'a> {
    open: ItemSet,
    removed: &'a mut Removed,
}

impl Closing<'_> {
    fn all(&mut self, filter: Filter, items: impl Iterator<Item = ItemId>) {
        let closed = items.filter(|item| self.open.remove(*item)).count();
        self.removed.note(filter, closed);
    }

    fn set(&mut self, filter: Filter, items: &ItemSet) {
        let closed = self.open.remove_all(items);
        self.removed.note(filter, closed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalogue::{Catalogue, Item, Money};
    use crate::config::Recommend;
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
