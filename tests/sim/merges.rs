//! Merges of one user into another while both live, as `actors/merges` does them: from the first moment on the merged id stands for the
//! user; then both stand still, the rows are moved in one transaction, and the user is read again.

use tidings::base::{ExternalId, Timestamp};
use tidings::decide::record::DeferredRow;
use tidings::deliver::readdress::readdressed;
use uuid::Uuid;

use crate::faults::Fault;
use crate::sim::{Event, Sim};
use crate::store::{MessageRow, Store, uuid_of};

/// Longest wait for what the two have under way, microseconds.
const PATIENCE: i64 = 10_000_000;
/// Pause before it is looked at again, microseconds.
const AGAIN: i64 = 3_000;

/// A merge that a server is about.
#[derive(Clone, Copy, Debug)]
pub struct Merging {
    pub server: usize,
    pub alias: usize,
    pub user: usize,
    until: i64,
}

impl Sim {
    /// The user whom an id stands for, also while it is being merged.
    pub fn stands_for(&self, named: usize) -> usize {
        let into = |user: usize| {
            let under_way = self.merging.filter(|merging| merging.alias == user).map(|merging| merging.user);
            self.store.users[user].merged_into.or(under_way)
        };
        let mut user = named;
        while let Some(next) = into(user) {
            user = next;
        }
        user
    }

    /// `POST /v1/users/{id}/merge`.
    pub fn merge(&mut self, alias: usize, user: usize) {
        let Some(server) = self.holder().filter(|_| self.merging.is_none() && alias != user) else { return };
        self.merging = Some(Merging { server, alias, user, until: self.mono + PATIENCE });
        self.schedule_for(server, self.mono, Event::Merge);
    }

    /// Looks whether both stand still.
    pub fn merge_goes_on(&mut self, server: usize) {
        let Some(merging) = self.merging.filter(|merging| merging.server == server) else { return };
        if self.mono > merging.until || !self.store.accepts(server) {
            return self.give_up_merge();
        }
        match self.stand_still(merging) {
            Some(instance) => self.move_rows(merging, instance),
            None => self.schedule_for(server, self.mono + AGAIN, Event::Merge),
        }
    }

    /// The actor of the user, once nothing of either is being stored and the one of the alias has ended.
    fn stand_still(&mut self, merging: Merging) -> Option<u64> {
        let Merging { server, alias, user, .. } = merging;
        if let Some(instance) = self.servers[server].registry[alias] {
            let actor = self.actor(server, instance)?;
            (actor.pausing, actor.leaving) = (true, true);
            self.reload_if_due(server, instance);
            if self.servers[server].registry[alias].is_some() {
                return None;
            }
        }
        let instance = self.get_or_start(server, user);
        self.hold(server, instance)?;
        self.servers[server].journal.is_idle().then_some(instance)
    }

    /// The actor of a user who is being merged ends, once nothing is being stored; also when the merge was given up meanwhile.
    pub fn leave(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        let (user, pipes) = (actor.user, std::mem::take(&mut actor.pipes));
        self.servers[server].registry[user] = None;
        pipes.into_iter().for_each(|connection| self.hang_up(connection));
        self.stop_actor(server, instance);
    }

    fn hold(&mut self, server: usize, instance: u64) -> Option<()> {
        self.actor(server, instance)?.pausing = true;
        self.reload_if_due(server, instance);
        let actor = self.actor(server, instance)?;
        actor.pausing &= !actor.held;
        actor.held.then_some(())
    }

    fn move_rows(&mut self, merging: Merging, instance: u64) {
        let Merging { server, alias, user, .. } = merging;
        if self.fault == Some(Fault::ReadsBeforeTheMerge) {
            self.go_on(server, instance);
        }
        let (now, name) = (self.now(), self.names[user].clone());
        let mut number = self.number("doubled") << 20;
        let new_id = || {
            number += 1;
            uuid_of("doubled", number)
        };
        let ended = self.store.merge(alias, user, &name, now, new_id);
        self.merging = None;
        self.shadow.merged(alias, user, now);
        self.shadow.ended(&ended);
        for device in 0..self.devices.len() {
            if self.devices[device].user == alias {
                self.close(device, true);
                // Its place was one in the other stream.
                (self.devices[device].user, self.devices[device].position) = (user, None);
            }
        }
        let subscribed = &mut self.servers[server].subscribed;
        subscribed.remove(&alias);
        if !self.store.users[user].subscriptions.is_empty() {
            subscribed.insert(user);
        }
        self.wake_pusher(server);
        self.go_on(server, instance);
        self.tally.merges += 1;
    }

    /// Nothing is merged: the alias stands for itself again.
    pub fn give_up_merge(&mut self) {
        let Some(Merging { server, user, .. }) = self.merging.take() else { return };
        if let Some(instance) = self.servers[server].registry[user] {
            self.go_on(server, instance);
        }
    }

    /// A user who stood still is read again.
    fn go_on(&mut self, server: usize, instance: u64) {
        let Some(actor) = self.actor(server, instance) else { return };
        actor.pausing = false;
        if std::mem::take(&mut actor.held) {
            actor.reads_again = false;
            self.read(server, instance);
        }
    }
}

