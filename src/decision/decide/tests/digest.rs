//! The digest: what is collected for it, what of that is told, and what becomes of the rest.

use serde_json::json;

use super::fixture::{Fixture, Shop, externals, moment};
use crate::decide::Input;
use crate::decide::definitions::DefinitionKind;
use crate::deliver;
use crate::deliver::Login;
use crate::feedback::experiments::Slice;
use crate::notify::Channel;
use crate::notify::policy::{Mute, Purpose};
use tidings_core::event::EventKind::RemoveFromCart;

const EVENING: &str = "2026-03-04T18:00:00Z";
const NEXT_EVENING: &str = "2026-03-05T18:00:00Z";

/// Connected, and everything wanted as a digest.
fn collector() -> Fixture {
    let mut user = Fixture::connected();
    user.digest("*");
    user
}

/// So many items collected, the first one first.
fn with_views(items: &[u32]) -> Fixture {
    let mut shop = Shop::new();
    shop.trigger(json!({"name": "glance", "when": {"kind": "viewed_often", "times": 2, "within_min": 600},
        "category": "glances", "template": "viewed_often"}));
    shop.pause(DefinitionKind::Trigger, "view");
    let mut user = Fixture::connected_to(shop);
    user.digest("*");
    for of in items {
        user.view(*of);
        assert_eq!(user.view(*of).outcomes(), ["glance digest"]);
    }
    user
}

fn bodies(user: &mut Fixture, at: &str) -> Vec<String> {
    let frames = user.until(at).frames(1);
    frames.iter().filter_map(|frame| frame["body"].as_str().map(str::to_owned)).collect()
}

#[test]
fn who_wants_everything_as_a_digest_gets_one_a_day() {
    let mut user = collector();
    assert_eq!(user.view(105).outcomes(), ["view digest"]);
    assert_eq!(user.until("2026-03-04T17:59:59Z").messages().len(), 0);
    let told = user.until(EVENING);
    assert_eq!(told.outcomes(), ["digest send"]);
    assert_eq!(told.shown(1), ["5 things for you"]);
    assert_eq!((user.stored.deferred.len(), user.until(NEXT_EVENING).outcomes().len()), (0, 0));
}

#[test]
fn a_digest_comes_at_its_hour_in_the_user_s_zone() {
    let mut user = Fixture::new();
    let tokyo = Some("Asia/Tokyo".to_owned());
    user.connect(1, Login { time_zone: tokyo, ..Login::default() });
    user.digest("*");
    user.announce("announcement", "news");
    // It is 21:00 in Tokyo: the next 18:00 there is tomorrow.
    assert_eq!(user.stored.deferred[0].until, moment("2026-03-05T09:00:00Z"));
}

#[test]
fn an_item_is_collected_once() {
    let mut user = collector();
    let first = user.view(105).deferred().len();
    let again = user.view(105).deferred().len();
    assert_eq!((first, again), (5, 0));
}

#[test]
fn only_the_wanted_category_is_collected() {
    let mut user = Fixture::connected();
    user.digest("goes_with");
    assert_eq!(user.cart(105).outcomes(), ["cart digest"]);
    assert_eq!(user.view(106).outcomes(), ["view send"]);
}

#[test]
fn a_digest_tells_items_of_a_list_an_hour_before() {
    let mut user = with_views(&[105, 107]);
    user.until("2026-03-04T17:30:00Z");
    user.login(2);
    let items: Vec<u32> = externals(user.until(EVENING).message().items.as_slice());
    assert_eq!(items, [105, 107]);
}

#[test]
fn a_digest_that_a_cap_stops_is_told_the_next_day() {
    let mut user = with_views(&[105, 107]);
    user.shop.policy(json!({"caps": [{"category": "digest", "window_min": 60, "max": 0}]}));
    let capped = user.until(EVENING);
    assert_eq!((capped.reason("digest"), user.stored.deferred.len()), ("capped", 2));
    user.shop.policy(json!({"caps": []}));
    assert_eq!(externals(&user.until(NEXT_EVENING).message().items), [105, 107]);
}

#[test]
fn a_digest_that_was_put_off_survives_a_restart() {
    let mut user = with_views(&[105, 107]);
    user.shop.policy(json!({"caps": [{"category": "digest", "window_min": 60, "max": 0}]}));
    user.until(EVENING);
    user.restart();
    user.shop.policy(json!({"caps": []}));
    user.login(1);
    let mut items = externals(&user.until(NEXT_EVENING).message().items);
    items.sort_unstable();
    assert_eq!(items, [105, 107]);
}

