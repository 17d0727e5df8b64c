//! Visitors who log in: what they did, were told and asked for follows to the user, and nothing is lost on the way.

use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::SimpleConnection;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::{Http, Response};
use crate::helpers::server::{Server, wait_for};
use crate::helpers::shop::shop;

const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";

/// Tables with rows of users by their inner id.
const TABLES: [&str; 13] = [
    "events",
    "decisions",
    "lists",
    "notifications",
    "feedback",
    "held_messages",
    "consents",
    "opt_outs",
    "topic_subscribers",
    "user_preferences",
    "user_once",
    "push_subscriptions",
    "acknowledgements",
];

/// Merges a visitor into a user.
pub fn merge(http: &mut Http, user: &str, visitor: &str) -> Response {
    http.post(&format!("/v1/users/{user}/merge"), &json!({"anonymous_id": visitor}))
}

/// Rows that still belong to ids that were merged.
fn left_behind(database: &TestDatabase) -> i64 {
    let of = |table: &&str| {
        format!("SELECT user_id FROM {table} t JOIN users u USING (user_id) WHERE u.merged_into IS NOT NULL")
    };
    let all: Vec<String> = TABLES.iter().map(of).collect();
    database.count(&format!("SELECT count(*) AS n FROM ({}) t", all.join(" UNION ALL ")))
}

fn device(server: &Server, login: Value) -> Client {
    let mut client = Client::connect(server.address);
    let mut frame = json!({"type": "login", "device": "test"});
    frame.as_object_mut().unwrap().extend(login.as_object().unwrap().clone());
    client.send(&frame);
    client
}

fn send(http: &mut Http, user: &str, title: &str) -> Value {
    let answer = http.post("/v1/notifications", &json!({"user_id": user, "title": title, "kind": "news"}));
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["id"].clone()
}

