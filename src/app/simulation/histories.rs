//! A cap is never exceeded: eight triggers at once, two devices, commits that succeed, fail or stay unknown, and crashes
//! after which everything is rebuilt from what was stored. Seeded histories of one user each.

use rand::RngExt;
use uuid::Uuid;

use crate::base::random::{ChaCha8Rng, rng};
use crate::base::{ItemId, Millis, NotificationId, Timestamp};
use crate::config::{self, Cap};
use crate::notify::policy::{Candidate, Channels, Moment, Outcome, Preferences, Truth};
use crate::notify::{PolicyState, Priority, Rules, Sent, decide};

const TRIGGERS: usize = 8;
const STEPS: usize = 60;
const CATEGORIES: [&str; 3] = ["similar_items", "goes_with", "for_you"];

struct World {
    rules: Rules,
    now: Timestamp,
    /// What the actor holds.
    state: PolicyState,
    /// Decided, on the way to the database.
    in_flight: Vec<Sent>,
    /// In the database, by time: what a user gets to see, and all that is left after a crash.
    stored: Vec<Sent>,
    number: u128,
}

impl World {
    fn new(random: &mut ChaCha8Rng) -> Self {
        let mut caps = vec![
            Cap::on("*", random.random_range(5..60), random.random_range(1..12)),
            Cap::on("similar_items", random.random_range(1..30), random.random_range(0..5)),
        ];
        let mut narrow = Cap::on("*", random.random_range(1..90), random.random_range(1..4));
        (narrow.channel, narrow.campaign) = ("push".into(), "*".into());
        caps.push(narrow);
        let policy = config::Policy { caps, repeat_window_min: 0, ..config::Policy::default() };
        Self {
            rules: Rules::new(&policy),
            now: Timestamp(1_800_000_000_000_000),
            state: PolicyState::default(),
            in_flight: Vec::new(),
            stored: Vec::new(),
            number: 0,
        }
    }

    /// One of eight triggers, seen from one of two devices: one has a socket open, the other is reached by push.
    fn trigger(&mut self, trigger: usize, device: bool) {
        let items = [ItemId(trigger as u32)];
        let category = CATEGORIES.get(trigger % CATEGORIES.len()).copied().unwrap_or_default();
        let candidate = Candidate {
            category,
            campaign: category,
            priority: if trigger == 7 { Priority::High } else { Priority::Normal },
            items: &items,
            subject: None,
            needs_items: true,
            asked_for: false,
            from_profile: true,
            truth: Truth::Holds,
            dedupe_key: None,
            expires_at: self.now + Millis::hours(24),
        };
        let moment = Moment { channels: Channels { socket: device, push: !device }, ..Moment::at(self.now) };
        let decision = decide(&candidate, &moment, &self.state, &self.rules, &Preferences::default());
        if decision.outcome != Outcome::Send {
            return;
        }
        self.number += 1;
        let id = NotificationId(Uuid::from_u128(self.number));
        let sent = Sent { items: items.into(), ..Sent::plain(id, self.now, category, decision.channel) };
        self.state.note_sent(sent.clone());
        self.in_flight.push(sent);
    }

    fn commit(&mut self) {
        self.stored.append(&mut self.in_flight);
    }

    fn fail(&mut self) {
        for sent in self.in_flight.drain(..) {
            self.state.refund(sent.id);
        }
    }

    /// Nobody knows which of the messages under way were stored; what is left is read again.
    fn crash(&mut self, random: &mut ChaCha8Rng) {
        for sent in self.in_flight.drain(..) {
            if random.random_bool(0.5) {
                self.stored.push(sent);
            }
        }
        self.state = PolicyState::default();
        self.stored.iter().cloned().for_each(|sent| self.state.note_sent(sent));
    }

    /// Moments at which a cap was exceeded.
    fn exceeded(&self) -> usize {
        let of = |cap: &Cap| {
            let scope = |scope: &str, name: &str| scope == "*" || scope == name;
            let counted = self.stored.iter().filter(|sent| {
                scope(&cap.category, &sent.category) && scope(&cap.channel, sent.channel.name())
            });
            let counted: Vec<Timestamp> = counted.map(|sent| sent.at).collect();
            let within = |end: &Timestamp| {
                let since = *end - Millis(cap.window_min * 60_000);
                counted.iter().filter(|at| **at > since && *at <= end).count()
            };
            counted.iter().filter(|end| within(end) > cap.max).count()
        };
        self.rules.caps.iter().map(of).sum()
    }
}

/// What came of histories of one user each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histories {
    /// Messages that got through.
    pub told: usize,
    /// Moments at which one of three caps was exceeded.
    pub exceeded: usize,
}

/// So many seeded histories.
pub fn histories(runs: u64) -> Histories {
    let mut all = Histories::default();
    for seed in 0..runs {
        let mut random = rng(seed, "caps");
        let mut world = World::new(&mut random);
        for _ in 0..STEPS {
            match random.random_range(0..10) {
                0..6 => {
                    let together = random.random_range(1..=TRIGGERS);
                    (0..together).for_each(|trigger| world.trigger(trigger, random.random_bool(0.5)));
                }
                6 => world.commit(),
                7 => world.fail(),
                8 => world.crash(&mut random),
                _ => world.now = world.now + Millis(random.random_range(0..600_000)),
            }
        }
        world.commit();
        all.told += world.stored.len();
        all.exceeded += world.exceeded();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_never_exceeded_whatever_crashes() {
        let all = histories(10_000);
        assert_eq!(all.exceeded, 0);
        // A rule that sends nothing would pass as well.
        assert!(all.told > 50_000, "{all:?}");
    }
}
