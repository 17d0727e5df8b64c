//! Ids of users that were merged into others, each with the user who answers to it now; and the gate that keeps a merge apart from
//! whatever stores rows of users it has looked up by name.

use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::base::ExternalId;

/// Aliases of this database.
#[derive(Default)]
pub struct Aliases {
    users: DashMap<ExternalId, ExternalId>,
    /// Nobody was ever merged: nothing is looked up.
    any: AtomicBool,
    gate: RwLock<()>,
}

impl Aliases {
    /// Adds those that are stored.
    pub fn load(&self, stored: Vec<(ExternalId, ExternalId)>) {
        for (alias, user) in stored {
            self.any.store(true, Ordering::Release);
            self.users.insert(alias, user);
        }
    }

    /// The user whom an id stands for: itself unless it was merged.
    pub fn user(&self, named: &ExternalId) -> ExternalId {
        self.merged(named).unwrap_or_else(|| named.clone())
    }

    /// The user into whom an id was merged, or is being merged; `None` for every other.
    pub fn merged(&self, named: &ExternalId) -> Option<ExternalId> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let next = |id: &ExternalId| self.users.get(id).map(|user| user.clone());
        let mut found = next(named)?;
        // One that was merged into a user who was merged later; it never leads back.
        while let Some(user) = next(&found) {
            found = user;
        }
        Some(found)
    }

    /// From now on `alias`, and what was merged into it, stands for `user`, who is no alias.
    pub(super) fn note(&self, alias: &ExternalId, user: &ExternalId) {
        self.any.store(true, Ordering::Release);
        self.users.insert(alias.clone(), user.clone());
    }

    /// `alias` stands for itself again.
    pub(super) fn forget(&self, alias: &ExternalId) {
        self.users.remove(alias);
    }

    /// Held while rows of users are stored that were looked up by name: no merge moves anything meanwhile.
    pub async fn steady(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Held while a merge moves rows.
    pub(super) async fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }
}
