//! Pages, streams and presence: what is received, read and seen, on which channel a message goes, and when something is due.

use serde_json::json;

use super::fixture::{Effects, Fixture, Shop, moment};
use crate::decide::record::{Acknowledged, HandOver, Mark, Record};
use crate::decide::{Effect, Input};
use crate::deliver::{self, Change};
use crate::notify::Channel;
use crate::notify::policy::Purpose;
use tidings_core::base::{NotificationId, Timestamp};

fn subscribed() -> Fixture {
    let mut shop = Shop::new();
    shop.is_subscribed = true;
    Fixture::connected_to(shop)
}

fn hide(user: &mut Fixture, connection: u64) -> Effects {
    user.tells(connection, json!({"type": "presence", "visible": false}))
}

fn hand_overs(effects: &Effects) -> Vec<HandOver> {
    let of = |record: &Record| if let Record::HandOver(hand_over) = record { Some(*hand_over) } else { None };
    effects.records().into_iter().filter_map(of).collect()
}

fn acknowledged(effects: &Effects) -> Vec<i64> {
    let of = |record: &Record| match record {
        Record::Acknowledged(Acknowledged { up_to, .. }) => Some(*up_to),
        _ => None,
    };
    effects.records().into_iter().filter_map(of).collect()
}

fn marks(effects: &Effects) -> Vec<&Mark> {
    let mut marks = Vec::new();
    for record in effects.records() {
        if let Record::Mark(mark) = record {
            marks.push(mark);
        }
    }
    marks
}

fn changed(ids: Vec<NotificationId>, change: Change, at: Timestamp) -> deliver::Input {
    deliver::Input::Change { ids, change, at, by: None }
}

#[test]
fn what_was_received_is_recorded_once_and_cumulative() {
    let mut user = Fixture::connected();
    user.say(json!({"title": "one"}));
    assert_eq!(acknowledged(&user.tells(1, json!({"type": "ack", "offset": 2}))), [2]);
    assert_eq!(acknowledged(&user.tells(1, json!({"type": "ack", "offset": 1}))), [] as [i64; 0]);
}

#[test]
fn what_was_never_sent_can_not_be_acknowledged() {
    let mut user = Fixture::connected();
    assert_eq!(acknowledged(&user.tells(1, json!({"type": "ack", "offset": 99}))), [1]);
}

#[test]
fn what_is_read_on_one_device_is_read_on_all() {
    let mut user = Fixture::connected();
    user.login(2);
    let id = user.say(json!({"title": "news"})).message().notification_id;
    let read = user.tells(1, json!({"type": "read", "notification_id": id}));
    let (change, at) = (Change::Read, user.shop.now);
    let mark = Mark::Change { user: user.state.user, ids: vec![id], change, at };
    assert_eq!(marks(&read), [&mark]);
    assert_eq!(read.frames(2)[0]["reason"], "read_elsewhere");
    assert!(!read.types(1).contains(&"withdraw".to_owned()));
}

#[test]
fn what_was_read_over_http_is_told_to_every_page_and_not_stored_again() {
    let mut user = Fixture::connected();
    let id = user.say(json!({"title": "news"})).message().notification_id;
    let read = user.on(Input::InboxChanged(changed(vec![id], Change::Read, user.shop.now)));
    assert_eq!((read.frames(1)[0]["reason"].as_str(), marks(&read).len()), (Some("read_elsewhere"), 0));
}

#[test]
fn all_are_read_at_once() {
    let mut user = Fixture::connected();
    user.login(2);
    for title in ["one", "two"] {
        user.say(json!({"title": title}));
    }
    let read = user.tells(1, json!({"type": "read", "all": true}));
    let mark = Mark::ReadAll { user: user.state.user, up_to: 3, at: user.shop.now };
    assert_eq!(marks(&read), [&mark]);
    assert_eq!(read.frames(2).last().unwrap()["unread"], 0);
}

#[test]
fn a_list_that_was_looked_at_has_been_seen() {
    let mut user = Fixture::connected();
    let told = user.say(json!({"title": "news"}));
    assert_eq!(
        (told.frames(1)[1]["unread"].as_i64(), told.frames(1)[1]["unseen"].as_i64()),
        (Some(1), Some(1))
    );
    let seen = user.tells(1, json!({"type": "seen", "up_to": 2}));
    let mark = Mark::Seen { user: user.state.user, up_to: 2, at: user.shop.now };
    assert_eq!((marks(&seen), seen.frames(1)[0]["unseen"].as_i64()), (vec![&mark], Some(0)));
}

#[test]
fn a_ping_is_answered_and_a_second_login_refused() {
    let mut user = Fixture::connected();
    assert_eq!(user.tells(1, json!({"type": "ping"})).types(1), ["pong"]);
    let refused = user.tells(1, json!({"type": "login", "user_id": 7}));
    assert_eq!(refused.frames(1)[0]["code"], "already_logged_in");
}

