//! Registry of the actors that serve users: one entry per user on this node. A second number guards removal, so that an old
//! actor's goodbye can't remove the new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::Recipient;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::aliases::Aliases;
use super::send::{Offer, offer};
use super::user::messages::{Snapshot, UserMessage};
use tidings_core::base::ExternalId;
use tidings_core::event::Event;
use tidings_decision::decide::{Input, ListRequest, Recommendations};
use tidings_decision::deliver::stream::Counts;

/// One user's actor.
pub struct Entry {
    /// Number of the actor's incarnation.
    pub instance: u64,
    /// Kept here and used by reference, so that its mailbox bound holds.
    recipient: Recipient<UserMessage>,
    /// Something could not be delivered: the actor must read its state from the database again.
    pub missed: Arc<AtomicBool>,
}

impl Entry {
    /// Offers the actor a message.
    pub fn offer(&self, message: UserMessage) -> Offer<UserMessage> {
        offer(&self.recipient, message)
    }

    /// Tells the actor that something happened, and is stored where it is stored at all. An actor whose mailbox is full reads
    /// its user again.
    pub fn happened(&self, input: Input) {
        self.tell(UserMessage::Happened(input));
    }

    /// Offers what is durable; false when the mailbox was full, and the actor will read it from the database.
    fn tell(&self, message: UserMessage) -> bool {
        let full = matches!(self.offer(message), Offer::Full(_));
        if full {
            self.missed.store(true, Ordering::Release);
        }
        !full
    }

    /// The live profile; `None` while the user is read, or when the actor takes nothing.
    pub async fn profile(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.offer(UserMessage::ProfileSnapshot(reply)).is_queued().then_some(())?;
        answer.await.ok()
    }

    /// The counts of the inbox, as open connections know them once they were told all that the actor was; `None` like
    /// [`Self::profile`], and when the actor is to read its user again.
    pub async fn inbox_counts(&self) -> Option<Counts> {
        let (reply, answer) = oneshot::channel();
        let is_current = !self.missed.load(Ordering::Acquire);
        (is_current && self.offer(UserMessage::InboxCounts(reply)).is_queued()).then_some(())?;
        answer.await.ok()
    }

    /// A list for the user as it is right now; `None` like [`Self::profile`].
    pub async fn recommend(&self, list: ListRequest) -> Option<Recommendations> {
        let (reply, answer) = oneshot::channel();
        self.offer(UserMessage::Recommend { list: Box::new(list), reply }).is_queued().then_some(())?;
        answer.await.ok()
    }
}

/// Locks of [`Registry::in_order`]: users with the same hash modulo this number wait for each other.
const ORDERS: usize = 1_024;
/// After a start, users who were connected before it are expected for so long.
const COMING_BACK: Duration = Duration::from_secs(30);

/// All users with an actor on this node.
pub struct Registry {
    /// Ids that stand for other users.
    pub aliases: Aliases,
    users: DashMap<ExternalId, Arc<Entry>>,
    instances: AtomicU64,
    orders: Box<[Arc<Mutex<()>>]>,
    since: Instant,
}

impl Default for Registry {
    fn default() -> Self {
        let orders = (0..ORDERS).map(|_| Arc::default()).collect();
        Self {
            aliases: Aliases::default(),
            users: DashMap::default(),
            instances: AtomicU64::default(),
            orders,
            since: Instant::now(),
        }
    }
}

impl Registry {
    /// Returns whether the start was a moment ago, so that who was connected before it is about to come back.
    pub fn is_young(&self) -> bool {
        self.since.elapsed() < COMING_BACK
    }

    /// The actor of the user whom an id stands for; `start` makes one, of that user, when there is none. At most one at a time per
    /// user.
    pub fn get_or_start(
        &self,
        named: &ExternalId,
        start: impl FnOnce(&ExternalId, u64, Arc<AtomicBool>) -> Recipient<UserMessage>,
    ) -> Arc<Entry> {
        loop {
            let user = self.aliases.user(named);
            match self.users.entry(user.clone()) {
                Slot::Occupied(slot) if slot.get().recipient.connected() => return Arc::clone(slot.get()),
                // It is being merged: whoever does that looks for an actor afterwards, and is to find none.
                _ if self.aliases.merged(&user).is_some() => {}
                slot => {
                    let instance = self.instances.fetch_add(1, Ordering::Relaxed);
                    let missed = Arc::new(AtomicBool::new(false));
                    let recipient = start(&user, instance, Arc::clone(&missed));
                    let entry = Arc::new(Entry { instance, recipient, missed });
                    slot.insert(Arc::clone(&entry));
                    return entry;
                }
            }
        }
    }

    /// The actor of the user whom an id stands for, if there is one.
    pub fn get(&self, named: &ExternalId) -> Option<Arc<Entry>> {
        match self.aliases.merged(named) {
            Some(user) => self.own(&user),
            None => self.own(named),
        }
    }

    /// The actor under this very id, also while it is being merged; `None` for one that has ended in a panic.
    pub fn running(&self, user: &ExternalId) -> Option<Arc<Entry>> {
        self.own(user).filter(|entry| entry.recipient.connected())
    }

    fn own(&self, user: &ExternalId) -> Option<Arc<Entry>> {
        self.users.get(user).map(|entry| Arc::clone(&entry))
    }

    /// Removes an incarnation; a newer one stays.
    pub fn remove(&self, user: &ExternalId, instance: u64) {
        self.users.remove_if(user, |_, entry| entry.instance == instance);
    }

    /// Tells a user's actor, if any, which events were committed; `at`: when the request was read. False when its mailbox was
    /// full.
    pub fn committed(&self, user: &ExternalId, events: Vec<Event>, at: Instant) -> bool {
        self.get(user).is_none_or(|entry| entry.tell(UserMessage::EventsCommitted { events, at }))
    }

    /// Held from before a change of a user's preferences, consent or inbox is stored until the actor was told: it is told of changes in
    /// the order in which they were stored. For one user at a time.
    /// Two ids of one user have one order.
    pub async fn in_order(&self, named: &ExternalId) -> OwnedMutexGuard<()> {
        loop {
            let user = self.aliases.user(named);
            let order = self.order(self.place(&user)).await;
            if self.aliases.user(named) == user {
                return order;
            }
        }
    }

    /// The same for two users who are about to be merged.
    pub(super) async fn both_in_order(
        &self,
        one: &ExternalId,
        other: &ExternalId,
    ) -> Vec<OwnedMutexGuard<()>> {
        let (one, other) = (self.place(one), self.place(other));
        let mut orders = vec![self.order(one.min(other)).await];
        if one != other {
            orders.push(self.order(one.max(other)).await);
        }
        orders
    }

    fn place(&self, user: &ExternalId) -> usize {
        self.users.hash_usize(user) % ORDERS
    }

    async fn order(&self, place: usize) -> OwnedMutexGuard<()> {
        // Always within.
        self.orders.get(place).cloned().unwrap_or_default().lock_owned().await
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

    /// Returns whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}