impl Store {
    /// The user whose rows are those of an id.
    pub fn user_of(&self, named: usize) -> usize {
        let next = |user: &usize| self.users[*user].merged_into;
        std::iter::successors(Some(named), next).last().unwrap_or(named)
    }

    /// Moves all rows of `alias` to `user`, in one transaction. Returns the deferred triggers that ended, with the decisions about them.
    pub fn merge(
        &mut self,
        alias: usize,
        user: usize,
        name: &ExternalId,
        now: Timestamp,
        new_id: impl FnMut() -> Uuid,
    ) -> Vec<(Uuid, Uuid)> {
        let empty = Store::rows(alias, self.users[alias].external_id.clone());
        let mut gone = std::mem::replace(&mut self.users[alias], empty);
        self.users[alias].merged_into = Some(user);
        if self.fault != Some(Fault::MergeLeavesMessages) {
            self.move_messages(std::mem::take(&mut gone.messages), gone.acknowledged, user, name, now);
        }
        self.pushes.iter_mut().filter(|row| row.user == alias).for_each(|row| row.user = user);
        let own = &mut self.users[user];
        let id = own.user;
        own.events
            .extend(gone.events.into_iter().map(|event| tidings::event::Event { user: Some(id), ..event }));
        own.events.sort_by_key(|event| event.occurred_at);
        gone.decisions.iter_mut().for_each(|row| row.user = id);
        own.decisions.append(&mut gone.decisions);
        gone.feedback.iter_mut().for_each(|row| row.user = id);
        own.feedback.append(&mut gone.feedback);
        own.subscriptions.append(&mut gone.subscriptions);
        own.refusals.append(&mut gone.refusals);
        for (purpose, granted) in gone.consents {
            let granted = granted && own.consents_to(purpose) != Some(false);
            own.consent(purpose, granted);
        }
        for (trigger, at) in gone.fired_once {
            let known = own.fired_once.entry(trigger).or_insert(at);
            *known = at.max(*known);
        }
        own.preferences = own.preferences.clone().joined(&gone.preferences);
        own.preferences_at = Some(now);
        own.merged_at = Some(now);
        own.robot_since = own.robot_since.max(gone.robot_since);
        own.last_connected = own.last_connected.max(gone.last_connected);
        self.move_held(gone.held, user, now, new_id)
    }

    /// Moves deferred triggers, without those that the user has, or whose call has told the user.
    fn move_held(
        &mut self,
        held: Vec<DeferredRow>,
        user: usize,
        now: Timestamp,
        mut new_id: impl FnMut() -> Uuid,
    ) -> Vec<(Uuid, Uuid)> {
        let own = &mut self.users[user];
        let key = |row: &DeferredRow| (row.trigger.clone(), row.for_digest, row.item, row.call);
        let known: Vec<_> = own.held.iter().map(key).collect();
        let mut ended = Vec::new();
        for mut row in held {
            row.user = own.user;
            let of_call =
                own.messages.iter().filter(|told| row.call.is_some() && told.message.call == row.call);
            let told_at = of_call.map(|told| told.message.created_at).max();
            if !known.contains(&key(&row)) && (told_at.is_none() || row.for_digest) {
                own.held.push(row);
            } else if row.call.is_some() {
                let decision = row.doubled(told_at, new_id(), now);
                ended.push((row.held_id, decision.decision_id));
                own.decisions.push(decision);
            }
        }
        ended
    }

    /// Puts received messages and answers to logins before the stream of the user, the rest behind it.
    fn move_messages(
        &mut self,
        messages: Vec<MessageRow>,
        acknowledged: i64,
        user: usize,
        name: &ExternalId,
        now: Timestamp,
    ) {
        let own = &mut self.users[user];
        let first = own.messages.first().map_or(1, |row| row.message.offset).min(1);
        let last = own.messages.last().map_or(0, |row| row.message.offset).max(0);
        let is_received =
            |row: &MessageRow| row.message.offset <= acknowledged || row.message.trigger == "login";
        let (received, rest): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_received);
        let before = (first - received.len() as i64..).zip(received);
        for (offset, mut row) in before.chain((last + 1..).zip(rest)) {
            (row.message.user, row.message.offset) = (own.user, offset);
            if row.is_live(now)
                && let Some(frame) = readdressed(&row.message.frame, name, offset)
            {
                row.message.frame = frame.into();
            }
            own.messages.push(row);
        }
        own.messages.sort_by_key(|row| row.message.offset);
        let latest = |own: &[MessageRow], row: &MessageRow| {
            let key = |row: &MessageRow| (row.message.created_at, row.message.notification_id);
            let alike = own.iter().filter(|other| other.message.collapse_key == row.message.collapse_key);
            alike.filter(|other| !other.withdrawn).map(key).max() == Some(key(row))
        };
        let collapsing =
            own.messages.iter().filter(|row| row.message.collapse_key.is_some() && !row.withdrawn);
        let older = collapsing.filter(|row| !latest(&own.messages, row));
        let older: Vec<_> = older.map(|row| row.message.notification_id).collect();
        let superseded = own.messages.iter_mut().filter(|row| older.contains(&row.message.notification_id));
        superseded.for_each(|row| row.withdrawn = true);
    }
}
