//! Frames that are answered once their effect is stored: events, topics that the user follows, and a ping behind changes of
//! messages and preferences, whose pong says that they are stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::UserActor;
use super::replies::Replies;
use super::storing::TopicChange;
use crate::journal::messages::Record;
use tidings_core::base::ExternalId;
use tidings_core::event::Speaker;
use tidings_decision::decide;
use tidings_decision::decide::Input;
use tidings_decision::deliver::{Frame, Inbound, frames};
use tidings_store::topics::{self, MAX_TOPICS};
use tidings_store::{Connection, StoreError, in_transaction, users};

/// Changes of topics that wait for those under way; whoever sends more is to send them again.
const MAX_TOPIC_CHANGES: usize = 128;
/// Longest wait of a ping for what came before it: below the time after which a client takes the line for dead.
const PATIENCE: Duration = Duration::from_secs(5);

impl UserActor {
    /// Stores what a frame says and answers it; every other frame comes back, with who awaits its answers.
    pub(super) fn stored_first(
        &mut self,
        to: Replies,
        frame: Inbound,
        speaker: Speaker,
        at: Instant,
        context: &mut Context<Self>,
    ) -> Option<(Replies, Inbound)> {
        match (to, frame) {
            (to, Inbound::Events(raws)) => self.events(to, raws, speaker, at, context),
            (to, Inbound::Follow { topic, follows }) => {
                self.follow(TopicChange { to, topic, follows }, context)
            }
            (Replies::Connection(connection), Inbound::Ping) if self.is_storing() => {
                self.once_stored(context, move |actor, stored, context| {
                    if !stored {
                        actor.send_all(connection, vec![unavailable()], context);
                    }
                    actor.take(Input::Frame(connection, Inbound::Ping), None, context);
                });
            }
            other => return Some(other),
        }
        None
    }

    /// Hands a record to the journal; one that somebody may ask about is noted.
    pub(super) fn record(&mut self, record: decide::Record) {
        use decide::Record as Of;
        let is_change = matches!(record, Of::Mark(_) | Of::Feedback(_) | Of::Preferences(..));
        let is_queued = self.journal(Record::Other(record));
        self.storing.is_open |= is_change;
        self.storing.is_lost |= is_change && !is_queued;
    }

    /// Returns whether a change is on its way, or an answer waits for one: answers keep their order.
    pub(super) fn is_storing(&self) -> bool {
        self.storing.is_open || self.storing.awaited > 0
    }

    /// Calls `then` with true once all changes up to now are stored, with false when that is not known in time: what was asked for is
    /// to be sent again, which changes nothing where it was stored.
    pub(super) fn once_stored(
        &mut self,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, bool, &mut Context<Self>) + 'static,
    ) {
        let is_lost = std::mem::take(&mut self.storing.is_lost);
        self.storing.is_open = false;
        self.storing.awaited += 1;
        let (reply, stored) = oneshot::channel();
        self.journal(Record::Flush(reply));
        let stored = async move { matches!(timeout(PATIENCE, stored).await, Ok(Ok(true))) && !is_lost };
        context.spawn(stored.into_actor(self).map(move |stored, actor, context| {
            actor.storing.awaited -= 1;
            then(actor, stored, context);
        }));
    }

    /// One group of changes at a time, in the order in which they came.
    fn follow(&mut self, mut change: TopicChange, context: &mut Context<Self>) {
        match &mut self.storing.topics {
            None => self.change_topics(vec![change], context),
            Some(waiting) if waiting.len() < MAX_TOPIC_CHANGES => waiting.push(change),
            Some(_) => {
                let message = "too many changes of topics at once, send it again in a moment";
                self.reply(&mut change.to, vec![frames::error("busy", message, true, None)], context);
                change.to.finish();
            }
        }
    }

    fn change_topics(&mut self, group: Vec<TopicChange>, context: &mut Context<Self>) {
        self.storing.topics.get_or_insert_default();
        let (store, registry) = (self.app.store.clone(), Arc::clone(&self.registry));
        let user = self.user.clone();
        let wishes: Vec<(Box<str>, bool)> =
            group.iter().map(|change| (change.topic.clone(), change.follows)).collect();
        let change = async move {
            let _steady = registry.aliases.steady().await;
            store.run(move |connection| follow(connection, &user, &wishes)).await
        };
        context.spawn(change.into_actor(self).map(move |outcome, actor, context| {
            let answers = outcome.unwrap_or_else(|error| {
                log::error!("topics not changed user_id={} error={error}", actor.user);
                group.iter().map(|_| unavailable()).collect()
            });
            for (mut change, answer) in group.into_iter().zip(answers) {
                actor.reply(&mut change.to, vec![answer], context);
                change.to.finish();
            }
            if let Some(waiting) = actor.storing.topics.take().filter(|waiting| !waiting.is_empty()) {
                actor.change_topics(waiting, context);
            }
        }));
    }
}

pub(super) fn unavailable() -> Frame {
    frames::error("unavailable", "the database is not available, try again in a moment", true, None)
}

/// Changes what a user follows, in order, all or none; the answers. Blocks.
fn follow(
    connection: &mut Connection,
    user: &ExternalId,
    wishes: &[(Box<str>, bool)],
) -> Result<Vec<Frame>, StoreError> {
    in_transaction(connection, |connection| {
        let ids = users::resolve(connection, std::slice::from_ref(user))?;
        let mut answers = Vec::with_capacity(wishes.len());
        for (topic, follows) in wishes {
            if !follows {
                topics::unsubscribe(connection, topic, &ids)?;
            } else if topics::subscribe(connection, topic, &ids)?.is_empty() {
                let message = format!("a user follows at most {MAX_TOPICS} topics");
                answers.push(frames::error("too_many_topics", &message, false, None));
                continue;
            }
            answers.push(frames::follows(topic, *follows));
        }
        Ok(answers)
    })
}
