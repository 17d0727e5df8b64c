//! Triggers, templates and policies as data: what sets a message off, and how they are changed while the server runs.

use diesel::connection::SimpleConnection;

use serde_json::{Value, json};
use tidings::base::{Millis, Timestamp};

use crate::helpers::client::Client;
use crate::helpers::clock::quiet_now;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

fn item(id: i64, price: f64, stock: i64) -> Value {
    let kind = if id % 2 == 0 { "Mug" } else { "Watch" };
    json!({"item_id": id, "title": format!("{kind} {id}"), "category": [format!("{kind}s")], "price": price,
           "currency": "EUR", "stock": stock})
}

fn shop() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let items: Value = (101..131).map(|id| item(id, 10.0, 5)).collect();
    assert_eq!(server.http().put("/v1/items", &items).status, 200);
    (database, server)
}

fn act(client: &mut Client, kind: &str, item: i64) {
    client.send(&json!({"type": "event", "kind": kind, "item_id": item}));
    client.expect("accepted");
}

/// The next message about one item that this trigger set off.
fn notification(client: &mut Client, trigger: &str) -> Value {
    loop {
        let frame = client.expect("notification");
        if frame["trigger"] == trigger {
            return frame;
        }
    }
}

#[test]
fn who_looked_at_an_item_is_told_when_it_costs_less_and_nobody_else() {
    let (_database, server) = shop();
    let (mut looked, _) = server.login(1);
    let (mut other, _) = server.login(2);
    act(&mut looked, "view", 105);
    assert_eq!(server.http().put("/v1/items", &item(105, 7.5, 5)).status, 200);
    let told = notification(&mut looked, "price_drop");
    assert_eq!((told["kind"].as_str(), told["category"].as_str()), (Some("price_drop"), Some("price_drop")));
    assert_eq!(told["title"], "Watch 105 costs less now");
    assert_eq!(told["body"], "€7.50 instead of €10.00");
    assert_eq!(told["collapse_key"], "price_drop:105");
    assert_eq!(told["items"][0]["reason"], "it costs less than before");
    // Nothing for the other: the next thing that reaches it is about what it does itself.
    act(&mut other, "view", 110);
    assert_eq!(server.http().put("/v1/items", &item(110, 5.0, 5)).status, 200);
    assert_eq!(notification(&mut other, "price_drop")["items"][0]["item_id"], 110);
    // Said once: the same price again is no news, a lower one is.
    for price in [10.0, 7.5, 5.0] {
        assert_eq!(server.http().put("/v1/items", &item(105, price, 5)).status, 200);
    }
    assert_eq!(notification(&mut looked, "price_drop")["body"], "€5.00 instead of €7.50");
}

#[test]
fn a_drop_is_one_from_what_was_seen_and_from_the_lowest_price_of_30_days_and_small_steps_are_told_once() {
    let (database, mut server) = shop();
    let ten_percent = json!({"name": "price_drop", "when": {"kind": "price_drop", "percent": 10.0}, "category": "price_drop",
                             "template": "price_drop", "priority": "high"});
    assert_eq!(server.http().put("/admin/triggers/price_drop", &ten_percent).status, 200);
    let price = |server: &Server, id: i64, prices: &[f64]| {
        for price in prices {
            assert_eq!(server.http().put("/v1/items", &item(id, *price, 5)).status, 200);
        }
    };
    let (mut client, _) = server.login(1);
    for id in [105, 106] {
        act(&mut client, "view", id);
    }
    // Looked at for 10, raised; the server dies; 11 is less than 20 and more than 10.
    price(&server, 106, &[20.0]);
    server.kill();
    let server = Server::start(&database.url, &[]);
    let (mut client, _) = server.login(1);
    price(&server, 106, &[11.0]);
    price(&server, 105, &[9.6, 9.2, 8.8, 8.5, 8.2, 7.9, 7.6]);
    let told = notification(&mut client, "price_drop");
    assert_eq!(told["items"][0]["item_id"], 105, "{told}");
    assert!(told["body"].as_str().unwrap().ends_with(" instead of €10.00"), "{told}");
    price(&server, 106, &[8.5]);
    let told = notification(&mut client, "price_drop");
    assert_eq!(told["items"][0]["item_id"], 106, "{told}");
    assert_eq!(told["body"], "€8.50 instead of €10.00");
    let sent = "SELECT count(*) AS n FROM decisions WHERE trigger = 'price_drop' AND outcome = 'send'";
    assert_eq!(database.count(sent), 2);
}

