//! One user's stream and open connections: an [`Input`] in, [`Effect`]s out. No socket, no clock, no database.
//!
//! The stream is numbered from 1 without gaps. A message enters only after it is stored; every connection then
//! gets it in order. A connection that resumes gets all it missed, in order, or is told `recovered: false`
//! and gets none of it.

use std::collections::VecDeque;

use crate::base::{ConnectionId, NotificationId, Timestamp};
use crate::deliver::{CloseCode, Frame, Resume};

/// Messages kept in memory for resuming; older ones are in PostgreSQL only.
pub const MAX_TAIL: usize = 100;

/// A stored message of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Place in the stream.
    pub offset: i64,
    /// The client's key.
    pub id: NotificationId,
    /// Not sent after this.
    pub expires_at: Timestamp,
    /// Encoded.
    pub frame: Frame,
}

/// What happens to a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A connection logged in.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// Where it left off.
        resume: Option<Resume>,
    },
    /// A message was stored.
    Stored(Entry),
    /// A client received everything up to `offset`.
    Acknowledged {
        /// Cumulative.
        offset: i64,
    },
    /// A connection is gone.
    Disconnected(ConnectionId),
    /// A person is (not) looking at it.
    Visible(ConnectionId, bool),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Answer a login.
    Welcome {
        /// To whom.
        connection: ConnectionId,
        /// Everything missed follows?
        recovered: bool,
    },
    /// Write a frame.
    Send(ConnectionId, Frame),
    /// Remember in the database that everything up to here was received.
    RecordAcknowledged(i64),
    /// Refuse a connection.
    Close(ConnectionId, CloseCode),
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    id: ConnectionId,
    visible: bool,
}

/// One user's stream and connections.
#[derive(Clone, Debug)]
pub struct Session {
    epoch: Box<str>,
    last_offset: i64,
    acknowledged: i64,
    /// Oldest offset from which a resume is complete: `tail` holds everything after it that has not expired.
    floor: i64,
    tail: VecDeque<Entry>,
    connections: Vec<Connection>,
    max_connections: usize,
}

impl Session {
    /// From what the database holds: the last offset, the offset after which `tail` is complete, the tail in order.
    pub fn new(epoch: &str, last_offset: i64, floor: i64, tail: Vec<Entry>, max_connections: usize) -> Self {
        Self {
            epoch: epoch.into(),
            last_offset,
            acknowledged: 0,
            floor,
            tail: tail.into(),
            connections: Vec::new(),
            max_connections,
        }
    }

    /// Last offset of the stream; 0 = empty.
    pub fn last_offset(&self) -> i64 {
        self.last_offset
    }

    /// Incarnation of the stream.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Open connections.
    pub fn n_connections(&self) -> usize {
        self.connections.len()
    }

    /// Is a person looking at any of them?
    pub fn is_visible(&self) -> bool {
        self.connections.iter().any(|connection| connection.visible)
    }

    /// The transition function.
    pub fn on(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        match input {
            Input::Connected { connection, resume } => self.connect(connection, resume, now),
            Input::Stored(entry) => self.stored(entry),
            Input::Acknowledged { offset } => self.acknowledge(offset),
            Input::Disconnected(id) => {
                self.connections.retain(|connection| connection.id != id);
                Vec::new()
            }
            Input::Visible(id, visible) => {
                for connection in self.connections.iter_mut().filter(|connection| connection.id == id) {
                    connection.visible = visible;
                }
                Vec::new()
            }
        }
    }

    fn connect(&mut self, id: ConnectionId, resume: Option<Resume>, now: Timestamp) -> Vec<Effect> {
        self.connections.retain(|connection| connection.id != id);
        if self.connections.len() >= self.max_connections {
            return vec![Effect::Close(id, CloseCode::TooManyConnections)];
        }
        self.connections.push(Connection { id, visible: true });
        let Some(resume) = resume else {
            return vec![Effect::Welcome { connection: id, recovered: true }];
        };
        // An offset from the future is one of another incarnation, whatever its epoch says.
        let recovered =
            *resume.epoch == *self.epoch && resume.offset >= self.floor && resume.offset <= self.last_offset;
        let mut effects = vec![Effect::Welcome { connection: id, recovered }];
        if recovered {
            effects.extend(
                self.tail
                    .iter()
                    .filter(|entry| entry.offset > resume.offset && entry.expires_at > now)
                    .map(|entry| Effect::Send(id, entry.frame.clone())),
            );
        }
        effects
    }

    fn stored(&mut self, entry: Entry) -> Vec<Effect> {
        if entry.offset <= self.last_offset {
            return Vec::new(); // Already in the stream: a repeated answer of the store.
        }
        self.last_offset = entry.offset;
        let effects = self
            .connections
            .iter()
            .map(|connection| Effect::Send(connection.id, entry.frame.clone()))
            .collect();
        self.tail.push_back(entry);
        while self.tail.len() > MAX_TAIL {
            if let Some(dropped) = self.tail.pop_front() {
                self.floor = self.floor.max(dropped.offset);
            }
        }
        effects
    }

    fn acknowledge(&mut self, offset: i64) -> Vec<Effect> {
        let offset = offset.min(self.last_offset);
        if offset <= self.acknowledged {
            return Vec::new();
        }
        self.acknowledged = offset;
        vec![Effect::RecordAcknowledged(offset)]
    }

