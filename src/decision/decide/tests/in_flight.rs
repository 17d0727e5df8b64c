//! Messages on their way through the store: answers in any order, none at all, and reading everything again.

use serde_json::json;

use super::fixture::{Effects, Fixture, Shop, moment};
use crate::decide::{Counter, Effect, Input, Loaded, Outgoing, Record, UserState};
use crate::deliver::{self, Change, CloseCode, Login, Stream};
use crate::notify::policy::{Mute, PreferenceDocument, Purpose};
use tidings_core::base::{ConnectionId, Timestamp};
use tidings_core::event::EventKind::View;

fn offers(user: &mut Fixture, title: &str) -> Outgoing {
    let message = user.message(json!({"title": title}));
    user.step(Input::MessageOfApi(message)).outgoing()[0].clone()
}

/// A transition of which the store confirms no message.
fn unconfirmed(user: &mut Fixture, input: Input) -> Effects {
    let mut effects = user.step(input);
    for outgoing in effects.outgoing().into_iter().cloned().collect::<Vec<_>>() {
        effects.0.extend(user.answer(&outgoing, false).0);
    }
    effects
}

fn fired(user: &mut Fixture, trigger: &str, title: &str) -> Input {
    let row = user.row(trigger, None, json!({"title": title, "body": "."}));
    user.stored.deferred.push(row.clone());
    Input::TriggerFired(Box::new(row))
}

/// Reads what the store holds by now.
fn reload(user: &mut Fixture) -> Effects {
    let stored = user.stored.clone();
    user.reload(&stored)
}

#[test]
fn messages_are_numbered_in_order_before_they_are_stored() {
    let mut user = Fixture::connected();
    let offsets = ["one", "two", "three"].map(|title| offers(&mut user, title).offset);
    assert_eq!(offsets, [2, 3, 4], "after the answer to the login");
}

#[test]
fn answers_in_any_order_show_messages_in_that_of_the_stream() {
    let mut user = Fixture::connected();
    let [one, two, three] = ["one", "two", "three"].map(|title| offers(&mut user, title));
    assert_eq!(user.answer(&three, true).shown(1), [] as [&str; 0]);
    assert_eq!(user.answer(&one, true).shown(1), ["one"]);
    assert_eq!(user.answer(&two, true).shown(1), ["two", "three"]);
    assert!(user.state.is_quiet());
}

#[test]
fn an_answer_that_comes_twice_or_to_nothing_changes_nothing() {
    let mut user = Fixture::connected();
    let one = offers(&mut user, "one");
    assert_eq!(user.step(Input::Stored(one.offset + 5)).shown(1), [] as [&str; 0]);
    user.answer(&one, true);
    assert_eq!(user.step(Input::Stored(one.offset)).0, []);
    assert_eq!(user.step(Input::NotStored(one.offset)).0, []);
}

#[test]
fn a_message_that_was_not_stored_is_offered_again_and_everything_read_again() {
    let mut user = Fixture::connected();
    let one = offers(&mut user, "one");
    let failed = user.answer(&one, false);
    assert_eq!(
        failed.0,
        [
            Effect::Count(Counter::NotConfirmed),
            Effect::Return(one.notification.notification_id),
            Effect::Reload
        ]
    );
}

#[test]
fn what_was_stored_after_a_message_that_was_not_is_settled_and_shown_after_reading() {
    let mut user = Fixture::connected();
    let [one, two] = ["one", "two"].map(|title| offers(&mut user, title));
    assert!(!user.answer(&one, false).reloads(), "the second is still on its way");
    let stored = user.answer(&two, true);
    assert!(stored.contains(&Effect::Settle(two.notification.notification_id)) && stored.reloads());
    assert_eq!(stored.shown(1), [] as [&str; 0]);
    assert_eq!(reload(&mut user).shown(1), ["two"]);
}

#[test]
fn a_message_that_was_not_stored_gives_its_place_in_a_cap_back() {
    let mut shop = Shop::new();
    shop.policy(json!({"caps": [{"category": "*", "window_min": 60, "max": 1}]}));
    let mut user = Fixture::connected_to(shop);
    let one = offers(&mut user, "one");
    user.answer(&one, false);
    reload(&mut user);
    assert_eq!(user.say(json!({"title": "two"})).titles(), ["two"]);
}

