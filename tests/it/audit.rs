//! The audit log over HTTP and by its command: who did what, in a chain that shows each change of it.

use serde_json::{Value, json};
use tidings::base::Timestamp;

use crate::helpers::command::tidings;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::tokens::{SECRET, token};

pub fn start() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let secret = format!("auth.secret={SECRET}");
    let server = Server::start(
        &database.url,
        &["--set", "auth.mode=token", "--set", &secret, "--set", "limits.failures_per_min=0"],
    );
    (database, server)
}

pub fn with(server: &Server, token: &str) -> Http {
    let mut http = server.http();
    http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    http
}

pub fn admin(server: &Server, name: &str) -> Http {
    with(server, &token(&["--role", "admin", "--user", name]))
}

fn template(name: &str, title: &str) -> Value {
    json!({"name": name, "variants": [{"name": "a", "texts": {"en": {"title": title, "body": "B"}}}]})
}

pub fn entries(http: &mut Http, query: &str) -> Vec<Value> {
    let answer = http.get(&format!("/v1/admin/audit?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["entries"].as_array().unwrap().clone()
}

#[test]
fn changes_say_who_made_them_from_where_and_what_was_before() {
    let (database, server) = start();
    let (mut anna, mut ben) = (admin(&server, "anna"), admin(&server, "ben"));
    let name = "/admin/templates/sale";
    for (http, title) in [(&mut anna, "One"), (&mut ben, "Two")] {
        let answer = http.put(name, &template("sale", title));
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(ben.get(name).json()["latest"]["changed_by"], "ben");
    let found = entries(&mut anna, "object=/admin/templates/sale");
    let told: Vec<_> =
        found.iter().map(|entry| (&entry["actor"], &entry["role"], &entry["status"])).collect();
    assert_eq!(
        told,
        [(&json!("ben"), &json!("admin"), &json!(200)), (&json!("anna"), &json!("admin"), &json!(200))]
    );
    assert_eq!(found[0]["address"], "127.0.0.1");
    assert_eq!(found[0]["action"].as_str().unwrap().split(' ').next(), Some("PUT"));
    assert_eq!(found[0]["before"]["definition"]["variants"][0]["texts"]["en"]["title"], "One");
    assert_eq!(found[0]["after"]["definition"]["variants"][0]["texts"]["en"]["title"], "Two");
    // Consent for another, a training, a roll back that finds nothing: no change, no entry.
    let consent = json!({"purpose": "marketing", "granted": true, "source": "desk", "text_version": "1"});
    assert_eq!(anna.post("/v1/users/17/consent", &consent).status, 201);
    assert_eq!(anna.post("/admin/retrain", &Value::Null).status, 202);
    assert_eq!(anna.post("/admin/models/rollback", &Value::Null).status, 404);
    let mut actions: Vec<String> = entries(&mut anna, "actor=anna&limit=6")
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        // Readings, of this log too, are written whenever there is time.
        .filter(|action| !action.starts_with("GET"))
        .collect();
    // The end of the training, perhaps, and its start.
    actions.dedup();
    assert_eq!(actions[..2], ["POST /admin/retrain", "POST /v1/users/{id}/consent"]);
    let (whole, text) = tidings(&database, &["audit", "verify"]);
    assert!(whole && text.contains("whole"), "{text}");
}

#[test]
fn readings_of_others_are_kept_once_a_minute_and_a_person_s_own_are_not() {
    let (_database, server) = start();
    let mut anna = admin(&server, "anna");
    let mut user = with(&server, &token(&["--role", "user", "--user", "17"]));
    for _ in 0..3 {
        assert_eq!(user.get("/v1/users/17/preferences").status, 200);
        assert_eq!(anna.get("/v1/users/17/preferences").status, 200);
    }
    wait_for("the entry", || !entries(&mut anna, "object=/v1/users/17").is_empty());
    let found = entries(&mut anna, "object=/v1/users/17");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["actor"], &found[0]["object"]),
        (&json!("anna"), &json!("/v1/users/17/preferences"))
    );
}

#[test]
fn refused_attempts_are_kept_and_bounded() {
    let (_database, server) = start();
    let mut anna = admin(&server, "anna");
    let mut user = with(&server, &token(&["--role", "user", "--user", "17"]));
    assert_eq!(user.get("/v1/users/18/preferences").status, 403);
    assert_eq!(user.get("/admin/metrics").status, 403);
    let mut stranger = with(&server, "x.y.z");
    for _ in 0..200 {
        assert_eq!(stranger.get("/admin/metrics").status, 401);
    }
    wait_for("the entries", || entries(&mut anna, "status=401").len() >= 5);
    let refused = entries(&mut anna, "status=403");
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused.iter().all(|entry| entry["actor"] == "17" && entry["role"] == "user"));
    let strangers = entries(&mut anna, "status=401&limit=500");
    assert!(strangers.len() < 50, "{}", strangers.len());
    assert!(strangers.iter().all(|entry| entry["actor"].is_null() && entry["role"] == "none"));
}

