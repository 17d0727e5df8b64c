//! Consents and wishes of the user, in messages and lists.

use serde_json::json;

use super::fixture::{Fixture, NOON, Shop, externals, item, moment};
use crate::decide::{Input, ListRequest, UserState};
use crate::notify::Channel;
use crate::notify::policy::{Mute, PreferenceDocument, Purpose, SettingsDocument};
use tidings_core::base::{ExternalId, ItemId, Millis};
use tidings_core::catalogue::Item;
use tidings_core::recommend::Reason;
use tidings_core::recommend::serve::removed::Filter;

fn muting(mute: Mute) -> Fixture {
    let mut user = Fixture::new();
    user.wants(|_, settings| settings.mute(mute));
    user
}

fn list(user: &Fixture) -> Vec<u32> {
    let list = user.state.recommend(None, 5, &user.shop.world());
    list.ids().map(|item| item.0 + 100).collect()
}

#[test]
fn without_consent_to_marketing_nothing_advertises() {
    let mut user = Fixture::connected();
    user.consents(Purpose::Marketing, false);
    assert_eq!(user.view(105).reason("view"), "consent_withheld");
    assert_eq!(user.announce("announcement", "sale").reason("announcement"), "consent_withheld");
    assert_eq!(user.say(json!({"title": "sale"})).reason("api"), "consent_withheld");
}

#[test]
fn without_consent_to_profiling_only_what_is_made_from_behaviour_is_withheld() {
    let mut user = Fixture::connected();
    user.consents(Purpose::Profiling, false);
    assert_eq!(user.view(105).reason("view"), "consent_withheld");
    assert_eq!(user.price(105, 5.0).reason("price_drop"), "consent_withheld");
    assert_eq!(user.announce("announcement", "sale").shown(1), ["sale"]);
    assert_eq!(user.say(json!({"title": "news"})).shown(1), ["news"]);
}

#[test]
fn without_consent_to_profiling_a_list_is_that_of_a_stranger() {
    let mut user = Fixture::new();
    user.views(&[105, 107, 109]);
    let personal = list(&user);
    user.consents(Purpose::Profiling, false);
    assert_ne!(list(&user), personal);
    assert_eq!(list(&user), list(&Fixture::new()));
    assert_eq!(externals(&user.login(1).message().items), list(&Fixture::new()));
}

#[test]
fn consent_given_again_holds_at_once() {
    let mut user = Fixture::connected();
    user.consents(Purpose::Profiling, false);
    user.consents(Purpose::Profiling, true);
    assert_eq!(user.view(105).outcomes(), ["view send"]);
}

#[test]
fn where_consent_must_come_first_silence_is_none() {
    let mut shop = Shop::new();
    shop.policy(json!({"profiling_by_default": false}));
    let mut user = Fixture::connected_to(shop);
    assert_eq!(user.view(105).reason("view"), "consent_withheld");
    user.consents(Purpose::Profiling, true);
    assert_eq!(user.view(106).outcomes(), ["view send"]);
}

#[test]
fn consent_survives_a_restart() {
    let mut user = Fixture::connected();
    user.consents(Purpose::Marketing, false);
    user.restart();
    user.login(1);
    assert_eq!(user.view(105).reason("view"), "consent_withheld");
}

#[test]
fn muted_items_categories_and_brands_are_in_no_list() {
    let lists = [
        (Mute::Item("124".to_owned()), [123, 122, 121, 120, 119]),
        (Mute::ItemCategory("Watches".to_owned()), [124, 122, 120, 118, 116]),
        (Mute::Brand("Clay".to_owned()), [123, 121, 119, 117, 115]),
    ];
    for (mute, expected) in lists {
        let mut user = muting(mute.clone());
        assert_eq!(list(&user), expected, "{mute:?}");
        assert_eq!(externals(&user.login(1).message().items), expected, "{mute:?}");
    }
}

#[test]
fn muted_items_are_in_no_list_beside_another_item() {
    let mut user = muting(Mute::Brand("Acme".to_owned()));
    user.shop.policy(json!({"repeat_window_min": 0}));
    user.login(1);
    let items = externals(&user.view(106).message().items);
    assert!(items.len() == 5 && items.iter().all(|item| item % 2 == 0), "{items:?}");
}