#[test]
fn a_message_that_is_perhaps_stored_keeps_its_place_in_a_cap_until_the_user_is_read_again() {
    let mut user = Fixture::connected_to(super::api_messages::capped(1));
    let one = offers(&mut user, "one");
    user.answer(&one, false);
    let now = user.on(super::ephemeral::ephemeral(&user, json!({"title": "2:1"}), None));
    assert_eq!(now.shown(1), [] as [&str; 0]);
    reload(&mut user);
    let now = user.on(super::ephemeral::ephemeral(&user, json!({"title": "2:2"}), None));
    assert_eq!(now.shown(1), ["2:2"], "the store had not heard of it");
}

#[test]
fn nothing_is_placed_while_the_stream_is_lost() {
    let mut user = Fixture::connected();
    let one = offers(&mut user, "one");
    user.answer(&one, false);
    let event = user.event(View, 105);
    let lost = user.step(Input::EventsStored(vec![event]));
    assert_eq!(lost.messages().len(), 0);
    assert!(user.state.is_stalled() && user.state.is_quiet());
}

#[test]
fn a_client_that_logs_in_while_the_stream_is_lost_is_welcomed() {
    let mut user = Fixture::connected();
    user.state.stall();
    let login = user.connect(2, Login::default());
    assert_eq!(login.types(2)[..2], ["recommendation", "welcome"], "the answer that was stored before");
    user.leave(1);
    user.leave(2);
    user.until("2026-03-04T12:01:00Z");
    user.state.stall();
    assert_eq!(user.connect(3, Login::default()).types(3)[0], "welcome");
}

#[test]
fn numbers_go_on_after_the_last_one_that_was_stored() {
    let mut user = Fixture::connected();
    let one = offers(&mut user, "one");
    user.answer(&one, false);
    reload(&mut user);
    assert_eq!(user.say(json!({"title": "two"})).outgoing()[0].offset, one.offset);
}

#[test]
fn what_the_shop_fired_is_told_though_its_message_was_not_stored() {
    let mut user = Fixture::connected();
    let input = fired(&mut user, "order_status", "shipped");
    assert!(unconfirmed(&mut user, input).reloads());
    reload(&mut user);
    let told = user.until("2026-03-04T12:00:05Z");
    assert_eq!((told.shown(1), user.stored.deferred.len()), (vec!["shipped".to_owned()], 0));
}

#[test]
fn what_the_shop_fires_while_the_stream_is_lost_is_told_after_reading() {
    let mut user = Fixture::connected();
    let one = offers(&mut user, "one");
    let input = fired(&mut user, "order_status", "shipped");
    user.state.stall();
    user.step(input);
    user.answer(&one, false);
    reload(&mut user);
    assert_eq!(user.until("2026-03-04T12:00:05Z").shown(1), ["shipped"]);
}

#[test]
fn what_the_shop_fired_survives_a_crash_before_its_message_is_stored() {
    let mut user = Fixture::connected();
    let input = fired(&mut user, "order_status", "shipped");
    user.step(input);
    user.restart();
    user.login(1);
    assert_eq!(user.until("2026-03-04T12:00:05Z").shown(1), ["shipped"]);
}

#[test]
fn a_trigger_ends_in_the_transaction_that_stores_its_message() {
    let mut user = Fixture::connected();
    let input = fired(&mut user, "order_status", "shipped");
    let placed = user.step(input);
    assert_eq!(placed.outgoing()[0].releases, [user.stored.deferred[0].held_id]);
}

#[test]
fn a_digest_that_was_not_stored_is_told_after_reading() {
    let mut user = Fixture::connected();
    user.digest("*");
    user.announce("announcement", "Opening hours");
    user.shop.now = moment("2026-03-04T18:00:00Z");
    assert_eq!(unconfirmed(&mut user, Input::Due).outcomes(), ["digest send"]);
    reload(&mut user);
    let told = user.until("2026-03-04T18:00:05Z");
    assert_eq!((told.outcomes(), user.stored.deferred.len()), (vec!["digest send".to_owned()], 0));
}

