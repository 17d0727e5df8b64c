//! What must hold when things go wrong: a killed server, a client that never reads, a robot, a full stop.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::{Server, data_dir, wait_for};

/// A server with a private PostgreSQL of its own, so that both die together.
fn with_own_cluster(data_dir: &std::path::Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir).env_remove("DATABASE_URL");
    Server::spawn(&mut command)
}

fn batch(client: usize, round: usize) -> Value {
    (0..20)
        .map(|n| json!({"kind": "view", "user_id": client, "item_id": n, "event_id": format!("{client}-{round}-{n}"), "occurred_at": 1_760_000_000 + n}))
        .collect()
}

#[test]
fn a_sigkill_loses_nothing_that_was_acknowledged() {
    let (_directory, data_dir) = data_dir();
    let mut server = with_own_cluster(&data_dir);
    let acknowledged: Arc<Mutex<Vec<Value>>> = Arc::default();
    let sent = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|client| {
            let (address, acknowledged, sent) =
                (server.address, Arc::clone(&acknowledged), Arc::clone(&sent));
            thread::spawn(move || {
                let mut http = Http::connect(address);
                for round in 0.. {
                    let batch = batch(client, round);
                    let body = batch.to_string();
                    match http.send("POST", "/v1/events", "application/json", body.as_bytes()) {
                        Ok(response) if response.status == 202 => {
                            let mut acknowledged = acknowledged.lock().unwrap();
                            acknowledged.push(batch);
                            if acknowledged.len() > 60 {
                                sent.store(true, Ordering::Release);
                            }
                        }
                        Ok(response) => panic!("{}", response.body),
                        Err(_) => return, // Killed in the middle of it.
                    }
                }
            })
        })
        .collect();
    wait_for("sixty acknowledged batches", || sent.load(Ordering::Acquire));
    server.kill();
    for writer in writers {
        writer.join().unwrap();
    }
    let server = with_own_cluster(&data_dir);
    let mut http = server.http();
    let acknowledged = acknowledged.lock().unwrap();
    for batch in acknowledged.iter() {
        let answer = http.post("/v1/events", batch).json();
        assert_eq!(
            (answer["accepted"].as_i64(), answer["duplicates"].as_i64()),
            (Some(0), Some(20)),
            "an acknowledged event was lost"
        );
    }
    // And each only once: what a user has is what was sent, at most one batch of each writer unanswered.
    for client in 0..4 {
        let events = http.get(&format!("/v1/users/{client}/profile")).json()["events"].as_u64().unwrap();
        let of_client = acknowledged.iter().filter(|batch| batch[0]["user_id"] == client).count() as u64 * 20;
        assert!(
            events == of_client || events == of_client + 20,
            "{events} events stored, {of_client} acknowledged"
        );
    }
}

#[test]
fn a_killed_postgresql_is_started_again_and_what_was_acknowledged_is_there() {
    let (_directory, data_dir) = data_dir();
    let server = with_own_cluster(&data_dir);
    let pid = || {
        let text = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).unwrap_or_default();
        text.lines().next().and_then(|pid| pid.parse::<i32>().ok())
    };
    let (mut client, _) = server.login(1);
    client.expect("welcome");
    let before = pid().unwrap();
    let mut http = server.http();
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        assert_eq!(http.post("/v1/events", &batch(1, round)).status, 202);
        acknowledged.push(batch(1, round));
    }
    // SAFETY: a plain call.
    unsafe { libc::kill(before, libc::SIGKILL) };
    wait_for("another postmaster", || pid().is_some_and(|pid| pid != before));
    let mut round = 20;
    wait_for("events to be taken again", || {
        let answer = http.post("/v1/events", &batch(1, round));
        if answer.status == 202 {
            acknowledged.push(batch(1, round));
            round += 1;
        } else {
            assert_eq!(answer.status, 503, "{}", answer.body);
        }
        round >= 30
    });
    for batch in &acknowledged {
        assert_eq!(http.post("/v1/events", batch).json()["duplicates"], 20, "an acknowledged event was lost");
    }
    // The socket has outlived it.
    client.send(&json!({"type": "event", "kind": "view", "item_id": 3, "event_id": "after"}));
    assert_eq!(client.expect("accepted")["event_id"], "after");
}

