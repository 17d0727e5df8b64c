//! Changes that a user makes in the inbox, on a connection or over HTTP.

use super::user_state::{Step, UserState};
use crate::deliver::stream::Counts;
use crate::deliver::{self, Change};
use tidings_core::base::{ConnectionId, NotificationId};

impl UserState {
    /// Unread messages, and those among them that no list has shown, as every open connection was or will be told.
    pub fn inbox_counts(&self, now: tidings_core::base::Timestamp) -> Counts {
        self.session.counts(now)
    }

    /// A message is changed on a connection.
    pub(super) fn change(
        &mut self,
        connection: ConnectionId,
        id: NotificationId,
        change: Change,
        step: &mut Step<'_>,
    ) {
        let (at, by) = (step.now(), Some(connection));
        self.run(deliver::Input::Change { ids: vec![id], change, at, by }, step);
    }

    /// Everything is read on a connection; `None` = all there is.
    pub(super) fn read_all(&mut self, connection: ConnectionId, up_to: Option<i64>, step: &mut Step<'_>) {
        let (up_to, at, by) = (up_to.unwrap_or(i64::MAX), step.now(), Some(connection));
        self.run(deliver::Input::ReadAll { up_to, at, by }, step);
    }

    pub(super) fn inbox_changed(&mut self, change: deliver::Input, step: &mut Step<'_>) {
        if let deliver::Input::Withdrawn(id) = &change {
            self.policy.note_withdrawn(*id, step.now());
            self.call_withdrawn(id.0);
            self.last_login.take_if(|answer| answer.id == *id);
        }
        self.note_in_flight(&change);
        self.run(change, step);
    }

    /// A change of the inbox that is stored already, about messages of which the store has not answered yet: some of them may be
    /// stored.
    fn note_in_flight(&mut self, change: &deliver::Input) {
        match change {
            deliver::Input::Withdrawn(id) => {
                let of = self.in_flight.iter_mut().filter(|one| one.entry.id == *id);
                of.for_each(|one| one.entry.withdrawn = true);
            }
            deliver::Input::Change { ids, .. } => {
                let of = self.in_flight.iter_mut().filter(|one| ids.contains(&one.entry.id));
                of.for_each(|one| one.changes.push(change.clone()));
            }
            // Which of them it is about, only the store knows.
            deliver::Input::ReadAll { .. } | deliver::Input::Seen { .. } => {
                self.reads_more |= !self.in_flight.is_empty();
            }
            _ => {}
        }
    }
}
