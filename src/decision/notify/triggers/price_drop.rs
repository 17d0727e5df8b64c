//! Detects price drops large enough to tell. The price to compare with is the lower of two: what the item cost when the user
//! last had to do with it, and the lowest of the 30 days before the reduction began. Many small steps are one reduction.

use super::change::Change;
use super::condition::Condition;
use super::{Definition, Trigger};
use crate::notify::policy::Precondition;
use tidings_core::base::{ItemId, Millis, Timestamp};
use tidings_core::catalogue::{Catalogue, REFERENCE_DAYS};
use tidings_core::profile::Profile;

/// Older looks don't count: what the item cost then is no longer known.
const LOOK: Millis = Millis::hours(24 * REFERENCE_DAYS);

/// A reduction worth telling.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PriceDrop {
    /// Price to compare with.
    before: f64,
    /// Price of the step that it is told for: the first that is low enough, or a later one that alone is a drop of that size.
    told_for: f64,
}

/// Returns whether `price` is at least `percent` below `before`, up to rounding.
fn is_enough(percent: f64, before: f64, price: f64) -> bool {
    before > 0.0 && (before - price) * 100.0 >= (percent - 1e-9) * before
}

/// Price of the item when the user last had to do with it, at most 30 days ago.
fn seen(profile: &Profile, catalogue: &Catalogue, item: ItemId, now: Timestamp) -> Option<f64> {
    let look = profile.recent().iter().find(|recent| recent.item == item && recent.at > now - LOOK)?;
    catalogue.price_at(item, look.at)
}

