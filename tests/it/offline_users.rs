//! Users who are away and can be pushed to: what is due reaches them without a visit, and long absences are noticed.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use tidings::base::{Millis, Timestamp};

use crate::helpers::client::Client;
use crate::helpers::clock::quiet_now;
use crate::helpers::database::TestDatabase;
use crate::helpers::push_service::PushService;
use crate::helpers::server::{Server, wait_for};
use crate::webpush::{start, subscribe};

const HELD: &str = "SELECT count(*) AS n FROM held_messages";

fn open(database: &TestDatabase) -> Server {
    let server = start(
        database,
        &[
            ("TIDINGS_WEBPUSH_ALLOW_LOOPBACK", "true"),
            ("TIDINGS_POLICY_QUIET_FROM", "00:00"),
            ("TIDINGS_POLICY_QUIET_TO", "00:00"),
        ],
    );
    let items: Value = (101..131)
        .map(|id| json!({"item_id": id, "title": format!("Mug {id}"), "price": 10.0, "currency": "EUR"}))
        .collect();
    assert_eq!(server.http().put("/v1/items", &items).status, 200);
    server
}

fn act(server: &Server, user: i64, item: i64, at: Timestamp) {
    let event = json!({"user_id": user, "kind": "view", "item_id": item, "occurred_at": at});
    let answer = server.http().post("/v1/events", &event);
    assert!(answer.status < 300, "{}", answer.body);
}

fn decided(server: &Server, user: i64, trigger: &str) -> Vec<Value> {
    let found = server.http().get(&format!("/admin/decisions?user_id={user}&limit=50")).json();
    let rows = found["decisions"].as_array().cloned().unwrap_or_default();
    rows.into_iter().filter(|row| row["trigger"] == trigger).collect()
}

#[test]
fn an_order_that_was_sent_and_a_lower_price_reach_who_is_away() {
    let database = TestDatabase::new();
    let (server, service) = (open(&database), PushService::start());
    let (first, second) = (service.endpoint("one"), service.endpoint("two"));
    let _one = subscribe(&mut server.http(), json!(1), &first);
    let two = subscribe(&mut server.http(), json!(2), &second);
    act(&server, 2, 105, Timestamp::now() - Millis::hours(2));
    let cheaper = json!({"item_id": 105, "price": 7.5, "currency": "EUR"});
    assert_eq!(server.http().put("/v1/items", &cheaper).status, 200);
    let pushed = service.wait_for(1).remove(0);
    assert!(pushed.path.ends_with("two"), "user 1 never looked at it");
    assert_eq!(two.read(&pushed.body)["title"], "Mug 105 costs less now");
    wait_for("nothing to wait", || database.count(HELD) == 0);

    act(&server, 3, 105, Timestamp::now());
    let said = json!({"user_ids": [1, 3], "event": {"title": "Order 17 was sent", "order_id": "17"}});
    let answer = server.http().post("/v1/triggers/order_status", &said);
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert!(service.wait_for(2).remove(1).path.ends_with("one"));
    // Nobody can reach user 3: it waits for a visit. The actors that were started for the others have ended.
    wait_for("one to wait", || database.count(HELD) == 1);
    wait_for("the actors to end", || server.http().get("/admin/sessions").json()["total"] == 0);
    let (mut third, _) = server.login(3);
    assert_eq!(third.expect("notification")["trigger"], "order_status");
    assert_eq!(service.pushed().len(), 2);
}

#[test]
fn what_waits_for_the_morning_comes_in_the_morning_though_the_server_died_and_nobody_is_there() {
    let database = TestDatabase::new();
    let (mut server, service) = (open(&database), PushService::start());
    let _keys = subscribe(&mut server.http(), json!(1), &service.endpoint("one"));
    let preferences = |quiet: [String; 2]| json!({"quiet_hours": {"from": quiet[0], "to": quiet[1]}});
    let put = |server: &Server, body: &Value| {
        assert_eq!(server.http().put("/v1/users/1/preferences", body).status, 200);
    };
    put(&server, &preferences(quiet_now(0)));
    let (mut client, _) = Client::login(server.address, json!(1));
    for _ in 0..4 {
        client.send(&json!({"type": "event", "kind": "view", "item_id": 107}));
        client.expect("accepted");
    }
    let waits = "SELECT count(*) AS n FROM held_messages WHERE trigger = 'viewed_often'";
    wait_for("it waits", || database.count(waits) == 1);
    drop(client);
    server.kill();
    let server = open(&database);
    put(&server, &preferences(["00:00", "00:00"].map(String::from)));
    assert_eq!(service.pushed().len(), 0);
    database.connection().batch_execute("UPDATE held_messages SET until = now()").unwrap();
    service.wait_for(1);
    wait_for("let go", || database.count(waits) == 0);
    assert_eq!(decided(&server, 1, "viewed_often")[0]["outcome"], "send");
}

#[test]
fn who_stays_away_for_long_is_written_to_once() {
    let database = TestDatabase::new();
    let (server, service) = (open(&database), PushService::start());
    let days = |days: u64| Timestamp::now() - Millis::hours(24 * days);
    for (user, ago) in [(1, 31), (2, 29), (3, 31), (4, 90)] {
        act(&server, user, 105, days(ago));
        if user != 3 {
            subscribe(&mut server.http(), json!(user), &service.endpoint(&user.to_string()));
        }
    }
    // Absences are looked for at the start.
    let restart = |mut server: Server| {
        server.kill();
        open(&database)
    };
    let server = restart(server);
    let pushed = service.wait_for(1).remove(0);
    assert!(
        pushed.path.ends_with("/1"),
        "user 2 is not away for long enough, user 3 has no browser, user 4 has gone"
    );
    wait_for("nothing to wait", || database.count(HELD) == 0);
    // A push whose end nobody noted goes out once more.
    wait_for("its end to be noted", || database.count("SELECT count(*) AS n FROM push_outbox") == 0);
    // Not again in the same absence, neither by a push nor at the login that it brought.
    let server = restart(server);
    let _other = subscribe(&mut server.http(), json!(5), &service.endpoint("5"));
    act(&server, 5, 106, days(40));
    let server = restart(server);
    assert!(
        service.wait_for(2).remove(1).path.ends_with("/5"),
        "who comes after it proves that nothing came before"
    );
    let (mut client, _) = server.login(1);
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
    assert_eq!(decided(&server, 1, "win_back").len(), 1);
}

#[test]
fn the_list_of_connected_users_has_all_of_them_beside_many_who_are_not() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    let searches: Vec<Value> =
        (1..=600).map(|user| json!({"kind": "search", "user_id": user, "query": "mug"})).collect();
    let users = [3, 77, 590];
    let _open = users.map(|user| server.login(user));
    assert_eq!(http.post("/v1/events", &json!(searches)).status, 202);
    let told = http.get("/admin/sessions").json();
    let mut listed: Vec<i64> =
        told["sessions"].as_array().unwrap().iter().map(|one| one["user_id"].as_i64().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!((listed.as_slice(), &told["connected"]), (&users.map(i64::from)[..], &json!(3)), "{told}");
}