#[test]
fn two_drops_while_somebody_is_away_wait_as_one() {
    let (database, server) = shop();
    let look = json!({"user_id": 1, "kind": "view", "item_id": 105, "occurred_at": Timestamp::now() - Millis::hours(2)});
    assert!(server.http().post("/v1/events", &look).status < 300);
    for price in [7.5, 5.0] {
        assert_eq!(server.http().put("/v1/items", &item(105, price, 5)).status, 200);
        let waits = "SELECT count(*) AS n FROM held_messages WHERE trigger = 'price_drop'";
        wait_for("it waits", || database.count(waits) == 1);
    }
    let (mut client, _) = server.login(1);
    assert_eq!(notification(&mut client, "price_drop")["body"], "€5.00 instead of €10.00");
}

#[test]
fn what_was_sold_out_is_told_when_it_is_back_and_four_looks_are_noticed() {
    let (_database, server) = shop();
    let (mut client, _) = server.login(1);
    assert_eq!(server.http().put("/v1/items", &item(107, 10.0, 0)).status, 200);
    act(&mut client, "view", 107);
    assert_eq!(server.http().put("/v1/items", &item(107, 10.0, 3)).status, 200);
    assert_eq!(notification(&mut client, "back_in_stock")["title"], "Watch 107 is back");
    for _ in 0..4 {
        act(&mut client, "view", 108);
    }
    assert_eq!(notification(&mut client, "viewed_often")["title"], "Still thinking about Mug 108?");
}

#[test]
fn absent_users_are_told_when_they_come_back_while_it_is_true() {
    let (database, server) = shop();
    let event = |user: i64| json!({"kind": "view", "user_id": user, "item_id": 105});
    assert_eq!(server.http().post("/v1/events", &json!([event(1), event(2)])).status, 202);
    assert_eq!(server.http().put("/v1/items", &item(105, 5.0, 5)).status, 200);
    wait_for("both wait", || database.count("SELECT count(*) AS n FROM held_messages") == 2);
    let (mut first, _) = server.login(1);
    assert_eq!(notification(&mut first, "price_drop")["items"][0]["item_id"], 105);
    wait_for("let go", || database.count("SELECT count(*) AS n FROM held_messages") == 1);
    // The price goes up again before the other is back.
    assert_eq!(server.http().put("/v1/items", &item(105, 12.0, 5)).status, 200);
    let (_second, _) = server.login(2);
    wait_for("judged again", || {
        let decisions = server.http().get("/admin/decisions?user_id=2").json();
        decisions["decisions"].as_array().unwrap().iter().any(|one| {
            one["trigger"] == "price_drop"
                && one["reasons"] == json!(["no longer true: the price is not lower any more"])
        })
    });
}

#[test]
fn what_quiet_hours_hold_back_survives_a_crash_and_is_judged_again() {
    let (database, mut server) = shop();
    let (mut client, _) = server.login(1);
    let [from, to] = quiet_now(0);
    let night = json!({"quiet_hours": {"from": from, "to": to}});
    let day = json!({"quiet_hours": {"from": "00:00", "to": "00:00"}});
    assert_eq!(server.http().put("/v1/users/1/preferences", &night).status, 200);
    act(&mut client, "view", 105);
    wait_for("it waits", || database.count("SELECT count(*) AS n FROM held_messages") == 1);
    server.kill();
    // What the login answers may name the same items, and would be a reason to say nothing more.
    let server = Server::start(&database.url, &["--set", "policy.repeat_window_min=0"]);
    assert_eq!(server.http().put("/v1/users/1/preferences", &day).status, 200);
    database.connection().batch_execute("UPDATE held_messages SET until = now()").unwrap();
    let (mut client, _) = server.login(1);
    loop {
        if client.expect("recommendation")["trigger"] == "view" {
            break;
        }
    }
    wait_for("let go", || database.count("SELECT count(*) AS n FROM held_messages") == 0);
}