/// Returns whether the item costs `percent` less than it did before the present reduction, and than when it was `seen`. The rule for
/// those who are here, those who are not, and again when the message is sent.
fn price_drop(
    percent: f64,
    item: ItemId,
    seen: Option<f64>,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Option<PriceDrop> {
    let reduction = catalogue.prices(item)?.reduction(now)?;
    let before = seen.map_or(reduction.before, |seen| seen.min(reduction.before));
    let first = reduction.steps.iter().position(|step| is_enough(percent, before, step.price))?;
    let steps = reduction.steps.get(first..)?;
    let alone = steps.windows(2).rev().find_map(|pair| match pair {
        [previous, step] => is_enough(percent, previous.price, step.price).then_some(step),
        _ => None,
    });
    Some(PriceDrop { before, told_for: alone.or(steps.first())?.price })
}

/// The price to compare with, if the step to the price `after` is the one that this user is told.
pub(super) fn for_user(
    percent: f64,
    (item, after): (ItemId, f64),
    profile: &Profile,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Option<f64> {
    let seen = seen(profile, catalogue, item, now)?;
    let drop = price_drop(percent, item, Some(seen), catalogue, now)?;
    (drop.told_for == after).then_some(drop.before)
}

/// Returns whether a message that compares with `before` is true for this user. What the user saw and the prices of the last weeks
/// count, as far as they are known: a shop may set it off for others.
pub(super) fn truth(
    percent: f64,
    before: Option<f64>,
    item: ItemId,
    profile: &Profile,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Precondition {
    let price = catalogue.get(item).and_then(|item| item.price);
    let is_lower = before.zip(price).is_some_and(|(before, price)| is_enough(percent, before, price));
    let is_known = catalogue.prices(item).is_some();
    let seen = seen(profile, catalogue, item, now);
    if is_lower && (!is_known || price_drop(percent, item, seen, catalogue, now).is_some()) {
        Precondition::Holds
    } else {
        Precondition::PriceRose
    }
}

impl Definition {
    /// Returns whether a change of the catalogue concerns those who showed interest in the very item and are not here, and the price
    /// to compare with. What each of them saw is looked up when they are told ([`Trigger::truth`]).
    pub fn concerns_interested(
        &self,
        change: Change,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Option<Option<f64>> {
        match (&self.when, change) {
            (Condition::PriceDrop { percent }, Change::Cheaper { item, after, .. }) => {
                let drop = price_drop(*percent, item, None, catalogue, now)?;
                (drop.told_for == after).then_some(Some(drop.before))
            }
            (Condition::BackInStock, Change::BackInStock(_)) => Some(None),
            _ => None,
        }
    }
}

impl Trigger {
    /// With the price to compare with as this user saw it; for one that has waited, which was set off for many users or
    /// before the user looked again.
    pub fn up_to_date(self, profile: &Profile, catalogue: &Catalogue, now: Timestamp) -> Self {
        let (Condition::PriceDrop { percent }, Some(item)) = (&self.definition.when, self.item) else {
            return self;
        };
        let seen = seen(profile, catalogue, item, now);
        let Some(drop) = price_drop(*percent, item, seen, catalogue, now) else { return self };
        let before = self.price_before.map_or(drop.before, |before| before.min(drop.before));
        Self { price_before: Some(before), ..self }
    }

    /// Price that names the occasion of a price drop: the one of the step it is told for, so that the small steps after it
    /// are the same occasion. Of 30 days it is the lowest, so that no other reduction has it.
    pub(super) fn price_of_occasion(&self, catalogue: &Catalogue, now: Timestamp) -> Option<f64> {
        let Condition::PriceDrop { percent } = self.definition.when else { return None };
        let item = self.item?;
        let drop = price_drop(percent, item, self.price_before, catalogue, now);
        drop.map(|drop| drop.told_for).or_else(|| catalogue.get(item)?.price)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, event, item, profile};
    use super::super::{Triggers, defaults};
    use super::*;
    use tidings_core::catalogue::{Currency, Item, PricePoint};
    use tidings_core::event::EventKind;
    use tidings_core::profile::Attributes;

    const ITEM: ItemId = ItemId(7);

    fn triggers(percent: f64) -> Triggers {
        let mut all = defaults();
        for definition in &mut all {
            if let Condition::PriceDrop { percent: known } = &mut definition.when {
                *known = percent;
            }
        }
        Triggers::new(all)
    }

    fn day(n: f64) -> Timestamp {
        NOW.plus_days(n)
    }

    /// A shop that changes one price, and a user who looks at times.
    struct Shop {
        triggers: Triggers,
        catalogue: Catalogue,
        user: Profile,
        /// Prices told, and what they were compared with.
        told: Vec<(f64, f64)>,
    }

    impl Shop {
        fn new(percent: f64, price: f64) -> Self {
            let catalogue = Catalogue::from_items([Item { price: Some(price), ..item(7) }]);
            let mut shop =
                Self { triggers: triggers(percent), catalogue, user: Profile::default(), told: Vec::new() };
            shop.note(-90.0, price);
            shop
        }

        fn note(&mut self, at: f64, price: f64) {
            let before = self.catalogue.get(ITEM).and_then(|item| item.price).unwrap();
            let point = |since, price| PricePoint { since, price, currency: Currency::parse("EUR") };
            let points = [(ITEM, point(day(-90.0), before)), (ITEM, point(day(at), price))];
            let from = usize::from(self.catalogue.prices(ITEM).is_some());
            self.catalogue.note_prices(&points[from..]);
        }

        fn look(&mut self, at: f64) {
            self.user.apply(&event(EventKind::View, 7, day(at)), &self.catalogue);
        }

        fn fired(&self, changes: &[Change], now: Timestamp) -> Vec<Trigger> {
            let of = |change: &Change| self.triggers.of_change(*change, &self.user, &self.catalogue, now);
            changes.iter().flat_map(of).filter(|fired| fired.name() == "price_drop").collect()
        }

        /// Changes the price and tells what that fires; nothing else keeps it from being told again.
        fn price(&mut self, at: f64, price: f64) -> &mut Self {
            let before = self.catalogue.get(ITEM).unwrap().as_ref().clone();
            let after = Item { price: Some(price), ..before.clone() };
            let changes = Change::between(Some(&before), &after);
            self.note(at, price);
            self.catalogue.upsert(after);
            for fired in self.fired(&changes, day(at)) {
                assert_eq!(
                    fired.truth(
                        &self.user,
                        None,
                        &Attributes::default(),
                        None,
                        &self.catalogue,
                        day(at),
                        day(at)
                    ),
                    Precondition::Holds
                );
                self.told.push((price, fired.price_before.unwrap()));
            }
            self
        }
    }

    #[test]
    fn a_price_that_was_raised_before_it_was_lowered_is_no_drop() {
        let mut shop = Shop::new(10.0, 100.0);
        shop.look(-1.0);
        shop.price(0.0, 200.0).price(0.1, 110.0);
        assert!(shop.told.is_empty(), "it costs more than when it was looked at");
        shop.price(0.2, 95.0);
        assert!(shop.told.is_empty(), "5 %");
        shop.price(0.3, 89.0);
        assert_eq!(shop.told, [(89.0, 100.0)]);
        // Whoever looks while it is dear is told the lowest price of 30 days all the same.
        let mut shop = Shop::new(10.0, 100.0);
        shop.price(0.0, 200.0).look(1.0);
        shop.price(2.0, 110.0);
        assert!(shop.told.is_empty(), "110 instead of 200, though it was 100 two days ago");
        shop.price(3.0, 80.0);
        assert_eq!(shop.told, [(80.0, 100.0)]);
        // 30 days later the lower price is forgotten, and so is the look of then.
        let mut shop = Shop::new(10.0, 100.0);
        shop.price(0.0, 200.0).look(20.0);
        shop.price(31.0, 110.0);
        assert_eq!(shop.told, [(110.0, 200.0)]);
        let mut shop = Shop::new(10.0, 100.0);
        shop.look(-1.0);
        shop.price(0.0, 200.0).price(31.0, 110.0);
        assert!(shop.told.is_empty());
    }

    #[test]
    fn small_steps_are_told_once_when_they_add_up() {
        for step in [0.96, 0.97, 0.99] {
            let (mut shop, mut price) = (Shop::new(10.0, 100.0), 100.0);
            shop.look(-1.0);
            let mut at = 0.0;
            while price * step > 75.0 {
                price *= step;
                at += 0.5;
                shop.price(at, price);
            }
            let [(told, before)] = shop.told[..] else { panic!("{step}: {:?}", shop.told) };
            assert!(before == 100.0 && told <= 90.0 && told > 90.0 * step, "{step}: {told}");
        }
    }

    #[test]
    fn a_further_drop_is_told_when_it_is_one_by_itself_or_the_user_has_looked_again() {
        let mut shop = Shop::new(10.0, 100.0);
        shop.look(-1.0);
        shop.price(0.0, 89.0).price(0.1, 85.0).price(0.2, 50.0).price(0.3, 48.0);
        assert_eq!(shop.told, [(89.0, 100.0), (50.0, 100.0)]);
        let mut shop = Shop::new(10.0, 100.0);
        shop.look(-1.0);
        shop.price(0.0, 89.0).look(0.5);
        shop.price(1.0, 85.0).price(2.0, 81.0);
        assert_eq!(shop.told.len(), 1, "9 % below what was seen");
        shop.price(3.0, 80.0);
        assert_eq!(shop.told, [(89.0, 100.0), (80.0, 89.0)]);
        // Up and down again is no news; lower than it ever was is.
        let mut shop = Shop::new(5.0, 10.0);
        shop.look(-1.0);
        shop.price(0.0, 7.5).price(0.1, 10.0).price(0.2, 7.5).price(0.3, 7.4);
        assert_eq!(shop.told, [(7.5, 10.0)]);
        shop.price(0.4, 5.0);
        assert_eq!(shop.told, [(7.5, 10.0), (5.0, 7.5)]);
    }

    #[test]
    fn it_is_true_when_sent_only_if_it_still_costs_less_than_the_user_saw() {
        let mut shop = Shop::new(10.0, 100.0);
        shop.look(-1.0);
        shop.price(0.0, 80.0);
        let item_7 = shop.catalogue.get(ITEM).unwrap().as_ref().clone();
        let change = Change::Cheaper { item: ITEM, before: 100.0, after: 80.0 };
        let fired = shop.fired(&[change], day(0.0)).remove(0);
        let truth = |shop: &Shop, at| {
            fired.truth(&shop.user, None, &Attributes::default(), None, &shop.catalogue, day(at), day(at))
        };
        assert_eq!(truth(&shop, 0.5), Precondition::Holds);
        shop.look(0.6);
        assert_eq!(truth(&shop, 0.7), Precondition::PriceRose, "seen at 80");
        let mut raised = Shop::new(10.0, 100.0);
        raised.look(-1.0);
        raised.price(0.0, 80.0).price(0.1, 95.0);
        assert_eq!(truth(&raised, 0.2), Precondition::PriceRose);
        raised.price(0.3, 85.0);
        assert_eq!(truth(&raised, 0.4), Precondition::PriceRose, "it was 80 today");
        // Set off by the shop, with nothing known to the contrary.
        let plain = Catalogue::from_items([item_7]);
        assert_eq!(
            fired.truth(&Profile::default(), None, &Attributes::default(), None, &plain, day(0.0), day(0.0)),
            Precondition::Holds
        );
        let nothing = Trigger { price_before: None, ..fired.clone() };
        assert_eq!(
            nothing.truth(
                &Profile::default(),
                None,
                &Attributes::default(),
                None,
                &plain,
                day(0.0),
                day(0.0)
            ),
            Precondition::PriceRose
        );
    }

    #[test]
    fn those_who_are_away_are_candidates_of_the_step_that_is_low_enough_and_get_their_own_price_when_told() {
        let mut shop = Shop::new(10.0, 100.0);
        let definition = shop.triggers.find("price_drop").unwrap().clone();
        let mut concerned = Vec::new();
        for (at, before, after) in
            [(0.0, 100.0, 96.0), (1.0, 96.0, 92.0), (2.0, 92.0, 88.0), (3.0, 88.0, 84.0)]
        {
            shop.price(at, after);
            let change = Change::Cheaper { item: ITEM, before, after };
            concerned.push(definition.concerns_interested(change, &shop.catalogue, day(at)));
        }
        assert_eq!(concerned, [None, None, Some(Some(100.0)), None]);
        shop.price(3.5, 76.0);
        let waits = Trigger { price_before: Some(100.0), ..Trigger::of(&definition, Some(ITEM)) };
        for (looked, right) in [(0.5, Some(96.0)), (2.5, Some(88.0)), (3.2, None), (3.6, None)] {
            let user = profile(&[event(EventKind::View, 7, day(looked))], &shop.catalogue);
            let told = waits.clone().up_to_date(&user, &shop.catalogue, day(4.0));
            let holds =
                told.truth(&user, None, &Attributes::default(), None, &shop.catalogue, day(4.0), day(4.0))
                    == Precondition::Holds;
            assert_eq!(holds.then_some(told.price_before.unwrap()), right, "looked on day {looked}");
        }
    }
}
