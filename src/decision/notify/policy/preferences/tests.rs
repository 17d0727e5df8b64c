//! Bounds and changes of preferences.

use super::*;

#[test]
fn a_change_that_is_older_than_the_document_changes_only_what_is_muted() {
    let change = PreferenceChange {
        time_zone: Some("Asia/Tokyo".to_owned()),
        ..PreferenceChange::mute(Timestamp(5), Muted::Category("news".to_owned()))
    };
    let stored = PreferenceDocument { time_zone: Some("Europe/Berlin".to_owned()), ..Default::default() };
    let after = |replaced: Option<i64>| {
        let mut document = stored.clone();
        change.apply(&mut document, replaced.map(Timestamp));
        (document.time_zone.unwrap_or_default(), document.muted)
    };
    let muted = || vec!["news".to_owned()];
    assert_eq!(after(None), ("Asia/Tokyo".to_owned(), muted()));
    assert_eq!(after(Some(5)), ("Asia/Tokyo".to_owned(), muted()));
    assert_eq!(after(Some(6)), ("Europe/Berlin".to_owned(), muted()));
}

#[test]
fn a_mute_without_room_is_refused_and_takes_no_other_away() {
    let mut document = PreferenceDocument::default();
    let category = |n: usize| Muted::Category(format!("category {n}"));
    let brand = |n: usize| Muted::Subject(Mute::Brand(format!("brand {n}")));
    assert!((0..MAX_MUTED_CATEGORIES).all(|n| document.mute(category(n))));
    assert!((0..MAX_MUTES).all(|n| document.mute(brand(n))));
    let full = document.clone();
    assert!(!document.mute(category(MAX_MUTED_CATEGORIES)) && !document.mute(brand(MAX_MUTES)));
    assert!(document.mute(category(0)) && document.mute(brand(0)), "they are muted already");
    assert_eq!(document, full);
    // Confirmed a moment ago, before another request took the last place.
    PreferenceChange::mute(Timestamp(1), category(1_000)).apply(&mut document, Some(Timestamp(2)));
    assert_eq!(document.muted.last().map(String::as_str), Some("category 1000"));
}

#[test]
fn a_name_that_is_stored_may_stay_as_it_is() {
    let long = |n: usize| Settings { mutes: vec![Mute::Brand("x".repeat(n))], ..Settings::default() };
    assert_eq!(long(129).validate(&Settings::default()).unwrap_err().field, "mutes");
    assert_eq!(long(129).validate(&long(129)), Ok(()));
    assert_eq!(long(128).validate(&Settings::default()), Ok(()));
}

#[test]
fn two_users_who_become_one_hear_of_nothing_that_either_had_ruled_out() {
    let document =
        |time_zone: Option<&str>, muted: &[&str], settings: serde_json::Value| PreferenceDocument {
            time_zone: time_zone.map(str::to_owned),
            muted: muted.iter().map(|name| (*name).to_owned()).collect(),
            settings: SettingsDocument(settings),
            ..PreferenceDocument::default()
        };
    let user = document(
        Some("Asia/Tokyo"),
        &["news"],
        serde_json::json!({"paused_until": "2030-01-01T00:00:00Z", "mutes": [{"of": "brand", "name": "a"}],
                           "blocked_channels": {"*": ["push"]}}),
    );
    let visitor = PreferenceDocument {
        quiet_from_minute: Some(60),
        quiet_to_minute: Some(120),
        ..document(
            Some("Europe/Vienna"),
            &["news", "sale"],
            serde_json::json!({"opted_out": true, "paused_until": "2029-01-01T00:00:00Z", "digest": ["sale"],
                               "mutes": [{"of": "brand", "name": "a"}, {"of": "item", "name": "7"}],
                               "blocked_channels": {"*": ["socket"], "sale": ["push"]}}),
        )
    };
    for (one, other) in [(&user, &visitor), (&visitor, &user)] {
        let joined = one.clone().joined(other);
        let settings = joined.settings();
        assert!(settings.opted_out && settings.digest.contains("sale"));
        assert_eq!(settings.paused_until, Timestamp::parse("2030-01-01T00:00:00Z"), "the later one");
        assert_eq!((settings.mutes.len(), joined.muted.len()), (2, 2), "each once");
        let parsed = joined.parse(Consent::default());
        assert!(!parsed.allows("news", Channel::Push) && !parsed.allows("news", Channel::Socket));
        assert_eq!((joined.quiet_from_minute, joined.quiet_to_minute), (Some(60), Some(120)));
        assert_eq!(joined.time_zone, one.time_zone, "the user's own goes first");
        assert_eq!(joined.clone().joined(other), joined, "again it changes nothing");
    }
}
