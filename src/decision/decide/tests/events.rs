//! Triggers fired by the user's own events and by changes of the catalogue.

use serde_json::json;

use super::fixture::{Fixture, Shop, externals, item, title};
use crate::decide::{Counter, Effect, Input, Record};
use crate::notify::Channel;
use crate::notify::triggers::Change;
use tidings_core::catalogue::Item;
use tidings_core::event::EventKind::{AddToCart, Purchase, RemoveFromCart, View};

/// Every message is worth sending: what was in the last list is no reason against the next.
fn eager() -> Shop {
    let mut shop = Shop::new();
    shop.policy(json!({"repeat_window_min": 0, "release_spread_s": 0}));
    shop
}

#[test]
fn a_view_is_answered_with_other_items_like_it() {
    let answer = Fixture::connected().view(105);
    assert_eq!(answer.outcomes(), ["view send"]);
    let items = externals(&answer.message().items);
    assert!(items.len() == 5 && !items.contains(&105), "{items:?}");
    assert_eq!(answer.shown(1), ["More like Watch 105"]);
}

#[test]
fn an_item_put_into_the_cart_is_answered_at_once_and_remembered_for_later() {
    let answer = Fixture::connected_to(eager()).cart(105);
    assert_eq!(
        (answer.outcomes(), answer.shown(1)),
        (vec!["cart send".to_owned()], vec!["Goes with Watch 105".to_owned()])
    );
    let [reminder] = answer.deferred()[..] else { panic!("{:?}", answer.deferred()) };
    assert_eq!((reminder.trigger.as_str(), reminder.item), ("cart_left", Some(item(105))));
}

#[test]
fn of_a_batch_only_the_last_event_is_answered_with_a_list() {
    let mut user = Fixture::connected_to(eager());
    let events = [(View, 105), (AddToCart, 106), (View, 108)].map(|(kind, of)| user.event(kind, of));
    assert_eq!(user.events(events.into()).titles(), ["More like Mug 108"]);
}

#[test]
fn four_looks_at_an_item_are_noticed_once() {
    let mut user = Fixture::connected_to(eager());
    let noticed = |user: &mut Fixture| user.view(108).outcomes().contains(&"viewed_often send".to_owned());
    assert_eq!([(); 6].map(|()| noticed(&mut user)), [false, false, false, true, false, false]);
}

#[test]
fn four_looks_are_noticed_though_six_come_in_one_batch() {
    let mut user = Fixture::connected_to(eager());
    let looks = (0..6).map(|_| user.event(View, 108)).collect();
    let titles = user.events(looks).titles();
    assert!(titles.contains(&"Still thinking about Mug 108?".to_owned()), "{titles:?}");
}

#[test]
fn four_looks_are_noticed_though_the_batch_ends_with_another_item() {
    let mut user = Fixture::connected_to(eager());
    let looks = [108, 108, 108, 108, 105].map(|of| user.event(View, of));
    let mut titles = user.events(looks.into()).titles();
    titles.sort();
    assert_eq!(titles, ["More like Watch 105", "Still thinking about Mug 108?"]);
}

#[test]
fn looks_of_the_day_before_are_not_counted() {
    let mut user = Fixture::connected_to(eager());
    (0..3).for_each(|_| drop(user.view(108)));
    user.shop.now = user.shop.now.plus_days(1.0);
    let answer = user.view(108);
    assert_eq!(answer.outcomes(), ["view send"]);
}

#[test]
fn a_purchase_ends_the_counting_of_looks() {
    let mut user = Fixture::connected_to(eager());
    (0..3).for_each(|_| drop(user.view(108)));
    user.buy(108);
    assert_eq!(user.view(108).outcomes(), ["view send"]);
}

#[test]
fn a_cart_left_for_an_hour_is_mentioned() {
    let mut user = Fixture::connected();
    user.cart(105);
    assert_eq!(user.until("2026-03-04T12:59:59Z").outcomes(), [] as [&str; 0]);
    let reminded = user.until("2026-03-04T13:00:00Z");
    assert_eq!(reminded.outcomes(), ["cart_left send"]);
    assert_eq!(reminded.shown(1), ["Watch 105 is waiting in your cart"]);
    assert_eq!(user.stored.deferred, []);
}

