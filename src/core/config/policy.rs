//! Settings of the policy: quiet hours, caps, worth.

use serde::{Deserialize, Serialize};

use super::bounds::{invalid, within};
use super::error::ConfigError;

/// Most frequency caps: each is looked at in every decision.
const MAX_CAPS: usize = 32;
/// Most messages of one cap: so many are remembered of a user.
const MAX_PER_CAP: usize = 1_000;

/// Deciding what is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Time zone of users who have not told theirs (IANA name).
    pub time_zone: String,
    /// Default quiet hours, local time `HH:MM`; equal = none.
    pub quiet_from: String,
    /// End of the default quiet hours, local time `HH:MM`.
    pub quiet_to: String,
    /// Frequency caps: rolling windows per user, all must hold.
    pub caps: Vec<Cap>,
    /// Items sent to a user within this many minutes count as repeats.
    pub repeat_window_min: u64,
    /// Fewest items of a message that must be new within the repeat window.
    pub min_new_items: usize,
    /// Items in a recommendation, 1…50.
    pub items: usize,
    /// A message is not delivered after this many hours.
    pub expires_after_h: u64,
    /// A dismissed item is not recommended again for this many hours.
    pub dismissed_pause_h: u64,
    /// A purchase within this many hours of a message that named the item counts as its conversion.
    pub attribution_window_h: u64,
    /// Time over which the release of messages deferred by quiet hours or the budget is spread, seconds.
    pub release_spread_s: u64,
    /// Most messages an hour over all users that are neither high nor transactional; 0 = no budget.
    pub budget_per_hour: u64,
    /// Value of a click.
    pub worth_click: f64,
    /// Value of a purchase, in clicks.
    pub worth_purchase: f64,
    /// Cost of a mute or an opt-out, in clicks.
    pub cost_mute: f64,
    /// Attention cost of every message, in clicks.
    pub cost_message: f64,
    /// Once a model has learned responses, a message is sent only if it is worth at least this, in clicks.
    pub min_worth: f64,
    /// Prediction that the value of a message is computed from.
    pub worth_by: WorthBy,
    /// Local time `HH:MM` at which digests go out.
    pub digest_at: String,
    /// Most items in a digest, 1…50.
    pub digest_items: usize,
    /// Share of users who get only what they ask for and what is owed to them, 0…0.5: shows what messages do at all.
    pub holdout: f64,
    /// Share of users for whom a coin decides instead of worth and hour, 0…0.5: the log that other policies are judged by.
    pub random: f64,
    /// True if users who have never answered are taken to agree to profiling. Where the law asks for consent first: false.
    pub profiling_by_default: bool,
}

/// Prediction that the value of a message is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorthBy {
    /// Clicks and purchases that follow it.
    #[default]
    Response,
    /// Purchases that would not be made without it, once a model has learned them from the random test; until then as
    /// `response`.
    Uplift,
}

/// At most `max` messages of a category in a rolling window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Category, or `*` for all together.
    pub category: String,
    /// `socket`, `push` or `inbox`; `*` for all together.
    #[serde(default = "any")]
    pub channel: String,
    /// Name of a trigger or campaign; `*` for all together.
    #[serde(default = "any")]
    pub campaign: String,
    /// Length of the window, minutes.
    pub window_min: u64,
    /// Most messages within it.
    pub max: usize,
}

/// The scope of a cap that names none.
fn any() -> String {
    "*".into()
}

impl Cap {
    /// A cap on a category over all channels and campaigns.
    pub fn on(category: &str, window_min: u64, max: usize) -> Self {
        Self { category: category.into(), channel: any(), campaign: any(), window_min, max }
    }
}

impl Policy {
    /// Checks every bound; the error names the setting.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let policy = self;
        if jiff::tz::TimeZone::get(&policy.time_zone).is_err() {
            return invalid(
                "policy.time_zone",
                format!("\"{}\" is not an IANA time zone such as Europe/Berlin", policy.time_zone),
            );
        }
        for (key, text) in [
            ("policy.quiet_from", &policy.quiet_from),
            ("policy.quiet_to", &policy.quiet_to),
            ("policy.digest_at", &policy.digest_at),
        ] {
            if minute_of_day(text).is_none() {
                return invalid(key, format!("must be a local time HH:MM, is \"{text}\""));
            }
        }
        within("policy.caps", policy.caps.len(), 0, MAX_CAPS)?;
        for cap in &policy.caps {
            within("policy.caps", cap.window_min, 1, 10_080)?;
            within("policy.caps", cap.max, 0, MAX_PER_CAP)?;
            if !["*", "socket", "push", "inbox"].contains(&cap.channel.as_str()) {
                return invalid(
                    "policy.caps",
                    format!("\"{}\" is none of *, socket, push, inbox", cap.channel),
                );
            }
        }
        within("policy.release_spread_s", policy.release_spread_s, 0, 86_400)?;
        for (key, value) in [
            ("policy.worth_click", policy.worth_click),
            ("policy.worth_purchase", policy.worth_purchase),
            ("policy.cost_mute", policy.cost_mute),
            ("policy.cost_message", policy.cost_message),
        ] {
            within(key, value, 0.0, 1e6)?;
        }
        within("policy.min_worth", policy.min_worth, -1e6, 1e6)?;
        within("policy.holdout", policy.holdout, 0.0, 0.5)?;
        within("policy.random", policy.random, 0.0, 0.5)?;
        within("policy.digest_items", policy.digest_items, 1, 50)?;
        within("policy.items", policy.items, 1, 50)?;
        within("policy.min_new_items", policy.min_new_items, 0, policy.items)?;
        within("policy.repeat_window_min", policy.repeat_window_min, 0, 10_080)?;
        within("policy.expires_after_h", policy.expires_after_h, 1, 8_760)?;
        within("policy.dismissed_pause_h", policy.dismissed_pause_h, 0, 8_760)?;
        within("policy.attribution_window_h", policy.attribution_window_h, 1, 168)
    }
}

impl Default for Policy {
    fn default() -> Self {
        let cap = Cap::on;
        Self {
            time_zone: "UTC".into(),
            quiet_from: "00:00".into(),
            quiet_to: "00:00".into(),
            caps: vec![
                cap("similar_items", 10, 20),
                cap("goes_with", 10, 10),
                cap("for_you", 60, 6),
                cap("*", 1_440, 200),
            ],
            repeat_window_min: 60,
            min_new_items: 2,
            items: 5,
            expires_after_h: 24,
            dismissed_pause_h: 72,
            attribution_window_h: 72,
            release_spread_s: 300,
            budget_per_hour: 0,
            worth_click: 1.0,
            worth_purchase: 5.0,
            cost_mute: 10.0,
            cost_message: 0.0,
            min_worth: 0.0,
            worth_by: WorthBy::Response,
            digest_at: "18:00".into(),
            digest_items: 10,
            holdout: 0.02,
            random: 0.05,
            profiling_by_default: true,
        }
    }
}

/// Minutes after midnight of `HH:MM`.
pub fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then(|| hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_have_24_hours_of_60_minutes() {
        for (text, minute) in [("00:00", Some(0)), ("23:59", Some(1_439)), ("7:5", Some(425))] {
            assert_eq!(minute_of_day(text), minute, "{text}");
        }
        for text in ["24:00", "12:60", "1093:00", "65535:59", "65536:00", "-1:00", "12", "12:", ":", ""] {
            assert_eq!(minute_of_day(text), None, "{text}");
        }
    }
}
