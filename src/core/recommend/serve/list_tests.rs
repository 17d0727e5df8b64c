//! Lists on request: filters before the cut, pages, and the rules of placements.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::{ExternalId, ItemId, Timestamp};
use crate::catalogue::{Catalogue, Item};
use crate::event::{Event, EventKind};
use crate::profile::Profile;
use crate::recommend::fixtures::{START, event, item, plain, profile, request};
use crate::recommend::train::{TrainingData, train};

use super::model_set::ModelSet;
use super::placement::{Placement, Touch, Wants};
use super::reason::{Reason, Unfinished};
use super::removed::Filter;
use super::request::{List, Recommendation, Request};
use super::selection::Selection;

/// Items that go with one item, for anybody.
pub(super) fn similar(model: &ModelSet, item: u32, catalogue: &Catalogue, n: usize) -> Vec<Recommendation> {
    let nobody = Profile::default();
    let asked = Request { seed: Some(ItemId(item)), ..request(&nobody, catalogue, n) };
    model.similar(ItemId(item), &asked).items
}

/// 400 items in eight categories, each price once; users 0…39 view ten of them each.
pub(super) fn shop() -> (Catalogue, ModelSet) {
    let items = (0..400).map(|id| Item {
        price: Some(f64::from(id)),
        ..item(id, &format!("Thing {} of {}", id % 40, id % 9), &format!("Category {}", id % 8))
    });
    let catalogue = Catalogue::from_items(items);
    let view = |user: u32, step: u32| {
        event(user, EventKind::View, (user * 13 + step * step * 7) % 400, f64::from(step))
    };
    let mut events: Vec<Event> = (0..40).flat_map(|user| (0..10).map(move |step| view(user, step))).collect();
    events.sort_by_key(|event| event.occurred_at);
    let data = TrainingData { events, n_users: 40, stated: Vec::new() };
    let now = Timestamp::from_seconds(START).plus_days(50.0);
    let model = train(&data, &catalogue, now, &plain(), &mut |_, _| ControlFlow::Continue(())).unwrap().model;
    (catalogue, model)
}

pub(super) fn user(catalogue: &Catalogue) -> Profile {
    let views = [8, 16, 24, 33, 41].map(|item| event(99, EventKind::View, item, 60.0 + f64::from(item)));
    profile(&views, catalogue)
}

pub(super) fn ids(list: &List) -> Vec<u32> {
    list.items.iter().map(|known| known.item.0).collect()
}

pub(super) fn filtered(json: Value) -> Selection {
    Selection { filter: serde_json::from_value(json).unwrap(), ..Selection::NONE }
}

pub(super) fn placed(json: Value) -> Selection {
    let placement: Placement = serde_json::from_value(json).unwrap();
    placement.validate().unwrap();
    Selection { placement: Some(Arc::new(placement)), ..Selection::NONE }
}

#[test]
fn a_filtered_list_is_full_and_its_pages_make_the_whole() {
    let (catalogue, model) = shop();
    let user = user(&catalogue);
    for (json, fitting) in [
        (json!({}), 400),
        (json!({"category": "Category 3"}), 50),
        (json!({"category": "Category 3", "max_price": 99.0}), 13),
        (json!({"min_price": 380.0}), 20),
    ] {
        let selection = filtered(json.clone());
        for seed in [None, Some(ItemId(8))] {
            let of = |n: usize, offset: usize| {
                let asked = Request { selection: &selection, seed, offset, ..request(&user, &catalogue, n) };
                model.page(&asked)
            };
            // What was seen comes only where nothing else is left; the seed never.
            let whole = ids(&of(200, 0));
            let seeds = usize::from(seed.is_some() && json == json!({}));
            assert_eq!(whole.len(), 200.min(fitting - seeds), "{json} {seed:?}");
            let mut distinct = whole.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), whole.len());
            let pages: Vec<u32> = (0..25).flat_map(|page| ids(&of(8, page * 8))).collect();
            let mut sorted = pages.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), pages.len(), "no item twice: {json} {seed:?}");
            assert_eq!(pages.len(), 200.min(fitting - seeds), "{json} {seed:?}");
        }
    }
}

#[test]
fn what_a_filter_takes_out_is_counted_once_by_the_first_that_does() {
    let (mut catalogue, model) = shop();
    catalogue.upsert(Item { stock: Some(0), ..item(3, "Sold out", "Category 3") });
    let events = [event(99, EventKind::Purchase, 11, 60.0), event(99, EventKind::AddToCart, 19, 61.0)];
    let user = profile(&events, &catalogue);
    let selection = Selection {
        exclude: vec![ItemId(27), ItemId(11), ItemId(0)],
        ..filtered(json!({"category": "Category 3", "max_price": 199.0}))
    };
    let list = model.page(&Request { selection: &selection, ..request(&user, &catalogue, 10) });
    let removed = |filter: Filter| list.removed.by(filter);
    assert_eq!((removed(Filter::Stock), removed(Filter::Category), removed(Filter::Price)), (1, 350, 25));
    assert_eq!((removed(Filter::Excluded), removed(Filter::Bought), removed(Filter::InCart)), (2, 0, 1));
    let any = Selection { any_stock: true, ..filtered(json!({"category": "Category 3", "items": [3, 11]})) };
    let list = model.page(&Request { selection: &any, ..request(&user, &catalogue, 10) });
    assert_eq!((ids(&list), list.removed.by(Filter::Bought)), (vec![3], 1));
}

