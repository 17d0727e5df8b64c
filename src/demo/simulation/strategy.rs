//! A policy under test: rules as a server has them, and which of its choices are learned. A setting that could change nothing
//! here is refused by name, with the reason.

use anyhow::{Context, bail};
use serde_json::Value;

use super::shopper::KINDS;

use tidings_core::base::nearest;
use tidings_core::config::{Cap, Policy};
use tidings_decision::decide::definitions::overlay;
use tidings_decision::notify::Rules;

/// Timing of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    /// At the occasion.
    Now,
    /// At the hour that promises most.
    Learned,
    /// At an hour drawn evenly.
    Random,
}

/// In which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Drawn evenly.
    Even,
    /// By the bandit.
    Learned,
}

/// Volume of messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Volume {
    /// All that the rules let through.
    Rules,
    /// Every occasion, rules or not.
    Everything,
    /// Nothing.
    Nothing,
    /// So many a week to each, evenly; once the warm-up is over by what was learned, at the same count over all.
    Weekly {
        /// Messages a week and shopper, on average.
        mean: usize,
        /// By what was learned, else the same to each.
        learned: bool,
    },
}

/// Rules and learned choices of a policy under test.
#[derive(Clone, Debug)]
pub struct Strategy {
    /// In tables.
    pub name: String,
    /// The server's.
    pub rules: Rules,
    /// Timing of its messages.
    pub hours: Hours,
    /// In which words.
    pub words: Words,
    /// Volume of its messages.
    pub volume: Volume,
    /// Settings that differ from the shipped ones.
    pub changes: Vec<String>,
}

/// Names that [`Strategy::named`] knows.
pub const NAMES: [&str; 3] = ["default", "everything", "nothing"];

impl Strategy {
    /// One that is shipped: `default` (the server's rules, all choices learned), `everything` (each occasion at once),
    /// `nothing`. None of them holds anybody out or tosses coins: what these measure on a server is known here.
    pub fn named(name: &str) -> Option<Self> {
        let shipped = |hours, words, volume| Self {
            name: name.to_owned(),
            rules: Rules::new(&shipped_policy()),
            hours,
            words,
            volume,
            changes: Vec::new(),
        };
        match name {
            "default" => Some(shipped(Hours::Now, Words::Learned, Volume::Rules)),
            "everything" => Some(shipped(Hours::Now, Words::Even, Volume::Everything)),
            "nothing" => Some(shipped(Hours::Now, Words::Even, Volume::Nothing)),
            _ => None,
        }
    }

    /// By name, or from a file as `PUT /admin/policies/default` takes it.
    pub fn read(what: &str) -> anyhow::Result<Self> {
        if let Some(known) = Self::named(what) {
            return Ok(known);
        }
        let text = match std::fs::read_to_string(what) {
            Ok(text) => text,
            Err(error) => {
                let near =
                    nearest(what, NAMES).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                bail!("policy {what}: neither one of {} nor a file: {error}{near}", NAMES.join(", "))
            }
        };
        let body = serde_json::from_str(&text).with_context(|| format!("policy {what}: not JSON"))?;
        Self::of_body(what, &body)
    }

    /// From a body as `PUT /admin/policies/default` takes it.
    pub fn of_body(name: &str, body: &Value) -> anyhow::Result<Self> {
        let base = shipped_policy();
        let policy = overlay(&base, body).map_err(|error| anyhow::anyhow!("policy {name}: {error}"))?;
        let (before, after) = (serde_json::to_value(&base)?, serde_json::to_value(&policy)?);
        let fields = after.as_object().into_iter().flatten();
        let changes: Vec<String> = fields
            .filter(|(key, value)| before.get(key) != Some(*value))
            .map(|(key, _)| key.clone())
            .collect();
        let idle: Vec<String> = changes
            .iter()
            .filter_map(|setting| Some(format!("{setting}: {}", without_effect(setting, &policy, &base)?)))
            .collect();
        if !idle.is_empty() {
            bail!("policy {name} has settings without effect on simulated shoppers: {}", idle.join("; "));
        }
        let shipped = Self::named("default").context("there is no default policy")?;
        Ok(Self { name: name.to_owned(), rules: Rules::new(&policy), changes, ..shipped })
    }
}

fn shipped_policy() -> Policy {
    Policy { holdout: 0.0, random: 0.0, ..Policy::default() }
}

/// Reason why a changed setting can't change what simulated shoppers get; `None` where it can.
fn without_effect(setting: &str, policy: &Policy, base: &Policy) -> Option<String> {
    let why = match setting {
        "caps" => {
            let new = policy.caps.iter().filter(|cap| !base.caps.contains(cap));
            let idle: Vec<String> = new.filter_map(idle_cap).collect();
            return (!idle.is_empty()).then(|| idle.join(", "));
        }
        "time_zone" if policy.quiet_from == policy.quiet_to => {
            "without quiet_from and quiet_to nothing here goes by a local hour; set them, too"
        }
        "repeat_window_min" | "min_new_items" | "items" | "dismissed_pause_h" => {
            "every simulated occasion is about one item that was never named before; try caps"
        }
        "attribution_window_h" => "simulated purchases follow their click at once",
        "budget_per_hour" => {
            "simulated shoppers live one after the other, so they share no hour; try caps or min_worth"
        }
        "release_spread_s" if policy.quiet_from == policy.quiet_to => {
            "nothing is held back without quiet_from and quiet_to"
        }
        "expires_after_h" if policy.quiet_from == policy.quiet_to => {
            "nothing waits, so nothing expires, without quiet_from and quiet_to"
        }
        "worth_by" => "no uplift is learned in a simulation; try min_worth",
        "digest_at" | "digest_items" => "no simulated shopper asks for a digest; try caps",
        _ => return None,
    };
    Some(why.to_owned())
}

/// Reason why a cap counts no simulated message; `None` where it may.
fn idle_cap(cap: &Cap) -> Option<String> {
    let named = |names: [&str; KINDS.len()]| names.join(", ");
    let (triggers, categories) = (KINDS.map(|(trigger, _)| trigger), KINDS.map(|(_, category)| category));
    if cap.category != "*" && !categories.contains(&cap.category.as_str()) {
        return Some(format!(
            "no simulated occasion is of category {}, only of {}",
            cap.category,
            named(categories)
        ));
    }
    if cap.campaign != "*" && !triggers.contains(&cap.campaign.as_str()) {
        return Some(format!(
            "no simulated occasion is of campaign {}, only of {}",
            cap.campaign,
            named(triggers)
        ));
    }
    let pushed = ["*", "push"].contains(&cap.channel.as_str());
    (!pushed).then(|| format!("simulated shoppers are reached by push, never by {}", cap.channel))
}
