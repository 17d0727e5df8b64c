//! Single rules by example, and all of them together by random interleavings against a model of the store.

mod devices;
mod inbox;

use uuid::Uuid;

use super::*;
use crate::deliver::stream::MAX_ENTRIES;
use crate::notify::Priority;

const NOW: Timestamp = Timestamp(1_000_000);
const EPOCH: &str = "e";

fn id(offset: i64) -> NotificationId {
    NotificationId(Uuid::from_u128(offset as u128))
}

fn entry(offset: i64) -> Entry {
    Entry::new(offset, id(offset), Timestamp(i64::MAX), offset.to_string().into(), Class::Notification)
}

fn session() -> Session {
    Session::new(EPOCH, Stream::new(0, 0, 0, Vec::new()), NOW, 4)
}

fn read(offset: i64, by: Option<ConnectionId>) -> Input {
    Input::Change { ids: vec![id(offset)], change: Change::Read, at: NOW, by }
}

fn connection(id: u64) -> ConnectionId {
    ConnectionId(id)
}

/// Offsets of the messages sent to a connection.
fn sent_to(effects: &[Effect], id: u64) -> Vec<i64> {
    said_to(effects, id).iter().filter_map(|frame| frame.parse().ok()).collect()
}

fn said_to(effects: &[Effect], id: u64) -> Vec<String> {
    let to = |effect: &Effect| match effect {
        Effect::Send(connection, frame) | Effect::Replay(connection, frame) if connection.0 == id => {
            Some(plain(frame))
        }
        _ => None,
    };
    effects.iter().filter_map(to).collect()
}

/// Withdrawals as `reason offset`, whatever the frame's encoding.
fn plain(frame: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(frame).unwrap_or_default();
    match json["type"].as_str() {
        Some("withdraw") => {
            let id: Uuid = json["notification_id"].as_str().unwrap().parse().unwrap();
            format!("withdraw {} {}", id.as_u128(), json["reason"].as_str().unwrap())
        }
        Some("inbox") => format!("inbox {} {}", json["unread"], json["unseen"]),
        _ => frame.to_owned(),
    }
}

fn resume(session: &mut Session, id: u64, epoch: &str, offset: i64) -> (bool, Vec<i64>) {
    let resume = Some(Resume { epoch: epoch.into(), offset });
    let effects = session.on(Input::Connected { connection: connection(id), resume }, NOW);
    let Effect::Welcome { recovered, .. } = effects[0] else { panic!("{effects:?}") };
    (recovered, sent_to(&effects, id))
}

fn arrive(session: &mut Session, id: u64) -> Vec<Effect> {
    let mut effects = session.on(Input::Connected { connection: connection(id), resume: None }, NOW);
    effects.extend(session.on(Input::CatchUp(connection(id)), NOW));
    effects
}

#[test]
fn a_resume_gets_all_that_was_missed_or_none_of_it() {
    let mut session = session();
    let n = MAX_ENTRIES as i64 + 50;
    for offset in 1..=n {
        session.on(Input::Acknowledged { offset: offset - 1 }, NOW);
        session.on(Input::Stored(entry(offset)), NOW);
    }
    assert_eq!(resume(&mut session, 1, EPOCH, n - 2), (true, vec![n - 1, n]));
    assert_eq!(resume(&mut session, 1, EPOCH, n), (true, vec![]));
    assert_eq!(resume(&mut session, 1, EPOCH, 50), (true, (51..=n).collect()));
    assert_eq!(resume(&mut session, 1, EPOCH, 49), (false, vec![]));
    assert_eq!(resume(&mut session, 1, "other", n), (false, vec![]));
    assert_eq!(resume(&mut session, 1, EPOCH, n + 1), (false, vec![]));
}

#[test]
fn expired_withdrawn_and_superseded_messages_are_not_replayed() {
    let mut session = session();
    session.on(Input::Stored(Entry { expires_at: Timestamp(0), ..entry(1) }), NOW);
    session.on(Input::Stored(entry(2)), NOW);
    session.on(Input::Stored(Entry { collapse_key: Some("k".into()), ..entry(3) }), NOW);
    session.on(Input::Stored(Entry { collapse_key: Some("k".into()), ..entry(4) }), NOW);
    session.on(Input::Stored(entry(5)), NOW);
    session.on(Input::Withdrawn(id(5)), NOW);
    assert_eq!(resume(&mut session, 1, EPOCH, 0), (true, vec![2, 4]));
}

