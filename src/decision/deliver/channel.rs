//! By which way a message reaches its user: chosen once, when it is decided, and stored with it. Who looks at a page gets
//! it there; who does not gets a push, if a browser has agreed to it; else it waits in the inbox. A message that was
//! given to a page which closed before saying that it had it is handed over to Web Push, once.

use crate::notify::{Channel, Channels};
use tidings_core::base::{Millis, Timestamp};

/// As stored.
pub fn code(channel: Channel) -> i16 {
    match channel {
        Channel::Socket => 0,
        Channel::Push => 1,
        Channel::Inbox => 2,
    }
}

/// From the database; a code of a later release counts as the socket.
pub fn from_code(code: i16) -> Channel {
    [Channel::Push, Channel::Inbox]
        .into_iter()
        .find(|one| self::code(*one) == code)
        .unwrap_or(Channel::Socket)
}

/// Inputs of the choice of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// True if somebody is looking at one of the user's pages.
    pub visible: bool,
    /// True if one of the user's browsers has agreed to pushes.
    pub subscribed: bool,
    /// True if the message is worth a push; false = only for someone who is looking.
    pub pushable: bool,
}

/// Exactly one way for every message.
pub fn choose(situation: Situation) -> Channel {
    match situation {
        Situation { visible: true, .. } => Channel::Socket,
        Situation { subscribed: true, pushable: true, .. } => Channel::Push,
        Situation { .. } => Channel::Inbox,
    }
}

/// The same as the policy asks for it: one way, or none. What preferences close is not replaced by another.
pub fn open(situation: Situation) -> Channels {
    let channel = choose(situation);
    Channels { socket: channel == Channel::Socket, push: channel == Channel::Push }
}

/// Since when nobody looks, and whether that has been acted upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Away {
    since: Option<Timestamp>,
    settled: bool,
}

impl Away {
    /// Tells whether somebody looks; true when a check is to be made once the grace is over.
    pub fn note(&mut self, visible: bool, now: Timestamp) -> bool {
        if visible {
            *self = Self::default();
            return false;
        }
        let begins = self.since.is_none();
        self.since.get_or_insert(now);
        begins
    }

    /// Since when nobody looks, while that has not been acted upon.
    pub fn pending(&self) -> Option<Timestamp> {
        self.since.filter(|_| !self.settled)
    }