#[test]
fn rules_pin_raise_lower_remove_and_spread() {
    let (catalogue, model) = shop();
    let user = user(&catalogue);
    let page =
        |selection: &Selection, n: usize| model.page(&Request { selection, ..request(&user, &catalogue, n) });
    let plain = page(&Selection::default(), 20);
    let selection = placed(json!({"name": "x", "diversity": 0.0, "rules": [
        {"name": "hero", "filter": {"items": [300, 8, 200]}, "pin": 2},
        {"name": "more", "filter": {"category": "Category 5"}, "boost": 10.0},
        {"name": "less", "filter": {"items": [plain.items[0].item.0]}, "bury": 1.0},
        {"name": "none", "filter": {"items": [plain.items[1].item.0]}, "remove": true},
    ]}));
    let list = page(&selection, 20);
    assert_eq!(ids(&list)[1..4], [300, 8, 200], "pinned, though one was just seen");
    assert_eq!(list.items[1].touch, Some(Touch::Rule(0)));
    let raised = list.items.iter().filter(|known| known.touch == Some(Touch::Rule(1)));
    assert!(raised.clone().count() >= 10, "{:?}", ids(&list));
    assert!(raised.clone().all(|known| known.item.0 % 8 == 5));
    assert!(!ids(&list).contains(&plain.items[1].item.0));
    assert_eq!(list.removed.by(Filter::Placement), 1);
    let first = plain.items[0].item;
    assert!(first.0 % 8 == 5 || list.items.iter().take(10).all(|known| known.item != first));
    let spread = placed(json!({"name": "x", "max_per_category": 2, "diversity": 0.0}));
    let list = page(&spread, 12);
    for category in 0..8 {
        let n = ids(&list).iter().filter(|item| *item % 8 == category).count();
        assert!(n <= 2, "{n} of category {category}");
    }
    assert_eq!(list.items.len(), 12);
}

#[test]
fn a_short_list_is_filled_as_the_placement_says() {
    let (catalogue, model) = shop();
    let nobody = Profile::default();
    let named: Vec<ExternalId> = (390..400).map(ExternalId::Integer).collect();
    let of = |fallback: Value| {
        let selection = placed(json!({"name": "x", "wants": "continue", "fallback": fallback,
            "filter": {"items": named}}));
        model.page(&Request { selection: &selection, ..request(&nobody, &catalogue, 4) })
    };
    assert!(of(json!([])).items.is_empty());
    let newest = of(json!(["newest"]));
    assert_eq!(ids(&newest), [399, 398, 397, 396]);
    assert!(
        newest
            .items
            .iter()
            .all(|known| known.touch == Some(Touch::Fallback(0)) && known.reason == Reason::Assortment)
    );
    let both = of(json!([{"category": "Category 7"}, "newest"]));
    assert_eq!(both.items.len(), 4);
    assert!(both.items.iter().take(2).all(|known| known.item.0 % 8 == 7), "{:?}", ids(&both));
}

#[test]
fn what_is_consumed_comes_back_when_it_is_due_and_says_so() {
    let catalogue = crate::recommend::fixtures::shop();
    // Eight users buy teapot 5 every twenty days, and mug 3 once.
    let bought = |user, item, day| event(user, EventKind::Purchase, item, day);
    let mut events: Vec<Event> =
        (0..8).flat_map(|user| [bought(user, 5, 0.0), bought(user, 5, 20.0), bought(user, 3, 1.0)]).collect();
    events.sort_by_key(|event| event.occurred_at);
    let data = TrainingData { events, n_users: 9, stated: Vec::new() };
    let now = Timestamp::from_seconds(START).plus_days(100.0);
    let model = train(&data, &catalogue, now, &plain(), &mut |_, _| ControlFlow::Continue(())).unwrap().model;
    let list = |day: f64, wants: Wants| {
        let user = profile(&[bought(8, 5, day), bought(8, 3, day)], &catalogue);
        let selection = Selection { wants: Some(wants), ..Selection::NONE };
        model.page(&Request { selection: &selection, ..request(&user, &catalogue, 6) })
    };
    let due = list(78.0, Wants::Both);
    let again = due.items.iter().find(|known| known.item == ItemId(5)).unwrap();
    assert_eq!(again.reason, Reason::BuyAgain(20));
    assert_eq!(again.reason.text(&catalogue), "time to buy again: people do after about 20 days");
    assert!(!ids(&due).contains(&3), "bought and not consumed");
    assert!(!ids(&list(97.0, Wants::Both)).contains(&5), "bought three days ago");
    assert_eq!(ids(&list(78.0, Wants::Continue)), [5]);
    let new = list(78.0, Wants::New);
    assert!(!ids(&new).contains(&5), "no list of new things, unless the shop calls it consumable");
}

