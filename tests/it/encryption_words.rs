//! Encryption at rest of messages that wait to be sent, and of attributes of users that are marked so.

use serde_json::{Value, json};
use tidings::base::Timestamp;

use super::encryption::{KeyFile, TITLE, WORDS, count, handed_out, inbox, new_key, search, tidings, titles};
use super::merges::merge;
use crate::helpers::client::Client;
use crate::helpers::clock::morning_in_a_month;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};

/// The data key that a column's value names, in SQL.
fn key_of(column: &str) -> String {
    format!(
        "encode(substring(decode(rpad(translate(substr({column}, 6, 24), '-_', '+/'), 24, '='), 'base64') FROM 1 FOR 16), 'hex')::uuid"
    )
}

fn post(http: &mut Http, message: &Value) -> Value {
    let mut message = message.clone();
    message["priority"] = json!("transactional");
    let answer = http.post("/v1/notifications", &message);
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()
}

fn shows(database: &TestDatabase, word: &str) -> Vec<&'static str> {
    let tables = ["outbox", "broadcasts", "user_attributes", "notifications", "decisions", "held_messages"];
    let has = |table: &&'static str| {
        count(database, &format!("{table} t WHERE position('{word}' IN t::text) > 0")) > 0
    };
    tables.into_iter().filter(has).collect()
}