#[test]
fn who_looks_at_a_page_gets_a_message_there_although_a_browser_agreed_to_pushes() {
    assert_eq!(subscribed().say(json!({"title": "news"})).message().channel, Channel::Socket);
}

#[test]
fn a_hidden_page_is_no_channel() {
    let mut user = subscribed();
    hide(&mut user, 1);
    assert_eq!(user.say(json!({"title": "news"})).message().channel, Channel::Push);
    let mut user = Fixture::connected();
    hide(&mut user, 1);
    assert_eq!(user.say(json!({"title": "news"})).message().channel, Channel::Inbox);
}

#[test]
fn one_visible_page_of_several_is_enough() {
    let mut user = subscribed();
    user.login(2);
    hide(&mut user, 1);
    assert_eq!(user.say(json!({"title": "news"})).message().channel, Channel::Socket);
}

#[test]
fn a_message_is_given_when_its_page_is_looked_at() {
    let mut user = Fixture::connected();
    hide(&mut user, 1);
    let id = user.say(json!({"title": "news"})).message().notification_id;
    let shown = user.tells(1, json!({"type": "presence", "visible": true}));
    assert_eq!(marks(&shown), [&Mark::Given { ids: vec![id], at: user.shop.now }]);
}

#[test]
fn a_pushed_message_takes_its_place_in_a_cap_though_it_expired() {
    let mut shop = Shop::new();
    shop.policy(json!({"caps": [{"category": "*", "window_min": 1_440, "max": 1}]}));
    shop.is_subscribed = true;
    for (is_pushed, reason) in [(true, "capped"), (false, "no_channel")] {
        let mut user = Fixture::of(7, Shop::new());
        user.shop.policy(json!({"caps": [{"category": "*", "window_min": 1_440, "max": 1}]}));
        user.shop.is_subscribed = true;
        let id = user
            .say(json!({"title": "lunch", "expires_at": "2026-03-04T13:00:00Z"}))
            .message()
            .notification_id;
        if is_pushed {
            user.on(Input::Pushed(id));
        }
        user.shop.now = moment("2026-03-04T14:00:00Z");
        user.shop.is_subscribed = false;
        let next = user.say(json!({"title": "dinner"}));
        assert_eq!(next.messages().is_empty(), is_pushed, "{reason}");
    }
}

const GRACE_ENDS: &str = "2026-03-04T12:00:10.020Z";

#[test]
fn what_nobody_saw_is_handed_to_push_when_the_grace_is_over() {
    let mut user = subscribed();
    user.tells(1, json!({"type": "ack", "offset": 1}));
    user.say(json!({"title": "news"}));
    user.leave(1);
    assert_eq!(hand_overs(&user.until("2026-03-04T12:00:10Z")), []);
    let due = user.until(GRACE_ENDS);
    let hand_over = HandOver { user: user.state.user, seen_up_to: 1, due_at: moment(GRACE_ENDS) };
    assert_eq!(hand_overs(&due), [hand_over]);
    assert_eq!(hand_overs(&user.until("2026-03-04T13:00:00Z")), [], "once");
}

#[test]
fn a_page_that_reloads_within_the_grace_keeps_its_messages() {
    let mut user = subscribed();
    user.say(json!({"title": "news"}));
    user.leave(1);
    user.until("2026-03-04T12:00:05Z");
    assert_eq!(user.resume(2, 1).shown(2), ["news"]);
    assert_eq!(hand_overs(&user.until("2026-03-04T12:10:00Z")), []);
}

#[test]
fn what_a_hidden_page_acknowledged_was_seen_by_nobody() {
    let mut user = subscribed();
    user.tells(1, json!({"type": "ack", "offset": 1}));
    hide(&mut user, 1);
    user.say(json!({"title": "news", "priority": "transactional"}));
    user.tells(1, json!({"type": "ack", "offset": 2}));
    assert_eq!(hand_overs(&user.until(GRACE_ENDS))[0].seen_up_to, 1);
}

#[test]
fn nothing_is_handed_to_push_without_a_browser_or_a_wish_for_it() {
    type Change = fn(&mut Fixture);
    let changes: [(&str, Change); 3] = [
        ("no browser", |user| user.shop.is_subscribed = false),
        ("refused", |user| drop(user.consents(Purpose::Push, false))),
        ("blocked", |user| {
            user.wants(|_, settings| {
                settings.blocked_channels.insert("*".to_owned(), [Channel::Push].into());
            });
        }),
    ];
    for (name, change) in changes {
        let mut user = subscribed();
        user.say(json!({"title": "news"}));
        change(&mut user);
        user.leave(1);
        assert_eq!(hand_overs(&user.until("2026-03-04T12:10:00Z")), [], "{name}");
    }
}

