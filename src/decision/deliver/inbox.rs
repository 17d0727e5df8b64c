//! Changes that a user makes in the inbox, as memory holds it.

use std::collections::HashSet;

use super::standing::{Change, Standing};
use super::stream::{Entry, Stream};
use super::withdrawal::{News, Withdrawal};
use tidings_core::base::{NotificationId, Timestamp};

/// Outcome of a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// News for the devices, oldest message first.
    pub news: Vec<(NotificationId, News)>,
    /// Messages that nobody had been given, as far as was known: somebody has them before his eyes.
    pub given: Vec<NotificationId>,
}

impl Changed {
    fn note(&mut self, entry: &mut Entry, change: Change, at: Timestamp, now: Timestamp) {
        if !std::mem::replace(&mut entry.given, true) {
            self.given.push(entry.id);
        }
        let was = entry.marks.standing(now);
        entry.marks.apply(change, at);
        let news = if change == Change::Delete {
            entry.withdraw();
            Some(News::Gone(Withdrawal::Deleted))
        } else {
            News::between(was, entry.marks.standing(now))
        };
        self.news.extend(news.map(|news| (entry.id, news)));
    }
}

impl Stream {
    /// Returns whether a change would leave the message as it is.
    pub fn has(&mut self, id: NotificationId, change: Change, now: Timestamp) -> bool {
        self.find(id, now).is_some_and(|entry| {
            let standing = entry.marks.standing(now);
            match change {
                Change::Read => standing != Standing::Unread,
                Change::Unread => standing == Standing::Unread,
                Change::Archive => standing == Standing::Archived,
                Change::Unarchive => standing == Standing::Read,
                Change::Snooze(until) => entry.marks.returns_at() == Some(until),
                Change::Delete => false,
            }
        })
    }

    /// Carries out a change that was made at a moment. Of messages that are not live, or that would not come back before they
    /// expire, nothing changes. O(entries).
    pub fn change(
        &mut self,
        ids: &[NotificationId],
        change: Change,
        at: Timestamp,
        now: Timestamp,
    ) -> Changed {
        let wanted: HashSet<&NotificationId> = ids.iter().collect();
        let mut changed = Changed::default();
        let until = match change {
            Change::Snooze(until) => until,
            _ => Timestamp(i64::MIN),
        };
        let is_wanted =
            |entry: &&mut Entry| wanted.contains(&entry.id) && entry.is_live(now) && entry.expires_at > until;
        for entry in self.all_mut().filter(is_wanted) {
            changed.note(entry, change, at, now);
        }
        if until > now {
            self.expect(until);
        }
        changed
    }

    /// Returns whether anything up to an offset is unread.
    pub fn has_unread(&self, up_to: i64, now: Timestamp) -> bool {
        let unread = |entry: &Entry| entry.is_kept(now) && entry.marks.standing(now) == Standing::Unread;
        self.all().any(|entry| entry.offset <= up_to && unread(entry))
    }

    /// Everything up to an offset was read at a moment. O(entries).
    pub fn read_all(&mut self, up_to: i64, at: Timestamp, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        for entry in self.all_mut().filter(|entry| entry.offset <= up_to && entry.is_kept(now)) {
            if entry.marks.standing(now) == Standing::Unread {
                changed.note(entry, Change::Read, at, now);
            } else {
                entry.marks.read(at);
            }
        }
        changed
    }

    /// A list with everything up to an offset was looked at; whether that is news. O(entries).
    pub fn see(&mut self, up_to: i64, at: Timestamp, now: Timestamp) -> bool {
        let mut is_news = false;
        for entry in self.all_mut().filter(|entry| entry.offset <= up_to && entry.is_live(now)) {
            let was = entry.marks.is_seen();
            entry.marks.see(at);
            is_news |= entry.marks.is_seen() != was && entry.marks.standing(now).is_listed();
        }
        is_news
    }
}