#[test]
fn a_client_that_never_reads_costs_nobody_anything() {
    let database = TestDatabase::new();
    let mut arguments = Vec::new();
    for setting in [
        "policy.caps=[]",
        "policy.repeat_window_min=0",
        "policy.min_new_items=0",
        "ingest.robot_events_per_minute=1000000",
        "ingest.robot_events_per_day=1000000",
        "server.tcp_user_timeout_ms=5000",
    ] {
        arguments.extend(["--set", setting]);
    }
    let server = Server::start(&database.url, &arguments);
    let items: Value = (0..40).map(|id| json!({"item_id": id, "title": format!("Thing {id} of the shop, with a long title so that frames are not small"), "category": "Things"})).collect();
    server.http().put("/v1/items", &items);
    let mut deaf = Client::connect_small(server.address);
    deaf.send(&json!({"type": "login", "user_id": "deaf"}));
    deaf.expect("welcome");
    let (mut other, _) = server.login("other");
    let mut http = server.http();
    let before = server.resident_bytes();
    for round in 0..60 {
        let views: Value = (0..100)
            .map(|n| json!({"kind": "view", "user_id": "deaf", "item_id": (round + n) % 40}))
            .collect();
        // One request a view, as a person's clicks come: each causes a push.
        for view in views.as_array().unwrap() {
            assert_eq!(http.post("/v1/events", view).status, 202);
        }
        let metrics = http.get("/metrics").body;
        if !metrics.contains("tidings_slow_clients_total 0") {
            break;
        }
        assert!(round < 59, "6,000 unread pushes and the client was not let go");
    }
    other.send(&json!({"type": "event", "kind": "view", "item_id": 1}));
    loop {
        if other.expect("recommendation")["trigger"] == "view" {
            break;
        }
    }
    let grown = server.resident_bytes().saturating_sub(before) / 1024 / 1024;
    assert!(grown < 40, "memory grew by {grown} MB");
    wait_for("the kernel to end the connection", || http.get("/admin/metrics").json()["connections"] == 1);
}

#[test]
fn a_robot_is_flagged_and_no_longer_answered() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &["--set", "ingest.robot_events_per_minute=30"]);
    let items: Value = (0..40).map(|id| json!({"item_id": id, "title": format!("Thing {id}")})).collect();
    server.http().put("/v1/items", &items);
    let (mut robot, _) = server.login("robot");
    for n in 0..100 {
        robot.send(&json!({"type": "event", "kind": "view", "item_id": n % 40}));
    }
    for _ in 0..100 {
        robot.expect("accepted");
    }
    let mut http = server.http();
    // The flag is kept: a new login is welcomed and nothing is recommended.
    wait_for("the flag", || http.get("/admin/users?q=robot").json()["users"].as_array().unwrap().is_empty());
    let listed = http.get("/admin/users?robots=true").json();
    assert_eq!(listed["users"][0]["user_id"], "robot", "{listed}");
    let shown = http.get("/v1/users/robot/profile").json()["robot"].clone();
    assert_eq!(listed["users"][0]["robot"], shown);
    assert!(shown["reason"].as_str().unwrap().contains("actions in a minute, more than 30"), "{shown}");
    let before = http.get("/admin/metrics").json()["totals"]["decisions"].clone();
    robot.send(&json!({"type": "event", "kind": "view", "item_id": 1}));
    robot.expect("accepted");
    assert_eq!(http.get("/admin/metrics").json()["totals"]["decisions"], before);
    // Whatever was accepted for it ends with a stored reason; by hand the flag goes.
    assert_eq!(
        http.post("/v1/triggers/back_in_stock", &json!({"user_ids": ["robot"], "item_id": 2})).status,
        202
    );
    wait_for("the reason", || {
        let decisions = http.get("/admin/decisions?user_id=robot&limit=1").json();
        decisions["decisions"][0]["reasons"].to_string().contains("robot")
    });
    assert_eq!(http.delete("/admin/users/robot/robot").status, 204);
    assert_eq!(http.delete("/admin/users/robot/robot").status, 404);
    assert_eq!(http.get("/v1/users/robot/profile").json()["robot"], Value::Null);
    robot.send(&json!({"type": "event", "kind": "view", "item_id": 3}));
    robot.expect("accepted");
    wait_for("an answer", || {
        http.get("/admin/metrics").json()["totals"]["decisions"].as_i64() > before.as_i64()
    });
}