#[test]
fn a_trigger_and_its_template_are_written_tried_changed_and_paused_while_the_server_runs() {
    let (_database, server) = shop();
    let mut http = server.http();
    let template = json!({"name": "steal", "variants": [{"name": "a", "texts": {
        "en": {"title": "{{ item.title }} for {{ item.price | money(item.currency) }}", "body": "was {{ price_before | money(item.currency) }}"},
        "de": {"title": "{{ item.title }} für {{ item.price | money(item.currency) }}", "body": "statt {{ price_before | money(item.currency) }}"}}}]});
    let preview = json!({"template": template, "item_ids": [105], "price_before": 20.0, "locale": "de-AT"});
    let answer = http.post("/admin/templates/preview", &preview).json();
    assert_eq!(answer["title"], "Watch 105 für €\u{a0}10,00", "Austria writes the sign first");
    let trigger = json!({"name": "steal", "when": {"kind": "price_drop", "percent": 40.0}, "category": "steals",
                         "template": "steal", "priority": "high"});
    let refused = http.put("/admin/triggers/steal", &trigger);
    assert_eq!((refused.status, refused.json()["error"]["field"].as_str()), (400, Some("template")));
    assert_eq!(http.put("/admin/templates/steal", &template).status, 200);
    let stored = http.put("/admin/triggers/steal", &trigger).json();
    assert_eq!((stored["version"].as_i64(), stored["changed_by"].as_str()), (Some(1), Some("admin")));
    assert_eq!(http.post("/admin/triggers/price_drop/pause", &json!({})).status, 200);

    let (mut client, _) = server.login(1);
    let _second = server.login(2);
    act(&mut client, "view", 105);
    let wish = json!({"item_id": 105, "price_before": 20.0, "user_ids": [1, 2, 3]});
    assert_eq!(http.post("/v1/users/2/mute", &json!({"of": "item", "name": "105"})).status, 200);
    let tried = http.post("/admin/triggers/steal/dry-run", &wish).json();
    let outcomes: Vec<&str> =
        tried["results"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["send", "drop", "unknown_user"]);
    assert_eq!(tried["results"][1]["reasons"][0], "muted: the user wants nothing of the item 105");
    assert_eq!(tried["results"][0]["title"], "Watch 105 for €10.00");

    assert_eq!(http.put("/v1/items", &item(105, 5.0, 5)).status, 200);
    let told = notification(&mut client, "steal");
    assert_eq!((told["category"].as_str(), told["body"].as_str()), (Some("steals"), Some("was €10.00")));
    let history = http.get("/admin/triggers/price_drop").json();
    assert_eq!(history["latest"]["state"], "paused");
    assert_eq!(history["history"].as_array().unwrap().len(), 2, "what ships is its first version");
    assert_eq!(http.post("/admin/triggers/login/pause", &json!({})).status, 409);
    assert_eq!(http.get("/admin/triggers/nothing").status, 404);
}

#[test]
fn the_shop_sets_off_an_order_s_state_which_passes_an_opt_out_and_waits_for_the_absent() {
    let (_database, server) = shop();
    let mut http = server.http();
    let (mut client, _) = server.login(1);
    assert_eq!(http.post("/v1/events", &json!({"kind": "view", "user_id": 2, "item_id": 101})).status, 202);
    assert_eq!(http.put("/v1/users/1/preferences", &json!({"opted_out": true})).status, 200);
    let event = json!({"title": "On its way", "body": "It comes on Friday."});
    let said = http.post("/v1/triggers/order_status", &json!({"user_ids": [1, 2], "event": event}));
    assert_eq!((said.status, said.json()["accepted"].as_i64()), (202, Some(2)));
    let told = notification(&mut client, "order_status");
    assert_eq!(
        (&told["title"], &told["body"], &told["items"]),
        (&event["title"], &event["body"], &json!([]))
    );
    let (mut second, _) = server.login(2);
    assert_eq!(notification(&mut second, "order_status")["title"], "On its way");
    assert_eq!(http.post("/v1/triggers/nothing", &json!({"user_ids": [1]})).status, 404);
    assert_eq!(http.post("/v1/triggers/order_status", &json!({"user_ids": []})).status, 400);
}

