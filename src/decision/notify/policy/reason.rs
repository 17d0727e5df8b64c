//! Decisions and their reasons: typed, and in words.

use std::fmt;

use serde::Serialize;

use super::candidate::{Channel, Precondition, Trial};
use super::preferences::Purpose;
use tidings_core::base::Timestamp;

/// Outcome of a decision on a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Now, over the decision's channel.
    Send,
    /// Judged again then.
    Defer(Timestamp),
    /// Collected, and told with others.
    Digest,
    /// Put where it can be looked for; nobody is disturbed.
    InboxOnly,
    /// Never.
    Drop,
}

impl Outcome {
    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Defer(_) => "defer",
            Self::Digest => "digest",
            Self::InboxOnly => "inbox_only",
            Self::Drop => "drop",
        }
    }

    /// Deferred until when.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Defer(until) => Some(until),
            _ => None,
        }
    }

    /// Returns whether the user gets the message now, loudly or not.
    pub fn is_delivered(self) -> bool {
        matches!(self, Self::Send | Self::InboxOnly)
    }
}

/// A step of the policy, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// Check of the user's consent.
    Consent,
    /// Check of the user's preferences.
    Preference,
    /// Check that the message's fact still holds.
    StillTrue,
    /// Check for a repeat of an earlier message.
    Duplicate,
    /// Check of the frequency caps.
    FrequencyCaps,
    /// Check of the quiet hours.
    QuietHours,
    /// Check of the server's message budget.
    Budget,
    /// Holdout or random draw of an experiment.
    Experiment,
    /// Comparison of the expected benefit with the annoyance.
    Worth,
    /// Choice of the channel.
    Channel,
    /// Choice of a better hour, if there is one.
    Time,
    /// Rendering of title and body.
    Content,
}

impl StepName {
    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Preference => "preference",
            Self::StillTrue => "still_true",
            Self::Duplicate => "duplicate",
            Self::FrequencyCaps => "frequency_caps",
            Self::QuietHours => "quiet_hours",
            Self::Budget => "budget",
            Self::Experiment => "experiment",
            Self::Worth => "worth",
            Self::Channel => "channel",
            Self::Time => "time",
            Self::Content => "content",
        }
    }
}

/// Result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing in the way.
    Pass,
    /// Something was in the way, and the message may pass it.
    Override,
    /// The outcome is another one than `send`, and the next steps are asked.
    Change,
    /// The end.
    Stop,
}

impl Verdict {
    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Override => "override",
            Self::Change => "change",
            Self::Stop => "stop",
        }
    }
}

/// Reason for a step's verdict. The text is for a person, the name for a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// The client waits for an answer.
    AskedFor,
    /// Nothing that needs it, or it was given.
    Consented,
    /// The user has not agreed to it.
    Withheld(Purpose),
    /// The user wants nothing at all.
    OptedOut,
    /// The user paused everything.
    Paused(Timestamp),
    /// The user muted the category.
    MutedCategory,
    /// The user muted the item, or what it belongs to.
    MutedSubject(&'static str),
    /// The user asked for a digest of the category.
    WantsDigest,
    /// Nothing against it.
    Wanted,
    /// It would come too late.
    Expired,
    /// It does not hold any more.
    Untrue(Precondition),
    /// It holds.
    True,
    /// No item passed the rules.
    NothingToSay,
    /// The very occasion was told before.
    SaidBefore(Timestamp),
    /// The very occasion waits for the user already: it was to be told to another id of the same person.
    WaitsAlready,
    /// Too few of its items are new.
    Repeat {
        /// Items that were not named lately.
        new: usize,
        /// Items of the list.
        of: usize,
        /// Length of the window, minutes.
        window_min: u64,
    },
    /// So many are.
    New {
        /// Items that were not named lately.
        new: usize,
        /// Items of the list.
        of: usize,
    },
    /// A cap is used up. `index` into the rules' caps.
    Capped {
        /// Place of the cap in the policy.
        index: usize,
        /// Messages within its window.
        used: usize,
        /// Messages that it allows.
        max: usize,
        /// Length of the window, minutes.
        window_min: u64,
    },
    /// As many messages are remembered as memory allows; more would pass a cap unseen.
    MemoryFull,
    /// Within every cap.
    WithinCaps,
    /// It is quiet until then.
    Quiet(Timestamp),
    /// Nobody is disturbed.
    Awake,
    /// The hour's budget is spent.
    BudgetSpent,
    /// It is not, or there is none.
    BudgetLeft,
    /// Experiments and worth have no part in it: it is transactional, or the shop's own message.
    Exempt,
    /// The user is held out, for comparison.
    HeldOut,
    /// A coin decided; true = send.
    Drawn(bool),
    /// It would annoy more than it helps.
    NotWorth {
        /// Expected utility of the message, in the units of the policy's worth.
        utility: f64,
        /// Least utility required, in the same units.
        least: f64,
    },
    /// It would help.
    Worth {
        /// Expected utility of the message, in the units of the policy's worth.
        utility: f64,
    },
    /// No model has learned it yet.
    WorthUnknown,
    /// Over this one.
    By(Channel),
    /// Every way that disturbs is closed or unwanted.
    NoChannel,
    /// The user's better hour.
    BetterAt(Timestamp),
    /// As good as any.
    Now,
    /// The template gave nothing to read, and there is no item to name.
    Unrenderable,
    /// More triggers of the user are deferred than are kept.
    TooManyDeferred,
    /// A collected entry does not hold any more, or is not wanted any more.
    NoLongerTrue,
    /// The user acts faster than a person, and is answered by nothing that a model chose.
    Robot,
}