#[test]
fn acknowledgements_are_cumulative_and_recorded_once() {
    let mut session = session();
    session.on(Input::Stored(entry(1)), NOW);
    session.on(Input::Stored(entry(2)), NOW);
    assert_eq!(session.on(Input::Acknowledged { offset: 9 }, NOW), [Effect::RecordAcknowledged(2)]);
    assert_eq!(session.on(Input::Acknowledged { offset: 1 }, NOW), []);
}

#[test]
fn one_connection_too_many_is_refused() {
    let mut session = session();
    for id in 1..=4 {
        arrive(&mut session, id);
    }
    let effects = session.on(Input::Connected { connection: connection(5), resume: None }, NOW);
    assert_eq!(effects, [Effect::Close(connection(5), CloseCode::TooManyConnections)]);
    session.on(Input::Disconnected(connection(2)), NOW);
    assert_eq!(session.n_connections(), 3);
}

#[test]
fn a_client_that_was_never_here_gets_the_notifications_nobody_acknowledged() {
    let mut session = session();
    for offset in 1..=3 {
        session.on(Input::Stored(entry(offset)), NOW);
    }
    session.on(Input::Stored(Entry { class: Class::Recommendation, ..entry(4) }), NOW);
    session.on(Input::Acknowledged { offset: 1 }, NOW);
    session.on(read(2, None), NOW);
    assert_eq!(sent_to(&arrive(&mut session, 1), 1), [3]);
    session.on(Input::Acknowledged { offset: 4 }, NOW);
    assert_eq!(sent_to(&arrive(&mut session, 2), 2), [] as [i64; 0]);
}

/// Session with pages 1 and 2, two messages, read again after `change`: what each page is told.
fn read_again(change: impl Fn(&mut Entry)) -> Vec<[String; 2]> {
    let mut before = session();
    let entries = [entry(1), Entry { collapse_key: Some("k".into()), ..entry(2) }];
    (1..=2).for_each(|id| drop(arrive(&mut before, id)));
    for entry in entries.clone() {
        before.on(Input::Stored(entry), NOW);
    }
    let mut changed = entries.to_vec();
    change(&mut changed[1]);
    let mut after = Session::new(EPOCH, Stream::new(2, 0, 0, changed), NOW, 4);
    let effects = after.take_over(&before, NOW);
    assert_eq!(after.connections(), before.connections());
    let [one, two] = [1, 2].map(|id| said_to(&effects, id));
    one.into_iter().zip(two).map(|(one, two)| [one, two]).collect()
}

