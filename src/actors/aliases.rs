//! Ids of users that were merged into others, each with the user who answers to it now; and the gate that keeps a merge apart from
//! whatever stores rows of users it has looked up by name.

use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use tidings_core::base::ExternalId;

/// Aliases of this database.
#[derive(Default)]
pub struct Aliases {
    users: DashMap<ExternalId, ExternalId>,
    /// Nobody was ever merged: nothing is looked up.
    any: AtomicBool,
    /// Of requests and batches, which may wait for a connection or take seconds.
    batches: RwLock<()>,
    /// Of commits of events, which do neither. A merge asks for it last: one that waits for a batch holds up no event.
    commits: RwLock<()>,
}

impl Aliases {
    /// Adds those that are stored.
    pub fn load(&self, stored: Vec<(ExternalId, ExternalId)>) {
        for (alias, user) in stored {
            self.any.store(true, Ordering::Release);
            self.users.insert(alias, user);
        }
    }

    /// Returns whether anybody was ever merged.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// The user whom an id stands for: itself unless it was merged.
    pub fn user(&self, named: &ExternalId) -> ExternalId {
        self.merged(named).unwrap_or_else(|| named.clone())
    }

    /// The user into whom an id was merged, or is being merged; `None` for every other.
    pub fn merged(&self, named: &ExternalId) -> Option<ExternalId> {
        if !self.any() {
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
        self.batches.read().await
    }

    /// The same for a commit of events: it must wait for nothing but the database.
    pub(super) async fn committing(&self) -> RwLockReadGuard<'_, ()> {
        self.commits.read().await
    }

    /// Held while a merge moves rows.
    pub(super) async fn moving(&self) -> (RwLockWriteGuard<'_, ()>, RwLockWriteGuard<'_, ()>) {
        let batches = self.batches.write().await;
        (batches, self.commits.write().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_merge_that_waits_for_a_batch_holds_up_no_commit_of_events() {
        let aliases = Aliases::default();
        let batch = aliases.steady().now_or_never().unwrap();
        let mut merge = Box::pin(aliases.moving());
        assert!(merge.as_mut().now_or_never().is_none(), "the batch goes on");
        let commit = aliases.committing().now_or_never().expect("nothing is moved yet");
        drop(batch);
        assert!(merge.as_mut().now_or_never().is_none(), "the commit goes on");
        drop(commit);
        let moving = merge.now_or_never().expect("nothing is under way");
        assert!(aliases.committing().now_or_never().is_none() && aliases.steady().now_or_never().is_none());
        drop(moving);
        assert!(aliases.committing().now_or_never().is_some());
    }
}
