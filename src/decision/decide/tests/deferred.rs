//! Deferred messages: until the end of quiet hours, a visit, an hour in the cart; and what becomes of them.

use serde_json::json;
use uuid::Uuid;

use super::fixture::{Fixture, Shop, item, moment, title};
use crate::decide::definitions::DefinitionKind;
use crate::decide::record::DeferredRow;
use crate::decide::{Input, Loaded, UserState};
use crate::deliver::Login;
use crate::notify::Channel;
use tidings_core::base::Millis;

/// Connected, and not to be disturbed from 11 to 14 o'clock.
fn asleep() -> Fixture {
    let mut user = Fixture::connected();
    user.quiet("11:00", "14:00");
    user
}

#[test]
fn a_deferred_message_is_sent_when_quiet_hours_end() {
    let mut user = asleep();
    let deferred = user.view(105);
    assert_eq!((deferred.outcomes(), deferred.messages().len()), (vec!["view defer".to_owned()], 0));
    assert_eq!(user.timer, Some(moment("2026-03-04T14:00:00Z")));
    let told = user.until("2026-03-04T14:00:00Z");
    assert_eq!(
        (told.outcomes(), told.shown(1)),
        (vec!["view send".to_owned()], vec!["More like Watch 105".into()])
    );
    assert_eq!(user.stored.deferred, []);
}

#[test]
fn three_announcements_in_quiet_hours_are_told_after_them_in_order() {
    let mut user = asleep();
    for title in ["one", "two", "three"] {
        assert_eq!(user.announce("announcement", title).outcomes(), ["announcement defer"]);
    }
    assert_eq!(user.until("2026-03-04T14:00:00Z").shown(1), ["one", "two", "three"]);
}

#[test]
fn announcements_released_together_into_quiet_hours_keep_their_order() {
    let mut user = Fixture::new();
    user.quiet("11:00", "14:00");
    let titles: Vec<String> = (0..8).map(|n| format!("{n}")).collect();
    titles.iter().for_each(|title| drop(user.announce("announcement", title)));
    user.login(1);
    assert_eq!(user.until("2026-03-04T12:00:01Z").outcomes(), vec!["announcement defer"; 8]);
    assert_eq!(user.until("2026-03-04T14:00:00Z").shown(1), titles);
}

#[test]
fn the_order_of_what_waits_survives_a_restart() {
    let mut user = Fixture::new();
    user.quiet("11:00", "14:00");
    let titles: Vec<String> = (0..8).map(|n| format!("{n}")).collect();
    titles.iter().for_each(|title| drop(user.announce("announcement", title)));
    user.login(1);
    user.until("2026-03-04T12:00:01Z");
    user.restart();
    user.login(2);
    assert_eq!(user.until("2026-03-04T14:00:00Z").shown(2), titles);
}

#[test]
fn the_states_of_an_order_are_all_told_in_order_though_its_item_was_bought_and_is_sold_out() {
    let mut user = Fixture::connected();
    user.buy(107);
    user.stock(107, 0);
    let told = ["shipped", "out for delivery", "delivered"].map(|state| {
        user.fire("order_status", Some(107), json!({"title": state, "body": "Watch 107"})).shown(1)
    });
    assert_eq!(told.concat(), ["shipped", "out for delivery", "delivered"]);
}

#[test]
fn the_states_of_an_order_wait_for_somebody_absent_and_are_told_in_order() {
    let mut user = Fixture::new();
    user.buy(107);
    for state in ["shipped", "out for delivery", "delivered"] {
        user.fire("order_status", Some(107), json!({"title": state}));
        user.shop.now = user.shop.now + Millis::hours(20);
    }
    user.login(1);
    let told = user.until("2026-03-07T00:00:01Z");
    assert_eq!(told.shown(1), ["shipped", "out for delivery", "delivered"]);
}

#[test]
fn a_call_of_the_shop_that_is_known_already_is_told_once() {
    let mut user = asleep();
    let row = user.row("announcement", None, json!({"title": "news"}));
    for _ in 0..2 {
        user.on(Input::TriggerFired(Box::new(row.clone())));
    }
    assert_eq!(user.until("2026-03-04T14:00:00Z").shown(1), ["news"]);
}