#[test]
fn pages_that_stay_while_everything_is_read_again_learn_what_changed_meanwhile() {
    let told =
        |texts: &[&str]| texts.iter().map(|text| [(); 2].map(|()| (*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(read_again(|_| ()), told(&[]));
    assert_eq!(read_again(|entry| entry.withdrawn = true), told(&["withdraw 2 withdrawn", "inbox 1 1"]));
    assert_eq!(read_again(|entry| entry.marks.read(NOW)), told(&["withdraw 2 read_elsewhere", "inbox 1 1"]));
    assert_eq!(read_again(|entry| entry.marks.see(NOW)), told(&["inbox 2 1"]));
}

#[test]
fn what_is_let_go_of_while_everything_is_read_again_is_taken_from_pages() {
    let mut before = session();
    arrive(&mut before, 1);
    (1..=3).for_each(|offset| drop(before.on(Input::Stored(entry(offset)), NOW)));
    // Nothing that is gone is in memory: the oldest of it is not held, the second was taken back.
    let mut after = Session::new(EPOCH, Stream::new(3, 0, 1, vec![entry(3)]), NOW, 4);
    let told = said_to(&after.take_over(&before, NOW), 1);
    assert_eq!(told, ["withdraw 2 withdrawn", "inbox 1 1"]);
}

#[test]
fn a_message_that_expired_no_longer_counts_whatever_becomes_of_it() {
    let changes = [
        read(1, None),
        Input::ReadAll { up_to: i64::MAX, at: NOW, by: None },
        Input::Seen { up_to: 1, at: NOW, by: None },
        Input::Withdrawn(id(1)),
    ];
    for change in changes {
        let mut session = session();
        arrive(&mut session, 1);
        session.on(Input::Stored(Entry { expires_at: Timestamp(NOW.0 + 10), ..entry(1) }), NOW);
        let effects = session.on(change, Timestamp(NOW.0 + 20));
        assert_eq!(said_to(&effects, 1), ["inbox 0 0"]);
    }
}

#[test]
fn marks_that_are_not_stored_yet_outlive_reading_again() {
    let mut before = session();
    arrive(&mut before, 1);
    for offset in 1..=3 {
        before.on(Input::Stored(entry(offset)), NOW);
    }
    before.on(read(1, Some(connection(1))), NOW);
    before.on(Input::Seen { up_to: 2, at: NOW, by: Some(connection(1)) }, NOW);
    before.on(Input::Acknowledged { offset: 2 }, NOW);
    let mut after = Session::new(EPOCH, Stream::new(3, 0, 0, (1..=3).map(entry).collect()), NOW, 4);
    assert_eq!(after.take_over(&before, NOW), [], "the page knows all of it");
    assert_eq!(sent_to(&arrive(&mut after, 2), 2), [3], "the first two were received");
    assert!(said_to(&arrive(&mut after, 3), 3).contains(&"inbox 2 1".to_owned()));
}

#[test]
fn what_gave_way_stays_away_though_the_store_does_not_say_so_yet() {
    let mut before = session();
    arrive(&mut before, 1);
    let urgent = |offset| Entry { priority: Priority::Transactional, ..entry(offset) };
    (1..=128).for_each(|offset| drop(before.on(Input::Stored(urgent(offset)), NOW)));
    let effects = before.on(Input::Stored(entry(129)), NOW);
    assert_eq!(effects, [Effect::RecordSuperseded(id(129))]);
    let all = (2..=128).map(urgent).chain([entry(129)]).collect();
    let mut after = Session::new(EPOCH, Stream::new(129, 0, 1, all), NOW, 4);
    after.take_over(&before, NOW);
    assert_eq!(resume(&mut after, 3, EPOCH, 127).1, [128]);
}

#[test]
fn pages_are_closed_where_what_they_missed_is_not_all_held() {
    let mut before = session();
    arrive(&mut before, 1);
    let mut after = Session::new(EPOCH, Stream::new(9, 0, 5, (6..=9).map(entry).collect()), NOW, 4);
    assert_eq!(after.take_over(&before, NOW), [Effect::Close(connection(1), CloseCode::StreamLost)]);
    assert_eq!(after.n_connections(), 0, "it will not say goodbye: nobody is looking any more");
}

#[test]
fn a_count_that_is_the_same_again_is_news_to_a_page_that_came_in_between() {
    let mut session = session();
    arrive(&mut session, 1);
    session.on(Input::Stored(Entry { expires_at: Timestamp(NOW.0 + 10), ..entry(1) }), NOW);
    let later = Timestamp(NOW.0 + 20);
    let resume = Some(Resume { epoch: EPOCH.into(), offset: 1 });
    let effects = session.on(Input::Connected { connection: connection(2), resume }, later);
    assert_eq!((said_to(&effects, 1), said_to(&effects, 2)), (vec!["inbox 0 0".to_owned()], vec![]));
    let effects = session.on(Input::Stored(entry(2)), later);
    assert_eq!(said_to(&effects, 2), ["2", "inbox 1 1"]);
}

#[test]
fn what_gives_way_itself_is_not_shown() {
    let mut session = session();
    arrive(&mut session, 1);
    for offset in 1..=MAX_ENTRIES as i64 {
        session.on(Input::Stored(Entry { priority: Priority::High, ..entry(offset) }), NOW);
    }
    let new = Entry { priority: Priority::Low, ..entry(MAX_ENTRIES as i64 + 1) };
    assert_eq!(session.on(Input::Stored(new.clone()), NOW), [Effect::RecordSuperseded(new.id)]);
}

#[test]
fn what_is_read_on_one_device_is_read_on_all() {
    let mut session = session();
    arrive(&mut session, 1);
    arrive(&mut session, 2);
    let effects = session.on(Input::Stored(entry(1)), NOW);
    assert_eq!(said_to(&effects, 2), ["1", "inbox 1 1"]);
    let effects = session.on(Input::Seen { up_to: 1, at: NOW, by: Some(connection(1)) }, NOW);
    assert_eq!(said_to(&effects, 2), ["inbox 1 0"]);
    assert!(effects.contains(&Effect::RecordSeen(1)));
    let effects = session.on(read(1, Some(connection(1))), NOW);
    assert_eq!(said_to(&effects, 1), ["inbox 0 0"]);
    assert_eq!(said_to(&effects, 2), ["withdraw 1 read_elsewhere", "inbox 0 0"]);
    assert!(effects.contains(&Effect::RecordChange(vec![id(1)], Change::Read)));
    assert_eq!(session.on(read(1, Some(connection(2))), NOW), [], "once");
    session.on(Input::Stored(entry(2)), NOW);
    let effects = session.on(Input::ReadAll { up_to: i64::MAX, at: NOW, by: Some(connection(2)) }, NOW);
    assert_eq!(said_to(&effects, 1), ["withdraw 2 read_elsewhere", "inbox 0 0"]);
}

#[test]
fn a_message_that_expires_unread_is_withdrawn_everywhere() {
    let mut session = session();
    arrive(&mut session, 1);
    session.on(Input::Stored(Entry { expires_at: Timestamp(NOW.0 + 1), ..entry(1) }), NOW);
    let effects = session.on(Input::Tick, Timestamp(NOW.0 + 2));
    assert_eq!(said_to(&effects, 1), ["withdraw 1 expired", "inbox 0 0"]);
    assert_eq!(session.on(Input::Tick, Timestamp(NOW.0 + 3)), []);
}

#[test]
fn too_many_unacknowledged_the_least_important_gives_way() {
    let mut session = session();
    session.on(Input::Stored(Entry { priority: Priority::Transactional, ..entry(1) }), NOW);
    session.on(Input::Stored(entry(2)), NOW);
    session.on(Input::Stored(Entry { priority: Priority::Low, ..entry(3) }), NOW);
    for offset in 4..=MAX_ENTRIES as i64 {
        session.on(Input::Stored(entry(offset)), NOW);
    }
    let next = MAX_ENTRIES as i64 + 1;
    let effects = session.on(Input::Stored(entry(next)), NOW);
    assert_eq!(effects, [Effect::RecordSuperseded(id(3))]);
    let effects = session.on(Input::Stored(entry(next + 1)), NOW);
    assert_eq!(effects, [Effect::RecordSuperseded(id(2))]);
    let (recovered, replayed) = resume(&mut session, 1, EPOCH, 0);
    assert!(recovered, "what gave way is not missed");
    assert_eq!(replayed, std::iter::once(1).chain(4..=next + 1).collect::<Vec<_>>());
}

#[test]
fn what_a_page_somebody_looks_at_was_given_is_told_once() {
    let mut session = session();
    session.on(Input::Stored(entry(1)), NOW);
    assert!(session.take_given().is_empty(), "nobody is here");
    // A page that comes without a place gets what is owed to it.
    let recommendation = Entry { class: Class::Recommendation, ..entry(2) };
    session.on(Input::Stored(recommendation), NOW);
    session.on(Input::Connected { connection: ConnectionId(1), resume: None }, NOW);
    session.on(Input::CatchUp(ConnectionId(1)), NOW);
    assert_eq!(session.take_given(), [id(1)], "the list was not sent");
    session.on(Input::Stored(entry(3)), NOW);
    assert_eq!(session.take_given(), [id(3)]);
    // Hidden, it has what comes, and nobody sees it before it is looked at again.
    session.on(Input::Visible(ConnectionId(1), false), NOW);
    session.on(Input::Stored(entry(4)), NOW);
    session.on(Input::Stored(Entry { expires_at: Timestamp(NOW.0 + 1), ..entry(5) }), NOW);
    assert!(session.take_given().is_empty());
    session.on(Input::Visible(ConnectionId(1), true), Timestamp(NOW.0 + 2));
    assert_eq!(session.take_given(), [id(4)], "what has expired is not shown");
    // A list is looked at on a page that has not got everything.
    session.on(Input::Seen { up_to: 2, at: NOW, by: None }, NOW);
    session.on(read(2, None), NOW);
    assert_eq!(session.take_given(), [id(2)]);
}

#[test]
fn a_page_that_resumes_has_what_came_before_and_is_given_the_rest() {
    let mut session = session();
    for offset in 1..4 {
        session.on(Input::Stored(entry(offset)), NOW);
    }
    let resume = Some(Resume { epoch: session.epoch().to_owned(), offset: 2 });
    session.on(Input::Connected { connection: ConnectionId(1), resume }, NOW);
    assert_eq!(session.take_given(), [id(1), id(2), id(3)]);
}
