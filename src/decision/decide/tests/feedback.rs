//! Feedback of users on messages: clicks, dismissals, mutes; what is stored of it and what it changes.

use serde_json::{Value, json};

use super::fixture::{Effects, Fixture, externals};
use crate::decide::{DriftNote, Effect, Input, Record};
use crate::feedback::FeedbackOutcome;
use crate::feedback::learner::Lesson;
use crate::notify::policy::Mute;
use tidings_core::base::NotificationId;
use tidings_core::response::Response;

/// Connected, with a message about items like 105.
fn told() -> (Fixture, NotificationId) {
    let mut user = Fixture::connected();
    let id = user.view(105).message().notification_id;
    (user, id)
}

fn answers(user: &mut Fixture, id: NotificationId, outcome: &str) -> Effects {
    user.tells(1, json!({"type": "feedback", "notification_id": id, "outcome": outcome, "item_id": 123}))
}

fn outcomes(effects: &Effects) -> Vec<i16> {
    let of = |record: &Record| if let Record::Feedback(row) = record { Some(row.outcome) } else { None };
    effects.records().into_iter().filter_map(of).collect()
}

fn lessons(effects: &Effects) -> Vec<&Lesson> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Learn(lesson) = effect { Some(&**lesson) } else { None })
        .collect()
}

fn mute(user: &mut Fixture, wish: Value) -> Effects {
    let mut frame = wish;
    frame["type"] = json!("mute");
    user.tells(1, frame)
}

#[test]
fn a_click_is_stored_read_and_learned_from() {
    let (mut user, id) = told();
    let clicked = answers(&mut user, id, "clicked");
    let Some(Record::Feedback(row)) = clicked.records().first().copied() else { panic!("{clicked:?}") };
    assert_eq!((row.outcome, row.item), (2, Some(super::fixture::item(123))));
    assert!(clicked.contains(&Effect::Drift(DriftNote::Response(id, Response::Click))));
    assert!(matches!(lessons(&clicked)[..], [Lesson::Clicked(..)]));
    assert!(clicked.records().iter().any(|record| matches!(record, Record::Mark(_))), "it was read");
    assert_eq!(user.state.policy.contact("similar_items", user.shop.now).clicked_last_week, 1);
}

#[test]
fn the_first_click_is_learned_from() {
    let (mut user, id) = told();
    answers(&mut user, id, "clicked");
    assert_eq!(lessons(&answers(&mut user, id, "clicked")).len(), 0);
}

#[test]
fn feedback_on_an_unknown_message_is_answered_with_an_error() {
    let mut user = Fixture::connected();
    let refused = answers(&mut user, NotificationId(uuid::Uuid::from_u128(1)), "clicked");
    assert_eq!(refused.frames(1)[0]["code"], "unknown_notification");
    assert_eq!(outcomes(&refused), [] as [i16; 0]);
}

#[test]
fn dismissed_items_rest_for_three_days() {
    let mut user = Fixture::connected();
    let id = user.stored.messages[0].0.notification_id;
    let dismissed = answers(&mut user, id, "dismissed");
    assert_eq!(
        (outcomes(&dismissed), lessons(&dismissed).len()),
        (vec![3], 0),
        "a login teaches nothing of wishes"
    );
    let list = |user: &mut Fixture, connection| externals(&user.login(connection).message().items);
    assert_eq!(list(&mut user, 2), [119, 118, 117, 116, 115]);
    user.until("2026-03-07T12:00:01Z");
    assert_eq!(list(&mut user, 3), [124, 123, 122, 121, 120]);
}

#[test]
fn dismissed_items_rest_after_a_restart_too() {
    let mut user = Fixture::connected();
    let id = user.stored.messages[0].0.notification_id;
    answers(&mut user, id, "disliked");
    user.restart();
    assert_eq!(externals(&user.login(1).message().items), [119, 118, 117, 116, 115]);
}

#[test]
fn a_dismissal_is_learned_from() {
    let (mut user, id) = told();
    assert_eq!(lessons(&answers(&mut user, id, "dismissed")), [&Lesson::Dismissed]);
}

#[test]
fn what_was_displayed_is_stored_and_no_response() {
    let (mut user, id) = told();
    let displayed = answers(&mut user, id, "displayed");
    assert_eq!((outcomes(&displayed), lessons(&displayed).len()), (vec![1], 0));
    assert!(!displayed.iter().any(|effect| matches!(effect, Effect::Drift(_))));
}

#[test]
fn an_outcome_that_came_by_http_is_learned_from_and_not_stored_again() {
    let (mut user, id) = told();
    let reported = user.on(Input::Reported(id, FeedbackOutcome::Clicked));
    assert_eq!((outcomes(&reported), lessons(&reported).len()), (vec![], 1));
    let reported = user.on(Input::Reported(id, FeedbackOutcome::Dismissed));
    assert_eq!(reported.records(), [] as [&Record; 0]);
    assert!(!user.state.policy.resting(&user.shop.definitions.rules, user.shop.now).is_empty());
}

#[test]
fn a_muted_message_mutes_its_category_for_good() {
    let (mut user, id) = told();
    let muted = answers(&mut user, id, "muted");
    assert_eq!(
        (outcomes(&muted), user.stored.document.muted.clone()),
        (vec![5], vec!["similar_items".to_owned()])
    );
    assert!(muted.contains(&Effect::Drift(DriftNote::Response(id, Response::Mute))));
    assert_eq!(user.view(106).reason("view"), "muted_category");
    user.restart();
    user.login(1);
    assert_eq!(user.view(107).reason("view"), "muted_category");
}

