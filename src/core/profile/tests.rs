//! The fold: units, order, memory.

use proptest::prelude::*;

use super::*;
use crate::base::{ExternalId, UserId};
use crate::catalogue::Money;
use crate::catalogue::{Currency, Item};
use crate::event::OwnKind;

const START: i64 = 1_700_000_000;

fn event(kind: EventKind, item: Option<u32>, seconds: i64) -> Event {
    Event {
        occurred_at: Timestamp::from_seconds(START + seconds),
        user: Some(UserId(0)),
        item: item.map(ItemId),
        kind,
        dwell_ms: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
    }
}

/// Items 0…n − 1, item i in category `C{i % 3}`.
fn catalogue(n: u32) -> Catalogue {
    Catalogue::from_items((0..n).map(|id| Item {
        id: ItemId(id),
        external_id: ExternalId::Integer(i64::from(id)),
        title: Some(format!("Item {id}")),
        category: vec![format!("C{}", id % 3)],
        tags: Vec::new(),
        price: None,
        currency: None,
        stock: None,
        url: None,
        image_url: None,
        attributes: Default::default(),
        consumable: false,
        local: None,
        created_at: Timestamp(0),
    }))
}

fn fold<'a>(events: impl IntoIterator<Item = &'a Event>, catalogue: &Catalogue) -> Profile {
    let mut profile = Profile::default();
    events.into_iter().for_each(|event| profile.apply(event, catalogue));
    profile
}

fn after(days: f64) -> Timestamp {
    Timestamp::from_seconds(START).plus_days(days)
}

#[test]
fn features_are_in_the_units_their_names_say() {
    let mut view = event(EventKind::View, Some(0), 0);
    view.dwell_ms = Some(90_000);
    let mut purchase = event(EventKind::Purchase, Some(1), 86_400);
    purchase.value = Some(30.0);
    let mut sent_back = event(EventKind::Return, Some(1), 86_500);
    sent_back.value = Some(12.5);
    let search = event(EventKind::Search, None, 20);
    let profile = fold(&[view, search, search, purchase, purchase, sent_back], &catalogue(3));
    let two_months = profile.features(after(2.0 * DAYS_PER_MONTH));
    assert!((two_months.purchases_per_month - 1.0).abs() < 1e-9);
    assert!((two_months.browsing_minutes_per_month - 0.75).abs() < 1e-9);
    assert!((two_months.searches_per_month - 1.0).abs() < 1e-9);
    assert_eq!(two_months.monetary, 47.5);
    let recency = two_months.recency_days.unwrap();
    assert!((recency - (2.0 * DAYS_PER_MONTH - 1.0)).abs() < 1e-6);
    // A first day counts as a month, not as a thirtieth of one.
    assert_eq!(profile.features(after(1.5)).purchases_per_month, 2.0);
}

#[test]
fn months_end_with_the_data_and_not_with_the_wall_clock() {
    let purchases: Vec<_> =
        (0..7).map(|n| event(EventKind::Purchase, Some(n), i64::from(n) * 30 * 86_400)).collect();
    let observed = Observed::of(&purchases);
    let wall = after(9.0 * 365.0);
    let profile = fold(&purchases, &catalogue(7));
    let features = profile.features(observed.context(None, wall, Money::NONE));
    assert!((features.purchases_per_month - 7.0 / (180.0 / DAYS_PER_MONTH)).abs() < 1e-9);
    assert_eq!(features.recency_days, Some(0.0));
    // The same purchases a year before are the same activity, and purchases of a year before.
    let earlier: Vec<_> = purchases
        .iter()
        .map(|event| Event { occurred_at: event.occurred_at.plus_days(-365.0), ..*event })
        .collect();
    let old = fold(&earlier, &catalogue(7)).features(observed.context(None, wall, Money::NONE));
    assert_eq!(old.active, features.active);
    assert!((old.recency_days.unwrap() - 365.0).abs() < 1e-6);
    // What a user does after the training moves the end for that user.
    let mut live = profile.clone();
    live.apply(&event(EventKind::Purchase, Some(0), 190 * 86_400), &catalogue(7));
    let live = live.features(observed.context(None, wall, Money::NONE));
    assert!((live.purchases_per_month - 8.0 / (190.0 / DAYS_PER_MONTH)).abs() < 1e-9);
}