#[test]
fn no_place_is_given_away_to_what_is_muted() {
    let mut user = muting(Mute::ItemCategory("Chairs".to_owned()));
    user.shop.config.recommend.exploration = 0.5;
    for id in 125..=190u32 {
        let category = vec![if id % 2 == 1 { "Lamps".to_owned() } else { "Chairs".to_owned() }];
        let created_at = moment(NOON).plus_days(f64::from(id) / 100.0 - 3.0);
        let known = Item::clone(user.shop.catalogue.get(item(101)).unwrap());
        let external_id = ExternalId::Integer(i64::from(id));
        user.shop.catalogue.upsert(Item { id: item(id), external_id, category, created_at, ..known });
    }
    let mut explored = 0;
    for hour in 0..40 {
        user.shop.now = moment(NOON) + Millis::hours(hour);
        let world = user.shop.world();
        let page = |offset: usize| {
            let asked = ListRequest { n: 9, offset, ..ListRequest::default() };
            let list = user.state.list(&asked, &world);
            assert_eq!((list.items.len(), list.removed.by(Filter::Muted)), (9, 33), "hour {hour}");
            list.items
        };
        let lists = [page(0), page(9)].concat();
        let is_muted = |item: ItemId| world.catalogue.get(item).unwrap().category == ["Chairs"];
        assert!(!lists.iter().any(|known| is_muted(known.item)), "{lists:?}");
        explored += lists.iter().filter(|known| matches!(known.reason, Reason::Exploring(_))).count();
        let mut items: Vec<ItemId> = lists.iter().map(|known| known.item).collect();
        items.sort_unstable();
        items.dedup();
        assert_eq!(items.len(), 18, "hour {hour}");
    }
    assert!((100..220).contains(&explored), "half of 320 places: {explored}");
}

#[test]
fn a_list_is_shorter_where_mutes_leave_no_more() {
    let mut user = muting(Mute::Brand("Acme".to_owned()));
    user.wants(|_, settings| {
        for item in (104..=124).step_by(2) {
            settings.mute(Mute::Item(item.to_string()));
        }
    });
    assert_eq!(list(&user), [102]);
}

#[test]
fn nothing_is_told_of_a_muted_item() {
    for mute in [
        Mute::Item("105".to_owned()),
        Mute::ItemCategory("Watches".to_owned()),
        Mute::Brand("Acme".to_owned()),
    ] {
        let mut user = Fixture::connected();
        user.view(105);
        user.wants(|_, settings| settings.mute(mute));
        assert_eq!(user.price(105, 5.0).reason("price_drop"), "muted_subject");
        assert_eq!(
            user.fire("announcement", Some(105), json!({"title": "sale"})).reason("announcement"),
            "muted_subject"
        );
    }
}

#[test]
fn nothing_is_told_by_a_muted_trigger() {
    let mut user = Fixture::connected();
    user.wants(|_, settings| settings.mute(Mute::Kind("view".to_owned())));
    assert_eq!(user.view(105).reason("view"), "muted_subject");
    assert_eq!(user.cart(105).outcomes(), ["cart send"]);
}

#[test]
fn an_opt_out_ends_everything_but_orders() {
    let mut user = Fixture::connected();
    user.wants(|_, settings| settings.opted_out = true);
    assert_eq!(user.view(105).reason("view"), "opted_out");
    assert_eq!(user.say(json!({"title": "urgent", "priority": "high"})).reason("api"), "opted_out");
    let told = user.announce("order_status", "shipped");
    assert_eq!(told.shown(1), ["shipped"]);
    assert!(
        told.decision("order_status").reasons.iter().any(|reason| reason.ends_with("passed: transactional"))
    );
}

