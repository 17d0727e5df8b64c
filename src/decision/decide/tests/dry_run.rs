//! A dry run is the live decision: the same outcome, moment, reasons, items and words, for every trigger and every wish.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fixture::{Fixture, Shop, externals, item, moment};
use crate::decide::{DryRun, Input, UserState};
use crate::feedback::experiments::{Slice, Slices};
use crate::notify::policy::{Mute, Purpose};
use crate::notify::triggers::{Change, Trigger};
use tidings_core::event::EventKind::{AddToCart, Purchase, View};

/// Cause that fires one trigger: the state that a dry run sees, the input of the live decision, and the trigger.
type Cause = fn(&mut Fixture) -> (UserState, Input, Trigger);

fn trigger(user: &Fixture, name: &str, of: Option<u32>) -> Trigger {
    Trigger::of(user.shop.definitions.find(name).unwrap(), of.map(item))
}

/// The state after an event, before anything is decided about it.
fn event(user: &Fixture, kind: tidings_core::event::EventKind, of: u32) -> (UserState, Input) {
    let event = user.event(kind, of);
    let mut state = user.state.clone();
    state.profile.apply(&event, &user.shop.catalogue);
    state.views.apply(&event);
    (state, Input::EventsStored(vec![event]))
}

fn changes(user: &Fixture, change: Change) -> (UserState, Input) {
    (user.state.clone(), Input::CatalogueChanged([change].into()))
}

fn fired(user: &Fixture, name: &str) -> (UserState, Input, Trigger) {
    let event = json!({"title": "Opening hours", "body": "from nine"});
    let row = user.row(name, None, event.clone());
    let trigger = Trigger { event: Some(Arc::new(event)), ..trigger(user, name, None) };
    (user.state.clone(), Input::TriggerFired(Box::new(row)), trigger)
}

const CAUSES: [(&str, Cause); 11] = [
    ("view", |user| {
        let (state, input) = event(user, View, 107);
        (state, input, trigger(user, "view", Some(107)))
    }),
    ("cart", |user| {
        let (state, input) = event(user, AddToCart, 107);
        (state, input, trigger(user, "cart", Some(107)))
    }),
    ("viewed_often", |user| {
        (0..3).for_each(|_| drop(user.view(107)));
        user.shop.now = moment("2026-03-04T16:00:00Z");
        user.shop.pause(crate::decide::definitions::DefinitionKind::Trigger, "view");
        let (state, input) = event(user, View, 107);
        (state, input, trigger(user, "viewed_often", Some(107)))
    }),
    ("cart_left", |user| {
        user.cart(107);
        user.shop.now = moment("2026-03-04T13:00:00Z");
        (user.state.clone(), Input::Due, trigger(user, "cart_left", Some(107)))
    }),
    ("price_drop", |user| {
        user.view(107);
        let cheaper = user.put(107, |item| item.price = Some(5.0))[0];
        let (state, input) = changes(user, cheaper);
        (state, input, Trigger { price_before: Some(10.0), ..trigger(user, "price_drop", Some(107)) })
    }),
    ("back_in_stock", |user| {
        user.view(107);
        let (state, input) = changes(user, Change::BackInStock(item(107)));
        (state, input, trigger(user, "back_in_stock", Some(107)))
    }),
    ("new_in_category", |user| {
        user.view(105);
        let (state, input) = changes(user, Change::New(item(107)));
        (state, input, trigger(user, "new_in_category", Some(107)))
    }),
    ("retrain", |user| {
        user.shop.catalogue.remove(item(124));
        (user.state.clone(), Input::ModelChanged, trigger(user, "retrain", None))
    }),
    ("spring", |user| {
        let (state, input) = event(user, Purchase, 106);
        (state, input, trigger(user, "spring", None))
    }),
    ("order_status", |user| fired(user, "order_status")),
    ("announcement", |user| fired(user, "announcement")),
];