fn titles(http: &mut Http, user: &str) -> Vec<String> {
    let page = http.get(&format!("/v1/users/{user}/inbox?limit=100")).json();
    page["messages"].as_array().unwrap().iter().map(|m| m["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn everything_of_a_visitor_follows_to_the_user() {
    let (database, server) = shop(&[]);
    let mut http = server.http();
    for (user, item) in [("anon-1", 101), ("anon-1", 103), ("17", 102)] {
        let event = json!({"kind": "view", "user_id": user, "item_id": item});
        assert_eq!(http.post("/v1/events", &event).status, 202);
    }
    http.put("/v1/users/anon-1/topics/vinyl", &json!({}));
    http.put("/v1/users/17/topics/jazz", &json!({}));
    http.put("/v1/users/anon-1/preferences", &json!({"muted": ["promotion"], "time_zone": "Europe/Vienna"}));
    http.put("/v1/users/17/preferences", &json!({"muted": ["digest"], "time_zone": "Asia/Tokyo"}));
    assert_eq!(http.get("/v1/users/anon-1/recommendations?placement=home").status, 200);
    wait_for("the list", || database.count("SELECT count(user_id) AS n FROM lists") == 1);
    for title in ["one", "two"] {
        send(&mut http, "anon-1", title);
        wait_for(title, || titles(&mut http, "anon-1").contains(&title.to_owned()));
    }
    send(&mut http, "17", "own");
    wait_for("the user's own", || titles(&mut http, "17") == ["own"]);
    let first = http.get("/v1/users/anon-1/inbox").json()["messages"][1]["notification_id"].clone();
    http.post("/v1/users/anon-1/inbox/read", &json!({"notification_ids": [first]}));

    let answer = merge(&mut http, "17", "anon-1");
    let expected =
        json!({"user_id": 17, "anonymous_id": "anon-1", "merged": true, "events": 2, "messages": 2});
    assert_eq!((answer.status, answer.json()), (200, expected));
    let again = merge(&mut http, "17", "anon-1").json();
    assert_eq!((&again["merged"], &again["events"]), (&json!(false), &json!(0)));
    assert_eq!(left_behind(&database), 0);

    // The old id stands for the user, whoever is asked.
    for id in ["17", "anon-1"] {
        let profile = http.get(&format!("/v1/users/{id}/profile")).json();
        assert_eq!((&profile["user_id"], &profile["events"]), (&json!(17), &json!(3)), "{profile}");
        let preferences = http.get(&format!("/v1/users/{id}/preferences")).json();
        assert_eq!(preferences["muted"], json!(["digest", "promotion"]));
        assert_eq!(preferences["time_zone"], "Asia/Tokyo");
        let topics = http.get(&format!("/v1/users/{id}/topics")).json();
        let names: Vec<&Value> =
            topics["topics"].as_array().unwrap().iter().map(|one| &one["topic"]).collect();
        assert_eq!(names, ["jazz", "vinyl"]);
        assert_eq!(titles(&mut http, id), ["two", "one", "own"]);
        let inbox = http.get(&format!("/v1/users/{id}/inbox")).json();
        assert_eq!((&inbox["unread"], &inbox["messages"][1]["read"]), (&json!(2), &json!(true)), "{inbox}");
        assert_eq!(
            (&inbox["messages"][0]["user_id"], &inbox["messages"][0]["offset"]),
            (&json!(17), &json!(3))
        );
    }
    // What comes later under the old id goes to the user.
    assert_eq!(
        http.post("/v1/events", &json!({"kind": "view", "user_id": "anon-1", "item_id": 105})).status,
        202
    );
    assert_eq!(http.get("/v1/users/17/profile").json()["events"], 4);
    send(&mut http, "anon-1", "late");
    wait_for("a late message", || titles(&mut http, "17").contains(&"late".to_owned()));
    http.post("/v1/users/anon-1/mute", &json!({"of": "category", "name": "news"}));
    assert_eq!(http.get("/v1/users/17/preferences").json()["muted"], json!(["digest", "promotion", "news"]));
    assert_eq!(left_behind(&database), 0);
}

#[test]
fn an_import_that_knew_the_visitor_loses_nothing() {
    let (database, mut server) = shop(&[]);
    let mut http = server.http();
    http.post("/v1/events", &json!({"kind": "view", "user_id": "anon-1", "item_id": 101}));
    merge(&mut http, "17", "anon-1");
    // What a loader does that looked the id up before the merge.
    let late = "INSERT INTO events (event_key, occurred_at, user_id, item_id, kind) \
                SELECT gen_random_uuid(), now(), user_id, 0, 1 FROM users WHERE external_id = 'anon-1'";
    database.connection().batch_execute(late).unwrap();
    assert_eq!(left_behind(&database), 1);
    server.kill();
    let server = Server::start(&database.url, &[]);
    wait_for("the event to be moved", || left_behind(&database) == 0);
    assert_eq!(server.http().get("/v1/users/17/profile").json()["events"], 2);
}

#[test]
fn a_merge_is_refused_where_it_would_join_two_users() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    assert_eq!(merge(&mut http, "17", "17").json()["error"]["code"], "same_user");
    // In any order: the user is told of a visitor of whom nothing is known yet.
    assert_eq!(merge(&mut http, "17", "anon-1").json()["merged"], true);
    assert_eq!(merge(&mut http, "18", "anon-1").status, 409);
    assert_eq!(merge(&mut http, "anon-1", "17").json()["merged"], false, "one user already");
    // Two ids of one person, and then into a third: the first leads there as well.
    assert_eq!(merge(&mut http, "17", "anon-2").json()["merged"], true);
    assert_eq!(merge(&mut http, "19", "17").json()["merged"], true);
    http.post("/v1/events", &json!({"kind": "view", "user_id": "anon-2", "item_id": 105}));
    assert_eq!(http.get("/v1/users/anon-1/profile").json()["user_id"], 19);
    assert_eq!(http.get("/v1/users/19/profile").json()["events"], 1);
    for bad in [json!({}), json!({"anonymous": "x"}), json!({"anonymous_id": true}), json!([])] {
        assert_eq!(http.post("/v1/users/17/merge", &bad).status, 400, "{bad}");
    }
}

#[test]
fn open_pages_of_both_go_on_as_the_user() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let mut visitor = device(&server, json!({"user_id": "anon-1"}));
    visitor.expect("welcome");
    send(&mut http, "anon-1", "received");
    let received = visitor.expect("notification");
    visitor.send(&json!({"type": "ack", "offset": received["offset"]}));
    visitor.send(&json!({"type": "ping"}));
    visitor.expect("pong");
    send(&mut http, "anon-1", "outstanding");
    visitor.expect("notification");
    let mut user = device(&server, json!({"user_id": 17}));
    user.expect("welcome");
    send(&mut http, "17", "own");
    let own = user.expect("notification");

    assert_eq!(merge(&mut http, "17", "anon-1").status, 200);
    // The visitor's page is told to log in again, and is the user then; its place was one in another stream.
    assert_eq!(visitor.close_code(), 3010);
    let mut visitor = device(
        &server,
        json!({"user_id": "anon-1", "resume": {"epoch": own["epoch"], "offset": received["offset"]}}),
    );
    let welcome = visitor.expect("welcome");
    assert_eq!((&welcome["user_id"], &welcome["recovered"]), (&json!(17), &json!(false)));
    // The user's page gets what the visitor had not received, at the next place, and not what was received.
    let outstanding = user.expect("notification");
    assert_eq!(
        (&outstanding["title"], &outstanding["user_id"]),
        (&json!("outstanding"), &json!(17)),
        "{outstanding}"
    );
    assert_eq!(outstanding["offset"].as_i64(), own["offset"].as_i64().map(|offset| offset + 1));
    send(&mut http, "17", "next");
    for page in [&mut user, &mut visitor] {
        assert_eq!(page.expect("notification")["title"], "next");
    }
    assert_eq!(titles(&mut http, "17"), ["next", "outstanding", "own", "received"]);
    // A page that was away resumes over the merge.
    let resume = json!({"epoch": own["epoch"], "offset": own["offset"]});
    let mut back = device(&server, json!({"user_id": 17, "resume": resume}));
    assert_eq!(back.expect("welcome")["recovered"], true);
    let missed: Vec<Value> = (0..2).map(|_| back.expect("notification")["title"].clone()).collect();
    assert_eq!(missed, ["outstanding", "next"]);
    assert_eq!(http.post("/v1/users/17/inbox/read", &json!({"all": true})).json()["unread"], 0);
}

