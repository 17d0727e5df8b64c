//! The eleven steps. Each returns what it has to say; [`decide`] goes through them until one says stop.

use std::collections::BTreeSet;

use super::candidate::{Candidate, Channel, Moment, Precondition, Trial};
use super::caps;
use super::preferences::{Preferences, Purpose};
use super::reason::{Decision, Outcome, Reason, Step, StepName, Verdict};
use super::rules::Rules;
use super::state::PolicyState;
use crate::notify::message::Priority;
use tidings_core::base::{ItemId, Millis, Timestamp};

/// A better hour further away than this is not waited for.
const LONGEST_WAIT: Millis = Millis::hours(24);

struct Judge<'a> {
    candidate: &'a Candidate<'a>,
    moment: &'a Moment<'a>,
    state: &'a PolicyState,
    rules: &'a Rules,
    preferences: &'a Preferences,
    outcome: Outcome,
    channel: Channel,
    steps: Vec<Step>,
}

/// Decides about a candidate: the outcome, the channel, and each step asked, in order. O(messages remembered).
pub fn decide(
    candidate: &Candidate<'_>,
    moment: &Moment<'_>,
    state: &PolicyState,
    rules: &Rules,
    preferences: &Preferences,
) -> Decision {
    let mut judge = Judge {
        candidate,
        moment,
        state,
        rules,
        preferences,
        outcome: Outcome::Send,
        channel: Channel::Socket,
        steps: Vec::with_capacity(10),
    };
    judge.run();
    Decision { outcome: judge.outcome, channel: judge.channel, steps: judge.steps }
}

impl<'a> Judge<'a> {
    fn run(&mut self) {
        if self.candidate.solicited {
            self.say(StepName::Consent, Verdict::Override, Reason::AskedFor);
            return;
        }
        let steps: [fn(&mut Self) -> bool; 11] = [
            Self::consent,
            Self::preference,
            Self::still_true,
            Self::duplicate,
            Self::frequency_caps,
            Self::quiet_hours,
            Self::budget,
            Self::experiment,
            Self::worth,
            Self::channel,
            Self::time,
        ];
        for step in steps {
            if !step(self) {
                return;
            }
        }
    }

    fn is_owed(&self) -> bool {
        self.candidate.priority == Priority::Transactional
    }

