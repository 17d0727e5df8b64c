//! Cleaning of imported rows, as stated steps with counts: duplicates, rows that are not behaviour,
//! impossible values, robots by rate, missing values filled, outliers winsorised. Rows go in one by one, in any
//! order, naming things as the shop does; clean events come out.
//!
//! Memory is bounded. Bounds and medians are learnt from the first `learn_from` rows that survive the first
//! steps, which are held back until then: exact for inputs up to that size (a million rows by default), an
//! estimate from the beginning beyond it. Duplicates are told by 64 bits of the content key, 10 bytes a row:
//! at 20 million rows the chance that any two different rows are confused is 1 in 90,000.

mod caps;
mod report;

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

use crate::base::{ExternalId, Timestamp};
use crate::event::robots::{RobotCensus, RobotLimits};
use crate::event::{EventKind, EventLimits, NewEvent};

pub use caps::Caps;
pub use report::{CleaningReport, CleaningStep, grouped};

/// Largest believable amount of money and number of units, as on the wire.
const MAX_AMOUNT: f64 = 1e9;

/// Thresholds of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CleaningParameters {
    /// Rates above which a user is a robot.
    pub robots: RobotLimits,
    /// Quantity, value and dwell above this quantile of their kind are pulled down to it. 0…1, default 0.999.
    pub winsorise_at: f64,
    /// Rows that bounds and medians are learnt from. Default 1,000,000 (about 250 MB while they are held).
    pub learn_from: usize,
    /// Counters kept for the robots step. Default 4,000,000 (about 100 MB when all are in use).
    pub max_rate_counters: usize,
}

impl Default for CleaningParameters {
    fn default() -> Self {
        Self {
            robots: RobotLimits::default(),
            winsorise_at: 0.999,
            learn_from: 1_000_000,
            max_rate_counters: 4_000_000,
        }
    }
}

/// Keys are SHA-256 already; hashing them again would be wasted time.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// Rows an importer sets aside by rules of its own, e.g. postage lines of an invoice.
#[derive(Clone, Debug, Default)]
pub struct SetAside {
    /// Stable name of the step.
    pub step: String,
    /// Description of the rows set aside, for a person.
    pub description: String,
}

/// Reason why an event can't have happened.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Impossible {
    /// Stars.
    #[error("a rating beyond 5 stars or below 0: \"{0}\"")]
    Rating(f64),
    /// Money of a purchase or return.
    #[error("an amount of money that is not above 0: \"{0}\"")]
    Money(f64),
    /// Value of another kind.
    #[error("a value below 0: \"{0}\"")]
    Value(f64),
    /// Units.
    #[error("a quantity that is not above 0: \"{0}\"")]
    Quantity(f64),
    /// After now.
    #[error("a time in the future: \"{0}\"")]
    Future(Timestamp),
    /// Before there were shops on the web.
    #[error("a time before 1995: \"{0}\"")]
    Ancient(Timestamp),
}

/// Result of cleaning when the last row is in.
#[derive(Clone, Debug)]
pub struct Cleaned {
    /// Step by step.
    pub report: CleaningReport,
    /// Users to flag, in order of id.
    pub robots: Vec<ExternalId>,
    /// Bounds and fill values learnt, for cleaning live events the same way.
    pub caps: Caps,
}

/// Cleans a stream of rows.
pub struct Cleaner {
    parameters: CleaningParameters,
    limits: EventLimits,
    source: String,
    set_aside: Option<SetAside>,
    /// Rows were accepted once already: they pass as they are.
    passes_everything: bool,
    seen: HashSet<u64, BuildHasherDefault<KeyHasher>>,
    census: RobotCensus,
    /// Rows held back until the bounds are learnt.
    held: Vec<NewEvent>,
    caps: Option<Caps>,
    rows_read: u64,
    malformed: u64,
    duplicates: u64,
    aside: u64,
    impossible: u64,
    winsorised: u64,
    filled: u64,
}

impl Cleaner {
    /// `source` names format and file in the report; `limits` say what a believable time is.
    pub fn new(
        source: impl Into<String>,
        limits: EventLimits,
        parameters: CleaningParameters,
        set_aside: Option<SetAside>,
    ) -> Self {
        Self {
            parameters,
            limits,
            source: source.into(),
            set_aside,
            passes_everything: false,
            seen: HashSet::default(),
            census: RobotCensus::new(parameters.robots, parameters.max_rate_counters),
            held: Vec::new(),
            caps: None,
            rows_read: 0,
            malformed: 0,
            duplicates: 0,
            aside: 0,
            impossible: 0,
            winsorised: 0,
            filled: 0,
        }
    }

    /// The same without any step, for events that a server has accepted before.
    pub fn passing_everything(mut self) -> Self {
        self.passes_everything = true;
        self
    }

    /// Counts rows that could not be read as an event at all.
    pub fn note_malformed(&mut self, rows: u64) {
        self.rows_read += rows;
        self.malformed += rows;
    }