#[test]
fn a_digest_in_quiet_hours_comes_after_them() {
    let mut user = with_views(&[105]);
    user.quiet("17:00", "20:00");
    assert_eq!(user.until("2026-03-04T19:59:59Z").outcomes(), ["digest defer"]);
    assert_eq!(user.until("2026-03-04T20:00:00Z").outcomes(), ["digest send"]);
}

#[test]
fn a_digest_beyond_the_budget_comes_in_the_next_hour() {
    let mut user = with_views(&[105]);
    user.shop.policy(json!({"budget_per_hour": 1}));
    user.shop.sent_this_hour = 1;
    assert_eq!(user.until(EVENING).outcomes(), ["digest defer"]);
    user.shop.sent_this_hour = 0;
    assert_eq!(user.until("2026-03-04T19:00:00Z").outcomes(), ["digest send"]);
}

#[test]
fn of_fourteen_collected_items_ten_are_told_today_and_four_tomorrow() {
    let items: Vec<u32> = (101..=114).collect();
    let mut user = with_views(&items);
    assert_eq!(externals(&user.until(EVENING).message().items), items[..10]);
    assert_eq!(externals(&user.until(NEXT_EVENING).message().items), items[10..]);
    assert_eq!(user.stored.deferred, []);
}

#[test]
fn an_item_that_is_dearer_again_is_left_out_with_a_stored_decision() {
    let mut user = collector();
    user.wants(|_, settings| settings.digest = ["glances", "price"].map(str::to_owned).into());
    let mut drop = serde_json::to_value(&**user.shop.definitions.find("price_drop").unwrap()).unwrap();
    drop["priority"] = json!("normal");
    drop["category"] = json!("price");
    user.shop.trigger(drop);
    user.view(105);
    user.view(107);
    assert_eq!(user.price(105, 5.0).outcomes(), ["price_drop digest"]);
    assert_eq!(user.price(107, 5.0).outcomes(), ["price_drop digest"]);
    user.price(105, 10.0);
    let told = user.until(EVENING);
    assert_eq!(externals(&told.message().items), [107]);
    assert_eq!(
        (told.reason("price_drop"), &told.decision("price_drop").items[..]),
        ("no_longer_wanted", &[super::fixture::item(105)][..])
    );
}

#[test]
fn what_was_sold_out_bought_removed_or_muted_since_is_left_out() {
    let mut user = with_views(&[105, 107, 109, 110, 112]);
    user.stock(105, 0);
    user.buy(107);
    user.shop.catalogue.remove(super::fixture::item(109));
    user.wants(|_, settings| settings.mute(Mute::Item("110".to_owned())));
    let told = user.until(EVENING);
    assert_eq!(externals(&told.message().items), [112]);
    assert_eq!(told.decision("glance").items.len(), 4);
}

#[test]
fn nothing_is_told_when_nothing_is_left_to_tell() {
    let mut user = with_views(&[105]);
    user.buy(105);
    let ended = user.until(EVENING);
    assert_eq!((ended.outcomes(), ended.messages().len()), (vec!["glance drop".to_owned()], 0));
    assert_eq!(user.stored.deferred, []);
}

#[test]
fn a_kind_of_message_muted_since_is_left_out() {
    let mut user = with_views(&[105]);
    user.wants(|_, settings| settings.mute(Mute::Kind("glance".to_owned())));
    assert_eq!(user.until(EVENING).messages().len(), 0);
}

#[test]
fn a_category_muted_since_is_left_out() {
    let mut user = with_views(&[105]);
    user.mute("glances");
    assert_eq!(user.until(EVENING).messages().len(), 0);
}

#[test]
fn an_urgent_message_is_not_collected() {
    let mut user = collector();
    user.view(105);
    assert_eq!(user.price(105, 5.0).outcomes(), ["price_drop send"]);
    assert_eq!(user.say(json!({"title": "now", "priority": "high"})).message().channel, Channel::Socket);
}

#[test]
fn an_announcement_is_in_the_inbox_at_once_and_in_the_digest() {
    let mut user = collector();
    let kept = user.announce("announcement", "Opening hours");
    assert_eq!(
        (kept.outcomes(), kept.message().channel),
        (vec!["announcement digest".to_owned()], Channel::Inbox)
    );
    assert_eq!(kept.frames(1)[0]["channel"], "inbox");
    assert_eq!(bodies(&mut user, EVENING), ["Opening hours"]);
}

