//! One user's numbered stream as far as memory holds it: the newest [`MAX_ENTRIES`] messages, what has become of each, and
//! the frames of those that may have to be sent again; and of older messages that an inbox still has, their standing.

use std::collections::{HashMap, VecDeque};

use super::frames::Frame;
use super::standing::{Marks, Standing};
use super::withdrawal::{News, Restoration, Withdrawal};
use crate::notify::Priority;
use tidings_core::base::{NotificationId, Timestamp};

/// Messages kept in memory; a resume from before them is not complete, the inbox in PostgreSQL has them all. Also the most
/// that may be unacknowledged before the least important give way.
pub const MAX_ENTRIES: usize = 128;

/// Older messages whose standing is kept, the newest of them: all that are live, for nearly everybody none.
pub const MAX_OLDER: usize = 10_000;

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
    /// Its standing in the user's inbox.
    pub marks: Marks,
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
            marks: Marks::default(),
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

    /// Live, and of those that an inbox keeps: answers to logins are not.
    pub(super) fn is_kept(&self, now: Timestamp) -> bool {
        self.class != Class::Answer && self.is_live(now)
    }

    /// Live, and neither archived nor snoozed.
    pub(super) fn is_shown(&self, now: Timestamp) -> bool {
        self.is_live(now) && self.marks.standing(now).is_listed()
    }

    fn counts(&self, now: Timestamp) -> bool {
        self.is_kept(now) && self.marks.standing(now) == Standing::Unread
    }

    pub(super) fn withdraw(&mut self) {
        self.withdrawn = true;
        self.frame = None;
    }
}

/// Unread messages, and those among them that no list has shown; at most [`MAX_ENTRIES`] and [`MAX_OLDER`] each.
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
        (!old.marks.is_read() && old.class != Class::Answer).then_some(Withdrawal::Expired)
    } else if is_superseded.is_some_and(|newest| *newest > old.offset) {
        Some(Withdrawal::Superseded)
    } else {
        Some(Withdrawal::Withdrawn)
    }
}

/// One user's numbered stream, as far as memory holds it.
#[derive(Clone, Debug)]
pub struct Stream {
    last_offset: i64,
    acknowledged: i64,
    /// Everything live after it is in `entries`.
    floor: i64,
    entries: VecDeque<Entry>,
    /// Messages of the inbox that came before `entries`, without their frames.
    older: VecDeque<Entry>,
    /// Every live message of the inbox after it is in `older` or `entries`.
    inbox_floor: i64,
    /// No live message expires or returns before this; `None` = none does.
    next_change: Option<Timestamp>,
    /// Devices were told of what had returned by then.
    looked_at: Timestamp,
}

impl Stream {
    /// From what the database holds, in order. `floor`: the offset after which `entries` is complete.
    pub fn new(last_offset: i64, acknowledged: i64, floor: i64, entries: Vec<Entry>) -> Self {
        let mut stream = Self {
            last_offset,
            acknowledged,
            floor,
            entries: entries.into(),
            older: VecDeque::new(),
            inbox_floor: floor,
            next_change: None,
            looked_at: Timestamp::default(),
        };
        stream.look_ahead();
        stream
    }

    /// With the messages of the inbox that came before the others, in order: all that are live, or the newest [`MAX_OLDER`].
    #[must_use]
    pub fn with_older(mut self, older: Vec<Entry>) -> Self {
        let first = older.first().filter(|_| older.len() >= MAX_OLDER);
        self.inbox_floor = first.map_or(0, |first| first.offset - 1);
        self.older = older.into();
        self.look_ahead();
        self
    }

