//! Merges users. Both stand still while their rows are moved: the actor of the one that is merged ends and its clients log in again,
//! that of the other keeps its connections and is read again. Events of either, and messages to either, go to the one that remains
//! from the first moment on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::journal::messages::Record;
use super::mailbox::Mailbox;
use super::registry::{Entry, Registry};
use super::send::Offer;
use super::user::launcher::UserLauncher;
use super::user::messages::{Pause, UserMessage};
use tidings_core::base::{ExternalId, Timestamp, UserId};
use tidings_decision::deliver::CloseCode;
use tidings_state::AppState;
use tidings_store::merges::{self, Moved, Outcome};
use tidings_store::{Along, Connection, StoreError, Writer, in_transaction, push_subscriptions};

/// Longest wait for what the two users have under way.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before a full mailbox is tried again.
const AGAIN: Duration = Duration::from_millis(10);
/// Pause before the database is asked again what became of a merge.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Reason why users were not merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Nobody is merged into itself.
    #[error("a user can't be merged into itself")]
    Itself,
    /// An alias stands for one user.
    #[error("this id was merged into another user before; to join the two, merge that user")]
    Elsewhere,
    /// One of the two was erased.
    #[error("one of these ids belongs to a user who was erased")]
    Erased,
    /// The database or an actor did not answer in time. Nothing was merged.
    #[error("the users could not be merged now, try again in a moment")]
    Unavailable,
}

impl MergeError {
    /// Returns whether it is worth trying again unchanged.
    pub fn is_temporary(self) -> bool {
        self == Self::Unavailable
    }
}

/// Users that are one from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The user that remains.
    pub user: ExternalId,
    /// Rows that were moved; `None` = they had been merged before.
    pub moved: Option<Moved>,
}

/// Merges the users of one server.
pub struct UserMerges {
    state: Arc<AppState>,
    registry: Arc<Registry>,
    launcher: Arc<UserLauncher>,
    journal: Arc<Mailbox<Record>>,
    /// A session of its own: while rows are moved nothing waits for a connection.
    writer: Writer,
}

impl UserMerges {
    /// Creates what merges users with these actors.
    pub fn new(
        state: Arc<AppState>,
        registry: Arc<Registry>,
        launcher: Arc<UserLauncher>,
        journal: Arc<Mailbox<Record>>,
    ) -> Arc<Self> {
        let writer = state.store.writer("merges");
        Arc::new(Self { state, registry, launcher, journal, writer })
    }

    /// Merges `alias` into `user`, or into whom that one was merged. Goes on to its end though nobody waits for it any more.
    pub async fn merge(
        self: &Arc<Self>,
        user: &ExternalId,
        alias: &ExternalId,
        along: Along<Merged>,
    ) -> Result<Merged, MergeError> {
        let (merges, user, alias) = (Arc::clone(self), user.clone(), alias.clone());
        let work = actix::spawn(async move { merges.in_order(&user, &alias, along).await });
        work.await.unwrap_or(Err(MergeError::Unavailable))
    }

    /// Merges when no other merge or change of the two is under way.
    async fn in_order(
        &self,
        named: &ExternalId,
        alias: &ExternalId,
        along: Along<Merged>,
    ) -> Result<Merged, MergeError> {
        if named == alias {
            return Err(MergeError::Itself);
        }
        let is_erased = || [named, alias].into_iter().any(|id| self.state.tombstones.has(id));
        let aliases = &self.registry.aliases;
        loop {
            let user = aliases.user(named);
            match aliases.merged(alias) {
                Some(into) if into != user => return Err(MergeError::Elsewhere),
                Some(_) => return Ok(Merged { user, moved: None }),
                None if user == *alias => return Ok(Merged { user, moved: None }),
                None => {}
            }
            let _orders = self.registry.both_in_order(&user, alias).await;
            if is_erased() {
                return Err(MergeError::Erased);
            }
            if aliases.user(named) != user || aliases.merged(alias).is_some() {
                continue;
            }
            aliases.note(alias, &user);
            let (outcome, over) = match tokio::time::timeout(PATIENCE, self.stand_still(&user, alias)).await {
                Ok(Ok(over)) => (self.move_rows(&user, alias, along).await, Some(over)),
                Ok(Err(error)) => (Err(error), None),
                Err(_) => (Err(MergeError::Unavailable), None),
            };
            if outcome.is_err() {
                aliases.forget(alias);
            }
            drop(over);
            return outcome.map(|moved| Merged { user, moved });
        }
    }

