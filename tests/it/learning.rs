//! Holdout, the random slice and what is learned of when, how much and in which words, over real sockets.

use diesel::prelude::*;
use diesel::sql_types::{Double, Text};
use serde_json::{Value, json};
use tidings::feedback::experiments::{Slice, Slices};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

const HOLDOUT: f64 = 0.3;
const RANDOM: f64 = 0.3;

/// A view after another is worth a message, too.
const EVERY_TIME: [&str; 4] = ["--set", "policy.caps=[]", "--set", "policy.repeat_window_min=0"];

fn shop(arguments: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[&EVERY_TIME[..], arguments].concat());
    let items: Value = (101..141)
        .map(|id| json!({"item_id": id, "title": format!("Mug number {id}"), "price": 10.0}))
        .collect();
    assert_eq!(server.http().put("/v1/items", &items).status, 200);
    (database, server)
}

/// The first user of a slice.
fn user_of(slice: Slice) -> i64 {
    let slices = Slices::of_shares(HOLDOUT, RANDOM);
    (1..).find(|user| slices.of(&i64::to_string(user)) == slice).unwrap()
}

fn view(client: &mut Client, item: i64) {
    client.send(&json!({"type": "event", "kind": "view", "item_id": item, "event_id": format!("v{item}")}));
    client.expect("accepted");
}

/// Decisions about views, newest first, as soon as there are so many.
fn decisions(server: &Server, user: i64, at_least: usize) -> Vec<Value> {
    let mut found = Vec::new();
    wait_for("the decisions", || {
        let answer = server.http().get(&format!("/admin/decisions?user_id={user}")).json();
        found = answer["decisions"].as_array().unwrap().clone();
        found.retain(|one| one["trigger"] == "view");
        found.len() >= at_least
    });
    found
}

#[test]
fn who_is_held_out_gets_what_was_asked_for_and_nothing_else() {
    let (holdout, random) = (format!("policy.holdout={HOLDOUT}"), format!("policy.random={RANDOM}"));
    let (_database, server) = shop(&["--set", &holdout, "--set", &random]);
    let user = user_of(Slice::Holdout);
    let (mut client, answer) = server.login(user);
    assert_eq!(answer["items"].as_array().unwrap().len(), 5, "a login is answered");
    view(&mut client, 102);
    let decision = &decisions(&server, user, 1)[0];
    assert_eq!((decision["outcome"].as_str(), decision["slice"].as_str()), (Some("drop"), Some("holdout")));
    assert_eq!(decision["holdout"], true);
    assert!(decision["reasons"][0].as_str().unwrap().starts_with("held out"), "{decision}");
    assert_eq!(decision["steps"].as_array().unwrap().last().unwrap()["step"], "experiment");
    // A message of the shop is no part of it.
    let sent = server
        .http()
        .post("/v1/notifications", &json!({"user_id": user, "title": "Your order", "body": "is here"}));
    assert_eq!(sent.status, 202, "{}", sent.body);
    client.expect("notification");
    let ordinary = user_of(Slice::Learned);
    let (mut client, _) = server.login(ordinary);
    view(&mut client, 102);
    let decision = &decisions(&server, ordinary, 1)[0];
    assert_eq!((decision["outcome"].as_str(), decision["slice"].as_str()), (Some("send"), Some("ordinary")));
}

#[test]
fn in_the_random_slice_a_coin_decides_and_its_chance_is_stored() {
    let (holdout, random) = (format!("policy.holdout={HOLDOUT}"), format!("policy.random={RANDOM}"));
    let (_database, server) = shop(&["--set", &holdout, "--set", &random]);
    let user = user_of(Slice::Uniform);
    let (mut client, _) = server.login(user);
    for item in 101..131 {
        view(&mut client, item);
    }
    let decisions = decisions(&server, user, 30);
    let of = |outcome: &str| decisions.iter().filter(|one| one["outcome"] == outcome).collect::<Vec<_>>();
    let (sent, dropped) = (of("send"), of("drop"));
    // Thirty tosses all alike: one in half a billion.
    assert!(!sent.is_empty() && !dropped.is_empty() && sent.len() + dropped.len() == decisions.len());
    for decision in &dropped {
        assert_eq!(decision["propensity"], 0.5, "{decision}");
        assert!(decision["reasons"][0].as_str().unwrap().starts_with("drawn: a coin said no"), "{decision}");
    }
    // A message is also drawn among the wordings of its template.
    assert!(sent.iter().all(|one| (0.01..=0.5).contains(&one["propensity"].as_f64().unwrap())));
    assert!(decisions.iter().all(|one| one["slice"] == "random"));
}

#[derive(QueryableByName)]
struct Learned {
    #[diesel(sql_type = Double)]
    visits: f64,
    #[diesel(sql_type = Double)]
    sent: f64,
    #[diesel(sql_type = Double)]
    clicked: f64,
    #[diesel(sql_type = Text)]
    wordings: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Double)]
    n: f64,
}

fn learned(database: &TestDatabase) -> Learned {
    let sum = |of: &str| {
        format!(
            "(SELECT sum(n::float8) FROM jsonb_array_elements_text(learned->'send_time'->'whole'->'{of}') n)"
        )
    };
    let text = format!(
        "SELECT {} AS visits, {} AS sent, {} AS clicked, (learned->'wordings')::text AS wordings FROM learner",
        sum("visits"),
        sum("sent"),
        sum("clicked")
    );
    diesel::sql_query(text).get_result(&mut database.connection()).unwrap()
}

#[test]
fn what_was_learned_survives_a_restart_and_goes_on_being_learned() {
    let (database, mut server) = shop(&[]);
    let push = |server: &Server, user: i64| {
        let (mut client, _) = server.login(user);
        view(&mut client, 102);
        let push = loop {
            let frame = client.expect("recommendation");
            if frame["trigger"] == "view" {
                break frame;
            }
        };
        let id = push["notification_id"].clone();
        client.send(&json!({"type": "feedback", "notification_id": id, "outcome": "clicked"}));
        wait_for("the click", || {
            let text = "SELECT count(*)::float8 AS n FROM feedback WHERE outcome = 2";
            let count: Count = diesel::sql_query(text).get_result(&mut database.connection()).unwrap();
            count.n >= user as f64
        });
    };
    push(&server, 1);
    assert!(server.terminate().success());
    let before = learned(&database);
    assert_eq!((before.visits, before.sent, before.clicked), (1.0, 1.0, 1.0));
    let mut server = Server::start(&database.url, &EVERY_TIME);
    push(&server, 2);
    assert!(server.terminate().success());
    let after = learned(&database);
    // A moment's fading apart.
    for (what, is) in [("visits", after.visits), ("sent", after.sent), ("clicked", after.clicked)] {
        assert!((1.99..=2.0).contains(&is), "{what} {is}");
    }
    assert_eq!(before.wordings.is_empty(), after.wordings.is_empty());
}
