//! What came of a message by another way than a connection: the service worker reported it over HTTP, and it is stored.

use actix::{Context, Handler, Message};

use super::UserActor;
use crate::base::{NotificationId, Timestamp};
use crate::feedback::FeedbackOutcome;

/// From request handlers: an outcome that was just stored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reported {
    /// Of which message.
    pub notification: NotificationId,
    /// What came of it.
    pub outcome: FeedbackOutcome,
}

/// From the sender of pushes: a push service has a message, and that is stored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Pushed(pub NotificationId);

impl Handler<Pushed> for UserActor {
    type Result = ();

    fn handle(&mut self, pushed: Pushed, context: &mut Context<Self>) {
        self.note_committed();
        self.with_ready(context, |ready, _, _| {
            ready.policy.note_given(pushed.0);
        });
    }
}

impl Handler<Reported> for UserActor {
    type Result = ();

    fn handle(&mut self, reported: Reported, context: &mut Context<Self>) {
        let Reported { notification, outcome } = reported;
        self.with_ready(context, |ready, shared, _| {
            ready.note_response(notification, outcome, shared);
            if outcome.is_rejection() {
                ready.policy.note_dismissed(notification, Timestamp::now());
            }
        });
    }
}