#[test]
fn the_log_can_not_be_changed_and_shows_it_where_it_was() {
    let (database, server) = start();
    let mut anna = admin(&server, "anna");
    for n in 0..3 {
        let name = format!("t{n}");
        assert_eq!(anna.put(&format!("/admin/templates/{name}"), &template(&name, "A")).status, 200);
    }
    let mut page = anna.get("/v1/admin/audit?limit=2").json();
    assert_eq!(page["entries"].as_array().unwrap().len(), 2);
    let after = page["next"].as_i64().unwrap();
    page = anna.get(&format!("/v1/admin/audit?limit=2&after={after}")).json();
    assert!(page["entries"][0]["seq"].as_i64().unwrap() < after);
    let hash = page["entries"][0]["hash"].as_str().unwrap().to_owned();
    drop(server);
    for statement in ["UPDATE audit_log SET actor = 'eve'", "DELETE FROM audit_log", "TRUNCATE audit_log"] {
        assert!(database.execute(statement).is_err(), "{statement}");
    }
    assert!(tidings(&database, &["audit", "verify", "--contains", &hash]).0);
    assert!(!tidings(&database, &["audit", "verify", "--contains", &"0".repeat(64)]).0);
    let (listed, text) = tidings(&database, &["audit", "list", "--actor", "anna", "--json"]);
    assert!(listed && text.lines().count() >= 3, "{text}");
    // Whoever owns the table can take the guard off, and is seen all the same.
    let off = "ALTER TABLE audit_log DISABLE TRIGGER audit_log_grows_only";
    database.execute(&format!("{off}; UPDATE audit_log SET actor = 'eve' WHERE seq = 2")).unwrap();
    let (whole, text) = tidings(&database, &["audit", "verify"]);
    assert!(!whole && text.contains("entry 2 was changed"), "{text}");
}

