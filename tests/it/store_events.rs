//! Events in (group commit, duplicates, partitions) and out (training, a user's state).

use std::collections::HashSet;
use std::ops::ControlFlow;

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use tidings::base::{EventKey, ExternalId, ItemId, NotificationId, Timestamp, UserId};
use tidings::decide::StoredUser;
use tidings::decide::record::RobotFlag;
use tidings::event::{Event, EventKind, NewEvent};
use tidings::notify::Priority;
use tidings::store::acknowledgements::{self, Acknowledged};
use tidings::store::events::{self, Appended};
use tidings::store::feedback::{self, FeedbackRow};
use tidings::store::notifications::NewNotification;
use tidings::store::preferences::{self, Preferences, Settings};
use tidings::store::{Fields, bulk, decision_log, robots, users};
use uuid::Uuid;

use crate::helpers::database::TestDatabase;

const NOON: i64 = 1_700_000_000;

/// A view with a client's `event_id`.
fn view(event_id: &str, user: i64, item: i64, seconds: i64) -> NewEvent {
    NewEvent {
        key: EventKey::from_parts(&[event_id.as_bytes()]),
        deduplicate: true,
        user: Some(ExternalId::Integer(user)),
        item: Some(ExternalId::Integer(item)),
        kind: EventKind::View,
        occurred_at: Timestamp::from_seconds(seconds),
        dwell_ms: Some(1_500),
        query: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
        list: None,
    }
}

fn stored(appended: &Appended) -> Event {
    match appended {
        Appended::Stored(event) => *event,
        Appended::Duplicate | Appended::Erased => panic!("{appended:?}"),
    }
}

fn all(database: &TestDatabase) -> Vec<Event> {
    let mut all = Vec::new();
    let count = database
        .store
        .run_blocking(|conn| {
            events::for_each(conn, |event| {
                all.push(event);
                ControlFlow::Continue(())
            })
        })
        .unwrap();
    assert_eq!(count, all.len() as u64);
    all
}

#[test]
fn what_is_appended_comes_back_as_it_was() {
    let database = TestDatabase::new();
    let purchase = NewEvent {
        kind: EventKind::Purchase,
        value: Some(19.5),
        quantity: 2.5,
        currency: Some("GBP".into()),
        basket: Some(-7),
        dwell_ms: None,
        ..view("b", 1, 11, NOON + 2)
    };
    let search = NewEvent {
        kind: EventKind::Search,
        query: Some("dive wätch ?".into()),
        item: None,
        user: Some(ExternalId::parse("née").unwrap()),
        deduplicate: false,
        ..view("c", 1, 11, NOON + 1)
    };
    let basket = NewEvent { user: None, ..view("d", 1, 12, NOON + 3) };
    let batch = [view("a", 1, 10, NOON), purchase, search, basket];
    let appended =
        database.store.run_blocking(|conn| events::append(conn, &Fields::default(), &batch)).unwrap();
    let given: Vec<Event> = appended.iter().map(stored).collect();
    for (event, new) in given.iter().zip(&batch) {
        assert_eq!((event.kind, event.occurred_at), (new.kind, new.occurred_at));
        assert_eq!((event.quantity, event.value, event.basket), (new.quantity, new.value, new.basket));
        assert_eq!(event.user.is_some(), new.user.is_some());
        assert_eq!(event.item.is_some(), new.item.is_some());
    }
    assert_eq!(given[0].user, given[1].user);
    assert_ne!(given[0].user, given[2].user);
    let mut by_time = given.clone();
    by_time.sort_by_key(|event| event.occurred_at);
    assert_eq!(all(&database), by_time);
}

#[test]
fn a_retry_is_a_duplicate_whatever_its_time_and_the_rest_is_taken() {
    let database = TestDatabase::new();
    let append = |batch: &[NewEvent]| {
        database.store.run_blocking(|conn| events::append(conn, &Fields::default(), batch)).unwrap()
    };
    assert!(matches!(append(&[view("a", 1, 1, NOON)])[..], [Appended::Stored(_)]));
    let again =
        append(&[view("b", 1, 1, NOON), view("a", 1, 1, NOON + 3_000_000), view("b", 1, 1, NOON + 1)]);
    assert!(
        matches!(again[..], [Appended::Stored(_), Appended::Duplicate, Appended::Duplicate]),
        "{again:?}"
    );
    // Without a client's event_id, two that are alike are two.
    let alike = || NewEvent { key: EventKey(Uuid::now_v7()), deduplicate: false, ..view("", 1, 1, NOON) };
    assert!(append(&[alike(), alike()]).iter().all(|one| matches!(one, Appended::Stored(_))));
    assert_eq!(all(&database).len(), 4);
    assert!(append(&[]).is_empty());
}