fn token(arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .arg("token")
        .args(arguments)
        .env("TIDINGS_AUTH_SECRET", SECRET)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_login_merges_only_a_visitor_that_it_proves_to_be_its_own() {
    let database = TestDatabase::new();
    let server = Server::start(
        &database.url,
        &["--set", "auth.mode=token", "--set", &format!("auth.secret={SECRET}")],
    );
    let user = |id: &str| token(&["--role", "user", "--user", id]);
    let visitor = token(&["--role", "user", "--user", "v-1", "--anonymous"]);
    let service = token(&["--role", "service"]);
    let request = |token: &str, method: &str, path: &str, body: Value| {
        let mut http = server.http();
        http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        http.send(method, path, "application/json", body.to_string().as_bytes()).unwrap()
    };
    let item = json!({"item_id": 5, "title": "A mug"});
    assert_eq!(request(&service, "PUT", "/v1/items", item).status, 200);
    let view = |token: &str| request(token, "POST", "/v1/events", json!({"kind": "view", "item_id": 5}));
    assert_eq!(view(&visitor).status, 202);
    assert_eq!(view(&user("18")).status, 202);

    // Knowing an id proves nothing, and the token of an account is no visitor's.
    for login in [
        json!({"token": user("17"), "anonymous_id": "v-1"}),
        json!({"token": user("17"), "anonymous_id": 18}),
        json!({"token": user("17"), "anonymous_token": user("18")}),
        json!({"token": visitor, "anonymous_token": visitor}),
    ] {
        let mut client = device(&server, login.clone());
        let error = client.expect("error");
        assert_eq!((&error["code"], &error["temporary"]), (&json!("not_merged"), &json!(false)), "{login}");
        client.expect("welcome");
    }
    let refused = request(&user("17"), "POST", "/v1/users/17/merge", json!({"anonymous_id": "v-1"}));
    assert_eq!(refused.status, 403);
    assert_eq!(database.count("SELECT count(*) AS n FROM users WHERE merged_into IS NOT NULL"), 0);

    let mut client = device(&server, json!({"token": user("17"), "anonymous_token": visitor}));
    assert_eq!(client.expect("welcome")["user_id"], 17);
    let events = |id: &str| request(&service, "GET", &format!("/v1/users/{id}/profile"), json!({})).json();
    assert_eq!(events("17")["events"], 1);
    // Once more, and at the login of another: the first stays.
    let mut client = device(&server, json!({"token": user("17"), "anonymous_token": visitor}));
    client.expect("welcome");
    let mut client = device(&server, json!({"token": user("18"), "anonymous_token": visitor}));
    assert_eq!(client.expect("error")["code"], "not_merged");
    client.expect("welcome");
    // The visitor's token opens nothing of the user; what it reports goes there.
    assert_eq!(device(&server, json!({"token": visitor})).close_code(), 3005);
    for path in ["profile", "inbox", "preferences", "consent", "topics"] {
        let answer = request(&visitor, "GET", &format!("/v1/users/v-1/{path}"), json!({}));
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (403, &json!("merged")), "{path}");
        let answer = request(&visitor, "GET", &format!("/v1/users/17/{path}"), json!({}));
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(request(&user("17"), "GET", "/v1/users/v-1/inbox", json!({})).status, 200);
    assert_eq!(view(&visitor).status, 202);
    assert_eq!(events("17")["events"], 2);
    assert_eq!(left_behind(&database), 0);
}

#[test]
fn a_key_that_acts_for_users_merges_none_and_whoever_may_is_in_the_audit_log() {
    let database = TestDatabase::new();
    let server = Server::start(
        &database.url,
        &["--set", "auth.mode=token", "--set", &format!("auth.secret={SECRET}")],
    );
    let admin = token(&["--role", "admin"]);
    let mut http = server.http();
    http.headers.push(("Authorization".to_owned(), format!("Bearer {admin}")));
    let key = |permissions: Value| {
        let mut http = server.http();
        http.headers.push(("Authorization".to_owned(), format!("Bearer {admin}")));
        let made = http.post("/v1/admin/keys", &json!({"name": "streams", "permissions": permissions}));
        made.json()["key"].as_str().unwrap().to_owned()
    };
    for user in [17, 21] {
        let said = json!({"kind": "search", "user_id": user, "query": "mug"});
        assert_eq!(http.post("/v1/events", &said).status, 202);
    }
    let merged = || database.count("SELECT count(*) AS n FROM users WHERE merged_into IS NOT NULL");
    let entries = || {
        database.count("SELECT count(*) AS n FROM audit_log WHERE action LIKE 'login that merges%' AND after LIKE '%21%'")
    };
    let streams = key(json!(["act_for_users"]));
    let mut client = device(&server, json!({"token": streams, "user_id": 17, "anonymous_id": 21}));
    assert_eq!(client.expect("error")["code"], "not_merged");
    client.expect("welcome");
    assert_eq!((merged(), entries()), (0, 0));

    let writes = key(json!(["act_for_users", "write_users"]));
    let mut client = device(&server, json!({"token": writes, "user_id": 17, "anonymous_id": 21}));
    client.expect("welcome");
    assert_eq!((merged(), entries()), (1, 1));
}

/// Most messages of the category in the window.
const CAP: usize = 3;
const PAIRS: usize = 1_000;

/// One visitor and one user with random histories: what is sent to either before the merge, beside it and after it.
fn live(server: &Server, pair: usize, events: &AtomicUsize) {
    let mut random = rand::rngs::StdRng::seed_from_u64(pair as u64);
    let ids = [format!("u-{pair}"), format!("v-{pair}")];
    let act = |http: &mut Http, random: &mut rand::rngs::StdRng, id: &str| {
        let n = random.random_range(1..4);
        let batch: Vec<Value> = (0..n)
            .map(|_| json!({"kind": "view", "user_id": id, "item_id": 101 + random.random_range(0..40)}))
            .collect();
        let answer = http.post("/v1/events", &json!(batch));
        assert_eq!(answer.status, 202, "{}", answer.body);
        events.fetch_add(answer.json()["accepted"].as_u64().unwrap() as usize, Ordering::Relaxed);
    };
    let mut http = server.http();
    for _ in 0..random.random_range(0..4) {
        let id = &ids[random.random_range(0..2)];
        act(&mut http, &mut random, id);
    }
    for _ in 0..random.random_range(0..5) {
        send(&mut http, &ids[random.random_range(0..2)], "before");
    }
    let seed = random.next_u64();
    std::thread::scope(|scope| {
        let (ids, act) = (&ids, &act);
        scope.spawn(move || {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed);
            let mut http = server.http();
            for _ in 0..4 {
                let id = &ids[random.random_range(0..2)];
                act(&mut http, &mut random, id);
            }
            send(&mut http, &ids[random.random_range(0..2)], "beside");
        });
        let answer = merge(&mut http, &ids[0], &ids[1]);
        assert_eq!(answer.status, 200, "{}", answer.body);
    });
    for _ in 0..2 {
        let id = &ids[random.random_range(0..2)];
        act(&mut http, &mut random, id);
        send(&mut http, id, "after");
    }
}

