//! Answers to a login, and what the login teaches.

use serde_json::json;

use super::fixture::{Fixture, NOON, Shop, externals, moment};
use crate::decide::{Effect, Record};
use crate::deliver::{CloseCode, Login, Resume};
use crate::feedback::learner::Lesson;
use crate::notify::policy::Purpose;
use tidings_core::base::ConnectionId;
use tidings_core::event::EventKind;

fn bare() -> Login {
    Login::default()
}

fn from(time_zone: &str, locale: &str) -> Login {
    Login { time_zone: Some(time_zone.to_owned()), locale: Some(locale.to_owned()), ..Login::default() }
}

#[test]
fn a_login_is_answered_with_as_many_items_as_the_policy_says() {
    let mut shop = Shop::new();
    shop.policy(json!({"items": 3}));
    let answer = Fixture::of(7, shop).login(1);
    assert_eq!(answer.outcomes(), ["login send"]);
    assert_eq!(externals(&answer.message().items), [124, 123, 122], "the newest");
    assert_eq!(answer.shown(1), ["Picked for you"]);
}

#[test]
fn a_full_client_gets_its_welcome_before_the_answer() {
    assert_eq!(Fixture::new().login(1).types(1)[..2], ["welcome", "recommendation"]);
}

#[test]
fn a_minimal_client_gets_the_answer_before_its_welcome() {
    assert_eq!(Fixture::new().connect(1, bare()).types(1)[..2], ["recommendation", "welcome"]);
}

#[test]
fn a_minimal_client_is_welcomed_although_its_answer_was_not_stored() {
    let mut user = Fixture::new();
    let login = user.step(crate::decide::Input::LoggedIn {
        connection: ConnectionId(1),
        login: Box::new(Login::default()),
    });
    assert_eq!(login.types(1), [] as [&str; 0]);
    let outgoing = login.outgoing()[0].clone();
    assert_eq!(user.answer(&outgoing, false).types(1), ["welcome"]);
}

#[test]
fn a_login_is_answered_whatever_the_user_refused() {
    let mut user = Fixture::new();
    user.wants(|document, settings| {
        settings.opted_out = true;
        settings.digest.insert("*".to_owned());
        settings.paused_until = Some(moment("2026-04-01T00:00:00Z"));
        document.muted.push("for_you".to_owned());
    });
    user.quiet("00:00", "23:59");
    user.consents(Purpose::Marketing, false);
    user.consents(Purpose::Profiling, false);
    let answer = user.login(1);
    assert_eq!((answer.outcomes(), answer.reason("login")), (vec!["login send".to_owned()], "solicited"));
}

#[test]
fn an_answer_to_a_login_takes_no_place_in_a_cap() {
    let mut shop = Shop::new();
    shop.policy(json!({"caps": [{"category": "*", "window_min": 60, "max": 1}]}));
    let mut user = Fixture::of(7, shop);
    assert_eq!(user.login(1).outcomes(), ["login send"]);
    assert_eq!(user.announce("announcement", "news").outcomes(), ["announcement send"]);
    user.leave(1);
    user.until("2026-03-04T12:01:00Z");
    assert_eq!(user.login(2).outcomes(), ["login send"], "nor is it held to one");
}

#[test]
fn a_login_to_an_empty_catalogue_is_answered_with_a_welcome() {
    let mut shop = Shop::new();
    shop.catalogue = Default::default();
    let answer = Fixture::of(7, shop).login(1);
    assert_eq!((answer.shown(1), answer.message().items.len()), (vec!["Welcome".to_owned()], 0));
}

#[test]
fn a_tab_opened_within_a_minute_gets_the_same_answer() {
    let mut user = Fixture::new();
    let first = user.connect(1, bare());
    user.until("2026-03-04T12:00:59Z");
    let second = user.connect(2, bare());
    assert_eq!((second.outcomes().len(), second.messages().len()), (0, 0));
    assert_eq!(second.frames(2)[0], first.frames(1)[0]);
}

