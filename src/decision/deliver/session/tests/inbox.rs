//! Changes of the inbox on one device hold on all, and the counts are those of all messages, also of those that are too
//! old to be held with their frames.

use uuid::Uuid;

use super::super::*;
use crate::deliver::stream::MAX_ENTRIES;

const NOW: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(2_000_000);

fn id(offset: i64) -> NotificationId {
    NotificationId(Uuid::from_u128(offset as u128))
}

fn entry(offset: i64) -> Entry {
    Entry::new(offset, id(offset), Timestamp(i64::MAX), offset.to_string().into(), Class::Notification)
}

/// Pages 1 and 2, and so many messages that nobody acknowledged.
fn session(messages: i64) -> Session {
    let mut session = Session::new("e", Stream::new(0, 0, 0, Vec::new()).with_older(Vec::new()), NOW, 4);
    for page in 1..=2 {
        session.on(Input::Connected { connection: ConnectionId(page), resume: None }, NOW);
        session.on(Input::CatchUp(ConnectionId(page)), NOW);
    }
    for offset in 1..=messages {
        session.on(Input::Stored(entry(offset)), NOW);
        session.on(Input::Acknowledged { offset }, NOW);
    }
    session
}

fn change(session: &mut Session, offset: i64, change: Change, at: Timestamp) -> Vec<Effect> {
    session.on(Input::Change { ids: vec![id(offset)], change, at, by: Some(ConnectionId(1)) }, at)
}

fn over_http(session: &mut Session, offset: i64, change: Change, at: Timestamp) -> Vec<Effect> {
    session.on(Input::Change { ids: vec![id(offset)], change, at, by: None }, NOW)
}

/// News of a page, in short.
fn told(effects: &[Effect], page: u64) -> Vec<String> {
    let of = |effect: &Effect| {
        let Effect::Send(connection, frame) = effect else { return None };
        let json: serde_json::Value = serde_json::from_str(frame).unwrap();
        let text = match json["type"].as_str().unwrap() {
            "inbox" => format!("inbox {} {}", json["unread"], json["unseen"]),
            "error" => format!("error {}", json["code"].as_str().unwrap()),
            kind => format!("{kind} {}", json["reason"].as_str().unwrap()),
        };
        (connection.0 == page).then_some(text)
    };
    effects.iter().filter_map(of).collect()
}

#[test]
fn two_hundred_unread_are_counted_and_read_at_once() {
    let mut session = session(200);
    let all = Counts { unread: 200, unseen: 200 };
    assert_eq!((session.counts(NOW), session.stream.n_older()), (all, 200 - MAX_ENTRIES));
    let effects = session.on(Input::ReadAll { up_to: i64::MAX, at: NOW, by: Some(ConnectionId(1)) }, NOW);
    assert_eq!(told(&effects, 1), ["inbox 0 0"]);
    assert_eq!(told(&effects, 2).len(), 201, "each of them, and the counts");
    assert_eq!(effects[0], Effect::RecordReadAll(200), "one record, not a list of ids");
    let again = session.on(Input::ReadAll { up_to: i64::MAX, at: NOW, by: Some(ConnectionId(1)) }, NOW);
    assert_eq!(again, []);
}

#[test]
fn everything_up_to_a_place_is_read() {
    let mut session = session(200);
    let effects = session.on(Input::ReadAll { up_to: 150, at: NOW, by: Some(ConnectionId(1)) }, NOW);
    assert_eq!(
        (told(&effects, 1), &effects[0]),
        (vec!["inbox 50 50".to_owned()], &Effect::RecordReadAll(150))
    );
}

#[test]
fn very_many_changes_at_once_do_not_fill_a_pipe() {
    let mut session = session(1_000);
    let effects = session.on(Input::ReadAll { up_to: i64::MAX, at: NOW, by: None }, NOW);
    assert_eq!(told(&effects, 2).len(), MAX_NEWS + 1);
    assert_eq!(told(&effects, 2).last().unwrap(), "inbox 0 0");
}