#[test]
fn a_pause_ends_by_itself() {
    let mut user = Fixture::connected();
    user.wants(|_, settings| settings.paused_until = Some(moment("2026-03-04T13:00:00Z")));
    let kept = user.view(105);
    assert_eq!(
        (kept.outcomes(), kept.message().channel),
        (vec!["view inbox_only".to_owned()], Channel::Inbox)
    );
    assert_eq!(kept.frames(1)[0]["channel"], "inbox");
    user.until("2026-03-04T13:00:00Z");
    assert_eq!(user.view(106).outcomes(), ["view send"]);
}

#[test]
fn what_a_pause_keeps_goes_on_counting() {
    let mut shop = Shop::new();
    shop.policy(json!({"caps": [{"category": "*", "window_min": 1_440, "max": 1}]}));
    let mut user = Fixture::connected_to(shop);
    user.wants(|_, settings| settings.paused_until = Some(moment("2026-03-05T13:00:00Z")));
    assert_eq!(user.announce("announcement", "one").outcomes(), ["announcement inbox_only"]);
    assert_eq!(user.announce("announcement", "two").reason("announcement"), "capped");
}

#[test]
fn without_consent_to_push_a_message_waits_in_the_inbox() {
    let mut user = Fixture::new();
    user.shop.is_subscribed = true;
    user.consents(Purpose::Push, false);
    assert_eq!(user.announce("announcement", "news").message().channel, Channel::Inbox);
}

#[test]
fn a_category_may_be_blocked_from_push_alone() {
    let mut user = Fixture::new();
    user.shop.is_subscribed = true;
    user.wants(|_, settings| {
        settings.blocked_channels.insert("announcements".to_owned(), [Channel::Push].into());
    });
    assert_eq!(user.announce("announcement", "news").message().channel, Channel::Inbox);
    assert_eq!(user.say(json!({"title": "other"})).message().channel, Channel::Push);
}

#[test]
fn settings_of_a_later_release_count_as_an_opt_out() {
    let mut user = Fixture::connected();
    let settings = SettingsDocument(json!({"whisper": true}));
    let after = Box::new(PreferenceDocument { settings, ..Default::default() });
    user.on(Input::PreferencesChanged { before: Box::default(), after });
    assert_eq!(user.view(105).reason("view"), "opted_out");
}

#[test]
fn what_a_client_muted_a_moment_ago_outlives_a_change_that_did_not_know_of_it() {
    let mut user = Fixture::connected();
    let before = Box::new(user.stored.document.clone());
    user.tells(1, json!({"type": "mute", "of": "category", "name": "promotion"}));
    let after =
        Box::new(PreferenceDocument { muted: vec!["news".to_owned()], ..PreferenceDocument::clone(&before) });
    user.on(Input::PreferencesChanged { before, after: after.clone() });
    assert_eq!(user.state.document.muted, ["news", "promotion"]);
    // What was stored with it and is left out now is wanted again.
    let before = Box::new(user.state.document.clone());
    user.on(Input::PreferencesChanged { before, after });
    assert_eq!(user.state.document.muted, ["news"]);
}

#[test]
fn preferences_replaced_whole_leave_consent_as_it_was() {
    let mut user = Fixture::connected();
    user.consents(Purpose::Marketing, false);
    user.on(Input::PreferencesChanged { before: Box::default(), after: Box::default() });
    assert_eq!(user.view(105).reason("view"), "consent_withheld");
}

#[test]
fn every_purpose_is_asked_of_every_trigger_made_from_behaviour() {
    let names: Vec<String> =
        Fixture::new().shop.definitions.triggers.iter().map(|one| one.name.clone()).collect();
    for name in
        names.iter().filter(|name| !["login", "order_status", "announcement"].contains(&name.as_str()))
    {
        for purpose in [Purpose::Marketing, Purpose::Profiling] {
            let mut user = Fixture::connected();
            user.consents(purpose, false);
            let definition = user.shop.definitions.find(name).unwrap();
            let trigger = crate::notify::Trigger::of(definition, Some(super::fixture::item(105)));
            let dry = UserState::dry_run(&user.state, &trigger, &user.shop.world());
            assert_eq!(
                (dry.outcome, &*dry.steps[0].reason),
                ("drop", "consent_withheld"),
                "{name} {purpose:?}"
            );
        }
    }
}