impl Reason {
    /// For programs; stable.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AskedFor => "solicited",
            Self::Consented => "consented",
            Self::Withheld(_) => "consent_withheld",
            Self::OptedOut => "opted_out",
            Self::Paused(_) => "paused",
            Self::MutedCategory => "muted_category",
            Self::MutedSubject(_) => "muted_subject",
            Self::WantsDigest => "wants_digest",
            Self::Wanted => "wanted",
            Self::Expired => "expired",
            Self::Untrue(_) => "no_longer_true",
            Self::True => "still_true",
            Self::NothingToSay => "nothing_to_say",
            Self::SaidBefore(_) => "said_before",
            Self::WaitsAlready => "waits_already",
            Self::Repeat { .. } => "repeat",
            Self::New { .. } => "new",
            Self::Capped { .. } => "capped",
            Self::MemoryFull => "memory_full",
            Self::WithinCaps => "within_caps",
            Self::Quiet(_) => "quiet_hours",
            Self::Awake => "awake",
            Self::BudgetSpent => "budget_spent",
            Self::BudgetLeft => "budget_left",
            Self::Exempt => "exempt",
            Self::HeldOut => "held_out",
            Self::Drawn(true) => "drawn",
            Self::Drawn(false) => "not_drawn",
            Self::NotWorth { .. } => "not_worth_it",
            Self::Worth { .. } => "worth_it",
            Self::WorthUnknown => "worth_unknown",
            Self::By(_) => "by",
            Self::NoChannel => "no_channel",
            Self::BetterAt(_) => "better_hour",
            Self::Now => "now",
            Self::Unrenderable => "unrenderable",
            Self::TooManyDeferred => "too_many_deferred",
            Self::NoLongerTrue => "no_longer_wanted",
            Self::Robot => "robot",
        }
    }
}

/// One step with what it did. `scope` of a cap, where one spoke.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Name of the step.
    pub step: StepName,
    /// Verdict of the step.
    pub verdict: Verdict,
    /// Reason for the verdict.
    pub reason: Reason,
    /// Subject of the reason, e.g. the cap's scope or the muted category; empty where the reason says it all.
    pub about: Box<str>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = &self.about;
        match self.reason {
            Reason::AskedFor => return write!(f, "asked for: the client waits for an answer"),
            Reason::Consented => write!(f, "consent: given, or not needed"),
            Reason::Withheld(purpose) => write!(f, "consent: none to {}", purpose.name()),
            Reason::OptedOut => write!(f, "opted out: the user wants order updates only"),
            Reason::Paused(until) => write!(f, "paused: by the user until {until}"),
            Reason::MutedCategory => write!(f, "muted: the user wants no {about}"),
            Reason::MutedSubject(kind) => write!(f, "muted: the user wants nothing of the {kind} {about}"),
            Reason::WantsDigest => write!(f, "digest: the user wants {about} collected"),
            Reason::Wanted => write!(f, "preference: nothing against it"),
            Reason::Expired => write!(f, "expired: it would come too late"),
            Reason::Untrue(truth) => write!(f, "no longer true: {}", truth.words()),
            Reason::True => write!(f, "still true"),
            Reason::NothingToSay => write!(f, "nothing to say: no item passed the rules"),
            Reason::SaidBefore(at) => write!(f, "duplicate: sent at {at}"),
            Reason::WaitsAlready => write!(f, "duplicate: the same waits for this user"),
            Reason::Repeat { new, of, window_min } => {
                write!(f, "repeat: {new} of {of} items are new in {}", length(window_min))
            }
            Reason::New { new, of } => write!(f, "new: {new} of {of} items"),
            Reason::Capped { used, max, window_min, .. } => {
                write!(f, "cap: {about} {used} of {max} per {}", span(window_min))
            }
            Reason::MemoryFull => write!(f, "cap: more messages than can be counted"),
            Reason::WithinCaps => write!(f, "caps: none is used up"),
            Reason::Quiet(until) => write!(f, "quiet hours: until {until}"),
            Reason::Awake => write!(f, "quiet hours: not now"),
            Reason::BudgetSpent if self.verdict == Verdict::Override => {
                return write!(f, "budget: spent for this hour, passed: {about}");
            }
            Reason::BudgetSpent => write!(f, "budget: spent for this hour"),
            Reason::BudgetLeft => write!(f, "budget: not used up"),
            Reason::Exempt if self.step == StepName::Worth => {
                return write!(f, "predicted value: not compared, {about}");
            }
            Reason::Exempt => return write!(f, "experiment: passed, {about}"),
            Reason::HeldOut => write!(f, "control group: this user gets order updates only, for comparison"),
            Reason::Drawn(true) => write!(f, "random test: sent, to learn from it"),
            Reason::Drawn(false) => write!(f, "random test: not sent, to learn from it"),
            Reason::NotWorth { utility, least } => {
                write!(f, "low predicted value{about}: {utility:.4}, at least {least:.4} is needed")
            }
            Reason::Worth { utility } => write!(f, "predicted value{about}: {utility:.4}"),
            Reason::WorthUnknown => write!(f, "predicted value: not learned yet"),
            Reason::By(channel) => write!(f, "channel: {}", channel.name()),
            Reason::NoChannel => write!(f, "inbox only: no channel is open or wanted"),
            Reason::BetterAt(at) => write!(f, "waiting for the best time: {at}"),
            Reason::Now => write!(f, "time: now"),
            Reason::Unrenderable => write!(f, "content: the template gave nothing to read"),
            Reason::TooManyDeferred => write!(f, "deferred: too many messages wait for this user"),
            Reason::NoLongerTrue => write!(f, "digest: no longer true, or no longer wanted"),
            Reason::Robot => {
                write!(f, "robot: acts faster than a person, and is answered by nothing of a model")
            }
        }?;
        // Caps, settings, quiet hours and blocked channels give way to this alone.
        if self.verdict == Verdict::Override { write!(f, ", passed: transactional") } else { Ok(()) }
    }
}

