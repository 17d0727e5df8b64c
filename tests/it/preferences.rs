//! `/v1/users/{id}/preferences`: changing one thing leaves the others as they were.

use serde_json::{Value, json};

use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::Server;

const PATH: &str = "/v1/users/7/preferences";

/// Everything a user can set.
fn everything() -> Value {
    json!({"time_zone": "Europe/Vienna", "locale": "de-AT", "quiet_hours": {"from": "21:00", "to": "07:30"},
        "muted": ["promotion"], "opted_out": false, "paused_until": "2099-01-01T00:00:00Z", "digest": ["news"],
        "blocked_channels": {"news": ["push"], "*": ["socket"]}, "mutes": [{"of": "brand", "name": "Acme"}]})
}

fn start() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = Server::start(&database.url, &[]);
    assert_eq!(server.http().put(PATH, &everything()).status, 200);
    (database, server)
}

/// What everything is with some fields changed.
fn with(changes: Value) -> Value {
    let mut document = everything();
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn if_match(http: &mut Http, tag: &str) {
    http.headers = vec![("If-Match".into(), tag.into())];
}

#[test]
fn a_change_of_one_thing_takes_nothing_else_away() {
    let (_database, server) = start();
    let mut http = server.http();
    let quiet = json!({"quiet_hours": {"from": "22:00", "to": "06:00"}});
    assert_eq!(http.put(PATH, &quiet).json(), with(quiet.clone()));
    assert_eq!(http.patch(PATH, &json!({"quiet_hours": {"to": "05:00"}, "muted": ["a", "b"]})).json(), {
        with(json!({"quiet_hours": {"from": "22:00", "to": "05:00"}, "muted": ["a", "b"]}))
    });
    // Null is the default; an object is merged by PATCH and replaced by PUT.
    let answer = http
        .patch(
            PATH,
            &json!({"time_zone": null, "quiet_hours": null, "muted": null, "opted_out": null,
                             "blocked_channels": {"*": null, "sale": ["push", "inbox"]}}),
        )
        .json();
    let after = with(json!({"time_zone": null, "quiet_hours": null, "muted": [],
                            "blocked_channels": {"news": ["push"], "sale": ["push", "inbox"]}}));
    assert_eq!(answer, after);
    let answer = http.put(PATH, &json!({"blocked_channels": {"x": ["push"]}})).json();
    assert_eq!(answer["blocked_channels"], json!({"x": ["push"]}));
    assert_eq!((&answer["locale"], &answer["mutes"]), (&json!("de-AT"), &after["mutes"]));
    assert_eq!(http.get(PATH).json(), answer);
}

#[test]
fn a_whole_document_replaces_the_one_that_was_read_and_no_other() {
    let (_database, server) = start();
    let mut http = server.http();
    let tag = http.get(PATH).header("etag").unwrap().to_owned();
    if_match(&mut http, &tag);
    let answer = http.put(PATH, &json!({"locale": "fr"}));
    assert_eq!((answer.status, &answer.json()["locale"]), (200, &json!("fr")));
    assert_eq!((&answer.json()["muted"], &answer.json()["digest"]), (&json!([]), &json!([])));
    let new = answer.header("etag").unwrap().to_owned();
    assert_ne!(new, tag);
    // The tag is of the past now, for a patch as well.
    for stale in [http.put(PATH, &everything()), http.patch(PATH, &json!({"locale": "it"}))] {
        assert_eq!((stale.status, &stale.json()["error"]["code"]), (412, &json!("precondition_failed")));
    }
    if_match(&mut http, &format!("\"other\", W/{new}"));
    assert_eq!(http.patch(PATH, &json!({"locale": "it"})).json()["locale"], "it");
    if_match(&mut http, "*");
    assert_eq!(http.put(PATH, &everything()).json(), everything());
    http.headers.clear();
    assert_eq!(http.get(PATH).json(), everything());
    assert_eq!(http.get(PATH).header("etag"), Some(tag.as_str()), "the same document, the same tag");
    for (body, field) in [
        (json!({"muted": "news"}), json!("muted")),
        (json!({"opted_out": 1}), json!("opted_out")),
        (json!({"quiet_hours": {"from": "1", "to": "2"}}), json!("quiet_hours")),
        (json!({"mute": []}), Value::Null),
        (json!([]), Value::Null),
    ] {
        for answer in [http.patch(PATH, &body), http.put(PATH, &body)] {
            assert_eq!((answer.status, &answer.json()["error"]["field"]), (400, &field), "{body}");
        }
    }
    assert_eq!(http.send("DELETE", PATH, "", b"").unwrap().status, 405);
}

#[test]
fn changes_from_many_sides_at_once_are_all_there_in_the_end() {
    let (_database, server) = start();
    let _device = server.login(7);
    for round in 0..6 {
        std::thread::scope(|scope| {
            for n in 0..8 {
                let server = &server;
                scope.spawn(move || {
                    let body = json!({"blocked_channels": {format!("c{round}{n}"): ["push"]}});
                    assert_eq!(server.http().patch(PATH, &body).status, 200);
                });
            }
        });
        // The actor answers: it was told before the last of them was answered.
        let blocked = server.http().get(PATH).json()["blocked_channels"].as_object().unwrap().len();
        assert_eq!(blocked, 2 + 8 * (round + 1));
    }
}