#[test]
fn a_change_of_who_may_do_what_is_not_there_without_its_entry() {
    let (database, server) = start();
    let mut anna = admin(&server, "anna");
    let service = || json!({"name": "shop"});
    let made = anna.post("/v1/admin/keys", &service()).json();
    assert_eq!(anna.patch("/v1/users/17", &json!({"attributes": {"tier": "gold"}})).status, 200);
    // The entry of a change that succeeds can't be stored; that of a failure can.
    database.execute("ALTER TABLE audit_log ADD CONSTRAINT none CHECK (status >= 300) NOT VALID").unwrap();
    let key = format!("/v1/admin/keys/{}", made["key_id"].as_str().unwrap());
    let all = [
        anna.post("/v1/people", &json!({"name": "ben", "role": "viewer"})),
        anna.post("/v1/admin/keys", &service()),
        anna.delete(&key),
        anna.post("/v1/admin/revocations", &json!({"user_id": 17})),
        anna.patch("/v1/users/17", &json!({"attributes": {"tier": "none"}})),
    ];
    assert!(all.iter().all(|answer| answer.status >= 500), "{:?}", all.map(|answer| answer.body));
    database.execute("ALTER TABLE audit_log DROP CONSTRAINT none").unwrap();
    assert_eq!(anna.get("/v1/people").json()["people"], json!([]));
    let keys = anna.get("/v1/admin/keys?revoked=true").json()["keys"].take();
    assert_eq!((keys.as_array().unwrap().len(), &keys[0]["revoked_at"]), (1, &Value::Null));
    assert_eq!(anna.get("/v1/admin/revocations").json()["revocations"], json!([]));
    assert_eq!(anna.get("/v1/users/17").json()["attributes"]["tier"], "gold");
    wait_for("the entries of the failures", || {
        entries(&mut anna, "status=500").len() + entries(&mut anna, "status=503").len() == 5
    });
    assert_eq!(anna.delete(&key).status, 204);
    let told = entries(&mut anna, "action=DELETE");
    assert_eq!((told.len(), &told[0]["status"]), (2, &json!(204)), "once each");
    assert!(tidings(&database, &["audit", "verify"]).0);
}

