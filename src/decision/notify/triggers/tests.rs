use std::sync::Arc;

use super::*;
use crate::notify::Priority;
use crate::notify::policy::Precondition;
use tidings_core::base::ItemId;
use tidings_core::base::{ExternalId, Millis, Timestamp, UserId};
use tidings_core::catalogue::{Catalogue, Item};
use tidings_core::event::{Event, EventKind};
use tidings_core::profile::{Attributes, Profile};
use tidings_core::recommend::serve::placement::Wants;

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

pub(super) fn item(id: u32) -> Item {
    Item {
        id: ItemId(id),
        external_id: ExternalId::Integer(i64::from(id)),
        title: Some(format!("item {id}")),
        category: vec!["Watches".into()],
        tags: Vec::new(),
        price: Some(100.0),
        currency: Some("EUR".into()),
        stock: None,
        url: None,
        image_url: None,
        attributes: Default::default(),
        consumable: false,
        local: None,
        created_at: NOW,
    }
}

pub(super) fn event(kind: EventKind, id: u32, at: Timestamp) -> Event {
    Event {
        user: Some(UserId(1)),
        item: Some(ItemId(id)),
        kind,
        occurred_at: at,
        dwell_ms: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
    }
}

fn triggers() -> Triggers {
    Triggers::new(defaults())
}

pub(super) fn profile(events: &[Event], catalogue: &Catalogue) -> Profile {
    let mut profile = Profile::default();
    events.iter().for_each(|event| profile.apply(event, catalogue));
    profile
}

fn names(triggers: &[Trigger]) -> Vec<&str> {
    triggers.iter().map(Trigger::name).collect()
}

#[test]
fn the_defaults_are_valid_and_the_most_urgent_come_first() {
    let all = defaults();
    all.iter().for_each(|definition| definition.validate().unwrap());
    let triggers = triggers();
    assert_eq!(triggers.iter().next().unwrap().priority, Priority::Transactional);
    assert!(triggers.first(&Condition::Login).unwrap().is_asked_for());
}

#[test]
fn the_fourth_look_sets_it_off_and_no_look_after_it() {
    let (triggers, mut views) = (triggers(), Views::default());
    let mut fired = Vec::new();
    for look in 0..6 {
        let event = event(EventKind::View, 7, NOW + Millis::seconds(look));
        views.apply(&event);
        fired.push(names(&triggers.of_event(&event, &views, event.occurred_at)).contains(&"viewed_often"));
    }
    assert_eq!(fired, [false, false, false, true, false, false]);
    views.apply(&event(EventKind::Purchase, 7, NOW));
    assert_eq!(views.count(ItemId(7), Millis::hours(24), NOW), 0);
}

#[test]
fn looks_outside_the_window_do_not_count_and_memory_is_bounded() {
    let mut views = Views::default();
    (0..500).for_each(|n| views.apply(&event(EventKind::View, n % 40, NOW + Millis::hours(u64::from(n)))));
    let last = NOW + Millis::hours(499);
    assert_eq!(views.count(ItemId(19), Millis::hours(24), last), 1);
    assert_eq!(views.count(ItemId(20), Millis::hours(2_000), last), 0, "made room");
}

#[test]
fn a_left_cart_is_told_unless_it_was_bought_or_emptied() {
    let catalogue = Catalogue::from_items([item(7)]);
    let added = event(EventKind::AddToCart, 7, NOW);
    let later = triggers().after_event(&added);
    let (trigger, delay) = &later[0];
    assert_eq!((trigger.name(), *delay), ("cart_left", Millis::hours(1)));
    let truth = |events: &[Event]| {
        trigger.truth(&profile(events, &catalogue), None, &Attributes::default(), None, &catalogue, NOW, NOW)
    };
    assert_eq!(truth(&[added]), Precondition::Holds);
    let at = NOW + Millis::seconds(9);
    assert_eq!(truth(&[added, event(EventKind::Purchase, 7, at)]), Precondition::AlreadyBought);
    assert_eq!(truth(&[added, event(EventKind::RemoveFromCart, 7, at)]), Precondition::LeftCart);
}

