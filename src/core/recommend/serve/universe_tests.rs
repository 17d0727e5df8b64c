//! Tests of the items that are scored: the list is the one that scoring everything gives, and little of a large catalogue is scored.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::base::ItemId;
use crate::catalogue::{Catalogue, Item};
use crate::event::{Event, EventKind};
use crate::profile::Profile;
use crate::recommend::ensemble::{BaseModel, Begun, Candidates, PairModel, Ranker, SideFeature, candidates};
use crate::recommend::fixtures::{START, event, item, plain, profile, request};
use crate::recommend::models::item_set::{ItemSet, Universe};
use crate::recommend::train::{TrainingData, train};

use super::arrange::Arrangement;
use super::blend::{Blend, RAISED};
use super::contenders::{FEW, Search, contenders};
use super::filters::Eligible;
use super::model_set::ModelSet;
use super::ranked::Ranked;
use super::request::Request;
use super::selection::Selection;
use super::user_scores::Personal;

const WORDS: [&str; 12] = [
    "steel", "blue", "small", "light", "classic", "garden", "winter", "sport", "silk", "oak", "round", "soft",
];

/// Eight categories, some sold out, some consumed.
fn article(id: u32) -> Item {
    let word = |step: u32| WORDS[((id / step + id) % 12) as usize];
    let title = format!("{} {} article {} model {}", word(3), word(7), id % 997, id % 89);
    Item {
        price: Some(f64::from(id * 7 % 100)),
        stock: Some((id % 13) as i32),
        tags: vec![word(5).to_owned()],
        attributes: [("colour".to_owned(), format!("colour {}", id % 5))].into(),
        consumable: id.is_multiple_of(17),
        ..item(id, &title, &format!("Category {}", id % 8))
    }
}

/// A shop of `n` items with a model of 80 users who view, cart and buy; then 20 items come, and 20 others change.
fn trained(n: u32) -> (Catalogue, ModelSet) {
    let mut catalogue = Catalogue::from_items((0..n).map(article));
    let kinds = [EventKind::View, EventKind::View, EventKind::AddToCart, EventKind::Purchase];
    let one = |user: u32, step: u32| {
        let item = (user * 31 + step * step * 7 + user % 4 * step) % n.min(400);
        event(user, kinds[((user + step) % 4) as usize], item, f64::from(step) + f64::from(user) / 100.0)
    };
    let mut events: Vec<Event> = (0..80).flat_map(|user| (0..14).map(move |step| one(user, step))).collect();
    events.sort_by_key(|event| event.occurred_at);
    let data = TrainingData { events, n_users: 80, stated: Vec::new() };
    let now = crate::base::Timestamp::from_seconds(START).plus_days(50.0);
    let trained = train(&data, &catalogue, now, &plain(), &mut |_, _| ControlFlow::Continue(()));
    let mut model = trained.unwrap().model;
    let later: Vec<ItemId> = (n..n + 20).chain(40..60).map(ItemId).collect();
    for id in n..n + 20 {
        catalogue.upsert(article(id));
    }
    for id in 40..60 {
        catalogue.upsert(Item {
            id: ItemId(id),
            external_id: item(id, "", "").external_id,
            ..article(id + 1)
        });
    }
    model.note_items(&catalogue, &later);
    (catalogue, model)
}

fn shop() -> &'static (Catalogue, ModelSet) {
    static SHOP: OnceLock<(Catalogue, ModelSet)> = OnceLock::new();
    SHOP.get_or_init(|| trained(400))
}

fn user(acts: &[(usize, u32)], catalogue: &Catalogue) -> Profile {
    let kinds = [EventKind::View, EventKind::Like, EventKind::AddToCart, EventKind::Purchase];
    let events: Vec<Event> = (0u32..)
        .zip(acts)
        .map(|(place, (kind, item))| event(99, kinds[kind % 4], *item, 60.0 + f64::from(place) / 8.0))
        .collect();
    profile(&events, catalogue)
}

