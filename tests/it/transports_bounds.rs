//! Bounds and ends of connections: the same codes by WebSocket, in both implementations, and by Server-Sent Events with `POST`.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::line::{Line, Login, Transport};
use crate::helpers::server::{Server, wait_for};

const WAYS: [(Transport, &str); 3] = [
    (Transport::WebSocket, "direct"),
    (Transport::WebSocket, "actix-web-actors"),
    (Transport::Sse, "direct"),
];

/// A server for each way, on one database.
fn each(arguments: &[&str], check: impl Fn(Transport, Server)) {
    let database = TestDatabase::new();
    for (transport, backend) in WAYS {
        let backend = format!("socket.backend={backend}");
        let arguments = arguments.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["--set", &backend].into_iter().chain(arguments).collect();
        check(transport, Server::start(&database.url, &arguments));
    }
}

#[test]
fn a_user_has_so_many_connections_and_a_place_that_is_left_is_free() {
    each(&["socket.max_connections_per_user=2"], |transport, server| {
        let (first, mut second) = (transport.open(&server, 1), transport.open(&server, 1));
        let one = Login { user: Some(json!(1)), ..Login::default() };
        assert_eq!(transport.login(&server, &one).close().0, 3504, "{transport:?}");
        transport.open(&server, 2);
        second.settle();
        drop(first);
        wait_for("a free place", || {
            let mut http = server.http();
            let sessions = http.get("/admin/sessions").json();
            !sessions.to_string().contains("\"connections\":2")
        });
        transport.open(&server, 1).settle();
    });
}

#[test]
fn a_slow_client_is_told_so_as_soon_as_it_reads_again() {
    each(&["socket.max_outbound_bytes=65536", "policy.caps=[]"], |transport, server| {
        let mut http = server.http();
        let name = format!("slow at {}", server.address.port()).replace(' ', "-");
        let slow = Login { user: Some(json!(name)), is_small: true, ..Login::default() };
        let (mut line, _) = transport.welcomed(&server, &slow);
        let mut reader = transport.open(&server, name.as_str());
        // More than the pipe's bound and what the kernel holds for both ends.
        let message =
            json!({"user_id": name, "title": "t", "body": "x".repeat(1_900), "priority": "transactional"});
        let many: Value = std::iter::repeat_n(message, 20).collect();
        wait_for("the client to be let go", || {
            assert_eq!(http.post("/v1/notifications", &many).status, 202);
            // One that reads is not let go.
            let mut last = Value::Null;
            for _ in 0..20 {
                last = reader.expect("notification");
            }
            reader.acknowledge(&last);
            !http.get("/metrics").body.contains("tidings_slow_clients_total 0")
        });
        assert_eq!(line.close().0, 3008, "{transport:?}");
    });
}

#[test]
fn frames_that_cannot_be_read_are_answered_and_the_eighth_ends_the_connection() {
    each(&[], |transport, server| {
        let mut line = transport.open(&server, 1);
        for n in 0..8 {
            line.send(&json!({"type": "dance", "n": n}));
            assert_eq!(line.expect("error")["code"], "bad_frame", "{transport:?}");
            if n == 6 {
                line.settle();
            }
        }
        assert_eq!(line.close().0, 3501, "{transport:?}");
    });
}

#[test]
fn more_frames_than_the_rate_end_the_connection() {
    each(&["socket.max_frames_per_s=5"], |transport, server| {
        let mut line = transport.open(&server, 1);
        for _ in 0..60 {
            line.send(&json!({"type": "ack", "offset": 0}));
        }
        assert_eq!(line.close().0, 3013, "{transport:?}");
    });
}

#[test]
fn a_connection_does_not_outlive_its_token() {
    let secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";
    each(&["auth.mode=token", &format!("auth.secret={secret}")], |transport, server| {
        let until = tidings::base::Timestamp::now().plus_days(3.0 / 86_400.0);
        let token = tidings::privacy::token::issue(secret, tidings::privacy::Role::User, "1", until).unwrap();
        let (mut line, welcome) =
            transport.welcomed(&server, &Login { token: Some(token), ..Login::default() });
        assert_eq!(welcome["user_id"], 1);
        line.settle();
        assert_eq!(line.close().0, 3005, "{transport:?}");
    });
}

#[test]
fn a_deploy_tells_each_client_when_to_come_back() {
    each(&[], |transport, mut server| {
        let mut lines: Vec<Line> = (0..20).map(|user| transport.open(&server, user)).collect();
        assert!(server.terminate().success());
        let mut hints = HashSet::new();
        for line in &mut lines {
            let (code, hint) = line.close();
            assert_eq!(code, 3001, "{transport:?}");
            hints.insert(hint.unwrap());
        }
        assert!(hints.len() > 1, "spread: {hints:?}");
    });
}

#[test]
fn what_a_client_said_before_it_left_is_kept() {
    each(&[], |transport, server| {
        let name = format!("leaver-{}", server.address.port());
        let mut line = transport.open(&server, name.as_str());
        line.send(&json!({"type": "event", "kind": "view", "item_id": 1, "event_id": "last"}));
        line.expect("accepted");
        line.send(&json!({"type": "mute", "of": "brand", "name": "Acme"}));
        line.expect("muted");
        drop(line);
        let mut http = server.http();
        assert_eq!(http.get(&format!("/v1/users/{name}/profile")).json()["events"], 1);
        wait_for("the mute to be stored", || {
            http.get(&format!("/v1/users/{name}/preferences")).body.contains("Acme")
        });
    });
}
