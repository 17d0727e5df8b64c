//! A cap is never exceeded: eight triggers at once, devices that are looked at, hidden or away, commits that succeed, fail or
//! stay unknown, pushes that are taken or refused, messages that expire before anybody was given them, and crashes after which
//! everything is rebuilt from what was stored. Seeded histories of one user each, beside which a ledger keeps what was shown.

use rand::RngExt;
use uuid::Uuid;

use crate::base::random::{ChaCha8Rng, rng};
use crate::base::{ItemId, Millis, NotificationId, Timestamp};
use crate::config::{self, Cap};
use crate::notify::policy::{Candidate, Channel, Channels, Moment, Outcome, Preferences, Truth};
use crate::notify::{PolicyState, Priority, Rules, Sent, decide};

const TRIGGERS: usize = 8;
const STEPS: usize = 60;
const CATEGORIES: [&str; 3] = ["similar_items", "goes_with", "for_you"];

/// A message as the ledger sees it, which decides nothing.
#[derive(Clone, Debug)]
struct Message {
    /// As decided, with what the database knows of who was given it.
    row: Sent,
    /// In the database; before that it is on the way there.
    stored: bool,
    /// A push service is being asked; what it answers is not recorded yet.
    claimed: bool,
    /// Somebody saw it.
    shown: bool,
}

impl Message {
    /// Was it shown, or could it still be?
    fn is_owed_a_place(&self, now: Timestamp) -> bool {
        self.shown || self.row.expires_at > now
    }
}