#[test]
fn a_category_is_muted_by_its_name() {
    let mut user = Fixture::connected();
    let muted = mute(&mut user, json!({"of": "category", "name": "promotion"}));
    assert_eq!(
        (muted.types(1), muted.frames(1)[0]["name"].as_str()),
        (vec!["muted".into()], Some("promotion"))
    );
    assert_eq!(user.say(json!({"title": "sale", "kind": "promotion"})).reason("api"), "muted_category");
}

#[test]
fn what_is_muted_already_is_answered_and_not_stored_again() {
    let mut user = Fixture::connected();
    mute(&mut user, json!({"of": "brand", "name": "Acme"}));
    let again = mute(&mut user, json!({"of": "brand", "name": "Acme"}));
    assert_eq!((again.types(1), again.records().len()), (vec!["muted".to_owned()], 0));
}

#[test]
fn what_a_message_is_about_is_muted_by_its_id() {
    for (of, expected) in [
        ("item", Mute::Item("105".to_owned())),
        ("item_category", Mute::ItemCategory("Watches".to_owned())),
        ("brand", Mute::Brand("Acme".to_owned())),
        ("kind", Mute::Kind("price_drop".to_owned())),
    ] {
        let mut user = Fixture::connected();
        user.view(105);
        let id = user.price(105, 5.0).message().notification_id;
        let muted = mute(&mut user, json!({"of": of, "notification_id": id}));
        assert_eq!(user.stored.document.settings().mutes, [expected]);
        assert!(lessons(&muted).iter().any(|lesson| matches!(lesson, Lesson::Left(_))), "{of}: {muted:?}");
        user.price(105, 10.0);
        assert_eq!(user.price(105, 2.0).reason("price_drop"), "muted_subject", "{of}");
    }
}

#[test]
fn the_category_of_a_message_is_muted_by_its_id_and_counts_as_feedback() {
    let (mut user, id) = told();
    let muted = mute(&mut user, json!({"of": "category", "notification_id": id}));
    assert_eq!(
        (outcomes(&muted), user.stored.document.muted.clone()),
        (vec![5], vec!["similar_items".to_owned()])
    );
}

#[test]
fn another_item_of_the_message_can_be_named() {
    let (mut user, id) = told();
    mute(&mut user, json!({"of": "item", "notification_id": id, "item_id": 111}));
    assert_eq!(user.stored.document.settings().mutes, [Mute::Item("111".to_owned())]);
}

#[test]
fn a_mute_without_room_is_answered_with_an_error_and_takes_no_other_away() {
    let (mut user, id) = told();
    user.wants(|document, settings| {
        document.muted = (0..64).map(|n| format!("category {n}")).collect();
        (0..256).for_each(|n| settings.mute(Mute::Brand(format!("brand {n}"))));
    });
    let full = user.stored.document.clone();
    let refused = |effects: &Effects| {
        assert_eq!(effects.types(1), ["error"]);
        effects.frames(1)[0]["code"].clone()
    };
    for of in ["category", "brand", "kind"] {
        let answer = mute(&mut user, json!({"of": of, "name": "another"}));
        assert_eq!(refused(&answer), "too_many_mutes", "{of}");
    }
    let answer = mute(&mut user, json!({"of": "category", "notification_id": id}));
    assert_eq!((refused(&answer), outcomes(&answer).len()), (json!("too_many_mutes"), 0));
    let answer = answers(&mut user, id, "muted");
    assert_eq!(
        (refused(&answer), outcomes(&answer).len()),
        (json!("too_many_mutes"), 1),
        "it is feedback all the same"
    );
    assert_eq!(user.stored.document, full);
    assert_eq!(mute(&mut user, json!({"of": "brand", "name": "brand 0"})).types(1), ["muted"]);
}

#[test]
fn a_mute_of_nothing_is_answered_with_an_error() {
    let mut user = Fixture::connected();
    let refused = mute(&mut user, json!({"of": "brand"}));
    assert_eq!(
        (refused.frames(1)[0]["code"].as_str(), refused.records().len()),
        (Some("nothing_to_mute"), 0)
    );
}

#[test]
fn a_message_of_the_shop_that_was_dismissed_rests_no_item() {
    let mut user = Fixture::connected();
    let id = user.say(json!({"title": "news"})).message().notification_id;
    answers(&mut user, id, "dismissed");
    assert!(user.state.policy.resting(&user.shop.definitions.rules, user.shop.now).is_empty());
}

#[test]
fn an_order_teaches_nothing_of_when_and_how_much_to_write() {
    let mut user = Fixture::connected();
    let told = user.announce("order_status", "shipped");
    assert_eq!(lessons(&told).len(), 0);
    let (sent, _) = (user.view(105), ());
    assert!(matches!(lessons(&sent)[..], [Lesson::Sent(..)]));
}

#[test]
fn nobody_reports_a_conversion() {
    let (mut user, id) = told();
    let refused = answers(&mut user, id, "converted");
    assert_eq!(outcomes(&refused), [] as [i16; 0]);
    assert_eq!(refused.frames(1)[0]["code"], "bad_outcome");
}