/// A request that changes something.
type Asked = (&'static str, String, Value);

fn ask(http: &mut Http, (method, path, body): &Asked) -> (u16, String) {
    let answer = match *method {
        "POST" => http.post(path, body),
        "PATCH" => http.patch(path, body),
        _ if body.is_null() => http.send(method, path, "", b"").unwrap(),
        "PUT" => http.put(path, body),
        _ => http.delete_with(path, body),
    };
    (answer.status, answer.body)
}

#[test]
fn the_words_of_a_message_that_is_changed_are_not_kept() {
    let (_database, server) = start();
    let mut anna = admin(&server, "anna");
    assert_eq!(anna.patch("/v1/users/17/preferences", &json!({"locale": "de"})).status, 200);
    let later = Timestamp::now().plus_days(30.0);
    let message = json!({"user_id": 17, "title": "Dear Erika", "body": "your results", "send_at": later});
    let sent = anna.post("/v1/notifications", &message);
    assert_eq!(sent.status, 202, "{}", sent.body);
    let path = format!("/v1/notifications/{}", sent.json()["id"].as_str().unwrap());
    let answer = anna.patch(&path, &json!({"title": "Dear Erika Mustermann"}));
    assert_eq!(answer.json()["message"]["title"], "Dear Erika Mustermann", "{}", answer.body);
    let entry = entries(&mut anna, &format!("object={path}&action=PATCH")).remove(0);
    let text = entry.to_string();
    assert!(!text.contains("Erika") && !text.contains("results"), "{text}");
    assert_eq!(entry["before"]["message"]["title"], "*** (10 characters)", "{text}");
    assert_eq!(entry["after"]["message"]["title"], "*** (21 characters)", "{text}");
    assert_eq!(entry["after"]["changed"], json!(["title"]), "{text}");
}

/// Makes what changes are of: a definition, a webhook, users with a topic and a message, a visitor, an item, a message that waits.
fn furnish(anna: &mut Http) -> [String; 2] {
    assert_eq!(anna.put("/admin/templates/sale", &template("sale", "One")).status, 200);
    let webhook = json!({"url": "https://shop.example/hooks", "events": ["message.converted"]});
    let webhook = anna.post("/v1/webhooks", &webhook);
    assert_eq!(webhook.status, 201, "{}", webhook.body);
    for user in ["17", "18", "anon-1"] {
        let path = format!("/v1/users/{user}/preferences");
        assert_eq!(anna.patch(&path, &json!({"locale": "de"})).status, 200);
    }
    for path in ["/v1/users/17/topics/vinyl", "/v1/users/18/topics/records"] {
        assert_eq!(ask(anna, &("PUT", path.into(), Value::Null)).0, 204);
    }
    let item = json!({"item_id": 1, "title": "A", "embedding": [1.0, 0.5]});
    assert_eq!(anna.put("/v1/items", &item).status, 200);
    let now = json!({"user_id": 17, "title": "Now", "priority": "transactional"});
    assert_eq!(anna.post("/v1/notifications", &now).status, 202);
    let month = Timestamp::now().plus_days(30.0);
    let later = json!({"user_ids": [17, 18], "title": "Later", "send_at": month});
    let later = anna.post("/v1/notifications", &later);
    assert_eq!(later.status, 202, "{}", later.body);
    wait_for("the message", || anna.get("/v1/users/17/inbox").json()["unread"] == 1);
    let id = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
    [id(&webhook.json(), "webhook_id"), id(&later.json(), "id")]
}

/// Changes of every kind of data, those that end something last.
fn changes(webhook: &str, message: &str) -> Vec<Asked> {
    let (webhook, message) = (format!("/v1/webhooks/{webhook}"), format!("/v1/notifications/{message}"));
    let user = |rest: &str| format!("/v1/users/17/{rest}");
    let consent = json!({"purpose": "marketing", "granted": true, "source": "desk", "text_version": "1"});
    let month = Timestamp::now().plus_days(30.0);
    let another = json!({"url": "https://shop.example/more", "events": ["message.converted"]});
    vec![
        ("PUT", "/admin/templates/sale".into(), template("sale", "Two")),
        ("POST", "/admin/templates/sale/activate".into(), json!({"version": 1})),
        ("POST", "/admin/templates/sale/pause".into(), Value::Null),
        ("POST", "/v1/webhooks".into(), another),
        ("PATCH", webhook.clone(), json!({"description": "changed"})),
        ("POST", format!("{webhook}/test"), Value::Null),
        ("POST", format!("{webhook}/rotate"), Value::Null),
        ("DELETE", webhook, Value::Null),
        ("POST", user("consent"), consent),
        ("POST", user("mute"), json!({"of": "brand", "name": "Acme"})),
        ("PATCH", user("preferences"), json!({"locale": "fr"})),
        ("PUT", user("preferences"), json!({"locale": "it"})),
        ("PUT", user("topics/tapes"), Value::Null),
        ("DELETE", user("topics/vinyl"), Value::Null),
        ("PUT", "/v1/topics/vinyl/subscribers".into(), json!({"user_ids": [18]})),
        ("DELETE", "/v1/topics/vinyl/subscribers".into(), json!({"user_ids": [18]})),
        ("POST", user("inbox/read"), json!({"all": true})),
        (
            "POST",
            "/v1/triggers/order_status".into(),
            json!({"user_ids": [17], "event": {"status": "shipped"}}),
        ),
        ("POST", "/v1/notifications".into(), json!({"user_id": 17, "title": "To one"})),
        (
            "POST",
            "/v1/notifications".into(),
            json!([{"user_id": 17, "title": "A"}, {"user_id": 18, "title": "B"}]),
        ),
        ("POST", "/v1/notifications".into(), json!({"to": {"topic": "records"}, "title": "To some"})),
        (
            "POST",
            "/v1/notifications".into(),
            json!({"everyone": true, "title": "Much later", "send_at": month}),
        ),
        (
            "POST",
            "/v1/notifications".into(),
            json!({"user_id": 17, "title": "Seen or not", "ephemeral": true}),
        ),
        ("DELETE", "/admin/models/shadow".into(), Value::Null),
        ("PATCH", message.clone(), json!({"title": "Changed"})),
        ("POST", format!("{message}/pause"), Value::Null),
        ("POST", format!("{message}/resume"), Value::Null),
        ("DELETE", message, Value::Null),
        ("PUT", "/v1/items".into(), json!([{"item_id": 1, "title": "B"}, {"item_id": 2, "title": "C"}])),
        ("DELETE", "/v1/embeddings".into(), Value::Null),
        ("DELETE", "/v1/items/1".into(), Value::Null),
        ("POST", user("merge"), json!({"anonymous_id": "anon-1"})),
        ("DELETE", "/v1/users/18".into(), Value::Null),
    ]
}

/// Digests of what changes are made in.
fn digests(database: &TestDatabase) -> Vec<(&'static str, i64)> {
    let whole = [
        "definitions",
        "webhook_endpoints",
        "webhook_deliveries",
        "consents",
        "user_preferences",
        "topic_subscribers",
        "broadcasts",
        "outbox",
        "held_messages",
        "items",
        "erasures",
        "tombstones",
        "(SELECT notification_id, read_at FROM notifications)",
        "(SELECT external_id, merged_into FROM users)",
    ];
    let digest = |rows: &'static str| {
        let text = format!("SELECT coalesce(sum(hashtext(t::text)), 0)::bigint AS n FROM {rows} t");
        (rows, database.count(&text))
    };
    whole.map(digest).to_vec()
}

