//! The shadow: what must be true, kept from requests, frames and rows alone. It shares plain types with the core and none of its
//! rules.

pub mod accepted;
pub mod devices;
pub mod policy;
pub mod rates;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use tidings::base::{ExternalId, NotificationId, Timestamp};
use tidings::catalogue::Catalogue;
use tidings::decide::record::Record;
use tidings::decide::{Effect, Input};

use crate::journal::Entry;
use crate::sim::{Parts, Sim};

use accepted::Accepted;
use policy::Wishes;
use rates::Rates;

/// What a history may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// What was accepted is shown once, lies in the inbox, or has a stored reason.
    Accepted,
    /// Caps, quiet hours, consent, mutes and opt-outs hold.
    Policy,
    /// Offsets go up, and a resume is complete or says that it is not.
    Order,
    /// All devices of a user show the same counts and withdrawals, those of the store.
    Counts,
    /// A decision can be made again from what its record names.
    Replay,
    /// Nothing is decided again and again.
    Loop,
    /// What is deferred for somebody who is there has a timer, and is released in time.
    Timer,
    /// A push service that is well gets what is due, however others do.
    Push,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted is shown once or has a stored reason",
            Self::Policy => "caps, quiet hours and wishes hold",
            Self::Order => "streams are ordered and complete",
            Self::Counts => "devices agree",
            Self::Replay => "decisions replay",
            Self::Loop => "decisions are bounded",
            Self::Timer => "deferred is released in time",
            Self::Push => "push services do not hold one another up",
        })
    }
}

/// A broken property and how it showed.
#[derive(Clone, Debug)]
pub struct Violation {
    pub property: Property,
    pub text: String,
}

/// One user as the shadow sees it.
#[derive(Default)]
pub struct UserShadow {
    pub wishes: Wishes,
    /// Shown on any device.
    pub shown: BTreeSet<NotificationId>,
    pub decided: BTreeMap<NotificationId, policy::Decided>,
    /// Messages that must not be announced.
    pub hushed: BTreeSet<NotificationId>,
    pub ephemeral: Vec<policy::Ephemeral>,
    pub rates: Rates,
}

pub struct Shadow {
    pub users: Vec<UserShadow>,
    pub accepted: Vec<Accepted>,
    catalogues: HashMap<u64, Arc<Catalogue>>,
    /// Found where no world is at hand; picked up by the next check.
    pub found: Option<Violation>,
    /// Rows of these users are to be checked against their caps.
    pub landed: Vec<(usize, NotificationId)>,
}

impl Shadow {
    pub fn new(names: &[ExternalId], catalogue: Arc<Catalogue>) -> Self {
        Self {
            users: names.iter().map(|_| UserShadow::default()).collect(),
            accepted: Vec::new(),
            catalogues: [(catalogue.version(), catalogue)].into(),
            found: None,
            landed: Vec::new(),
        }
    }

    pub fn note_catalogue(&mut self, catalogue: Arc<Catalogue>) {
        self.catalogues.insert(catalogue.version(), catalogue);
    }

    /// The version stands for the catalogue before.
    pub fn keep_catalogue(&mut self, version: u64) {
        if let Some(before) = self.catalogues.get(&(version - 1)).cloned() {
            self.catalogues.insert(version, before);
        }
    }

    /// The catalogue of a version; of one that nobody noted, the newest.
    pub fn catalogue(&self, version: u64) -> Arc<Catalogue> {
        let newest = || self.catalogues.iter().max_by_key(|(version, _)| **version).map(|(_, one)| one);
        Arc::clone(self.catalogues.get(&version).or_else(newest).unwrap())
    }

    pub fn shown(&mut self, user: usize, id: NotificationId) {
        self.users[user].shown.insert(id);
    }

    /// One user was merged into another: all that holds of it holds of the other.
    pub fn merged(&mut self, alias: usize, user: usize, now: Timestamp) {
        let other = std::mem::take(&mut self.users[alias]);
        let own = &mut self.users[user];
        own.shown.extend(other.shown);
        own.decided.extend(other.decided);
        own.hushed.extend(other.hushed);
        own.wishes.join(&other.wishes, now);
    }

    /// A server has forgotten what it held of a user: only what is stored counts.
    pub fn forgotten(&mut self, user: usize, server: usize) {
        let shadow = &mut self.users[user];
        shadow.ephemeral.retain(|one| one.server != server);
        shadow.wishes.forgotten(server);
    }

    /// A commit stored these.
    pub fn stored(&mut self, server: usize, group: &[Entry]) {
        for entry in group {
            if let Some(message) = entry.message() {
                self.landed.push((message.user.0 as usize - 1, message.notification_id));
            }
            if let Some(Record::Preferences(user, _)) = entry.record() {
                self.users[user.0 as usize - 1].wishes.stored(server);
            }
        }
    }
}

impl Sim {
    /// What a transition says of itself.
    pub fn shadow_transition(
        &mut self,
        server: usize,
        user: usize,
        input: &Input,
        effects: &[Effect],
        parts: &Parts,
    ) {
        self.shadow.link(effects);
        self.note_wishes(server, user, input, effects);
        if server == self.store.holder {
            self.check_placed(user, effects, parts);
            self.check_ephemeral(server, user, input, effects, parts);
            self.check_rates(user, input, effects);
        }
    }

    pub fn check_after_event(&mut self) {
        if let Some(violation) = self.shadow.found.take() {
            self.fail(violation.property, violation.text);
        }
        for (user, id) in std::mem::take(&mut self.shadow.landed) {
            self.check_caps(user, id);
            self.check_once(user, id);
        }
        self.check_timers();
    }

    pub fn check_after_step(&mut self) {
        self.check_after_event();
        self.check_accepted();
        self.check_devices();
    }
}