/// A window in words, with its article: `an hour`, `a day`, `3 hours`.
fn length(minutes: u64) -> String {
    match span(minutes).as_str() {
        "hour" => "an hour".to_owned(),
        unit @ ("day" | "week") => format!("a {unit}"),
        several => several.to_owned(),
    }
}

/// A window in words: `hour`, `day`, `3 hours`, `90 min`.
fn span(minutes: u64) -> String {
    let units = [(10_080, "week"), (1_440, "day"), (60, "hour")];
    match units.iter().find(|(length, _)| minutes >= *length && minutes.is_multiple_of(*length)) {
        Some((length, unit)) if minutes == *length => (*unit).to_owned(),
        Some((length, unit)) => format!("{} {unit}s", minutes / length),
        None => format!("{minutes} min"),
    }
}

/// Outcome for a candidate, with every step that led to it, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Outcome for the candidate.
    pub outcome: Outcome,
    /// Over which channel, when it is sent.
    pub channel: Channel,
    /// Each step asked; the last one is where it ended.
    pub steps: Vec<Step>,
}

impl Decision {
    /// In words: the steps that spoke, in order. Of a sent message also what let it pass. At least one.
    pub fn reasons(&self) -> Vec<String> {
        let sent = self.outcome == Outcome::Send;
        let said = |step: &&Step| {
            step.verdict != Verdict::Pass
                || (sent
                    && matches!(
                        step.reason,
                        Reason::New { of: 1.., .. } | Reason::Worth { .. } | Reason::By(_) | Reason::Drawn(_)
                    ))
        };
        self.steps.iter().filter(said).map(ToString::to_string).collect()
    }

    /// Probability of this outcome; below 1 where a coin decided.
    pub fn propensity(&self) -> f32 {
        if self.is_drawn() { Trial::COIN } else { 1.0 }
    }

    /// Returns whether a coin decided.
    pub fn is_drawn(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.reason, Reason::Drawn(_)))
    }

    /// A decision to drop, made by one step.
    pub fn stopped(step: StepName, reason: Reason) -> Self {
        let mut decision = Self { outcome: Outcome::Drop, channel: Channel::Inbox, steps: Vec::new() };
        decision.stop(step, Outcome::Drop, reason);
        decision
    }

    /// Another outcome, decided by one more step.
    pub fn stop(&mut self, step: StepName, outcome: Outcome, reason: Reason) {
        self.outcome = outcome;
        self.steps.push(Step { step, verdict: Verdict::Stop, reason, about: "".into() });
    }

    /// Returns whether the same candidate may be sent later: a cap, a budget or the worth of the moment dropped it.
    pub fn is_temporary(&self) -> bool {
        let reason = self.steps.last().map(|step| step.reason);
        matches!(
            reason,
            Some(
                Reason::Capped { .. }
                    | Reason::MemoryFull
                    | Reason::BudgetSpent
                    | Reason::NotWorth { .. }
                    | Reason::Drawn(false)
                    | Reason::Repeat { .. }
                    | Reason::Unrenderable
            )
        )
    }

    /// The step that decided.
    pub fn decisive(&self) -> Option<&Step> {
        self.steps.iter().rev().find(|step| matches!(step.verdict, Verdict::Stop | Verdict::Change))
    }
}
