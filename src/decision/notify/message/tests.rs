//! Checks of messages of the shop.

use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

fn check(raw: Value) -> Result<Addressed, FieldError> {
    serde_json::from_value::<RawMessage>(raw).unwrap().validate(NOW, Millis::hours(24))
}

#[test]
fn the_least_message_gets_the_defaults() {
    let addressed = check(json!({"user_id": 7, "title": "Hello"})).unwrap();
    assert_eq!(addressed.audience, Audience::Users(vec![ExternalId::Integer(7)]));
    assert_eq!((&*addressed.message.kind, &*addressed.message.category), ("announcement", "announcement"));
    assert_eq!(addressed.message.priority, Priority::Normal);
    assert_eq!(addressed.message.expires_at, NOW + Millis::hours(24));
    assert_eq!(addressed.send_at, None);
}

#[test]
fn users_are_named_once_each() {
    let addressed = check(json!({"to": {"user_ids": [1, "1", "a", 2, "a"]}, "title": "t"})).unwrap();
    let Audience::Users(users) = addressed.audience else { panic!() };
    assert_eq!(users.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1", "a", "2"]);
}

#[test]
fn a_message_survives_its_json() {
    let raw = json!({"segment": "B", "title": "t", "kind": "price_drop", "priority": "high", "data": {"a": [1]},
        "url": "/p/1", "collapse_key": "p1"});
    let addressed = check(raw).unwrap();
    assert_eq!(addressed.audience, Audience::Segment(1));
    let text = serde_json::to_string(&addressed.message).unwrap();
    assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), addressed.message);
}

#[test]
fn line_breaks_and_tabs_are_text() {
    let addressed = check(json!({"user_id": 7, "title": "a\tb", "body": "1\r\n2\r3\n\t4"})).unwrap();
    assert_eq!((&*addressed.message.title, &*addressed.message.body), ("a\tb", "1\n2\n3\n\t4"));
}

/// Asserts that each message is refused with its code and field.
fn refuses<const N: usize>(wrong: [(Value, &str, &str); N]) {
    for (raw, code, field) in wrong {
        let error = check(raw.clone()).unwrap_err();
        assert_eq!((error.code, &*error.field), (code, field), "{raw}");
    }
}

#[test]
fn a_wrong_audience_or_content_is_named() {
    refuses([
        (json!({"title": "t"}), "bad_audience", "to"),
        (json!({"title": "t", "user_id": 1, "everyone": true}), "bad_audience", "to"),
        (json!({"title": "t", "user_ids": []}), "empty", "user_ids"),
        (json!({"title": "t", "segment": "AB"}), "bad_segment", "segment"),
        (json!({"title": "t", "user_id": 1, "data": {"a": "\u{0}"}}), "bad_text", "data"),
        (json!({"template": "t", "user_id": 1, "variables": {"a\u{0}": 1}}), "bad_text", "variables"),
        (json!({"user_id": 1}), "missing_field", "title"),
        (json!({"user_id": 1, "title": "x".repeat(201)}), "too_long", "title"),
        (json!({"user_id": 1, "title": "a\u{7}"}), "control_character", "title"),
        (json!({"user_id": 1, "title": "t", "kind": "Price Drop"}), "bad_name", "kind"),
        (json!({"user_id": 1, "title": "t", "url": "javascript:alert(1)"}), "bad_url", "url"),
        (json!({"user_id": 1, "title": "t", "url": "//evil.example"}), "bad_url", "url"),
        (json!({"user_id": 1, "title": "t", "data": [1]}), "bad_data", "data"),
        (json!({"user_id": 1, "title": "t", "dedupe_key": ""}), "bad_key", "dedupe_key"),
        (
            json!({"everyone": true, "title": "t", "ephemeral": true, "dedupe_key": "k"}),
            "bad_ephemeral",
            "ephemeral",
        ),
        (json!({"user_id": 1, "title": "t", "template": "x"}), "bad_template", "template"),
        (json!({"user_id": 1, "title": "t", "variables": {}}), "bad_template", "variables"),
        (json!({"user_id": 1, "template": "x", "variables": [1]}), "bad_variables", "variables"),
        (
            json!({"user_id": 1, "template": "x", "variables": {"a": "x".repeat(4_096)}}),
            "too_long",
            "variables",
        ),
        (json!({"everyone": true, "template": "x", "ephemeral": true}), "bad_ephemeral", "ephemeral"),
    ]);
}

#[test]
fn a_wrong_time_or_rate_is_named() {
    refuses([
        (json!({"user_id": 1, "title": "t", "expires_at": 1}), "expired", "expires_at"),
        (json!({"user_id": 1, "title": "t", "send_at": 9_999_999_999_i64}), "too_far", "send_at"),
        (json!({"user_id": 1, "title": "t", "send_at_local": "tomorrow"}), "bad_time", "send_at_local"),
        (
            json!({"user_id": 1, "title": "t", "send_at_local": "2027-01-20T09:00Z"}),
            "bad_time",
            "send_at_local",
        ),
        (
            json!({"user_id": 1, "title": "t", "send_at_local": "2027-01-20T09:00", "send_at": 1}),
            "bad_time",
            "send_at_local",
        ),
        (
            json!({"user_id": 1, "title": "t", "send_at_local": "2026-01-20T09:00"}),
            "expired",
            "send_at_local",
        ),
        (
            json!({"user_id": 1, "title": "t", "send_at_local": "2028-01-20T09:00"}),
            "too_far",
            "send_at_local",
        ),
        (json!({"user_ids": [1, 2], "title": "t", "rate_per_minute": 0}), "bad_rate", "rate_per_minute"),
        (
            json!({"everyone": true, "title": "t", "rate_per_minute": 1_000_001}),
            "bad_rate",
            "rate_per_minute",
        ),
        (json!({"user_id": 1, "title": "t", "rate_per_minute": 5}), "bad_rate", "rate_per_minute"),
    ]);
}
