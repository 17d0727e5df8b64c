//! A message's situation as numbers: who, when, what, and what was sent before. The one function that makes them,
//! [`features`], is called when a decision is made; its numbers are stored with the decision and training reads those,
//! so that a model is never asked about other numbers than it learned from.

use jiff::tz::TimeZone;

use crate::base::{ItemId, Score, Timestamp};
use crate::catalogue::{Catalogue, Item};
use crate::profile::{FeatureContext, Profile};

/// Names of the numbers of [`Features`]. Append only, and raise the count: rows of another length are not learned from.
pub const FEATURE_NAMES: [&str; 27] = [
    "hour_sin",
    "hour_cos",
    "weekday",
    "weekend",
    "messages_last_hour",
    "messages_last_day",
    "messages_last_week",
    "messages_of_category_last_day",
    "minutes_since_last_message",
    "clicks_last_week",
    "dismissals_last_week",
    "click_share_last_week",
    "dismissal_share_last_week",
    "events",
    "days_since_first_seen",
    "days_since_last_purchase",
    "purchases_per_month",
    "browsing_minutes_per_month",
    "searches_per_month",
    "monetary",
    "items_in_cart",
    "items",
    "best_score",
    "mean_score",
    "best_price",
    "best_category_affinity",
    "best_seen_before",
];

/// By place as [`FEATURE_NAMES`] says; counts, money and durations as ln(1 + x), NaN = there is none. Never infinite.
pub type Features = [f32; FEATURE_NAMES.len()];

/// Recent messages to a user and the user's reactions, as counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Contact {
    /// Messages within an hour.
    pub last_hour: u32,
    /// Within a day.
    pub last_day: u32,
    /// Within a week.
    pub last_week: u32,
    /// Of the same category within a day.
    pub of_category_last_day: u32,
    /// Of those within a week: clicked.
    pub clicked_last_week: u32,
    /// Of those within a week: dismissed or disliked.
    pub dismissed_last_week: u32,
    /// The latest within the week.
    pub last: Option<Timestamp>,
}

/// Everything a probability may depend on, besides trigger, category and segment.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Profile of the user.
    pub profile: &'a Profile,
    /// Recent messages to the user.
    pub contact: Contact,
    /// Items that the message would name, best first, each with its score.
    pub items: &'a [(ItemId, Score)],
    /// Prices and categories.
    pub catalogue: &'a Catalogue,
    /// Time zone of the user.
    pub zone: &'a TimeZone,
    /// The moment of deciding.
    pub now: Timestamp,
    /// The clock of the user's features.
    pub clock: FeatureContext<'a>,
}

/// The numbers of a situation. O(categories of the user).
pub fn features(situation: &Situation<'_>) -> Features {
    let Situation { profile, contact, items, catalogue, zone, now, clock } = *situation;
    let local = zone.to_datetime(now.to_jiff());
    let hour = f64::from(local.hour()) + f64::from(local.minute()) / 60.0;
    let angle = hour / 24.0 * std::f64::consts::TAU;
    let weekday = local.weekday().to_monday_zero_offset();
    let week = f64::from(contact.last_week);
    let share = |part: u32| if week > 0.0 { f64::from(part) / week } else { f64::NAN };
    let days = |at: Option<Timestamp>| at.map_or(f64::NAN, |at| log(now.days_since(at)));
    let user = profile.features(clock);
    let best = items.first();
    let item = best.and_then(|(best, _)| catalogue.get(*best));
    let category = best.and_then(|(best, _)| catalogue.category_of(*best));
    let affinity = category.map_or(f64::NAN, |category| {
        let shares = profile.affinities(now);
        shares.iter().find(|(of, _)| *of == category).map_or(0.0, |(_, share)| f64::from(*share))
    });
    let score = |(_, score): &(ItemId, Score)| f64::from(score.get());
    let mean = items.iter().map(score).sum::<f64>() / items.len() as f64;
    let values = [
        angle.sin(),
        angle.cos(),
        f64::from(weekday),
        f64::from(u8::from(weekday >= 5)),
        log(contact.last_hour.into()),
        log(contact.last_day.into()),
        log(contact.last_week.into()),
        log(contact.of_category_last_day.into()),
        contact.last.map_or(f64::NAN, |last| log(now.millis_since(last).0 as f64 / 60_000.0)),
        log(contact.clicked_last_week.into()),
        log(contact.dismissed_last_week.into()),
        share(contact.clicked_last_week),
        share(contact.dismissed_last_week),
        log(profile.events().into()),
        days(profile.first_seen()),
        days(profile.last_purchase()),
        log(user.purchases_per_month),
        log(user.browsing_minutes_per_month),
        log(user.searches_per_month),
        log(user.monetary),
        log(profile.in_cart().len() as f64),
        items.len() as f64,
        best.map_or(f64::NAN, score),
        mean,
        item.and_then(|item| price(item, catalogue)).map_or(f64::NAN, log),
        affinity,
        best.map_or(f64::NAN, |(best, _)| f64::from(u8::from(profile.has_seen(*best)))),
    ];
    values.map(|value| if value.is_finite() { value as f32 } else { f32::NAN })
}

/// In the shop's currency; `None` where it can't be told.
fn price(item: &Item, catalogue: &Catalogue) -> Option<f64> {
    catalogue.money().in_base(item.price?, item.money_currency())
}

/// ln(1 + x), 0 below 0: amounts that span decades.
fn log(value: f64) -> f64 {
    value.max(0.0).ln_1p()
}
