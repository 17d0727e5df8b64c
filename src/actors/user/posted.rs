//! Frames that came in a request: they take the way of any frame, and their answers go into the response.

use std::time::Instant;

use actix::Context;

use super::UserActor;
use super::replies::Replies;
use super::stored_first::unavailable;
use tidings_core::base::ConnectionId;
use tidings_decision::decide::{Effect, Input};
use tidings_decision::deliver::Frame;
use tidings_transport::Posted;

impl UserActor {
    /// Takes a frame of a request.
    pub(super) fn posted(
        &mut self,
        connection: ConnectionId,
        Posted { frame, speaker, answers }: Posted,
        at: Instant,
        context: &mut Context<Self>,
    ) {
        let to = Replies::Request(answers, Vec::new());
        let Some((to, frame)) = self.stored_first(to, frame, speaker, at, context) else { return };
        let Replies::Request(answers, mut replies) = to else { return };
        let mut effects = self.decide(Input::Frame(connection, frame));
        effects.retain(|effect| match effect {
            Effect::Answer(_, frame) => {
                replies.push(Frame::clone(frame));
                false
            }
            _ => true,
        });
        self.perform(effects, None, context);
        let answer = move |is_stored: bool, mut replies: Vec<Frame>| {
            if !is_stored {
                replies.push(unavailable());
            }
            let _ = answers.send(replies);
        };
        // Where a connection sends a ping, a request has its response.
        match self.is_storing() {
            true => self.once_stored(context, move |_, stored, _| answer(stored, replies)),
            false => answer(true, replies),
        }
    }

    /// Answers a frame, or adds to the answers of its request.
    pub(super) fn reply(&mut self, to: &mut Replies, frames: Vec<Frame>, context: &mut Context<Self>) {
        match to {
            Replies::Connection(connection) => self.send_all(*connection, frames, context),
            Replies::Request(_, replies) => replies.extend(frames),
        }
    }
}
