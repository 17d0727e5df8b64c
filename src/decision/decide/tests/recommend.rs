//! Lists: the one that is asked for over HTTP is the one that a login is answered with.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::fixture::{Fixture, Shop, item};
use crate::decide::{ExperimentModels, ServedLists};
use crate::feedback::experiments::{Experiment, Slice, Slices};
use crate::notify::policy::{Mute, Purpose};
use tidings_core::base::{ItemId, ModelVersion, UserId};
use tidings_core::catalogue::Catalogue;
use tidings_core::evaluate::measure::Served;
use tidings_core::event::{Event, EventKind};
use tidings_core::recommend::train::{TrainingData, TrainingParameters, train};
use tidings_core::recommend::{ModelSet, Request};

/// Forty users who bought items of one kind each, the lower ids most.
fn trained(catalogue: &Catalogue) -> Arc<ModelSet> {
    static MODEL: OnceLock<Arc<ModelSet>> = OnceLock::new();
    let train = || {
        let event = |user: u32, of: u32| Event {
            occurred_at: catalogue.get(item(101)).unwrap().created_at.plus_days(f64::from(of) / 10.0),
            user: Some(UserId(user)),
            item: Some(item(of)),
            kind: EventKind::Purchase,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
        };
        let bought =
            |user: u32| (0..4).map(move |n| event(user, 101 + user % 2 + 2 * ((user / 2 + n * n) % 9)));
        let mut events: Vec<Event> = (0..40).flat_map(bought).collect();
        events.sort_by_key(|event| event.occurred_at);
        let data = TrainingData { events, n_users: 40, ..TrainingData::default() };
        let parameters = TrainingParameters { n_threads: 1, ..TrainingParameters::default() };
        let now = super::fixture::moment(super::fixture::NOON);
        let mut hear = |_, _| ControlFlow::Continue(());
        let mut model = train(&data, catalogue, now, &parameters, &mut hear).unwrap().model;
        model.version = ModelVersion(3);
        Arc::new(model)
    };
    Arc::clone(MODEL.get_or_init(train))
}

fn shop() -> Shop {
    let mut shop = Shop::new();
    shop.models = trained(&shop.catalogue);
    shop
}

fn list(user: &Fixture) -> Vec<ItemId> {
    user.state.recommend(None, user.state.rules(&user.shop.world()).items, &user.shop.world()).ids().collect()
}

/// Versions of an experiment's arms: the other one knows no history.
fn with_arms(mut shop: Shop, change: Value) -> Shop {
    shop.experiment(change);
    let mut other = ModelSet::empty();
    other.version = ModelVersion(9);
    other.note_unknown(&shop.catalogue);
    let named: Vec<&Experiment> = shop.definitions.experiments.iter().map(|one| &one.experiment).collect();
    shop.experiment_models = ExperimentModels::default().with(named, vec![other], &shop.models);
    shop
}

type Change = fn(&mut Fixture);

const HISTORIES: [Change; 2] = [
    |_| {},
    |user| {
        user.views(&[101, 103, 105]);
        user.buy(102);
    },
];

/// Preferences and feedback of users.
fn wishes() -> [Change; 5] {
    [
        |_| {},
        |user| drop(user.consents(Purpose::Profiling, false)),
        |user| drop(user.wants(|_, settings| settings.mute(Mute::ItemCategory("Watches".to_owned())))),
        |user| {
            let id = user.login(9).message().notification_id;
            user.tells(9, json!({"type": "feedback", "notification_id": id, "outcome": "dismissed"}));
            user.leave(9);
        },
        |user| {
            user.wants(|_, settings| {
                settings.opted_out = true;
                settings.mute(Mute::Brand("Clay".to_owned()));
            });
        },
    ]
}

/// Policies that choose the model or the list.
fn policies() -> [fn(Shop) -> Shop; 6] {
    [
        |shop| shop,
        |mut shop| {
            shop.policy(json!({"holdout": 0.5, "random": 0.0}));
            shop
        },
        |mut shop| {
            shop.policy(json!({"holdout": 0.0, "random": 0.5}));
            shop
        },
        |shop| with_arms(shop, json!({"model": "popularity"})),
        |shop| with_arms(shop, json!({"model": 9})),
        |shop| {
            with_arms(
                shop,
                json!({"policy": {"items": 3, "dismissed_pause_h": 1, "profiling_by_default": false}}),
            )
        },
    ]
}

#[test]
fn the_list_over_http_is_that_of_the_login_for_everybody() {
    let mut lists = std::collections::BTreeSet::new();
    let users = [(0, Slice::Holdout), (1, Slice::Learned)].map(|(arm, slice)| one_of(arm, slice));
    for (h, history) in HISTORIES.iter().enumerate() {
        for (p, policy) in policies().iter().enumerate() {
            for (w, wish) in wishes().iter().enumerate() {
                for id in users {
                    let mut user = Fixture::of(id, policy(shop()));
                    history(&mut user);
                    wish(&mut user);
                    let asked = list(&user);
                    let answer = user.login(1);
                    let case = format!("user {id}, history {h}, policy {p}, wish {w}");
                    assert_eq!(answer.message().items, asked, "{case}");
                    assert_eq!(answer.decision("login").items, asked, "{case}");
                    lists.insert(asked);
                }
            }
        }
    }
    assert!(lists.len() > 15, "there is something to tell apart: {} lists", lists.len());
}

