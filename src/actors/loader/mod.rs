//! Reads users for their actors, many in one query: while one query runs, logins wait and go with the next. Ten
//! thousand clients that reconnect at once are a few dozen queries.

pub mod messages;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use self::messages::{Load, LoadError};
use super::mailbox::DropGuard;
use crate::base::{ExternalId, Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::decide::Loaded;
use crate::deliver::{Entry, Stream};
use crate::feedback::FeedbackOutcome;
use crate::notify::policy::{Consent, Purpose};
use crate::notify::triggers::Views;
use crate::notify::{Channel, PolicyState, Sent};
use crate::profile::Profile;
use crate::state::AppState;
use crate::store::held::MAX_DEFERRED;
use crate::store::notifications::StoredNotification;
use crate::store::users::{self, UserState};
use crate::store::{Connection, StoreError};

/// Logins waiting in the mailbox.
const MAILBOX: usize = 65_536;
/// Users in one query.
const MAX_GROUP: usize = 256;

/// Groups and reads.
pub struct LoaderActor {
    state: Arc<AppState>,
    waiting: VecDeque<Load>,
    in_flight: bool,
    _guard: DropGuard,
}

impl LoaderActor {
    /// Idle.
    pub fn new(state: Arc<AppState>, guard: DropGuard) -> Self {
        Self { state, waiting: VecDeque::new(), in_flight: false, _guard: guard }
    }

    fn load(&mut self, context: &mut Context<Self>) {
        if self.in_flight || self.waiting.is_empty() {
            return;
        }
        self.in_flight = true;
        let n = self.waiting.len().min(MAX_GROUP);
        let group: Vec<Load> = self.waiting.drain(..n).collect();
        let wanted: Vec<(ExternalId, bool)> =
            group.iter().map(|load| (load.user.clone(), load.create)).collect();
        let app = Arc::clone(&self.state);
        let read = async move {
            let store = app.store.clone();
            store
                .run(move |connection| {
                    let now = Timestamp::now();
                    let ids = resolve(connection, &wanted)?;
                    let known: Vec<UserId> = ids.iter().flatten().copied().collect();
                    let states = users::load_states(connection, &known, now)?;
                    let loaded: HashMap<UserId, Box<Loaded>> = states
                        .into_iter()
                        .map(|state| (state.user, Box::new(fold(state, &app.catalogue.load()))))
                        .collect();
                    // Cloned, since the same user may be asked for twice in a group.
                    Ok(ids.into_iter().map(|id| loaded.get(&id?).cloned()).collect::<Vec<_>>())
                })
                .await
        };
        context.spawn(read.into_actor(self).map(move |outcome, actor, context| {
            actor.in_flight = false;
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
    let mut created = users::resolve(connection, &creating)?.into_iter();
    wanted
        .iter()
        .map(|(user, create)| if *create { Ok(created.next()) } else { users::find(connection, user) })
        .collect()
}

/// The same fold over the same events as the live one.
fn fold(state: UserState, catalogue: &Catalogue) -> Loaded {
    let mut profile = Profile::default();
    let mut views = Views::default();
    for event in &state.events {
        profile.apply(event, catalogue);
        views.apply(event);
    }
    let mut policy = PolicyState::default();
    for send in &state.recent {
        policy.note_sent(Sent {
            id: send.notification_id,
            at: send.at,
            category: send.category.as_str().into(),
            campaign: send.campaign.as_str().into(),
            channel: Channel::parse(&send.channel).unwrap_or(Channel::Socket),
            expires_at: send.expires_at,
            given: send.given || send.outcomes.iter().any(|code| is_shown(*code)),
            items: send.items.clone().into(),
            dedupe_key: send.dedupe_key.map(i64::cast_unsigned),
            passes_caps: send.passes_caps || send.trigger == "login",
            clicked: send.outcomes.contains(&FeedbackOutcome::Clicked.code()),
            dismissed: false,
        });
    }
    for send in &state.recent {
        let rejected =
            |code: &i16| FeedbackOutcome::from_code(*code).is_some_and(FeedbackOutcome::is_rejection);
        if send.outcomes.iter().any(rejected) {
            policy.note_dismissed(send.notification_id, send.at);
        }
    }
    let acknowledged =
        state.tail.iter().filter(|one| one.acknowledged).map(|one| one.offset).max().unwrap_or(0);
    let tail = state.tail.into_iter().map(entry).collect();
    Loaded {
        user: state.user,
        is_robot: state.is_robot,
        profile,
        policy,
        preferences: state.preferences.parse(consent(&state.consents)),
        document: state.preferences,
        views,
        has_more_deferred: state.held.len() >= MAX_DEFERRED,
        deferred: state.held,
        last_connected: state.last_connected,
        fired_once: state.fired_once.into_iter().collect(),
        stream: Stream::new(state.last_offset, acknowledged, state.floor, tail),
    }
}

/// Did somebody see the message that this came of? A purchase follows one that nobody saw as well.
fn is_shown(code: i16) -> bool {
    FeedbackOutcome::from_code(code).is_some_and(|outcome| outcome != FeedbackOutcome::Converted)
}

fn entry(stored: StoredNotification) -> Entry {
    let class = Entry::class_of(&stored.trigger, &stored.kind);
    Entry {
        offset: stored.offset,
        id: stored.notification_id,
        expires_at: stored.expires_at,
        frame: (!stored.frame.is_empty()).then(|| stored.frame.into()),
        class,
        priority: stored.priority,
        collapse_key: stored.collapse_key.map(Into::into),
        seen: stored.seen,
        read: stored.read,
        withdrawn: stored.withdrawn,
        given: stored.given,
    }
}

/// The latest word on each purpose.
pub fn consent(said: &[(String, bool)]) -> Consent {
    let mut consent = Consent::default();
    for (purpose, granted) in said {
        if let Some(purpose) = Purpose::parse(purpose) {
            consent.note(purpose, *granted);
        }
    }
    consent
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
