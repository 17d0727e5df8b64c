//! Holdout, coin and arms: who gets what, and what the decision says of it.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fixture::{Fixture, Shop};
use crate::decide::{Effect, ExperimentModels};
use crate::feedback::experiments::{Experiment, Slice, Slices};
use tidings_core::base::{ModelVersion, UserId};
use tidings_core::ml::threads::Threads;
use tidings_core::response::{CoinDecision, FEATURE_NAMES, ResponseModel};

const SHARE: f64 = 0.3;

/// Connected users of a slice, where three in ten are held out and for three in ten a coin decides.
pub fn users_of(slice: Slice, n: usize) -> Vec<Fixture> {
    let slices = Slices::of_shares(SHARE, SHARE);
    let users = (1..).filter(|user: &i64| slices.of(&user.to_string()) == slice).take(n);
    users.map(|user| split(user, json!({}))).collect()
}

fn split(user: i64, mut policy: Value) -> Fixture {
    let mut shop = Shop::new();
    policy["holdout"] = json!(SHARE);
    policy["random"] = json!(SHARE);
    shop.policy(policy);
    let mut fixture = Fixture::of(user, shop);
    fixture.login(1);
    fixture
}

#[test]
fn who_is_held_out_gets_what_was_asked_for_and_nothing_from_a_model() {
    for mut user in users_of(Slice::Holdout, 5) {
        let dropped = user.view(105);
        let decision = dropped.decision("view");
        assert_eq!((decision.outcome.as_str(), dropped.reason("view")), ("drop", "held_out"));
        assert!(decision.trace.holdout && decision.trace.slice == "holdout" && decision.propensity == 1.0);
        user.leave(1);
        user.until("2026-03-04T12:01:00Z");
        assert_eq!(user.login(2).outcomes(), ["login send"]);
    }
}

#[test]
fn a_coin_decides_with_its_probability_and_falls_both_ways() {
    let decided: Vec<(String, f32)> = users_of(Slice::Uniform, 24)
        .iter_mut()
        .map(|user| {
            let answer = user.view(105);
            let decision = answer.decision("view");
            assert_eq!(decision.features.len(), FEATURE_NAMES.len(), "learned from, sent or not");
            (decision.outcome.clone(), decision.propensity)
        })
        .collect();
    let sent = decided.iter().filter(|(outcome, _)| outcome == "send").count();
    assert!((4..=20).contains(&sent), "{sent} of 24");
    assert!(decided.iter().all(|(_, propensity)| *propensity == 0.5), "{decided:?}");
}

#[test]
fn ordinary_users_are_decided_about_by_the_policy_for_certain() {
    for mut user in users_of(Slice::Learned, 5) {
        let answer = user.view(105);
        let decision = answer.decision("view");
        assert_eq!(
            (decision.outcome.as_str(), decision.propensity, decision.trace.slice.as_str()),
            ("send", 1.0, "ordinary")
        );
    }
}

#[test]
fn an_order_is_no_part_of_an_experiment() {
    for slice in [Slice::Holdout, Slice::Uniform] {
        for mut user in users_of(slice, 10) {
            let told = user.announce("order_status", "shipped");
            assert_eq!(
                (told.shown(1), told.decision("order_status").propensity),
                (vec!["shipped".into()], 1.0)
            );
        }
    }
}

/// Half the users are in an arm with this change.
fn experiment(change: Value) -> Shop {
    let mut shop = Shop::new();
    shop.experiment(change);
    shop
}

fn in_arm(arm: usize, change: Value) -> Fixture {
    let shop = experiment(change);
    let user = shop.user_in_arm(arm);
    Fixture::of(user, shop)
}

#[test]
fn an_arm_s_policy_holds_for_its_users_and_the_decision_names_the_arm() {
    let quiet = json!({"policy": {"quiet_from": "00:00", "quiet_to": "23:59"}});
    for (arm, outcome, name) in [(0, "send", "control"), (1, "defer", "other")] {
        let mut user = in_arm(arm, quiet.clone());
        user.login(1);
        let answer = user.view(105);
        let decision = answer.decision("view");
        assert_eq!(
            (decision.outcome.as_str(), decision.trace.arms.get("x").map(String::as_str)),
            (outcome, Some(name))
        );
    }
}

