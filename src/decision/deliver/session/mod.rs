//! One user's stream and open connections: an [`Input`] in, [`Effect`]s out. No socket, no clock, no database.
//!
//! The stream is numbered from 1 in order. A message enters only after it is stored; every connection then gets it in
//! order. A connection that resumes gets all it missed that is still worth showing, in order, or is told
//! `recovered: false` and gets none of it. One that was never here gets the notifications nobody has acknowledged. What is
//! read, seen, archived, snoozed, deleted or withdrawn on one device is so on all of them at once.

mod inbox;
#[cfg(test)]
mod tests;

use crate::deliver::close_code::CloseCode;
use crate::deliver::frames::{self, Frame};
use crate::deliver::login::Resume;
use crate::deliver::standing::{Change, Standing};
use crate::deliver::stream::{Class, Counts, Entry, Stream};
use crate::deliver::withdrawal::{News, Withdrawal};
use tidings_core::base::{ConnectionId, NotificationId, Timestamp};

/// Changes of single messages that a connection is told at once: far fewer than its pipe has room for.
const MAX_NEWS: usize = 256;

/// Input of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A connection logged in.
    Connected {
        /// The new connection.
        connection: ConnectionId,
        /// Place in the stream at which the client left off.
        resume: Option<Resume>,
    },
    /// A connection that came without a place gets what is owed to it, and the counts.
    CatchUp(ConnectionId),
    /// A message was stored.
    Stored(Entry),
    /// A client received everything up to `offset`.
    Acknowledged {
        /// Cumulative.
        offset: i64,
    },
    /// The user changed messages.
    Change {
        /// Ids of the messages.
        ids: Vec<NotificationId>,
        /// The change of their standing.
        change: Change,
        /// Moment of the change.
        at: Timestamp,
        /// Connection on which it was done; `None` = over HTTP, and stored already.
        by: Option<ConnectionId>,
    },
    /// Everything up to an offset was marked as read.
    ReadAll {
        /// Up to and including.
        up_to: i64,
        /// Moment of the change.
        at: Timestamp,
        /// Connection on which it was done; `None` = over HTTP, and stored already.
        by: Option<ConnectionId>,
    },
    /// A list with everything up to an offset was looked at.
    Seen {
        /// Up to and including.
        up_to: i64,
        /// Moment of looking.
        at: Timestamp,
        /// Connection on which it was done; `None` = over HTTP, and stored already.
        by: Option<ConnectionId>,
    },
    /// The shop took a message back; stored already.
    Withdrawn(NotificationId),
    /// A connection is gone.
    Disconnected(ConnectionId),
    /// A person is (not) looking at it.
    Visible(ConnectionId, bool),
    /// Time has passed.
    Tick,
}

/// Effect to be carried out, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Answer a login.
    Welcome {
        /// Connection that is answered.
        connection: ConnectionId,
        /// True if everything missed follows.
        recovered: bool,
    },
    /// Write a frame.
    Send(ConnectionId, Frame),
    /// Write a frame that was missed. They come all at once and lie in memory anyway: no sign of a slow client.
    Replay(ConnectionId, Frame),
    /// Remember in the database that the stream was received up to and including this offset.
    RecordAcknowledged(i64),
    /// Remember a change of these.
    RecordChange(Vec<NotificationId>, Change),
    /// Remember that everything up to here was read.
    RecordReadAll(i64),
    /// Remember that everything up to here was seen.
    RecordSeen(i64),
    /// Remember that it gave way: too much was unacknowledged. (A collapse key is seen to by the store.)
    RecordSuperseded(NotificationId),
    /// Refuse a connection.
    Close(ConnectionId, CloseCode),
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    id: ConnectionId,
    visible: bool,
    /// Last offset when it came without a place; what is owed up to here has not been sent yet.
    catch_up: Option<i64>,
    /// It has been given what is live after this offset.
    from: i64,
}

/// One user's stream and connections.
#[derive(Clone, Debug)]
pub struct Session {
    epoch: Box<str>,
    stream: Stream,
    /// As last told.
    counts: Counts,
    connections: Vec<Connection>,
    max_connections: usize,
    /// Messages given to pages that somebody looks at, until they are asked for.
    given: Vec<NotificationId>,
}

impl Session {
    /// Nobody connected.
    pub fn new(epoch: &str, stream: Stream, now: Timestamp, max_connections: usize) -> Self {
        let counts = stream.counts(now);
        Self {
            epoch: epoch.into(),
            stream,
            counts,
            connections: Vec::new(),
            max_connections,
            given: Vec::new(),
        }
    }

