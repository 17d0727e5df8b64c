//! One history: users, two servers, a store, devices and a clock. Everything happens on one thread under virtual time, so that
//! the same seed and steps always lead to the same end.

mod event;
mod server;

pub use event::Event;
pub use server::Server;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use tidings::base::{ConnectionId, ExternalId, ItemId, Timestamp};
use tidings::catalogue::Catalogue;
use tidings::config::Config;
use tidings::decide::World;
use tidings::feedback::learner::Learner;
use tidings::recommend::ModelSet;
use tidings::recommend::serve::live::NothingRecent;

use crate::devices::{DEVICES, Device};
use crate::faults::Fault;
use crate::merges::Merging;
use crate::push::{PushService, SERVICES};
use crate::setting::{self, Active, SETTING};
use crate::shadow::{Property, Shadow, Violation};
use crate::steps::Step;
use crate::store::{Store, uuid_of};
use event::Scheduled;

/// Incarnation of all streams; the database keeps it.
pub const EPOCH: &str = "e";

#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub steps: u64,
    pub transitions: u64,
    pub decisions: u64,
    pub messages: u64,
    pub accepted: u64,
    pub shown: u64,
    pub reloads: u64,
    pub merges: u64,
    pub replayed: u64,
}

pub struct Sim {
    pub fault: Option<Fault>,
    pub seed: u64,
    /// Monotonic time, microseconds.
    pub mono: i64,
    /// The wall clock is ahead of it by this.
    pub skew: i64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    pub store: Store,
    /// A merge that is under way.
    pub merging: Option<Merging>,
    pub servers: [Server; 2],
    pub names: Vec<ExternalId>,
    pub devices: Vec<Device>,
    /// Device of each connection.
    pub connections: BTreeMap<u64, usize>,
    pub active: usize,
    pub catalogue: Arc<Catalogue>,
    pub models: usize,
    /// Transitions when the clock was set last, and how often it was.
    pub jumped: u64,
    pub jumps: u64,
    /// The latest moment that the clock has shown.
    pub latest: Timestamp,
    /// When expired deferred triggers were looked for last.
    pub upkept: i64,
    /// Between two ticks of an actor at the moment, microseconds: longer while much time passes.
    pub tick: i64,
    numbers: BTreeMap<&'static str, u64>,
    pub full: BTreeSet<usize>,
    pub slow_reads: std::collections::VecDeque<u16>,
    pub rounds: std::collections::VecDeque<crate::notifier::RoundFate>,
    pub push_fates: std::collections::VecDeque<crate::push::PushFate>,
    pub push_services: [PushService; SERVICES],
    pub shadow: Shadow,
    pub violation: Option<Violation>,
    pub tally: Tally,
    /// Prints each transition.
    pub prints: bool,
}

/// What one transition may read, kept alive beside the state that is changed.
pub struct Parts {
    pub active: &'static Active,
    pub catalogue: Arc<Catalogue>,
    pub models: Arc<ModelSet>,
    pub learner: Arc<Learner>,
    pub now: Timestamp,
    pub draw: u64,
    pub sent_this_hour: u64,
    pub is_subscribed: bool,
}

impl Parts {
    pub fn world(&self) -> World<'_> {
        World {
            now: self.now,
            draw: self.draw,
            config: &SETTING.config,
            definitions: &self.active.definitions,
            catalogue: &self.catalogue,
            models: &self.models,
            experiment_models: &SETTING.experiment_models,
            recent: &NothingRecent,
            learner: &self.learner,
            corrections: &SETTING.corrections,
            sent_this_hour: self.sent_this_hour,
            is_subscribed: self.is_subscribed,
        }
    }
}