fn scheduled(http: &mut Http) -> Vec<String> {
    let page = http.get("/v1/notifications/scheduled").json();
    let mut all: Vec<String> = page["scheduled"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["message"]["title"].as_str().unwrap_or_default().into())
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn messages_that_wait_are_noise_in_the_database_and_go_out_as_they_were() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let mut server = key.start(&database);
    let mut http = server.http();
    for user in ["1", "2"] {
        search(&mut http, &json!(user), WORDS);
    }
    let later = Timestamp::now().plus_days(30.0);
    let title = |of: &str| format!("{TITLE} {of}");
    let one = post(&mut http, &json!({"user_id": 1, "title": title("one"), "send_at": later}))["id"].clone();
    let both = json!({"user_ids": [1, 2], "title": title("both"), "send_at": later});
    let both = post(&mut http, &both)["id"].clone();
    let all = json!({"everyone": true, "title": title("all"), "send_at": later});
    let all = post(&mut http, &all)["id"].clone();
    let local = json!({"user_id": 2, "title": title("local"), "send_at_local": morning_in_a_month()});
    post(&mut http, &local);
    assert_eq!(shows(&database, TITLE), Vec::<&str>::new());
    for table in ["outbox", "broadcasts"] {
        assert!(count(&database, &format!("{table} WHERE message LIKE 'enc1:%'")) > 1, "{table}");
    }
    // That to one user goes with the key of that user, the others are under the server's own.
    let of_users = |table: &str| {
        count(
            &database,
            &format!("{table} JOIN data_keys k ON k.key_id = {} WHERE k.user_id >= 0", key_of("message")),
        )
    };
    assert_eq!((of_users("outbox"), of_users("broadcasts")), (1, 2));

    let expected = [title("all"), title("both"), title("local"), title("one")];
    assert_eq!(scheduled(&mut http), expected);
    let shown = handed_out(&mut http, "1", "outbox").to_string();
    assert!(shown.contains(&title("one")) && shown.contains(&title("both")), "{shown}");
    server.kill();
    server = key.start(&database);
    http = server.http();
    assert_eq!(scheduled(&mut http), expected);
    for (id, new) in [(&one, "one, new"), (&both, "both, new"), (&all, "all, new")] {
        let path = format!("/v1/notifications/{}", id.as_str().unwrap());
        let answer = http.patch(&path, &json!({"title": title(new)}));
        assert_eq!(
            (answer.status, &answer.json()["message"]["title"]),
            (200, &json!(title(new))),
            "{}",
            answer.body
        );
        let answer = http.patch(&path, &json!({"send_at": Timestamp::now().plus_days(8.0 / 86_400.0)}));
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(shows(&database, TITLE), Vec::<&str>::new());
    assert_eq!((of_users("outbox"), of_users("broadcasts")), (1, 2), "under the keys they were under");
    wait_for("all of them", || {
        inbox(&mut http, "1").as_array().is_some_and(|all| all.len() == 3)
            && inbox(&mut http, "2").as_array().is_some_and(|all| all.len() == 2)
    });
    let mut received: Vec<String> = titles(&inbox(&mut http, "1")).into_iter().map(str::to_owned).collect();
    received.sort_unstable();
    assert_eq!(received, [title("all, new"), title("both, new"), title("one, new")]);
    let told = http.get(&format!("/v1/notifications/{}", all.as_str().unwrap())).json();
    assert_eq!(told["message"]["title"], title("all, new"), "{told}");
    assert_eq!(shows(&database, TITLE), Vec::<&str>::new());
}

#[test]
fn words_to_one_user_go_with_the_user() {
    for encrypted in [true, false] {
        let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
        let server = if encrypted { key.start(&database) } else { Server::start(&database.url, &[]) };
        let mut http = server.http();
        search(&mut http, &json!("anna"), WORDS);
        let later = Timestamp::now().plus_days(30.0);
        post(&mut http, &json!({"user_id": "anna", "title": TITLE, "send_at": later}));
        post(&mut http, &json!({"user_id": "anna", "title": TITLE, "send_at_local": morning_in_a_month()}));
        post(&mut http, &json!({"user_ids": ["anna", "bert"], "title": "to both", "send_at": later}));
        database.execute("CREATE TABLE backup AS SELECT * FROM outbox").unwrap();
        let receipt = http.delete("/v1/users/anna").json()["erasure_id"].as_str().unwrap().to_owned();
        wait_for("the erasure", || {
            !http.get(&format!("/v1/erasures/{receipt}")).json()["erased_at"].is_null()
        });
        assert_eq!(shows(&database, TITLE), Vec::<&str>::new());
        assert_eq!(scheduled(&mut http), ["", "", "to both"], "the calls stay, without their words");
        if encrypted {
            let gone = format!(
                "backup WHERE cardinality(users) = 1 AND {} NOT IN (SELECT key_id FROM data_keys)",
                key_of("message")
            );
            assert_eq!(count(&database, &gone), 1, "noise in a backup as well");
        }
    }
}

#[test]
fn words_to_one_user_are_under_the_key_of_the_user_when_the_wall_time_has_come_too() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let server = key.start(&database);
    let mut http = server.http();
    for user in ["anna", "bert"] {
        search(&mut http, &json!(user), WORDS);
        let zone = json!({"time_zone": "Pacific/Kiritimati"});
        assert_eq!(http.patch(&format!("/v1/users/{user}/preferences"), &zone).status, 200);
    }
    database
        .execute(
            "CREATE TABLE seen AS SELECT * FROM outbox; \
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO seen SELECT NEW.*; RETURN NULL; END $$; \
             CREATE TRIGGER see AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION see()",
        )
        .unwrap();
    // It has come where they are, an hour ago.
    let local = Timestamp::now().to_jiff() + jiff::SignedDuration::from_hours(13);
    let local = jiff::tz::TimeZone::UTC.to_datetime(local).round(jiff::Unit::Minute).unwrap().to_string();
    post(&mut http, &json!({"user_id": "anna", "title": TITLE, "send_at_local": local}));
    post(&mut http, &json!({"user_ids": ["anna", "bert"], "title": TITLE, "send_at_local": local}));
    wait_for("the messages", || titles(&inbox(&mut http, "anna")) == [TITLE, TITLE]);
    let under = |users: &str, owner: &str| {
        let key = key_of("s.message");
        let rows = format!("seen s JOIN data_keys k ON k.key_id = {key} LEFT JOIN users u USING (user_id)");
        count(&database, &format!("{rows} WHERE s.users = '{users}' AND {owner}"))
    };
    assert_eq!(under("{anna}", "u.external_id = 'anna'"), 1);
    assert_eq!(under("{anna,bert}", "k.user_id < 0"), 1, "under the server's own");
    assert_eq!(shows(&database, TITLE), Vec::<&str>::new());
}