#[test]
fn what_is_known_from_long_ago_is_no_news_and_stands_behind_all_that_is() {
    let (catalogue, model) = shop();
    // Three hundred views: the recent list holds the last fifty of them.
    let views: Vec<Event> =
        (0..300u32).map(|step| event(99, EventKind::View, step, f64::from(step) / 10.0)).collect();
    let user = profile(&views, &catalogue);
    assert_eq!((user.recent().len(), user.known().len()), (50, 300));
    let list = model.page(&request(&user, &catalogue, 200));
    let (news, known) = ids(&list).split_at_checked(100).map(|(a, b)| (a.to_vec(), b.to_vec())).unwrap();
    assert!(news.iter().all(|item| *item >= 300), "{news:?}");
    assert!(known.iter().all(|item| *item < 250), "the recent fifty would come last: {known:?}");
    assert_eq!(known.len(), 100);
}

#[test]
fn what_was_begun_and_not_bought_is_gone_on_with() {
    let (catalogue, model) = shop();
    let did = |kind: EventKind, item: u32, day: f64| event(99, kind, item, day);
    let events = [
        did(EventKind::View, 50, 60.0),
        did(EventKind::View, 50, 61.0),
        did(EventKind::View, 51, 62.0),
        did(EventKind::Like, 52, 63.0),
        did(EventKind::AddToCart, 53, 64.0),
        did(EventKind::AddToCart, 54, 65.0),
        did(EventKind::AddToCart, 55, 65.5),
        did(EventKind::Purchase, 55, 66.0),
    ];
    let user = profile(&events, &catalogue);
    let of = |wants: &str| {
        let selection = placed(json!({"name": "x", "wants": wants, "fallback": []}));
        model.page(&Request { selection: &selection, ..request(&user, &catalogue, 12) })
    };
    let begun = of("continue");
    assert_eq!(ids(&begun), [54, 53, 52, 50]);
    let reasons: Vec<Reason> = begun.items.iter().map(|known| known.reason).collect();
    let because = |why| Reason::Unfinished(why);
    assert_eq!(
        reasons,
        [
            because(Unfinished::InCart),
            because(Unfinished::InCart),
            because(Unfinished::Liked),
            because(Unfinished::CameBack)
        ]
    );
    let both = of("both");
    assert_eq!([0, 3, 6, 9].map(|place| ids(&both)[place]), [54, 53, 52, 50]);
    assert_eq!(both.items.len(), 12);
    let new = of("new");
    assert!(ids(&begun).iter().all(|item| !ids(&new).contains(item)));
    assert_eq!(new.removed.by(Filter::InCart), 2);
}

#[test]
fn a_pin_by_condition_takes_the_best_of_all_and_leaves_the_pages_whole() {
    let (catalogue, model) = shop();
    let user = user(&catalogue);
    let selection = placed(json!({"name": "x", "rules": [
        {"name": "dear", "filter": {"min_price": 399.0}, "pin": 1},
        {"name": "twice", "filter": {"items": [140, 140]}, "pin": 3},
        {"name": "some", "filter": {"category": "Category 6"}, "pin": 10, "most": 3},
    ]}));
    let page = |n: usize, offset: usize| {
        ids(&model.page(&Request { selection: &selection, offset, ..request(&user, &catalogue, n) }))
    };
    let first = page(5, 0);
    assert_eq!((first[0], first[2], first.len()), (399, 140, 5));
    let pages: Vec<u32> = (0..20).flat_map(|number| page(8, number * 8)).collect();
    let mut distinct = pages.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), pages.len(), "no item twice");
    assert_eq!((pages[0], pages[2]), (399, 140));
    assert!(pages[9..12].iter().all(|item| item % 8 == 6), "{:?}", &pages[9..12]);
}

#[test]
fn a_pin_by_condition_needs_no_list_to_choose_from() {
    let (catalogue, model) = shop();
    let nobody = Profile::default();
    let selection = placed(json!({"name": "x", "wants": "continue", "fallback": [], "rules": [
        {"name": "popular", "filter": {"category": "Category 7"}, "pin": 1, "most": 2},
        {"name": "none", "filter": {"items": [7_777]}, "pin": 1},
    ]}));
    let list = model.page(&Request { selection: &selection, ..request(&nobody, &catalogue, 4) });
    assert_eq!(list.items.len(), 2);
    assert!(ids(&list).iter().all(|item| item % 8 == 7), "{:?}", ids(&list));
}
