//! Users taken for robots: by what rate, told what, and until when.

use serde_json::{Value, json};

use super::fixture::{Fixture, Shop};
use crate::decide::{Input, Record};
use crate::event::{Event, EventKind};

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