#[test]
fn an_announcement_of_somebody_absent_is_mentioned_too() {
    let mut user = Fixture::new();
    user.digest("*");
    user.announce("announcement", "Opening hours");
    user.login(1);
    user.until("2026-03-04T12:00:01Z");
    assert_eq!(bodies(&mut user, EVENING), ["Opening hours"]);
}

#[test]
fn announcements_about_one_item_are_each_mentioned_in_their_own_words() {
    let mut user = collector();
    for title in ["recalled", "repaired for free"] {
        user.fire("announcement", Some(105), json!({"title": title, "body": "."}));
    }
    let told = user.until(EVENING);
    assert_eq!(told.shown(1), ["2 things for you"]);
    assert_eq!(told.frames(1)[0]["body"], "recalled and 1 more");
}

#[test]
fn an_announcement_about_an_item_that_is_collected_anyway_is_mentioned() {
    let mut user = with_views(&[105]);
    user.fire("announcement", Some(105), json!({"title": "recalled", "body": "."}));
    assert_eq!(user.until(EVENING).shown(1), ["2 things for you"]);
}

#[test]
fn a_recall_of_what_the_user_has_bought_and_is_sold_out_is_mentioned() {
    let mut user = collector();
    user.buy(105);
    user.stock(105, 0);
    user.fire("announcement", Some(105), json!({"title": "recalled", "body": "."}));
    assert_eq!(bodies(&mut user, EVENING), ["recalled"]);
}

#[test]
fn an_announcement_whose_template_makes_the_title_is_mentioned_by_it() {
    let mut user = collector();
    user.shop.template("recall", "Recall of {{ event.product }}", "Bring it back.");
    user.shop.trigger(
        json!({"name": "recall", "when": {"kind": "api"}, "category": "recalls", "template": "recall"}),
    );
    assert_eq!(user.fire("recall", None, json!({"product": "Watch 105"})).titles(), ["Recall of Watch 105"]);
    assert_eq!(bodies(&mut user, EVENING), ["Recall of Watch 105"]);
}

#[test]
fn a_message_of_the_api_is_mentioned_by_its_own_title_whatever_the_announcement_s_template() {
    let mut user = collector();
    user.shop.template("announcement", "News: {{ event.headline }}", "{{ event.body }}");
    user.say(json!({"title": "Opening hours"}));
    assert_eq!(bodies(&mut user, EVENING), ["Opening hours"]);
}

#[test]
fn a_message_of_the_api_is_left_out_if_its_own_category_was_muted_since() {
    let mut user = collector();
    user.say(json!({"title": "sale", "kind": "promotion"}));
    user.mute("promotion");
    assert_eq!(user.until(EVENING).messages().len(), 0);
}

#[test]
fn a_message_of_the_api_is_mentioned_though_announcements_were_muted() {
    let mut user = collector();
    user.say(json!({"title": "sale", "kind": "promotion"}));
    user.mute("announcements");
    assert_eq!(bodies(&mut user, EVENING), ["sale"]);
}

#[test]
fn a_message_that_expired_before_the_digest_is_not_mentioned() {
    let mut user = collector();
    user.say(json!({"title": "lunch", "expires_at": "2026-03-04T14:00:00Z"}));
    user.say(json!({"title": "dinner"}));
    assert_eq!(bodies(&mut user, EVENING), ["dinner"]);
}

#[test]
fn a_message_that_was_withdrawn_before_the_digest_is_not_mentioned() {
    let mut user = collector();
    user.say(json!({"title": "wrong price"}));
    let id = user.stored.messages.last().expect("kept").0.notification_id;
    user.say(json!({"title": "right price"}));
    user.on(Input::InboxChanged(deliver::Input::Withdrawn(id)));
    assert_eq!(bodies(&mut user, EVENING), ["right price"]);
}

#[test]
fn three_announcements_are_three_things() {
    let mut user = collector();
    for title in ["one", "two", "three"] {
        user.announce("announcement", title);
    }
    let told = user.until(EVENING);
    assert_eq!(
        (told.shown(1), told.frames(1)[0]["body"].as_str()),
        (vec!["3 things for you".to_owned()], Some("one and 2 more"))
    );
}

#[test]
fn items_and_announcements_are_told_together() {
    let mut user = with_views(&[105]);
    user.announce("announcement", "Opening hours");
    let told = user.until(EVENING);
    assert_eq!(
        (told.shown(1), told.frames(1)[0]["body"].as_str()),
        (vec!["2 things for you".to_owned()], Some("Opening hours and 1 more"))
    );
}

