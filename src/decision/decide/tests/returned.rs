//! Messages that come back from a snooze: pushed where nobody looks, as the policy allows.

use super::fixture::{Fixture, Shop, moment};
use crate::decide::{Input, Record, SnoozeEnded};
use crate::notify::Priority;
use crate::notify::policy::Purpose;
use tidings_core::base::{NotificationId, Timestamp};

fn message(priority: Priority) -> Box<SnoozeEnded> {
    Box::new(SnoozeEnded {
        id: NotificationId(uuid::Uuid::from_u128(7)),
        kind: "news".to_owned(),
        category: "news".to_owned(),
        trigger: "api".to_owned(),
        priority,
        expires_at: moment("2026-03-06T12:00:00Z"),
    })
}

/// The same of a message that a profile had a part in.
fn personal() -> Box<SnoozeEnded> {
    let (kind, category, trigger) =
        ("price_drop".to_owned(), "price_drops".to_owned(), "price_drop".to_owned());
    Box::new(SnoozeEnded { kind, category, trigger, ..*message(Priority::Normal) })
}

/// Moment at which the message is pushed to a user with a subscription whom this has been changed for.
fn pushed_at(priority: Priority, change: impl FnOnce(&mut Fixture)) -> Option<Timestamp> {
    returned(message(priority), change)
}

fn returned(message: Box<SnoozeEnded>, change: impl FnOnce(&mut Fixture)) -> Option<Timestamp> {
    let mut shop = Shop::new();
    shop.is_subscribed = true;
    let mut user = Fixture::of(7, shop);
    change(&mut user);
    let effects = user.on(Input::SnoozeEnded(message));
    let records = effects.records();
    let returned = records.iter().find_map(|record| match record {
        Record::Returned(returned) => Some(*returned),
        _ => None,
    });
    let returned = returned.expect("it is decided about, once");
    assert_eq!((returned.id.0.as_u128(), returned.user, returned.at), (7, user.state.user, user.shop.now));
    returned.push_at
}

#[test]
fn a_message_that_comes_back_is_pushed_where_nobody_looks_and_the_user_wants_it() {
    let noon = Some(moment("2026-03-04T12:00:00Z"));
    let normal = Priority::Normal;
    assert_eq!(pushed_at(normal, |_| {}), noon);
    assert_eq!(pushed_at(normal, |user| drop(user.login(1))), None, "a page shows it");
    assert_eq!(pushed_at(normal, |user| user.shop.is_subscribed = false), None);
    assert_eq!(pushed_at(normal, |user| drop(user.consents(Purpose::Push, false))), None);
    assert_eq!(pushed_at(normal, |user| drop(user.mute("news"))), None);
    assert_eq!(pushed_at(normal, |user| drop(user.wants(|_, settings| settings.opted_out = true))), None);
    assert_eq!(pushed_at(normal, |user| drop(user.digest("news"))), noon, "it was told apart already");
    let quiet = |user: &mut Fixture| drop(user.quiet("11:00", "13:30"));
    assert_eq!(pushed_at(normal, quiet), Some(moment("2026-03-04T13:30:00Z")));
    assert_eq!(pushed_at(Priority::Transactional, quiet), noon);
    let late = |user: &mut Fixture| {
        user.shop.now = moment("2026-03-06T11:30:00Z");
        quiet(user);
    };
    assert_eq!(pushed_at(normal, late), None, "it expires before");
}

#[test]
fn a_personal_message_that_comes_back_needs_the_consent_that_it_was_made_with() {
    let refuses = |user: &mut Fixture| drop(user.consents(Purpose::Profiling, false));
    assert_eq!(returned(personal(), |_| {}), Some(moment("2026-03-04T12:00:00Z")));
    assert_eq!(returned(personal(), refuses), None);
    assert!(pushed_at(Priority::Normal, refuses).is_some(), "the shop's own words need none");
}