#[test]
fn each_change_is_told_to_the_other_pages_and_counted() {
    let mut session = session(1);
    let until = Timestamp(LATER.0 * 2);
    let mut at = NOW;
    for (wish, other, counts) in [
        (Change::Read, "withdraw read_elsewhere", "inbox 0 0"),
        (Change::Unread, "restore unread", "inbox 1 0"),
        (Change::Archive, "withdraw archived", "inbox 0 0"),
        (Change::Unarchive, "restore unarchived", ""),
        (Change::Snooze(until), "withdraw snoozed", ""),
        (Change::Unread, "restore unread", "inbox 1 0"),
        (Change::Snooze(until), "withdraw snoozed", "inbox 0 0"),
        (Change::Unarchive, "restore unarchived", ""),
        (Change::Unread, "restore unread", "inbox 1 0"),
        (Change::Delete, "withdraw deleted", "inbox 0 0"),
    ] {
        at = Timestamp(at.0 + 1);
        let effects = change(&mut session, 1, wish, at);
        let counts: Vec<&str> = [counts].into_iter().filter(|counts| !counts.is_empty()).collect();
        assert_eq!(told(&effects, 1), counts, "{wish:?}");
        assert_eq!(told(&effects, 2), [&[other], &counts[..]].concat(), "{wish:?}");
        assert!(effects.contains(&Effect::RecordChange(vec![id(1)], wish)), "{wish:?}");
        if wish != Change::Delete {
            assert_eq!(change(&mut session, 1, wish, at), [], "{wish:?} once more");
        }
    }
}

#[test]
fn what_is_changed_over_http_is_told_to_every_page_and_not_recorded() {
    let mut session = session(1);
    let effects = over_http(&mut session, 1, Change::Archive, NOW);
    assert_eq!(
        (told(&effects, 1), effects.len()),
        (vec!["withdraw archived".to_owned(), "inbox 0 0".to_owned()], 4)
    );
}

#[test]
fn an_earlier_change_that_comes_late_changes_nothing() {
    let mut session = session(1);
    change(&mut session, 1, Change::Archive, LATER);
    assert_eq!(over_http(&mut session, 1, Change::Unread, NOW), []);
    assert_eq!(over_http(&mut session, 1, Change::Snooze(Timestamp(LATER.0 * 2)), NOW), []);
}

#[test]
fn a_snoozed_message_returns_unread_and_unseen() {
    let mut session = session(2);
    session.on(Input::Seen { up_to: 2, at: NOW, by: Some(ConnectionId(1)) }, NOW);
    change(&mut session, 1, Change::Snooze(LATER), NOW);
    assert_eq!(session.next_change(), Some(LATER));
    session.on(
        Input::ReadAll { up_to: 2, at: Timestamp(NOW.0 + 1), by: Some(ConnectionId(1)) },
        Timestamp(NOW.0 + 1),
    );
    assert_eq!(told(&session.on(Input::Tick, Timestamp(LATER.0 - 1)), 1), [] as [&str; 0]);
    let effects = session.on(Input::Tick, LATER);
    for page in 1..=2 {
        assert_eq!(told(&effects, page), ["restore returned", "inbox 1 1"]);
    }
    assert_eq!(session.on(Input::Tick, Timestamp(LATER.0 + 1)), [], "once");
}

#[test]
fn what_is_away_is_not_replayed_and_does_not_make_a_resume_incomplete() {
    let mut session = session(3);
    change(&mut session, 2, Change::Snooze(LATER), NOW);
    change(&mut session, 3, Change::Archive, NOW);
    let resume = Some(Resume { epoch: "e".to_owned(), offset: 0 });
    let effects = session.on(Input::Connected { connection: ConnectionId(3), resume }, NOW);
    let replayed: Vec<&Effect> =
        effects.iter().filter(|effect| matches!(effect, Effect::Replay(..))).collect();
    assert_eq!(replayed, [&Effect::Replay(ConnectionId(3), "1".into())]);
    assert!(effects.contains(&Effect::Welcome { connection: ConnectionId(3), recovered: true }));
}

