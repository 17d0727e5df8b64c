//! What came of messages, readings of experiments and a user's timeline, from what was really sent and answered.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

/// Views an item and waits for the message that it sets off.
pub fn pushed(client: &mut Client, item: i64) -> Value {
    client.send(&json!({"type": "event", "kind": "view", "item_id": item}));
    loop {
        let frame = client.expect("recommendation");
        if frame["trigger"] == "view" {
            return frame;
        }
    }
}

pub fn answer(client: &mut Client, message: &Value, outcome: &str) {
    client.send(
        &json!({"type": "feedback", "notification_id": message["notification_id"], "outcome": outcome}),
    );
}

pub fn group(server: &Server, by: &str, name: &str) -> Value {
    let answer = server.http().get(&format!("/admin/outcomes?by={by}")).json();
    let groups = answer["groups"].as_array().unwrap_or_else(|| panic!("{answer}"));
    groups.iter().find(|group| group["name"] == name).cloned().unwrap_or_default()
}

#[test]
fn what_people_do_with_messages_is_counted_on_every_side() {
    let (_database, server) = shop(&[]);
    let (mut first, _) = server.login(1);
    let (mut second, _) = server.login(2);
    let (mut third, _) = server.login(3);
    let message = pushed(&mut first, 102);
    for outcome in ["displayed", "clicked", "liked"] {
        answer(&mut first, &message, outcome);
    }
    let bought = message["items"][0]["item_id"].clone();
    first.send(
        &json!({"type": "event", "kind": "purchase", "item_id": bought, "value": 30.0, "currency": "EUR"}),
    );
    let message = pushed(&mut second, 103);
    for outcome in ["displayed", "disliked", "muted"] {
        answer(&mut second, &message, outcome);
    }
    let message = pushed(&mut third, 104);
    answer(&mut third, &message, "dismissed");
    assert_eq!(server.http().put("/v1/users/3/preferences", &json!({"opted_out": true})).status, 200);

    let mut view = Value::Null;
    wait_for("all to be counted", || {
        view = group(&server, "trigger", "view");
        view["converted"] == 1 && view["muted"] == 1 && view["dismissed"] == 1 && view["unsubscribed"] == 1
    });
    assert_eq!((&view["sent"], &view["delivered"], &view["clicked"]), (&json!(3), &json!(3), &json!(1)));
    assert_eq!((&view["liked"]["value"], &view["revenue"]), (&json!(0.5), &json!(30.0)));
    let ctr = &view["click_through"];
    // Wilson, 1 of 3.
    assert!((ctr["low"].as_f64().unwrap() - 0.061_49).abs() < 1e-4, "{ctr}");
    assert!((ctr["high"].as_f64().unwrap() - 0.792_35).abs() < 1e-4, "{ctr}");
    let muted = view["muted_per_thousand"]["value"].as_f64().unwrap();
    assert!((muted - 1_000.0 / 3.0).abs() < 1e-9, "{muted}");

    let clicked_by = |by: &str| {
        let answer = server.http().get(&format!("/admin/outcomes?by={by}")).json();
        assert_eq!(answer["overall"]["sent"], 6, "{by}: three logins, three views: {answer}");
        let groups = answer["groups"].as_array().unwrap();
        groups.iter().map(|group| group["clicked"].as_u64().unwrap()).sum::<u64>()
    };
    for by in ["kind", "template", "variant", "segment", "hour", "model", "policy", "channel"] {
        assert_eq!(clicked_by(by), 1, "{by}");
    }
    let heat = server.http().get("/admin/outcomes?by=hour&days=1").json();
    let cells = heat["cells"].as_array().unwrap();
    assert_eq!(cells.iter().map(|cell| cell["sent"].as_u64().unwrap()).sum::<u64>(), 6);
    for cell in cells {
        assert!((1..=7).contains(&cell["weekday"].as_u64().unwrap()) && cell["hour"].as_u64().unwrap() < 24);
    }
    let template = group(&server, "template", "view");
    assert_eq!(template["sent"], 3, "the trigger's template: {template}");
}

