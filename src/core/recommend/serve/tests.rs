//! The set as a whole: who gets what, why, and what may never be shown.

use std::ops::ControlFlow;

use proptest::prelude::*;

use crate::base::{ItemId, Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::config::Recommend;
use crate::event::{Event, EventKind};
use crate::profile::Profile;
use crate::recommend::ensemble;
use crate::recommend::fixtures::{START, anonymous, event, item, plain, profile, request, shop};
use crate::recommend::train::{Stage, TrainError, TrainingData, train};

use super::artefact::ArtefactError;
use super::explain;
use super::filters::Eligible;
use super::list_tests::similar;
use super::model_set::ModelSet;
use super::reason::Reason;
use super::request::{Recommendation, Request};

pub(super) fn trained(events: &[Event], n_users: usize, catalogue: &Catalogue) -> ModelSet {
    let data = TrainingData { events: events.to_vec(), n_users, ..TrainingData::default() };
    let now = Timestamp::from_seconds(START).plus_days(100.0);
    train(&data, catalogue, now, &plain(), &mut |_, _| ControlFlow::Continue(())).unwrap().model
}

/// Users 0…3 bought watches 0 and 1, users 4 and 5 mugs 3 and 4, a basket mug 3 and teapot 5.
pub(super) fn history() -> Vec<Event> {
    let mut events = Vec::new();
    for user in 0..4 {
        events.extend([0, 1].map(|item| event(user, EventKind::Purchase, item, f64::from(user))));
    }
    for user in 4..6 {
        events.extend([3, 4].map(|item| event(user, EventKind::Purchase, item, 5.0)));
    }
    events.extend([3, 5].map(|item| anonymous(1, item, 6.0)));
    events
}

pub(super) fn ids(list: &[Recommendation]) -> Vec<u32> {
    list.iter().map(|known| known.item.0).collect()
}

#[test]
fn the_true_cause_is_the_reason() {
    let catalogue = shop();
    let model = trained(&history(), 6, &catalogue);
    let viewer = profile(&[event(9, EventKind::View, 0, 50.0)], &catalogue);
    let list = model.recommend(&request(&viewer, &catalogue, 3));
    assert_eq!((list[0].item, list[0].reason), (ItemId(1), Reason::Viewed(ItemId(0))));
    assert_eq!(list[0].reason.text(&catalogue), "because you viewed Dive watch steel");
    let buyer = profile(&[event(9, EventKind::Purchase, 0, 50.0)], &catalogue);
    let list = model.recommend(&request(&buyer, &catalogue, 3));
    assert_eq!((list[0].item, list[0].reason), (ItemId(1), Reason::OftenBoughtWith(ItemId(0))));
    assert_eq!(list[0].reason.text(&catalogue), "often bought with Dive watch steel");
    assert!(!ids(&list).contains(&0), "what was bought is not recommended");
}

/// Six baskets of mug 3 with teapot 5, two of them with mug 4 as well, four of mug 4 alone.
fn tea() -> Vec<Event> {
    let mut events = Vec::new();
    for basket in 0..6i64 {
        events.extend([3, 5].map(|item| anonymous(basket, item, 1.0)));
    }
    events.extend((0..2).map(|basket| anonymous(basket, 4, 1.0)));
    events.extend((6..10).map(|basket| anonymous(basket, 4, 1.0)));
    events
}

#[test]
fn what_lies_in_the_cart_brings_what_the_rules_say_with_their_lift() {
    let catalogue = shop();
    let model = trained(&tea(), 0, &catalogue);
    // The mug is in 6 of 10 baskets, always with the teapot: confidence 1, lift 1 / 0.6.
    let rules: Vec<_> = model.association_rules().with(ItemId(3)).collect();
    assert_eq!(rules.len(), 1, "{rules:?}");
    assert_eq!((rules[0].consequent[0], rules[0].count, rules[0].confidence), (ItemId(5), 6, 1.0));
    let cart = profile(&[event(9, EventKind::AddToCart, 3, 50.0)], &catalogue);
    let asked = Request { seed: Some(ItemId(3)), ..request(&cart, &catalogue, 3) };
    let list = model.recommend(&asked);
    assert_eq!(list[0].item, ItemId(5));
    let Reason::Rule { with, and, lift } = list[0].reason else { panic!("{:?}", list[0].reason) };
    assert_eq!((with, and), (ItemId(3), None));
    assert!((lift - 1.0 / 0.6).abs() < 1e-6);
    assert_eq!(list[0].reason.text(&catalogue), "often bought with Blue mug (1.7\u{d7} more than chance)");
    let both = Reason::Rule { with: ItemId(3), and: Some(ItemId(4)), lift: 2.0 };
    assert_eq!(both.text(&catalogue), "often bought with Blue mug and Red mug (2.0\u{d7} more than chance)");
    // Who has only looked at the mug is told that.
    let viewer = profile(&[event(9, EventKind::View, 3, 50.0)], &catalogue);
    let list = model.recommend(&Request { seed: Some(ItemId(3)), ..request(&viewer, &catalogue, 3) });
    assert_eq!(list[0].reason, Reason::Viewed(ItemId(3)));
    let stored = ModelSet::decode(&model.encode().unwrap()).unwrap();
    assert_eq!(stored.association_rules(), model.association_rules());
}

#[test]
fn a_stranger_gets_what_is_popular_in_their_segment_and_categories_if_known() {
    let catalogue = shop();
    let model = trained(&history(), 6, &catalogue);
    let nobody = Profile::default();
    let list = model.recommend(&request(&nobody, &catalogue, 6));
    assert_eq!(ids(&list)[..2], [0, 1]);
    assert_eq!(list[0].reason, Reason::Popular);
    // Nobody ever touched the dress watch: it comes last, and is no longer new.
    assert_eq!((list[5].item, list[5].score.get(), list[5].reason), (ItemId(2), 0.0, Reason::Assortment));
    // Only a search and a removal are known, but they tell the category.
    let mut searcher = Profile::default();
    searcher.apply(&event(9, EventKind::View, 5, 0.0), &catalogue);
    searcher.apply(&event(9, EventKind::RemoveFromCart, 5, 0.0), &catalogue);
    assert!(searcher.affinities(Timestamp::from_seconds(START)).is_empty());
}

#[test]
fn a_seed_brings_its_neighbours_first() {
    let catalogue = shop();
    let model = trained(&history(), 6, &catalogue);
    let watches =
        profile(&[event(9, EventKind::Purchase, 0, 1.0), event(9, EventKind::View, 3, 50.0)], &catalogue);
    let seeded = Request { seed: Some(ItemId(3)), ..request(&watches, &catalogue, 6) };
    let list = model.recommend(&seeded);
    assert_eq!(list[0].item, ItemId(4));
    assert_eq!(list[0].reason, Reason::Viewed(ItemId(3)));
    assert!(!ids(&list).contains(&3), "not the item that is being looked at");
    assert!(list.is_sorted_by(|a, b| a.score >= b.score));
    let near = similar(&model, 3, &catalogue, 2);
    assert_eq!(ids(&near), [4, 5]);
    assert_eq!(near[0].reason, Reason::OftenBoughtWith(ItemId(3)));
    assert_eq!(near[1].reason, Reason::SimilarTo(ItemId(3)));
    assert!(similar(&model, 99, &catalogue, 5).is_empty());
}

#[test]
fn what_must_not_be_shown_is_not() {
    let mut catalogue = shop();
    let model = trained(&history(), 6, &catalogue);
    let sold_out = crate::catalogue::Item { stock: Some(0), ..item(1, "Dive watch titanium", "Watches") };
    catalogue.upsert(sold_out);
    catalogue.remove(ItemId(4));
    let mut user = profile(
        &[event(9, EventKind::Purchase, 0, 1.0), event(9, EventKind::AddToCart, 3, 50.0)],
        &catalogue,
    );
    let list = model.recommend(&Request { exclude: &[ItemId(5)], ..request(&user, &catalogue, 6) });
    assert_eq!(ids(&list), [2], "bought, sold out, in the cart, gone, excluded: one is left");
    catalogue.upsert(crate::catalogue::Item { consumable: true, ..item(0, "Dive watch steel", "Watches") });
    user.apply(&event(9, EventKind::RemoveFromCart, 3, 51.0), &catalogue);
    let list = model.recommend(&request(&user, &catalogue, 6));
    assert!(ids(&list).contains(&0), "a consumable is bought again");
    assert!(ids(&list).contains(&3), "no longer in the cart");
}

#[test]
fn blocked_categories_and_prices_out_of_range_are_not_shown() {
    let mut catalogue = shop();
    let price =
        |price| crate::catalogue::Item { price: Some(price), ..item(1, "Dive watch titanium", "Watches") };
    catalogue.upsert(price(500.0));
    let model = trained(&history(), 6, &catalogue);
    let nobody = Profile::default();
    let shown = |settings: &Recommend| {
        let mut list = ids(&model.recommend(&Request { settings, ..request(&nobody, &catalogue, 6) }));
        list.sort_unstable();
        list
    };
    let plain = Recommend::RELEVANCE_ONLY;
    assert_eq!(shown(&plain), [0, 1, 2, 3, 4, 5]);
    let blocked = vec!["Kitchen".to_owned()];
    assert_eq!(shown(&Recommend { blocked_categories: blocked, ..plain.clone() }), [0, 1, 2]);
    // An item without a price passes.
    assert_eq!(shown(&Recommend { max_price: 499.0, ..plain.clone() }), [0, 2, 3, 4, 5]);
    assert_eq!(shown(&Recommend { min_price: 500.5, ..plain.clone() }), [0, 2, 3, 4, 5]);
    assert_eq!(shown(&Recommend { min_price: 500.0, ..plain }), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn new_items_get_a_place_now_and_then_and_its_probability_is_told() {
    let mut catalogue = shop();
    let model = trained(&history(), 6, &catalogue);
    let now = Timestamp::from_seconds(START).plus_days(100.0);
    for id in 6..40 {
        let new = crate::catalogue::Item { created_at: now, ..item(id, "Glass bowl", "Kitchen") };
        catalogue.upsert(new);
    }
    let user = profile(&[event(0, EventKind::Purchase, 0, 50.0)], &catalogue);
    let settings = Recommend { exploration: 0.5, ..Recommend::RELEVANCE_ONLY };
    let asked = Request { settings: &settings, ..request(&user, &catalogue, 4) };
    let plain = model.recommend(&asked);
    assert!(plain.iter().all(|known| known.propensity == 1.0), "nobody explores");
    let mut explored = 0;
    for hour in 0..50 {
        let now = now + crate::base::Millis::hours(hour);
        let list = model.recommend(&Request { explorer: Some(UserId(0)), now, ..asked });
        assert_eq!(list[0], plain[0], "the best keeps its place");
        for known in list.iter().filter(|known| matches!(known.reason, Reason::Exploring(_))) {
            explored += 1;
            assert_eq!(known.reason.text(&catalogue), "exploring: new in Kitchen");
            assert!((0.5 / 40.0..0.5 / 20.0).contains(&known.propensity), "{}", known.propensity);
        }
        let mut distinct = ids(&list);
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), list.len());
    }
    assert!((40..110).contains(&explored), "about half of 150 places: {explored}");
}

/// The named cause against one found by leaving each item of the history out.
#[test]
fn the_named_item_of_the_history_is_the_one_that_added_most() {
    let catalogue = shop();
    let mut events = history();
    events.extend(
        (0..3).flat_map(|user| [event(user, EventKind::View, 4, 7.0), event(user, EventKind::View, 2, 8.0)]),
    );
    let model = trained(&events, 6, &catalogue);
    let user =
        profile(&[0, 3, 4].map(|item| event(9, EventKind::View, item, 50.0 + f64::from(item))), &catalogue);
    let asked = request(&user, &catalogue, 6);
    let personal = model.personal(&asked);
    let rule = model.rule(personal.length());
    let (candidates, ranked) = model.ranked(&personal, &rule, &asked, None, &[], |item| !user.has_seen(item));
    let sources = model.sources();
    let explanation = explain::Explanation::new(&sources, &asked, &personal, &candidates, &rule);
    let mut behaviour = 0;
    for known in &ranked {
        let parts = explanation.parts(known.item);
        // The parts sum to the score by which items are ordered.
        let row = candidates.row(known.item);
        let score: f32 = rule.parts(row, personal.length()).iter().sum();
        assert!((parts.iter().map(|(_, added)| added).sum::<f32>() - score).abs() < 1e-4);
        if parts[0].0 != explain::Source::Behaviour {
            continue;
        }
        behaviour += 1;
        let cause = explanation.behaviour(known.item).unwrap();
        // What each item of the history adds, member by member, by the models' own scores.
        let context = personal.context();
        let models = model.ensemble().models();
        let width = models.width(&context);
        let mut sums = std::collections::BTreeMap::new();
        for (place, own) in context.history.iter().enumerate() {
            let mut alone: Vec<_> = context.history.iter().map(|(item, _)| (*item, 0.0)).collect();
            alone[place] = *own;
            let alone = ensemble::Context { history: &alone, ..context };
            let (whole, part) = (models.scores(&context), models.scores(&alone));
            for (index, member) in models.members().iter().enumerate() {
                // Factors are not additive: their parts have a test of their own.
                if !matches!(member, ensemble::BaseModel::Pair { .. }) {
                    continue;
                }
                let at = index * width + known.item.index();
                if whole[at] > 0.0 {
                    let added = rule.parts(row, personal.length())[index];
                    *sums.entry(own.0).or_insert(0.0) += added * part[at] / whole[at];
                }
            }
        }
        let most = sums.values().copied().fold(0.0, f32::max);
        assert!(sums[&cause] >= most - 0.1 * most.abs() - 0.05, "{:?}: {cause:?} of {sums:?}", known.item);
    }
    assert!(behaviour > 0);
}

#[test]
fn an_item_added_after_training_is_recommended_by_its_content() {
    let mut catalogue = shop();
    let mut model = trained(&history(), 6, &catalogue);
    catalogue.upsert(item(6, "Dive watch carbon", "Watches"));
    model.note_items(&catalogue, &[ItemId(6)]);
    let viewer = profile(&[event(9, EventKind::View, 0, 50.0)], &catalogue);
    let list = model.recommend(&Request { seed: Some(ItemId(0)), ..request(&viewer, &catalogue, 2) });
    assert_eq!(ids(&list), [1, 6]);
    assert!(ids(&similar(&model, 6, &catalogue, 2)).contains(&0));
}

#[test]
fn before_any_training_the_newest_items_are_shown_then_what_is_alike() {
    let catalogue = shop();
    let mut model = ModelSet::empty();
    let nobody = Profile::default();
    let list = model.recommend(&request(&nobody, &catalogue, 2));
    assert_eq!(ids(&list), [5, 4]);
    assert_eq!(list[0].reason.text(&catalogue), "from our range", "a hundred days old");
    let soon =
        Request { now: Timestamp::from_seconds(START).plus_days(2.0), ..request(&nobody, &catalogue, 2) };
    assert_eq!(model.recommend(&soon)[0].reason.text(&catalogue), "new in the shop");
    let all: Vec<_> = (0..6).map(ItemId).collect();
    model.note_items(&catalogue, &all);
    let viewer = profile(&[event(9, EventKind::View, 0, 50.0)], &catalogue);
    assert_eq!(model.recommend(&request(&viewer, &catalogue, 1))[0].item, ItemId(1));
    assert!(ModelSet::empty().recommend(&request(&nobody, &Catalogue::default(), 5)).is_empty());
}

#[test]
fn an_artefact_comes_back_as_it_was_and_a_damaged_or_foreign_one_is_refused() {
    let catalogue = shop();
    let mut model = trained(&history(), 6, &catalogue);
    model.metrics.insert("ndcg@10".to_owned(), 0.5);
    let with_threads = model.encode().unwrap();
    model.parameters.n_threads = 0;
    let bytes = model.encode().unwrap();
    assert_eq!(bytes, with_threads);
    assert_eq!(ModelSet::decode(&bytes).unwrap(), model);
    assert_eq!(ModelSet::decode(b"PNG"), Err(ArtefactError::Foreign));
    assert_eq!(ModelSet::decode(b""), Err(ArtefactError::Foreign));
    assert!(matches!(ModelSet::decode(&bytes[..bytes.len() - 1]), Err(ArtefactError::Corrupt(_))));
    assert!(matches!(ModelSet::decode(&bytes[..20]), Err(ArtefactError::Corrupt(_))));
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(ModelSet::decode(&flipped), Err(ArtefactError::Corrupt(_))));
    let mut newer = bytes;
    newer[8] = 99;
    let refused = ModelSet::decode(&newer).unwrap_err();
    assert_eq!(refused, ArtefactError::OtherFormat { found: 99 });
    assert!(refused.to_string().contains("a newer version made it"), "{refused}");
}