fn shop(policy: &Value) -> Shop {
    let mut shop = Shop::new();
    let rule = json!({"min_purchases_per_month": 1.0});
    shop.trigger(json!({"name": "spring", "when": {"kind": "segment", "rule": rule},
        "category": "promotions", "template": "login"}));
    let mut policy = policy.clone();
    policy["repeat_window_min"] = json!(0);
    shop.policy(policy);
    shop
}

/// Compares a dry run with the live decision; the outcome.
fn compare(mut user: Fixture, name: &str, cause: Cause, case: &str) -> String {
    let (state, input, trigger) = cause(&mut user);
    let dry: DryRun = state.dry_run(&trigger, &user.shop.world());
    let live = user.on(input);
    let decision = live.decision(name);
    let case = format!("{name}, {case}");
    assert_eq!((dry.outcome, dry.until), (decision.outcome.as_str(), decision.until), "{case}");
    assert_eq!((&dry.reasons, &dry.steps), (&decision.reasons, &decision.trace.steps), "{case}");
    assert_eq!(dry.items, decision.items, "{case}");
    if let Some(message) = live.messages().into_iter().find(|message| message.trigger == name) {
        let frame: Value = serde_json::from_str(&message.frame).unwrap();
        assert_eq!(
            (frame["title"].as_str(), frame["body"].as_str()),
            (Some(&*dry.content.title), Some(&*dry.content.body)),
            "{case}"
        );
    }
    dry.outcome.to_owned()
}

fn all_causes(policy: &Value, users: &[i64], change: fn(&mut Fixture), case: &str) -> Vec<String> {
    let mut outcomes = Vec::new();
    for (name, cause) in CAUSES {
        for id in users {
            let mut user = Fixture::connected_to_by(*id, shop(policy));
            change(&mut user);
            outcomes.push(compare(user, name, cause, case));
        }
    }
    outcomes
}

#[test]
fn a_dry_run_says_what_every_wish_makes_of_every_trigger() {
    type Wish = fn(&mut Fixture);
    let wishes: [(&str, Wish); 12] = [
        ("none", |_| {}),
        ("opted out", |user| drop(user.wants(|_, settings| settings.opted_out = true))),
        ("paused", |user| {
            user.wants(|_, settings| settings.paused_until = Some(moment("2026-03-05T00:00:00Z")));
        }),
        ("digest of all", |user| drop(user.digest("*"))),
        ("digest of news", |user| drop(user.digest("announcements"))),
        ("quiet", |user| drop(user.quiet("10:00", "17:00"))),
        ("categories muted", |user| {
            user.wants(|document, _| {
                document.muted =
                    ["similar_items", "price_drop", "announcements", "orders"].map(str::to_owned).into();
            });
        }),
        ("watches muted", |user| {
            user.wants(|_, settings| settings.mute(Mute::ItemCategory("Watches".to_owned())));
        }),
        ("kinds muted", |user| {
            user.wants(|_, settings| {
                for kind in ["cart", "retrain", "spring"] {
                    settings.mute(Mute::Kind(kind.to_owned()));
                }
            });
        }),
        ("no page", |user| {
            user.wants(|_, settings| {
                settings.blocked_channels.insert("*".to_owned(), [crate::notify::Channel::Socket].into());
            });
        }),
        ("no marketing", |user| drop(user.consents(Purpose::Marketing, false))),
        ("no profiling", |user| drop(user.consents(Purpose::Profiling, false))),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (case, wish) in wishes {
        seen.extend(all_causes(&json!({}), &[7], wish, case));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["defer", "digest", "drop", "inbox_only", "send"]);
}

#[test]
fn a_dry_run_says_what_caps_and_budgets_make_of_every_trigger() {
    let cap = json!({"caps": [{"category": "*", "window_min": 60, "max": 0}]});
    let outcomes = all_causes(&cap, &[7], |_| {}, "capped");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "send").count(), 1, "the order: {outcomes:?}");
    let outcomes =
        all_causes(&json!({"budget_per_hour": 1}), &[7], |user| user.shop.sent_this_hour = 1, "budget");
    assert!(outcomes.contains(&"defer".to_owned()) && outcomes.contains(&"send".to_owned()));
}

