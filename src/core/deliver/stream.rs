//! One user's numbered stream as far as memory holds it: the newest [`MAX_ENTRIES`] messages, what has become of each, and
//! the frames of those that may have to be sent again.

use std::collections::{HashMap, VecDeque};

use super::frames::Frame;
use super::withdrawal::Withdrawal;
use crate::base::{NotificationId, Timestamp};
use crate::notify::Priority;

/// Messages kept in memory; a resume from before them is not complete, the inbox in PostgreSQL has them all. Also the most
/// that may be unacknowledged before the least important give way.
pub const MAX_ENTRIES: usize = 128;

/// Class of a message, for a client that was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The answer to a login: nobody misses it.
    Answer,
    /// A recommendation: the next login brings a fresher one.
    Recommendation,
    /// Owed to the user until it is acknowledged.
    Notification,
}

/// A stored message of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Place in the stream.
    pub offset: i64,
    /// The client's key.
    pub id: NotificationId,
    /// Not sent after this.
    pub expires_at: Timestamp,
    /// Encoded; `None` = too old to be held in memory.
    pub frame: Option<Frame>,
    /// Class of the message, for a client that was away.
    pub class: Class,
    /// Priority, by which messages give way when too much is unacknowledged.
    pub priority: Priority,
    /// A newer message with the same key supersedes it.
    pub collapse_key: Option<Box<str>>,
    /// A list with it was looked at.
    pub seen: bool,
    /// It was opened.
    pub read: bool,
    /// It is not to be shown any more.
    pub withdrawn: bool,
    /// A page that somebody looks at was given it.
    pub given: bool,
}

impl Entry {
    /// A recommendation that nobody has seen.
    pub fn new(offset: i64, id: NotificationId, expires_at: Timestamp, frame: Frame, class: Class) -> Self {
        Self {
            offset,
            id,
            expires_at,
            frame: Some(frame),
            class,
            priority: Priority::default(),
            collapse_key: None,
            seen: false,
            read: false,
            withdrawn: false,
            given: false,
        }
    }

    /// A message as it is stored. The same for one that was just decided and one that was read from the store.
    pub fn class_of(trigger: &str, kind: &str) -> Class {
        match (trigger, kind) {
            ("login", _) => Class::Answer,
            (_, "recommendation") => Class::Recommendation,
            _ => Class::Notification,
        }
    }

    /// Neither expired nor withdrawn.
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.withdrawn && self.expires_at > now
    }

    fn counts(&self, now: Timestamp) -> bool {
        self.class != Class::Answer && !self.read && self.is_live(now)
    }
}

/// Unread messages, and those among them that no list has shown; at most [`MAX_ENTRIES`] each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not opened.
    pub unread: usize,
    /// Not even looked at.
    pub unseen: usize,
}