#[test]
fn a_second_tab_gets_the_same_answer_whatever_the_client_says_of_itself() {
    for (first, second) in
        [(bare(), bare()), (from("UTC", "en"), from("UTC", "en")), (bare(), from("UTC", "en"))]
    {
        let mut user = Fixture::new();
        let id = user.connect(1, first).message().notification_id.to_string();
        user.until("2026-03-04T12:59:00Z");
        let answer = user.connect(2, second);
        assert_eq!((answer.outcomes().len(), answer.messages().len()), (0, 0), "no second message");
        let got = |connection| {
            let frames = answer.frames(connection);
            let picked = frames.into_iter().filter(|frame| frame["type"] == "recommendation");
            picked.map(|frame| frame["notification_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((got(2), got(1)), (vec![id], vec![]), "the first tab hears nothing of it");
    }
}

#[test]
fn a_tab_that_opens_while_the_answer_is_being_stored_waits_for_it() {
    for login in [bare(), from("UTC", "en")] {
        let mut user = Fixture::new();
        let logs_in = |connection| crate::decide::Input::LoggedIn {
            connection: ConnectionId(connection),
            login: Box::new(login.clone()),
        };
        let outgoing = user.step(logs_in(1)).outgoing()[0].clone();
        assert_eq!(user.step(logs_in(2)).outgoing().len(), 0);
        let stored = user.answer(&outgoing, true);
        for connection in [1, 2] {
            assert_eq!(stored.shown(connection), ["Picked for you"], "{connection}");
            let welcomed = stored.types(connection).contains(&"welcome".to_owned());
            assert_eq!(welcomed, login.is_bare(), "after the answer, or before it");
        }
    }
}

#[test]
fn an_answer_that_has_expired_or_was_withdrawn_is_not_given_to_another_tab() {
    let mut user = Fixture::new();
    let id = user.connect(1, from("UTC", "en")).message().notification_id;
    user.on(crate::decide::Input::InboxChanged(crate::deliver::Input::Withdrawn(id)));
    assert_eq!(user.connect(2, from("UTC", "en")).outcomes(), ["login send"]);
    user.until("2026-04-04T12:00:00Z");
    assert_eq!(user.connect(3, from("UTC", "en")).outcomes(), ["login send"]);
}

#[test]
fn a_visit_a_minute_after_the_last_gets_an_answer_of_its_own() {
    let mut user = Fixture::new();
    user.connect(1, bare());
    user.leave(1);
    user.until("2026-03-04T12:01:00Z");
    assert_eq!(user.connect(2, bare()).outcomes(), ["login send"]);
}

#[test]
fn a_tab_sees_what_the_user_asked_for_since_the_last_answer() {
    let mut user = Fixture::new();
    user.connect(1, bare());
    user.wants(|_, settings| settings.mute(crate::notify::policy::Mute::Brand("Acme".to_owned())));
    let second = user.connect(2, bare());
    assert_eq!(externals(&second.message().items), [124, 122, 120, 118, 116]);
}

#[test]
fn a_client_that_resumes_gets_what_it_missed_and_no_new_answer() {
    let mut user = Fixture::connected();
    user.leave(1);
    user.say(json!({"title": "missed"}));
    let resumed = user.resume(2, 1);
    assert_eq!(
        (resumed.types(2)[..2].to_vec(), resumed.shown(2)),
        (vec!["welcome".to_owned(), "notification".to_owned()], vec!["missed".to_owned()])
    );
    assert_eq!(resumed.messages().len(), 0);
}

#[test]
fn a_client_that_resumes_another_stream_is_told_so_and_answered_anew() {
    let mut user = Fixture::connected();
    user.leave(1);
    user.until("2026-03-04T12:01:00Z");
    let resume = Some(Resume { epoch: "before".to_owned(), offset: 1 });
    let answer = user.connect(2, Login { resume, ..Login::default() });
    assert_eq!(answer.frames(2)[0]["recovered"], false);
    assert_eq!(answer.outcomes(), ["login send"]);
}

#[test]
fn a_device_tells_its_zone_and_language_once() {
    let mut user = Fixture::new();
    let is_preferences = |record: &&Record| matches!(record, Record::Preferences(..));
    let first = user.connect(1, from("Asia/Tokyo", "de"));
    assert_eq!(first.records().into_iter().filter(is_preferences).count(), 1);
    assert_eq!(user.stored.document.time_zone.as_deref(), Some("Asia/Tokyo"));
    assert_eq!(first.shown(1), ["Für Sie ausgesucht"]);
    let second = user.connect(2, from("Asia/Tokyo", "de"));
    assert_eq!(second.records().into_iter().filter(is_preferences).count(), 0);
}

#[test]
fn a_zone_that_does_not_exist_is_not_kept() {
    let mut user = Fixture::new();
    user.connect(1, from("Middle/Earth", "de"));
    assert_eq!(user.stored.document.time_zone, None);
    assert_eq!(user.stored.document.locale.as_deref(), Some("de"));
}

#[test]
fn a_language_that_does_not_exist_is_not_kept() {
    for locale in ["", "!!", "german"] {
        let mut user = Fixture::new();
        user.connect(1, from("Asia/Tokyo", locale));
        assert_eq!(user.stored.document.locale, None, "{locale}");
        assert_eq!(user.stored.document.time_zone.as_deref(), Some("Asia/Tokyo"));
    }
}

#[test]
fn one_connection_too_many_is_refused_and_not_answered() {
    let mut shop = Shop::new();
    shop.config.socket.max_connections_per_user = 1;
    let mut user = Fixture::connected_to(shop);
    let refused = user.login(2);
    assert!(refused.contains(&Effect::Close(ConnectionId(2), CloseCode::TooManyConnections)));
    assert_eq!((refused.messages().len(), refused.types(2).len()), (0, 0));
}

#[test]
fn a_robot_is_welcomed_and_not_answered() {
    let mut user = Fixture::new();
    user.state.robot_since = Some(user.shop.now);
    assert_eq!(user.login(1).types(1), ["welcome"]);
    let bare = user.connect(2, bare());
    assert_eq!((bare.types(2), bare.decisions().len()), (vec!["welcome".to_owned()], 0));
}

#[test]
fn the_first_of_several_connections_is_a_visit() {
    let mut user = Fixture::new();
    let visits = |effects: &[Effect]| {
        effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Learn(lesson) if **lesson == Lesson::Visit(12)))
            .count()
    };
    assert_eq!((visits(&user.login(1)), visits(&user.login(2))), (1, 0));
    user.leave(1);
    user.leave(2);
    assert_eq!(visits(&user.login(3)), 1);
}

#[test]
fn a_login_and_the_last_goodbye_note_that_the_user_was_here() {
    let mut user = Fixture::new();
    let noted = |effects: &super::fixture::Effects| {
        effects.records().iter().any(|record| matches!(record, Record::Connected(..)))
    };
    assert!(noted(&user.login(1)) && noted(&user.login(2)));
    assert!(!noted(&user.leave(1)));
    assert!(noted(&user.leave(2)));
}

#[test]
fn who_returns_after_a_month_is_greeted_with_what_is_new_once() {
    let mut user = Fixture::new();
    user.view(105);
    user.shop.now = user.shop.now.plus_days(31.0);
    let returned = user.login(1);
    assert_eq!(returned.outcomes(), ["login send", "win_back drop"]);
    assert_eq!(returned.reason("win_back"), "repeat", "the answer named the same items a moment ago");
    let mut shop = Shop::new();
    shop.policy(json!({"repeat_window_min": 0}));
    let mut user = Fixture::of(7, shop);
    user.view(105);
    user.shop.now = user.shop.now.plus_days(31.0);
    assert_eq!(user.login(1).outcomes(), ["login send", "win_back send"]);
    user.leave(1);
    user.pass(1);
    assert_eq!(user.login(2).outcomes(), ["login send"]);
}

/// Visits in which nothing is done, each of a server that was started anew; what each was told.
fn visits(user: &mut Fixture, days: &[f64]) -> Vec<Vec<String>> {
    let begin = user.shop.now;
    let visit = |day: &f64| {
        user.shop.now = begin.plus_days(*day);
        user.restart();
        let outcomes = user.login(1).outcomes();
        user.leave(1);
        outcomes
    };
    days.iter().map(visit).collect()
}

#[test]
fn a_rule_that_goes_off_once_does_so_in_one_of_many_visits() {
    let mut shop = Shop::new();
    let rule = json!({"min_recency_days": 30.0});
    shop.trigger(json!({"name": "spring", "when": {"kind": "segment", "rule": rule},
        "category": "promotions", "template": "login"}));
    shop.policy(json!({"repeat_window_min": 0}));
    let mut user = Fixture::of(7, shop);
    let told = visits(&mut user, &[0.0, 1.0, 8.0, 16.0]);
    let spring = |outcomes: &Vec<String>| outcomes.contains(&"spring send".to_owned());
    assert_eq!(told.iter().map(spring).collect::<Vec<_>>(), [true, false, false, false], "{told:?}");
}

#[test]
fn a_visit_without_an_event_ends_an_absence() {
    let mut shop = Shop::new();
    shop.trigger(json!({"name": "win_back", "when": {"kind": "win_back", "days": 7}, "category": "for_you",
        "template": "win_back"}));
    shop.policy(json!({"repeat_window_min": 0}));
    let mut user = Fixture::of(7, shop);
    user.view(105);
    let told = visits(&mut user, &[1.0, 7.5, 14.6, 14.7]);
    let won_back = |outcomes: &Vec<String>| outcomes.contains(&"win_back send".to_owned());
    assert_eq!(told.iter().map(won_back).collect::<Vec<_>>(), [false, false, true, false], "{told:?}");
}

#[test]
fn who_resumes_after_a_month_is_greeted_with_what_is_new() {
    let mut user = Fixture::connected();
    user.leave(1);
    user.shop.now = user.shop.now.plus_days(31.0);
    assert_eq!(user.resume(2, 1).outcomes(), ["win_back send"]);
}

#[test]
fn who_has_had_a_page_open_all_the_time_is_not_won_back() {
    let mut user = Fixture::connected();
    user.shop.now = user.shop.now.plus_days(31.0);
    assert_eq!(user.login(2).outcomes(), ["login send"]);
    assert_eq!(user.resume(3, 2).outcomes(), [] as [&str; 0]);
}

#[test]
fn a_newcomer_is_not_won_back() {
    assert_eq!(Fixture::new().login(1).outcomes(), ["login send"]);
}

#[test]
fn what_is_due_when_the_user_comes_is_told_within_a_second() {
    let mut user = Fixture::new();
    assert_eq!(user.announce("announcement", "while you were away").messages().len(), 0);
    assert_eq!(user.login(1).outcomes(), ["login send"]);
    let told = user.until("2026-03-04T12:00:01Z");
    assert_eq!(told.shown(1), ["while you were away"]);
    assert_eq!(user.stored.deferred, []);
}

#[test]
fn a_login_does_not_count_as_an_event() {
    let mut user = Fixture::connected();
    assert_eq!(user.state.profile.last_seen(), None);
    user.acts(EventKind::View, 105);
    assert_eq!(user.state.profile.last_seen(), Some(moment(NOON)));
}