#[test]
fn a_stop_at_the_moment_of_the_ready_line_is_a_stop_in_order() {
    let database = TestDatabase::new();
    for _ in 0..5 {
        let ended = Server::start(&database.url, &[]).terminate();
        assert!(ended.success(), "{ended}");
    }
}

#[test]
fn a_stop_drains_and_says_when_to_come_back() {
    let database = TestDatabase::new();
    let mut server = Server::start(&database.url, &[]);
    let (mut client, _) = server.login(1);
    client.expect("welcome");
    let closed = thread::spawn(move || client.close_code());
    assert!(server.terminate().success());
    assert_eq!(closed.join().unwrap(), 3001);
}

#[test]
fn the_live_profile_is_the_one_from_the_tables() {
    let database = TestDatabase::new();
    // A model says until when there are data, which months are counted to.
    let untrained = ["--set", "training.interval_s=0"];
    let mut server = Server::start(&database.url, &untrained);
    let items: Value = (0..20)
        .map(|id| json!({"item_id": id, "title": format!("Thing {id}"), "category": format!("C{}", id % 3)}))
        .collect();
    server.http().put("/v1/items", &items);
    let (mut client, _) = server.login("anna");
    let kinds = ["view", "add_to_cart", "purchase", "view", "like", "return", "remove_from_cart", "rate"];
    for n in 0..60 {
        let kind = kinds[n % kinds.len()];
        client.send(&json!({"type": "event", "kind": kind, "item_id": (n * 7) % 20, "value": if kind == "rate" { 4.0 } else { 9.5 }, "dwell_ms": 1500 * n, "occurred_at": 1_790_000_000 + n * 5_000}));
        client.expect("accepted");
    }
    client.send(&json!({"type": "event", "kind": "search", "query": "things", "occurred_at": 1_790_400_000}));
    client.expect("accepted");
    let mut http = server.http();
    let mut live = http.get("/v1/users/anna/profile").json();
    assert_eq!(live["events"], 61);
    server.kill();
    let server = Server::start(&database.url, &untrained);
    let mut stored = server.http().get("/v1/users/anna/profile").json();
    // What depends on the moment of asking is compared with tolerance.
    for (field, tolerance) in [
        ("purchases_per_month", 1e-3),
        ("browsing_minutes_per_month", 1e-3),
        ("searches_per_month", 1e-3),
        ("recency_days", 1e-2),
        ("monetary", 1e-9),
    ] {
        let figure = |profile: &Value| profile["features"][field].as_f64().unwrap();
        assert!(
            (figure(&live) - figure(&stored)).abs() < tolerance,
            "{field}: {} and {}",
            figure(&live),
            figure(&stored)
        );
    }
    for (a, b) in live["affinities"].as_array().unwrap().iter().zip(stored["affinities"].as_array().unwrap())
    {
        assert_eq!(a["category"], b["category"]);
        assert!((a["share"].as_f64().unwrap() - b["share"].as_f64().unwrap()).abs() < 1e-4);
    }
    for profile in [&mut live, &mut stored] {
        let fields = profile.as_object_mut().unwrap();
        fields.remove("features");
        fields.remove("affinities");
        fields.remove("connections");
    }
    assert_eq!(live, stored);
}

#[test]
fn a_model_that_cannot_be_read_gives_way_to_the_last_good_one() {
    let database = TestDatabase::new();
    let mut server = Server::start(&database.url, &[]);
    let events: Vec<Value> = (0..200).map(|n| json!({"kind": "purchase", "user_id": n % 20, "item_id": (n * 7) % 30, "occurred_at": 1_790_000_000 + n * 600})).collect();
    server.http().post("/v1/events", &json!(events));
    assert_eq!(server.retrain()["state"], "succeeded");
    assert_eq!(server.retrain()["state"], "succeeded");
    assert_eq!(server.http().get("/admin/models").json()["active"], 2);
    server.kill();
    use diesel::RunQueryDsl;
    diesel::sql_query("UPDATE models SET artefact = '\\xdeadbeef' WHERE state = 'active'")
        .execute(&mut database.connection())
        .unwrap();
    let server = Server::start(&database.url, &[]);
    assert_eq!(server.http().get("/admin/models").json()["active"], 1);
    let refused = server.http().post("/admin/models/2/activate", &Value::Null);
    assert_eq!(refused.status, 409, "{}", refused.body);
}

