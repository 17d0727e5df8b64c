//! Days of simulated shoppers under one strategy.

use super::shopper::{KINDS, Occasion, Shopper, WORDINGS, occasions};
use super::strategy::{Hours, Strategy, Volume, Words};
use super::tally::Tally;
use crate::chance::{happens, index};
use tidings_core::base::random::{ChaCha8Rng, rng};
use tidings_core::base::{ItemId, NotificationId, Timestamp};
use tidings_core::response::Probabilities;
use tidings_decision::feedback::experiments::{Slice, Slices};
use tidings_decision::feedback::learner::{Contact, Learner, UserLearning, WordingChoice};
use tidings_decision::feedback::send_time::AllowedHours;
use tidings_decision::feedback::volume::{Worth, allocate};
use tidings_decision::notify::policy::{
    Candidate, Channel, Channels, Moment, Outcome, Precondition, Preferences, Trial,
};
use tidings_decision::notify::quiet_hours::next_minute;
use tidings_decision::notify::{PolicyState, Priority, Rules, Sent, decide};

/// 2026-01-05, a Monday, 00:00 UTC.
const BEGIN: Timestamp = Timestamp(1_767_571_200_000_000);
const DAY_US: f64 = 86_400e6;
const TEMPLATE: &str = "simulated";
const NAMES: [&str; WORDINGS] = ["a", "b", "c", "d"];
/// Relevance of the average occasion.
const MEAN_RELEVANCE: f64 = 0.6;
/// Messages before anything is taken to be learned.
const LEARNED_FROM: u64 = 500;
/// So many times its cost at the time, when weekly volumes are allotted.
const LEAVING_LASTS: f64 = 3.0;
/// Relearned this often, days.
const RELEARN_DAYS: usize = 7;

/// Shoppers and duration of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Shoppers.
    pub users: usize,
    /// Days that count.
    pub days: usize,
    /// Days before, in which is learned and nothing counts.
    pub warm_up_days: usize,
    /// Same seed, same shoppers and occasions.
    pub seed: u64,
}

/// A shopper, and what the policy knows of one.
struct User {
    number: usize,
    shopper: Shopper,
    policy: PolicyState,
    learning: UserLearning,
    preferences: Preferences,
    /// Messages a week, where the strategy counts.
    allowance: usize,
    /// Held out, left to chance, or neither.
    slice: Slice,
    /// Deferred, with the time it is judged again.
    waiting: Vec<(Timestamp, Chance)>,
    occasions: ChaCha8Rng,
    kinds: ChaCha8Rng,
    choices: ChaCha8Rng,
}

/// An occasion as the policy sees it.
#[derive(Clone, Copy, Debug)]
struct Chance {
    /// Of [`KINDS`].
    trigger: &'static str,
    /// Of [`KINDS`].
    category: &'static str,
    /// 0…1.
    relevance: f64,
    /// Not worth saying after this.
    expires_at: Timestamp,
}

struct Run<'a> {
    strategy: &'a Strategy,
    learner: Learner,
    tally: Tally,
    counts: bool,
    n_sent: u64,
    n_clicks: u64,
    n_purchases: u64,
    next_id: u128,
}

/// Carries a strategy out. About a microsecond an occasion for the shopper and ten for the policy.
pub fn run(world: &World, strategy: &Strategy) -> Tally {
    let mut run = Run {
        strategy,
        learner: Learner::default(),
        tally: Tally { users: world.users as u64, ..Tally::default() },
        counts: false,
        n_sent: 0,
        n_clicks: 0,
        n_purchases: 0,
        next_id: 1,
    };
    let slices = Slices::of_shares(strategy.rules.holdout, strategy.rules.random);
    let user = |number: usize| User::new(world.seed, number, slices.of(&number.to_string()));
    let mut users: Vec<User> = (0..world.users).map(user).collect();
    for day in 0..world.warm_up_days + world.days {
        run.counts = day >= world.warm_up_days;
        if day % RELEARN_DAYS == 0 {
            run.learner.refresh(RELEARN_DAYS as f64);
            run.allot(&mut users);
        }
        for user in &mut users {
            run.day(user, day);
        }
    }
    run.tally
}

fn moment_of(day: f64) -> Timestamp {
    Timestamp(BEGIN.0 + (day * DAY_US) as i64)
}

fn day_of(at: Timestamp) -> f64 {
    (at.0 - BEGIN.0) as f64 / DAY_US
}

