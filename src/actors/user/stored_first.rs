//! Frames whose effect is stored before the user's state hears of it, if ever: events, and topics that the user follows.

use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::UserActor;
use super::replies::Replies;
use tidings_core::base::ExternalId;
use tidings_core::event::Speaker;
use tidings_decision::deliver::{Frame, Inbound, frames};
use tidings_store::topics::{self, MAX_TOPICS};
use tidings_store::{Connection, StoreError, in_transaction, users};

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
        match frame {
            Inbound::Events(raws) => self.events(to, raws, speaker, at, context),
            Inbound::Follow { topic, follows } => self.follow(to, topic, follows, context),
            other => return Some((to, other)),
        }
        None
    }

    fn follow(&mut self, mut to: Replies, topic: Box<str>, follows: bool, context: &mut Context<Self>) {
        let (store, registry) = (self.app.store.clone(), Arc::clone(&self.registry));
        let user = self.user.clone();
        let change = async move {
            let _steady = registry.aliases.steady().await;
            store.run(move |connection| follow(connection, &user, &topic, follows)).await
        };
        context.spawn(change.into_actor(self).map(move |outcome, actor, context| {
            let frame = outcome.unwrap_or_else(|error| {
                log::error!("topic not changed user_id={} error={error}", actor.user);
                frames::error(
                    "unavailable",
                    "the database is not available, try again in a moment",
                    true,
                    None,
                )
            });
            actor.reply(&mut to, vec![frame], context);
            to.finish();
        }));
    }
}

/// Changes what a user follows; the answer. Blocks.
fn follow(
    connection: &mut Connection,
    user: &ExternalId,
    topic: &str,
    follows: bool,
) -> Result<Frame, StoreError> {
    in_transaction(connection, |connection| {
        let ids = users::resolve(connection, std::slice::from_ref(user))?;
        if !follows {
            topics::unsubscribe(connection, topic, &ids)?;
        } else if topics::subscribe(connection, topic, &ids)?.is_empty() {
            let message = format!("a user follows at most {MAX_TOPICS} topics");
            return Ok(frames::error("too_many_topics", &message, false, None));
        }
        Ok(frames::follows(topic, follows))
    })
}