#[test]
fn a_conversion_is_what_was_bought_after_the_message_and_kept() {
    let (_database, server) = shop(&[]);
    let (mut client, _) = server.login(1);
    let message = pushed(&mut client, 102);
    answer(&mut client, &message, "clicked");
    drop(client);
    let items: Vec<Value> = (0..3).map(|place| message["items"][place]["item_id"].clone()).collect();
    let mut http = server.http();
    let mut trade = |kind: &str, item: &Value, more: Value| {
        let mut event =
            json!({"user_id": 1, "kind": kind, "item_id": item, "value": 100.0, "order_id": "o-1"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = http.post("/v1/events", &json!([event]));
        assert_eq!(answer.status, 202, "{}", answer.body);
    };
    let counted = || {
        let view = group(&server, "trigger", "view");
        (view["converted"].as_u64().unwrap(), view["revenue"].as_f64().unwrap())
    };
    let sent_at: f64 = {
        let text = message["sent_at"].as_str().unwrap();
        tidings::base::Timestamp::parse(text).unwrap().as_seconds() as f64
    };
    trade("purchase", &items[0], json!({"occurred_at": sent_at - 20.0 * 3_600.0}));
    assert_eq!(counted(), (0, 0.0), "bought before it was sent");
    for (line, item) in items.iter().enumerate() {
        for _ in 0..2 {
            trade("purchase", item, json!({"event_id": format!("o-1/{line}")}));
        }
    }
    assert_eq!(counted(), (1, 300.0), "every line once, whether or not its user is here");
    trade("return", &items[0], json!({}));
    assert_eq!(counted(), (1, 200.0));
    items.iter().skip(1).for_each(|item| trade("return", item, json!({})));
    assert_eq!(counted(), (0, 0.0), "taken back");
}

#[test]
fn a_return_of_an_order_before_the_report_begins_costs_no_later_one() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let mut trade = |kind: &str, item: &Value, more: Value| {
        let mut event = json!({"user_id": 1, "kind": kind, "item_id": item});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = http.post("/v1/events", &json!([event]));
        assert_eq!(answer.status, 202, "{}", answer.body);
    };
    let (mut client, _) = server.login(1);
    let message = pushed(&mut client, 102);
    answer(&mut client, &message, "displayed");
    drop(client);
    let item = message["items"][0]["item_id"].clone();
    let sent = tidings::base::Timestamp::parse(message["sent_at"].as_str().unwrap()).unwrap();
    let long_ago = sent.plus_days(-10.0).to_string();
    trade("purchase", &item, json!({"order_id": "early", "value": 100.0, "occurred_at": long_ago}));
    trade("purchase", &item, json!({"order_id": "late", "value": 120.0}));
    trade("return", &item, json!({"order_id": "early", "value": 100.0}));
    for days in [7, 30] {
        let answer = server.http().get(&format!("/admin/outcomes?by=trigger&days={days}")).json();
        let groups = answer["groups"].as_array().unwrap();
        let view = groups.iter().find(|group| group["name"] == "view").unwrap();
        assert_eq!((&view["converted"], &view["revenue"]), (&json!(1), &json!(120.0)), "{days} days: {view}");
    }
}

#[test]
fn questions_that_make_no_sense_are_refused_with_the_fix() {
    let (_database, server) = shop(&[]);
    for (path, status, field) in [
        ("/admin/outcomes?by=weather", 400, "by"),
        ("/admin/outcomes?days=0", 400, "days"),
        ("/admin/experiments/readings?days=4000", 400, "days"),
        ("/admin/users/1/timeline?before=yesterday", 400, "before"),
    ] {
        let answer = server.http().get(path);
        assert_eq!(
            (answer.status, answer.json()["error"]["field"].as_str()),
            (status, Some(field)),
            "{path}"
        );
    }
    assert_eq!(server.http().get("/admin/users/nobody/timeline").status, 404);
    assert_eq!(server.http().get("/admin/experiments/none/reading").status, 404);
}

#[test]
fn a_timeline_tells_what_was_decided_sent_and_answered_and_why_not() {
    let (_database, server) = shop(&[]);
    let (mut client, _) = server.login(1);
    let message = pushed(&mut client, 102);
    answer(&mut client, &message, "muted");
    let category = message["category"].as_str().unwrap();
    wait_for("the mute is stored", || {
        server.http().get("/v1/users/1/preferences").json()["muted"] == json!([category])
    });
    client.send(&json!({"type": "event", "kind": "view", "item_id": 103, "event_id": "second"}));
    client.expect("accepted");
    let mut whole = Value::Null;
    wait_for("the refusal", || {
        whole = server.http().get("/admin/users/1/timeline").json();
        whole["entries"][0]["outcome"] == "drop"
    });
    let entries = whole["entries"].as_array().unwrap();
    assert!(
        entries[0]["because"].as_str().unwrap().starts_with("muted: the user wants no"),
        "{}",
        entries[0]
    );
    assert_eq!((&entries[1]["what"], &entries[1]["outcome"]), (&json!("feedback"), &json!("muted")));
    let sent = entries.iter().find(|entry| entry["what"] == "message").unwrap();
    assert_eq!(sent["notification_id"], message["notification_id"]);
    assert_eq!(whole["next_before"], Value::Null);
    // Page by page it is the same, nothing twice and nothing lost.
    let (mut paged, mut before) = (Vec::new(), None::<String>);
    loop {
        let at = before.map(|at| format!("&before={at}")).unwrap_or_default();
        let page = server.http().get(&format!("/admin/users/1/timeline?limit=1{at}")).json();
        paged.extend(page["entries"].as_array().unwrap().clone());
        match page["next_before"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(&paged, entries);
}

/// Users act over sockets; which arm they were in is then written into their decisions, as the policy logs it.
#[test]
fn an_experiment_is_read_by_users_and_blocked_when_an_arm_lost_its_users() {
    let (database, server) = shop(&[]);
    let mut clients = Vec::new();
    for user in 1..=8 {
        let (mut client, _) = server.login(user);
        let message = pushed(&mut client, 102);
        answer(&mut client, &message, if user % 2 == 0 { "clicked" } else { "displayed" });
        clients.push(client);
    }
    wait_for("the clicks", || group(&server, "trigger", "view")["clicked"] == 4);
    let before = server.http().get("/admin/experiments/readings").json();
    assert!(
        before["slices"]["note"].as_str().unwrap().contains("Nobody was in the control group"),
        "{before}"
    );
    database
        .connection()
        .batch_execute(
            "UPDATE decisions d SET arms = jsonb_build_object('greeting', CASE WHEN u.external_id::int % 2 = 0 THEN 'warm' \
             ELSE 'cold' END), slice = CASE u.external_id WHEN '1' THEN 'holdout' ELSE 'ordinary' END \
             FROM users u WHERE u.user_id = d.user_id",
        )
        .unwrap();
    let answer = server.http().get("/admin/experiments/greeting/reading").json();
    let reading = &answer["reading"];
    assert_eq!((&reading["control"], &reading["blocked"]), (&json!("cold"), &Value::Null), "{answer}");
    assert_eq!((&reading["arms"][0]["users"], &reading["arms"][1]["users"]), (&json!(4), &json!(4)));
    let click = &reading["lifts"][0]["metrics"][0];
    // The answer to the login was never acknowledged: of each user one message is confirmed, the one answered.
    assert_eq!(click["metric"], "click_through");
    assert_eq!((&click["treated"]["value"], &click["control"]["value"]), (&json!(1.0), &json!(0.0)));
    let readings = server.http().get("/admin/experiments/readings").json();
    assert_eq!(readings["experiments"], json!([{"name": "greeting", "arms_seen": ["cold", "warm"]}]));
    let slices = &readings["slices"]["reading"];
    assert_eq!(slices["arms"][0]["users"], 1, "held out: {slices}");
    // One of eight held out where 2 % should be is no accident that eight users could show; of many it is.
    database
        .connection()
        .batch_execute(
            "WITH more AS (INSERT INTO users (external_id) SELECT 'm' || n FROM generate_series(1, 400) n RETURNING user_id) \
             INSERT INTO decisions (decision_id, decided_at, user_id, trigger, category, outcome, reasons, model_version, \
             items, propensity, slice) SELECT gen_random_uuid(), now(), user_id, 'view', 'x', 'drop', '{}', 0, '{}', 1, 'holdout' \
             FROM more",
        )
        .unwrap();
    let readings = server.http().get("/admin/experiments/readings").json();
    let slices = &readings["slices"];
    assert!(slices["reading"]["blocked"].as_str().unwrap().starts_with("Not read"), "{slices}");
    assert_eq!((&slices["reading"]["lifts"], &slices["attribution"]), (&json!([]), &Value::Null));
}

#[test]
fn changed_arms_begin_a_new_phase_and_its_reading_counts_nothing_of_the_old_one() {
    const USERS: i64 = 24;
    let (_database, server) = shop(&["--set", "policy.caps=[]", "--set", "policy.repeat_window_min=0"]);
    let mut http = server.http();
    let with = |share: u16| json!({"name": "words", "arms": [{"name": "a", "share": share}, {"name": "b", "share": 10_000 - share}]});
    let stored = http.put("/admin/experiments/words", &with(5_000));
    assert_eq!((stored.status, &stored.json()["definition"]["phase"]), (200, &Value::Null));
    let mut clients: Vec<Client> = (1..=USERS).map(|user| server.login(user).0).collect();
    let arms_of = |server: &Server| {
        let reading = server.http().get("/admin/experiments/words/reading").json();
        let of = |place: usize| {
            let arm = &reading["reading"]["arms"][place];
            (arm["users"].as_i64().unwrap(), arm["metrics"]["conversion"]["value"].as_f64())
        };
        (of(0), of(1), reading)
    };
    // Who is in b buys.
    let experiment: tidings::feedback::experiments::Experiment = serde_json::from_value(with(5_000)).unwrap();
    let in_b = |user: &i64| experiment.arm_of(&user.to_string()) == Some(1);
    let buyers: Vec<i64> = (1..=USERS).filter(in_b).collect();
    for user in &buyers {
        let event = json!({"kind": "purchase", "user_id": user, "item_id": 101, "value": 9.0});
        assert_eq!(http.post("/v1/events", &event).json()["accepted"], 1);
    }
    let mut whole = Value::Null;
    wait_for("everybody in the reading", || {
        let (a, b, reading) = arms_of(&server);
        whole = reading;
        a == (USERS - buyers.len() as i64, Some(0.0)) && b == (buyers.len() as i64, Some(1.0))
    });
    assert_eq!((&whole["restarted_at"], &whole["note"]), (&Value::Null, &Value::Null));

    let stored = http.put("/admin/experiments/words", &with(9_000)).json();
    assert_eq!(stored["definition"]["phase"], 1, "{stored}");
    let (a, b, reading) = arms_of(&server);
    assert_eq!((a, b), ((0, None), (0, None)), "{reading}");
    assert_eq!(reading["restarted_at"], stored["changed_at"]);
    assert!(reading["note"].as_str().unwrap().starts_with("the arms were changed at 20"), "{reading}");
    for client in &mut clients {
        pushed(client, 103);
    }
    let mut last = Value::Null;
    wait_for("everybody again", || {
        let (a, b, reading) = arms_of(&server);
        last = reading;
        a.0 + b.0 == USERS && a.0 > b.0 && a.1 == Some(0.0) && b.1.is_none_or(|share| share == 0.0)
    });
    let conversion = &last["reading"]["lifts"][0]["metrics"][1];
    assert_eq!((&conversion["metric"], &conversion["significant"]), (&json!("conversion"), &json!(false)));
    // The same arms again, or a pause, change nothing.
    assert_eq!(http.put("/admin/experiments/words", &with(9_000)).json()["definition"]["phase"], 1);
    assert_eq!(http.post("/admin/experiments/words/pause", &Value::Null).json()["definition"]["phase"], 1);
    assert_eq!(arms_of(&server).2["restarted_at"], stored["changed_at"]);
}

#[test]
fn a_few_users_held_out_raise_no_alarm_and_tell_nothing_yet() {
    let (database, server) = shop(&["--set", "policy.holdout=0.02", "--set", "policy.random=0.05"]);
    // 6 held out, 144 ordinary and 18 random users, after a few minutes; 49 of the others have bought.
    database
        .connection()
        .batch_execute(
            "SELECT ensure_event_partition(now()); \
             WITH more AS (INSERT INTO users (external_id) SELECT 'm' || n FROM generate_series(1, 168) n \
             RETURNING user_id, substr(external_id, 2)::int AS n), \
             told AS (INSERT INTO decisions (decision_id, decided_at, user_id, trigger, category, outcome, reasons, model_version, \
             items, propensity, slice) SELECT gen_random_uuid(), now() - interval '7 minutes', user_id, 'view', 'x', 'drop', '{}', 0, \
             '{}', 1, CASE WHEN n <= 6 THEN 'holdout' WHEN n <= 24 THEN 'random' ELSE 'ordinary' END FROM more) \
             INSERT INTO events (event_key, occurred_at, user_id, item_id, kind, value) \
             SELECT gen_random_uuid(), now(), user_id, 0, 5, 20 FROM more WHERE n > 119",
        )
        .unwrap();
    let slices = server.http().get("/admin/experiments/readings").json()["slices"].clone();
    let reading = &slices["reading"];
    assert_eq!(
        (&reading["blocked"], &reading["sample_ratio"]["blocked"]),
        (&Value::Null, &json!(false)),
        "{slices}"
    );
    assert!(reading["sample_ratio"]["p"].as_f64().unwrap() > 0.05, "{reading}");
    let metrics = reading["lifts"][0]["metrics"].as_array().unwrap();
    assert!(
        metrics.iter().all(|compared| compared["metric"] != "click_through"),
        "of other messages: {reading}"
    );
    let conversion = &metrics[0];
    assert_eq!(conversion["metric"], "conversion");
    assert_eq!((&conversion["verdict"], &conversion["significant"]), (&json!("too_few"), &json!(false)));
    assert_eq!((&conversion["lift"], &conversion["control"]["standard_error"]), (&Value::Null, &Value::Null));
    assert!(conversion["too_few"].as_str().unwrap().starts_with("too few to tell"), "{conversion}");
    let added = &slices["attribution"]["incremental"];
    assert!(added[0] == 49.0 && added[1].as_f64().unwrap() < 0.0, "{slices}");
    assert_eq!(
        (&slices["attribution"]["correction"], &slices["uplift"][0]["difference"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn an_estimate_without_a_sample_that_carries_it_is_refused() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let text = |title: &str| json!({"en": {"title": title, "body": ""}});
    let template = json!({"name": "view", "variants": [
        {"name": "a", "texts": text("One")}, {"name": "b", "texts": text("Two")}]});
    assert_eq!(http.put("/admin/templates/view", &template).status, 200);
    assert_eq!(http.post("/admin/templates/view/activate", &Value::Null).status, 200);
    let (mut client, _) = server.login(1);
    let message = pushed(&mut client, 102);
    answer(&mut client, &message, "clicked");
    wait_for("the click", || group(&server, "trigger", "view")["clicked"] == 1);
    let readings = http.get("/admin/experiments/readings").json();
    let policies = readings["off_policy"][0]["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 1, "one message has one variant: {readings}");
    let said = policies[0]["refused"].as_str().unwrap();
    assert!(said.contains("effective sample size"), "{said}");
    assert_eq!(policies[0]["report"]["estimates"], Value::Null);
    let variants = http.get("/admin/outcomes?by=variant").json();
    let names: Vec<_> =
        variants["groups"].as_array().unwrap().iter().map(|group| group["name"].clone()).collect();
    assert!(names.contains(&json!("view / a")) || names.contains(&json!("view / b")), "{names:?}");
}
