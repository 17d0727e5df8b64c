//! Is somebody looking? It chooses the channel of a message, and hands over to Web Push what was given to a page that
//! closed without saying that it had it.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context};

use super::UserActor;
use super::ready::Ready;
use crate::actors::journal::Record;
use crate::actors::shared::Shared;
use crate::base::{Millis, Timestamp};
use crate::deliver::channel::{self, Situation};
use crate::notify::policy::Purpose;
use crate::notify::{Channel, Channels};
use crate::store::push_outbox::HandOver;
use crate::telemetry::Count;

/// The check comes a little later than the grace ends, never earlier.
const MARGIN: Duration = Duration::from_millis(20);

impl Ready {
    /// The way that is open to a message that is decided now; preferences and consent may close it.
    pub(super) fn channels(&self, trigger: &str, shared: &Shared) -> Channels {
        channel::open(Situation {
            visible: self.session.is_visible(),
            subscribed: shared.push.reaches(self.user),
            pushable: shared.is_pushable(trigger),
        })
    }

    /// Is there a page, or a browser that may be pushed to?
    pub(super) fn is_reachable(&self, shared: &Shared) -> bool {
        !self.pipes.is_empty() || shared.push.reaches(self.user)
    }

    /// The same for one trigger. Otherwise a recommendation would grow old unseen.
    pub(super) fn can_be_told(&self, trigger: &str, shared: &Shared) -> bool {
        self.is_reachable(shared) && (!self.pipes.is_empty() || shared.is_pushable(trigger))
    }

    /// A hidden page acknowledges too, but nobody saw what it got.
    pub(super) fn note_acknowledged(&mut self, connection: crate::base::ConnectionId, offset: i64) {
        if self.session.is_seen_by(connection) {
            self.seen_up_to = self.seen_up_to.max(offset.min(self.session.last_offset()));
        }
    }

    fn hand_over(&self, due_at: Timestamp, shared: &Shared) {
        let wanted = self.preferences.allows("*", Channel::Push);
        if !wanted || !self.preferences.consent.has(Purpose::Push, true) {
            return;
        }
        let hand_over = HandOver { user: self.user, seen_up_to: self.seen_up_to, due_at };
        if !shared.journal.offer(Record::HandOver(hand_over)).is_queued() {
            shared.metrics.add(Count::MailboxFull, 1);
        }
    }
}

impl UserActor {
    fn grace(&self) -> Millis {
        Millis(self.shared.config.webpush.grace_ms)
    }

    /// After whatever may have changed who looks.
    pub(super) fn watch_presence(&mut self, context: &mut Context<Self>) {
        let (shared, wait) = (Arc::clone(&self.shared), self.grace().to_std() + MARGIN);
        let Some(ready) = self.serving() else { return };
        let visible = ready.session.is_visible();
        if ready.away.note(visible, Timestamp::now()) && shared.push.reaches(ready.user) {
            context.run_later(wait, |actor, _| {
                let (shared, grace, now) = (Arc::clone(&actor.shared), actor.grace(), Timestamp::now());
                if let Some(ready) = actor.serving()
                    && ready.away.is_due(now, grace)
                {
                    ready.hand_over(now, &shared);
                }
            });
        }
    }

    /// The actor ends before the grace does: what is left is pushed when it would have been.
    pub(super) fn hand_over_at_end(&mut self) {
        let (shared, grace, now) = (Arc::clone(&self.shared), self.grace(), Timestamp::now());
        let Some(ready) = self.serving() else { return };
        if shared.push.reaches(ready.user) && ready.away.is_due(Timestamp(i64::MAX), grace) {
            ready.hand_over(now + grace, &shared);
        }
    }
}