#[test]
fn what_no_longer_holds_after_quiet_hours_is_dropped_with_a_stored_reason() {
    let mut user = asleep();
    user.view(105);
    assert_eq!(user.price(105, 7.5).outcomes(), ["price_drop defer"]);
    user.price(105, 12.0);
    let decided = user.until("2026-03-04T14:00:00Z");
    assert_eq!(decided.decision("price_drop").reasons, ["no longer true: the price is not lower any more"]);
}

#[test]
fn two_price_drops_of_one_night_are_told_as_one() {
    let mut user = asleep();
    user.view(105);
    user.price(105, 8.0);
    user.price(105, 6.0);
    let told = user.until("2026-03-04T14:00:00Z");
    let frames = told.frames(1);
    let drops: Vec<_> = frames.iter().filter(|frame| frame["trigger"] == "price_drop").collect();
    assert_eq!((drops.len(), drops[0]["body"].as_str()), (1, Some("€6.00 instead of €10.00")));
}

#[test]
fn a_night_s_views_come_out_as_one_list() {
    let mut user = asleep();
    let deferred: usize = [105, 106, 107, 108].map(|of| user.view(of).deferred().len()).iter().sum();
    assert_eq!((deferred, user.stored.deferred.len()), (1, 1));
    assert_eq!(user.until("2026-03-04T14:00:00Z").decisions().len(), 1);
}

#[test]
fn the_hour_that_comes_twice_is_waited_for_once() {
    let mut user = Fixture::new();
    user.shop.now = moment("2026-10-25T01:10:00Z");
    let berlin = Some("Europe/Berlin".to_owned());
    user.connect(1, Login { time_zone: berlin, ..Login::default() });
    user.quiet("22:00", "02:30");
    user.announce("announcement", "news");
    let told = user.until("2026-10-25T03:00:00Z");
    assert_eq!(
        (told.outcomes(), told.shown(1)),
        (vec!["announcement send".to_owned()], vec!["news".to_owned()])
    );
    assert_eq!(user.stored.decisions.len(), 1, "one deferral");
}

#[test]
fn quiet_hours_are_those_of_the_device_that_is_connected() {
    let mut user = Fixture::new();
    user.quiet("22:00", "07:00");
    let tokyo = Some("Asia/Tokyo".to_owned());
    user.connect(1, Login { time_zone: tokyo, ..Login::default() });
    user.shop.now = moment("2026-03-04T13:30:00Z");
    let deferred = user.announce("announcement", "22:30 in Tokyo");
    assert_eq!(deferred.decision("announcement").until, Some(moment("2026-03-04T22:00:00Z")));
}

#[test]
fn what_is_released_is_spread_but_never_early_and_for_one_user_always_alike() {
    let mut shop = Shop::new();
    shop.policy(json!({"release_spread_s": 300}));
    let mut user = Fixture::connected_to(shop);
    user.quiet("11:00", "14:00");
    let until = |effects: &super::fixture::Effects| effects.decision("announcement").until.unwrap();
    let (first, second) =
        (until(&user.announce("announcement", "1")), until(&user.announce("announcement", "2")));
    assert_eq!(first, second);
    let end = moment("2026-03-04T14:00:00Z");
    assert!(first >= end && first <= end + Millis::seconds(300), "{first}");
}

#[test]
fn quiet_hours_that_were_prolonged_defer_once_more() {
    let mut user = asleep();
    user.announce("announcement", "news");
    user.quiet("11:00", "16:00");
    assert_eq!(user.until("2026-03-04T14:00:00Z").outcomes(), ["announcement defer"]);
    assert_eq!(user.stored.deferred.len(), 1);
    assert_eq!(user.until("2026-03-04T16:00:00Z").shown(1), ["news"]);
}

#[test]
fn what_expires_while_it_waits_ends_with_a_stored_decision() {
    let mut shop = Shop::new();
    shop.trigger(json!({"name": "brief", "when": {"kind": "api"}, "category": "news",
        "template": "announcement", "expires_after_min": 60}));
    let mut user = Fixture::of(7, shop);
    user.announce("brief", "lunch");
    user.shop.now = moment("2026-03-04T13:00:00Z");
    user.login(1);
    let ended = user.until("2026-03-04T13:00:05Z");
    assert_eq!((ended.reason("brief"), ended.messages().len()), ("expired", 0));
    assert_eq!(user.stored.deferred, []);
}

