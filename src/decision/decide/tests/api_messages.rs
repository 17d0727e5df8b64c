//! Messages of the API: each that was accepted is shown, kept in the inbox, or ends with a stored decision.

use serde_json::{Value, json};

use super::fixture::{Effects, Fixture, Shop, moment};
use crate::decide::{Effect, Input};
use crate::deliver::{self};
use crate::feedback::experiments::Slice;
use crate::notify::Channel;
use crate::notify::policy::{Mute, Purpose};
use tidings_core::base::NotificationId;

pub(super) fn capped(max: usize) -> Shop {
    let mut shop = Shop::new();
    shop.policy(json!({"caps": [{"category": "*", "window_min": 1_440, "max": max}]}));
    shop
}

fn order(title: &str) -> Value {
    json!({"title": title, "kind": "order", "priority": "transactional"})
}

fn settled(effects: &Effects) -> Vec<NotificationId> {
    let of = |effect: &Effect| match effect {
        Effect::Settle(id) | Effect::SettleWith(id, _) => Some(*id),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

#[test]
fn a_message_is_stored_then_shown_then_settled() {
    let mut user = Fixture::connected();
    let message = user.message(json!({"title": "Hello", "data": {"a": 1}}));
    let placed = user.step(Input::MessageOfApi(message.clone()));
    assert_eq!(
        (placed.titles(), placed.shown(1).len(), settled(&placed).len()),
        (vec!["Hello".into()], 0, 0)
    );
    let outgoing = placed.outgoing()[0].clone();
    let answer = user.answer(&outgoing, true);
    assert_eq!(answer.frames(1)[0]["data"], json!({"a": 1}));
    assert_eq!(settled(&answer), [message.id]);
}

#[test]
fn a_message_goes_to_every_page_of_the_user() {
    let mut user = Fixture::connected();
    user.login(2);
    let told = user.say(json!({"title": "Hello"}));
    assert_eq!((told.shown(1), told.shown(2)), (vec!["Hello".to_owned()], vec!["Hello".to_owned()]));
}

#[test]
fn a_message_to_somebody_absent_is_in_the_inbox_at_once() {
    let told = Fixture::new().say(json!({"title": "Hello"}));
    assert_eq!((told.message().channel, settled(&told).len()), (Channel::Inbox, 1));
}

#[test]
fn a_message_to_somebody_absent_is_pushed_where_a_browser_agreed() {
    let mut user = Fixture::new();
    user.shop.is_subscribed = true;
    assert_eq!(user.say(json!({"title": "Hello"})).message().channel, Channel::Push);
}

#[test]
fn an_unwanted_message_is_settled_with_its_stored_decision() {
    let mut user = Fixture::connected();
    user.mute("promotion");
    let dropped = user.say(json!({"title": "sale", "kind": "promotion"}));
    assert_eq!((dropped.outcomes(), dropped.reason("api")), (vec!["api drop".to_owned()], "muted_category"));
    assert_eq!(settled(&dropped).len(), 1);
    assert_eq!(user.say(json!({"title": "other"})).titles(), ["other"]);
}

#[test]
fn a_muted_kind_silences_messages_of_that_kind_whatever_their_category() {
    let mut user = Fixture::connected();
    user.wants(|_, settings| settings.mute(Mute::Kind("contest".to_owned())));
    let dropped = user.say(json!({"title": "win", "kind": "contest", "category": "news"}));
    assert_eq!(dropped.reason("api"), "muted_subject");
}

#[test]
fn quiet_hours_postpone_messages_and_all_of_them_come_after() {
    let mut user = Fixture::connected();
    user.quiet("11:00", "14:00");
    for title in ["one", "two", "three"] {
        let postponed = user.say(json!({"title": title}));
        assert_eq!((postponed.outcomes(), postponed.messages().len()), (vec!["api defer".to_owned()], 0));
        assert_eq!(postponed.decision("api").until, Some(moment("2026-03-04T14:00:00Z")));
    }
    assert_eq!(user.until("2026-03-04T13:59:59Z").messages().len(), 0);
    let mut shown = user.until("2026-03-04T14:00:00Z").shown(1);
    shown.sort();
    assert_eq!(shown, ["one", "three", "two"]);
}

#[test]
fn a_message_that_expires_in_quiet_hours_leaves_a_decision_that_says_so() {
    let mut user = Fixture::connected();
    user.quiet("11:00", "14:00");
    user.say(json!({"title": "lunch", "expires_at": "2026-03-04T13:00:00Z"}));
    let ended = user.until("2026-03-04T14:00:00Z");
    assert_eq!((ended.reason("api"), settled(&ended).len()), ("expired", 1));
}

#[test]
fn a_paused_user_finds_messages_in_the_inbox_and_is_not_disturbed() {
    let mut user = Fixture::connected();
    user.wants(|_, settings| settings.paused_until = Some(moment("2026-03-05T00:00:00Z")));
    let kept = user.say(json!({"title": "later"}));
    assert_eq!(kept.message().channel, Channel::Inbox);
    assert_eq!(kept.frames(1)[0]["channel"], "inbox", "a page shows it in its list and nowhere else");
    user.until("2026-03-05T00:00:00Z");
    let told = user.say(json!({"title": "now"}));
    assert_eq!((told.message().channel, &told.frames(1)[0]["channel"]), (Channel::Socket, &Value::Null));
}

#[test]
fn a_category_blocked_from_pages_is_in_the_inbox() {
    let mut user = Fixture::connected();
    user.wants(|_, settings| {
        settings.blocked_channels.insert("promotion".to_owned(), [Channel::Socket].into());
    });
    let kept = user.say(json!({"title": "sale", "kind": "promotion"}));
    assert_eq!(kept.message().channel, Channel::Inbox);
    assert_eq!(user.say(json!({"title": "other"})).message().channel, Channel::Socket);
}

#[test]
fn a_cap_ends_a_message_with_a_decision_and_an_order_passes_it() {
    let mut user = Fixture::connected_to(capped(1));
    assert_eq!(user.say(json!({"title": "one"})).titles(), ["one"]);
    assert_eq!(user.say(json!({"title": "two"})).reason("api"), "capped");
    assert_eq!(user.say(order("shipped")).titles(), ["shipped"]);
}

#[test]
fn an_order_takes_no_place_in_a_cap() {
    let mut user = Fixture::connected_to(capped(1));
    user.say(order("shipped"));
    assert_eq!(user.say(json!({"title": "one"})).titles(), ["one"]);
}

#[test]
fn what_was_taken_back_unseen_leaves_its_place_in_the_cap_to_the_corrected_one() {
    let mut user = Fixture::of(7, capped(1));
    let wrong = user.say(json!({"title": "wrong"})).message().notification_id;
    assert_eq!(user.say(json!({"title": "more"})).reason("api"), "capped");
    user.on(Input::InboxChanged(deliver::Input::Withdrawn(wrong)));
    assert_eq!(user.say(json!({"title": "corrected"})).titles(), ["corrected"]);
}

#[test]
fn what_was_shown_before_it_was_taken_back_keeps_its_place_in_the_cap() {
    let mut user = Fixture::connected_to(capped(1));
    let wrong = user.say(json!({"title": "wrong"})).message().notification_id;
    let withdrawn = user.on(Input::InboxChanged(deliver::Input::Withdrawn(wrong)));
    assert_eq!(withdrawn.frames(1)[0]["reason"], "withdrawn");
    assert_eq!(user.say(json!({"title": "corrected"})).reason("api"), "capped");
}

#[test]
fn what_expired_unseen_gives_its_place_in_the_cap_back() {
    let mut user = Fixture::of(7, capped(1));
    user.say(json!({"title": "lunch", "expires_at": "2026-03-04T13:00:00Z"}));
    assert_eq!(user.say(json!({"title": "more"})).reason("api"), "capped");
    user.until("2026-03-04T13:00:00Z");
    assert_eq!(user.say(json!({"title": "dinner"})).titles(), ["dinner"]);
}

#[test]
fn no_rule_of_marketing_stops_an_order() {
    type Change = fn(&mut Fixture);
    let changes: [(&str, Change); 10] = [
        ("opted out", |user| drop(user.wants(|_, settings| settings.opted_out = true))),
        ("muted", |user| drop(user.mute("order"))),
        ("muted kind", |user| {
            user.wants(|_, settings| settings.mute(Mute::Kind("order".to_owned())));
        }),
        ("paused", |user| {
            user.wants(|_, settings| settings.paused_until = Some(moment("2026-04-01T00:00:00Z")));
        }),
        ("digest", |user| drop(user.digest("*"))),
        ("quiet", |user| drop(user.quiet("00:00", "23:59"))),
        ("blocked", |user| {
            user.wants(|_, settings| {
                settings.blocked_channels.insert("*".to_owned(), [Channel::Socket].into());
            });
        }),
        ("no consent", |user| drop(user.consents(Purpose::Marketing, false))),
        ("no profiling", |user| drop(user.consents(Purpose::Profiling, false))),
        ("robot", |user| user.state.robot_since = Some(user.shop.now)),
    ];
    for (name, change) in changes {
        let mut user = Fixture::connected();
        change(&mut user);
        let told = user.say(order("shipped"));
        assert_eq!(
            (told.shown(1), told.message().channel),
            (vec!["shipped".into()], Channel::Socket),
            "{name}"
        );
        let told = user.announce("order_status", "delivered");
        assert_eq!(told.shown(1), ["delivered"], "{name}");
    }
}

#[test]
fn a_spent_budget_and_a_full_cap_stop_no_order() {
    let mut shop = capped(0);
    shop.policy(json!({"budget_per_hour": 1, "caps": [{"category": "*", "window_min": 60, "max": 0}]}));
    shop.sent_this_hour = 5;
    let mut user = Fixture::connected_to(shop);
    assert_eq!(user.say(order("shipped")).shown(1), ["shipped"]);
    assert_eq!(user.announce("order_status", "delivered").shown(1), ["delivered"]);
}

#[test]
fn a_spent_budget_postpones_a_message_to_the_next_hour() {
    let mut shop = Shop::new();
    shop.policy(json!({"budget_per_hour": 1}));
    shop.sent_this_hour = 1;
    let mut user = Fixture::connected_to(shop);
    assert_eq!(
        user.say(json!({"title": "news"})).decision("api").until,
        Some(moment("2026-03-04T13:00:00Z"))
    );
    assert_eq!(user.say(json!({"title": "urgent", "priority": "high"})).shown(1), ["urgent"]);
    user.shop.sent_this_hour = 0;
    assert_eq!(user.until("2026-03-04T13:00:00Z").shown(1), ["news"]);
}

#[test]
fn everybody_in_holdout_and_coin_gets_what_the_shop_says_itself() {
    let mut told = 0;
    for slice in [Slice::Holdout, Slice::Uniform] {
        for mut user in super::experiments::users_of(slice, 10) {
            told += user.announce("announcement", "recall").shown(1).len();
            told += user.say(json!({"title": "recall"})).shown(1).len();
        }
    }
    assert_eq!(told, 40);
}

#[test]
fn a_digest_keeps_a_message_in_the_inbox_and_mentions_it() {
    let mut user = Fixture::connected();
    user.digest("*");
    let kept = user.say(json!({"title": "Opening hours"}));
    assert_eq!((kept.message().channel, settled(&kept).len()), (Channel::Inbox, 1));
    assert_eq!(kept.deferred().len(), 1);
    assert_eq!(user.until("2026-03-04T18:00:00Z").frames(1)[0]["body"], "Opening hours");
}

#[test]
fn what_a_digest_keeps_takes_no_place_in_a_cap_before_a_restart_or_after() {
    let mut user = Fixture::connected_to(capped(1));
    user.digest("news");
    user.say(json!({"title": "collected", "kind": "news"}));
    user.restart();
    assert_eq!(user.say(json!({"title": "counted"})).titles(), ["counted"]);
    user.restart();
    assert_eq!(user.say(json!({"title": "too much"})).reason("api"), "capped");
}

#[test]
fn a_newer_message_with_the_same_key_takes_the_place_of_the_older() {
    let mut user = Fixture::connected();
    user.say(json!({"title": "1:0", "collapse_key": "score"}));
    let newer = user.say(json!({"title": "2:0", "collapse_key": "score"}));
    assert_eq!(newer.types(1)[..2], ["withdraw", "notification"]);
    user.leave(1);
    assert_eq!(user.resume(2, 0).shown(2), ["Picked for you", "2:0"]);
}

#[test]
fn a_message_waits_while_the_stream_is_not_known() {
    let mut user = Fixture::connected();
    user.state.stall();
    let message = user.message(json!({"title": "Hello"}));
    assert_eq!(user.step(Input::MessageOfApi(message.clone())).0, [Effect::Return(message.id)]);
}

#[test]
fn a_cap_of_a_channel_holds_after_a_restart() {
    let mut shop = Shop::new();
    shop.policy(json!({"caps": [{"category": "*", "channel": "push", "window_min": 1_440, "max": 1}]}));
    shop.is_subscribed = true;
    let mut user = Fixture::of(7, shop);
    assert_eq!(user.say(json!({"title": "one"})).message().channel, Channel::Push);
    user.restart();
    let second = user.say(json!({"title": "two"}));
    assert!(second.messages().iter().all(|message| message.channel != Channel::Push));
}