#[test]
fn a_thousand_merges_beside_events_and_messages_lose_nothing_and_break_no_cap() {
    let cap = format!(r#"policy.caps=[{{ category = "*", window_min = 600, max = {CAP} }}]"#);
    let (database, server) = shop(&["--set", &cap]);
    let (events, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let pair = next.fetch_add(1, Ordering::Relaxed);
                    if pair >= PAIRS {
                        return;
                    }
                    live(&server, pair, &events);
                }
            });
        }
    });
    wait_for("every message to be decided", || database.count("SELECT count(*) AS n FROM outbox") == 0);
    let count = |query: &str| usize::try_from(database.count(query)).unwrap();
    assert_eq!(count("SELECT count(*) AS n FROM users WHERE merged_into IS NOT NULL"), PAIRS);
    assert_eq!(count("SELECT count(*) AS n FROM events"), events.load(Ordering::Relaxed), "no event is lost");
    assert_eq!(left_behind(&database), 0, "all of it belongs to the users");
    // Before the merge each of the two had a cap of its own; since it there is one, and what both were sent counts.
    let over = format!(
        "SELECT count(*) AS n FROM notifications n JOIN users u USING (user_id) WHERE n.trigger = 'api' \
         AND n.created_at > u.merged_at AND (SELECT count(*) FROM notifications o WHERE o.user_id = n.user_id \
         AND o.trigger = 'api' AND o.created_at < n.created_at) >= {CAP}"
    );
    assert_eq!(count(&over), 0, "nothing was sent beyond the cap");
    // The stream of each is one: numbered without a double, each frame at the place it names.
    let torn = "SELECT count(*) AS n FROM notifications n JOIN users u USING (user_id) \
         WHERE (frame::json->>'offset')::bigint <> stream_offset OR frame::json->>'user_id' <> external_id";
    assert_eq!(count(torn), 0);
    // What memory knows is what the tables say.
    let mut http = server.http();
    for pair in (0..PAIRS).step_by(50) {
        let stored = count(&format!(
            "SELECT count(*) AS n FROM events JOIN users USING (user_id) WHERE external_id = 'u-{pair}'"
        ));
        let profile = http.get(&format!("/v1/users/v-{pair}/profile")).json();
        assert_eq!(profile["events"].as_u64(), Some(stored as u64), "{profile}");
    }
}