#[test]
fn a_key_stored_without_a_receipt_is_a_duplicate_too() {
    let database = TestDatabase::new();
    let batch = [view("a", 1, 1, NOON)];
    let mut conn = database.connection();
    events::append(&mut conn, &Fields::default(), &batch).unwrap();
    assert_eq!(events::prune_receipts(&mut conn, Timestamp::now().plus_days(1.0), 10).unwrap(), 1);
    assert_eq!(events::append(&mut conn, &Fields::default(), &batch).unwrap(), [Appended::Duplicate]);
    assert_eq!(all(&database).len(), 1);
}

#[test]
fn each_year_gets_its_partition_when_its_first_event_comes_and_old_ones_share_one() {
    let database = TestDatabase::new();
    let moments = [
        ("2003-01-31T23:59:59.999999Z", "before_2025"),
        ("2024-12-31T23:59:59.999999Z", "before_2025"),
        ("2025-01-01T00:00:00Z", "2025"),
        ("2026-12-31T23:59:59.999999Z", "2026"),
        ("2027-01-01T00:00:00Z", "2027"),
    ];
    let batch: Vec<NewEvent> = moments
        .iter()
        .map(|(at, _)| NewEvent { occurred_at: Timestamp::parse(at).unwrap(), ..view(at, 1, 1, 0) })
        .collect();
    let mut conn = database.connection();
    events::append(&mut conn, &Fields::default(), &batch).unwrap();
    for (name, count) in [("before_2025", 2), ("2025", 1), ("2026", 1), ("2027", 1)] {
        // Fails if the partition is not there, or does not hold exactly these.
        let check = format!("SELECT 1 / (count(*) = {count})::integer FROM events_{name}");
        conn.batch_execute(&check).unwrap();
    }
    let read = all(&database);
    assert_eq!(read.len(), moments.len());
    assert!(read.is_sorted_by_key(|event| event.occurred_at), "{read:?}");
}

#[test]
fn history_of_many_months_makes_no_partitions() {
    let database = TestDatabase::new();
    let batch: Vec<NewEvent> =
        (0..264).map(|month| view(&month.to_string(), 1, 1, NOON - month * 30 * 86_400)).collect();
    let mut conn = database.connection();
    bulk::Loader::default().events(&mut conn, &batch).unwrap();
    assert_eq!(all(&database).len(), 264);
    conn.batch_execute(
        "SELECT 1 / (count(*) <= 4)::integer FROM pg_inherits WHERE inhparent = 'events'::regclass",
    )
    .unwrap();
}