#[test]
fn the_digest_of_a_user_held_out_mentions_what_the_shop_says() {
    for slice in [Slice::Holdout, Slice::Uniform] {
        for mut user in super::experiments::users_of(slice, 4) {
            user.digest("*");
            user.announce("announcement", "recall");
            assert_eq!(bodies(&mut user, EVENING), ["recall"], "{slice:?}");
        }
    }
}

#[test]
fn who_refuses_profiling_is_told_what_the_shop_says_and_no_item_chosen_before() {
    let mut user = with_views(&[105]);
    user.announce("announcement", "Opening hours");
    user.consents(Purpose::Profiling, false);
    let told = user.until(EVENING);
    assert_eq!((told.frames(1)[0]["body"].as_str(), told.message().items.len()), (Some("Opening hours"), 0));
}

#[test]
fn who_refuses_all_marketing_gets_no_digest_and_the_decision_says_why() {
    let mut user = with_views(&[105]);
    user.consents(Purpose::Marketing, false);
    let ended = user.until(EVENING);
    assert_eq!((ended.reason("digest"), ended.messages().len()), ("consent_withheld", 0));
    assert_eq!(user.stored.deferred, []);
}

#[test]
fn a_paused_user_finds_the_digest_in_the_inbox() {
    let mut user = with_views(&[105]);
    user.wants(|_, settings| settings.paused_until = Some(moment("2026-03-06T00:00:00Z")));
    assert_eq!(user.until(EVENING).message().channel, Channel::Inbox);
}

#[test]
fn what_is_collected_takes_no_place_in_a_cap_the_digest_takes_one() {
    let mut user = collector();
    user.shop.policy(json!({"caps": [{"category": "*", "window_min": 1_440, "max": 1}]}));
    for title in ["one", "two"] {
        assert_eq!(user.announce("announcement", title).outcomes(), ["announcement digest"]);
    }
    assert_eq!(user.until(EVENING).outcomes(), ["digest send"]);
    assert_eq!(user.say(json!({"title": "urgent", "priority": "high"})).reason("api"), "capped");
}

#[test]
fn a_cart_that_was_emptied_since_is_left_out() {
    let mut shop = Shop::new();
    shop.pause(DefinitionKind::Trigger, "cart");
    shop.trigger(
        json!({"name": "cart_left", "when": {"kind": "cart_left", "minutes": 60}, "category": "carts",
        "template": "cart_left"}),
    );
    let mut user = Fixture::connected_to(shop);
    user.digest("*");
    user.cart(105);
    user.cart(106);
    assert_eq!(user.until("2026-03-04T14:00:00Z").outcomes(), ["cart_left digest"; 2]);
    user.acts(RemoveFromCart, 105);
    assert_eq!(externals(&user.until(EVENING).message().items), [106]);
}

#[test]
fn what_is_new_since_the_last_visit_is_in_the_digest_of_who_returned() {
    let mut user = Fixture::new();
    user.shop.policy(json!({"repeat_window_min": 0}));
    user.digest("*");
    user.view(105);
    user.shop.now = user.shop.now.plus_days(31.0);
    assert_eq!(user.login(1).outcomes(), ["login send", "win_back digest"]);
    let told = user.until("2026-04-04T18:00:00Z");
    assert_eq!(told.outcomes(), ["digest send"]);
}

#[test]
fn a_digest_of_somebody_absent_waits_for_the_visit() {
    let mut user = with_views(&[105]);
    user.leave(1);
    assert_eq!(user.until("2026-03-04T20:00:00Z").decisions().len(), 0);
    user.login(2);
    assert_eq!(user.until("2026-03-04T20:00:01Z").outcomes(), ["digest send"]);
}

#[test]
fn a_digest_is_pushed_to_somebody_absent_whose_browser_agreed() {
    let mut user = with_views(&[105]);
    user.leave(1);
    user.shop.is_subscribed = true;
    assert_eq!(user.until(EVENING).message().channel, Channel::Push);
}

#[test]
fn a_trigger_that_was_paused_since_is_left_out() {
    let mut user = with_views(&[105]);
    user.shop.pause(DefinitionKind::Trigger, "glance");
    user.on(crate::decide::Input::DefinitionsChanged);
    assert_eq!(user.until(EVENING).messages().len(), 0);
}