    /// Frees what only a busy moment needed.
    pub fn shrink(&mut self, now: Timestamp) {
        self.tail.retain(|entry| entry.expires_at > now);
        self.tail.shrink_to_fit();
        self.connections.shrink_to(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn entry(offset: i64) -> Entry {
        Entry {
            offset,
            id: NotificationId(Uuid::from_u128(offset as u128)),
            expires_at: Timestamp(i64::MAX),
            frame: offset.to_string().into(),
        }
    }

    fn session() -> Session {
        Session::new("e", 0, 0, Vec::new(), 4)
    }

    fn sent_to(effects: &[Effect], id: u64) -> Vec<i64> {
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Send(connection, frame) if connection.0 == id => Some(frame.parse().unwrap()),
                _ => None,
            })
            .collect()
    }

    fn resume(session: &mut Session, id: u64, epoch: &str, offset: i64) -> (bool, Vec<i64>) {
        let effects = session.on(
            Input::Connected {
                connection: ConnectionId(id),
                resume: Some(Resume { epoch: epoch.into(), offset }),
            },
            NOW,
        );
        let Effect::Welcome { recovered, .. } = effects[0] else { panic!("{effects:?}") };
        (recovered, sent_to(&effects, id))
    }

    #[test]
    fn a_resume_gets_all_that_was_missed_or_none_of_it() {
        let mut session = session();
        for offset in 1..=150 {
            session.on(Input::Stored(entry(offset)), NOW);
        }
        assert_eq!(resume(&mut session, 1, "e", 148), (true, vec![149, 150]));
        assert_eq!(resume(&mut session, 1, "e", 150), (true, vec![]));
        assert_eq!(resume(&mut session, 1, "e", 50), (true, (51..=150).collect()));
        assert_eq!(resume(&mut session, 1, "e", 49), (false, vec![]));
        assert_eq!(resume(&mut session, 1, "other", 150), (false, vec![]));
        assert_eq!(resume(&mut session, 1, "e", 151), (false, vec![]));
    }

    #[test]
    fn expired_messages_are_not_replayed() {
        let mut session = session();
        session.on(Input::Stored(Entry { expires_at: Timestamp(0), ..entry(1) }), NOW);
        session.on(Input::Stored(entry(2)), NOW);
        assert_eq!(resume(&mut session, 1, "e", 0), (true, vec![2]));
    }

    #[test]
    fn acknowledgements_are_cumulative_and_recorded_once() {
        let mut session = session();
        session.on(Input::Stored(entry(1)), NOW);
        session.on(Input::Stored(entry(2)), NOW);
        assert_eq!(session.on(Input::Acknowledged { offset: 9 }, NOW), [Effect::RecordAcknowledged(2)]);
        assert_eq!(session.on(Input::Acknowledged { offset: 1 }, NOW), []);
    }

    #[test]
    fn one_connection_too_many_is_refused() {
        let mut session = session();
        for id in 1..=4 {
            session.on(Input::Connected { connection: ConnectionId(id), resume: None }, NOW);
        }
        let effects = session.on(Input::Connected { connection: ConnectionId(5), resume: None }, NOW);
        assert_eq!(effects, [Effect::Close(ConnectionId(5), CloseCode::TooManyConnections)]);
        session.on(Input::Disconnected(ConnectionId(2)), NOW);
        assert_eq!(session.n_connections(), 3);
    }

    proptest! {
        /// Two clients that drop and resume at random see every message once, in order, or are told that they don't.
        #[test]
        fn nothing_is_missed_and_nothing_comes_twice(steps in proptest::collection::vec((0u8..5, 0u64..2), 1..400)) {
            let mut session = session();
            let mut offset = 0;
            let mut seen: [Vec<i64>; 2] = [vec![], vec![]];
            let mut online = [false; 2];
            let take = |effects: &[Effect], seen: &mut [Vec<i64>; 2]| {
                for (client, seen) in (0..).zip(seen) {
                    seen.extend(sent_to(effects, client));
                }
            };
            for (step, client) in steps {
                let index = client as usize;
                match step {
                    0 if !online[index] => {
                        let last = seen[index].last().copied().unwrap_or(0);
                        let effects = session.on(Input::Connected { connection: ConnectionId(client), resume: Some(Resume { epoch: "e".into(), offset: last }) }, NOW);
                        online[index] = true;
                        let lost = effects.contains(&Effect::Welcome { connection: ConnectionId(client), recovered: false });
                        prop_assert_eq!(lost, offset - last > MAX_TAIL as i64);
                        if lost {
                            prop_assert!(sent_to(&effects, client).is_empty());
                            seen[index].push(offset); // The client reloads its inbox up to `welcome.offset`.
                        }
                        take(&effects, &mut seen);
                    }
                    1 => {
                        session.on(Input::Disconnected(ConnectionId(client)), NOW);
                        online[index] = false;
                    }
                    2 => {
                        let last = seen[index].last().copied().unwrap_or(0);
                        session.on(Input::Acknowledged { offset: last }, NOW);
                    }
                    _ => {
                        offset += 1;
                        let effects = session.on(Input::Stored(entry(offset)), NOW);
                        take(&effects, &mut seen);
                    }
                }
                prop_assert!(session.tail.len() <= MAX_TAIL);
                for client in 0..2 {
                    prop_assert!(seen[client].windows(2).all(|pair| pair[0] < pair[1]));
                    if online[client] {
                        prop_assert_eq!(seen[client].last().copied().unwrap_or(0), offset);
                    }
                }
            }
        }
    }
}