#[test]
fn a_new_year_does_not_wait_for_a_training_that_reads() {
    let database = TestDatabase::new();
    let mut writer = database.connection();
    events::append(&mut writer, &Fields::default(), &[view("a", 1, 1, NOON), view("b", 1, 2, NOON)]).unwrap();
    writer.batch_execute("SET lock_timeout = '2s'").unwrap();
    let mut reader = database.connection();
    let mut wrote = 0;
    events::for_each(&mut reader, |_| {
        // Still inside the reading transaction.
        let year_later = NOON + 800 * 86_400 * (wrote + 1);
        let appended = events::append(
            &mut writer,
            &Fields::default(),
            &[view(&format!("later {wrote}"), 1, 1, year_later)],
        )
        .unwrap();
        assert!(matches!(appended[..], [Appended::Stored(_)]));
        wrote += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(wrote, 2);
}

#[test]
fn batches_that_overlap_at_once_store_each_event_once_and_give_one_id() {
    let database = TestDatabase::new();
    let batch: Vec<NewEvent> =
        (0..200).map(|n| view(&n.to_string(), n % 50, n % 70, NOON + n * 86_400)).collect();
    let results: Vec<Vec<Appended>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let mut mine = batch.clone();
                mine.rotate_left(thread * 37);
                let database = &database;
                scope.spawn(move || {
                    database
                        .store
                        .run_blocking(|conn| events::append(conn, &Fields::default(), &mine))
                        .unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let stored = results.iter().flatten().filter(|one| matches!(one, Appended::Stored(_))).count();
    assert_eq!(stored, 200);
    let events = all(&database);
    assert_eq!(events.len(), 200);
    assert_eq!(events.iter().filter_map(|event| event.user).collect::<HashSet<_>>().len(), 50);
    assert_eq!(database.store.run_blocking(users::count).unwrap(), 50);
}

#[test]
fn known_ids_use_up_no_inner_ids() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let names = |range: std::ops::Range<i64>| range.map(ExternalId::Integer).collect::<Vec<_>>();
    users::resolve(&mut conn, &names(0..100)).unwrap();
    for _ in 0..5 {
        users::resolve(&mut conn, &names(0..100)).unwrap();
    }
    let new = users::resolve(&mut conn, &names(99..102)).unwrap();
    assert_eq!(new.iter().map(|user| user.0).collect::<Vec<_>>()[1..], [100, 101]);
    let back = users::external_ids(&mut conn, &new).unwrap();
    assert_eq!(back[&new[0]], ExternalId::Integer(99));
    assert_eq!(users::find(&mut conn, &ExternalId::Integer(101)).unwrap(), Some(new[2]));
    assert_eq!(users::find(&mut conn, &ExternalId::Integer(102)).unwrap(), None);
}

#[test]
fn a_robots_events_are_kept_but_not_learned_from() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let at = Timestamp::from_seconds;
    let appended =
        events::append(&mut conn, &Fields::default(), &[view("a", 1, 1, NOON), view("b", 2, 1, NOON)])
            .unwrap();
    let robot = stored(&appended[1]).user.unwrap();
    let flag = |hour: i64| (robot, RobotFlag { since: at(NOON + hour * 3_600), reason: "fast".to_owned() });
    assert_eq!(robots::mark(&mut conn, &[flag(0)]).unwrap(), 1);
    assert_eq!(robots::mark(&mut conn, &[flag(1), flag(2)]).unwrap(), 0);
    assert_eq!(all(&database), [stored(&appended[0])]);
    let state = users::load_states(&mut conn, &Fields::default(), &[robot], Timestamp::from_seconds(NOON))
        .unwrap()
        .remove(0);
    assert_eq!(state.robot_since, Some(at(NOON + 7_200)));
    assert_eq!(state.events, [stored(&appended[1])]);
    let found = users::search(&mut conn, "", 10).unwrap();
    assert_eq!(
        found.iter().map(|user| user.external_id.clone()).collect::<Vec<_>>(),
        [ExternalId::Integer(1)]
    );
    let listed = robots::list(&mut conn, "", 10).unwrap();
    assert_eq!((listed.len(), &*listed[0].1.reason), (1, "fast"));
    // The flag goes by itself: what came before it stays out, what comes after it is learnt from.
    assert_eq!(robots::rest_before(&mut conn, at(NOON + 7_200), at(NOON + 9_000), 10).unwrap(), 0);
    assert_eq!(robots::rest_before(&mut conn, at(NOON + 7_201), at(NOON + 9_000), 10).unwrap(), 1);
    let later = events::append(&mut conn, &Fields::default(), &[view("c", 2, 1, NOON + 9_001)]).unwrap();
    assert_eq!(all(&database), [stored(&appended[0]), stored(&later[0])]);
    assert_eq!(robots::flag(&mut conn, &ExternalId::Integer(2)).unwrap(), None);
    // By hand: all of it is.
    assert!(robots::lift(&mut conn, robot).unwrap());
    assert!(!robots::lift(&mut conn, robot).unwrap());
    assert_eq!(all(&database).len(), 3);
}

#[test]
fn a_reader_may_stop_early_and_use_its_connection_again() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let batch: Vec<NewEvent> = (0..100).map(|n| view(&n.to_string(), 1, n, NOON + n)).collect();
    events::append(&mut conn, &Fields::default(), &batch).unwrap();
    let mut seen = 0;
    let count = events::for_each(&mut conn, |_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!((seen, count), (3, 3));
    assert_eq!(users::count(&mut conn).unwrap(), 1);
}

/// A message of a user's stream, `days_ago` before noon.
fn message(
    user: UserId,
    items: &[ItemId],
    offset: i64,
    days_ago: f64,
    expires_in_days: f64,
) -> NewNotification {
    let now = Timestamp::from_seconds(NOON);
    NewNotification {
        notification_id: NotificationId(Uuid::now_v7()),
        user,
        offset,
        kind: "recommendation".into(),
        category: "similar_items".into(),
        trigger: "view".into(),
        model_version: Default::default(),
        segment: Some(1),
        items: items.to_vec(),
        frame: format!("{{\"offset\":{offset}}}").into(),
        created_at: now.plus_days(-days_ago),
        expires_at: now.plus_days(expires_in_days),
        collapse_key: None,
        priority: Priority::default(),
        channel: tidings::notify::Channel::Socket,
        call: None,
    }
}

fn load(conn: &mut PgConnection, user: UserId) -> StoredUser {
    let now = Timestamp::from_seconds(NOON);
    users::load_states(conn, &Fields::default(), &[user], now).unwrap().remove(0)
}

#[test]
fn of_a_user_with_very_many_events_the_newest_are_read_and_all_of_the_others() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let many = (0..5_003).map(|n| view(&format!("m{n}"), 1, 1, NOON - 5_003 + n));
    let batch: Vec<NewEvent> = many.chain([view("one", 2, 1, NOON - 9_000)]).collect();
    let appended = events::append(&mut conn, &Fields::default(), &batch).unwrap();
    let (one, two) = (stored(&appended[0]).user.unwrap(), stored(&appended[5_003]).user.unwrap());
    let read = load(&mut conn, one).events;
    let newest: Vec<Event> = appended[3..5_003].iter().map(stored).collect();
    assert!(read == newest, "{} are read", read.len());
    assert_eq!(load(&mut conn, two).events, [stored(&appended[5_003])]);
}

#[test]
fn a_users_state_holds_events_in_order_and_preferences() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let appended = events::append(
        &mut conn,
        &Fields::default(),
        &[view("b", 1, 2, NOON - 5), view("a", 1, 1, NOON - 9), view("c", 2, 1, NOON)],
    )
    .unwrap();
    let (one, two) = (stored(&appended[0]).user.unwrap(), stored(&appended[2]).user.unwrap());
    let wishes = Preferences {
        time_zone: Some("Europe/Berlin".into()),
        quiet_from_minute: Some(1_320),
        quiet_to_minute: Some(420),
        muted: vec!["similar_items".into()],
        settings: Settings(serde_json::json!({"opted_out": true})),
        ..Preferences::default()
    };
    preferences::put(&mut conn, one, &wishes).unwrap();
    let (unknown, now) = (UserId(999), Timestamp::from_seconds(NOON));
    let states = users::load_states(&mut conn, &Fields::default(), &[two, unknown, one], now).unwrap();
    assert_eq!(states.iter().map(|state| state.user).collect::<Vec<_>>(), [two, one]);
    let state = &states[1];
    assert_eq!(state.external_id, ExternalId::Integer(1));
    assert_eq!(state.events, [stored(&appended[1]), stored(&appended[0])], "by time");
    assert_eq!(state.preferences, wishes);
    assert_eq!((states[0].last_offset, states[0].events.len()), (0, 1));
    assert_eq!(states[0].preferences, Preferences::default());
}

