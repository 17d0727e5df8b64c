//! Attributes of users: kept with their types, for the shop only, and read by templates, triggers and experiments.

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";

fn set(http: &mut Http, user: &str, attributes: Value) -> Value {
    let answer = http.patch(&format!("/v1/users/{user}"), &json!({"attributes": attributes}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["attributes"].clone()
}

#[test]
fn a_patch_merges_and_null_removes() {
    let (database, mut server) = shop(&[]);
    let mut http = server.http();
    assert_eq!(http.get("/v1/users/7").status, 404, "nothing has named this user");
    let first = json!({"first name": "Anna", "points": 4.5, "vip": true, "since": {"date": "2024-02-29"},
                       "sizes": ["M", "L"]});
    assert_eq!(set(&mut http, "7", first.clone()), first);
    let changed = set(&mut http, "7", json!({"points": null, "sizes": [], "since": {"date": "2025-01-01"}}));
    let expected = json!({"first name": "Anna", "vip": true, "since": {"date": "2025-01-01"}, "sizes": []});
    assert_eq!(changed, expected);
    assert_eq!(set(&mut http, "7", json!({})), expected);
    for (bad, says) in [
        (json!({"attributes": {"a": {"b": 1}}}), "bad_attributes"),
        (json!({"attributes": {"a": "x".repeat(2_000)}}), "bad_attributes"),
        (json!({"attributes": []}), "bad_json"),
        (json!({"attribute": {}}), "did you mean `attributes`"),
        (json!({}), "attributes"),
    ] {
        let answer = http.patch("/v1/users/7", &bad);
        assert!(answer.status == 400 && answer.body.contains(says), "{bad}: {}", answer.body);
    }
    // A merge fills what the user lacks.
    set(&mut http, "anon-1", json!({"vip": false, "source": "newsletter"}));
    http.post("/v1/users/7/merge", &json!({"anonymous_id": "anon-1"}));
    let merged = json!({"first name": "Anna", "vip": true, "since": {"date": "2025-01-01"}, "sizes": [],
                        "source": "newsletter"});
    server.kill();
    let server = Server::start(&database.url, &[]);
    assert_eq!(server.http().get("/v1/users/7").json(), json!({"user_id": 7, "attributes": merged}));
    assert_eq!(
        server.http().get("/v1/users/anon-1").json()["user_id"],
        7,
        "an alias after a restart as well"
    );
}

#[test]
fn only_the_shop_reads_and_changes_them() {
    let database = TestDatabase::new();
    let server = Server::start(
        &database.url,
        &["--set", "auth.mode=token", "--set", &format!("auth.secret={SECRET}")],
    );
    let token = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
            .arg("token")
            .args(arguments)
            .env("TIDINGS_AUTH_SECRET", SECRET)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let as_role = |token: String| {
        let mut http = server.http();
        http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        http
    };
    let mut user = as_role(token(&["--role", "user", "--user", "7"]));
    let mut service = as_role(token(&["--role", "service"]));
    set(&mut service, "7", json!({"plan": "free"}));
    assert_eq!(user.get("/v1/users/7").status, 403);
    assert_eq!(user.patch("/v1/users/7", &json!({"attributes": {"plan": "pro"}})).status, 403);
    assert_eq!(service.get("/v1/users/7").json()["attributes"]["plan"], "free");
}

#[test]
fn a_trigger_asks_for_them_and_its_template_names_them() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let text = json!({"title": "{{ user.attributes.first_name | default('Hello') }}, welcome to {{ user.attributes.plan | upper }}",
                      "body": "{% if user.attributes['renews on'] %}{{ user.attributes['renews on'] | date }}{% endif %}"});
    let template = json!({"name": "plan", "variants": [{"name": "a", "texts": {"en": text}}]});
    let answer = http.put("/admin/templates/plan", &template);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let rule =
        json!({"attributes": [{"name": "plan", "one_of": ["pro", "team"]}, {"name": "age", "at_least": 18}]});
    let trigger = json!({"name": "plan", "when": {"kind": "segment", "rule": rule}, "category": "service",
                         "template": "plan", "priority": "high"});
    let answer = http.put("/admin/triggers/plan", &trigger);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let nonsense = json!({"attributes": [{"name": "plan"}]});
    let bad = json!({"name": "bad", "when": {"kind": "segment", "rule": nonsense}, "category": "service", "template": "plan"});
    let answer = http.put("/admin/triggers/bad", &bad);
    assert!(answer.status == 400 && answer.body.contains("one_of"), "{}", answer.body);

    let mut page = Client::connect(server.address);
    page.send(&json!({"type": "login", "user_id": 7, "device": "test"}));
    page.expect("welcome");
    set(
        &mut http,
        "7",
        json!({"first_name": "Anna", "plan": "free", "age": 40, "renews on": {"date": "2030-01-31"}}),
    );
    set(&mut http, "7", json!({"plan": "pro"}));
    let message = loop {
        let frame = page.next().unwrap();
        if frame["trigger"] == "plan" {
            break frame;
        }
    };
    assert_eq!(message["title"], "Anna, welcome to PRO", "{message}");
    assert_eq!(message["body"], "January 31, 2030", "{message}");
}

#[test]
fn an_experiment_takes_only_users_who_meet_its_conditions() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let arms =
        json!([{"name": "control", "share": 5000}, {"name": "calm", "share": 5000, "policy": {"caps": []}}]);
    let experiment = json!({"name": "calm", "arms": arms, "only": [{"name": "plan", "one_of": ["pro"]}]});
    let answer = http.put("/admin/experiments/calm", &experiment);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let bad = json!({"name": "bad", "arms": arms, "only": [{"name": "plan"}]});
    assert_eq!(http.put("/admin/experiments/bad", &bad).status, 400);
    set(&mut http, "1", json!({"plan": "pro"}));
    set(&mut http, "2", json!({"plan": "free"}));
    let pages = [1, 2, 3].map(|user| server.login(user));
    wait_for("the decisions", || database.count("SELECT count(DISTINCT user_id) AS n FROM decisions") == 3);
    let in_experiment = "SELECT count(DISTINCT external_id) AS n FROM decisions JOIN users USING (user_id) WHERE arms::text LIKE '%calm\":%'";
    assert_eq!(database.count(in_experiment), 1);
    assert_eq!(database.count(&format!("{in_experiment} AND external_id = '1'")), 1);
    drop(pages);
}

