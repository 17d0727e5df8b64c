//! A call of the shop that names several ids of one person, who were merged: told once, the others are refused with a stored reason.

use serde_json::json;
use uuid::Uuid;

use super::fixture::{Effects, Fixture};
use crate::decide::record::DeferredRow;
use crate::decide::{ApiMessage, Input};

const CALL: Uuid = Uuid::from_u128(17);

/// A message of a call to one of the user's ids.
fn say(user: &mut Fixture, is_to_many: bool, title: &str) -> Effects {
    let message = user.message(json!({"title": title, "priority": "transactional"}));
    user.offer(ApiMessage { call: Some(CALL), is_to_many, ..message })
}

#[test]
fn a_message_to_many_reaches_a_person_of_several_ids_once() {
    let mut user = Fixture::connected();
    assert_eq!(say(&mut user, true, "Sale").titles(), ["Sale"]);
    for restarts in [false, true] {
        if restarts {
            user.restart();
        }
        let again = say(&mut user, true, "Sale");
        assert_eq!((again.messages().len(), again.reason("api")), (0, "said_before"));
        assert_eq!(again.decision("api").call, Some(CALL));
    }
    let message = user.message(json!({"title": "Another call"}));
    let other = ApiMessage { call: Some(Uuid::from_u128(18)), is_to_many: true, ..message };
    assert_eq!(user.offer(other).titles(), ["Another call"]);
}

#[test]
fn the_second_is_refused_while_the_first_is_being_stored_and_told_when_that_fails() {
    let mut user = Fixture::connected();
    let message = |user: &Fixture| {
        let message = user.message(json!({"title": "Sale"}));
        ApiMessage { call: Some(CALL), is_to_many: true, ..message }
    };
    let first = message(&user);
    let placed = user.step(Input::MessageOfApi(first.clone()));
    let second = message(&user);
    assert_ne!(first.id, second.id);
    assert_eq!(user.step(Input::MessageOfApi(second)).reason("api"), "said_before");
    let failed = user.answer(&placed.outgoing()[0].clone(), false);
    assert!(failed.reloads());
    let stored = user.stored.clone();
    user.reload(&stored);
    assert_eq!(user.offer(first).titles(), ["Sale"]);
}

#[test]
fn messages_of_one_request_with_words_of_their_own_are_told_each() {
    let mut user = Fixture::connected();
    for title in ["one", "two"] {
        assert_eq!(say(&mut user, false, title).titles(), [title]);
    }
    user.restart();
    user.login(1);
    assert_eq!(say(&mut user, false, "three").titles(), ["three"]);
}

#[test]
fn a_trigger_of_one_call_tells_a_person_once() {
    let mut user = Fixture::connected();
    let fire = |user: &mut Fixture| {
        let row = user.row("announcement", None, json!({"title": "Ready", "body": "."}));
        let row = DeferredRow { call: Some(CALL), ..row };
        user.stored.deferred.push(row.clone());
        user.on(Input::TriggerFired(Box::new(row)))
    };
    assert_eq!(fire(&mut user).titles(), ["Ready"]);
    assert_eq!(fire(&mut user).reason("announcement"), "said_before");
    assert!(user.stored.deferred.is_empty(), "neither waits");
    assert_eq!(user.announce("announcement", "Ready").titles(), ["Ready"], "another call");
}
