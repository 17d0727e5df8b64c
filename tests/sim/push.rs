//! Simulated Web Push: rows are claimed, sent, and recorded; push services accept, refuse, put off or end a subscription. Also
//! what wakes users who are away: due deferred triggers, and messages left behind by a server that died.

use std::fmt;

use tidings::base::{Millis, NotificationId};
use tidings::decide::Input;
use tidings::decide::record::{HandOver, Record};

use crate::journal::Entry;
use crate::sim::{Event, Sim};
use crate::store::uuid_of;

/// A claim outlives the longest request.
const LEASE: Millis = Millis(70_000);
/// A push service takes a message after so long, microseconds, and answers as much later.
const TAKES: i64 = 20_000;
/// What a push service puts off is tried again after this.
const LATER: Millis = Millis(30_000);
/// Absent users are looked after this often, microseconds.
const LOOK: i64 = 2_000_000;
/// Deferred triggers that have expired are looked for this often.
const UPKEEP: i64 = 3_600_000_000;
/// One that is still there this long after its user was woken: once more.
const AGAIN: i64 = 60_000_000;

/// What a push service does with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushFate {
    Refused,
    Later,
    /// It has the message; its answer is lost, and it is asked again.
    TakenUnanswered,
    Gone,
}

impl fmt::Display for PushFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refuses",
            Self::Later => "says later",
            Self::TakenUnanswered => "takes it, the answer is lost",
            Self::Gone => "has ended the subscription",
        })
    }
}

impl Sim {
    pub fn wake_pusher(&mut self, server: usize) {
        self.push_later(server, self.mono + 1_000);
    }

    fn push_later(&mut self, server: usize, at: i64) {
        let push_at = &mut self.servers[server].push_at;
        if push_at.is_none_or(|known| known > at) {
            *push_at = Some(at);
            self.schedule_for(server, at, Event::Push);
        }
    }

    /// Frees every claim of an earlier life; what was claimed may have been shown.
    pub fn release_claims(&mut self) {
        let claimed = self.store.pushes.iter_mut().filter(|row| row.claimed_until.is_some());
        let ids: Vec<(usize, NotificationId)> = claimed
            .map(|row| {
                row.claimed_until = None;
                (row.user, row.notification)
            })
            .collect();
        for (user, id) in ids {
            self.note_pushed(user, id);
        }
    }

    fn note_pushed(&mut self, user: usize, id: NotificationId) {
        let mut rows = self.store.users[user].messages.iter_mut();
        if let Some(row) = rows.find(|row| row.message.notification_id == id) {
            row.given = true;
        }
    }

    /// Claims what is due and sends it.
    pub fn push(&mut self, server: usize) {
        let (mono, now) = (self.mono, self.now());
        if self.servers[server].push_at.is_none_or(|at| at > mono) {
            return;
        }
        self.servers[server].push_at = None;
        if self.store.holder != server {
            return;
        }
        let mut claimed = Vec::new();
        for row in &mut self.store.pushes {
            if row.due_at <= now && row.claimed_until.is_none_or(|until| until <= now) {
                row.claimed_until = Some(now + LEASE);
                claimed.push((row.notification, row.user, row.device, row.expires_at));
            }
        }
        for (notification, user, device, expires_at) in claimed {
            let rows = &self.store.users[user];
            let row = rows.messages.iter().find(|row| row.message.notification_id == notification);
            let shown = rows
                .feedback
                .iter()
                .any(|row| row.notification_id == notification && (1..=3).contains(&row.outcome));
            let settled = shown || expires_at <= now || row.is_none_or(|row| row.withdrawn || row.read);
            let fate = if settled { Some(PushFate::Refused) } else { self.push_fates.pop_front() };
            if matches!(fate, None | Some(PushFate::TakenUnanswered)) {
                let event = Event::PushTaken { notification, user, device };
                self.schedule_for(server, mono + TAKES, event);
            }
            if let Some(fate @ (PushFate::Later | PushFate::TakenUnanswered)) = fate {
                let unanswered = fate == PushFate::TakenUnanswered;
                let event = Event::PushPutOff { notification, user, device, unanswered };
                self.schedule_for(server, mono + 2 * TAKES, event);
                continue;
            }
            let (taken, gone) = (fate.is_none(), fate == Some(PushFate::Gone));
            let event = Event::PushEnds { notification, user, device, taken, gone };
            self.schedule_for(server, mono + 2 * TAKES, event);
        }
        let next = self.store.pushes.iter().map(|row| row.claimed_until.unwrap_or(row.due_at)).min();
        if let Some(at) = next {
            self.push_later(server, mono + (at.0 - now.0).max(1_000_000));
        }
    }

