//! Changes of the inbox over HTTP.

use tidings::base::Millis;
use tidings::decide::Input;
use tidings::decide::record::Mark;
use tidings::deliver::{self, Change};

use crate::sim::Sim;

impl Sim {
    pub(super) fn inbox_change(&self, to: u8) -> Change {
        match to % 8 {
            0 => Change::Read,
            2 => Change::Archive,
            3 => Change::Unarchive,
            4 => Change::Snooze(self.now() + Millis(60_000)),
            5 => Change::Snooze(self.now() + Millis(3_600_000)),
            6 => Change::Delete,
            _ => Change::Unread,
        }
    }

    pub(super) fn http_read(&mut self, user: usize, all: bool) {
        if !all {
            return self.http_change(user, 0, 0);
        }
        let Some(server) = self.holder() else { return };
        let (at, rows) = (self.now(), &self.store.users[user]);
        let (id, up_to) = (rows.user, rows.messages.last().map_or(0, |row| row.message.offset));
        self.store.mark(&Mark::ReadAll { user: id, up_to, at });
        self.tell(server, user, Input::InboxChanged(deliver::Input::ReadAll { up_to, at, by: None }));
    }

    /// `POST /v1/users/{id}/inbox/{change}` for one message.
    pub(super) fn http_change(&mut self, user: usize, back: u8, to: u8) {
        let Some(server) = self.holder() else { return };
        let (at, change) = (self.now(), self.inbox_change(to));
        let Some(row) = self.store.users[user].messages.iter().rev().nth(back as usize) else { return };
        let is_early = matches!(change, Change::Snooze(until) if until >= row.message.expires_at);
        if !row.is_live(at) || is_early {
            return;
        }
        let (ids, id) = (vec![row.message.notification_id], row.message.user);
        self.store.mark(&Mark::Change { user: id, ids: ids.clone(), change, at });
        self.tell(server, user, Input::InboxChanged(deliver::Input::Change { ids, change, at, by: None }));
    }

    pub(super) fn http_seen(&mut self, user: usize) {
        let Some(server) = self.holder() else { return };
        let (at, rows) = (self.now(), &self.store.users[user]);
        let Some(up_to) = rows.messages.last().map(|row| row.message.offset) else { return };
        self.store.mark(&Mark::Seen { user: rows.user, up_to, at });
        self.tell(server, user, Input::InboxChanged(deliver::Input::Seen { up_to, at, by: None }));
    }
}