    /// Every message in memory, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.older.iter().chain(&self.entries)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.older.iter_mut().chain(&mut self.entries)
    }

    fn at(&self, offset: i64) -> Option<&Entry> {
        let find = |entries: &VecDeque<Entry>| entries.binary_search_by_key(&offset, |entry| entry.offset);
        let older = || find(&self.older).ok().and_then(|place| self.older.get(place));
        find(&self.entries).ok().and_then(|place| self.entries.get(place)).or_else(older)
    }

    fn at_mut(&mut self, offset: i64) -> Option<&mut Entry> {
        let find = |entries: &VecDeque<Entry>| entries.binary_search_by_key(&offset, |entry| entry.offset);
        match find(&self.entries) {
            Ok(place) => self.entries.get_mut(place),
            Err(_) => find(&self.older).ok().and_then(|place| self.older.get_mut(place)),
        }
    }

    fn look_ahead(&mut self) {
        let looked_at = self.looked_at;
        let live = self.all().filter(|entry| !entry.withdrawn);
        let changes = live.flat_map(|entry| {
            let returns = entry.marks.returns_at().filter(|at| *at > looked_at);
            [Some(entry.expires_at), returns].into_iter().flatten()
        });
        self.next_change = changes.min();
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
        let missed = self.entries.iter().filter(|entry| entry.offset > offset && entry.is_shown(now));
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
        entry.class == Class::Notification
            && entry.is_live(now)
            && entry.marks.standing(now) == Standing::Unread
    }

    /// Takes the next message; false for one that is there already. `gone` is told who gives way to it: messages with its
    /// collapse key, and when too many are unacknowledged the least important of them.
    pub fn push(&mut self, entry: Entry, now: Timestamp, mut gone: impl FnMut(&Entry)) -> bool {
        if entry.offset <= self.last_offset {
            return false;
        }
        if let Some(key) = &entry.collapse_key {
            let same = |old: &&mut Entry| old.collapse_key.as_ref() == Some(key) && old.is_live(now);
            for old in self.all_mut().filter(same) {
                old.withdraw();
                gone(old);
            }
        }
        self.last_offset = entry.offset;
        self.expect(entry.expires_at);
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ENTRIES {
            self.make_room(now, &mut gone);
        }
        true
    }

    /// Something changes by itself at this moment.
    pub(super) fn expect(&mut self, at: Timestamp) {
        self.next_change = Some(self.next_change.map_or(at, |next| next.min(at)));
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
                entry.withdraw();
                gone(&entry);
                return;
            }
        }
        if let Some(entry) = self.entries.pop_front()
            && entry.is_live(now)
        {
            self.floor = self.floor.max(entry.offset);
            if entry.is_kept(now) {
                self.keep(entry);
            }
        }
    }

    /// The inbox still has it.
    fn keep(&mut self, entry: Entry) {
        self.older.push_back(Entry { frame: None, ..entry });
        if self.older.len() > MAX_OLDER
            && let Some(oldest) = self.older.pop_front()
        {
            self.inbox_floor = self.inbox_floor.max(oldest.offset);
        }
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
        let new = self.entries.iter_mut().filter(|entry| !entry.given && entry.is_shown(now) && which(entry));
        new.map(|entry| {
            entry.given = true;
            entry.id
        })
        .collect()
    }

    /// A live message by its id.
    pub fn find(&mut self, id: NotificationId, now: Timestamp) -> Option<&mut Entry> {
        let is_it = |entry: &&mut Entry| entry.id == id && entry.is_live(now);
        let older = self.older.iter_mut().rev();
        self.entries.iter_mut().rev().chain(older).find(is_it)
    }

    /// Takes over what memory knew before everything was read again: marks may still be on their way to the store. Returns what
    /// devices have not been told. O(n log n) of the entries.
    pub fn take_over(&mut self, before: &Self, now: Timestamp) -> Vec<(NotificationId, News)> {
        self.acknowledged = self.acknowledged.max(before.acknowledged.min(self.last_offset));
        let live = self.all().filter(|entry| !entry.withdrawn);
        let newest: HashMap<Box<str>, i64> =
            live.filter_map(|entry| Some((entry.collapse_key.clone()?, entry.offset))).collect();
        // What gave way or was deleted before is not held there, and the store may not say so yet.
        let gave_way = |entry: &Entry| {
            let floor = if entry.class == Class::Answer {
                before.floor
            } else {
                before.floor.min(before.inbox_floor)
            };
            entry.offset > floor && entry.offset <= before.last_offset && before.at(entry.offset).is_none()
        };
        self.all_mut().filter(|entry| gave_way(entry)).for_each(Entry::withdraw);
        let mut news = Vec::new();
        let gone = |old: &Entry| Some((old.id, News::Gone(why_gone(old, &newest, now)?)));
        let (floor, inbox_floor) = (self.floor, self.floor.min(self.inbox_floor));
        for old in before.all() {
            let Some(entry) = self.at_mut(old.offset) else {
                // Everything live after the floor is there: this was let go of.
                let floor = if old.class == Class::Answer { floor } else { inbox_floor };
                if !old.withdrawn && old.offset > floor {
                    news.extend(gone(old));
                }
                continue;
            };
            entry.given |= old.given;
            entry.marks.join(&old.marks);
            let was = old.marks.standing(before.looked_at);
            if old.withdrawn {
                entry.withdraw();
            } else if entry.withdrawn {
                news.extend(gone(old));
            } else if let Some(one) = News::between(was, entry.marks.standing(now)) {
                let returned = entry.marks.returns_at().is_some() && one == News::Back(Restoration::Unread);
                let one = if returned { News::Back(Restoration::Returned) } else { one };
                news.push((entry.id, one));
            }
        }
        self.older.retain(|entry| !entry.withdrawn);
        self.looked_at = now;
        self.look_ahead();
        news
    }

    /// Takes a message back; false when it is not there or gone already.
    pub fn withdraw(&mut self, id: NotificationId, now: Timestamp) -> bool {
        self.find(id, now).map(Entry::withdraw).is_some()
    }

    /// A moment before which no live message expires or returns; that of the next one after [`Self::look`]. O(1).
    pub fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }

    /// Numbers of messages that wait to be read and seen. O(entries).
    pub fn counts(&self, now: Timestamp) -> Counts {
        self.all().filter(|entry| entry.counts(now)).fold(Counts::default(), |counts, entry| Counts {
            unread: counts.unread + 1,
            unseen: counts.unseen + usize::from(!entry.marks.is_seen()),
        })
    }

    /// Lets go of what has expired. Returns what devices have not been told: what was unread of it, and what has returned.
    pub fn look(&mut self, now: Timestamp) -> Vec<(NotificationId, News)> {
        let (since, mut news) = (self.looked_at, Vec::new());
        for entry in self.all_mut().filter(|entry| !entry.withdrawn) {
            if entry.expires_at <= now {
                if entry.class != Class::Answer && entry.marks.standing(now) == Standing::Unread {
                    news.push((entry.id, News::Gone(Withdrawal::Expired)));
                }
                entry.withdraw();
            } else if entry.marks.returns_at().is_some_and(|at| at > since && at <= now)
                && entry.marks.standing(now) == Standing::Unread
            {
                news.push((entry.id, News::Back(Restoration::Returned)));
            }
        }
        while self.entries.front().is_some_and(|entry| entry.withdrawn) {
            self.entries.pop_front();
        }
        self.older.retain(|entry| !entry.withdrawn);
        self.looked_at = now;
        self.look_ahead();
        self.entries.shrink_to_fit();
        self.older.shrink_to_fit();
        news
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn n_older(&self) -> usize {
        self.older.len()
    }
}