#[test]
fn a_message_that_was_stored_after_all_is_not_told_twice() {
    let mut user = Fixture::connected();
    let input = fired(&mut user, "order_status", "shipped");
    let outgoing = user.step(input).outgoing()[0].clone();
    user.stored.put(&outgoing);
    user.step(Input::NotStored(outgoing.offset));
    assert_eq!(reload(&mut user).shown(1), ["shipped"]);
    assert_eq!(user.until("2026-03-04T12:10:00Z").messages().len(), 0);
}

#[test]
fn a_rule_that_goes_off_once_goes_off_again_if_its_message_was_not_stored() {
    let mut shop = Shop::new();
    let rule = json!({"min_purchases_per_month": 1.0});
    shop.trigger(json!({"name": "spring", "when": {"kind": "segment", "rule": rule},
        "category": "promotions", "template": "login"}));
    shop.policy(json!({"repeat_window_min": 0}));
    let mut user = Fixture::connected_to(shop);
    let event = user.event(tidings_core::event::EventKind::Purchase, 106);
    user.stored_events(&[event]);
    let failed = unconfirmed(&mut user, Input::EventsStored(vec![event]));
    assert_eq!(failed.outcomes(), ["spring send"]);
    assert!(!failed.records().iter().any(|record| matches!(record, Record::FiredOnce(_))));
    reload(&mut user);
    assert_eq!(user.view(105).outcomes(), ["view send", "spring send"]);
    assert_eq!(user.buy(107).outcomes(), [] as [&str; 0]);
}

#[test]
fn connections_stay_and_get_what_was_stored_meanwhile() {
    let mut user = Fixture::connected();
    user.login(2);
    let one = offers(&mut user, "one");
    user.stored.put(&one);
    user.step(Input::NotStored(one.offset));
    let read = reload(&mut user);
    assert_eq!((read.shown(1), read.shown(2)), (vec!["one".to_owned()], vec!["one".to_owned()]));
    assert!(!read.types(1).contains(&"welcome".to_owned()));
    assert_eq!(user.say(json!({"title": "two"})).shown(2), ["two"]);
}

#[test]
fn a_connection_that_missed_more_than_is_held_is_closed_to_come_again() {
    let mut user = Fixture::connected();
    let loaded = Loaded { stream: Stream::new(300, 0, 200, Vec::new()), ..Loaded::stranger() };
    let mut state = UserState::new(&user.state.external_id, loaded, "e", &user.shop.world());
    let effects = state.adopt(user.state.clone(), &user.shop.world());
    assert!(effects.contains(&Effect::Close(ConnectionId(1), CloseCode::StreamLost)));
    user.state = state;
}

#[test]
fn a_hidden_page_stays_hidden() {
    let mut user = Fixture::connected();
    user.tells(1, json!({"type": "presence", "visible": false}));
    reload(&mut user);
    assert!(user.state.is_connected() && !user.state.session.is_visible());
}

#[test]
fn a_muted_category_stays_muted_though_the_store_does_not_say_so_yet() {
    let mut user = Fixture::connected();
    let before = user.stored.clone();
    user.tells(1, json!({"type": "mute", "of": "category", "name": "promotion"}));
    user.reload(&before);
    assert_eq!(user.say(json!({"title": "sale", "kind": "promotion"})).reason("api"), "muted_category");
    // Nor does the next change of the preferences undo it.
    user.connect(2, Login { locale: Some("de".to_owned()), ..Login::default() });
    assert_eq!(user.stored.document.muted, ["promotion"]);
}

#[test]
fn a_muted_brand_stays_muted_though_the_store_does_not_say_so_yet() {
    let mut user = Fixture::connected();
    let before = user.stored.clone();
    user.tells(1, json!({"type": "mute", "of": "brand", "name": "Acme"}));
    user.reload(&before);
    let items = super::fixture::externals(&user.login(2).message().items);
    assert!(items.iter().all(|item| item % 2 == 0), "{items:?}");
    user.connect(3, Login { locale: Some("de".to_owned()), ..Login::default() });
    assert_eq!(user.stored.document.settings().mutes, [Mute::Brand("Acme".to_owned())]);
}

#[test]
fn what_was_deferred_stays_though_the_store_does_not_hold_it_yet() {
    let mut user = Fixture::connected();
    user.cart(105);
    let mut stored = user.stored.clone();
    stored.deferred.clear();
    user.reload(&stored);
    assert_eq!(user.until("2026-03-04T13:00:00Z").outcomes().len(), 1);
}