/// Reason, as devices are told, why a message is no longer live; `None` for one that nobody misses. `newest`: the last
/// offset of each collapse key.
fn why_gone(old: &Entry, newest: &HashMap<Box<str>, i64>, now: Timestamp) -> Option<Withdrawal> {
    let is_superseded = old.collapse_key.as_ref().and_then(|key| newest.get(key));
    if old.expires_at <= now {
        (!old.read && old.class != Class::Answer).then_some(Withdrawal::Expired)
    } else if is_superseded.is_some_and(|newest| *newest > old.offset) {
        Some(Withdrawal::Superseded)
    } else {
        Some(Withdrawal::Withdrawn)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Stream {
    last_offset: i64,
    acknowledged: i64,
    /// Everything live after it is in `entries`.
    floor: i64,
    entries: VecDeque<Entry>,
    /// No live message expires before this; `None` = none expires.
    next_expiry: Option<Timestamp>,
}

impl Stream {
    /// From what the database holds, in order. `floor`: the offset after which `entries` is complete.
    pub fn new(last_offset: i64, acknowledged: i64, floor: i64, entries: Vec<Entry>) -> Self {
        let next_expiry = entries.iter().map(|entry| entry.expires_at).min();
        Self { last_offset, acknowledged, floor, entries: entries.into(), next_expiry }
    }

    /// 0 = empty.
    pub fn last_offset(&self) -> i64 {
        self.last_offset
    }

    /// Everything up to here was received by some device.
    pub fn acknowledged(&self) -> i64 {
        self.acknowledged
    }

    /// Frames missed by a client that has everything up to `offset`; `None` when not all of them are held here. O(entries).
    pub fn since(&self, offset: i64, now: Timestamp) -> Option<Vec<Frame>> {
        if offset < self.floor || offset > self.last_offset {
            return None;
        }
        let missed = self.entries.iter().filter(|entry| entry.offset > offset && entry.is_live(now));
        missed.map(|entry| entry.frame.clone()).collect()
    }

    /// Messages owed to a client that was never here, up to and including `upto`: live, unacknowledged, unread notifications.
    pub fn owed(&self, upto: i64, now: Timestamp) -> Vec<Frame> {
        let owed = self.entries.iter().filter(|entry| {
            entry.offset <= upto && entry.offset > self.acknowledged && Self::is_owed(entry, now)
        });
        owed.filter_map(|entry| entry.frame.clone()).collect()
    }

    fn is_owed(entry: &Entry, now: Timestamp) -> bool {
        entry.class == Class::Notification && !entry.read && entry.is_live(now)
    }

    /// Takes the next message; false for one that is there already. `gone` is told who gives way to it: messages with its
    /// collapse key, and when too many are unacknowledged the least important of them.
    pub fn push(&mut self, entry: Entry, now: Timestamp, mut gone: impl FnMut(&Entry)) -> bool {
        if entry.offset <= self.last_offset {
            return false;
        }
        if let Some(key) = &entry.collapse_key {
            let same = |old: &&mut Entry| old.collapse_key.as_ref() == Some(key) && old.is_live(now);
            for old in self.entries.iter_mut().filter(same) {
                Self::withdraw_entry(old);
                gone(old);
            }
        }
        self.last_offset = entry.offset;
        self.next_expiry = Some(self.next_expiry.map_or(entry.expires_at, |next| next.min(entry.expires_at)));
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ENTRIES {
            self.make_room(now, &mut gone);
        }
        true
    }

    /// The oldest goes; but what is owed stays as long as something less important is owed too.
    fn make_room(&mut self, now: Timestamp, gone: &mut impl FnMut(&Entry)) {
        let acknowledged = self.acknowledged;
        let owed = |entry: &Entry| entry.offset > acknowledged && Self::is_owed(entry, now);
        if self.entries.front().is_some_and(&owed) {
            let position = (0..self.entries.len())
                .filter(|at| {
                    self.entries
                        .get(*at)
                        .is_some_and(|entry| owed(entry) && entry.priority < Priority::Transactional)
                })
                .min_by_key(|at| self.entries.get(*at).map(|entry| entry.priority));
            if let Some(mut entry) = position.and_then(|at| self.entries.remove(at)) {
                Self::withdraw_entry(&mut entry);
                gone(&entry);
                return;
            }
        }
        if let Some(entry) = self.entries.pop_front()
            && entry.is_live(now)
        {
            self.floor = self.floor.max(entry.offset);
        }
    }

    fn withdraw_entry(entry: &mut Entry) {
        entry.withdrawn = true;
        entry.frame = None;
    }

    /// Cumulative; the new mark, or `None` when that was known. What was never sent can't be acknowledged.
    pub fn acknowledge(&mut self, offset: i64) -> Option<i64> {
        let offset = offset.min(self.last_offset);
        let is_new = offset > self.acknowledged;
        self.acknowledged = self.acknowledged.max(offset);
        is_new.then_some(offset)
    }

    /// Notes that somebody was given those live messages; those of which that is news. O(entries).
    pub fn give(&mut self, now: Timestamp, which: impl Fn(&Entry) -> bool) -> Vec<NotificationId> {
        let new = self.entries.iter_mut().filter(|entry| !entry.given && entry.is_live(now) && which(entry));
        new.map(|entry| {
            entry.given = true;
            entry.id
        })
        .collect()
    }

    /// A live message by its id.
    pub fn find(&mut self, id: NotificationId, now: Timestamp) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| entry.id == id && entry.is_live(now))
    }

    /// Every live message, oldest first.
    pub fn live(&mut self, now: Timestamp) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().filter(move |entry| entry.is_live(now))
    }

    /// Takes over what memory knew before everything was read again: marks may still be on their way to the store. Returns what
    /// devices have not been told: messages that were live and unread before, and are no longer. O(n log n) of the entries.
    pub fn take_over(&mut self, before: &Self, now: Timestamp) -> Vec<(NotificationId, Withdrawal)> {
        self.acknowledged = self.acknowledged.max(before.acknowledged.min(self.last_offset));
        let keys: Vec<_> = self.entries.iter().filter(|entry| !entry.withdrawn).collect();
        let newest: HashMap<Box<str>, i64> =
            keys.into_iter().filter_map(|entry| Some((entry.collapse_key.clone()?, entry.offset))).collect();
        // What gave way before is not held there, and the store may not say so yet.
        let gave_way = |entry: &Entry| {
            let was_held = entry.offset > before.floor && entry.offset <= before.last_offset;
            was_held && before.entries.binary_search_by_key(&entry.offset, |old| old.offset).is_err()
        };
        self.entries.iter_mut().filter(|entry| gave_way(entry)).for_each(Self::withdraw_entry);
        let mut gone = Vec::new();
        for old in &before.entries {
            let place = self.entries.binary_search_by_key(&old.offset, |entry| entry.offset);
            let Some(entry) = place.ok().and_then(|place| self.entries.get_mut(place)) else {
                // Everything live after the floor is there: this was let go of.
                if !old.withdrawn && old.offset > self.floor {
                    gone.extend(why_gone(old, &newest, now).map(|reason| (old.id, reason)));
                }
                continue;
            };
            entry.seen |= old.seen;
            entry.given |= old.given;
            if old.withdrawn {
                Self::withdraw_entry(entry);
            } else if entry.withdrawn {
                gone.extend(why_gone(old, &newest, now).map(|reason| (old.id, reason)));
            } else if entry.read && !old.read {
                gone.push((entry.id, Withdrawal::ReadElsewhere));
            }
            entry.read |= old.read;
        }
        gone
    }

    /// Takes a message back; false when it is not there or gone already.
    pub fn withdraw(&mut self, id: NotificationId, now: Timestamp) -> bool {
        self.find(id, now).map(Self::withdraw_entry).is_some()
    }

    /// A moment before which no live message expires; that of the next one after [`Self::expire`]. O(1).
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.next_expiry
    }

    /// Numbers of messages that wait to be read and seen. O(entries).
    pub fn counts(&self, now: Timestamp) -> Counts {
        self.entries.iter().filter(|entry| entry.counts(now)).fold(Counts::default(), |counts, entry| {
            Counts { unread: counts.unread + 1, unseen: counts.unseen + usize::from(!entry.seen) }
        })
    }

    /// Lets go of what has expired, and tells of each that was unread.
    pub fn expire(&mut self, now: Timestamp, mut gone: impl FnMut(&Entry)) {
        for entry in self.entries.iter_mut().filter(|entry| !entry.withdrawn && entry.expires_at <= now) {
            Self::withdraw_entry(entry);
            if entry.class != Class::Answer && !entry.read {
                gone(entry);
            }
        }
        while self.entries.front().is_some_and(|entry| entry.withdrawn) {
            self.entries.pop_front();
        }
        self.next_expiry =
            self.entries.iter().filter(|entry| !entry.withdrawn).map(|entry| entry.expires_at).min();
        self.entries.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