#[test]
fn money_of_several_currencies_is_converted_or_kept_apart() {
    let spent = |value, currency| Event {
        value: Some(value),
        currency: Currency::parse(currency),
        ..event(EventKind::Purchase, Some(0), 0)
    };
    let events = [spent(25_000.0, "JPY"), spent(120.0, "EUR")];
    let sent_back = Event { kind: EventKind::Return, ..spent(20.0, "EUR") };
    let profile = fold(events.iter().chain([&sent_back]), &catalogue(1));
    let monetary = |base: &str, rates: &[(&str, f64)]| {
        let rates = rates.iter().map(|(code, rate)| ((*code).to_owned(), *rate)).collect();
        let money = Money::new(base, &rates);
        profile.features(Observed::default().context(None, after(1.0), &money)).monetary
    };
    assert_eq!(monetary("EUR", &[]), 100.0);
    assert_eq!(monetary("EUR", &[("JPY", 0.01)]), 350.0);
    assert_eq!(monetary("JPY", &[]), 25_000.0);
    assert_eq!(monetary("", &[]), 25_000.0);
    assert_eq!(profile.money().iter().count(), 2);
    // Without a base, that of most items.
    let mut items = catalogue(3);
    for id in 0..2 {
        let mut item = Item::clone(items.get(ItemId(id)).unwrap());
        item.currency = Some("EUR".to_owned());
        items.upsert(item);
    }
    assert_eq!(items.money().base(), Currency::parse("EUR"));
    assert_eq!(
        profile.features(Observed::default().context(None, after(1.0), items.money())).monetary,
        100.0
    );
    items.remove(ItemId(0));
    items.remove(ItemId(1));
    assert_eq!(items.money().base(), None);
}

#[test]
fn kinds_of_the_shop_are_counted_with_their_weight() {
    let wishlist = EventKind::Own(OwnKind::new(100, 0.5, true));
    let items = catalogue(3);
    let events =
        [event(wishlist, Some(0), 0), event(wishlist, Some(0), 9), event(EventKind::Like, Some(1), 5)];
    let profile = fold(&events, &items);
    assert_eq!((profile.count(wishlist), profile.events()), (2, 3));
    assert_eq!(profile.own_counts().collect::<Vec<_>>(), [(wishlist, 2)]);
    assert!((profile.recent()[0].weight - 1.0).abs() < 1e-6);
    let shares = profile.affinities(after(0.0));
    assert!((shares[0].1 - 1.0 / 1.7).abs() < 1e-5, "{shares:?}");
    // A weight below 0 takes interest away.
    let less = EventKind::Own(OwnKind::new(101, -1.0, true));
    let profile = fold(&[event(EventKind::Like, Some(1), 0), event(less, Some(1), 1)], &items);
    assert!(profile.affinities(after(0.0)).is_empty());
}

#[test]
fn nobody_has_no_features_and_no_tastes() {
    let profile = Profile::default();
    assert_eq!(
        profile.features(after(0.0)),
        Features { active: Some(Activity::default()), ..Features::default() }
    );
    assert!(profile.affinities(after(0.0)).is_empty());
    assert_eq!(profile.events(), 0);
    assert_eq!(profile.first_seen(), None);
}

#[test]
fn affinities_halve_in_thirty_days_and_returns_take_away() {
    let items = catalogue(3);
    let old = event(EventKind::Purchase, Some(0), 0);
    let new = event(EventKind::Purchase, Some(1), 30 * 86_400);
    let shares = fold(&[old, new], &items).affinities(after(30.0));
    assert_eq!(shares[0].0, items.category("C1").unwrap());
    assert!((shares[0].1 - 2.0 / 3.0).abs() < 1e-6, "{shares:?}");
    assert!((shares[1].1 - 1.0 / 3.0).abs() < 1e-6, "{shares:?}");
    let sent_back = event(EventKind::Return, Some(0), 0);
    let twice = event(EventKind::Return, Some(0), 1);
    let shares = fold(&[old, new, sent_back, twice], &items).affinities(after(30.0));
    assert_eq!(shares, [(items.category("C1").unwrap(), 1.0)]);
    // Absence alone forgets nothing.
    assert_eq!(fold(&[old], &items).affinities(after(5_000.0)).len(), 1);
}

#[test]
fn the_cart_follows_what_is_done_with_it() {
    let items = catalogue(5);
    let add = |item, at| event(EventKind::AddToCart, Some(item), at);
    let mut profile = fold(&[add(1, 0), add(2, 1), add(1, 2)], &items);
    assert_eq!(profile.in_cart(), [ItemId(1), ItemId(2)]);
    profile.apply(&event(EventKind::RemoveFromCart, Some(1), 3), &items);
    profile.apply(&event(EventKind::Purchase, Some(2), 4), &items);
    assert!(profile.in_cart().is_empty());
    assert!(profile.has_bought(ItemId(2)) && !profile.has_bought(ItemId(1)));
    assert!(profile.has_seen(ItemId(1)) && !profile.has_seen(ItemId(4)));
    // A late "add to cart" from before the purchase does not bring it back.
    profile.apply(&add(2, 1), &items);
    assert!(profile.in_cart().is_empty());
}

#[test]
fn recent_items_are_distinct_newest_first_and_at_most_fifty() {
    let items = catalogue(100);
    let events: Vec<_> = (0..80).map(|i| event(EventKind::View, Some(i), i64::from(i))).collect();
    let mut profile = fold(&events, &items);
    assert_eq!(profile.recent().len(), MAX_RECENT);
    assert_eq!(profile.recent()[0].item, ItemId(79));
    assert_eq!(profile.recent()[49].item, ItemId(30));
    profile.apply(&event(EventKind::Purchase, Some(50), 100), &items);
    assert_eq!(profile.recent()[0].item, ItemId(50));
    assert_eq!(profile.recent()[0].kind, EventKind::Purchase);
    assert!((profile.recent()[0].weight - 1.2).abs() < 1e-6);
    assert_eq!(profile.recent().len(), MAX_RECENT);
    // Too old for the list.
    let before = profile.clone();
    profile.apply(&event(EventKind::View, Some(90), -100), &items);
    assert_eq!(profile.recent(), before.recent());
}