#[test]
fn one_user_can_not_outvote_the_others() {
    let mut events: Vec<_> = (0..10).map(|day| event(0, EventKind::View, day, f64::from(day))).collect();
    events.extend([event(1, EventKind::View, 1, 20.0), anonymous(1, 2, 21.0)]);
    let mut data = TrainingData { events, n_users: 2, ..TrainingData::default() };
    assert_eq!(data.cap_users(3), 7);
    let left: Vec<_> = data.events.iter().map(|event| event.item.unwrap().0).collect();
    assert_eq!(left, [7, 8, 9, 1, 2], "the newest, in order");
    assert_eq!(data.cap_users(3), 0);
    assert_eq!(TrainingData::default().cap_users(0), 0);
}

#[test]
fn training_says_how_far_it_is_stops_when_told_and_needs_something() {
    let data = TrainingData { events: history(), n_users: 6, ..TrainingData::default() };
    let catalogue = shop();
    let now = Timestamp::from_seconds(START).plus_days(100.0);
    let mut stages = Vec::new();
    train(&data, &catalogue, now, &plain(), &mut |stage, done| {
        assert!((0.0..=1.0).contains(&done), "{stage:?} {done}");
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(
        stages,
        [
            Stage::Profiles,
            Stage::Segments,
            Stage::Popularity,
            Stage::ItemKnn,
            Stage::Sessions,
            Stage::Ensemble,
            Stage::Rules,
            Stage::Content
        ]
    );
    for stop in stages {
        let result = train(&data, &catalogue, now, &plain(), &mut |stage, _| {
            if stage == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(result.unwrap_err(), TrainError::Cancelled, "{stop:?}");
    }
    let nothing = TrainingData::default();
    let mut go = |_, _| ControlFlow::Continue(());
    let error = train(&nothing, &Catalogue::default(), now, &plain(), &mut go).unwrap_err();
    assert!(matches!(error, TrainError::NotEnoughData { .. }), "{error}");
    // A catalogue alone gives content, events alone behaviour.
    let content_only = train(&nothing, &catalogue, now, &plain(), &mut go).unwrap();
    assert_eq!(content_only.model.segmentation, None);
    assert!(!similar(&content_only.model, 0, &catalogue, 3).is_empty());
    let behaviour_only = train(&data, &Catalogue::default(), now, &plain(), &mut go).unwrap();
    assert_eq!(behaviour_only.features.len(), 6);
    assert!(behaviour_only.features.iter().all(|(_, _, segment)| segment.is_some()));
}

fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(EventKind::ALL.to_vec());
    (kind, 0u32..9, prop::option::of(0u32..6), 0.0..400.0f64, prop::option::of(0i64..4)).prop_map(
        |(kind, item, user, day, basket)| Event {
            user: user.map(UserId),
            basket,
            item: (kind != EventKind::Search).then_some(ItemId(item)),
            ..event(0, kind, item, day)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_events_give_a_model_without_a_panic_or_nan(
        events in prop::collection::vec(any_event(), 0..60),
        seed in prop::option::of(0u32..12),
        weights in prop::collection::vec(-1e3..1e3f32, 40),
    ) {
        let mut events = events;
        events.sort_by_key(|event| event.occurred_at);
        let catalogue = shop();
        let mut model = trained(&events, 6, &catalogue);
        let n = model.ensemble().models().members().len();
        let (weights, linear) = (weights[..n].to_vec(), weights[40 - n..].to_vec());
        model.set_rule(ensemble::Ranker { weights, linear, ..model.rule(0) });
        let user = profile(&events, &catalogue);
        let segment = model.segment(&user.features(Timestamp::from_seconds(START)));
        let asked = Request { segment, seed: seed.map(ItemId), ..request(&user, &catalogue, 10) };
        let (list, eligible) = (model.recommend(&asked), Eligible::new(&asked, &model.repeat));
        prop_assert!(list.is_sorted_by(|a, b| a.score >= b.score));
        for known in &list {
            prop_assert!((0.0..=1.0).contains(&known.score.get()));
            prop_assert!(eligible.is_allowed(known.item));
            prop_assert!(!known.reason.text(&catalogue).is_empty());
        }
        let mut distinct = ids(&list);
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), list.len());
    }
}

#[test]
fn an_item_whose_words_are_the_same_is_no_news_and_one_with_others_is() {
    let mut catalogue = shop();
    let mut model = trained(&history(), 6, &catalogue);
    let (before, all): (_, Vec<_>) = (model.content().clone(), (0..6).map(ItemId).collect());
    model.note_items(&catalogue, &all);
    assert_eq!(*model.content(), before);
    catalogue.upsert(item(1, "Yellow teapot", "Kitchen"));
    model.note_items(&catalogue, &all);
    assert!(*model.content() != before && model.content().similarity(ItemId(1), ItemId(5)) > 0.3);
}