#[test]
fn a_call_is_carried_out_once_for_each_user_who_exists() {
    let (database, server) = shop();
    let mut http = server.http();
    let (mut client, _) = server.login(7);
    assert_eq!(http.post("/v1/events", &json!({"kind": "view", "user_id": 8, "item_id": 101})).status, 202);
    const PATH: &str = "/v1/triggers/order_status";
    let call = |title: &str| json!({"user_ids": [7, "7", 7, "nobody", 8, "no one"], "event": {"title": title, "body": "b"}});
    http.headers.push(("Idempotency-Key".into(), "order-1".into()));
    let first = http.post(PATH, &call("shipped"));
    assert_eq!(first.status, 202, "{}", first.body);
    assert_eq!(
        (&first.json()["accepted"], &first.json()["unknown"]),
        (&json!(2), &json!(["nobody", "no one"]))
    );
    assert_eq!(notification(&mut client, "order_status")["title"], "shipped");
    // Again, and at once from several sides: the same answer, and nothing else happens.
    let again: Vec<(u16, String)> = std::thread::scope(|scope| {
        let server = &server;
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let mut http = server.http();
                    http.headers.push(("Idempotency-Key".into(), "order-1".into()));
                    let answer = http.post(PATH, &call("shipped"));
                    (answer.status, answer.body)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (status, body) in again {
        assert_eq!((status, &body), (202, &first.body));
    }
    let other = http.post(PATH, &call("delivered"));
    assert_eq!((other.status, &other.json()["error"]["code"]), (422, &json!("idempotency_key_reused")));
    assert_eq!(http.post("/v1/triggers/announcement", &call("shipped")).status, 422, "another path");
    assert_eq!(database.count("SELECT count(*) AS n FROM users WHERE external_id LIKE 'no%'"), 0);
    let (mut eight, _) = server.login(8);
    assert_eq!(notification(&mut eight, "order_status")["title"], "shipped");
    // Nothing that was asked for can be done: no success, and the key is still free.
    http.headers[0].1 = "order-2".into();
    let nobody = json!({"user_ids": ["nobody"], "event": {"title": "t", "body": "b"}});
    let refused = http.post(PATH, &nobody);
    assert_eq!((refused.status, &refused.json()["unknown"]), (400, &json!(["nobody"])), "{}", refused.body);
    assert_eq!(http.post(PATH, &call("delivered")).status, 202);
    assert_eq!(notification(&mut client, "order_status")["title"], "delivered");
    assert_eq!(notification(&mut eight, "order_status")["title"], "delivered");
    let told = "SELECT count(*) AS n FROM notifications WHERE trigger = 'order_status'";
    assert_eq!(database.count(told), 4);
}

#[test]
fn a_policy_holds_from_the_next_decision_and_can_be_paused() {
    let (_database, server) = shop();
    let mut http = server.http();
    let (mut client, _) = server.login(1);
    let cap = json!({"caps": [{"category": "similar_items", "window_min": 60, "max": 0}]});
    let stored = http.put("/admin/policies/default", &cap);
    assert_eq!(stored.status, 200, "{}", stored.body);
    act(&mut client, "view", 105);
    wait_for("capped by version 1", || {
        let decisions = http.get("/admin/decisions?user_id=1").json();
        decisions["decisions"].as_array().unwrap().iter().any(|one| {
            one["policy_version"] == 1 && one["reasons"] == json!(["cap: similar_items 0 of 0 per hour"])
        })
    });
    assert_eq!(http.post("/admin/policies/default/pause", &json!({})).status, 200);
    act(&mut client, "view", 106);
    client.expect("recommendation");
    for bad in [json!({"items": 999}), json!({"nonsense": 1}), json!([])] {
        assert_eq!(http.put("/admin/policies/default", &bad).status, 400, "{bad}");
    }
    assert_eq!(http.put("/admin/policies/other", &json!({})).status, 400);
}

#[test]
fn what_the_user_wants_in_a_digest_is_collected_and_told_together() {
    let (database, mut server) = shop();
    let (mut client, _) = server.login(1);
    assert_eq!(
        server.http().put("/v1/users/1/preferences", &json!({"digest": ["similar_items"]})).status,
        200
    );
    act(&mut client, "view", 105);
    wait_for("collected", || database.count("SELECT count(*) AS n FROM held_messages WHERE for_digest") > 1);
    database.connection().batch_execute("UPDATE held_messages SET until = now()").unwrap();
    server.kill();
    // What the login answers may name the same items, and would be a reason to say nothing more.
    let server = Server::start(&database.url, &["--set", "policy.repeat_window_min=0"]);
    let (mut client, _) = server.login(1);
    loop {
        let frame = client.expect("recommendation");
        if frame["trigger"] == "digest" {
            assert!(frame["title"].as_str().unwrap().ends_with("things for you"), "{}", frame["title"]);
            break;
        }
    }
    wait_for("let go", || database.count("SELECT count(*) AS n FROM held_messages") == 0);
}

#[test]
fn a_digest_leaves_out_what_is_dearer_again_and_says_what_the_shop_said_of_an_item_that_is_sold_out() {
    let (database, mut server) = shop();
    let mut http = server.http();
    let (mut client, _) = server.login(1);
    // As it ships it is too urgent to be collected.
    let calm = json!({"name": "price_drop", "when": {"kind": "price_drop", "percent": 5.0}, "category": "price_drop", "template": "price_drop"});
    assert_eq!(http.put("/admin/triggers/price_drop", &calm).status, 200);
    let wish = json!({"digest": ["price_drop", "announcements"]});
    assert_eq!(http.put("/v1/users/1/preferences", &wish).status, 200);
    for id in [105, 106] {
        act(&mut client, "view", id);
        assert_eq!(http.put("/v1/items", &item(id, 7.5, 5)).status, 200);
    }
    assert_eq!(http.put("/v1/items", &item(107, 10.0, 0)).status, 200);
    let recall =
        json!({"user_ids": [1], "item_id": 107, "event": {"title": "We recall Watch 107", "body": "."}});
    assert_eq!(http.post("/v1/triggers/announcement", &recall).status, 202);
    let collected = "SELECT count(*) AS n FROM held_messages WHERE for_digest";
    wait_for("collected", || database.count(collected) == 3);
    assert_eq!(http.put("/v1/items", &item(105, 9.9, 5)).status, 200);
    database.connection().batch_execute("UPDATE held_messages SET until = now()").unwrap();
    server.kill();
    let server = Server::start(&database.url, &["--set", "policy.repeat_window_min=0"]);
    let (mut client, _) = server.login(1);
    let digest = loop {
        let frame = client.next().unwrap();
        if frame["trigger"] == "digest" {
            break frame;
        }
    };
    let items: Vec<i64> =
        digest["items"].as_array().unwrap().iter().filter_map(|item| item["item_id"].as_i64()).collect();
    assert_eq!(items, [106], "{digest}");
    assert_eq!(digest["body"], "We recall Watch 107 and 1 more");
    wait_for("let go", || database.count(collected) == 0);
}

#[test]
fn an_order_is_told_in_all_its_states_though_its_item_was_bought_and_is_sold_out() {
    let (_database, server) = shop();
    let mut http = server.http();
    let (mut client, _) = server.login(1);
    act(&mut client, "purchase", 107);
    assert_eq!(http.put("/v1/items", &item(107, 10.0, 0)).status, 200);
    for state in ["shipped", "out for delivery", "delivered"] {
        let event = json!({"title": format!("Your order is {state}"), "body": "Watch 107"});
        let call = json!({"user_ids": [1], "item_id": 107, "event": event});
        assert_eq!(http.post("/v1/triggers/order_status", &call).json()["accepted"], 1);
        assert_eq!(notification(&mut client, "order_status")["title"], format!("Your order is {state}"));
    }
}

#[test]
fn what_expires_before_its_user_comes_leaves_a_decision_that_says_so() {
    let (database, mut server) = shop();
    let mut http = server.http();
    let call = json!({"user_ids": [1], "event": {"title": "Your order was sent"}});
    assert_eq!(http.post("/v1/events", &json!({"kind": "view", "user_id": 1, "item_id": 105})).status, 202);
    assert_eq!(http.post("/v1/triggers/order_status", &call).json()["accepted"], 1);
    server.kill();
    let mut connection = database.connection();
    connection.batch_execute("UPDATE held_messages SET expires_at = now() - interval '2 hours'").unwrap();
    let server = Server::start(&database.url, &[]);
    let mut decision = Value::Null;
    wait_for("the decision", || {
        let answer = server.http().get("/admin/decisions?user_id=1").json();
        decision = answer["decisions"][0].clone();
        !decision.is_null()
    });
    assert_eq!(
        (decision["trigger"].as_str(), decision["outcome"].as_str()),
        (Some("order_status"), Some("drop"))
    );
    assert!(decision["reasons"][0].as_str().unwrap().starts_with("expired"), "{decision}");
    assert_eq!(database.count("SELECT count(*) AS n FROM held_messages"), 0);
}