#[test]
fn no_change_is_there_without_its_entry_and_each_has_one() {
    let (database, server) = start();
    let mut anna = admin(&server, "anna");
    let [webhook, message] = furnish(&mut anna);
    let all = changes(&webhook, &message);
    // Readings are added beside their answers.
    let readings = "SELECT count(*) AS n FROM audit_log WHERE action LIKE 'GET %'";
    wait_for("the entry of the reading", || database.count(readings) >= 1);
    wait_for("the outbox", || database.count("SELECT count(*) AS n FROM outbox") == 1);
    let before = digests(&database);
    database.execute("ALTER TABLE audit_log ADD CONSTRAINT none CHECK (status >= 300) NOT VALID").unwrap();
    // Nothing is paused yet.
    for asked in all.iter().filter(|(_, path, _)| !path.ends_with("/resume")) {
        let (status, body) = ask(&mut anna, asked);
        assert!(status >= 500, "{asked:?}: {status} {body}");
        assert_eq!(digests(&database), before, "{asked:?}");
    }
    database.execute("ALTER TABLE audit_log DROP CONSTRAINT none").unwrap();
    for asked in &all {
        let entries = || database.count("SELECT count(*) AS n FROM audit_log WHERE status < 300");
        let before = entries();
        let (status, body) = ask(&mut anna, asked);
        assert!(status < 300, "{asked:?}: {status} {body}");
        assert_eq!(entries(), before + 1, "{asked:?}");
    }
    assert_ne!(digests(&database), before);
    assert!(tidings(&database, &["audit", "verify"]).0);
}

#[test]
fn a_command_changes_nothing_without_its_entry() {
    let (database, _server) = start();
    let made = tidings(&database, &["keys", "create", "shop"]);
    assert!(made.0, "{}", made.1);
    assert!(tidings(&database, &["people", "add", "ben", "--role", "viewer"]).0);
    let listed = || {
        tidings(&database, &["keys", "list", "--json"]).1
            + &tidings(&database, &["people", "list", "--json"]).1
    };
    let before = listed();
    let key: Value = serde_json::from_str(before.lines().next().unwrap()).unwrap();
    let revoke = ["keys", "revoke", key["key_id"].as_str().unwrap()];
    let all: [&[&str]; 5] = [
        &["keys", "create", "more"],
        &revoke,
        &["people", "add", "carl", "--role", "viewer"],
        &["people", "role", "ben", "operator"],
        &["people", "disable", "ben"],
    ];
    database
        .execute("ALTER TABLE audit_log ADD CONSTRAINT none CHECK (role <> 'command_line') NOT VALID")
        .unwrap();
    for arguments in all {
        let (done, text) = tidings(&database, arguments);
        assert!(!done, "{arguments:?}: {text}");
    }
    assert_eq!(listed(), before);
    database.execute("ALTER TABLE audit_log DROP CONSTRAINT none").unwrap();
    for arguments in all {
        let (done, text) = tidings(&database, arguments);
        assert!(done, "{arguments:?}: {text}");
    }
    assert_ne!(listed(), before);
    assert_eq!(database.count("SELECT count(*) AS n FROM audit_log WHERE role = 'command_line'"), 7);
}