/// A coin's decision about a user with no, one, two or three events: of five who are held back two buy, of the others more by the
/// effect among those with few events, and fewer by it among the rest.
fn coin(user: u32, effect: f64) -> CoinDecision {
    let (events, sent) = (user % 4, (user / 4).is_multiple_of(2));
    let mut features = vec![f32::NAN; FEATURE_NAMES.len()];
    let place = FEATURE_NAMES.iter().position(|name| *name == "events").unwrap();
    features[place] = events as f32;
    let effect = if events < 2 { effect } else { -effect };
    let probability = 0.4 + if sent { effect } else { 0.0 };
    // Spread evenly over each kind of user, so that the effects are what was said.
    let draw = f64::from(user / 8 % 20) / 20.0;
    CoinDecision {
        user: UserId(user),
        trigger: "view".to_owned(),
        category: "similar_items".to_owned(),
        segment: None,
        features,
        sent,
        propensity: 0.5,
        bought: draw + 0.01 < probability,
    }
}

/// The uplift of a message to whoever did little before is this.
fn with_uplift(mut shop: Shop, effect: f64) -> Shop {
    let mut response = ResponseModel::default();
    let decisions: Vec<CoinDecision> = (0..800).map(|user| coin(user, effect)).collect();
    let threads = Threads::new(1).unwrap();
    response.learn_uplift(&decisions, 1, &threads, |_| ControlFlow::Continue(())).unwrap();
    let mut models = (*shop.models).clone();
    models.response = Arc::new(response);
    shop.models = Arc::new(models);
    shop
}

#[test]
fn an_arm_by_uplift_leaves_alone_whom_a_message_does_not_help() {
    let by_uplift = json!({"policy": {"worth_by": "uplift"}});
    for (arm, effect, outcome, reason) in [
        (1, 0.4, "send", "predicted value by uplift"),
        (1, -0.4, "drop", "low predicted value by uplift"),
        (0, -0.4, "send", "predicted value: not learned yet"),
        (1, 0.0, "send", "predicted value: not learned yet"),
    ] {
        let shop = experiment(by_uplift.clone());
        let user = shop.user_in_arm(arm);
        let shop = if effect == 0.0 { shop } else { with_uplift(shop, effect) };
        let mut user = Fixture::of(user, shop);
        user.login(1);
        let answer = user.view(105);
        let decision = answer.decision("view");
        let step = decision.trace.steps.iter().find(|step| step.step == "worth").unwrap();
        assert_eq!(decision.outcome, outcome, "{}", step.text);
        assert!(step.text.starts_with(reason), "{}", step.text);
    }
}

#[test]
fn an_arm_s_policy_holds_for_messages_of_the_api_too() {
    let capped = json!({"policy": {"caps": [{"category": "*", "window_min": 60, "max": 0}]}});
    assert_eq!(in_arm(0, capped.clone()).say(json!({"title": "news"})).titles(), ["news"]);
    assert_eq!(in_arm(1, capped).say(json!({"title": "news"})).reason("api"), "capped");
}

#[test]
fn an_arm_s_number_of_items_holds_for_its_lists() {
    let few = json!({"policy": {"items": 2}});
    let named = |arm| in_arm(arm, few.clone()).login(1).message().items.len();
    assert_eq!((named(0), named(1)), (5, 2));
}

#[test]
fn an_arm_in_which_nobody_agreed_to_profiling_uses_no_profile() {
    let strict = json!({"policy": {"profiling_by_default": false}});
    for (arm, is_personal) in [(0, true), (1, false)] {
        let mut user = in_arm(arm, strict.clone());
        user.view(105);
        let plain = Fixture::new().login(1).message().items.clone();
        assert_eq!(user.login(1).message().items != plain, is_personal, "arm {arm}");
    }
}

#[test]
fn an_arm_s_variant_is_what_its_users_read() {
    let mut shop = Shop::new();
    let variant =
        |name: &str| json!({"name": name, "texts": {"en": {"title": format!("as {name}"), "body": "b"}}});
    shop.define(
        crate::decide::definitions::DefinitionKind::Template,
        json!({"name": "view", "variants": [variant("a"), variant("b"), variant("c")]}),
    );
    shop.experiment(json!({"variants": {"view": "c"}}));
    let user = shop.user_in_arm(1);
    let mut user = Fixture::connected_to_by(user, shop);
    let answer = user.view(105);
    assert_eq!(answer.shown(1), ["as c"]);
    let trace = &answer.decision("view").trace;
    assert_eq!((trace.variant.as_deref(), trace.variant_propensity), (Some("c"), None), "nothing was drawn");
}