    /// Reason for exemption from experiments and worth; `None` for what advertises.
    fn exemption(&self) -> Option<&'static str> {
        if self.is_owed() {
            Some("transactional")
        } else if self.candidate.said_by_shop {
            Some("the shop's own message")
        } else {
            None
        }
    }

    fn about(&mut self, step: StepName, verdict: Verdict, reason: Reason, about: &str) {
        self.steps.push(Step { step, verdict, reason, about: about.into() });
    }

    fn say(&mut self, step: StepName, verdict: Verdict, reason: Reason) -> bool {
        self.about(step, verdict, reason, "");
        true
    }

    /// Another outcome than `send`; the next steps are asked.
    fn changed(&mut self, step: StepName, reason: Reason, about: &str) -> bool {
        self.about(step, Verdict::Change, reason, about);
        true
    }

    /// Nobody is disturbed by it, so hour, budget and channel are all the same.
    fn is_silent(&self) -> bool {
        self.outcome != Outcome::Send
    }

    /// Ends here.
    fn stop(&mut self, step: StepName, outcome: Outcome, reason: Reason, about: &str) -> bool {
        self.outcome = outcome;
        self.about(step, Verdict::Stop, reason, about);
        false
    }

    fn consent(&mut self) -> bool {
        let consent = &self.preferences.consent;
        if !self.is_owed() {
            if !consent.has(Purpose::Marketing, true) {
                return self.stop(StepName::Consent, Outcome::Drop, Reason::Withheld(Purpose::Marketing), "");
            }
            if self.candidate.from_profile
                && !consent.has(Purpose::Profiling, self.rules.profiling_by_default)
            {
                return self.stop(StepName::Consent, Outcome::Drop, Reason::Withheld(Purpose::Profiling), "");
            }
        }
        self.say(StepName::Consent, Verdict::Pass, Reason::Consented)
    }

    fn preference(&mut self) -> bool {
        const STEP: StepName = StepName::Preference;
        match self.objection() {
            None => self.say(STEP, Verdict::Pass, Reason::Wanted),
            Some((_, reason, about)) if self.is_owed() => {
                self.about(STEP, Verdict::Override, reason, about);
                true
            }
            Some((Outcome::Drop, reason, about)) => self.stop(STEP, Outcome::Drop, reason, about),
            Some((outcome, reason, about)) => {
                self.outcome = outcome;
                self.changed(STEP, reason, about)
            }
        }
    }

    /// Objection of the user's settings: outcome, reason, and the subject of the reason; `None` where nothing is against it.
    fn objection(&self) -> Option<(Outcome, Reason, &'a str)> {
        let (candidate, preferences) = (self.candidate, self.preferences);
        let settings = &preferences.settings;
        if settings.opted_out {
            return Some((Outcome::Drop, Reason::OptedOut, ""));
        }
        if preferences.muted.contains(candidate.category) {
            return Some((Outcome::Drop, Reason::MutedCategory, candidate.category));
        }
        if preferences.silences_campaign(candidate.campaign) {
            return Some((Outcome::Drop, Reason::MutedSubject("kind"), candidate.campaign));
        }
        if let Some((kind, name)) = candidate.subject.and_then(|item| preferences.silenced(item)) {
            return Some((Outcome::Drop, Reason::MutedSubject(kind), name));
        }
        if let Some(until) = settings.paused_until.filter(|until| *until > self.moment.now) {
            // Kept where it can be looked for; caps go on counting, so that a pause fills no inbox.
            return Some((Outcome::InboxOnly, Reason::Paused(until), ""));
        }
        let collects = preferences.wants_digest(candidate.category) && !candidate.is_digest;
        if collects && candidate.priority < Priority::High {
            return Some((Outcome::Digest, Reason::WantsDigest, candidate.category));
        }
        None
    }

    fn still_true(&mut self) -> bool {
        const STEP: StepName = StepName::StillTrue;
        if self.candidate.expires_at <= self.moment.now {
            return self.stop(STEP, Outcome::Drop, Reason::Expired, "");
        }
        if self.candidate.truth != Precondition::Holds {
            return self.stop(STEP, Outcome::Drop, Reason::Untrue(self.candidate.truth), "");
        }
        if self.candidate.needs_items && self.candidate.items.is_empty() {
            return self.stop(STEP, Outcome::Drop, Reason::NothingToSay, "");
        }
        self.say(STEP, Verdict::Pass, Reason::True)
    }

    fn duplicate(&mut self) -> bool {
        const STEP: StepName = StepName::Duplicate;
        if let Some(key) = self.candidate.dedupe_key
            && let Some(sent) = self.state.newest_first().find(|sent| sent.dedupe_key == Some(key))
        {
            return self.stop(STEP, Outcome::Drop, Reason::SaidBefore(sent.at), "");
        }
        let of = self.candidate.items.len();
        // A message about one occasion is told apart by its key, what the shop says by its request; a list by what is new in it.
        let Candidate { from_profile, is_digest, dedupe_key, .. } = self.candidate;
        let is_list = *from_profile && !*is_digest && dedupe_key.is_none();
        if self.is_owed() || !is_list || of == 0 {
            return self.say(STEP, Verdict::Pass, Reason::New { new: of, of });
        }
        let new = self.new_items();
        if new < self.rules.min_new_items.min(of).max(1) {
            let window_min = self.rules.repeat_window.0 / 60_000;
            return self.stop(STEP, Outcome::Drop, Reason::Repeat { new, of, window_min }, "");
        }
        self.say(STEP, Verdict::Pass, Reason::New { new, of })
    }

    fn new_items(&self) -> usize {
        let since = self.moment.now - self.rules.repeat_window;
        let recent: BTreeSet<ItemId> =
            self.state.since(since).flat_map(|sent| sent.items.iter().copied()).collect();
        self.candidate.items.iter().filter(|item| !recent.contains(item)).count()
    }

    fn frequency_caps(&mut self) -> bool {
        const STEP: StepName = StepName::FrequencyCaps;
        // Collected now, counted when the digest goes out.
        if self.outcome == Outcome::Digest {
            return true;
        }
        // Caps of a channel hold for the way it will take.
        self.channel = self.way().unwrap_or(Channel::Inbox);
        let now = self.moment.now;
        if let Some((index, used)) = caps::exceeded(self.candidate, self.channel, self.state, self.rules, now)
            && let Some(cap) = self.rules.caps.get(index)
        {
            let reason = Reason::Capped { index, used, max: cap.max, window_min: cap.window_min };
            let scope = caps::scope(cap);
            if self.is_owed() {
                self.about(STEP, Verdict::Override, reason, &scope);
                return true;
            }
            return self.stop(STEP, Outcome::Drop, reason, &scope);
        }
        if !self.is_owed() && self.state.is_full(self.rules, now) {
            return self.stop(STEP, Outcome::Drop, Reason::MemoryFull, "");
        }
        self.say(STEP, Verdict::Pass, Reason::WithinCaps)
    }

    fn quiet_hours(&mut self) -> bool {
        const STEP: StepName = StepName::QuietHours;
        if self.is_silent() {
            return true;
        }
        let preferences = self.preferences;
        let zone =
            self.moment.device_zone.or(preferences.time_zone.as_ref()).unwrap_or(&self.rules.time_zone);
        let quiet = preferences.quiet_hours.unwrap_or(self.rules.quiet_hours);
        match quiet.quiet_until(self.moment.now, zone) {
            Some(until) if self.is_owed() => self.say(STEP, Verdict::Override, Reason::Quiet(until)),
            Some(until) => self.put_off(STEP, until, Reason::Quiet(until)),
            None => self.say(STEP, Verdict::Pass, Reason::Awake),
        }
    }

    /// Until then and a little later, so that not everybody is told at one moment.
    fn put_off(&mut self, step: StepName, until: Timestamp, reason: Reason) -> bool {
        let release = until + jitter(self.moment.seed, until, self.rules.release_spread);
        self.stop(step, Outcome::Defer(release), reason, "")
    }

    fn budget(&mut self) -> bool {
        const STEP: StepName = StepName::Budget;
        if self.moment.budget_left != Some(0) || self.is_silent() {
            return self.say(STEP, Verdict::Pass, Reason::BudgetLeft);
        }
        if self.candidate.priority >= Priority::High {
            self.about(STEP, Verdict::Override, Reason::BudgetSpent, self.candidate.priority.name());
            return true;
        }
        const HOUR: i64 = 3_600_000_000;
        let next = Timestamp((self.moment.now.0.div_euclid(HOUR) + 1) * HOUR);
        self.put_off(STEP, next, Reason::BudgetSpent)
    }

    fn experiment(&mut self) -> bool {
        const STEP: StepName = StepName::Experiment;
        match (self.moment.trial, self.exemption()) {
            (Trial::None, _) => true,
            (_, Some(why)) => {
                self.about(STEP, Verdict::Override, Reason::Exempt, why);
                true
            }
            (Trial::HeldOut, None) => self.stop(STEP, Outcome::Drop, Reason::HeldOut, ""),
            (Trial::Drawn(true), None) => self.say(STEP, Verdict::Pass, Reason::Drawn(true)),
            (Trial::Drawn(false), None) => self.stop(STEP, Outcome::Drop, Reason::Drawn(false), ""),
        }
    }

    fn is_drawn(&self) -> bool {
        self.moment.trial == Trial::Drawn(true) && self.exemption().is_none()
    }

    fn worth(&mut self) -> bool {
        const STEP: StepName = StepName::Worth;
        if self.is_drawn() {
            return true;
        }
        if let Some(why) = self.exemption() {
            self.about(STEP, Verdict::Pass, Reason::Exempt, why);
            return true;
        }
        let worth = &self.rules.worth;
        let (benefit, by) = match (self.moment.uplift, self.moment.expected) {
            // A click is no benefit of its own there: without the message there is none.
            (Some(uplift), _) => (worth.purchase * uplift, " by uplift"),
            (None, Some(expected)) => {
                (worth.click * f64::from(expected.click) + worth.purchase * f64::from(expected.purchase), "")
            }
            (None, None) => return self.say(STEP, Verdict::Pass, Reason::WorthUnknown),
        };
        let mute = self.moment.expected.map_or(0.0, |expected| f64::from(expected.mute));
        let utility = benefit - worth.mute_cost * mute - worth.message_cost - self.moment.attention_price;
        if utility < worth.least {
            let reason = Reason::NotWorth { utility, least: worth.least };
            return self.stop(STEP, Outcome::Drop, reason, by);
        }
        self.about(STEP, Verdict::Pass, Reason::Worth { utility }, by);
        true
    }

    /// The user neither blocked this channel for the category nor refused push.
    fn is_wanted_on(&self, channel: Channel) -> bool {
        self.preferences.allows(self.candidate.category, channel)
            && (channel != Channel::Push || self.preferences.consent.has(Purpose::Push, true))
    }

    /// The first way that is open and wanted; for transactional messages the first that is open.
    fn way(&self) -> Option<Channel> {
        let open = self.moment.channels;
        [(open.socket, Channel::Socket), (open.push, Channel::Push)]
            .into_iter()
            .filter(|(open, _)| *open)
            .map(|(_, channel)| channel)
            .find(|channel| self.is_owed() || self.is_wanted_on(*channel))
    }

    fn channel(&mut self) -> bool {
        const STEP: StepName = StepName::Channel;
        if self.is_silent() {
            self.channel = Channel::Inbox;
            return true;
        }
        match self.way() {
            Some(channel) => {
                self.channel = channel;
                let wanted = self.is_wanted_on(channel);
                self.say(STEP, if wanted { Verdict::Pass } else { Verdict::Override }, Reason::By(channel))
            }
            None => {
                self.channel = Channel::Inbox;
                self.stop(STEP, Outcome::InboxOnly, Reason::NoChannel, "")
            }
        }
    }

    fn time(&mut self) -> bool {
        const STEP: StepName = StepName::Time;
        let now = self.moment.now;
        let latest = (now + LONGEST_WAIT).min(self.candidate.expires_at);
        let better = self
            .moment
            .best_time
            .filter(|at| *at > now && *at < latest && self.candidate.priority == Priority::Low);
        match better {
            Some(at) if self.outcome == Outcome::Send && !self.is_drawn() => {
                self.put_off(STEP, at, Reason::BetterAt(at))
            }
            _ => self.say(STEP, Verdict::Pass, Reason::Now),
        }
    }
}

/// 0…spread, the same for the same user and moment, even over users (splitmix64).
pub(super) fn jitter(seed: u64, until: Timestamp, spread: Millis) -> Millis {
    let mut z = seed.wrapping_add(until.0.unsigned_abs()).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Millis((z ^ (z >> 31)) % (spread.0 + 1))
}
