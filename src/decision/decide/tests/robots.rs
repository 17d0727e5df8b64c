//! Users taken for robots: by what rate, told what, and until when.

use serde_json::{Value, json};

use super::fixture::{Fixture, Shop};
use crate::decide::{Input, Record};
use tidings_core::event::{Event, EventKind};

/// Six views in a minute are a robot's.
fn watchful() -> Fixture {
    let mut shop = Shop::new();
    shop.config.ingest.robot_events_per_minute = 5;
    Fixture::connected_to(shop)
}

fn flagged() -> Fixture {
    let mut user = watchful();
    user.views(&[105, 106, 107, 108, 109, 110]);
    user
}

#[test]
fn what_is_posted_late_counts_on_its_own_day() {
    let mut user = watchful();
    let of_day = |day: i32| Event {
        occurred_at: user.shop.now.plus_days(-f64::from(day)),
        ..user.event(EventKind::View, 105)
    };
    let late: Vec<Event> = (1..=200).rev().map(of_day).collect();
    user.events(late);
    assert!(!user.state.is_robot() && user.stored.robot.is_none());
    // The same in one minute of yesterday.
    let yesterday = user.shop.now.plus_days(-1.5);
    let burst = vec![Event { occurred_at: yesterday, ..user.event(EventKind::View, 105) }; 6];
    user.events(burst);
    let flag = user.stored.robot.clone().unwrap();
    assert_eq!((flag.since, user.state.robot_since), (user.shop.now, Some(user.shop.now)));
    assert!(flag.reason.starts_with("6 actions in a minute, more than 5"), "{}", flag.reason);
}

#[test]
fn a_robot_gets_what_must_reach_everybody_and_the_rest_ends_with_a_stored_reason() {
    let mut user = flagged();
    assert_eq!(user.announce("order_status", "shipped").shown(1), ["shipped"]);
    assert_eq!(user.say(json!({"title": "sale"})).shown(1), ["sale"]);
    for trigger in ["back_in_stock", "win_back"] {
        let fired = user.fire(trigger, Some(111), Value::Null);
        assert_eq!(fired.outcomes(), [format!("{trigger} drop")], "accepted, so decided about");
        assert_eq!(fired.reason(trigger), "robot");
    }
    assert!(user.stored.deferred.is_empty(), "nothing waits for ever");
    assert_eq!(user.view(112).outcomes(), [] as [&str; 0], "what was promised to nobody needs no reason");
    let urgent = json!({"name": "recall", "when": {"kind": "back_in_stock"}, "category": "recalls",
        "template": "back_in_stock", "priority": "transactional"});
    user.shop.trigger(urgent);
    assert_eq!(user.fire("recall", Some(111), Value::Null).outcomes(), ["recall send"]);
}

/// A robot of a shop in which the trigger `recall`, which must reach everybody, stands beside the usual ones.
fn flagged_with(when: Value, template: &str) -> Fixture {
    let mut user = watchful();
    user.shop.trigger(json!({"name": "recall", "when": when, "category": "recalls", "template": template,
        "priority": "transactional"}));
    user.views(&[105, 106, 107, 108, 109, 110]);
    assert!(user.state.is_robot());
    user
}

#[test]
fn what_must_reach_everybody_reaches_a_robot_whatever_sets_it_off() {
    let mut user = flagged_with(json!({"kind": "back_in_stock"}), "back_in_stock");
    user.stock(105, 0);
    assert_eq!(user.stock(105, 5).outcomes(), ["recall send"]);

    let mut user =
        flagged_with(json!({"kind": "segment", "rule": {"min_purchases_per_month": 1.0}}), "login");
    assert_eq!(user.buy(106).outcomes(), ["recall send"]);

    let mut user = flagged_with(json!({"kind": "win_back", "days": 20}), "win_back");
    user.leave(1);
    user.shop.now = user.shop.now.plus_days(25.0);
    user.shop.config.ingest.robot_rest_h = 10_000;
    user.restart();
    assert_eq!(user.login(2).outcomes(), ["recall send"], "and no answer to the login");
}

#[test]
fn a_rule_that_a_robot_meets_is_told_when_the_flag_is_lifted() {
    let mut user = watchful();
    let rule = json!({"min_purchases_per_month": 1.0});
    user.shop.trigger(json!({"name": "spring", "when": {"kind": "segment", "rule": rule},
        "category": "promotions", "template": "login"}));
    user.views(&[105, 106, 107, 108, 109, 110]);
    assert_eq!(user.buy(106).outcomes(), [] as [&str; 0]);
    user.on(Input::RobotLifted);
    user.shop.now = user.shop.now.plus_days(1.0);
    assert!(user.view(105).outcomes().contains(&"spring send".to_owned()));
}

#[test]
fn a_flag_goes_by_itself_and_by_hand() {
    let mut user = flagged();
    // What goes on keeps the flag, noted once an hour.
    user.pass(120);
    let again = vec![user.event(EventKind::View, 105); 6];
    let noted = user.events(again);
    assert!(noted.records().iter().any(|record| matches!(record, Record::Robot(..))));
    user.pass(23 * 60);
    user.on(Input::Tick);
    assert!(user.state.is_robot(), "not a day since the last");
    user.pass(60);
    user.on(Input::Tick);
    assert!(!user.state.is_robot() && user.stored.robot.is_none());
    assert_eq!(user.view(105).outcomes(), ["view send"]);

    let mut user = flagged();
    user.on(Input::RobotLifted);
    assert!(!user.state.is_robot());
    assert!(!user.view(105).outcomes().is_empty(), "answered again, and the rate is counted anew");
}
