//! Exploration on a page: what may be drawn, how often it is, and what the list is with it.

use std::collections::HashMap;

use serde_json::json;

use crate::base::{ItemId, Timestamp, UserId};
use crate::catalogue::{Catalogue, Item};
use crate::config::Recommend;
use crate::event::{Event, EventKind};
use crate::recommend::fixtures::{START, event, item, profile, request};
use crate::recommend::models::item_set::ItemSet;

use super::list_tests::{filtered, ids, placed, shop, user};
use super::model_set::ModelSet;
use super::reason::Reason;
use super::removed::Filter;
use super::request::{List, Recommendation, Request};
use super::selection::Selection;

/// The same shop with 40 items that have come since, which nobody has touched.
fn shop_with_news() -> (Catalogue, ModelSet) {
    let (mut catalogue, model) = shop();
    let created_at = Timestamp::from_seconds(START).plus_days(100.0);
    for id in 400..440 {
        catalogue.upsert(Item { created_at, ..item(id, "Never seen", "Category 9") });
    }
    (catalogue, model)
}

fn is_exploring(known: &Recommendation) -> bool {
    matches!(known.reason, Reason::Exploring(_))
}

#[test]
fn exploration_gives_away_no_place_of_what_was_begun_nor_beside_a_cart() {
    let (catalogue, model) = shop_with_news();
    let settings = Recommend { exploration: 1.0, ..Recommend::RELEVANCE_ONLY };
    let begun = [53, 54, 57].map(|item| event(99, EventKind::AddToCart, item, f64::from(item)));
    let user = profile(&begun, &catalogue);
    let of = |selection: &Selection| {
        let asked = request(&user, &catalogue, 9);
        let explorer = Some(UserId(0));
        model.page(&Request { selection, explorer, settings: &settings, ..asked }).items
    };
    let wanting = |wants: &str| placed(json!({"name": "x", "wants": wants}));
    assert_eq!(of(&Selection::NONE).iter().filter(|known| is_exploring(known)).count(), 8);
    assert!(!of(&wanting("continue")).iter().any(is_exploring));
    let both = of(&wanting("both"));
    assert_eq!([0, 3, 6].map(|place| both[place].item.0), [57, 54, 53]);
    assert!([1, 2, 4, 5, 7, 8].iter().all(|place| is_exploring(&both[*place])), "{both:?}");
    let beside = Selection { basket: vec![ItemId(8)], ..Selection::NONE };
    assert!(!of(&beside).iter().any(is_exploring), "it stands beside something");
}

#[test]
fn later_pages_know_what_the_first_one_gave_away() {
    let (catalogue, model) = shop_with_news();
    let settings = Recommend { exploration: 1.0, ..Recommend::RELEVANCE_ONLY };
    let user = user(&catalogue);
    let pinned = placed(json!({"name": "x", "rules": [
        {"name": "hero", "filter": {"items": [300]}, "pin": 12}]}));
    let spread = placed(json!({"name": "x", "max_per_category": 2, "diversity": 0.0}));
    for selection in [Selection::NONE, pinned, spread] {
        let pages = |explorer: Option<UserId>, n: usize| -> Vec<Recommendation> {
            let page = |number: usize| {
                let asked = request(&user, &catalogue, 8);
                let selection = &selection;
                let (settings, offset) = (&settings, number * 8);
                model.page(&Request { selection, explorer, settings, offset, ..asked }).items
            };
            (0..n).flat_map(page).collect()
        };
        let (plain, exploring) = (pages(None, 6), pages(Some(UserId(3)), 7));
        let given = exploring.iter().filter(|known| is_exploring(known)).count();
        assert!(given > 1 && exploring[..8].iter().filter(|known| is_exploring(known)).count() == given);
        let mut items: Vec<ItemId> = exploring.iter().map(|known| known.item).collect();
        items.sort_unstable();
        items.dedup();
        assert_eq!(items.len(), exploring.len(), "no item twice");
        assert!(plain.iter().all(|known| items.contains(&known.item)), "what gave way comes later");
        let is_pinned = selection.placement.as_ref().is_some_and(|placement| !placement.rules.is_empty());
        assert!(!is_pinned || exploring[11].item == ItemId(300));
    }
}

/// Half of the places are given away.
fn half() -> Recommend {
    Recommend { exploration: 0.5, ..Recommend::RELEVANCE_ONLY }
}

/// Counts of the draws of many users by item and place, each with the probability that was told.
#[derive(Default)]
struct Draws {
    lists: u32,
    cells: HashMap<(ItemId, usize), (f64, f64)>,
}