#[test]
fn a_users_state_holds_the_stream_and_what_caps_count() {
    let database = TestDatabase::new();
    let mut conn = database.connection();
    let now = Timestamp::from_seconds(NOON);
    let appended = events::append(&mut conn, &Fields::default(), &[view("a", 1, 2, NOON - 5)]).unwrap();
    let (one, item) = (stored(&appended[0]).user.unwrap(), stored(&appended[0]).item.unwrap());
    let send = |offset, days_ago, expires_in_days| message(one, &[item], offset, days_ago, expires_in_days);
    let sent =
        [send(1, 9.0, 1.0), send(2, 2.0, 1.0), send(3, 1.0, -0.5), send(4, 0.1, 1.0), send(5, 0.0, 1.0)];
    decision_log::insert(&mut conn, &database.store, &sent, &[]).unwrap();
    assert!(
        decision_log::insert(&mut conn, &database.store, &[send(5, 0.0, 1.0)], &[]).is_err(),
        "an offset is used once"
    );
    let up_to = |up_to| Acknowledged { user: one, up_to, at: now };
    acknowledgements::put(&mut conn, &[up_to(2), up_to(1)]).unwrap();
    acknowledgements::put(&mut conn, &[up_to(1)]).unwrap();

    let outcome = |outcome| FeedbackRow {
        notification_id: sent[1].notification_id,
        outcome,
        user: one,
        item: None,
        value: None,
        occurred_at: now,
    };
    feedback::insert(&mut conn, &[outcome(3), outcome(2)]).unwrap();

    let state = load(&mut conn, one);
    assert_eq!(state.last_offset, 5);
    let tail: Vec<(i64, bool)> = state.tail.iter().map(|one| (one.offset, one.acknowledged)).collect();
    assert_eq!(tail, [(1, true), (2, true), (3, false), (4, false), (5, false)]);
    assert_eq!(state.floor, 0, "nothing came before the first");
    let held: Vec<bool> = state.tail.iter().map(|one| !one.frame.is_empty()).collect();
    assert_eq!(held, [false, false, false, true, true], "acknowledged long ago, or expired: not sent again");
    assert_eq!(state.tail[3].frame, "{\"offset\":4}");
    let recent: Vec<NotificationId> = state.recent.iter().map(|one| one.notification_id).collect();
    assert_eq!(recent, sent[1..].iter().map(|one| one.notification_id).collect::<Vec<_>>(), "seven days");
    assert_eq!((&state.recent[0].items[..], &state.recent[0].outcomes[..]), (&[item][..], &[2, 3][..]));
    assert_eq!(state.recent[1].outcomes, Vec::<i16>::new());

    // More than memory holds of the stream: caps count them all.
    let more: Vec<NewNotification> = (6..=140).map(|offset| send(offset, 0.0, 1.0)).collect();
    decision_log::insert(&mut conn, &database.store, &more, &[]).unwrap();
    let state = load(&mut conn, one);
    assert_eq!((state.tail.len(), state.recent.len()), (128, 4 + more.len()));
    assert_eq!(state.recent[0].outcomes, [2, 3]);
}