/// The catalogue after the price of item 7 went from one to the other.
fn repriced(before: f64, after: Item) -> Catalogue {
    let point = |hours: u64, price| {
        let currency = tidings_core::catalogue::Currency::parse("EUR");
        (
            ItemId(7),
            tidings_core::catalogue::PricePoint { since: NOW - Millis::hours(hours), price, currency },
        )
    };
    let mut catalogue = Catalogue::default();
    catalogue.note_prices(&[point(48, before), point(0, after.price.unwrap())]);
    catalogue.upsert(after);
    catalogue
}

#[test]
fn a_price_drop_is_told_to_those_who_looked_while_it_lasts() {
    let catalogue = Catalogue::from_items([item(7)]);
    let cheaper = Item { price: Some(80.0), ..item(7) };
    let changes = Change::between(Some(&item(7)), &cheaper);
    assert_eq!(changes, [Change::Cheaper { item: ItemId(7), before: 100.0, after: 80.0 }]);
    let looked = profile(&[event(EventKind::View, 7, NOW - Millis::hours(24))], &catalogue);
    let now_cheap = repriced(100.0, cheaper.clone());
    let fired = triggers().of_change(changes[0], &looked, &now_cheap, NOW);
    assert_eq!((names(&fired), fired[0].price_before), (vec!["price_drop"], Some(100.0)));
    let truth = |catalogue: &Catalogue| {
        fired[0].truth(&looked, None, &Attributes::default(), None, catalogue, NOW, NOW)
    };
    assert_eq!(truth(&now_cheap), Precondition::Holds);
    assert_eq!(truth(&catalogue), Precondition::PriceRose, "it went up again");
    assert_eq!(truth(&repriced(100.0, Item { stock: Some(0), ..cheaper.clone() })), Precondition::SoldOut);
    assert_eq!(truth(&Catalogue::default()), Precondition::Gone);
    assert!(triggers().of_change(changes[0], &Profile::default(), &now_cheap, NOW).is_empty());
    let bought = profile(&[event(EventKind::Purchase, 7, NOW - Millis::hours(24))], &catalogue);
    assert!(triggers().of_change(changes[0], &bought, &now_cheap, NOW).is_empty());
    let slightly = repriced(100.0, Item { price: Some(96.0), ..item(7) });
    let to_96 = Change::Cheaper { item: ItemId(7), before: 100.0, after: 96.0 };
    assert!(triggers().of_change(to_96, &looked, &slightly, NOW).is_empty());
    let key = |catalogue: &Catalogue| fired[0].dedupe_key(catalogue, NOW);
    assert_ne!(key(&now_cheap), key(&repriced(100.0, Item { price: Some(70.0), ..item(7) })));
    assert_eq!(key(&now_cheap), key(&now_cheap.clone()));
}

#[test]
fn what_changed_in_the_catalogue_is_seen() {
    let out = Item { stock: Some(0), ..item(7) };
    assert_eq!(Change::between(Some(&out), &item(7)), [Change::BackInStock(ItemId(7))]);
    assert_eq!(Change::between(None, &item(7)), [Change::New(ItemId(7))]);
    let named_by_events = Item { title: None, ..item(7) };
    assert_eq!(Change::between(Some(&named_by_events), &item(7)), [Change::New(ItemId(7))]);
    assert!(Change::between(None, &named_by_events).is_empty());
    assert!(Change::between(Some(&item(7)), &Item { price: Some(120.0), ..item(7) }).is_empty());
    let dollars = Item { price: Some(80.0), currency: Some("USD".into()), ..item(7) };
    assert!(Change::between(Some(&item(7)), &dollars).is_empty(), "another currency is no lower price");
}

#[test]
fn a_new_item_is_told_to_those_who_like_its_category() {
    let mut other = item(8);
    other.category = vec!["Mugs".into()];
    let catalogue = Catalogue::from_items([item(7), other, item(9)]);
    let likes = |id| profile(&[event(EventKind::View, id, NOW)], &catalogue);
    let fired = |id| triggers().of_change(Change::New(ItemId(9)), &likes(id), &catalogue, NOW).len();
    assert_eq!((fired(7), fired(8)), (1, 0));
}

#[test]
fn who_comes_back_after_a_month_is_greeted() {
    let (triggers, fired) = (triggers(), FiredOnce::default());
    let away = |days: f64| {
        triggers.of_return(Some(NOW.plus_days(-days)), &fired, NOW).map(|fired| fired.name().to_owned())
    };
    assert_eq!((away(31.0).as_deref(), away(29.0)), (Some("win_back"), None));
    assert_eq!(triggers.of_return(None, &fired, NOW), None, "a newcomer was never away");
}