impl Draws {
    /// Of lists that hold no item twice and are all as long as this.
    fn of(users: u32, n: usize, list: impl Fn(UserId) -> List) -> Self {
        let mut draws = Self { lists: users, ..Self::default() };
        for user in 0..users {
            let items = list(UserId(user)).items;
            let mut distinct: Vec<ItemId> = items.iter().map(|known| known.item).collect();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!((items.len(), distinct.len()), (n, n), "user {user}");
            for (place, known) in items.iter().enumerate().filter(|(_, known)| is_exploring(known)) {
                let (count, told) = draws.cells.entry((known.item, place)).or_default();
                *count += 1.0;
                *told = f64::from(known.propensity);
            }
            assert!(items.iter().all(|known| is_exploring(known) || known.propensity == 1.0));
        }
        draws
    }

    /// Those of these items.
    fn part(&self, items: &[u32]) -> Self {
        let own = self.cells.iter().filter(|((item, _), _)| items.contains(&item.0));
        Self { lists: self.lists, cells: own.map(|(cell, drawn)| (*cell, *drawn)).collect() }
    }

    fn drawn(&self) -> Vec<u32> {
        let mut drawn: Vec<u32> = self.cells.keys().map(|(item, _)| item.0).collect();
        drawn.sort_unstable();
        drawn.dedup();
        drawn
    }

    /// Fails unless these items and no others were drawn, each for each of so many places with the probability that was told,
    /// and all of them together: within five standard deviations.
    fn check(&self, items: &[u32], places: usize, probability: f64) {
        assert_eq!(self.drawn(), items);
        let lists = f64::from(self.lists);
        let within = |count: f64, expected: f64, what: &str| {
            let deviation = (count - expected) / expected.sqrt();
            assert!(deviation.abs() < 5.0, "{what}: {count} times, {expected} told");
        };
        for item in items {
            let cells = self.cells.iter().filter(|((known, _), _)| known.0 == *item);
            let told = |(_, told): &(f64, f64)| (told - probability).abs() < 1e-6;
            assert!(cells.clone().all(|(_, cell)| told(cell)), "item {item}: {:?}", self.cells);
            let count = cells.map(|(_, (count, _))| count).sum();
            within(count, lists * probability * places as f64, &format!("item {item}"));
        }
        let all = self.cells.values().map(|(count, _)| count).sum();
        within(all, lists * probability * (places * items.len()) as f64, "all");
    }
}

/// The shop with news, 30 of another category beside them.
fn shop_with_more_news() -> (Catalogue, ModelSet) {
    let (mut catalogue, model) = shop_with_news();
    let created_at = catalogue.get(ItemId(400)).unwrap().created_at;
    for id in 440..470 {
        catalogue.upsert(Item { created_at, ..item(id, "Never wanted", "Category 10") });
    }
    (catalogue, model)
}

#[test]
fn what_is_muted_is_never_drawn_and_all_else_as_often_as_told() {
    let (catalogue, model) = shop_with_more_news();
    let (user, settings) = (user(&catalogue), half());
    let is_muted = |id: &u32| id % 8 == 3 && *id < 400 || *id >= 440;
    let muted = ItemSet::of(catalogue.width(), (0..470).filter(is_muted).map(ItemId));
    let of = |explorer: Option<UserId>, silenced: Option<&ItemSet>| {
        let asked = request(&user, &catalogue, 9);
        model.page(&Request { explorer, silenced, settings: &settings, ..asked })
    };
    let draws = Draws::of(600, 9, |explorer| {
        let list = of(Some(explorer), Some(&muted));
        assert!(!ids(&list).iter().any(|id| muted.has(ItemId(*id))), "{:?}", ids(&list));
        assert_eq!(list.removed.by(Filter::Muted), 80);
        list
    });
    draws.check(&(400..440).collect::<Vec<_>>(), 8, 0.5 / 40.0);
    let unmuted = Draws::of(600, 9, |explorer| of(Some(explorer), None));
    unmuted.check(&(400..470).collect::<Vec<_>>(), 8, 0.5 / 70.0);
}

