//! The two server processes: start, crash, and the lease that moves between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidings::base::NotificationId;
use tidings::deliver::push_services::{Limits, PushServices};
use tidings::feedback::learner::Learner;

use super::{Event, Sim};
use crate::journal::Journal;
use crate::notifier::Notifier;
use crate::shell::Actor;

/// One server process.
pub struct Server {
    pub is_alive: bool,
    /// Counts starts: what was scheduled before the last one is void.
    pub life: u64,
    pub actors: BTreeMap<u64, Actor>,
    pub registry: Vec<Option<u64>>,
    pub journal: Journal,
    pub notifier: Notifier,
    pub learner: Arc<Learner>,
    /// Hour and messages sent in it.
    pub budget: (i64, u64),
    /// Users with a push subscription, as this server knows.
    pub subscribed: BTreeSet<usize>,
    /// Deferred triggers of absent users that were woken, and when.
    pub woken: BTreeMap<uuid::Uuid, i64>,
    /// When the push outbox is looked at next.
    pub push_at: Option<i64>,
    /// Budgets and breakers of push services.
    pub services: PushServices,
    /// Since when a due push to a device has waited.
    pub push_waits: BTreeMap<(NotificationId, usize), i64>,
    /// The same for absent users.
    pub look_at: Option<i64>,
}

impl Server {
    pub(super) fn new(users: usize) -> Self {
        Self {
            is_alive: false,
            life: 0,
            actors: BTreeMap::new(),
            registry: vec![None; users],
            journal: Journal::default(),
            notifier: Notifier::default(),
            learner: Arc::default(),
            budget: (0, 0),
            subscribed: BTreeSet::new(),
            woken: BTreeMap::new(),
            push_at: None,
            services: PushServices::new(Limits { total: 4, per_service: 2 }),
            push_waits: BTreeMap::new(),
            look_at: None,
        }
    }
}

impl Sim {
    /// A server starts from what the store holds.
    pub fn start(&mut self, server: usize) {
        let users = self.names.len();
        let life = self.servers[server].life + 1;
        let subscribed =
            (0..users).filter(|user| !self.store.users[*user].subscriptions.is_empty()).collect();
        self.servers[server] = Server { is_alive: true, life, subscribed, ..Server::new(users) };
        self.release_claims();
        let grace = self.config().webpush.grace_ms as i64 * 1_000;
        self.schedule_for(server, self.mono + grace, Event::Sweep);
        self.wake_notifier(server, 0);
        self.wake_pusher(server);
        self.schedule_look(server);
    }

    /// A server dies: memory and connections are gone.
    pub fn crash(&mut self, server: usize) {
        if !self.servers[server].is_alive {
            return;
        }
        self.servers[server].is_alive = false;
        self.servers[server].life += 1;
        self.merging = self.merging.filter(|merging| merging.server != server);
        let actors = std::mem::take(&mut self.servers[server].actors);
        for actor in actors.values() {
            self.shadow.forgotten(actor.user, server);
        }
        self.lose_pages(server);
    }

    /// Another server takes the lease; the one before goes on until it learns of it.
    pub fn move_lease(&mut self) {
        let loser = self.store.holder;
        self.give_up_merge();
        let other = 1 - loser;
        self.crash(other);
        self.store.holder = other;
        self.start(other);
        // It may be cut off from the database for a while before it can ask.
        self.schedule_for(loser, self.mono + 10_000_000, Event::ChecksLease);
    }

    /// The server that has lost the lease learns of it, and ends.
    pub fn notice_loss(&mut self) {
        let loser = 1 - self.store.holder;
        self.crash(loser);
    }
}