/// Version 3 serves, an arm names this one; versions 3 and 9 are loaded.
fn with_model(arm: usize, model: Value, loaded: bool) -> Fixture {
    let mut shop = experiment(json!({"model": model}));
    let set = |version| {
        let mut set = (*shop.models).clone();
        set.version = ModelVersion(version);
        set
    };
    let (serving, other) = (set(3), set(9));
    let named: Vec<&Experiment> = shop.definitions.experiments.iter().map(|one| &one.experiment).collect();
    if loaded {
        shop.experiment_models = ExperimentModels::default().with(named, vec![other], &serving);
    }
    shop.models = Arc::new(serving);
    let models = shop.experiment_models.clone();
    let serving = Arc::clone(&shop.models);
    shop.definitions.serve_where(|model| models.get(model, &serving).is_some());
    let user = shop.user_in_arm(arm);
    Fixture::of(user, shop)
}

#[test]
fn an_arm_s_model_ranks_for_its_users_and_the_message_says_so() {
    let ranked = |arm, model| {
        let answer = with_model(arm, model, true).login(1);
        (answer.message().model_version.0, answer.decision("login").model_version.0)
    };
    assert_eq!((ranked(0, json!(9)), ranked(1, json!(9))), ((3, 3), (9, 9)));
    assert_eq!(ranked(1, json!("popularity")), (0, 0));
}

#[test]
fn an_arm_whose_model_is_not_loaded_is_neither_served_nor_recorded() {
    let answer = with_model(1, json!(9), false).login(1);
    let decision = answer.decision("login");
    assert_eq!((decision.model_version.0, decision.trace.arms.len()), (3, 0));
}

#[test]
fn who_is_held_out_is_in_no_arm() {
    let mut shop = experiment(json!({"policy": {"items": 2}}));
    shop.policy(json!({"holdout": 0.5}));
    let slices = Slices::of_shares(0.5, 0.05);
    let held_out = (1..).find(|user: &i64| slices.of(&user.to_string()) == Slice::Holdout).unwrap();
    let answer = Fixture::of(held_out, shop).login(1);
    assert_eq!((answer.message().items.len(), answer.decision("login").trace.arms.len()), (5, 0));
}

#[test]
fn a_decision_names_the_versions_of_what_it_read() {
    let mut user = Fixture::connected();
    user.shop.policy(json!({"items": 4}));
    user.price(101, 5.0);
    let answer = user.view(105);
    let decision = answer.decision("view");
    let inputs = decision.trace.inputs;
    assert_eq!((inputs.definitions, inputs.catalogue), (1, user.shop.catalogue.version()));
    assert_eq!((decision.trace.policy_version, inputs.draw > 0), (1, true));
}

#[test]
fn the_same_input_in_the_same_world_gives_the_same_effects() {
    let mut user = users_of(Slice::Uniform, 1).remove(0);
    let event = user.event(tidings_core::event::EventKind::View, 105);
    let input = crate::decide::Input::EventsStored(vec![event]);
    let [mut one, mut two] = [user.state.clone(), user.state.clone()];
    let world = user.shop.world();
    let (first, second): (Vec<Effect>, Vec<Effect>) =
        (one.on(input.clone(), &world), two.on(input.clone(), &world));
    // As text: a feature that is not known is no number, and equals nothing.
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    user.step(input);
}

#[test]
fn wordings_in_the_random_slice_are_drawn_evenly_with_their_probability() {
    let variant = |name: &str| json!({"name": name, "texts": {"en": {"title": name, "body": "b"}}});
    let mut drawn = std::collections::BTreeSet::new();
    for mut user in users_of(Slice::Uniform, 40) {
        user.shop.define(
            crate::decide::definitions::DefinitionKind::Template,
            json!({"name": "announcement", "variants": [variant("a"), variant("b")]}),
        );
        let told = user.announce("announcement", "news");
        assert_eq!(told.decision("announcement").trace.variant_propensity, Some(0.5));
        drawn.extend(told.shown(1));
    }
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}
