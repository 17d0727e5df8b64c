//! The simulated database: rows of each user, the outbox of the API, the outbox of Web Push and the fence of the lease. A commit
//! stores all of its entries or none.

mod commit;
mod load;
mod rows;

pub use rows::{MessageRow, OutboxRow, PushRow, Refusal, UserRows};

use std::collections::{BTreeMap, BTreeSet};

use tidings::base::{EventKey, ExternalId, NotificationId, Timestamp, UserId};
use tidings::notify::policy::PreferenceDocument;
use uuid::Uuid;

use crate::faults::Fault;

pub struct Store {
    pub users: Vec<UserRows>,
    pub outbox: BTreeMap<(Timestamp, i64), OutboxRow>,
    next_outbox_id: i64,
    /// Batches that are paused.
    pub paused: BTreeSet<uuid::Uuid>,
    pub pushes: Vec<PushRow>,
    /// The server whose commits are accepted.
    pub holder: usize,
    pub fault: Option<Fault>,
}

impl Store {
    pub fn new(users: Vec<ExternalId>, fault: Option<Fault>) -> Self {
        let users = users.into_iter().enumerate();
        Self {
            users: users.map(|(index, external_id)| Self::rows(index, external_id)).collect(),
            outbox: BTreeMap::new(),
            next_outbox_id: 1,
            paused: BTreeSet::new(),
            pushes: Vec::new(),
            holder: 0,
            fault,
        }
    }

    /// A user of whom nothing is stored.
    pub fn rows(index: usize, external_id: ExternalId) -> UserRows {
        UserRows {
            user: UserId(index as u32 + 1),
            external_id,
            robot_since: None,
            last_connected: None,
            fired_once: BTreeMap::new(),
            events: Vec::new(),
            preferences: PreferenceDocument::default(),
            preferences_at: None,
            consents: Vec::new(),
            held: Vec::new(),
            messages: Vec::new(),
            acknowledged: 0,
            decisions: Vec::new(),
            feedback: Vec::new(),
            subscriptions: BTreeSet::new(),
            refusals: BTreeMap::new(),
            merged_into: None,
            merged_at: None,
        }
    }

    pub fn of(&mut self, user: UserId) -> &mut UserRows {
        &mut self.users[user.0 as usize - 1]
    }

    pub fn insert_outbox(&mut self, due_at: Timestamp, row: OutboxRow) -> i64 {
        let id = self.next_outbox_id;
        self.next_outbox_id += 1;
        self.outbox.insert((due_at, id), row);
        id
    }

    pub fn remove_outbox(&mut self, ids: &[i64]) {
        self.outbox.retain(|(_, id), _| !ids.contains(id));
    }

    /// Whether a message has its place, in whichever stream.
    pub fn is_placed(&self, id: NotificationId) -> bool {
        self.users.iter().flat_map(|rows| &rows.messages).any(|row| row.message.notification_id == id)
    }

    /// Whether what a server writes is stored: it holds the lease.
    pub fn accepts(&self, server: usize) -> bool {
        server == self.holder || self.fault == Some(Fault::AcceptsLosersCommits)
    }
}

/// A UUID that follows from a name, so that a history makes the same ids each time.
pub fn uuid_of(name: &str, number: u64) -> Uuid {
    EventKey::from_parts(&[name.as_bytes(), &number.to_le_bytes()]).0
}