    /// Waits until nothing of either is being stored. The user that remains goes on when what is returned is dropped.
    async fn stand_still(
        &self,
        user: &ExternalId,
        alias: &ExternalId,
    ) -> Result<oneshot::Sender<()>, MergeError> {
        while let Some(entry) = self.registry.running(alias) {
            let (left, gone) = oneshot::channel();
            if is_paused(&entry, Pause::Leave { left, code: CloseCode::StreamLost }, gone).await {
                break;
            }
        }
        let over = loop {
            let entry = self.launcher.get_or_start(user);
            let (quiet, is_quiet) = oneshot::channel();
            let (over, until) = oneshot::channel();
            if is_paused(&entry, Pause::Hold { quiet, over: until }, is_quiet).await {
                break over;
            }
        };
        let (reply, flushed) = oneshot::channel();
        if !self.journal.offer(Record::Flush(reply)).is_queued() || flushed.await.is_err() {
            return Err(MergeError::Unavailable);
        }
        Ok(over)
    }

    /// Moves the rows. An error says that none was moved.
    async fn move_rows(
        &self,
        user: &ExternalId,
        alias: &ExternalId,
        along: Along<Merged>,
    ) -> Result<Option<Moved>, MergeError> {
        let refuse = |error: StoreError| {
            log::error!("users not merged user_id={user} merged={alias} error={error}");
            MergeError::Unavailable
        };
        // Connected before anybody has to wait for it.
        self.writer.run(|_| Ok(())).await.map_err(refuse)?;
        let _moving = self.registry.aliases.moving().await;
        let (store, into, from) = (self.state.store.clone(), user.clone(), alias.clone());
        let work = move |connection: &mut Connection| {
            let outcome = in_transaction(connection, |connection| {
                let outcome = merges::merge(connection, &store, &into, &from, Timestamp::now())?;
                if let Outcome::Merged { moved, .. } = &outcome {
                    along(connection, &Merged { user: into.clone(), moved: Some(*moved) })?;
                }
                Ok(outcome)
            })?;
            let subscribed = match outcome {
                Outcome::Merged { user, .. } => push_subscriptions::subscribed(connection, Some(&[user]))?,
                Outcome::Already | Outcome::Elsewhere => Vec::new(),
            };
            Ok((outcome, subscribed))
        };
        match self.writer.run(work).await {
            Ok((Outcome::Merged { user: own, alias: merged, moved }, subscribed)) => {
                self.note(own, merged, &subscribed);
                log::info!(
                    "users merged user_id={user} merged={alias} events={} messages={}",
                    moved.events,
                    moved.messages
                );
                Ok(Some(moved))
            }
            Ok((Outcome::Already, _)) => Ok(None),
            Ok((Outcome::Elsewhere, _)) => Err(MergeError::Elsewhere),
            Err(error) => match self.found(user, alias).await {
                Some((own, merged, subscribed)) => {
                    self.note(own, merged, &subscribed);
                    log::warn!(
                        "users merged, though no answer came user_id={user} merged={alias} error={error}"
                    );
                    Ok(None)
                }
                None => Err(refuse(error)),
            },
        }
    }

    /// Asks the database whether a merge of which no answer came was committed, until it answers: an alias that is forgotten
    /// though it was would get rows of its own again.
    async fn found(&self, user: &ExternalId, alias: &ExternalId) -> Option<(UserId, UserId, Vec<UserId>)> {
        loop {
            let (into, from) = (user.clone(), alias.clone());
            let look = move |connection: &mut Connection| match merges::find(connection, &into, &from)? {
                Some((own, merged)) => {
                    Ok(Some((own, merged, push_subscriptions::subscribed(connection, Some(&[own]))?)))
                }
                None => Ok(None),
            };
            match self.writer.run(look).await {
                Ok(found) => return found,
                Err(error) => {
                    log::error!("merge not looked up user_id={user} merged={alias} error={error}");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    fn note(&self, user: UserId, alias: UserId, subscribed: &[UserId]) {
        self.state.push.note(&[user, alias], subscribed);
    }
}

/// Asks an actor to stand still, and waits until it does; false for one that ended instead, or whose mailbox was full.
pub(super) async fn is_paused(entry: &Entry, pause: Pause, still: oneshot::Receiver<()>) -> bool {
    match entry.offer(UserMessage::Pause(pause)) {
        Offer::Queued => still.await.is_ok(),
        Offer::Full(_) | Offer::Closed(_) => {
            tokio::time::sleep(AGAIN).await;
            false
        }
    }
}