#[test]
fn what_users_say_they_bought_counts_for_their_own_list_and_as_no_purchase() {
    let items = catalogue(10);
    let claim = Event { value: Some(1e9), ..event(EventKind::PurchaseClaim, Some(1), 20) };
    let mut profile = fold(&[event(EventKind::AddToCart, Some(1), 10), claim], &items);
    assert!(profile.has_bought(ItemId(1)) && profile.in_cart().is_empty());
    assert_eq!((profile.count(EventKind::Purchase), profile.last_purchase()), (0, None));
    let features = profile.features(after(1.0));
    assert_eq!((features.purchases_per_month, features.monetary), (0.0, 0.0));
    // The shop confirms it.
    profile.apply(&Event { value: Some(5.0), ..event(EventKind::Purchase, Some(1), 30) }, &items);
    assert_eq!((profile.count(EventKind::Purchase), profile.features(after(1.0)).monetary), (1, 5.0));
    profile.apply(&Event { value: Some(5.0), ..event(EventKind::ReturnClaim, Some(1), 40) }, &items);
    assert_eq!(profile.features(after(1.0)).monetary, 5.0);
}

#[test]
fn a_typical_profile_fits_its_memory_budget() {
    let items = catalogue(100);
    let events: Vec<_> = (0..40)
        .flat_map(|i| [EventKind::View, EventKind::Purchase].map(|kind| event(kind, Some(i), i64::from(i))))
        .collect();
    let profile = fold(&events, &items);
    assert!(profile.memory() <= 1_880, "{} bytes", profile.memory());
}

fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(EventKind::ALL.to_vec());
    let value = prop_oneof![Just(None), (0.0..100.0f64).prop_map(Some), Just(Some(f64::NAN))];
    (kind, 0u32..40, -400i64 * 86_400..400 * 86_400, prop::option::of(0u32..100_000), value).prop_map(
        |(kind, item, at, dwell_ms, value)| {
            let item = (kind != EventKind::Search).then_some(item);
            Event { dwell_ms, value, ..event(kind, item, at) }
        },
    )
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_change_what_adds_up(
        events in prop::collection::vec(any_event(), 0..80),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..80),
    ) {
        let items = catalogue(30);
        let mut ordered = events.clone();
        ordered.sort_by_key(|event| event.occurred_at);
        let mut shuffled = ordered.clone();
        if !shuffled.is_empty() {
            for (a, b) in swaps {
                let (a, b) = (a.index(shuffled.len()), b.index(shuffled.len()));
                shuffled.swap(a, b);
            }
        }
        let (a, b) = (fold(&ordered, &items), fold(&shuffled, &items));
        let now = after(401.0);
        prop_assert_eq!(a.events(), b.events());
        prop_assert_eq!((a.first_seen(), a.last_seen()), (b.first_seen(), b.last_seen()));
        prop_assert_eq!(a.last_purchase(), b.last_purchase());
        prop_assert_eq!(a.bought(), b.bought());
        let (x, y) = (a.features(now), b.features(now));
        prop_assert!((x.monetary - y.monetary).abs() < 1e-6);
        prop_assert_eq!(x.behaviour(1.0), y.behaviour(1.0));
        prop_assert_eq!(x.observed(), y.observed());
        prop_assert_eq!(x.recency_days, y.recency_days);
        let (mut x, mut y) = (a.affinities(now), b.affinities(now));
        x.sort_by_key(|(id, _)| *id);
        y.sort_by_key(|(id, _)| *id);
        prop_assert_eq!(x.len(), y.len());
        for ((x_id, x), (y_id, y)) in x.iter().zip(&y) {
            prop_assert_eq!(x_id, y_id);
            prop_assert!((x - y).abs() < 1e-6);
        }
    }

    #[test]
    fn no_event_breaks_a_profile(events in prop::collection::vec(any_event(), 0..200)) {
        let items = catalogue(30);
        let profile = fold(&events, &items);
        let features = profile.features(after(500.0));
        prop_assert!(features.behaviour(1.0).iter().all(|value| value.is_finite()));
        prop_assert!(features.monetary.is_finite());
        let shares = profile.affinities(after(500.0));
        prop_assert!(shares.iter().all(|(_, share)| share.is_finite() && *share > 0.0));
        if !shares.is_empty() {
            prop_assert!((shares.iter().map(|(_, share)| share).sum::<f32>() - 1.0).abs() < 1e-4);
        }
        prop_assert!(profile.recent().len() <= MAX_RECENT);
        prop_assert!(profile.recent().is_sorted_by(|a, b| a.at >= b.at));
        let mut distinct: Vec<_> = profile.recent().iter().map(|known| known.item).collect();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), profile.recent().len());
    }
}