struct World {
    rules: Rules,
    now: Timestamp,
    /// What the actor holds.
    state: PolicyState,
    /// Everything that was decided and did not fail, by time.
    messages: Vec<Message>,
    number: u128,
    all: Histories,
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
            messages: Vec::new(),
            number: 0,
            all: Histories::default(),
        }
    }

    /// One of eight triggers, for a page that is looked at, a browser that is reached by push, or nobody.
    fn trigger(&mut self, trigger: usize, random: &mut ChaCha8Rng) {
        let items = [ItemId(trigger as u32)];
        let category = CATEGORIES.get(trigger % CATEGORIES.len()).copied().unwrap_or_default();
        let expires_at = self.now + Millis(random.random_range(60_000..2_400_000));
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
            expires_at,
        };
        let reached = random.random_range(0..3);
        let channels = Channels { socket: reached == 0, push: reached == 1 };
        let moment = Moment { channels, ..Moment::at(self.now) };
        let decision = decide(&candidate, &moment, &self.state, &self.rules, &Preferences::default());
        if !matches!(decision.outcome, Outcome::Send | Outcome::InboxOnly) {
            return;
        }
        self.number += 1;
        let id = NotificationId(Uuid::from_u128(self.number));
        let plain = Sent::plain(id, self.now, category, decision.channel);
        let row =
            Sent { items: items.into(), expires_at, given: decision.channel == Channel::Socket, ..plain };
        self.state.note_sent(row.clone());
        self.messages.push(Message { row, stored: false, claimed: false, shown: false });
        self.check(decision.channel, category);
    }

    /// The caps by the ledger, at the moment of a decision.
    fn check(&mut self, channel: Channel, category: &str) {
        let scope = |scope: &str, name: &str| scope == "*" || scope == name;
        for cap in &self.rules.caps {
            if !scope(&cap.category, category) || !scope(&cap.channel, channel.name()) {
                continue;
            }
            let since = self.now - Millis(cap.window_min * 60_000);
            let within = self.messages.iter().filter(|message| {
                message.row.at > since
                    && scope(&cap.category, &message.row.category)
                    && scope(&cap.channel, message.row.channel.name())
            });
            let (all, owed) = within.fold((0, 0), |(all, owed), message| {
                (all + 1, owed + usize::from(message.is_owed_a_place(self.now)))
            });
            self.all.exceeded += usize::from(owed > cap.max);
            self.all.refunded += usize::from(all > cap.max && owed <= cap.max);
        }
    }

    /// Stored, then sent: who looks sees it.
    fn commit(&mut self) {
        for message in self.messages.iter_mut().filter(|message| !message.stored) {
            message.stored = true;
            message.shown = message.row.channel == Channel::Socket;
        }
    }

    fn fail(&mut self) {
        for message in self.messages.iter().filter(|message| !message.stored) {
            self.state.refund(message.row.id);
        }
        self.messages.retain(|message| message.stored);
    }

    /// A page opens, or is looked at again: it is given some of what waits.
    fn look(&mut self, random: &mut ChaCha8Rng) {
        let now = self.now;
        let waits = |message: &&mut Message| message.stored && message.row.expires_at > now;
        for message in self.messages.iter_mut().filter(waits).filter(|_| random.random_bool(0.7)) {
            message.shown = true;
            if self.state.note_given(message.row.id) {
                message.row.given = true;
            }
        }
    }

    /// The sender of pushes claims what is due.
    fn push(&mut self, random: &mut ChaCha8Rng) {
        let now = self.now;
        let is_due = |message: &&mut Message| {
            message.row.channel == Channel::Push && message.stored && message.row.expires_at > now
        };
        for message in self.messages.iter_mut().filter(is_due).filter(|message| !message.row.given) {
            message.claimed = true;
            message.shown |= random.random_bool(0.5);
        }
    }

    /// Time passes. No request to a push service takes longer: what it answered is recorded.
    fn pass(&mut self, random: &mut ChaCha8Rng) {
        self.now = self.now + Millis(random.random_range(0..90_000));
        for message in &mut self.messages {
            if std::mem::take(&mut message.claimed) && message.shown {
                message.row.given |= self.state.note_given(message.row.id);
            }
        }
        self.now = self.now + Millis(random.random_range(0..1_200_000));
    }

    /// Nobody knows which of the messages under way were stored; what is left is read again. What was claimed may have been
    /// pushed.
    fn crash(&mut self, random: &mut ChaCha8Rng) {
        self.messages.retain_mut(|message| {
            if std::mem::take(&mut message.claimed) {
                message.row.given = true;
            }
            let arrived = message.stored || random.random_bool(0.5);
            message.stored = arrived;
            arrived
        });
        self.state = PolicyState::default();
        self.messages.iter().for_each(|message| self.state.note_sent(message.row.clone()));
    }

    /// Windows in which more was shown than a cap allows.
    fn exceeded(&self) -> usize {
        let of = |cap: &Cap| {
            let scope = |scope: &str, name: &str| scope == "*" || scope == name;
            let counted = self.messages.iter().filter(|message| {
                message.shown
                    && scope(&cap.category, &message.row.category)
                    && scope(&cap.channel, message.row.channel.name())
            });
            let counted: Vec<Timestamp> = counted.map(|message| message.row.at).collect();
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
    /// Moments at which one of three caps was exceeded by what was shown or could still be shown.
    pub exceeded: usize,
    /// Messages that got a place which another, expired before anybody was given it, had given back.
    pub refunded: usize,
}

/// So many seeded histories.
pub fn histories(runs: u64) -> Histories {
    let mut all = Histories::default();
    for seed in 0..runs {
        let mut random = rng(seed, "caps");
        let mut world = World::new(&mut random);
        for _ in 0..STEPS {
            match random.random_range(0..12) {
                0..6 => {
                    let together = random.random_range(1..=TRIGGERS);
                    (0..together).for_each(|trigger| world.trigger(trigger, &mut random));
                }
                6 => world.commit(),
                7 => world.fail(),
                8 => world.crash(&mut random),
                9 => world.look(&mut random),
                10 => world.push(&mut random),
                _ => world.pass(&mut random),
            }
        }
        world.commit();
        all.told += world.messages.len();
        all.exceeded += world.all.exceeded + world.exceeded();
        all.refunded += world.all.refunded;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_never_exceeded_whatever_crashes_and_expires() {
        let all = histories(10_000);
        assert_eq!(all.exceeded, 0);
        // A rule that sends nothing would pass as well, and so would one that gives nothing back.
        assert!(all.told > 50_000 && all.refunded > 1_000, "{all:?}");
    }
}
