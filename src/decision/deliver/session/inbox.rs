//! Changes that a user makes in the inbox, on a connection or over HTTP.

use super::{Effect, Session};
use crate::deliver::frames;
use crate::deliver::inbox::Changed;
use crate::deliver::standing::Change;
use tidings_core::base::{ConnectionId, NotificationId, Timestamp};

impl Session {
    pub(super) fn change(
        &mut self,
        ids: Vec<NotificationId>,
        change: Change,
        at: Timestamp,
        by: Option<ConnectionId>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(connection) = by else {
            let changed = self.stream.change(&ids, change, at, now);
            return self.tell_changed(changed, None, now, effects);
        };
        if let Some((code, message)) = ids.iter().find_map(|id| self.fault(*id, change, now)) {
            return effects.push(Effect::Send(connection, frames::error(code, message, false, None)));
        }
        // What is as it was wished for is not said again. What is not here has expired, or only the store knows it.
        let ids: Vec<_> = ids.into_iter().filter(|id| !self.stream.has(*id, change, now)).collect();
        let changed = self.stream.change(&ids, change, at, now);
        if !ids.is_empty() {
            effects.push(Effect::RecordChange(ids, change));
        }
        self.tell_changed(changed, by, now, effects);
    }

    /// Code and text of why a message can't be changed so.
    fn fault(
        &mut self,
        id: NotificationId,
        change: Change,
        now: Timestamp,
    ) -> Option<(&'static str, &'static str)> {
        let expires_at = self.stream.find(id, now).map(|entry| entry.expires_at);
        match (change, expires_at) {
            (Change::Unread | Change::Unarchive | Change::Snooze(_), None) => Some((
                "unknown_notification",
                "this message is not in the inbox: unknown, expired or withdrawn",
            )),
            (Change::Snooze(until), _) if until <= now => Some(("bad_until", "until must lie ahead")),
            (Change::Snooze(until), Some(expires_at)) if until >= expires_at => {
                Some(("bad_until", "until must lie before the message expires"))
            }
            _ => None,
        }
    }

    pub(super) fn read_all(
        &mut self,
        up_to: i64,
        at: Timestamp,
        by: Option<ConnectionId>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let up_to = up_to.min(self.stream.last_offset());
        if by.is_some() {
            if !self.stream.has_unread(up_to, now) {
                return self.tell_counts(now, effects);
            }
            effects.push(Effect::RecordReadAll(up_to));
        }
        let changed = self.stream.read_all(up_to, at, now);
        self.tell_changed(changed, by, now, effects);
    }

    pub(super) fn seen(
        &mut self,
        up_to: i64,
        at: Timestamp,
        by: Option<ConnectionId>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let up_to = up_to.min(self.stream.last_offset());
        if self.stream.see(up_to, at, now) {
            self.give(now, |entry| entry.marks.is_seen());
            effects.extend(by.map(|_| Effect::RecordSeen(up_to)));
        }
        self.tell_counts(now, effects);
    }

    fn tell_changed(
        &mut self,
        changed: Changed,
        by: Option<ConnectionId>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.given.extend(changed.given);
        self.tell_news(&changed.news, by, effects);
        self.tell_counts(now, effects);
    }
}