    /// Last offset of the stream; 0 = empty.
    pub fn last_offset(&self) -> i64 {
        self.stream.last_offset()
    }

    /// Incarnation of the stream.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Open connections.
    pub fn n_connections(&self) -> usize {
        self.connections.len()
    }

    /// Ids of the open connections, in the order they came.
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.connections.iter().map(|connection| connection.id).collect()
    }

    /// Returns whether a connection is open.
    pub fn has(&self, id: ConnectionId) -> bool {
        self.connections.iter().any(|connection| connection.id == id)
    }

    /// A moment before which no live message expires or returns; exact after a tick. O(1).
    pub fn next_change(&self) -> Option<Timestamp> {
        self.stream.next_change()
    }

    /// Numbers of messages that wait to be read and seen.
    pub fn counts(&self, now: Timestamp) -> Counts {
        self.stream.counts(now)
    }

    /// Returns whether a person is looking at any of the connections.
    pub fn is_visible(&self) -> bool {
        self.connections.iter().any(|connection| connection.visible)
    }

    /// Returns whether a person is looking at this connection.
    pub fn is_seen_by(&self, id: ConnectionId) -> bool {
        self.connections.iter().any(|connection| connection.id == id && connection.visible)
    }

    /// Messages that a page somebody looks at was given since the last call, each once: they may have been shown, whether or
    /// not the page says so. In the stream's order for each input.
    pub fn take_given(&mut self) -> Vec<NotificationId> {
        std::mem::take(&mut self.given)
    }

    fn give(&mut self, now: Timestamp, which: impl Fn(&Entry) -> bool) {
        let new = self.stream.give(now, which);
        self.given.extend(new);
    }

    /// The transition function. O(messages in memory + connections).
    pub fn on(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Connected { connection, resume } => self.connect(connection, resume, now, &mut effects),
            Input::CatchUp(id) => self.catch_up(id, now, &mut effects),
            Input::Stored(entry) => self.stored(entry, now, &mut effects),
            Input::Acknowledged { offset } => {
                let news = self.stream.acknowledge(offset);
                effects.extend(news.map(Effect::RecordAcknowledged));
            }
            Input::Change { ids, change, at, by } => self.change(ids, change, at, by, now, &mut effects),
            Input::ReadAll { up_to, at, by } => self.read_all(up_to, at, by, now, &mut effects),
            Input::Seen { up_to, at, by } => self.seen(up_to, at, by, now, &mut effects),
            Input::Withdrawn(id) => {
                if self.stream.withdraw(id, now) {
                    self.tell(&frames::withdraw(id, Withdrawal::Withdrawn), None, &mut effects);
                }
                self.tell_counts(now, &mut effects);
            }
            Input::Disconnected(id) => self.connections.retain(|connection| connection.id != id),
            Input::Visible(id, visible) => {
                if let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) {
                    connection.visible = visible;
                    let from = connection.from;
                    self.give(now, |entry| visible && entry.offset > from);
                }
            }
            Input::Tick => self.tick(now, &mut effects),
        }
        effects
    }

    /// Takes over the connections of `before`, of which this session was read again: each gets what it missed, learns what is no
    /// longer to be shown, and the counts if they changed. Where not all of what was missed is held, connections are closed.
    pub fn take_over(&mut self, before: &Self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let seen = before.last_offset();
        let news = self.stream.take_over(&before.stream, now);
        let Some(missed) = self.stream.since(seen, now) else {
            let lost = |connection: &Connection| Effect::Close(connection.id, CloseCode::StreamLost);
            return before.connections.iter().map(lost).collect();
        };
        self.connections = before.connections.clone();
        for connection in &self.connections {
            effects.extend(missed.iter().map(|frame| Effect::Replay(connection.id, frame.clone())));
        }
        let visible = self.is_visible();
        self.give(now, |entry| visible && entry.offset > seen);
        self.tell_news(&news, None, &mut effects);
        self.counts = before.counts;
        self.tell_counts(now, &mut effects);
        effects
    }

    fn connect(
        &mut self,
        id: ConnectionId,
        resume: Option<Resume>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.connections.retain(|connection| connection.id != id);
        if self.connections.len() >= self.max_connections {
            return effects.push(Effect::Close(id, CloseCode::TooManyConnections));
        }
        let last_offset = self.stream.last_offset();
        let connection = Connection { id, visible: true, catch_up: None, from: last_offset };
        let Some(resume) = resume else {
            self.connections.push(Connection { catch_up: Some(last_offset), ..connection });
            return effects.push(Effect::Welcome { connection: id, recovered: true });
        };
        // An offset from the future is one of another incarnation, whatever its epoch says.
        let missed = if *resume.epoch == *self.epoch { self.stream.since(resume.offset, now) } else { None };
        let from = if missed.is_some() { 0 } else { last_offset };
        self.connections.push(Connection { from, ..connection });
        self.give(now, |entry| entry.offset > from);
        effects.push(Effect::Welcome { connection: id, recovered: missed.is_some() });
        effects.extend(missed.into_iter().flatten().map(|frame| Effect::Replay(id, frame)));
        self.greet(id, now, effects);
    }

    fn catch_up(&mut self, id: ConnectionId, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return;
        };
        let Some(upto) = connection.catch_up.take() else { return };
        let after = self.stream.acknowledged();
        self.give(now, |entry| {
            let is_owed = entry.class == Class::Notification && entry.marks.standing(now) == Standing::Unread;
            entry.offset > after && entry.offset <= upto && is_owed
        });
        effects.extend(self.stream.owed(upto, now).into_iter().map(|frame| Effect::Replay(id, frame)));
        self.greet(id, now, effects);
    }

    /// The counts, to one that has just come; nothing unread is what it takes for granted. What has expired since the others were
    /// told is news to them: they would not hear of the next message if it left the count as it was.
    fn greet(&mut self, id: ConnectionId, now: Timestamp, effects: &mut Vec<Effect>) {
        let counts = self.stream.counts(now);
        if counts != self.counts {
            self.counts = counts;
            self.tell(&frames::inbox(counts.unread, counts.unseen), Some(id), effects);
        }
        if counts != Counts::default() {
            effects.push(Effect::Send(id, frames::inbox(counts.unread, counts.unseen)));
        }
    }

    fn stored(&mut self, entry: Entry, now: Timestamp, effects: &mut Vec<Effect>) {
        // One that was taken back while it was being stored has its place, and nobody is shown it.
        let mut frame = entry.frame.clone().filter(|_| !entry.withdrawn);
        let (id, visible) = (entry.id, self.is_visible());
        let mut gone = Vec::new();
        let key = entry.collapse_key.clone();
        if !self.stream.push(entry, now, |old| gone.push((old.id, old.collapse_key.clone()))) {
            return; // Already in the stream: a repeated answer of the store.
        }
        for (gone, old_key) in gone {
            if gone == id {
                // Too much is unacknowledged, and nothing of it is less important: it gives way itself.
                frame = None;
                effects.push(Effect::RecordSuperseded(id));
                continue;
            }
            self.tell(&frames::withdraw(gone, Withdrawal::Superseded), None, effects);
            if key.is_none() || key != old_key {
                effects.push(Effect::RecordSuperseded(gone));
            }
        }
        if let Some(frame) = frame {
            self.tell(&frame, None, effects);
            self.give(now, |entry| visible && entry.id == id);
        }
        self.tell_counts(now, effects);
    }

    fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let news = self.stream.look(now);
        self.tell_news(&news, None, effects);
        self.tell_counts(now, effects);
        self.connections.shrink_to(2);
    }

    /// To every connection but one.
    fn tell(&self, frame: &Frame, but: Option<ConnectionId>, effects: &mut Vec<Effect>) {
        let others = self.connections.iter().filter(|connection| Some(connection.id) != but);
        effects.extend(others.map(|connection| Effect::Send(connection.id, frame.clone())));
    }

    /// Each to every connection but one; of very many the newest: the counts are right all the same.
    fn tell_news(
        &self,
        news: &[(NotificationId, News)],
        but: Option<ConnectionId>,
        effects: &mut Vec<Effect>,
    ) {
        for (id, one) in news.iter().skip(news.len().saturating_sub(MAX_NEWS)) {
            self.tell(&frames::news(*id, *one), but, effects);
        }
    }

    /// To every connection, if they have changed: also by what has expired since they were told.
    fn tell_counts(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let counts = self.stream.counts(now);
        if counts != self.counts {
            self.counts = counts;
            if !self.connections.is_empty() {
                self.tell(&frames::inbox(counts.unread, counts.unseen), None, effects);
            }
        }
    }
}