#[test]
fn a_rule_names_segments_and_bounds_and_is_asked_again_when_sending() {
    let rule =
        SegmentRule { segments: vec!["B".into()], max_recency_days: Some(30.0), ..SegmentRule::default() };
    let promotion = Definition {
        name: "spring".into(),
        when: Condition::Segment { rule },
        category: "promotions".into(),
        template: "announcement".into(),
        priority: Priority::Low,
        expires_after_min: None,
        collapse_key: None,
        wants: Wants::default(),
    };
    promotion.validate().unwrap();
    let (triggers, fresh) = (Triggers::new([promotion]), FiredOnce::default());
    let catalogue = Catalogue::from_items([item(7)]);
    let buyer = profile(&[event(EventKind::Purchase, 7, NOW)], &catalogue);
    let b = Some(tidings_core::profile::SegmentId(1));
    let fired = triggers.of_segment(&buyer, b, &Attributes::default(), &fresh, NOW);
    assert_eq!(names(&fired), ["spring"]);
    assert_eq!(
        fired[0].truth(&buyer, b, &Attributes::default(), None, &catalogue, NOW, NOW),
        Precondition::Holds
    );
    assert_eq!(
        fired[0].truth(
            &buyer,
            b,
            &Attributes::default(),
            None,
            &catalogue,
            NOW.plus_days(31.0),
            NOW.plus_days(31.0)
        ),
        Precondition::NotMet
    );
    assert!(triggers.of_segment(&buyer, None, &Attributes::default(), &fresh, NOW).is_empty());
    assert!(
        triggers.of_segment(&Profile::default(), b, &Attributes::default(), &fresh, NOW).is_empty(),
        "never bought is not within 30 days"
    );
}

#[test]
fn an_order_is_told_whatever_became_of_its_item_and_each_state_is_an_occasion() {
    let triggers = triggers();
    let sold_out = Item { stock: Some(0), ..item(7) };
    let catalogue = Catalogue::from_items([sold_out]);
    let buyer = profile(&[event(EventKind::Purchase, 7, NOW)], &catalogue);
    for name in ["order_status", "announcement"] {
        for gone in [7, 8] {
            let told = Trigger::of(triggers.find(name).unwrap(), Some(ItemId(gone)));
            assert_eq!(
                told.truth(&buyer, None, &Attributes::default(), None, &catalogue, NOW, NOW),
                Precondition::Holds,
                "{name} {gone}"
            );
            assert_eq!(told.dedupe_key(&catalogue, NOW), None, "shipped, out for delivery, delivered");
        }
    }
}

#[test]
fn nonsense_is_refused_with_the_field() {
    let parse = |json: &str| serde_json::from_str::<Definition>(json);
    let good = r#"{"name":"x","when":{"kind":"cart_left","minutes":5},"category":"c","template":"t"}"#;
    parse(good).unwrap().validate().unwrap();
    let field = |json: &str| parse(json).unwrap().validate().unwrap_err().field;
    assert_eq!(field(&good.replace("\"x\"", "\"X Y\"")), "name");
    assert_eq!(field(&good.replace(":5", ":0")), "when");
    assert_eq!(field(&good.replace("\"t\"}", "\"t\",\"expires_after_min\":0}")), "expires_after_min");
    assert!(parse(&good.replace("cart_left", "full_moon")).is_err());
    assert!(parse(&good.replace("\"minutes\"", "\"hours\"")).is_err());
    let many = (0..500).map(|n| Definition { name: format!("t{n}"), ..defaults()[0].clone() });
    assert_eq!(Triggers::new(many).iter().count(), MAX_TRIGGERS);
    let _ = Arc::clone(triggers().iter().next().unwrap());
}

#[test]
fn what_a_list_is_of_goes_with_conditions_that_have_a_list() {
    let of = |when| Definition { wants: Wants::Both, ..Definition::plain(when) };
    of(Condition::Login).validate().unwrap();
    let error = of(Condition::BackInStock).validate().unwrap_err();
    assert_eq!(error.field, "wants");
    let text = serde_json::to_string(&Definition::plain(Condition::Login)).unwrap();
    assert!(!text.contains("wants"), "{text}");
}
