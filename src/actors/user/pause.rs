//! Standing still for a merge or an erasure: the user who is merged or erased stores what is under way and ends, the one who remains decides nothing until
//! the rows are moved, and is then read again.

use std::time::Duration;

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::messages::Pause;
use super::{State, UserActor};
use tidings_decision::deliver::CloseCode;

/// Connections that were on their way here are closed this much later.
const LAST_CALL: Duration = Duration::from_millis(100);

impl UserActor {
    /// Stands still as soon as nothing is being stored. Whoever asked before learns that it came to nothing.
    pub(super) fn pause(&mut self, pause: Pause, context: &mut Context<Self>) {
        if self.finishing {
            return; // The merge looks for an actor again.
        }
        self.pause = Some(pause);
        self.reload_if_due(context);
    }

    /// Nothing is being stored, and nothing will be until this is over.
    pub(super) fn stand_still(&mut self, pause: Pause, context: &mut Context<Self>) {
        match pause {
            Pause::Leave { left, code } => {
                self.leave(code, context);
                let _ = left.send(());
            }
            Pause::Hold { quiet, over } => {
                self.held = true;
                let _ = quiet.send(());
                let over = async move {
                    let _ = over.await;
                };
                context.spawn(over.into_actor(self).map(|(), actor, context| {
                    actor.held = false;
                    // All that happened meanwhile is stored by now.
                    actor.reads_again = false;
                    actor.load(context);
                }));
            }
        }
    }

    /// Out of the registry and out of life. After a merge clients come back as the user they belong to now, and messages go to that user's
    /// actor.
    fn leave(&mut self, code: CloseCode, context: &mut Context<Self>) {
        self.finishing = true;
        self.state = State::Loading { waiting: Vec::new(), before: None, changes: Vec::new() };
        self.tickets.clear();
        self.waiting_tickets.clear();
        self.registry.remove(&self.user, self.instance);
        self.hang_up(code);
        context.run_later(LAST_CALL, move |actor, context| {
            actor.hang_up(code);
            context.stop();
        });
    }
}
