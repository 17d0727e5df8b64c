//! Holdout, the random slice and what is learned of when, how much and in which words, over real sockets.

use diesel::prelude::*;
use diesel::sql_types::{Double, Text};
use serde_json::{Value, json};
use tidings::feedback::experiments::{Experiment, Slice, Slices};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};

const HOLDOUT: f64 = 0.3;
const RANDOM: f64 = 0.3;

/// A view after another is worth a message, too.
const EVERY_TIME: [&str; 4] = ["--set", "policy.caps=[]", "--set", "policy.repeat_window_min=0"];

fn shop(arguments: &[&str]) -> (TestDatabase, Server) {
    crate::helpers::shop::shop(&[&EVERY_TIME[..], arguments].concat())
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
        let answer = server.http().get(&format!("/admin/decisions?user_id={user}&limit=200")).json();
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
    assert!(decision["reasons"][0].as_str().unwrap().starts_with("control group"), "{decision}");
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
fn an_announcement_of_the_shop_reaches_held_out_and_random_users_alike() {
    let (holdout, random) = (format!("policy.holdout={HOLDOUT}"), format!("policy.random={RANDOM}"));
    let (_database, server) = shop(&["--set", &holdout, "--set", &random]);
    let slices = Slices::of_shares(HOLDOUT, RANDOM);
    let of = |slice| {
        (1i64..).filter({
            let slices = slices.clone();
            move |user| slices.of(&user.to_string()) == slice
        })
    };
    let users: Vec<i64> = of(Slice::Holdout).take(4).chain(of(Slice::Uniform).take(10)).collect();
    let mut clients: Vec<Client> = users.iter().map(|user| server.login(*user).0).collect();
    let event = json!({"title": "Recall of mug 101", "body": "The handle may break: please send it back"});
    let said = server
        .http()
        .post("/v1/triggers/announcement", &json!({"user_ids": users, "item_id": 101, "event": event}));
    assert_eq!(said.json()["accepted"], users.len());
    for client in &mut clients {
        assert_eq!(client.expect("notification")["title"], "Recall of mug 101");
    }
    let all = server.http().get("/admin/decisions?limit=200").json();
    let told: Vec<&Value> =
        all["decisions"].as_array().unwrap().iter().filter(|one| one["trigger"] == "announcement").collect();
    assert_eq!(told.len(), users.len());
    for decision in told {
        assert_eq!(
            (&decision["outcome"], &decision["propensity"]),
            (&json!("send"), &json!(1.0)),
            "{decision}"
        );
    }
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
        assert!(decision["reasons"][0].as_str().unwrap().starts_with("random test: not sent"), "{decision}");
    }
    for decision in &sent {
        assert_eq!(decision["propensity"], 0.5, "{decision}");
    }
    assert!(decisions.iter().all(|one| one["slice"] == "random"));
}