fn placed(rules: Value) -> Selection {
    let placement = serde_json::from_value(json!({"name": "x", "rules": rules})).unwrap();
    Selection { placement: Some(Arc::new(placement)), ..Selection::NONE }
}

/// Scores of every item by every member, and the order of what is allowed.
fn by_scoring_everything(model: &ModelSet, asked: &Request<'_>) -> (Candidates, Vec<Ranked>) {
    let personal = model.personal(asked);
    let rule = model.rule(personal.length());
    let (eligible, beside) = (Eligible::new(asked, &model.repeat), model.beside(asked));
    let fresh = |item| eligible.is_fresh(item);
    let mut raised = Vec::new();
    for raises in Arrangement::new(asked).raising() {
        let allowed = |item: ItemId| fresh(item) && raises(item);
        raised.extend(personal.candidates(&model.ensemble, &rule, RAISED, allowed).items);
    }
    let near = beside.as_ref().map(|beside| beside.scores.as_slice());
    model.ranked(&personal, &rule, asked, near, &raised, fresh)
}

fn blend(model: &ModelSet, asked: &Request<'_>, few: usize) -> Blend {
    let (eligible, beside) = (Eligible::new(asked, &model.repeat), model.beside(asked));
    model.blend(asked, &eligible, beside.as_ref(), &Arrangement::new(asked), few)
}

/// A rule of which any members choose the candidates.
fn any_rule(n: usize) -> impl Strategy<Value = Ranker> {
    let core = prop::collection::btree_set(0..n, 1..5);
    let weights = || prop::collection::vec(-2.0f32..4.0, n);
    (core, weights(), weights()).prop_map(|(core, weights, linear)| Ranker {
        core: core.into_iter().collect(),
        weights,
        linear,
        slopes: Vec::new(),
        centre: 1.0,
        spread: 1.0,
    })
}