#[test]
fn a_cart_touched_again_is_mentioned_an_hour_after_that_once() {
    let mut user = Fixture::connected();
    user.cart(105);
    user.until("2026-03-04T12:40:00Z");
    user.cart(105);
    assert_eq!(user.until("2026-03-04T13:39:59Z").outcomes(), [] as [&str; 0]);
    assert_eq!(user.until("2026-03-04T15:00:00Z").outcomes(), ["cart_left send"]);
}

#[test]
fn a_cart_touched_for_longer_than_a_day_is_mentioned_when_it_is_left() {
    let mut user = Fixture::connected();
    for _ in 0..30 {
        user.cart(105);
        assert_eq!(user.pass(50).outcomes(), [] as [&str; 0]);
    }
    assert_eq!(user.pass(10).outcomes(), ["cart_left send"]);
}

#[test]
fn two_items_left_in_the_cart_are_both_mentioned() {
    let mut user = Fixture::connected();
    user.cart(105);
    user.cart(106);
    assert_eq!(user.until("2026-03-04T14:00:00Z").outcomes(), ["cart_left send", "cart_left send"]);
}

#[test]
fn items_left_in_the_cart_together_are_mentioned_in_the_order_they_came() {
    let mut user = Fixture::connected();
    let carted = [105, 106, 107, 108, 109, 110].map(|of| user.event(AddToCart, of));
    user.events(carted.into());
    let items: Vec<u32> =
        user.until("2026-03-04T14:00:00Z").messages().iter().flat_map(|one| externals(&one.items)).collect();
    assert_eq!(items, [105, 106, 107, 108, 109, 110]);
}

#[test]
fn a_cart_that_was_bought_or_emptied_is_not_mentioned_and_the_decision_says_why() {
    for (kind, why) in [(Purchase, "bought meanwhile"), (RemoveFromCart, "no longer in the cart")] {
        let mut user = Fixture::connected();
        user.cart(105);
        user.acts(kind, 105);
        let decided = user.until("2026-03-04T14:00:00Z");
        assert_eq!(decided.decision("cart_left").reasons, [format!("no longer true: {why}")]);
        assert_eq!(user.stored.deferred, []);
    }
}

#[test]
fn who_looked_at_an_item_is_told_of_its_lower_price_and_who_did_not_is_not() {
    let mut user = Fixture::connected();
    user.view(105);
    let told = user.price(105, 7.5);
    assert_eq!(told.outcomes(), ["price_drop send"]);
    assert_eq!(told.message().collapse_key.as_deref(), Some("price_drop:105"));
    assert_eq!(told.frames(1)[0]["body"], "€7.50 instead of €10.00");
    assert_eq!(user.price(106, 5.0).outcomes(), [] as [&str; 0]);
}

#[test]
fn a_price_that_was_told_is_not_told_again_a_lower_one_is() {
    let mut user = Fixture::connected();
    user.view(105);
    user.price(105, 7.5);
    user.price(105, 10.0);
    assert_eq!(user.price(105, 7.5).outcomes(), [] as [&str; 0]);
    assert_eq!(user.price(105, 5.0).outcomes(), ["price_drop send"]);
}

#[test]
fn who_bought_an_item_is_not_told_that_it_costs_less() {
    let mut user = Fixture::connected();
    user.view(105);
    user.buy(105);
    assert_eq!(user.price(105, 5.0).outcomes(), [] as [&str; 0]);
}

#[test]
fn what_was_sold_out_is_told_when_it_is_back() {
    let mut user = Fixture::connected();
    user.stock(105, 0);
    user.view(105);
    assert_eq!(user.stock(105, 3).shown(1), ["Watch 105 is back"]);
}

#[test]
fn a_new_item_is_told_to_who_likes_its_category() {
    let mut user = Fixture::connected_to(eager());
    user.view(105);
    let new = Item { id: item(125), title: Some("Watch 125".to_owned()), ..known(&user, 123) };
    user.shop.catalogue.upsert(new);
    let told = user.on(Input::CatalogueChanged([Change::New(item(125))].into()));
    assert_eq!(told.titles(), ["New: Watch 125"]);
    let mut stranger = Fixture::connected();
    stranger.view(106);
    let changes = Input::CatalogueChanged([Change::New(item(105))].into());
    assert_eq!(stranger.on(changes).outcomes(), [] as [&str; 0]);
}