#[test]
fn topics_are_followed_by_frames_on_either_transport() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let mut page = Client::connect(server.address);
    page.send(&json!({"type": "login", "user_id": 7, "device": "test"}));
    page.expect("welcome");
    page.send(&json!({"type": "subscribe", "topic": "vinyl"}));
    assert_eq!(page.expect("subscribed")["topic"], "vinyl");
    assert_eq!(http.get("/v1/users/7/topics").json()["topics"][0]["topic"], "vinyl");
    http.post("/v1/notifications", &json!({"to": {"topic": "vinyl"}, "title": "Record fair"}));
    assert_eq!(page.expect("notification")["title"], "Record fair");
    page.send(&json!({"type": "unsubscribe", "topic": "vinyl"}));
    assert_eq!(page.expect("unsubscribed")["topic"], "vinyl");
    assert_eq!(http.get("/v1/users/7/topics").json()["topics"], json!([]));
    page.send(&json!({"type": "subscribe", "topic": ""}));
    assert_eq!(page.expect("error")["code"], "bad_topic");

    let mut stream = crate::helpers::event_stream::EventStream::open(server.address, "user_id=8", "");
    let connection = stream.expect("welcome").data["connection_id"].as_str().unwrap().to_owned();
    let frames = json!([{"type": "subscribe", "topic": "jazz"}, {"type": "subscribe", "topic": "vinyl"},
                        {"type": "unsubscribe", "topic": "vinyl"}]);
    let answer = http.post(&format!("/v1/connections/{connection}/frames"), &frames);
    let types: Vec<Value> =
        answer.json()["replies"].as_array().unwrap().iter().map(|frame| frame["type"].clone()).collect();
    assert_eq!(types, ["subscribed", "subscribed", "unsubscribed"]);
    assert_eq!(http.get("/v1/users/8/topics").json()["topics"][0]["topic"], "jazz");
    let many = "INSERT INTO topics (name) SELECT 't' || n FROM generate_series(1, 1000) n; \
                INSERT INTO topic_subscribers (topic_id, user_id) \
                SELECT topic_id, user_id FROM topics, users WHERE name LIKE 't%' AND external_id = '7'";
    diesel::connection::SimpleConnection::batch_execute(&mut database.connection(), many).unwrap();
    page.send(&json!({"type": "subscribe", "topic": "more"}));
    assert_eq!(page.expect("error")["code"], "too_many_topics");
}

#[test]
fn a_mute_that_is_undone_at_once_does_not_come_back() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let mut page = Client::connect(server.address);
    page.send(&json!({"type": "login", "user_id": 7, "device": "test"}));
    page.expect("welcome");
    for round in 0..20 {
        page.send(&json!({"type": "mute", "of": "category", "name": "news"}));
        page.expect("muted");
        let before = http.get("/v1/users/7/preferences").json();
        assert_eq!(before["muted"], json!(["news"]), "round {round}");
        let undone = http.patch("/v1/users/7/preferences", &json!({"muted": []}));
        assert_eq!(undone.json()["muted"], json!([]));
        page.send(&json!({"type": "ping"}));
        page.expect("pong");
        assert_eq!(http.get("/v1/users/7/preferences").json()["muted"], json!([]), "round {round}");
    }
    let stored = "SELECT count(*) AS n FROM user_preferences WHERE muted <> '{}'";
    assert_eq!(database.count(stored), 0);
}