#[test]
fn bad_wishes_are_answered_and_change_nothing() {
    let mut session = session(1);
    session.on(Input::Stored(Entry { expires_at: LATER, ..entry(2) }), NOW);
    for (offset, wish, code) in [
        (1, Change::Snooze(NOW), "error bad_until"),
        (2, Change::Snooze(LATER), "error bad_until"),
        (9, Change::Snooze(LATER), "error unknown_notification"),
        (9, Change::Unread, "error unknown_notification"),
        (9, Change::Unarchive, "error unknown_notification"),
    ] {
        let effects = change(&mut session, offset, wish, NOW);
        assert_eq!((told(&effects, 1), effects.len()), (vec![code.to_owned()], 1), "{wish:?}");
    }
    // A message that memory does not hold may have expired a moment ago.
    assert_eq!(change(&mut session, 9, Change::Read, NOW), [Effect::RecordChange(vec![id(9)], Change::Read)]);
}

#[test]
fn older_messages_are_changed_like_the_others() {
    let mut session = session(200);
    let effects = change(&mut session, 1, Change::Delete, NOW);
    assert_eq!(told(&effects, 2), ["withdraw deleted", "inbox 199 199"]);
    let effects = change(&mut session, 2, Change::Archive, NOW);
    assert_eq!(told(&effects, 2), ["withdraw archived", "inbox 198 198"]);
    session.on(Input::Withdrawn(id(3)), NOW);
    let effects = session.on(Input::Seen { up_to: 100, at: NOW, by: Some(ConnectionId(1)) }, NOW);
    assert_eq!(told(&effects, 2), ["inbox 197 100"]);
}

#[test]
fn a_collapse_key_reaches_older_messages() {
    let keyed = |offset| Entry { collapse_key: Some("k".into()), ..entry(offset) };
    let older = vec![keyed(1), entry(2)];
    let mut session = Session::new("e", Stream::new(2, 2, 2, Vec::new()).with_older(older), NOW, 4);
    session.on(Input::Connected { connection: ConnectionId(1), resume: None }, NOW);
    assert_eq!(session.counts(NOW).unread, 2);
    let effects = session.on(Input::Stored(keyed(3)), NOW);
    let frames: Vec<&Frame> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(_, frame) => Some(frame),
            _ => None,
        })
        .collect();
    assert_eq!(
        (frames.len(), session.counts(NOW).unread),
        (2, 2),
        "a withdrawal and the message: {effects:?}"
    );
}

/// Read again from rows that know nothing of what was done on a connection a moment ago.
fn read_again(before: &Session, rows: i64, change: impl Fn(&mut Entry)) -> (Session, Vec<Effect>) {
    let mut all: Vec<Entry> = (1..=rows).map(entry).collect();
    all.iter_mut().for_each(change);
    let tail = all.split_off(all.len().saturating_sub(MAX_ENTRIES));
    let floor = tail[0].offset - 1;
    let mut after = Session::new("e", Stream::new(rows, rows, floor, tail).with_older(all), NOW, 4);
    after.on(Input::Tick, NOW);
    let effects = after.take_over(before, NOW);
    (after, effects)
}

#[test]
fn what_is_not_stored_yet_outlives_reading_again_of_older_messages_too() {
    let mut before = session(200);
    for offset in [1, 199] {
        change(&mut before, offset, Change::Delete, NOW);
        change(&mut before, offset + 1, Change::Archive, NOW);
    }
    let (after, effects) = read_again(&before, 200, |_| ());
    assert_eq!((effects, after.counts(NOW)), (vec![], Counts { unread: 196, unseen: 196 }));
    let (after, effects) = read_again(&before, 200, |entry| match entry.offset {
        3 | 198 => entry.marks.apply(Change::Archive, NOW),
        4 => entry.withdrawn = true,
        _ => {}
    });
    let expected = ["withdraw archived", "withdraw withdrawn", "withdraw archived", "inbox 193 193"];
    assert_eq!((told(&effects, 1), after.counts(NOW).unread), (expected.map(str::to_owned).to_vec(), 193));
}