#[test]
fn what_waits_for_somebody_absent_is_not_lost_by_restarts() {
    let mut user = Fixture::new();
    user.announce("announcement", "news");
    user.restart();
    user.until("2026-03-05T12:00:00Z");
    user.restart();
    user.login(1);
    assert_eq!(user.until("2026-03-05T12:00:01Z").shown(1), ["news"]);
}

#[test]
fn what_waits_wakes_somebody_absent_who_can_be_pushed_to() {
    let mut user = Fixture::new();
    user.quiet("11:00", "14:00");
    user.shop.is_subscribed = true;
    assert_eq!(user.announce("announcement", "news").outcomes(), ["announcement defer"]);
    let told = user.until("2026-03-04T14:00:00Z");
    assert_eq!((told.titles(), told.message().channel), (vec!["news".to_owned()], Channel::Push));
}

#[test]
fn what_is_not_for_push_waits_for_a_visit() {
    let mut shop = Shop::new();
    shop.config.webpush.not_for.push("announcement".to_owned());
    shop.is_subscribed = true;
    let mut user = Fixture::of(7, shop);
    assert_eq!(user.announce("announcement", "news").decisions().len(), 0);
    user.login(1);
    assert_eq!(user.until("2026-03-04T12:00:01Z").shown(1), ["news"]);
}

#[test]
fn something_due_that_is_not_known_here_is_read_from_the_store() {
    let mut user = Fixture::new();
    user.shop.is_subscribed = true;
    assert!(user.step(Input::DueInStore(Uuid::from_u128(1))).reloads());
}

#[test]
fn something_due_in_the_store_is_read_after_what_is_being_stored() {
    let mut user = Fixture::connected();
    let message = user.message(json!({"title": "news"}));
    let placed = user.step(Input::MessageOfApi(message));
    assert!(!user.step(Input::DueInStore(Uuid::from_u128(1))).reloads());
    let outgoing = placed.outgoing()[0].clone();
    assert!(user.answer(&outgoing, true).reloads());
}

#[test]
fn more_deferred_triggers_than_were_read_are_read_when_these_are_decided() {
    let user = Fixture::new();
    let row = user.row("announcement", None, json!({"title": "news"}));
    let loaded = Loaded { deferred: vec![row], has_more_deferred: true, ..Loaded::stranger() };
    let mut user = Fixture::new();
    user.state = UserState::new(&user.state.external_id, loaded, "e", &user.shop.world());
    user.login(1);
    let told = user.until("2026-03-04T12:00:01Z");
    assert_eq!((told.shown(1), told.reloads()), (vec!["news".to_owned()], true));
}

#[test]
fn hundreds_of_calls_that_wait_are_all_told_in_order() {
    let mut user = Fixture::new();
    let titles: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    for (n, title) in (0..).zip(&titles) {
        let row = user.row("order_status", None, json!({"title": title}));
        user.stored.deferred.push(DeferredRow { held_id: Uuid::from_u128(n), ..row });
    }
    user.restart();
    user.login(1);
    user.until("2026-03-04T12:00:10Z");
    let told: Vec<String> =
        user.stored.messages.iter().map(|(message, _)| title(&message.frame)).skip(1).collect();
    assert_eq!((told, user.stored.deferred.len()), (titles, 0));
}

/// Many different reminders that wait, the least urgent ones last.
fn crowded() -> (Fixture, Vec<DeferredRow>) {
    let mut shop = Shop::new();
    shop.trigger(json!({"name": "glance", "when": {"kind": "viewed_often", "times": 2, "within_min": 60},
        "category": "news", "template": "viewed_often", "priority": "low"}));
    let mut user = Fixture::connected_to(shop);
    user.quiet("11:00", "14:00");
    let rows = (0..64).map(|n| DeferredRow {
        held_id: Uuid::from_u128(n),
        price_before: Some(n as f64),
        until: moment("2026-03-04T14:00:00Z") + Millis(n as u64),
        ..user.row("price_drop", Some(105), json!(null))
    });
    let rows = rows.collect();
    (user, rows)
}

#[test]
fn when_too_many_wait_the_least_urgent_makes_room_with_a_stored_decision() {
    let (mut user, rows) = crowded();
    rows.into_iter().for_each(|row| drop(user.on(Input::TriggerFired(Box::new(row)))));
    user.view(106);
    let noticed = user.view(106);
    let given_up =
        noticed.decisions().into_iter().find(|row| row.reasons[0].starts_with("deferred: too many")).unwrap();
    assert_eq!(given_up.outcome, "drop");
    assert!(given_up.trigger == "glance" || given_up.trigger == "view", "{}", given_up.trigger);
}