#[test]
fn a_dry_run_says_what_holdout_and_coin_make_of_every_trigger() {
    let policy = json!({"holdout": 0.3, "random": 0.3});
    let slices = Slices::of_shares(0.3, 0.3);
    for slice in [Slice::Holdout, Slice::Uniform] {
        let of = |user: &i64| slices.of(&user.to_string()) == slice;
        let users: Vec<i64> = (1..).filter(of).take(3).collect();
        let outcomes = all_causes(&policy, &users, |_| {}, slice.name());
        assert!(outcomes.contains(&"drop".to_owned()) && outcomes.contains(&"send".to_owned()));
    }
}

#[test]
fn a_dry_run_says_what_an_arm_makes_of_every_trigger() {
    for policy in [
        json!({"quiet_from": "00:00", "quiet_to": "23:59"}),
        json!({"caps": [{"category": "*", "window_min": 60, "max": 0}]}),
        json!({"items": 2, "profiling_by_default": false}),
    ] {
        for arm in [0, 1] {
            for (name, cause) in CAUSES {
                let mut shop = shop(&json!({}));
                shop.experiment(json!({"policy": policy}));
                let user = Fixture::connected_to_by(shop.user_in_arm(arm), shop);
                compare(user, name, cause, &format!("arm {arm} of {policy}"));
            }
        }
    }
}

#[test]
fn a_dry_run_of_a_win_back_is_that_of_a_return() {
    for (days, outcome) in [(31.0, "send"), (29.0, "drop")] {
        let mut user = Fixture::of(7, shop(&json!({})));
        user.view(105);
        user.shop.now = user.shop.now.plus_days(days);
        let dry = user.state.dry_run(&trigger(&user, "win_back", None), &user.shop.world());
        assert_eq!(dry.outcome, outcome);
        let live = user.login(1);
        assert_eq!(live.outcomes().contains(&"win_back send".to_owned()), outcome == "send");
    }
}

#[test]
fn a_dry_run_of_a_digest_lists_what_is_collected() {
    let mut user = Fixture::connected_to(shop(&json!({})));
    user.digest("*");
    user.views(&[105, 107]);
    user.announce("announcement", "Opening hours");
    user.buy(user.stored.deferred[0].item.unwrap().0 + 100);
    let dry = user.state.dry_run(&trigger(&user, "digest", None), &user.shop.world());
    let live = user.until("2026-03-04T18:00:00Z");
    assert_eq!(dry.items, live.decision("digest").items);
    assert_eq!((dry.outcome, dry.content.title.as_str()), ("send", live.shown(1)[0].as_str()));
}

#[test]
fn a_dry_run_of_a_digest_without_anything_collected_says_so() {
    let user = Fixture::connected();
    let dry = user.state.dry_run(&trigger(&user, "digest", None), &user.shop.world());
    assert_eq!((dry.outcome, &*dry.steps.last().unwrap().reason), ("drop", "nothing_to_say"));
}

#[test]
fn a_dry_run_for_a_robot_says_that_nothing_is_sent() {
    let mut user = Fixture::connected();
    user.state.robot_since = Some(user.shop.now);
    let outcome = |user: &Fixture, name| {
        user.state.dry_run(&trigger(user, name, Some(105)), &user.shop.world()).outcome
    };
    assert_eq!((outcome(&user, "view"), outcome(&user, "price_drop")), ("drop", "drop"));
    assert_eq!(outcome(&user, "login"), "drop", "it is welcomed without an answer");
    assert_eq!(user.announce("order_status", "shipped").shown(1), ["shipped"]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut user = Fixture::connected_to(shop(&json!({})));
    user.view(105);
    let before = format!("{:?}", user.state);
    user.state.dry_run(&trigger(&user, "view", Some(107)), &user.shop.world());
    assert_eq!(format!("{:?}", user.state), before);
    assert_eq!(externals(&user.view(107).message().items).len(), 5);
}