#[test]
fn a_message_that_another_hand_numbered_is_delivered_and_the_stream_goes_on() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let items: Value = (0..40)
        .map(|id| json!({"item_id": id, "title": format!("Thing {id}"), "category": format!("C{}", id % 4)}))
        .collect();
    server.http().put("/v1/items", &items);
    let (mut client, first) = server.login(1);
    assert_eq!(first["offset"], 1);
    // A restored backup, a second server by mistake: the next number is taken.
    use diesel::RunQueryDsl;
    let id = "018f0000-0000-7000-8000-000000000002";
    let frame = json!({
        "type": "notification", "user_id": 1, "notification_id": id, "epoch": first["epoch"], "offset": 2, "trigger": "test",
        "sent_at": "2026-01-01T00:00:00Z", "kind": "announcement", "category": "news", "priority": "normal", "title": "Hello",
        "body": "", "expires_at": "2126-01-01T00:00:00Z",
    });
    diesel::sql_query(format!(
        "INSERT INTO notifications (notification_id, user_id, stream_offset, kind, category, trigger, model_version, \
         items, frame, created_at, expires_at) SELECT '{id}', user_id, 2, 'announcement', 'news', 'test', 0, \
         '{{}}', '{frame}', now(), now() + interval '1 hour' FROM users WHERE external_id = '1'",
    ))
    .execute(&mut database.connection())
    .unwrap();
    client.send(&json!({"type": "event", "kind": "view", "item_id": 3}));
    assert_eq!(client.expect("notification")["offset"], 2, "everything was read again");
    client.send(&json!({"type": "event", "kind": "view", "item_id": 4}));
    let push = client.expect("recommendation");
    assert_eq!((push["trigger"].as_str(), push["offset"].as_i64()), (Some("view"), Some(3)));
    // Others notice nothing.
    let (_other, first) = server.login(2);
    assert_eq!(first["offset"], 1);
}

#[test]
fn a_frame_full_of_bad_events_does_not_close_its_sender() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let (mut client, _) = server.login(1);
    let events: Vec<Value> = (0..3_000).map(|_| json!({"kind": "x"})).collect();
    client.send(&json!({"type": "events", "events": events}));
    let errors = (0..65).map(|_| client.expect("error")).collect::<Vec<_>>();
    assert_eq!(errors[0]["code"], "unknown_kind");
    assert_eq!(errors[64]["message"], "2936 more events of this frame were refused");
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
}

#[test]
fn feedback_given_while_the_database_is_away_is_not_lost() {
    use diesel::RunQueryDsl;
    let (database, elsewhere) = (TestDatabase::new(), TestDatabase::new());
    let server = Server::start(&database.url, &[]);
    let items: Value = (0..20).map(|id| json!({"item_id": id, "title": format!("Thing {id}")})).collect();
    server.http().put("/v1/items", &items);
    let (mut client, first) = server.login(1);
    client.expect("welcome");
    let mut administrator = elsewhere.connection();
    let name = database.name();
    let mut execute = |statement: String| diesel::sql_query(statement).execute(&mut administrator).unwrap();
    execute(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    execute(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    let feedback =
        json!({"type": "feedback", "notification_id": first["notification_id"], "outcome": "clicked"});
    client.send(&feedback);
    let mut http = server.http();
    wait_for("a commit to fail", || !http.get("/metrics").body.contains("tidings_commits_failed_total 0"));
    execute(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    wait_for("the click to be counted", || {
        let answer = http.get("/admin/metrics");
        answer.status == 200 && answer.json()["feedback"]["overall"]["clicked"] == 1
    });
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
}

#[test]
fn a_login_is_answered_while_events_of_the_same_user_are_being_committed() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    let items: Value = (0..20).map(|id| json!({"item_id": id, "title": format!("Thing {id}")})).collect();
    server.http().put("/v1/items", &items);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let address = server.address;
        let done = &done;
        scope.spawn(move || {
            let mut http = Http::connect(address);
            for n in 0..2_000 {
                if done.load(Ordering::Acquire) {
                    return;
                }
                // Every user at once, so that each login meets a commit.
                let views: Value =
                    (0..40).map(|user| json!({"kind": "view", "user_id": user, "item_id": n % 20})).collect();
                http.post("/v1/events", &views);
            }
        });
        for user in 0..40 {
            let (mut client, first) = server.login(user);
            assert!(!first["recommendations"].as_array().unwrap().is_empty());
            client.expect("welcome");
        }
        done.store(true, Ordering::Release);
    });
}
