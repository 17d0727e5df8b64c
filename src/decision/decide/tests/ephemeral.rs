//! Ephemeral messages of the API: shown to open pages, stored nowhere.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api_messages::capped;
use super::fixture::Fixture;
use crate::decide::{Announcement, Input};
use crate::deliver::frames;

pub(super) fn ephemeral(user: &Fixture, body: Value, segment: Option<u8>) -> Input {
    let (id, message) = (user.message(body.clone()).id, user.message(body).content.message.clone());
    let frame = frames::ephemeral(id, &message, user.shop.now);
    Input::Ephemeral(Arc::new(Announcement { id, message, segment, frame }))
}

#[test]
fn an_ephemeral_message_is_shown_to_open_pages_and_kept_nowhere() {
    let mut user = Fixture::connected();
    let shown = user.on(ephemeral(&user, json!({"title": "2:1"}), None));
    assert_eq!((shown.shown(1), shown.messages().len()), (vec!["2:1".to_owned()], 0));
    let mut absent = Fixture::new();
    assert_eq!(absent.on(ephemeral(&absent, json!({"title": "2:1"}), None)).0, []);
}

#[test]
fn an_ephemeral_message_disturbs_nobody_who_does_not_want_it() {
    type Change = fn(&mut Fixture);
    let changes: [(&str, Change); 4] = [
        ("muted", |user| drop(user.mute("score"))),
        ("quiet", |user| drop(user.quiet("11:00", "14:00"))),
        ("digest", |user| drop(user.digest("*"))),
        ("hidden", |user| drop(user.tells(1, json!({"type": "presence", "visible": false})))),
    ];
    for (name, change) in changes {
        let mut user = Fixture::connected();
        change(&mut user);
        let shown = user.on(ephemeral(&user, json!({"title": "2:1", "kind": "score"}), None));
        assert_eq!(shown.shown(1), [] as [&str; 0], "{name}");
    }
}

#[test]
fn an_ephemeral_message_to_a_segment_is_shown_to_nobody_outside_it() {
    let mut user = Fixture::connected();
    assert_eq!(user.on(ephemeral(&user, json!({"title": "2:1"}), Some(1))).0, []);
    user.state.segment = Some(tidings_core::profile::SegmentId(1));
    assert_eq!(user.on(ephemeral(&user, json!({"title": "2:1"}), Some(1))).shown(1), ["2:1"]);
}

#[test]
fn an_ephemeral_message_takes_its_place_in_a_cap() {
    let mut user = Fixture::connected_to(capped(1));
    user.on(ephemeral(&user, json!({"title": "2:1"}), None));
    assert_eq!(user.say(json!({"title": "news"})).reason("api"), "capped");
    let stored = user.stored.clone();
    user.reload(&stored);
    assert_eq!(user.say(json!({"title": "news"})).reason("api"), "capped", "the store knows nothing of it");
}