impl User {
    fn new(seed: u64, number: usize, slice: Slice) -> Self {
        let own = seed ^ ((number as u64) << 20);
        Self {
            number,
            shopper: Shopper::new(seed, number),
            policy: PolicyState::default(),
            learning: UserLearning::default(),
            preferences: Preferences::default(),
            allowance: usize::MAX,
            slice,
            waiting: Vec::new(),
            occasions: rng(own, "occasions"),
            // A stream of its own, so that occasions are the same however many kinds there are.
            kinds: rng(own, "kinds"),
            choices: rng(own, "choices"),
        }
    }

    fn last_week(&self, now: Timestamp) -> usize {
        self.policy.contact(TEMPLATE, now).last_week as usize
    }
}

impl Run<'_> {
    fn rules(&self) -> &Rules {
        &self.strategy.rules
    }

    /// A click with the purchases it leads to.
    fn worth(&self) -> Worth {
        let worth = &self.rules().worth;
        let purchases = self.n_purchases as f64 / self.n_clicks.max(1) as f64;
        Worth { click: worth.click + worth.purchase * purchases, leave: worth.mute_cost }
    }

    /// Messages of the week to come: while warming up at random, so that there is something to learn from.
    fn allot(&self, users: &mut [User]) {
        let Volume::Weekly { mean, learned } = self.strategy.volume else { return };
        if !self.counts {
            users.iter_mut().for_each(|user| user.allowance = 1 + index(&mut user.choices, 2 * mean - 1));
        } else if learned {
            // Who leaves is lost for longer than the weeks looked at.
            let worth = Worth { leave: LEAVING_LASTS * self.worth().leave, ..self.worth() };
            let curve = |user: &User| match user.shopper.has_left {
                true => Vec::new(),
                false => self.learner.volume_curve(&user.learning, 2 * mean, &worth),
            };
            let curves: Vec<Vec<f64>> = users.iter().map(curve).collect();
            let there = users.iter().filter(|user| !user.shopper.has_left).count();
            let allocation = allocate(&curves, mean * there, f64::NEG_INFINITY);
            users.iter_mut().zip(allocation.weekly).for_each(|(user, weekly)| user.allowance = weekly);
        } else {
            users.iter_mut().for_each(|user| user.allowance = mean);
        }
    }

    /// Everything of one shopper's day, by time.
    fn day(&mut self, user: &mut User, day: usize) {
        let mut draws = user.occasions.clone();
        let new = occasions(&user.shopper, day, &mut draws);
        user.occasions = draws;
        let end = moment_of(day as f64 + 1.0);
        let due: Vec<(Timestamp, Chance)> =
            user.waiting.iter().copied().filter(|(at, _)| *at < end).collect();
        user.waiting.retain(|(at, _)| *at >= end);
        let mut all: Vec<_> = due.into_iter().map(|(at, chance)| (at, chance, true)).collect();
        for Occasion { day, relevance } in new {
            let (at, kind) = (moment_of(day), index(&mut user.kinds, KINDS.len()));
            let Some((trigger, category)) = KINDS.get(kind).copied() else { continue };
            let expires_at = at + self.rules().expires_after;
            all.push((at, Chance { trigger, category, relevance, expires_at }, false));
        }
        all.sort_by_key(|(at, ..)| *at);
        for (at, chance, has_waited) in all {
            if user.shopper.has_left {
                return;
            }
            if !has_waited {
                self.tally.occasions += u64::from(self.counts);
                let hour = (day_of(at).fract() * 24.0) as u8;
                self.learner.note_visit(&mut user.learning, hour);
            }
            self.judge(user, at, chance, has_waited);
        }
    }

    fn judge(&mut self, user: &mut User, now: Timestamp, chance: Chance, has_waited: bool) {
        match self.strategy.volume {
            Volume::Nothing => return,
            Volume::Everything => return self.send(user, now, chance),
            Volume::Weekly { .. } if user.last_week(now) >= user.allowance => return,
            Volume::Rules | Volume::Weekly { .. } => {}
        }
        let better = if has_waited { None } else { self.better_hour(user, now) };
        let items = [ItemId(self.next_id as u32)];
        let candidate = candidate(&items, chance, better.is_some());
        let moment = Moment {
            seed: user.number as u64,
            expected: self.expected(user, now, chance.relevance),
            attention_price: self.learner.attention_price(&user.learning, user.last_week(now), &self.worth()),
            channels: Channels { socket: false, push: true },
            best_time: better,
            trial: match user.slice {
                Slice::Learned => Trial::None,
                Slice::Holdout => Trial::HeldOut,
                Slice::Uniform => Trial::Drawn(happens(&mut user.choices, f64::from(Trial::COIN))),
            },
            ..Moment::at(now)
        };
        let decision = decide(&candidate, &moment, &user.policy, self.rules(), &user.preferences);
        match decision.outcome {
            Outcome::Send => self.send(user, now, chance),
            Outcome::Defer(until) => user.waiting.push((until, chance)),
            Outcome::Digest | Outcome::InboxOnly | Outcome::Drop => {}
        }
    }

    /// Stand-in for the classifier of a server: the user's own rates, times the relevance of the occasion. A fixed
    /// volume is a matter of counting, not of worth.
    fn expected(&self, user: &User, now: Timestamp, relevance: f64) -> Option<Probabilities> {
        if self.n_sent < LEARNED_FROM || self.strategy.volume != Volume::Rules {
            return None;
        }
        let last_week = user.last_week(now);
        let click = self.learner.click_rate(&user.learning, last_week) * relevance / MEAN_RELEVANCE;
        let mute = self.learner.leave_risk(&user.learning, last_week);
        let purchase = click * Shopper::purchase_rate();
        Some(Probabilities { click: click as f32, purchase: purchase as f32, mute: mute as f32 })
    }

    fn better_hour(&mut self, user: &mut User, now: Timestamp) -> Option<Timestamp> {
        let hour = match self.strategy.hours {
            Hours::Now => return None,
            Hours::Random => index(&mut user.choices, 24) as u8,
            Hours::Learned => {
                let present = (day_of(now).fract() * 24.0) as u8;
                let learned = &self.learner;
                let draws = &mut user.choices;
                let choice = learned.choose_hour(&user.learning, None, present, AllowedHours::ALL, draws)?;
                if choice.hour == present {
                    return None;
                }
                choice.hour
            }
        };
        next_minute(u16::from(hour) * 60, now, &self.rules().time_zone)
    }

    fn wording(&mut self, user: &mut User, now: Timestamp) -> (usize, Option<WordingChoice>) {
        match self.strategy.words {
            _ if user.slice == Slice::Uniform => (index(&mut user.choices, WORDINGS), None),
            Words::Even => (index(&mut user.choices, WORDINGS), None),
            Words::Learned => {
                let (learning, draws) = (&user.learning, &mut user.choices);
                let all = [0, 1, 2, 3];
                let choice = self.learner.choose_wording(learning, TEMPLATE, &NAMES, &all, now, draws);
                (choice.as_ref().map_or(0, WordingChoice::index), choice)
            }
        }
    }

    fn send(&mut self, user: &mut User, now: Timestamp, chance: Chance) {
        let (wording, choice) = self.wording(user, now);
        let id = NotificationId(uuid::Uuid::from_u128(self.next_id));
        self.next_id += 1;
        self.n_sent += 1;
        let hour = (day_of(now).fract() * 24.0) as u8;
        let last_week = user.last_week(now);
        let contact = Contact { id, at: now, hour, segment: None, last_week, wording: choice };
        self.learner.note_sent(&mut user.learning, contact);
        let sent = Sent::plain(id, now, chance.category, Channel::Push);
        user.policy.note_sent(Sent { campaign: chance.trigger.into(), ..sent });
        let response = user.shopper.take(day_of(now), chance.relevance, wording);
        self.n_clicks += u64::from(response.clicked);
        self.n_purchases += u64::from(response.purchased);
        if response.left {
            self.learner.note_left(&user.learning, id);
            user.preferences.settings.opted_out = true;
        }
        if response.dismissed {
            self.learner.note_dismissed(&mut user.learning, id);
        }
        if response.clicked {
            user.policy.note_clicked(id);
            self.learner.note_clicked(&mut user.learning, id);
        }
        if self.counts {
            self.tally.sent += 1;
            self.tally.clicks += u64::from(response.clicked);
            self.tally.purchases += u64::from(response.purchased);
            self.tally.dismissed += u64::from(response.dismissed);
            self.tally.opt_outs += u64::from(response.left);
        }
    }
}

/// Candidate of an occasion; one that may wait for a better hour is not urgent.
fn candidate(items: &[ItemId], chance: Chance, may_wait: bool) -> Candidate<'_> {
    Candidate {
        category: chance.category,
        campaign: chance.trigger,
        priority: if may_wait { Priority::Low } else { Priority::Normal },
        items,
        subject: None,
        needs_items: true,
        solicited: false,
        said_by_shop: false,
        from_profile: true,
        is_digest: false,
        truth: Precondition::Holds,
        dedupe_key: None,
        expires_at: chance.expires_at,
    }
}
