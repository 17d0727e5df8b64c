//! Entries of the audit log that say whose messages somebody looked at, and of which items, followers and messages a change was.

use serde_json::{Value, json};

use crate::audit::{admin, entries, start};
use crate::helpers::client::Client;
use crate::helpers::server::wait_for;
use crate::helpers::tokens::token;

#[test]
fn a_login_on_another_s_messages_is_a_reading_and_a_refused_one_names_who_tried() {
    let (_database, server) = start();
    let login = |role: &str, name: &str, user: u32| {
        let mut client = Client::connect(server.address);
        let token = token(&["--role", role, "--user", name]);
        client.send(&json!({"type": "login", "user_id": user, "token": token}));
        client
    };
    let mut looking = login("admin", "anna", 17);
    looking.expect("welcome");
    login("user", "17", 17).expect("welcome");
    assert_eq!(login("user", "17", 18).close_code(), 3507);
    let mut anna = admin(&server, "anna");
    wait_for("the entries", || entries(&mut anna, "object=closed").len() == 1);
    let refused = &entries(&mut anna, "object=closed")[0];
    assert_eq!((&refused["actor"], &refused["role"]), (&json!("17"), &json!("user")));
    let seen = entries(&mut anna, "object=17");
    let seen: Vec<_> =
        seen.iter().map(|entry| (&entry["actor"], &entry["action"], &entry["status"])).collect();
    assert_eq!(seen, [(&json!("anna"), &json!("login"), &json!(200))]);
}

#[test]
fn changes_of_items_topics_and_inboxes_say_of_which_and_what() {
    let (_database, server) = start();
    let mut anna = admin(&server, "anna");
    for price in [100.0, 0.01] {
        assert_eq!(
            anna.put("/v1/items", &json!({"item_id": 9, "title": "Clock", "price": price})).status,
            200
        );
    }
    assert_eq!(anna.put("/v1/users/17/topics/vinyl", &Value::Null).status, 204);
    let followers = anna.put("/v1/topics/jazz/subscribers", &json!({"user_ids": [17, 99]}));
    assert_eq!(followers.status, 200, "{}", followers.body);
    assert_eq!(anna.post("/v1/notifications", &json!({"user_id": 17, "title": "Hello"})).status, 202);
    let mut ids = Vec::new();
    wait_for("the message", || {
        let inbox = anna.get("/v1/users/17/inbox").json();
        ids =
            inbox["messages"].as_array().unwrap().iter().map(|one| one["notification_id"].clone()).collect();
        !ids.is_empty()
    });
    assert_eq!(anna.post("/v1/users/17/inbox/delete", &json!({"notification_ids": ids})).status, 200);
    assert_eq!(anna.delete("/v1/items/9").status, 204);
    let item = &entries(&mut anna, "object=/v1/items&limit=10");
    let told: Vec<_> = item.iter().map(|one| (&one["before"], &one["after"])).collect();
    let clock = |price: f64| json!({"item_id": 9, "title": "Clock", "price": price});
    let none = Value::Null;
    assert_eq!(
        told,
        [
            (&clock(0.01), &none),
            (&json!([clock(100.0)]), &json!([clock(0.01)])),
            (&json!([]), &json!([clock(100.0)])),
        ]
    );
    let topic = &entries(&mut anna, "object=/v1/topics/jazz")[0];
    assert_eq!(topic["after"], json!({"user_ids": [17], "changed": 1}));
    let deleted = &entries(&mut anna, "object=/v1/users/17/inbox/delete")[0];
    assert_eq!(deleted["after"], json!({"notification_ids": ids, "changed": 1}));
}