fn set(http: &mut Http, user: &str, attributes: &Value) -> Response {
    let answer = http.patch(&format!("/v1/users/{user}"), &json!({ "attributes": attributes }));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

/// A server that encrypts some attributes.
fn with_marked(database: &TestDatabase, key: &KeyFile) -> Server {
    let marked = "encryption.attributes=[\"first_name\", \"born\", \"sizes\"]";
    Server::start(&database.url, &["--set", &key.setting(), "--set", marked])
}

/// Attributes of a user, some of them marked.
fn anna() -> Value {
    json!({"first_name": WORDS, "born": {"date": "1990-01-31"}, "sizes": [WORDS], "plan": "pro", "points": 4})
}

#[test]
fn attributes_that_are_marked_so_are_noise_in_the_database_and_read_as_ever() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let mut server = with_marked(&database, &key);
    let mut http = server.http();
    let anna = anna();
    assert_eq!(set(&mut http, "7", &anna).json()["attributes"], anna);
    set(&mut http, "anon-1", &json!({"first_name": "other", "born": {"date": "1980-12-24"}, "plan": "free"}));
    set(&mut http, "8", &json!({"plan": "pro"}));
    for word in [WORDS, "1990-01-31", "1980-12-24"] {
        assert_eq!(shows(&database, word), Vec::<&str>::new());
    }
    assert_eq!(
        count(&database, "user_attributes WHERE attributes ->> 'plan' = 'pro'"),
        2,
        "the others are not"
    );
    server.kill();
    server = with_marked(&database, &key);
    http = server.http();
    assert_eq!(http.get("/v1/users/7").json()["attributes"], anna);
    assert_eq!(handed_out(&mut http, "7", "attributes")[0]["attributes"], anna);
    let (done, exported) = key.run(&database, &["export", "users"]);
    assert!(done && exported.contains(WORDS) && exported.contains("1990-01-31"), "{exported}");
    assert!(!exported.contains("enc1:") && !exported.lines().next().unwrap().contains("owner"), "{exported}");
}

#[test]
fn attributes_that_are_marked_so_are_decided_with_and_merged_and_name_no_audience() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let server = with_marked(&database, &key);
    let mut http = server.http();
    // Something for the trigger's message to show.
    let item = json!({"item_id": 101, "title": "Watch", "category": ["Watches"], "price": 10.0});
    assert_eq!(http.put("/v1/items", &item).status, 200);
    set(&mut http, "7", &anna());
    set(&mut http, "anon-1", &json!({"first_name": "other", "born": {"date": "1980-12-24"}, "plan": "free"}));
    set(&mut http, "8", &json!({"plan": "pro"}));
    // No audience by them, which PostgreSQL would have to read; one by the others.
    let to = |name: &str| json!({"to": {"attributes": [{"name": name, "exists": true}]}, "title": "Hello"});
    let refused = http.post("/v1/notifications", &to("first_name"));
    assert_eq!(
        (refused.status, &refused.json()["rejected"][0]["code"]),
        (400, &json!("encrypted_attribute"))
    );
    assert!(refused.body.contains("encryption.attributes"), "{}", refused.body);
    // What the server decides with is decrypted: a trigger's rule, and its template.
    let text = json!({"title": "Hello {{ user.attributes.first_name | default('you') }}", "body": "{% if user.attributes.born %}{{ user.attributes.born | date }}{% endif %}"});
    let template = json!({"name": "plan", "variants": [{"name": "a", "texts": {"en": text}}]});
    assert_eq!(http.put("/admin/templates/plan", &template).status, 200);
    let rule = json!({"attributes": [{"name": "born", "at_most": "1995-01-01"}, {"name": "plan", "one_of": ["team"]}]});
    let trigger = json!({"name": "plan", "when": {"kind": "segment", "rule": rule}, "category": "service",
                         "template": "plan", "priority": "high"});
    assert_eq!(http.put("/admin/triggers/plan", &trigger).status, 200);
    let mut page = Client::connect(server.address);
    page.send(&json!({"type": "login", "user_id": 7, "device": "test"}));
    page.expect("welcome");
    set(&mut http, "7", &json!({"plan": "team"}));
    let message = loop {
        let frame = page.next().unwrap();
        if frame["trigger"] == "plan" {
            break frame;
        }
    };
    assert_eq!(message["title"], format!("Hello {WORDS}"), "{message}");

    assert_eq!(http.post("/v1/notifications", &to("plan")).status, 202, "by one that is not encrypted");

    // A merge takes those of the visitor along, under the visitor's key.
    set(&mut http, "7", &json!({"born": null}));
    assert_eq!(merge(&mut http, "7", "anon-1").status, 200);
    let merged = json!({"first_name": WORDS, "born": {"date": "1980-12-24"}, "sizes": [WORDS], "plan": "team", "points": 4});
    assert_eq!(http.get("/v1/users/7").json()["attributes"], merged);
    // Moved to another user they are left out, never shown as noise.
    database
        .execute("UPDATE user_attributes SET attributes = (SELECT attributes FROM user_attributes JOIN users USING (user_id) WHERE external_id = '7') \
                  WHERE user_id = (SELECT user_id FROM users WHERE external_id = '8')")
        .unwrap();
    assert_eq!(http.get("/v1/users/8").json()["attributes"], json!({"plan": "team", "points": 4}));
    let shown = handed_out(&mut http, "8", "attributes");
    assert_eq!(shown[0]["first_name_unavailable"], "its key is gone, or is not this user's", "{shown}");
}