impl Sim {
    pub fn new(seed: u64, fault: Option<Fault>) -> Self {
        let n_users = 1 + (seed % 3) as usize;
        let first = 1 + (seed / 3 % 60) as i64 * 7;
        let names: Vec<ExternalId> =
            (0..n_users as i64).map(|user| ExternalId::Integer(first + user)).collect();
        let skew = setting::begin(seed).0;
        let devices = (0..n_users * DEVICES).map(|device| Device::new(device / DEVICES)).collect();
        let mut sim = Self {
            fault,
            seed,
            mono: 0,
            skew,
            queue: BinaryHeap::new(),
            order: 0,
            store: Store::new(names.clone(), fault),
            merging: None,
            servers: [Server::new(n_users), Server::new(n_users)],
            devices,
            connections: BTreeMap::new(),
            active: (seed / 5) as usize % setting::DEFINITIONS,
            catalogue: Arc::clone(&SETTING.catalogue),
            models: 0,
            jumped: 0,
            jumps: 0,
            latest: Timestamp(skew),
            upkept: 0,
            tick: 30_000_000,
            numbers: BTreeMap::new(),
            full: BTreeSet::new(),
            slow_reads: Default::default(),
            rounds: Default::default(),
            push_fates: Default::default(),
            push_services: Default::default(),
            shadow: Shadow::new(&names, Arc::clone(&SETTING.catalogue)),
            violation: None,
            tally: Tally::default(),
            prints: false,
            names,
        };
        sim.start(0);
        sim
    }

    pub fn config(&self) -> &'static Config {
        &SETTING.config
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.mono + self.skew)
    }

    /// The latest moment that the clock has shown.
    pub fn latest(&self) -> Timestamp {
        self.latest.max(self.now())
    }

    /// Sets the clock.
    pub fn jump(&mut self, ms: i64) {
        self.latest = self.latest();
        self.skew += ms * 1_000;
        self.jumped = self.tally.transitions;
        self.jumps += 1;
    }

    /// The clock that decisions of the shell read.
    fn clock(&self) -> Timestamp {
        let now = self.now();
        if self.fault == Some(Fault::ClockKeepsOldOffset) {
            // A day and a half after the beginning, which lies some hours before a change.
            return if self.mono > 6 * 3_600_000_000 { Timestamp(now.0 - 3_600_000_000) } else { now };
        }
        now
    }

    /// The next number of a kind.
    pub fn number(&mut self, kind: &'static str) -> u64 {
        let next = self.numbers.entry(kind).or_default();
        *next += 1;
        *next
    }

    pub fn uuid(&mut self, kind: &'static str) -> uuid::Uuid {
        let number = self.number(kind);
        uuid_of(kind, number)
    }

    pub fn connection(&mut self) -> ConnectionId {
        ConnectionId(self.number("connection"))
    }

    /// The server that holds the lease, if it runs.
    pub fn holder(&self) -> Option<usize> {
        let holder = self.store.holder;
        self.servers[holder].is_alive.then_some(holder)
    }

    pub fn fail(&mut self, property: Property, text: impl Into<String>) {
        if self.violation.is_none() {
            self.violation = Some(Violation { property, text: text.into() });
        }
    }

    pub fn parts(&mut self, server: usize, user: usize) -> Parts {
        let number = self.number("draw");
        let now = self.clock();
        let hour = now.0.div_euclid(3_600_000_000);
        let budget = self.servers[server].budget;
        Parts {
            active: &SETTING.active[self.active],
            catalogue: Arc::clone(&self.catalogue),
            models: Arc::clone(&SETTING.models[self.models]),
            learner: Arc::clone(&self.servers[server].learner),
            now,
            draw: (self.seed << 24) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            sent_this_hour: if budget.0 == hour { budget.1 } else { 0 },
            is_subscribed: self.servers[server].subscribed.contains(&user),
        }
    }

    /// What the record of a decision names, as the store of versions has it.
    pub fn recorded(&self, parts: &Parts) -> Parts {
        Parts {
            catalogue: self.shadow.catalogue(parts.catalogue.version()),
            models: Arc::clone(&parts.models),
            learner: Arc::clone(&parts.learner),
            ..*parts
        }
    }

    pub fn item(number: u8) -> ItemId {
        ItemId(u32::from(number) % setting::ITEMS)
    }

    /// Carries out one step, then checks.
    pub fn step(&mut self, step: &Step) {
        self.tally.steps += 1;
        self.apply(step);
        self.check_after_step();
    }
}
