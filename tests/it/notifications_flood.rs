//! Messages of the shop under load: floods, caps and large audiences keep no order from its user.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use super::notifications::{PATH, accepted, count, inbox, start};
use crate::helpers::server::{Server, wait_for};

/// Longest time for an order to be in the inbox.
const SECONDS: Duration = Duration::from_secs(10);

#[test]
fn many_unwanted_messages_to_somebody_absent_do_not_keep_an_order_from_the_inbox() {
    let (database, mut server) = start(&[]);
    let muted = json!({"muted": ["promotion"]});
    for user in 1..=3 {
        assert_eq!(server.http().put(&format!("/v1/users/{user}/preferences"), &muted).status, 200);
    }
    let request = |user: i64| {
        let promotion = |n| json!({"user_id": user, "title": format!("sale {n}"), "kind": "promotion"});
        let mut messages: Vec<Value> = (0..150).map(promotion).collect();
        messages
            .push(json!({"user_id": user, "title": "shipped", "kind": "order", "priority": "transactional"}));
        json!(messages)
    };
    let mut keyed = server.http();
    keyed.headers.push(("Idempotency-Key".into(), "orders".into()));
    let started = Instant::now();
    assert_eq!(accepted(&server.http().post(PATH, &request(1))), (151, 0, 0));
    assert_eq!(accepted(&keyed.post(PATH, &request(2))), (151, 0, 0));
    for user in ["1", "2"] {
        wait_for("the order", || inbox(&server, user) == ["shipped"]);
    }
    assert!(started.elapsed() < SECONDS, "{:?}", started.elapsed());
    wait_for("the outbox to empty", || count(&database, "outbox") == 0);
    // Whatever a server leaves behind, the next one goes on with.
    keyed.headers[0].1 = "more orders".into();
    assert_eq!(accepted(&keyed.post(PATH, &request(3))), (151, 0, 0));
    server.kill();
    let server = Server::start(&database.url, &[]);
    let started = Instant::now();
    wait_for("the order", || inbox(&server, "3") == ["shipped"]);
    assert!(started.elapsed() < SECONDS, "{:?}", started.elapsed());
    wait_for("the outbox to empty", || count(&database, "outbox") == 0);
    // A message ends by a decision that is stored; after the crash some may have been judged again.
    let reasons =
        "decisions d JOIN users u USING (user_id) WHERE outcome = 'drop' AND reasons[1] LIKE 'muted%'";
    assert_eq!(count(&database, &format!("{reasons} AND u.external_id IN ('1', '2')")), 300);
    assert!(count(&database, &format!("{reasons} AND u.external_id = '3'")) >= 150);
}

#[test]
fn orders_come_through_a_flood_that_the_caps_hold_back() {
    let cap = r#"policy.caps=[{ category = "*", window_min = 1440, max = 200 }]"#;
    let (database, server) = start(&["--set", cap]);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..5 {
            let server = &server;
            scope.spawn(move || {
                let mut messages: Vec<Value> = (0..120)
                    .map(|n| json!({"user_id": "absent", "title": format!("{thread}/{n}")}))
                    .collect();
                let order = json!({"user_id": "absent", "title": "order", "priority": "transactional"});
                messages.insert(100, order);
                for some in messages.chunks(11) {
                    assert_eq!(accepted(&server.http().post(PATH, &json!(some))).0, some.len() as i64);
                }
            });
        }
    });
    let orders = "notifications WHERE frame::json->>'title' = 'order'";
    wait_for("the orders", || count(&database, orders) == 5);
    assert!(started.elapsed() < SECONDS, "{:?}", started.elapsed());
    wait_for("the outbox to empty", || count(&database, "outbox") == 0);
    assert_eq!(count(&database, "notifications"), 205);
    assert_eq!(count(&database, "decisions WHERE outcome = 'drop' AND reasons[1] LIKE 'cap%'"), 400);
}

#[test]
fn an_order_does_not_wait_for_the_news_of_a_large_audience() {
    let (database, server) = start(&[]);
    database
        .connection()
        .batch_execute("INSERT INTO users (external_id) SELECT n::text FROM generate_series(1, 150000) n")
        .unwrap();
    assert_eq!(accepted(&server.http().post(PATH, &json!({"everyone": true, "title": "news"}))).0, 150_000);
    let mut http = server.http();
    for n in 0..3 {
        http.headers = vec![("Idempotency-Key".into(), format!("order {n}"))];
        let order = json!({"user_ids": [149_998, 149_999], "title": format!("order {n}"), "priority": "transactional"});
        assert_eq!(accepted(&http.post(PATH, &order)), (2, 0, 0));
        wait_for("the order", || {
            count(&database, &format!("notifications WHERE frame::json->>'title' = 'order {n}'")) == 2
        });
    }
    assert!(count(&database, "outbox") > 50, "most of the news still waits");
}
