//! Which actor serves a user: one entry per user on this node. A second number guards removal, so that an old
//! actor's goodbye can't remove the new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actix::Addr;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;

use super::send::{Offer, offer};
use super::user::{EventsCommitted, Happened, UserActor};
use crate::base::ExternalId;
use crate::decide::Input;

/// One user's actor.
pub struct Entry {
    /// Which incarnation of the actor.
    pub instance: u64,
    /// Kept here and used by reference, so that its mailbox bound holds.
    pub address: Addr<UserActor>,
    /// Something could not be delivered: the actor must read its state from the database again.
    pub missed: Arc<AtomicBool>,
}

impl Entry {
    /// Tells the actor that something happened, and is stored where it is stored at all. An actor whose mailbox is full reads
    /// its user again.
    pub fn happened(&self, input: Input) {
        if let Offer::Full(_) = offer(&self.address, Happened(input)) {
            self.missed.store(true, Ordering::Release);
        }
    }
}

/// All users with an actor on this node.
#[derive(Default)]
pub struct Registry {
    users: DashMap<ExternalId, Arc<Entry>>,
    instances: AtomicU64,
}

impl Registry {
    /// The user's actor; `start` makes one when there is none. At most one at a time per user.
    pub fn get_or_start(
        &self,
        user: &ExternalId,
        start: impl FnOnce(u64, Arc<AtomicBool>) -> Addr<UserActor>,
    ) -> Arc<Entry> {
        match self.users.entry(user.clone()) {
            Slot::Occupied(slot) if slot.get().address.connected() => Arc::clone(slot.get()),
            slot => {
                let instance = self.instances.fetch_add(1, Ordering::Relaxed);
                let missed = Arc::new(AtomicBool::new(false));
                let entry =
                    Arc::new(Entry { instance, address: start(instance, Arc::clone(&missed)), missed });
                slot.insert(Arc::clone(&entry));
                entry
            }
        }
    }

    /// The user's actor, if there is one.
    pub fn get(&self, user: &ExternalId) -> Option<Arc<Entry>> {
        self.users.get(user).map(|entry| Arc::clone(&entry))
    }

    /// Removes an incarnation; a newer one stays.
    pub fn remove(&self, user: &ExternalId, instance: u64) {
        self.users.remove_if(user, |_, entry| entry.instance == instance);
    }

    /// Tells a user's actor, if any, what was committed. Returns false when its mailbox was full: the events are
    /// durable, and the actor will read them from the database.
    pub fn tell(&self, user: &ExternalId, committed: EventsCommitted) -> bool {
        let Some(entry) = self.get(user) else { return true };
        match offer(&entry.address, committed) {
            Offer::Queued | Offer::Closed(_) => true,
            Offer::Full(_) => {
                entry.missed.store(true, Ordering::Release);
                false
            }
        }
    }

    /// Tells a user's actor, if there is one, that something happened.
    pub fn happened(&self, user: &ExternalId, input: Input) {
        if let Some(entry) = self.get(user) {
            entry.happened(input);
        }
    }

    /// Every entry at this moment; no lock is held afterwards.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.users.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// The users at this moment, at most `limit`.
    pub fn users(&self, limit: usize) -> Vec<(ExternalId, Arc<Entry>)> {
        self.users.iter().take(limit).map(|entry| (entry.key().clone(), Arc::clone(entry.value()))).collect()
    }

    /// Users with an actor.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Nobody there?
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}
