//! Messages that come back from a snooze: pushed where nobody looks, as the policy allows.

use super::fixture::{Fixture, Shop, moment};
use crate::base::{NotificationId, Timestamp};
use crate::decide::{Input, Record, SnoozeEnded};
use crate::notify::Priority;
use crate::notify::policy::Purpose;

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

/// Moment at which the message is pushed to a user with a subscription whom this has been changed for.
fn pushed_at(priority: Priority, change: impl FnOnce(&mut Fixture)) -> Option<Timestamp> {
    let mut shop = Shop::new();
    shop.is_subscribed = true;
    let mut user = Fixture::of(7, shop);
    change(&mut user);
    let effects = user.on(Input::SnoozeEnded(message(priority)));
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
