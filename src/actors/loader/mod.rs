//! Reads users for their actors, many in one query: while two groups are read, logins wait and go with the next. Ten
//! thousand clients that reconnect at once are a few dozen queries.

pub mod messages;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use self::messages::{Load, LoadError};
use super::mailbox::DropGuard;
use tidings_core::base::{ExternalId, Timestamp, UserId};
use tidings_decision::decide::Loaded;
use tidings_state::AppState;
use tidings_store::{Connection, StoreError, lease, users};

/// Logins waiting in the mailbox.
const MAILBOX: usize = 65_536;
/// Users in one query.
const MAX_GROUP: usize = 256;
/// Groups read at the same time: PostgreSQL works on one while the rows of the other become users.
const MAX_IN_FLIGHT: usize = 2;

/// Groups and reads.
pub struct LoaderActor {
    state: Arc<AppState>,
    waiting: VecDeque<Load>,
    in_flight: usize,
    _guard: DropGuard,
}

impl LoaderActor {
    /// Idle.
    pub fn new(state: Arc<AppState>, guard: DropGuard) -> Self {
        Self { state, waiting: VecDeque::new(), in_flight: 0, _guard: guard }
    }

    fn load(&mut self, context: &mut Context<Self>) {
        if self.in_flight == MAX_IN_FLIGHT || self.waiting.is_empty() {
            return;
        }
        self.in_flight += 1;
        let n = self.waiting.len().min(MAX_GROUP);
        let group: Vec<Load> = self.waiting.drain(..n).collect();
        let wanted: Vec<(ExternalId, bool)> =
            group.iter().map(|load| (load.user.clone(), load.create)).collect();
        let app = Arc::clone(&self.state);
        let read = async move {
            let store = app.store.clone();
            let fields = Arc::clone(store.fields());
            let lending = store.clone();
            store
                .run_patiently(move |connection| {
                    let now = Timestamp::now();
                    let ids = resolve(connection, &wanted)?;
                    let known: Vec<UserId> = ids.iter().flatten().copied().collect();
                    let states = users::load_states(connection, &fields, &known, now)?;
                    lease::confirm_read(connection, &lending)?;
                    let loaded: HashMap<UserId, Box<Loaded>> = states
                        .into_iter()
                        .map(|state| (state.user, Box::new(Loaded::fold(state, &app.catalogue.load()))))
                        .collect();
                    // Cloned, since the same user may be asked for twice in a group.
                    Ok(ids.into_iter().map(|id| loaded.get(&id?).cloned()).collect::<Vec<_>>())
                })
                .await
        };
        context.spawn(read.into_actor(self).map(move |outcome, actor, context| {
            actor.in_flight -= 1;
            match outcome {
                Ok(answers) => {
                    for (load, answer) in group.into_iter().zip(answers) {
                        let _ = load.reply.send(Ok(answer));
                    }
                }
                Err(error) => {
                    log::error!("users not read users={} error={error}", group.len());
                    for load in group {
                        let _ = load.reply.send(Err(LoadError));
                    }
                }
            }
            actor.load(context);
        }));
    }
}

fn resolve(
    connection: &mut Connection,
    wanted: &[(ExternalId, bool)],
) -> Result<Vec<Option<UserId>>, StoreError> {
    let creating: Vec<ExternalId> =
        wanted.iter().filter(|(_, create)| *create).map(|(user, _)| user.clone()).collect();
    let created = users::resolve_many(connection, &creating)?;
    wanted
        .iter()
        .map(
            |(user, create)| {
                if *create { Ok(created.get(user).copied()) } else { users::find(connection, user) }
            },
        )
        .collect()
}

impl Actor for LoaderActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Load> for LoaderActor {
    type Result = ();

    fn handle(&mut self, load: Load, context: &mut Self::Context) {
        self.waiting.push_back(load);
        self.load(context);
    }
}