    /// Takes one row. Values may still be impossible. `aside`: the importer's own rule says that it is not
    /// behaviour. Clean events are appended to `out`, none until enough rows are in to learn from. Returns why the event was
    /// dropped as impossible.
    pub fn push(&mut self, event: NewEvent, aside: bool, out: &mut Vec<NewEvent>) -> Option<Impossible> {
        self.rows_read += 1;
        if self.passes_everything {
            out.push(event);
            return None;
        }
        // Both halves, since each alone has bits that every UUID shares.
        let (high, low) = event.key.0.as_u64_pair();
        if !self.seen.insert(high ^ low) {
            self.duplicates += 1;
            return None;
        }
        if aside {
            self.aside += 1;
            return None;
        }
        if let Some(reason) = self.impossible(&event) {
            self.impossible += 1;
            return Some(reason);
        }
        if let Some(user) = &event.user {
            self.census.note(user, event.kind, event.occurred_at);
        }
        match &self.caps {
            None => {
                self.held.push(event);
                if self.held.len() >= self.parameters.learn_from {
                    self.learn(out);
                }
            }
            Some(caps) => {
                let mut event = event;
                let (filled, cut) = caps.clean(&mut event);
                self.filled += u64::from(filled);
                self.winsorised += u64::from(cut);
                out.push(event);
            }
        }
        None
    }

    /// The last row is in: appends what was held back to `out`.
    pub fn finish(mut self, out: &mut Vec<NewEvent>) -> Cleaned {
        if self.caps.is_none() {
            self.learn(out);
        }
        let robots = self.census.robots();
        let mut report = CleaningReport {
            source: std::mem::take(&mut self.source),
            rows_read: self.rows_read,
            rows_kept: self.rows_read,
            steps: Vec::new(),
        };
        self.report_steps(&mut report, robots.len());
        Cleaned { report, robots, caps: self.caps.unwrap_or_default() }
    }

    fn impossible(&self, event: &NewEvent) -> Option<Impossible> {
        let possible = |amount: f64, least: f64, most: f64| (least..=most).contains(&amount);
        let quantity = f64::from(event.quantity);
        let at = event.occurred_at;
        let wrong_value = event.value.and_then(|value| match event.kind {
            EventKind::Rate => (!possible(value, 0.0, 5.0)).then_some(Impossible::Rating(value)),
            kind if caps::carries_money(kind) => {
                (!possible(value, f64::MIN_POSITIVE, MAX_AMOUNT)).then_some(Impossible::Money(value))
            }
            _ => (!possible(value, 0.0, MAX_AMOUNT)).then_some(Impossible::Value(value)),
        });
        if wrong_value.is_some() {
            wrong_value
        } else if !possible(quantity, f64::MIN_POSITIVE, MAX_AMOUNT) {
            Some(Impossible::Quantity(quantity))
        } else if at > self.limits.now + self.limits.max_future {
            Some(Impossible::Future(at))
        } else if at < self.limits.oldest {
            Some(Impossible::Ancient(at))
        } else {
            None
        }
    }

    /// Robots known by then are left out of what is learnt; their events are cleaned like any other.
    fn learn(&mut self, out: &mut Vec<NewEvent>) {
        let census = &self.census;
        let people =
            self.held.iter().filter(|event| !event.user.as_ref().is_some_and(|user| census.is_robot(user)));
        let caps = Caps::learn(people, self.parameters.winsorise_at);
        out.reserve(self.held.len());
        for mut event in std::mem::take(&mut self.held) {
            let (filled, cut) = caps.clean(&mut event);
            self.filled += u64::from(filled);
            self.winsorised += u64::from(cut);
            out.push(event);
        }
        self.caps = Some(caps);
    }

    fn report_steps(&mut self, report: &mut CleaningReport, robots: usize) {
        let mut push = |step: &str, description: String, dropped, changed| {
            report.push(CleaningStep { step: step.into(), description, dropped, changed });
        };
        push("malformed", "rows that could not be read; see the rejects file".into(), self.malformed, 0);
        push("duplicates", "the same row again, field for field".into(), self.duplicates, 0);
        if let Some(SetAside { step, description }) = self.set_aside.take() {
            push(&step, description, self.aside, 0);
        }
        push(
            "impossible",
            "price or quantity not above 0, stars beyond 5, in the future or before 1995".into(),
            self.impossible,
            0,
        );
        let RobotLimits { per_minute, per_day } = self.parameters.robots;
        push(
            "robots",
            format!(
                "events of {} users flagged: more than {} actions a minute or {} a day",
                grouped(robots as u64),
                grouped(u64::from(per_minute)),
                grouped(u64::from(per_day))
            ),
            0,
            self.census.events_of_robots(),
        );
        push(
            "missing",
            "dwell of a view filled by the median, currency by the only one there is".into(),
            0,
            self.filled,
        );
        push(
            "outliers",
            format!(
                "quantity, value or dwell pulled down to the {} % quantile of its kind",
                self.parameters.winsorise_at * 100.0
            ),
            0,
            self.winsorised,
        );
    }
}

#[cfg(test)]
mod tests;
