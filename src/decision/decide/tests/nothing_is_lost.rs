//! Every message that was accepted is shown, kept in the inbox, or ends with a stored decision, whatever its user wishes and
//! wherever they are.

use serde_json::json;

use super::fixture::{Fixture, moment, title};
use crate::notify::Channel;
use crate::notify::policy::{Mute, Settings};

/// Presence of a user.
#[derive(Clone, Copy, Debug)]
enum Presence {
    Visible,
    Hidden,
    Absent,
    Subscribed,
}

type Wish = fn(&mut Settings);

fn wishes() -> [(&'static str, Wish); 8] {
    [
        ("nothing", |_| {}),
        ("opted out", |settings| settings.opted_out = true),
        ("paused", |settings| settings.paused_until = Some(moment("2026-03-05T00:00:00Z"))),
        ("digest of all", |settings| settings.digest = ["*".to_owned()].into()),
        ("digest of news", |settings| settings.digest = ["news".to_owned()].into()),
        ("kind muted", |settings| settings.mute(Mute::Kind("news".to_owned()))),
        ("no page", |settings| {
            settings.blocked_channels.insert("*".to_owned(), [Channel::Socket].into());
        }),
        ("no push", |settings| {
            settings.blocked_channels.insert("*".to_owned(), [Channel::Push].into());
        }),
    ]
}

/// Every wish, with and without quiet hours, for everybody who may be there.
fn everybody(mut check: impl FnMut(Fixture, String)) {
    for (name, wish) in wishes() {
        for quiet in [false, true] {
            for presence in [Presence::Visible, Presence::Hidden, Presence::Absent, Presence::Subscribed] {
                let mut user = Fixture::new();
                user.wants(|_, settings| wish(settings));
                if quiet {
                    user.quiet("11:00", "14:00");
                }
                if matches!(presence, Presence::Visible | Presence::Hidden) {
                    user.login(1);
                }
                if matches!(presence, Presence::Hidden) {
                    user.tells(1, json!({"type": "presence", "visible": false}));
                }
                user.shop.is_subscribed = matches!(presence, Presence::Subscribed);
                check(user, format!("{name}, quiet {quiet}, {presence:?}"));
            }
        }
    }
}

const PRIORITIES: [&str; 4] = ["low", "normal", "high", "transactional"];

#[test]
fn every_accepted_message_is_kept_or_ends_with_a_stored_decision() {
    everybody(|mut user, case| {
        for priority in PRIORITIES {
            user.say(json!({"title": priority, "kind": "news", "priority": priority}));
        }
        user.until("2026-03-05T20:00:00Z");
        let kept = user.stored.messages.iter().filter(|(message, _)| message.trigger == "api").count();
        let ended = user.stored.decisions.iter().filter(|row| row.trigger == "api" && row.outcome == "drop");
        assert_eq!(kept + ended.count(), PRIORITIES.len(), "{case}");
        let orders =
            user.stored.messages.iter().filter(|(message, _)| title(&message.frame) == "transactional");
        assert_eq!(orders.count(), 1, "{case}");
    });
}

#[test]
fn every_fired_trigger_of_the_shop_is_kept_or_ends_with_a_stored_decision() {
    everybody(|mut user, case| {
        for priority in PRIORITIES {
            let mut definition =
                serde_json::to_value(&**user.shop.definitions.find("announcement").unwrap()).unwrap();
            definition["name"] = json!(format!("say_{priority}"));
            definition["category"] = json!("news");
            definition["priority"] = json!(priority);
            user.shop.trigger(definition);
            user.announce(&format!("say_{priority}"), priority);
        }
        user.until("2026-03-05T20:00:00Z");
        user.login(3);
        user.until("2026-03-06T20:00:00Z");
        for priority in PRIORITIES {
            let name = format!("say_{priority}");
            let kept = user.stored.messages.iter().filter(|(message, _)| message.trigger == name).count();
            let ended =
                user.stored.decisions.iter().filter(|row| row.trigger == name && row.outcome == "drop");
            assert_eq!(kept + ended.count(), 1, "{case}, {name}");
        }
        assert_eq!(user.stored.deferred, [], "{case}");
    });
}

#[test]
fn what_is_collected_is_mentioned_in_a_digest_and_never_collects_itself() {
    everybody(|mut user, case| {
        let collected = user.state.preferences.wants_digest("announcements");
        user.announce("announcement", "first");
        user.say(
            json!({"title": "second", "category": "announcements", "expires_at": "2026-03-08T00:00:00Z"}),
        );
        user.until("2026-03-05T20:00:00Z");
        user.login(3);
        user.until("2026-03-07T20:00:00Z");
        let digests = user.stored.messages.iter().filter(|(message, _)| message.trigger == "digest");
        let digests: Vec<String> = digests.map(|(message, _)| title(&message.frame)).collect();
        let things: usize =
            digests.iter().filter_map(|title| title.split(' ').next()?.parse::<usize>().ok()).sum();
        assert_eq!(things, if collected { 2 } else { 0 }, "{case}: {digests:?}");
        assert!(digests.len() <= 2, "{case}: {}", digests.len());
        assert_eq!(user.stored.deferred, [], "{case}");
    });
}