fn people() -> [(&'static str, Value); 4] {
    [
        (
            "1",
            json!({"plan": "pro", "age": 41, "renews": {"date": "2030-01-31"}, "sizes": ["M", "L"], "vip": true}),
        ),
        (
            "2",
            json!({"plan": "free", "age": 17.5, "renews": {"date": "2030-03-01T08:00:00+01:00"}, "sizes": []}),
        ),
        ("3", json!({"plan": "team", "age": "41", "vip": false})),
        ("4", json!({})),
    ]
}

/// Those of the people who meet all conditions, as the domain reads them.
fn meeting(people: &[(&'static str, Value)], conditions: &Value) -> Vec<&'static str> {
    let parsed: Vec<tidings::profile::AttributeCondition> =
        serde_json::from_value(conditions.clone()).unwrap();
    let meets = |attributes: &Value| {
        let attributes = tidings::profile::Attributes::from_stored(attributes);
        parsed.iter().all(|condition| condition.holds(&attributes))
    };
    people.iter().filter(|(_, attributes)| meets(attributes)).map(|(user, _)| *user).collect()
}

#[test]
fn a_message_goes_to_users_whose_attributes_meet_the_conditions() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    let people = people();
    for (user, attributes) in &people {
        set(&mut http, user, attributes.clone());
    }
    // The database asks as the domain does.
    for (place, conditions) in [
        json!([{"name": "plan", "one_of": ["pro", "team"]}]),
        json!([{"name": "age", "at_least": 18}]),
        json!([{"name": "age", "at_least": 17, "at_most": 41}]),
        json!([{"name": "age", "one_of": [41, "41"]}]),
        json!([{"name": "renews", "at_least": "2030-01-31", "at_most": "2030-03-01T07:00:00Z"}]),
        json!([{"name": "renews", "at_most": "2030-02-01"}]),
        json!([{"name": "renews", "one_of": ["2030-01-31"]}]),
        json!([{"name": "sizes", "one_of": ["L", "XL"]}]),
        json!([{"name": "sizes", "exists": true}]),
        json!([{"name": "vip", "exists": false}]),
        json!([{"name": "vip", "one_of": [true]}, {"name": "plan", "one_of": ["pro"]}]),
        json!([{"name": "plan", "at_least": 1}]),
    ]
    .into_iter()
    .enumerate()
    {
        let expected = meeting(&people, &conditions);
        let title = format!("to {place}");
        let message = json!({"to": {"attributes": conditions}, "title": title, "kind": "service"});
        let answer = http.post("/v1/notifications", &message);
        assert_eq!(
            (answer.status, &answer.json()["accepted"]),
            (202, &json!(expected.len())),
            "{conditions} {}",
            answer.body
        );
        wait_for("the outbox", || database.count("SELECT count(*) AS n FROM outbox") == 0);
        let got: Vec<&str> = people
            .iter()
            .map(|(user, _)| *user)
            .filter(|user| {
                let inbox = http.get(&format!("/v1/users/{user}/inbox?limit=100")).json();
                inbox["messages"].as_array().unwrap().iter().any(|message| message["title"] == title)
            })
            .collect();
        assert_eq!(got, expected, "{conditions}");
    }
    for bad in [json!([]), json!([{"name": "x"}]), json!([{"name": "x", "is": 1}]), json!({"name": "x"})] {
        let answer = http.post("/v1/notifications", &json!({"to": {"attributes": bad}, "title": "t"}));
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
}

#[test]
fn attributes_of_a_message_for_later_are_read_when_it_is_due() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let soon = (tidings::base::Timestamp::now() + tidings::base::Millis(3_000)).to_string();
    let wish =
        json!({"to": {"attributes": [{"name": "late", "exists": true}]}, "title": "Late", "send_at": soon});
    let answer = http.post("/v1/notifications", &wish);
    assert_eq!(answer.status, 202, "{}", answer.body);
    set(&mut http, "4", json!({"late": true}));
    let shown = format!("/v1/notifications/{}", answer.json()["id"].as_str().unwrap());
    wait_for("all of them", || http.get(&shown).json()["state"] == "sent");
    let shown = http.get(&shown).json();
    assert_eq!(shown["audience"], json!({"attributes": [{"name": "late", "exists": true}]}));
    assert_eq!(shown["users"], 1);
}

#[test]
fn a_date_that_postgresql_can_not_read_ends_no_audience() {
    let database = TestDatabase::new();
    let meets = |date: &str| {
        let condition = r#"[{"name": "since", "at_least": "2020-01-01"}]"#;
        let attributes = json!({"since": {"date": date}});
        let query = format!("SELECT attributes_meet('{attributes}', '{condition}')::int::bigint AS n");
        database.count(&query) == 1
    };
    assert!(meets("2020-01-01") && meets("2026-02-03T04:05:06+01:00") && !meets("2019-12-31"));
    for odd in ["0000-01-01", "-000001-01-01T00:00:00Z", "2026-01-01T00:00:00+20:00", "2026-02-30"] {
        assert!(!meets(odd), "{odd}");
    }
}