#[test]
fn in_the_random_slice_words_are_drawn_evenly_and_judged_by_their_own_chance() {
    let (holdout, random) = (format!("policy.holdout={HOLDOUT}"), format!("policy.random={RANDOM}"));
    let (_database, server) = shop(&["--set", &holdout, "--set", &random]);
    let variant = |name: &str| json!({"name": name, "texts": {"en": {"title": format!("Said as {name}"), "body": "b"}}});
    let template = json!({"name": "view", "variants": [variant("a"), variant("b"), variant("c")]});
    assert_eq!(server.http().put("/admin/templates/view", &template).status, 200);
    let sent_to = |user: i64, views: usize| {
        let (mut client, _) = server.login(user);
        for n in 0..views {
            client.send(&json!({"type": "event", "kind": "view", "item_id": 101 + n % 40, "event_id": n}));
            client.expect("accepted");
        }
        let mut sent = decisions(&server, user, views);
        sent.retain(|one| one["outcome"] == "send");
        // Whoever asks what the words did asks about what arrived.
        client.send(&json!({"type": "ack", "offset": 1_000_000}));
        sent
    };
    let drawn = sent_to(user_of(Slice::Uniform), 70);
    let drawn_with = |one: &Value| one["variant_propensity"].as_f64().map(|propensity| propensity as f32);
    let third = 1.0f32 / 3.0;
    for one in &drawn {
        assert_eq!((&one["propensity"], drawn_with(one)), (&json!(0.5), Some(third)), "{one}");
    }
    for name in ["a", "b", "c"] {
        assert!(drawn.iter().any(|one| one["variant"] == name), "some thirty draws without {name}");
    }
    assert!(drawn.windows(2).any(|pair| pair[0]["variant"] == pair[1]["variant"]));
    let learned = sent_to(user_of(Slice::Learned), 6);
    assert!(learned.iter().all(|one| one["propensity"] == 1.0));
    // What was just said rests with the bandit.
    assert!(learned.iter().any(|one| drawn_with(one) != Some(third)));
    wait_for("all of them in the reading", || {
        let readings = server.http().get("/admin/experiments/readings").json();
        let policies = &readings["off_policy"][0]["policies"];
        let rows = (drawn.len() + learned.len()) as u64;
        policies.as_array().is_some_and(|policies| policies.len() == 3)
            && policies[0]["report"]["rows"].as_u64().is_some_and(|n| n >= rows - 1)
    });
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

/// The first user of an arm.
fn user_of_arm(experiment: &Value, arm: usize) -> i64 {
    let experiment: Experiment = serde_json::from_value(experiment.clone()).unwrap();
    (1..).find(|user| experiment.arm_of(&i64::to_string(user)) == Some(arm)).unwrap()
}

#[test]
fn an_experiment_changes_what_its_arms_say_for_the_users_in_them() {
    let (_database, server) = shop(&[]);
    let quiet = json!({"caps": [{"category": "*", "window_min": 60, "max": 0}]});
    let experiment = json!({"name": "quiet", "arms": [
        {"name": "control", "share": 5_000}, {"name": "quiet", "share": 5_000, "policy": quiet}]});
    let answer = server.http().put("/admin/experiments/quiet?validate_only=true", &experiment);
    assert_eq!((answer.status, answer.json()["valid"].as_bool()), (200, Some(true)), "{}", answer.body);
    let answer = server.http().put("/admin/experiments/quiet", &experiment);
    assert_eq!((answer.status, answer.json()["version"].as_i64()), (200, Some(1)), "{}", answer.body);
    let outcome = |arm: usize, name: &str, item: i64| {
        let user = user_of_arm(&experiment, arm);
        let (mut client, _) = server.login(user);
        view(&mut client, item);
        let before = decisions(&server, user, 1);
        assert_eq!(before[0]["arms"], json!({"quiet": name}));
        (before[0]["outcome"].clone(), before[0]["reasons"][0].clone())
    };
    assert_eq!(outcome(0, "control", 102).0, "send");
    let (what, why) = outcome(1, "quiet", 102);
    assert!(what == "drop" && why.as_str().unwrap().starts_with("cap: "), "{what} {why}");
    // Paused, everybody gets the same again.
    assert_eq!(server.http().post("/admin/experiments/quiet/pause", &Value::Null).status, 200);
    let user = user_of_arm(&experiment, 1);
    let (mut client, _) = server.login(user);
    view(&mut client, 104);
    let decision = &decisions(&server, user, 2)[0];
    assert_eq!((&decision["arms"], decision["outcome"].as_str()), (&json!({}), Some("send")));
    let history = server.http().get("/admin/experiments/quiet").json();
    assert_eq!(history["history"].as_array().unwrap().len(), 2, "{history}");
}

#[test]
fn an_experiment_that_compares_nothing_is_refused_with_the_reason() {
    let (_database, server) = shop(&[]);
    let arm = |name: &str, share: u32| json!({"name": name, "share": share});
    for (arms, says) in [
        (json!([arm("a", 10)]), "2…20 arms"),
        (json!([arm("a", 10), arm("a", 10)]), "two arms are named"),
        (json!([arm("a", 9_000), arm("b", 9_000)]), "at most 10000"),
        (json!([arm("a", 10), {"name": "b", "share": 10, "policy": {"items": 999}}]), "policy.items"),
        (
            json!([arm("a", 10), {"name": "b", "share": 10, "policy": {"holdout": 0.1}}]),
            "says who takes part",
        ),
        (json!([arm("a", 10), {"name": "b", "share": 10, "variants": {"view": "nonsense"}}]), "no variant"),
    ] {
        let answer = server.http().put("/admin/experiments/x", &json!({"name": "x", "arms": arms}));
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (400, Some("bad_definition")));
        assert!(answer.body.contains(says), "{} does not say {says}", answer.body);
    }
}
