//! What goes off once: a segment's trigger once for good, a win-back once an absence, whatever the policy still remembers.
//! Days pass by moving what is stored into the past.

use diesel::connection::SimpleConnection;
use serde_json::json;
use tidings::base::{Millis, Timestamp, UserId};
use tidings::store::deferred::{self, DeferredRow};
use tidings::store::fired_once::{self, Fired};
use tidings::store::{Fields, users};

use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

fn decided(database: &TestDatabase, trigger: &str) -> i64 {
    database.count(&format!("SELECT count(*) AS n FROM decisions WHERE trigger = '{trigger}'"))
}

/// Everything the server knows is so many days older.
fn pass(database: &TestDatabase, days: u32) {
    let text = format!(
        "UPDATE decisions SET decided_at = decided_at - interval '{days} days'; \
         UPDATE notifications SET created_at = created_at - interval '{days} days', expires_at = expires_at - interval '{days} days'; \
         UPDATE users SET last_connected_at = last_connected_at - interval '{days} days'; \
         UPDATE user_once SET fired_at = fired_at - interval '{days} days'"
    );
    database.connection().batch_execute(&text).unwrap();
}

/// A visit in which nothing is done; its end is stored.
fn visit(database: &TestDatabase, server: &Server) {
    let logins = decided(database, "login");
    let (client, _) = server.login(1);
    wait_for("the login", || decided(database, "login") == logins + 1);
    drop(client);
    wait_for("the actor's end", || server.http().get("/admin/sessions").json()["total"] == 0);
}

#[test]
fn a_trigger_of_a_segment_goes_off_once_in_logins_on_days_0_1_8_and_16() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "socket.linger_ms=0"]);
    let items = (101..131).map(|id| json!({"item_id": id, "title": format!("Mug {id}"), "price": 10.0}));
    assert_eq!(server.http().put("/v1/items", &items.collect()).status, 200);
    let rule = json!({"min_recency_days": 30.0});
    let trigger = json!({"name": "spring", "when": {"kind": "segment", "rule": rule}, "category": "promotions", "template": "login"});
    let stored = server.http().put("/admin/triggers/spring", &trigger);
    assert_eq!(stored.status, 200, "{}", stored.body);
    let mut told = Vec::new();
    for days in [0, 1, 7, 8] {
        pass(&database, days);
        visit(&database, &server);
        told.push(decided(&database, "spring"));
    }
    assert_eq!(told, [1, 1, 1, 1]);
    assert_eq!(database.count("SELECT count(*) AS n FROM user_once WHERE trigger = 'spring'"), 1);
}

#[test]
fn who_was_here_on_day_1_is_not_won_back_on_day_7_though_the_last_event_was_on_day_0() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "socket.linger_ms=0"]);
    let items = (101..131).map(|id| json!({"item_id": id, "title": format!("Mug {id}"), "price": 10.0}));
    assert_eq!(server.http().put("/v1/items", &items.collect()).status, 200);
    let when = json!({"kind": "win_back", "days": 7});
    let trigger = json!({"name": "win_back", "when": when, "category": "for_you", "template": "win_back"});
    assert_eq!(server.http().put("/admin/triggers/win_back", &trigger).status, 200);
    let day_0 = Timestamp::now() - Millis::hours(24);
    let event = json!({"user_id": 1, "kind": "view", "item_id": 105, "occurred_at": day_0});
    assert!(server.http().post("/v1/events", &event).status < 300);
    wait_for("the event's actor's end", || server.http().get("/admin/sessions").json()["total"] == 0);
    visit(&database, &server);
    // Day 7: the last event is 7 days ago, the last visit 6.
    pass(&database, 6);
    database
        .connection()
        .batch_execute("UPDATE events SET occurred_at = occurred_at - interval '6 days'")
        .unwrap();
    visit(&database, &server);
    assert_eq!(decided(&database, "win_back"), 0);
    // Day 14: nobody was here for 7 days. Once, and not for the visit after it.
    pass(&database, 7);
    visit(&database, &server);
    assert_eq!(decided(&database, "win_back"), 1);
    pass(&database, 1);
    visit(&database, &server);
    assert_eq!(decided(&database, "win_back"), 1);
}

#[test]
fn an_absence_begins_with_the_last_connection_and_is_held_for_once() {
    let database = TestDatabase::new();
    let mut connection = database.connection();
    let now = Timestamp::now();
    let ids: Vec<_> = (0..5).map(tidings::base::ExternalId::Integer).collect();
    let users = users::resolve(&mut connection, &ids).unwrap();
    for user in &users {
        let user = user.to_sql();
        connection
            .batch_execute(&format!(
                "INSERT INTO push_subscriptions (user_id, endpoint, p256dh, auth) VALUES ({user}, 'https://p.example/{user}', \
                 decode('04' || repeat('01', 64), 'hex'), decode(repeat('01', 16), 'hex'))"
            ))
            .unwrap();
    }
    let days = |n: f64| now.plus_days(-n);
    // Away for 8 days; for 6; for 8, and won back a day ago; for 8, and greeted when that visit began; never here.
    let connected: Vec<(UserId, Timestamp)> =
        [8.0, 6.0, 8.0, 8.0].into_iter().zip(&users).map(|(n, user)| (*user, days(n))).collect();
    users::note_connected(&mut connection, &connected).unwrap();
    let fired = |user: usize, n: f64| Fired { user: users[user], trigger: "win_back".into(), at: days(n) };
    fired_once::put(&mut connection, &[fired(2, 1.0), fired(3, 7.99), fired(2, 20.0)]).unwrap();
    let row = DeferredRow::unaddressed("win_back", "for_you", now, now.plus_days(1.0));
    let mut hold = || deferred::hold_for_away(&mut connection, &row, Millis::hours(24 * 7), 10).unwrap();
    assert_eq!((hold(), hold()), (2, 0));
    let states = users::load_states(&mut connection, &Fields::default(), &users, now).unwrap();
    let held: Vec<usize> = states.iter().map(|state| state.held.len()).collect();
    assert_eq!(held, [1, 0, 0, 1, 0]);
    assert_eq!(states[2].fired_once, [("win_back".to_owned(), days(1.0))], "the latest counts");
    assert_eq!((states[1].last_connected, states[4].last_connected), (Some(days(6.0)), None));
    // To the hour: what is a few minutes newer writes nothing.
    let later = |user: usize, minutes: u64| (users[user], days(6.0) + Millis::seconds(60 * minutes));
    users::note_connected(&mut connection, &[later(1, 59)]).unwrap();
    let of_one = |connection: &mut _| {
        users::load_states(connection, &Fields::default(), &users[1..2], now).unwrap()[0].last_connected
    };
    assert_eq!(of_one(&mut connection), Some(days(6.0)));
    users::note_connected(&mut connection, &[later(1, 61), later(1, 60)]).unwrap();
    assert_eq!(of_one(&mut connection), Some(days(6.0) + Millis::seconds(60 * 61)));
}
