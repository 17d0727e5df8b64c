//! The AsyncAPI document: what it names is there, every frame of a client that it describes is understood, and every frame of the server
//! comes over both transports as described. (All other tests hold what they receive against it as well.)

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidings::deliver::Inbound;

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::described::{self, DOCUMENT, kinds};
use crate::helpers::event_stream::EventStream;
use crate::helpers::server::Server;
use crate::helpers::shop::shop;

fn references<'v>(value: &'v Value, into: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, into));
        }
        Value::Array(parts) => parts.iter().for_each(|part| references(part, into)),
        _ => {}
    }
}

#[test]
fn the_document_is_served_and_its_references_lead_somewhere() {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    assert_eq!(server.http().get("/asyncapi.json").json(), *DOCUMENT);
    assert_eq!(DOCUMENT["asyncapi"], "3.0.0");
    let mut all = BTreeSet::new();
    references(&DOCUMENT, &mut all);
    let lost: Vec<&&str> =
        all.iter().filter(|name| DOCUMENT.pointer(name.trim_start_matches('#')).is_none()).collect();
    assert!(lost.is_empty(), "{lost:?}");
    for name in DOCUMENT["components"]["schemas"].as_object().unwrap().keys() {
        assert!(all.contains(format!("#/components/schemas/{name}").as_str()), "named by nothing: {name}");
    }
    for operation in DOCUMENT["operations"].as_object().unwrap().values() {
        assert!(!operation["messages"].as_array().unwrap().is_empty(), "{operation}");
    }
}

/// A frame of each type of a client, with all of its fields.
fn of_client() -> Vec<Value> {
    let id = "0192f0a0-0000-7000-8000-000000000000";
    let event = json!({"kind": "view", "item_id": 1, "event_id": "a", "dwell_ms": 5, "quantity": 1.0});
    let mut frame = event.clone();
    frame["type"] = json!("event");
    vec![
        json!({"type": "login", "user_id": 1, "token": "t", "device": "d", "locale": "de", "time_zone": "Europe/Berlin",
               "resume": {"epoch": "e", "offset": 3}, "anonymous_id": "v", "anonymous_token": "t"}),
        frame,
        json!({"type": "events", "events": [event]}),
        json!({"type": "ack", "offset": 3}),
        json!({"type": "feedback", "notification_id": id, "outcome": "clicked", "item_id": "7"}),
        json!({"type": "presence", "visible": true}),
        json!({"type": "mute", "of": "item_category", "name": "a", "notification_id": id, "item_id": 7}),
        json!({"type": "read", "all": true, "up_to": 3}),
        json!({"type": "read", "notification_id": id}),
        json!({"type": "unread", "notification_id": id}),
        json!({"type": "archive", "notification_id": id}),
        json!({"type": "unarchive", "notification_id": id}),
        json!({"type": "delete", "notification_id": id}),
        json!({"type": "snooze", "notification_id": id, "until": "2030-01-31T08:00:00Z"}),
        json!({"type": "seen", "up_to": 3}),
        json!({"type": "subscribe", "topic": "deals"}),
        json!({"type": "unsubscribe", "topic": "deals"}),
        json!({"type": "ping"}),
    ]
}

#[test]
fn every_frame_of_a_client_is_described_as_it_is_parsed() {
    let mut described_kinds = kinds("client");
    for frame in of_client() {
        assert_eq!(described::fault("client", &frame), None, "{frame}");
        assert!(Inbound::parse(&frame.to_string(), 10).is_ok(), "{frame}");
        described_kinds.remove(frame["type"].as_str().unwrap());
        // What the document does not know the server does not take, and the other way round.
        let mut more = frame.clone();
        more["nonsense"] = json!(1);
        let is_event = frame["type"] == "event";
        let is_closed = !["login", "event", "ping"].map(Value::from).contains(&frame["type"]);
        assert!(described::fault("client", &more).is_some(), "{more}");
        assert_eq!(Inbound::parse(&more.to_string(), 10).is_err(), is_closed, "{more}");
        for name in frame.as_object().unwrap().keys().filter(|name| *name != "type") {
            let mut less = frame.clone();
            less.as_object_mut().unwrap().remove(name);
            let is_missing = described::fault("client", &less).is_some();
            let is_refused = Inbound::parse(&less.to_string(), 10).is_err();
            // `read` needs one of two fields, and an event names its own fault; a schema says neither.
            let is_told_later = frame["type"] == "read" || is_event;
            assert!(is_missing == is_refused || is_told_later, "{less}: {is_missing} {is_refused}");
        }
    }
    assert!(described_kinds.is_empty(), "never written: {described_kinds:?}");
}

