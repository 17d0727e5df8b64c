//! The server's rules, parsed once from the configuration or from an activated policy.

use jiff::tz::TimeZone;

use crate::notify::quiet_hours::QuietHours;
use tidings_core::base::Millis;
use tidings_core::config;

/// Value of each response, in clicks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// A click.
    pub click: f64,
    /// A purchase.
    pub purchase: f64,
    /// Cost of a mute or an opt-out.
    pub mute_cost: f64,
    /// Cost of every message.
    pub message_cost: f64,
    /// Sent only if at least this is expected.
    pub least: f64,
}

/// The server's rules.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Version of this policy; 0 = the configuration's.
    pub version: i32,
    /// Rolling windows, all must hold.
    pub caps: Vec<config::Cap>,
    /// The longest of them.
    pub longest_window: Millis,
    /// Items sent within this long count as repeats.
    pub repeat_window: Millis,
    /// Fewest items that must be new within it.
    pub min_new_items: usize,
    /// Time zone of users who have not told theirs.
    pub time_zone: TimeZone,
    /// Quiet hours of users who have not set their own.
    pub quiet_hours: QuietHours,
    /// Time over which the release of deferred messages is spread.
    pub release_spread: Millis,
    /// A dismissed item rests this long.
    pub dismissed_pause: Millis,
    /// A purchase this long after a message that named the item is its conversion.
    pub attribution_window: Millis,
    /// Messages an hour, over all users; `None` = no budget.
    pub budget_per_hour: Option<u64>,
    /// Value of each response.
    pub worth: Worth,
    /// Prediction that the value of a message is computed from.
    pub worth_by: config::WorthBy,
    /// Local minute of the day at which digests go out.
    pub digest_minute: u16,
    /// Most items in a digest.
    pub digest_items: usize,
    /// Share of users held out, 0…0.5.
    pub holdout: f64,
    /// Share of users for whom a coin decides, 0…0.5.
    pub random: f64,
    /// Consent to profiling of users who have said nothing.
    pub profiling_by_default: bool,
    /// Lifetime of a message.
    pub expires_after: Millis,
    /// Items in a recommendation.
    pub items: usize,
}

impl Rules {
    /// From a validated configuration.
    pub fn new(policy: &config::Policy) -> Self {
        let minute = |text: &str| config::minute_of_day(text).unwrap_or(0);
        let longest = policy.caps.iter().map(|cap| cap.window_min).max().unwrap_or(0);
        Self {
            version: 0,
            caps: policy.caps.clone(),
            longest_window: Millis(longest * 60_000),
            repeat_window: Millis(policy.repeat_window_min * 60_000),
            min_new_items: policy.min_new_items,
            time_zone: TimeZone::get(&policy.time_zone).unwrap_or(TimeZone::UTC),
            quiet_hours: QuietHours {
                from_minute: minute(&policy.quiet_from),
                to_minute: minute(&policy.quiet_to),
            },
            release_spread: Millis::seconds(policy.release_spread_s),
            dismissed_pause: Millis::hours(policy.dismissed_pause_h),
            attribution_window: Millis::hours(policy.attribution_window_h),
            budget_per_hour: (policy.budget_per_hour > 0).then_some(policy.budget_per_hour),
            worth: Worth {
                click: policy.worth_click,
                purchase: policy.worth_purchase,
                mute_cost: policy.cost_mute,
                message_cost: policy.cost_message,
                least: policy.min_worth,
            },
            worth_by: policy.worth_by,
            digest_minute: minute(&policy.digest_at),
            digest_items: policy.digest_items,
            holdout: policy.holdout,
            random: policy.random,
            profiling_by_default: policy.profiling_by_default,
            expires_after: Millis::hours(policy.expires_after_h),
            items: policy.items,
        }
    }
}