    /// The browser's service worker shows it, unless a page has.
    pub fn push_taken(&mut self, notification: NotificationId, user: usize, device: usize) {
        self.shown_by_push(user, device, notification);
    }

    /// The row is put off when an answer, or none, has come. What was not answered may be shown.
    pub fn push_put_off(
        &mut self,
        server: usize,
        id: NotificationId,
        user: usize,
        device: usize,
        unanswered: bool,
    ) {
        let due_at = self.now() + LATER;
        let mut rows = self.store.pushes.iter_mut();
        if let Some(row) = rows.find(|row| row.notification == id && row.device == device) {
            (row.due_at, row.claimed_until) = (due_at, None);
        }
        if unanswered {
            self.note_pushed(user, id);
            self.tell(server, user, Input::Pushed(id));
        }
        self.push_later(server, self.mono + 1_000_000);
    }

    pub fn push_ends(
        &mut self,
        server: usize,
        notification: NotificationId,
        user: usize,
        device: usize,
        taken: bool,
        gone: bool,
    ) {
        self.store.pushes.retain(|row| !(row.device == device && (gone || row.notification == notification)));
        if gone {
            self.unsubscribe(user, device);
        }
        if taken {
            self.note_pushed(user, notification);
            self.tell(server, user, Input::Pushed(notification));
        }
    }

    pub fn unsubscribe(&mut self, user: usize, device: usize) {
        self.store.users[user].subscriptions.remove(&device);
        self.store.pushes.retain(|row| row.device != device);
        let none = self.store.users[user].subscriptions.is_empty();
        for server in self.servers.iter_mut().filter(|_| none) {
            server.subscribed.remove(&user);
        }
    }

    /// Hands over what users who have not come back were given before this server started.
    pub fn sweep(&mut self, server: usize) {
        for user in self.store.left_behind(self.now()) {
            if self.servers[server].registry[user].is_none() {
                let hand_over =
                    HandOver { user: self.store.users[user].user, seen_up_to: i64::MAX, due_at: self.now() };
                self.journal(server, Entry::of(Record::HandOver(hand_over)));
            }
        }
    }

    pub fn schedule_look(&mut self, server: usize) {
        let at = self.mono + LOOK.max(self.tick / 4);
        self.servers[server].look_at = Some(at);
        self.schedule_for(server, at, Event::LookAfter);
    }

    /// Wakes absent users with a subscription for whom something is due.
    pub fn look_after(&mut self, server: usize) {
        let (now, mono) = (self.now(), self.mono);
        let not_for = &self.config().webpush.not_for;
        self.servers[server].woken.retain(|_, when| mono - *when < AGAIN);
        let mut due = Vec::new();
        for (user, rows) in self.store.users.iter().enumerate() {
            if rows.subscriptions.is_empty() {
                continue;
            }
            for row in &rows.held {
                if row.until <= now && row.expires_at > now && !not_for.contains(&row.trigger) {
                    due.push((user, row.held_id));
                }
            }
        }
        for (user, held_id) in due {
            if let std::collections::btree_map::Entry::Vacant(slot) =
                self.servers[server].woken.entry(held_id)
            {
                slot.insert(mono);
                let instance = self.get_or_start(server, user);
                self.happened(server, instance, Input::DueInStore(held_id));
            }
        }
        if mono - self.upkept >= UPKEEP {
            self.upkept = mono;
            let mut number = self.number("expired") << 20;
            let id = || {
                number += 1;
                uuid_of("expired", number)
            };
            let ended = self.store.expire_deferred(now, id);
            self.shadow.expired(&ended);
        }
        self.schedule_look(server);
    }
}