/// Whatever makes the server say each of its frames.
const SAID: [&str; 9] = [
    r#"{"type": "event", "kind": "view", "item_id": 101, "event_id": "a"}"#,
    r#"{"type": "events", "events": [{"kind": "view", "item_id": 101, "event_id": "b"}, {"kind": "view", "item_id": 102}]}"#,
    r#"{"type": "event", "kind": "nonsense", "event_id": "c"}"#,
    r#"{"type": "mute", "of": "brand", "name": "acme"}"#,
    r#"{"type": "subscribe", "topic": "deals"}"#,
    r#"{"type": "unsubscribe", "topic": "deals"}"#,
    r#"{"type": "ping"}"#,
    r#"{"type": "nonsense"}"#,
    r#"{"type": "seen", "up_to": 1}"#,
];

#[test]
fn every_frame_of_the_server_comes_over_both_transports_as_described() {
    let (_database, mut server) = shop(&[]);
    let mut http = server.http();
    let mut socket = Client::connect(server.address);
    socket.send(&json!({"type": "login", "user_id": 1}));
    let mut stream = EventStream::open(server.address, "user_id=1", "");
    let (mut on_socket, mut on_stream) = (BTreeSet::new(), BTreeSet::new());
    let welcome = stream.expect("welcome").data;
    on_stream.insert("welcome".to_owned());
    let path = format!("/v1/connections/{}/frames", welcome["connection_id"].as_str().unwrap());
    for said in SAID {
        socket.send_text(said);
        let replies = http.post(&path, &serde_json::from_str::<Value>(said).unwrap()).json();
        for reply in replies["replies"].as_array().unwrap() {
            described::check(reply);
            on_stream.insert(reply["type"].as_str().unwrap().to_owned());
        }
    }
    let message = json!({"user_id": 1, "title": "A", "body": "b", "url": "/a", "image_url": "/b", "data": {"a": 1}, "collapse_key": "k",
                         "priority": "high"});
    assert_eq!(http.post("/v1/notifications", &message).status, 202);
    let ephemeral = json!({"user_id": 1, "title": "Now", "ephemeral": true});
    assert_eq!(http.post("/v1/notifications", &ephemeral).status, 202);
    let mut id = Value::Null;
    let mut seen = Vec::new();
    while id.is_null() || !seen.contains(&true) {
        let frame = socket.next().unwrap();
        on_socket.insert(frame["type"].as_str().unwrap().to_owned());
        if frame["type"] == "notification" {
            seen.push(frame["ephemeral"] == true);
            if frame["title"] == "A" {
                id = frame["notification_id"].clone();
            }
        }
    }
    // Told to the other connections: by a request to all.
    for change in ["archive", "unarchive"] {
        let answer = http.post(&format!("/v1/users/1/inbox/{change}"), &json!({"notification_ids": [id]}));
        assert!(answer.status < 300, "{}", answer.body);
    }
    while !on_socket.contains("restore") {
        on_socket.insert(socket.next().unwrap()["type"].as_str().unwrap().to_owned());
    }
    server.terminate();
    while let Some(event) = stream.next() {
        on_stream.insert(event.kind);
    }
    let all = kinds("server");
    assert_eq!(on_stream, all, "over an event stream");
    let without_close: BTreeSet<String> = all.into_iter().filter(|kind| kind != "close").collect();
    assert_eq!(on_socket, without_close, "over a WebSocket");
}