#[test]
fn a_state_that_ends_within_the_grace_hands_over_for_its_end() {
    let mut user = subscribed();
    user.say(json!({"title": "news"}));
    user.leave(1);
    let ended = user.on(Input::Ending);
    assert_eq!(hand_overs(&ended)[0].due_at, moment("2026-03-04T12:00:10Z"));
    let mut present = subscribed();
    assert_eq!(hand_overs(&present.on(Input::Ending)), [], "somebody looks");
}

#[test]
fn a_message_that_expires_soon_is_withdrawn_in_time() {
    let mut user = Fixture::connected();
    let expires_at: Timestamp = moment("2026-03-04T12:00:30Z");
    user.say(json!({"title": "lunch", "expires_at": expires_at.to_string()}));
    assert_eq!(user.timer, Some(expires_at));
    let gone = user.until("2026-03-04T12:00:30Z");
    assert_eq!(gone.frames(1)[0]["reason"], "expired");
}

#[test]
fn by_the_last_tick_before_it_an_expiry_has_its_timer_and_until_then_none() {
    let mut user = Fixture::connected();
    let expires_at: Timestamp = moment("2026-03-04T12:01:45Z");
    user.say(json!({"title": "lunch", "expires_at": expires_at.to_string()}));
    user.say(json!({"title": "later", "expires_at": "2026-03-04T12:02:50Z"}));
    assert_eq!(user.timer, None, "most expiries are days away, and a timer takes memory");
    for tick in ["2026-03-04T12:00:30Z", "2026-03-04T12:01:00Z"] {
        user.until(tick);
        user.on(Input::Tick);
    }
    assert_eq!(user.timer, Some(expires_at));
    let gone = user.until("2026-03-04T12:01:45Z");
    assert_eq!(gone.frames(1)[0]["reason"], "expired");
    assert_eq!(user.timer, None);
    user.until("2026-03-04T12:02:00Z");
    user.on(Input::Tick);
    assert_eq!(user.timer, Some(moment("2026-03-04T12:02:50Z")), "one timer for all of them");
}

#[test]
fn the_answer_to_a_frame_is_told_apart_from_news() {
    let mut user = Fixture::connected();
    user.say(json!({"title": "one"}));
    let answers = |effects: &Effects| {
        let answer = |effect: &&Effect| matches!(effect, Effect::Answer(..));
        effects.iter().filter(answer).count()
    };
    let id = "0190a5c8-0000-7000-8000-000000000000";
    for frame in [
        json!({"type": "ping"}),
        json!({"type": "mute", "of": "brand", "name": "Acme"}),
        json!({"type": "mute", "of": "brand"}),
        json!({"type": "feedback", "notification_id": id, "outcome": "clicked"}),
        json!({"type": "login", "user_id": 7}),
    ] {
        let effects = user.tells(1, frame.clone());
        assert_eq!((answers(&effects), effects.frames(1).len()), (1, 1), "{frame}");
    }
    // The counts go to every device.
    let effects = user.tells(1, json!({"type": "seen", "up_to": 2}));
    assert_eq!((answers(&effects), effects.types(1)), (0, vec!["inbox".to_owned()]));
}

#[test]
fn a_message_that_expires_later_is_withdrawn_by_the_tick() {
    let mut user = Fixture::connected();
    user.say(json!({"title": "lunch", "expires_at": "2026-03-04T13:00:00Z"}));
    assert_eq!(user.timer, None);
    user.shop.now = moment("2026-03-04T13:00:30Z");
    assert_eq!(user.on(Input::Tick).frames(1)[0]["reason"], "expired");
}

#[test]
fn a_tick_forgets_messages_older_than_a_week() {
    let mut user = Fixture::connected();
    user.say(json!({"title": "news"}));
    assert_eq!(user.state.policy.len(), 2);
    user.shop.now = user.shop.now.plus_days(7.1);
    user.on(Input::Tick);
    assert!(user.state.policy.is_empty());
}

#[test]
fn the_goodbye_of_a_connection_that_is_not_there_notes_nothing() {
    let mut user = Fixture::connected();
    assert_eq!(user.leave(9).0, []);
    assert!(user.state.is_connected());
}

#[test]
fn a_client_that_was_never_here_gets_what_is_owed_to_it() {
    let mut user = Fixture::connected();
    user.tells(1, json!({"type": "ack", "offset": 1}));
    user.say(json!({"title": "shipped", "priority": "transactional"}));
    assert_eq!(user.login(2).shown(2)[..1], ["shipped"]);
}

#[test]
fn preferences_close_a_channel_and_open_no_other() {
    let mut user = subscribed();
    hide(&mut user, 1);
    user.wants(|_, settings| {
        settings.blocked_channels.insert("*".to_owned(), [Channel::Push].into());
    });
    let kept = user.announce("announcement", "news");
    assert_eq!((kept.message().channel, kept.reason("announcement")), (Channel::Inbox, "no_channel"));
}
