//! Starts the actors of users: one value for all that need a user's actor, made at assembly.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use actix::{Actor, Addr};

use super::pipes::Pipes;
use super::storing::Storing;
use super::{MAILBOX, State, UserActor, UserMailboxes};
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

impl UserActor {
    /// Starts an actor. Its mailbox has its bound at once: one that is set when the actor first runs comes too late for what
    /// is offered before, of which 16 messages would find room.
    fn launch(
        user: ExternalId,
        instance: u64,
        app: Arc<AppState>,
        mailboxes: Arc<UserMailboxes>,
        registry: Arc<Registry>,
        missed: Arc<AtomicBool>,
    ) -> Addr<Self> {
        Self::create(|context| {
            context.set_mailbox_capacity(MAILBOX);
            Self::new(user, instance, app, mailboxes, registry, missed)
        })
    }

    fn new(
        user: ExternalId,
        instance: u64,
        app: Arc<AppState>,
        mailboxes: Arc<UserMailboxes>,
        registry: Arc<Registry>,
        missed: Arc<AtomicBool>,
    ) -> Self {
        Self {
            user,
            instance,
            app,
            mailboxes,
            registry,
            missed,
            reads_again: false,
            state: State::Loading { waiting: Vec::new(), before: None, changes: Vec::new() },
            pipes: Pipes::default(),
            idle_since: Some(Instant::now()),
            waiting_tickets: Vec::new(),
            tickets: HashMap::new(),
            causes: Vec::new(),
            logins: Vec::new(),
            timer: None,
            only_for_messages: true,
            may_finish_soon: false,
            finishing: false,
            pause: None,
            held: false,
            storing: Storing::default(),
        }
    }
}
