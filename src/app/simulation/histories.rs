//! A cap is never exceeded: eight triggers at once, devices that are looked at, hidden or away, commits that succeed, fail or
//! stay unknown, pushes that are taken or refused, messages that expire before anybody was given them, crashes after which
//! everything is rebuilt from what was stored, and two servers of which one takes over from the other while that still
//! decides. Seeded histories of one user each, beside which a ledger keeps what was shown.

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

/// Two servers on one database: the lease on it is one's at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    First,
    Second,
}

/// A message as the ledger sees it, which decides nothing.
#[derive(Clone, Debug)]
struct Message {
    /// Who decided it.
    node: Node,
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
    /// What the user's actor holds, on the first and on the second server.
    states: (PolicyState, PolicyState),
    /// Who has the lease. The other may not know yet that it has lost it.
    holder: Node,
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
            states: Default::default(),
            holder: Node::First,
            messages: Vec::new(),
            number: 0,
            all: Histories::default(),
        }
    }

    fn state(&mut self, node: Node) -> &mut PolicyState {
        match node {
            Node::First => &mut self.states.0,
            Node::Second => &mut self.states.1,
        }
    }

    /// One of eight triggers on one of two servers, for a page that is looked at, a browser that is reached by push, or nobody.
    fn trigger(&mut self, trigger: usize, random: &mut ChaCha8Rng) {
        let node = if random.random_bool(0.5) { Node::First } else { Node::Second };
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
            said_by_shop: false,
            from_profile: true,
            is_digest: false,
            truth: Truth::Holds,
            dedupe_key: None,
            expires_at,
        };
        let reached = random.random_range(0..3);
        let channels = Channels { socket: reached == 0, push: reached == 1 };
        let moment = Moment { channels, ..Moment::at(self.now) };
        let rules = self.rules.clone();
        let decision = decide(&candidate, &moment, self.state(node), &rules, &Preferences::default());
        if !matches!(decision.outcome, Outcome::Send | Outcome::InboxOnly) {
            return;
        }
        self.number += 1;
        let id = NotificationId(Uuid::from_u128(self.number));
        let plain = Sent::plain(id, self.now, category, decision.channel);
        let row =
            Sent { items: items.into(), expires_at, given: decision.channel == Channel::Socket, ..plain };
        self.state(node).note_sent(row.clone());
        self.messages.push(Message { node, row, stored: false, claimed: false, shown: false });
        if node == self.holder {
            self.check(decision.channel, category);
        }
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
                    && (message.stored || message.node == self.holder)
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

    /// Stored, then sent: who looks sees it. Without the lease nothing is stored.
    fn commit(&mut self, node: Node) {
        if node != self.holder {
            return self.fail(node);
        }
        for message in self.messages.iter_mut().filter(|message| !message.stored && message.node == node) {
            message.stored = true;
            message.shown = message.row.channel == Channel::Socket;
        }
    }

    fn fail(&mut self, node: Node) {
        let failed = |message: &Message| !message.stored && message.node == node;
        let ids: Vec<_> =
            self.messages.iter().filter(|message| failed(message)).map(|message| message.row.id).collect();
        ids.into_iter().for_each(|id| self.state(node).refund(id));
        self.messages.retain(|message| !failed(message));
    }

    /// The holder and the database learn that somebody was given these.
    fn give(&mut self, given: Vec<NotificationId>) {
        for id in given {
            self.state(self.holder).note_given(id);
            for message in self.messages.iter_mut().filter(|message| message.row.id == id) {
                message.row.given = true;
            }
        }
    }

    /// A page opens, or is looked at again: it is given some of what waits.
    fn look(&mut self, random: &mut ChaCha8Rng) {
        let now = self.now;
        let waits = |message: &&mut Message| message.stored && message.row.expires_at > now;
        let mut given = Vec::new();
        for message in self.messages.iter_mut().filter(waits).filter(|_| random.random_bool(0.7)) {
            message.shown = true;
            given.push(message.row.id);
        }
        self.give(given);
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
        let mut sent = Vec::new();
        for message in &mut self.messages {
            sent.extend((std::mem::take(&mut message.claimed) && message.shown).then_some(message.row.id));
        }
        self.give(sent);
        self.now = self.now + Millis(random.random_range(0..1_200_000));
    }

    /// Nobody knows which of the messages under way were stored; what is left is read again. What was claimed may have been
    /// pushed.
    fn crash(&mut self, random: &mut ChaCha8Rng) {
        let node = self.holder;
        self.messages.retain_mut(|message| {
            message.stored |= message.node == node && random.random_bool(0.5);
            message.stored || message.node != node
        });
        self.read(node);
    }

    /// The other server takes the lease. What the first has under way arrives before the other reads, or never: the first
    /// goes on deciding until its next commit is refused. What the other had under way ended with its last life.
    fn take_over(&mut self, random: &mut ChaCha8Rng) {
        let before = self.holder;
        self.holder = if before == Node::First { Node::Second } else { Node::First };
        self.fail(self.holder);
        for message in self.messages.iter_mut().filter(|message| message.node == before && !message.stored) {
            message.stored = random.random_bool(0.3);
            message.shown = message.stored && message.row.channel == Channel::Socket;
        }
        self.read(self.holder);
    }

    /// A server starts from what is stored.
    fn read(&mut self, node: Node) {
        let mut state = PolicyState::default();
        for message in self.messages.iter_mut().filter(|message| message.stored) {
            message.row.given |= std::mem::take(&mut message.claimed);
            state.note_sent(message.row.clone());
        }
        *self.state(node) = state;
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
            match random.random_range(0..14) {
                0..6 => {
                    let together = random.random_range(1..=TRIGGERS);
                    (0..together).for_each(|trigger| world.trigger(trigger, &mut random));
                }
                6 => world.commit(world.holder),
                7 => world.fail(world.holder),
                8 => world.crash(&mut random),
                9 => world.look(&mut random),
                10 => world.push(&mut random),
                11 => world.take_over(&mut random),
                12 => [Node::First, Node::Second].into_iter().for_each(|node| world.commit(node)),
                _ => world.pass(&mut random),
            }
        }
        [Node::First, Node::Second].into_iter().for_each(|node| world.commit(node));
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
    fn a_cap_is_never_exceeded_whatever_crashes_expires_and_takes_over() {
        let all = histories(10_000);
        assert_eq!(all.exceeded, 0);
        // A rule that sends nothing would pass as well, and so would one that gives nothing back.
        assert!(all.told > 50_000 && all.refunded > 1_000, "{all:?}");
    }
}