    /// True once for every absence that has lasted for the grace: what was given to a page and not acknowledged is to be
    /// handed over now. A page that reloads within the grace gets it by resuming.
    pub fn is_due(&mut self, now: Timestamp, grace: Millis) -> bool {
        let due = !self.settled && self.since.is_some_and(|since| now.millis_since(since) >= grace);
        self.settled |= due;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const GRACE: Millis = Millis(10_000);

    #[test]
    fn every_situation_has_its_channel() {
        let at = |visible, subscribed, pushable| choose(Situation { visible, subscribed, pushable });
        for (subscribed, pushable) in [(true, true), (true, false), (false, true), (false, false)] {
            assert_eq!(at(true, subscribed, pushable), Channel::Socket, "who looks needs no push");
        }
        assert_eq!(at(false, true, true), Channel::Push);
        assert_eq!(at(false, true, false), Channel::Inbox);
        assert_eq!(at(false, false, true), Channel::Inbox);
    }

    #[test]
    fn an_absence_is_due_once_and_only_after_the_grace() {
        let mut away = Away::default();
        let at = |ms| Timestamp::from_millis(ms);
        assert!(away.note(false, at(0)));
        assert!(!away.note(false, at(5_000)), "one check is enough");
        assert!(!away.is_due(at(9_999), GRACE));
        assert!(away.is_due(at(10_000), GRACE));
        assert!(!away.is_due(at(20_000), GRACE));
        away.note(true, at(21_000));
        assert!(!away.is_due(at(40_000), GRACE));
        assert!(away.note(false, at(50_000)));
        assert!(away.is_due(at(60_000), GRACE));
    }

    /// A server, its database and one browser, small enough to be looked through.
    #[derive(Default)]
    struct World {
        now: i64,
        // The database.
        messages: BTreeMap<u32, (Channel, bool)>,
        outbox: BTreeSet<u32>,
        // The server's memory.
        away: Away,
        // The browser: an open page, whether it can be seen, what lies in the socket, what was shown and by whom claimed.
        page: Option<bool>,
        socket: Vec<u32>,
        unacknowledged: Vec<u32>,
        shown: BTreeMap<u32, u32>,
    }

    impl World {
        fn visible(&self) -> bool {
            self.page == Some(true)
        }

        fn looks(&mut self) {
            let (visible, now) = (self.visible(), Timestamp::from_millis(self.now));
            self.away.note(visible, now);
        }

        fn decide(&mut self, id: u32) {
            let channel = choose(Situation { visible: self.visible(), subscribed: true, pushable: true });
            self.messages.insert(id, (channel, false));
            if channel == Channel::Push {
                self.outbox.insert(id);
            }
            if self.page.is_some() {
                self.socket.push(id);
            }
        }

        /// The first to claim a message shows it.
        fn show(&mut self, id: u32) {
            *self.shown.entry(id).or_default() += 1;
        }

        /// The page reads one frame. It shows what comes while it can be seen, unless the service worker has.
        fn read(&mut self) {
            if self.socket.is_empty() || self.page.is_none() {
                return;
            }
            let id = self.socket.remove(0);
            if self.visible() && !self.shown.contains_key(&id) {
                self.show(id);
            }
            if self.visible() {
                self.unacknowledged.push(id);
            }
        }

        fn acknowledge(&mut self) {
            for id in std::mem::take(&mut self.unacknowledged) {
                if let Some((_, acknowledged)) = self.messages.get_mut(&id) {
                    *acknowledged = true;
                }
            }
        }

        fn close(&mut self) {
            self.page = None;
            self.socket.clear();
            self.unacknowledged.clear();
            self.looks();
        }

        /// Connects and resumes: what was not acknowledged comes again.
        fn open(&mut self) {
            if self.page.is_none() {
                self.page = Some(true);
                self.socket =
                    self.messages.iter().filter(|(_, (_, acked))| !acked).map(|(id, _)| *id).collect();
                self.looks();
            }
        }

        fn check(&mut self) {
            if self.away.is_due(Timestamp::from_millis(self.now), GRACE) {
                for (id, (channel, acknowledged)) in &mut self.messages {
                    // As the statement of the store has it.
                    if *channel == Channel::Socket && !*acknowledged {
                        *channel = Channel::Push;
                        self.outbox.insert(*id);
                    }
                }
            }
        }

        /// The push service delivers, sometimes twice: the row was not yet gone when the server died.
        fn push(&mut self, twice: bool) {
            let Some(id) = self.outbox.first().copied() else { return };
            if !twice {
                self.outbox.remove(&id);
            }
            if !self.shown.contains_key(&id) {
                self.show(id);
            }
        }

        /// The server dies and starts again: memory and sockets are gone, the database is there.
        fn crash(&mut self) {
            self.close();
            self.away = Away::default();
            self.looks();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        /// In any order of steps, no message is shown twice, and when everything has come to rest each has
        /// been shown once, by the page or by the service worker.
        #[test]
        fn each_message_is_shown_once(steps in proptest::collection::vec(0u8..11, 0..120)) {
            let mut world = World::default();
            let mut next = 0;
            for step in steps {
                world.now += 1_500;
                match step {
                    0 | 1 => { world.decide(next); next += 1; }
                    2 | 3 => world.read(),
                    4 => world.acknowledge(),
                    5 => world.open(),
                    6 => world.close(),
                    7 => { if world.page.is_some() { world.page = Some(!world.visible()); world.looks(); } }
                    8 => world.push(false),
                    9 => world.push(true),
                    _ => world.crash(),
                }
                world.check();
                prop_assert!(world.shown.values().all(|times| *times == 1), "{:?}", world.shown);
            }
            world.close();
            world.now += 20_000;
            world.check();
            while !world.outbox.is_empty() {
                world.push(false);
            }
            prop_assert_eq!(world.shown.len(), next as usize, "{:?}", world.messages);
            prop_assert!(world.shown.values().all(|times| *times == 1));
        }
    }
}
