//! The life of an actor: housekeeping, the end of one that nobody needs, and of one that was started for messages.

use tidings::decide::Input;

use super::{Actor, State};
use crate::sim::{Event, Sim};

/// An actor that was started for messages waits this long for more.
const ABSENT_LINGER: i64 = 50_000;
const STOPS: i64 = 100_000;

impl Sim {
    pub fn tick_actor(&mut self, server: usize, instance: u64) {
        let now = self.mono;
        let Some(actor) = self.actor(server, instance) else { return };
        for connection in actor.dead.clone() {
            self.disconnected(server, instance, connection);
        }
        if let Some(actor) = self.actor(server, instance) {
            actor.ticked_at = now;
        }
        self.take(server, instance, Input::Tick);
        self.reload_if_due(server, instance);
        let linger = self.config().socket.linger_ms as i64 * 1_000;
        let (mono, tick) = (self.mono, self.tick);
        let Some(actor) = self.actor(server, instance) else { return };
        let waiting = matches!(&actor.state, State::Loading { waiting, .. } if !waiting.is_empty());
        let quiet = actor.serving().is_none_or(|state| state.is_quiet());
        if !actor.pipes.is_empty() || waiting || actor.held {
            actor.idle_since = None;
        } else if quiet && mono - *actor.idle_since.get_or_insert(mono) >= linger {
            return self.finish(server, instance);
        }
        self.schedule_for(server, mono + tick, Event::Tick { instance });
    }

    fn is_done_for_absent(actor: &Actor) -> bool {
        let quiet = matches!(&actor.state, State::Ready(state) if state.is_quiet());
        actor.only_for_messages && quiet && actor.waiting_tickets.is_empty() && !actor.finishing
    }

    pub(super) fn finish_if_absent(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        if Self::is_done_for_absent(actor) && !std::mem::replace(&mut actor.may_finish_soon, true) {
            self.schedule_for(server, self.mono + ABSENT_LINGER, Event::Finish { instance });
        }
    }

    pub fn finish_if_done(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        actor.may_finish_soon = false;
        if Self::is_done_for_absent(actor) {
            self.finish(server, instance);
        }
    }

    /// First out of the registry, then, once what is in the mailbox has been answered, out of life.
    fn finish(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        actor.finishing = true;
        let user = actor.user;
        if !actor.only_for_messages {
            self.take(server, instance, Input::Ending);
        }
        if self.servers[server].registry[user] == Some(instance) {
            self.servers[server].registry[user] = None;
        }
        let pipes = self.actor(server, instance).map(|actor| std::mem::take(&mut actor.pipes));
        pipes.unwrap_or_default().into_iter().for_each(|connection| self.hang_up(connection));
        self.schedule_for(server, self.mono + STOPS, Event::Stop { instance });
    }

    pub fn stop_actor(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.servers[server].actors.remove(&instance) else { return };
        for ticket in actor.tickets.into_values().chain(actor.waiting_tickets) {
            self.drop_ticket(server, ticket);
        }
    }
}