#[test]
fn a_muted_list_is_that_of_a_request_which_excludes_the_same() {
    let (catalogue, model) = shop_with_more_news();
    let settings = half();
    let events = [
        event(99, EventKind::View, 8, 60.0),
        event(99, EventKind::Purchase, 12, 61.0),
        event(99, EventKind::AddToCart, 21, 62.0),
        event(99, EventKind::AddToCart, 19, 62.5),
        event(99, EventKind::View, 33, 63.0),
    ];
    let user = profile(&events, &catalogue);
    for (muted, left) in [((0..400).step_by(3).collect::<Vec<u32>>(), 470 - 134), ((0..450).collect(), 20)] {
        let items: Vec<ItemId> = muted.into_iter().map(ItemId).collect();
        let silenced = ItemSet::of(catalogue.width(), items.iter().copied());
        for wants in ["new", "both"] {
            for seed in [None, Some(ItemId(8))] {
                for offset in [0, 8, 64] {
                    let selection =
                        placed(json!({"name": "x", "wants": wants, "max_per_category": 9, "rules": [
                        {"name": "hero", "filter": {"category": "Category 10"}, "pin": 3, "most": 2},
                        {"name": "other", "filter": {"items": [0, 1, 2, 3]}, "pin": 6}]}));
                    let excluding = Selection { exclude: items.clone(), ..selection.clone() };
                    let (explorer, first_page) = (Some(UserId(3)), Some(8));
                    let asked = request(&user, &catalogue, 8);
                    let asked = Request { explorer, seed, offset, first_page, settings: &settings, ..asked };
                    let list =
                        model.page(&Request { silenced: Some(&silenced), selection: &selection, ..asked });
                    let other = model.page(&Request { selection: &excluding, ..asked });
                    let case = format!("{wants} {seed:?} {offset} of {left}");
                    assert_eq!(list.items, other.items, "{case}");
                    assert!(!list.items.iter().any(|known| silenced.has(known.item)), "{case}");
                    assert_eq!(list.items.len(), 8.min(usize::saturating_sub(left, offset)), "{case}");
                }
            }
        }
    }
}

#[test]
fn what_may_not_be_shown_takes_no_part_in_the_draws() {
    let (mut catalogue, model) = shop_with_news();
    for id in 400..438 {
        let (price, stock) = (Some(5.0), (id < 403).then_some(0));
        catalogue.upsert(Item { price, stock, ..Item::clone(catalogue.get(ItemId(id)).unwrap()) });
    }
    let acts = [
        (EventKind::View, 8),
        (EventKind::Purchase, 403),
        (EventKind::Purchase, 404),
        (EventKind::AddToCart, 405),
        (EventKind::View, 406),
    ];
    let events: Vec<Event> =
        acts.iter().map(|(kind, item)| event(99, *kind, *item, f64::from(*item) / 10.0)).collect();
    let user = profile(&events, &catalogue);
    let named =
        Selection { exclude: vec![ItemId(407), ItemId(408)], ..filtered(json!({"max_price": 500.0})) };
    let (selection, settings, resting) = (&named, half(), [ItemId(409), ItemId(410)]);
    let draws = Draws::of(600, 9, |explorer| {
        let (explorer, exclude, asked) = (Some(explorer), &resting, request(&user, &catalogue, 9));
        model.page(&Request { explorer, exclude, selection, settings: &settings, ..asked })
    });
    draws.check(&(411..438).collect::<Vec<_>>(), 8, 0.5 / 27.0);
}

#[test]
fn no_category_gets_more_places_by_exploration_than_its_placement_allows() {
    let (mut catalogue, model) = shop_with_more_news();
    let (user, settings) = (user(&catalogue), half());
    let selection = placed(json!({"name": "x", "max_per_category": 2, "diversity": 0.0}));
    let of = |catalogue: &Catalogue, explorer: Option<UserId>| {
        let asked = request(&user, catalogue, 12);
        model.page(&Request { explorer, selection: &selection, settings: &settings, ..asked })
    };
    // Of the category of the first item, which keeps its place, there may be one more.
    let first = of(&catalogue, None).items[0].item;
    let created_at = catalogue.get(ItemId(400)).unwrap().created_at;
    for id in 470..490 {
        let category = catalogue.get(first).unwrap().category.clone();
        catalogue.upsert(Item { created_at, category, ..item(id, "Never seen", "") });
    }
    let draws = Draws::of(600, 12, |explorer| {
        let list = of(&catalogue, Some(explorer));
        let mut counts: HashMap<&[String], usize> = HashMap::new();
        for known in &list.items {
            *counts.entry(&catalogue.get(known.item).unwrap().category).or_default() += 1;
        }
        assert!(counts.values().all(|count| *count <= 2), "{counts:?}");
        assert_eq!(list.items[0].item, first);
        list
    });
    // Eleven places are open, and five of the pool take part in a draw.
    for (items, most) in [(400..440u32, 2.0), (440..470, 2.0), (470..490, 1.0)] {
        let items: Vec<u32> = items.collect();
        draws.part(&items).check(&items, 11, 0.5 / 11.0 * most / items.len() as f64);
    }
}