fn known(user: &Fixture, external: u32) -> Item {
    let known = user.shop.catalogue.get(item(external)).unwrap();
    Item { external_id: tidings_core::base::ExternalId::Integer(125), ..(**known).clone() }
}

#[test]
fn one_change_of_the_catalogue_causes_three_messages_at_most_the_most_urgent() {
    let mut user = Fixture::connected_to(eager());
    user.views(&[105, 107, 109, 111]);
    let mut changes = vec![Change::New(item(123))];
    for of in [105, 107, 109, 111] {
        changes.extend(user.put(of, |item| item.price = Some(5.0)));
    }
    let told = user.on(Input::CatalogueChanged(changes.into()));
    assert_eq!(told.outcomes(), ["price_drop send"; 3]);
}

#[test]
fn the_same_list_within_the_repeat_window_is_not_sent_again() {
    let mut user = Fixture::connected();
    user.view(105);
    let again = user.view(105);
    assert_eq!((again.outcomes(), again.reason("view")), (vec!["view drop".to_owned()], "repeat"));
    user.until("2026-03-04T13:00:00Z");
    assert_eq!(user.view(105).outcomes(), ["view send"]);
}

#[test]
fn who_acts_faster_than_a_person_is_flagged_once_and_answered_no_more() {
    let mut shop = eager();
    shop.config.ingest.robot_events_per_minute = 5;
    let mut user = Fixture::connected_to(shop);
    let flags: Vec<bool> = (0..8).map(|_| user.view(105).contains(&Effect::Count(Counter::Robot))).collect();
    assert_eq!(flags.iter().filter(|flagged| **flagged).count(), 1, "{flags:?}");
    assert!(user.stored.robot.is_some());
    assert_eq!(user.view(106).outcomes(), [] as [&str; 0]);
}

#[test]
fn events_of_an_absent_user_are_learned_and_answered_by_nothing() {
    let mut user = Fixture::new();
    let folded = user.view(105);
    assert_eq!((folded.decisions().len(), user.state.profile.recent().len()), (0, 1));
}

#[test]
fn an_absent_user_who_can_be_pushed_to_is_told_what_may_be_pushed() {
    let mut user = Fixture::of(7, eager());
    user.shop.is_subscribed = true;
    assert_eq!(user.view(105).outcomes(), [] as [&str; 0], "a list is for somebody who is looking");
    let told = user.price(105, 5.0);
    assert_eq!(told.message().channel, Channel::Push);
}

#[test]
fn a_rule_about_users_goes_off_when_it_comes_to_be_met_and_once_for_good() {
    let mut shop = eager();
    let rule = json!({"min_purchases_per_month": 1.0});
    shop.trigger(json!({"name": "spring", "when": {"kind": "segment", "rule": rule},
        "category": "promotions", "template": "login"}));
    let mut user = Fixture::connected_to(shop);
    assert_eq!(user.view(105).outcomes(), ["view send"]);
    let met = user.buy(106);
    assert_eq!(met.outcomes(), ["spring send"]);
    assert!(met.records().iter().any(|record| matches!(record, Record::FiredOnce(_))));
    assert_eq!(user.buy(107).outcomes(), [] as [&str; 0]);
    user.shop.now = user.shop.now.plus_days(8.0);
    user.restart();
    assert_eq!(user.login(2).outcomes(), ["login send"]);
}

#[test]
fn another_model_is_told_of_only_if_it_changes_the_list() {
    let mut user = Fixture::connected_to(eager());
    assert_eq!(user.on(Input::ModelChanged).outcomes(), [] as [&str; 0]);
    user.shop.catalogue.remove(item(124));
    let told = user.on(Input::ModelChanged);
    assert_eq!(told.outcomes(), ["retrain send"]);
    assert_eq!(title(&told.message().frame), "New picks for you");
    assert_eq!(user.on(Input::ModelChanged).outcomes(), [] as [&str; 0]);
}