#[test]
fn the_same_list_is_no_news_after_reading_again() {
    let mut user = Fixture::connected();
    reload(&mut user);
    assert_eq!(user.on(Input::ModelChanged).outcomes(), [] as [&str; 0]);
}

#[test]
fn a_dismissed_item_rests_though_the_store_does_not_say_so_yet() {
    let mut user = Fixture::connected();
    let id = user.stored.messages[0].0.notification_id;
    let before = user.stored.clone();
    user.tells(1, json!({"type": "feedback", "notification_id": id, "outcome": "dismissed"}));
    user.reload(&before);
    let items = super::fixture::externals(&user.login(2).message().items);
    assert_eq!(items, [119, 118, 117, 116, 115]);
}

#[test]
fn a_state_can_be_copied_and_goes_on_alike() {
    let mut user = Fixture::connected();
    user.cart(105);
    let mut copy = user.state.clone();
    user.shop.now = moment("2026-03-04T13:00:00Z");
    let effects = copy.on(Input::Due, &user.shop.world());
    let again = user.state.on(Input::Due, &user.shop.world());
    // Features of what is not known are no numbers, which equal nothing.
    assert_eq!(format!("{effects:?}"), format!("{again:?}"));
}

fn changes(user: &mut Fixture, change: deliver::Input) -> Effects {
    user.step(Input::InboxChanged(change))
}

#[test]
fn a_message_taken_back_while_it_is_being_stored_is_not_shown() {
    let mut user = Fixture::connected();
    let [one, two] = ["one", "two"].map(|title| offers(&mut user, title));
    changes(&mut user, deliver::Input::Withdrawn(one.notification.notification_id));
    assert_eq!(user.answer(&one, true).shown(1), [] as [&str; 0]);
    assert_eq!(user.answer(&two, true).shown(1), ["two"], "it has its place all the same");
    assert_eq!(user.resume(2, 1).shown(2), ["two"]);
}

#[test]
fn a_message_read_elsewhere_while_it_is_being_stored_is_read_on_every_page() {
    let mut user = Fixture::connected();
    let one = offers(&mut user, "one");
    let (ids, at) = (vec![one.notification.notification_id], user.shop.now);
    changes(&mut user, deliver::Input::Change { ids, change: Change::Read, at, by: None });
    assert_eq!(user.answer(&one, true).types(1), ["notification", "inbox", "withdraw", "inbox"]);
}

#[test]
fn everything_read_while_a_message_is_being_stored_is_looked_up() {
    let at = Timestamp(0);
    for change in
        [deliver::Input::ReadAll { up_to: 9, at, by: None }, deliver::Input::Seen { up_to: 9, at, by: None }]
    {
        let mut user = Fixture::connected();
        let one = offers(&mut user, "one");
        assert!(!changes(&mut user, change.clone()).reloads(), "not before the store has answered");
        assert!(user.answer(&one, true).reloads());
        assert!(!changes(&mut user, change).reloads(), "nothing is under way");
    }
}

#[test]
fn what_changed_while_a_user_was_read_holds_from_the_first_decision() {
    let refuses = |purpose| Input::ConsentChanged(vec![(purpose, false)]);
    let mute = || {
        let after = PreferenceDocument { muted: vec!["announcements".to_owned()], ..Default::default() };
        Input::PreferencesChanged { before: Box::default(), after: Box::new(after) }
    };
    for (change, reason) in [(refuses(Purpose::Marketing), "consent_withheld"), (mute(), "muted_category")] {
        assert!(change.is_lasting());
        let mut user = Fixture::connected();
        let mut state = user.state.clone();
        assert_eq!(state.changed_meanwhile(vec![change], &user.shop.world()), []);
        user.state = state;
        assert_eq!(user.announce("announcement", "news").reason("announcement"), reason);
    }
}

#[test]
fn a_message_withdrawn_while_its_user_was_read_is_not_shown() {
    let mut user = Fixture::connected();
    let id = user.say(json!({"title": "one"})).message().notification_id;
    user.leave(1);
    let (mut state, world) = (user.state.clone(), user.shop.world());
    state.changed_meanwhile(vec![Input::InboxChanged(deliver::Input::Withdrawn(id))], &world);
    user.state = state;
    assert_eq!(user.resume(2, 1).shown(2), [] as [&str; 0]);
}