#[test]
fn what_a_training_measures_is_the_list_that_is_shown() {
    type Change = fn(&mut Fixture) -> Vec<(String, bool)>;
    let wishes: [Change; 5] = [
        |_| Vec::new(),
        |user| {
            user.consents(Purpose::Profiling, false);
            vec![("profiling".to_owned(), false)]
        },
        |user| {
            user.wants(|_, settings| settings.mute(Mute::ItemCategory("Watches".to_owned())));
            Vec::new()
        },
        |user| {
            let first = list(user)[0].0 + 100;
            user.wants(|_, settings| settings.mute(Mute::Item(first.to_string())));
            Vec::new()
        },
        |user| {
            user.shop.config.recommend.blocked_categories = vec!["Mugs".to_owned()];
            Vec::new()
        },
    ];
    let mut lists = Vec::new();
    for (w, wish) in wishes.iter().enumerate() {
        let mut user = Fixture::of(7, shop());
        user.views(&[101, 103, 105]);
        user.buy(102);
        let consents = wish(&mut user);
        let (world, state) = (user.shop.world(), &user.state);
        let mut served = ServedLists::new(&world.config.recommend, state.rules(&world).profiling_by_default);
        served.note(state.user, &state.document, &consents);
        let bare = Request {
            segment: state.segment,
            ..Request::new(&state.profile, world.catalogue, world.now, state.rules(&world).items)
        };
        let measured = served.list(state.user, world.models, &bare);
        assert_eq!(measured, list(&user), "wish {w}");
        lists.push(measured);
    }
    lists.sort();
    lists.dedup();
    assert!(lists.len() >= wishes.len() - 1, "there is something to tell apart: {lists:?}");
}

/// A user in this arm, and in this slice where half the users are held out.
fn one_of(arm: usize, slice: Slice) -> i64 {
    let shop = with_arms(shop(), json!({"model": 9}));
    let experiment = &shop.definitions.experiments[0].experiment;
    let is_one =
        |user: &String| experiment.arm_of(user) == Some(arm) && Slices::of_shares(0.5, 0.0).of(user) == slice;
    (1..).find(|user: &i64| is_one(&user.to_string())).unwrap()
}

#[test]
fn what_somebody_looked_at_makes_the_list_theirs() {
    let mut user = Fixture::of(7, shop());
    let before = list(&user);
    for of in [102, 104] {
        user.buy(of);
    }
    let after = list(&user);
    assert_ne!(after, before);
    assert!(!after.contains(&item(102)), "it was bought");
}

#[test]
fn features_are_measured_until_the_newest_event_of_the_model_that_is_asked() {
    let shop = with_arms(shop(), json!({"model": 9}));
    let (world, newest) = (shop.world(), trained(&shop.catalogue).observed.clone());
    let nothing = ModelSet::empty();
    assert!(world.feature_context().now() < world.now);
    let by_data = newest.context(None, world.now, shop.catalogue.money()).now();
    assert_eq!(world.context_of(&shop.models).now(), by_data);
    assert_eq!(world.context_of(&nothing).now(), world.now, "it knows no event");
}

#[test]
fn a_held_out_user_gets_the_list_of_the_model_that_serves() {
    let mut shop = with_arms(shop(), json!({"model": "popularity"}));
    shop.policy(json!({"holdout": 0.5, "random": 0.5}));
    let user = Fixture::of(7, shop);
    assert_eq!(user.state.recommend(None, 5, &user.shop.world()).model.0, 3);
}

#[test]
fn asking_for_a_list_changes_nothing() {
    let user = Fixture::connected_to(shop());
    assert_eq!(list(&user), list(&user));
    let mut other = Fixture::connected_to(shop());
    assert_eq!(user.state.recommend(None, 50, &user.shop.world()).items.len(), 24);
    assert_eq!(other.view(105).message().items.len(), 5);
}

#[test]
fn sold_out_and_removed_items_are_in_no_list() {
    let mut user = Fixture::new();
    user.stock(124, 0);
    user.shop.catalogue.remove(item(123));
    assert_eq!(list(&user), [122, 121, 120, 119, 118].map(item));
}

#[test]
fn what_lies_in_the_cart_is_not_recommended() {
    let mut user = Fixture::new();
    user.cart(124);
    assert!(!list(&user).contains(&item(124)));
}

#[test]
fn a_list_beside_an_item_is_the_one_of_a_view_of_it() {
    let mut user = Fixture::connected_to(shop());
    let told = user.view(105).message().items.clone();
    let asked: Vec<ItemId> = user.state.recommend(Some(item(105)), 5, &user.shop.world()).ids().collect();
    assert_eq!(asked, told);
}

#[test]
fn a_trigger_says_whether_its_list_is_of_new_things_or_of_what_waits_in_the_cart() {
    let of = |wants: &str| {
        let mut shop = shop();
        let (kind, name) = (json!({"kind": "login"}), "login");
        shop.trigger(
            json!({"name": name, "when": kind, "category": "for_you", "template": name, "wants": wants}),
        );
        let mut user = Fixture::of(7, shop);
        user.cart(105);
        user.login(1).message().items.clone()
    };
    assert_eq!(of("continue"), [item(105)]);
    assert_eq!(of("both")[0], item(105));
    assert!(of("both").len() > 1);
    let new = of("new");
    assert!(!new.is_empty() && !new.contains(&item(105)), "{new:?}");
}