#[test]
fn what_waits_and_is_by_an_attribute_that_is_encrypted_meanwhile_ends_with_the_reason() {
    let (database, key) = (TestDatabase::new(), KeyFile::new(&new_key()));
    let mut server = key.start(&database);
    let mut http = server.http();
    set(&mut http, "7", &anna());
    let later = Timestamp::now().plus_days(30.0);
    let mut schedule = |name: &str, rest: Value| {
        let to = json!({"attributes": [{"name": name, "exists": true}]});
        let mut message = json!({"to": to, "title": name});
        message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        format!("/v1/notifications/{}", post(&mut http, &message)["id"].as_str().unwrap())
    };
    let by_born = schedule("born", json!({"send_at": later}));
    let by_name = schedule("first_name", json!({"send_at_local": morning_in_a_month()}));
    let by_points = schedule("points", json!({"send_at": later}));
    server.kill();
    database.execute("UPDATE broadcasts SET due_at = now()").unwrap();
    server = with_marked(&database, &key);
    http = server.http();
    for path in [&by_born, &by_name] {
        wait_for("its end", || http.get(path).json()["state"] == "expired");
        let shown = http.get(path).json();
        assert_eq!(
            (&shown["unsent_reason"], &shown["progress"]["sent"]),
            (&json!("encrypted_attribute"), &json!(0))
        );
    }
    wait_for("the other", || http.get(&by_points).json()["progress"]["sent"] == 1);
    let shown = http.get(&by_points).json();
    assert_eq!((&shown["state"], shown.get("unsent_reason")), (&json!("sent"), None), "{shown}");
    assert_eq!(titles(&inbox(&mut http, "7")), ["points"]);
}

#[test]
fn attributes_and_waiting_messages_from_before_are_encrypted() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let mut http = server.http();
    for user in ["1", "2", "3"] {
        set(
            &mut http,
            user,
            &json!({"first_name": format!("{WORDS} {user}"), "plan": "sealed", "list": ["sealed"]}),
        );
    }
    let later = Timestamp::now().plus_days(30.0);
    post(&mut http, &json!({"user_id": 1, "title": format!("{TITLE} one"), "send_at": later}));
    post(&mut http, &json!({"user_ids": [1, 2], "title": format!("{TITLE} both"), "send_at": later}));
    assert_eq!(shows(&database, TITLE), ["outbox", "broadcasts"]);
    drop(server);
    // More than are encrypted at a time, with numbers of one to four digits.
    database
        .execute("INSERT INTO outbox (batch, due_at, users, message) SELECT gen_random_uuid(), due_at, users, message \
                  FROM (SELECT * FROM outbox ORDER BY outbox_id LIMIT 1) o, generate_series(1, 1100)")
        .unwrap();
    let key = KeyFile::new(&new_key());
    let marked = ["--set", "encryption.attributes=[\"first_name\", \"plan\"]"];
    let (done, text) = tidings(&database, &[&["encryption", "status"][..], &marked].concat());
    assert!(!done && text.contains("encryption.attributes"), "{text}");
    for expected in [[3, 1_102, 2], [0, 0, 0]] {
        let (done, text) = key.run(&database, &[&["encryption", "encrypt-existing"][..], &marked].concat());
        assert!(done, "{text}");
        let names = ["user_attributes.attributes", "outbox.message", "broadcasts.message"];
        for (name, n) in names.into_iter().zip(expected) {
            assert!(text.contains(&format!("{name}  {n} encrypted")), "{name}: {text}");
        }
    }
    for word in [WORDS, TITLE] {
        assert_eq!(shows(&database, word), Vec::<&str>::new());
    }
    let setting = key.setting();
    let server = Server::start(&database.url, &["--set", &setting, marked[0], marked[1]]);
    let mut http = server.http();
    assert_eq!(scheduled(&mut http), [format!("{TITLE} both"), format!("{TITLE} one")]);
    let attributes = json!({"first_name": format!("{WORDS} 2"), "plan": "sealed", "list": ["sealed"]});
    assert_eq!(http.get("/v1/users/2").json()["attributes"], attributes);
    assert_eq!(http.post("/v1/notifications", &json!({"user_id": 3, "title": TITLE})).status, 202);
    wait_for("the message", || titles(&inbox(&mut http, "3")) == [TITLE]);
}
