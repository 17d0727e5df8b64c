//! Bounds and changes of preferences.

use super::*;
use serde_json::json;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn each_way_of_changing_keeps_what_it_is_to_keep() {
    let before = object(json!({"muted": ["a"], "blocked_channels": {"x": ["push"], "y": ["socket"]}}));
    let wish = object(json!({"blocked_channels": {"x": null, "z": ["push"]}}));
    let after = |change| Value::Object(changed(change, before.clone(), wish.clone()));
    let merged = json!({"muted": ["a"], "blocked_channels": {"y": ["socket"], "z": ["push"]}});
    assert_eq!(after(Change::Merge), merged);
    let named = json!({"muted": ["a"], "blocked_channels": {"x": null, "z": ["push"]}});
    assert_eq!(after(Change::Set), named);
    assert_eq!(after(Change::Replace), Value::Object(wish.clone()));
}

#[test]
fn what_is_stored_already_is_no_reason_to_refuse_a_change_of_something_else() {
    let stored = PreferenceDocument {
        locale: Some("!!".to_owned()),
        time_zone: Some("Mars/Base".to_owned()),
        muted: vec!["x".repeat(129)],
        ..PreferenceDocument::default()
    };
    let wish = |wish: Value| changed(Change::Merge, document(&stored), object(wish));
    let after = parse(&wish(json!({"opted_out": true})), &stored).unwrap();
    assert_eq!((&after.locale, &after.muted), (&stored.locale, &stored.muted));
    assert!(after.settings().opted_out);
    let wrong = json!({"locale": "german"});
    assert!(parse(&wish(wrong), &stored).unwrap_err().to_string().contains("BCP 47"));
    assert_eq!(parse(&wish(json!({"locale": "de-AT"})), &stored).unwrap().locale.as_deref(), Some("de-AT"));
}

#[test]
fn what_is_wrong_is_named() {
    for (document, text) in [
        (json!({"mutd": []}), "\"mutd\""),
        (json!({"muted": "news"}), "muted is an array"),
        (json!({"opted_out": "yes"}), "opted_out is true or false"),
        (json!({"quiet_hours": {"from": "22:00"}}), "missing field `to`"),
        (json!({"quiet_hours": {"from": "22:00", "to": "25:00"}}), "HH:MM"),
        (json!({"time_zone": "Mars/Base"}), "Mars/Base"),
        (json!({"locale": ""}), "BCP 47"),
        (json!({"locale": "!!"}), "BCP 47"),
        (json!({"muted": ["x".repeat(129)]}), "1…128 bytes"),
        (json!({"blocked_channels": {"x": ["pigeon"]}}), "pigeon"),
    ] {
        let error = parse(&object(document.clone()), &PreferenceDocument::default()).unwrap_err();
        assert!(error.to_string().contains(text), "{document}: {error}");
    }
    let parse = |document| parse(&document, &PreferenceDocument::default()).unwrap();
    assert_eq!(parse(object(json!({"muted": ["x".repeat(128)]}))).muted.len(), 1);
    assert_eq!(parse(object(json!({"muted": null}))), parse(Map::new()));
}