fn any_selection() -> impl Strategy<Value = Selection> {
    let filters = [
        json!({}),
        json!({"category": "Category 3"}),
        json!({"min_price": 20.0, "max_price": 80.0}),
        json!({"attributes": {"colour": ["colour 1", "colour 2"]}}),
        json!({"tags": ["oak", "silk"], "max_price": 50.0}),
        json!({"items": [3, 9, 41, 405, 9_999]}),
        json!({"new_days": 99}),
        json!({"category": "Nowhere"}),
    ];
    let exclude = prop::collection::vec((0u32..430).prop_map(ItemId), 0..20);
    let basket = prop::collection::vec((0u32..430).prop_map(ItemId), 0..2);
    let rules = prop::option::weighted(
        0.3,
        Just(json!([
            {"name": "more", "filter": {"category": "Category 5"}, "boost": 3.0},
            {"name": "some", "filter": {"attributes": {"colour": "colour 4"}}, "pin": 2},
            {"name": "none", "filter": {"max_price": 9.0}, "remove": true},
        ])),
    );
    (prop::sample::select(filters.to_vec()), exclude, basket, rules, any::<bool>()).prop_map(
        |(filter, exclude, basket, rules, any_stock)| Selection {
            filter: serde_json::from_value(filter).unwrap(),
            exclude,
            basket,
            any_stock,
            ..rules.map_or(Selection::NONE, placed)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_order_is_that_of_scoring_everything(
        acts in prop::collection::vec((0usize..4, 0u32..425), 0..24),
        selection in any_selection(),
        rule in prop::option::of(any_rule(shop().1.ensemble().models().members().len())),
        seed in prop::option::weighted(0.2, (0u32..425).prop_map(ItemId)),
        n in 1usize..40,
        blocked in any::<bool>(),
    ) {
        let (catalogue, model) = shop();
        let mut model = model.clone();
        if let Some(rule) = rule {
            model.set_rule(rule);
        }
        let user = user(&acts, catalogue);
        let mut settings = crate::config::Recommend::RELEVANCE_ONLY;
        if blocked {
            settings.blocked_categories = vec!["Category 6".to_owned()];
            settings.max_price = 90.0;
        }
        let segment = model.segment(&user.features(crate::base::Timestamp::from_seconds(START)));
        let (selection, settings) = (&selection, &settings);
        let asked = Request { selection, segment, seed, settings, ..request(&user, catalogue, n) };
        let (all, ranked) = by_scoring_everything(&model, &asked);
        for few in [usize::MAX, 0] {
            let blend = blend(&model, &asked, few);
            prop_assert_eq!(blend.candidates(), &all, "{}", few);
            prop_assert_eq!(&blend.ranked, &ranked, "{}", few);
            prop_assert!(blend.scored() <= catalogue.len());
        }
    }

    #[test]
    fn contenders_hold_the_best_whoever_chooses_them(
        acts in prop::collection::vec((0usize..4, 0u32..425), 0..40),
        rule in any_rule(shop().1.ensemble().models().members().len()),
        among in prop::collection::vec(any::<bool>(), 420),
        n in 1usize..30,
        // Few items are numbered without gaps, of many a place is the id.
        step in prop::sample::select(vec![1usize, 3, 7]),
    ) {
        let (catalogue, model) = shop();
        let user = user(&acts, catalogue);
        let asked = request(&user, catalogue, n);
        let (sources, person) = (model.sources(), model.person(&asked));
        let among = ItemSet::of(420, (0..420).map(ItemId).filter(|item| among[item.index()] && item.index().is_multiple_of(step)));
        let search = Search { sources: &sources, request: &asked, person: &person, rule: &rule };
        let found = contenders(&search, &among, n);
        prop_assert!(found.iter().all(|item| among.has(item)));
        let chosen = |universe: Universe| {
            let personal = Personal::new(&sources, &asked, person.clone(), universe);
            let scores = model.ensemble.models().scores(&personal.context());
            let (models, begun) = (model.ensemble.models(), Begun::default());
            candidates(models, &scores, personal.universe(), &rule.core, n, &begun, |item| among.has(item))
        };
        prop_assert_eq!(chosen(Universe::of(found)), chosen(Universe::All(420)));
    }
}

#[test]
fn the_shop_of_these_tests_has_every_kind_of_member() {
    let (_, model) = shop();
    let members = model.ensemble().models().members();
    let has = |kind: fn(&BaseModel) -> bool| members.iter().any(kind);
    assert!(has(|member| matches!(member, BaseModel::Als(_))), "{members:?}");
    assert!(has(|member| matches!(member, BaseModel::Trend(_))), "{members:?}");
    assert!(has(|member| matches!(member, BaseModel::SideFeature(SideFeature::Content))), "{members:?}");
    assert!(has(|member| matches!(member, BaseModel::Pair { model: PairModel::Ease(_), .. })), "{members:?}");
}

#[test]
fn of_a_large_catalogue_only_what_a_filter_leaves_or_can_be_among_the_best_is_scored() {
    let (catalogue, model) = trained(30_000);
    let user = user(&[(0, 3), (3, 17), (0, 44), (2, 80), (0, 120)], &catalogue);
    let scored = |filter: Value| {
        let selection = Selection { filter: serde_json::from_value(filter).unwrap(), ..Selection::NONE };
        let asked = Request { selection: &selection, ..request(&user, &catalogue, 10) };
        let open = Eligible::new(&asked, &model.repeat).open().len();
        let blend = blend(&model, &asked, FEW);
        assert_eq!(blend.ranked, by_scoring_everything(&model, &asked).1);
        (open, blend.scored())
    };
    let (open, few) = scored(json!({"category": "Category 3", "min_price": 50.0}));
    assert!(open < 2_500 && few == open, "{few} of {open}");
    let (open, all) = scored(json!({}));
    assert!(open > 25_000 && all < 3_000, "{all} of {open}");
    let (open, many) = scored(json!({"min_price": 30.0}));
    assert!(open > FEW && many < 3_000, "{many} of {open}");
}
