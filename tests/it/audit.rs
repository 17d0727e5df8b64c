//! The audit log over HTTP and by its command: who did what, in a chain that shows each change of it.

use std::process::Command;

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::tokens::{SECRET, token};

fn start() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let secret = format!("auth.secret={SECRET}");
    let server = Server::start(
        &database.url,
        &["--set", "auth.mode=token", "--set", &secret, "--set", "limits.failures_per_min=0"],
    );
    (database, server)
}

fn with(server: &Server, token: &str) -> Http {
    let mut http = server.http();
    http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    http
}

fn admin(server: &Server, name: &str) -> Http {
    with(server, &token(&["--role", "admin", "--user", name]))
}

fn template(name: &str, title: &str) -> Value {
    json!({"name": name, "variants": [{"name": "a", "texts": {"en": {"title": title, "body": "B"}}}]})
}

fn entries(http: &mut Http, query: &str) -> Vec<Value> {
    let answer = http.get(&format!("/v1/admin/audit?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["entries"].as_array().unwrap().clone()
}

fn tidings(database: &TestDatabase, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(arguments)
        .env("DATABASE_URL", &database.url)
        .env("TIDINGS_LOG", "warn")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
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
    let actions: Vec<String> = entries(&mut anna, "actor=anna&limit=3")
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
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
