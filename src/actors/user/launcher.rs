//! Starts the actors of users: one value for all that need a user's actor, made at assembly.

use std::sync::Arc;

use super::{UserActor, UserMailboxes};
use crate::registry::{Entry, Registry};
use tidings_core::base::ExternalId;
use tidings_state::AppState;

/// All that a user's actor is started with.
pub struct UserLauncher {
    state: Arc<AppState>,
    mailboxes: Arc<UserMailboxes>,
    registry: Arc<Registry>,
}

impl UserLauncher {
    /// Creates the launcher of actors that write to these mailboxes and leave this registry at their end.
    pub fn new(state: Arc<AppState>, mailboxes: UserMailboxes, registry: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self { state, mailboxes: Arc::new(mailboxes), registry })
    }

    /// The actor of the user whom an id stands for, started if there is none.
    pub fn get_or_start(&self, user: &ExternalId) -> Arc<Entry> {
        self.registry.get_or_start(user, |user, instance, missed| {
            let (state, mailboxes) = (Arc::clone(&self.state), Arc::clone(&self.mailboxes));
            let registry = Arc::clone(&self.registry);
            UserActor::launch(user.clone(), instance, state, mailboxes, registry, missed).recipient()
        })
    }
}