#[test]
fn what_the_shop_says_never_makes_room() {
    let (mut user, rows) = crowded();
    rows.into_iter().for_each(|row| drop(user.on(Input::TriggerFired(Box::new(row)))));
    let titles: Vec<String> = (0..70).map(|n| n.to_string()).collect();
    for title in &titles {
        assert_eq!(user.announce("announcement", title).outcomes(), ["announcement defer"]);
    }
    let told = user.until("2026-03-04T14:00:00Z");
    assert_eq!(told.titles().iter().filter(|title| titles.contains(title)).count(), 70);
}

#[test]
fn nothing_of_a_trigger_is_told_while_it_is_paused() {
    let mut user = Fixture::connected();
    user.cart(105);
    user.shop.pause(DefinitionKind::Trigger, "cart_left");
    user.on(Input::DefinitionsChanged);
    assert_eq!(user.until("2026-03-04T14:00:00Z").outcomes(), [] as [&str; 0]);
}

#[test]
fn what_waited_while_its_trigger_was_paused_is_told_when_it_is_active_again() {
    let mut user = Fixture::connected();
    let definition = serde_json::to_value(&**user.shop.definitions.find("cart_left").unwrap()).unwrap();
    user.cart(105);
    user.shop.pause(DefinitionKind::Trigger, "cart_left");
    user.on(Input::DefinitionsChanged);
    user.until("2026-03-04T14:00:00Z");
    user.shop.trigger(definition);
    user.on(Input::DefinitionsChanged);
    assert_eq!(user.until("2026-03-04T14:00:01Z").outcomes(), ["cart_left send"]);
}

#[test]
fn what_waits_is_told_as_its_trigger_says_by_then() {
    let mut user = asleep();
    user.announce("announcement", "news");
    let mut definition =
        serde_json::to_value(&**user.shop.definitions.find("announcement").unwrap()).unwrap();
    definition["category"] = json!("recalls");
    user.shop.trigger(definition);
    user.on(Input::DefinitionsChanged);
    assert_eq!(user.until("2026-03-04T14:00:00Z").message().category, "recalls");
}

#[test]
fn what_waits_for_nothing_sets_no_timer() {
    let mut user = Fixture::connected();
    user.announce("announcement", "news");
    assert!(user.timer.is_none_or(|at| at > moment("2026-03-05T00:00:00Z")), "{:?}", user.timer);
}

#[test]
fn who_leaves_is_not_waited_for_by_a_timer() {
    let mut user = asleep();
    user.announce("announcement", "news");
    assert!(user.timer.is_some());
    user.leave(1);
    assert_eq!(user.timer, None);
    user.resume(2, 1);
    assert_eq!(user.timer, Some(moment("2026-03-04T14:00:00Z")));
}

#[test]
fn an_item_named_by_a_call_of_the_shop_may_have_left_the_catalogue() {
    let mut user = asleep();
    user.fire("announcement", Some(105), json!({"title": "recalled", "body": "."}));
    user.shop.catalogue.remove(item(105));
    assert_eq!(user.until("2026-03-04T14:00:00Z").shown(1), ["recalled"]);
}

#[test]
fn frames_of_a_busy_client_do_not_put_off_what_is_due() {
    let mut user = Fixture::connected();
    user.cart(101);
    let due = user.timer.unwrap();
    for late in [100, 400, 700] {
        user.shop.now = due + Millis(late);
        user.tells(1, json!({"type": "ping"}));
        assert_eq!(user.timer, Some(due), "about to fire");
    }
    // The clock was set forward: the timer knows nothing of it, so another is set, once.
    user.shop.now = due + Millis::seconds(600);
    let next = user.shop.now + Millis::seconds(1);
    for _ in 0..3 {
        user.tells(1, json!({"type": "ping"}));
        assert_eq!(user.timer, Some(next));
        user.shop.now = user.shop.now + Millis(400);
    }
}

#[test]
fn housekeeping_releases_what_the_clock_has_jumped_over() {
    let mut user = Fixture::connected();
    user.cart(101);
    user.shop.now = user.timer.unwrap() + Millis::seconds(600);
    assert_eq!(user.on(Input::Tick).decision("cart_left").outcome, "send");
}
