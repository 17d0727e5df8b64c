//! Standing of a message in its user's inbox: unread, read, archived or snoozed.
//!
//! A change arrives in memory and in the store, at each in an order of its own: from a socket in memory first, over HTTP in the
//! store first. Both end alike, and as if the changes had come in the order of their moments, since nothing here depends on the
//! order of arrival: the place is that of the latest change of it, and the moments of reading and looking only grow. At the same
//! moment archived wins over snoozed, snoozed over read, and read over unread.

use tidings_core::base::Timestamp;

/// Change of a message that its user makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was opened. Neither takes it out of the archive nor ends a snooze.
    Read,
    /// Back in the inbox, as one that was not opened.
    Unread,
    /// Out of the inbox, and read.
    Archive,
    /// Back in the inbox, as one that was opened.
    Unarchive,
    /// Out of the inbox until then; back as one that was neither opened nor looked at.
    Snooze(Timestamp),
    /// Gone for good.
    Delete,
}

impl Change {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Unread => "unread",
            Self::Archive => "archive",
            Self::Unarchive => "unarchive",
            Self::Snooze(_) => "snooze",
            Self::Delete => "delete",
        }
    }
}

/// Place of a message, the one that wins at the same moment last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the list.
    Inbox,
    /// In the list again from this moment on.
    Snoozed(Timestamp),
    /// In the archive.
    Archived,
}

/// Place of a message and the moment since when it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// Moment of the change.
    pub at: Timestamp,
    /// The place.
    pub place: Place,
}

/// State of a message in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In the inbox, not opened.
    Unread,
    /// In the inbox, opened.
    Read,
    /// Out of the list for a while.
    Snoozed,
    /// In the archive.
    Archived,
}

impl Standing {
    /// Returns whether the inbox lists it.
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Unread | Self::Read)
    }
}

/// Before every moment.
const NEVER: Timestamp = Timestamp(i64::MIN);

/// All that was done to a message, as far as later changes and lists depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Moment of the last opening; [`NEVER`] also for one before the last change of the place.
    read_at: Timestamp,
    seen_at: Timestamp,
    /// `None` = in the inbox since it came. Most messages are.
    placed: Option<Box<Placed>>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { read_at: NEVER, seen_at: NEVER, placed: None }
    }
}

impl Marks {
    /// As stored.
    pub fn new(read_at: Option<Timestamp>, seen_at: Option<Timestamp>, placed: Option<Placed>) -> Self {
        let or_never = |at: Option<Timestamp>| at.unwrap_or(NEVER);
        Self { read_at: or_never(read_at), seen_at: or_never(seen_at), placed: placed.map(Box::new) }
    }

    /// Moment of the last opening that still says something.
    pub fn read_at(&self) -> Option<Timestamp> {
        Some(self.read_at).filter(|at| *at != NEVER)
    }

    /// Moment when a list with it was looked at.
    pub fn seen_at(&self) -> Option<Timestamp> {
        Some(self.seen_at).filter(|at| *at != NEVER)
    }

    /// The last change of its place.
    pub fn placed(&self) -> Option<Placed> {
        self.placed.as_deref().copied()
    }

    /// Returns whether anybody ever opened it or looked at a list with it.
    pub fn is_touched(&self) -> bool {
        self.seen_at != NEVER || self.read_at != NEVER
    }

    /// Its state in a list at a moment.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.place() {
            Place::Archived => Standing::Archived,
            Place::Snoozed(until) if until > now => Standing::Snoozed,
            _ if self.is_read() => Standing::Read,
            _ => Standing::Unread,
        }
    }

    fn place(&self) -> Place {
        self.placed.as_ref().map_or(Place::Inbox, |placed| placed.place)
    }

    /// Returns whether it was opened since it was last put where it is; one that was snoozed, since it came back.
    pub fn is_read(&self) -> bool {
        let since = match self.placed() {
            Some(Placed { place: Place::Snoozed(until), .. }) => until,
            Some(Placed { at, .. }) => at,
            None => NEVER,
        };
        self.read_at != NEVER && self.read_at >= since
    }

    /// Returns whether a list with it was looked at, or it was opened.
    pub fn is_seen(&self) -> bool {
        let since = match self.place() {
            Place::Snoozed(until) => until,
            _ => NEVER,
        };
        (self.seen_at != NEVER && self.seen_at >= since) || self.is_read()
    }

    /// End of the last snooze, unless it was ended by hand.
    pub fn returns_at(&self) -> Option<Timestamp> {
        match self.place() {
            Place::Snoozed(until) => Some(until),
            _ => None,
        }
    }

    /// Notes a change that was made at a moment. Deleting leaves no mark.
    pub fn apply(&mut self, change: Change, at: Timestamp) {
        match change {
            Change::Read => self.read(at),
            Change::Unread => self.put(Placed { at, place: Place::Inbox }),
            Change::Archive => {
                self.put(Placed { at, place: Place::Archived });
                self.read(at);
            }
            Change::Unarchive => {
                self.put(Placed { at, place: Place::Inbox });
                self.read(at);
            }
            Change::Snooze(until) => self.put(Placed { at, place: Place::Snoozed(until) }),
            Change::Delete => {}
        }
    }

    /// Notes that it was opened.
    pub fn read(&mut self, at: Timestamp) {
        self.see(at);
        if self.placed.as_ref().is_none_or(|placed| placed.at <= at) {
            self.read_at = self.read_at.max(at);
        }
    }

    /// Notes that a list with it was looked at. Only of one that was put somewhere does it matter when it last was.
    pub fn see(&mut self, at: Timestamp) {
        if self.seen_at == NEVER || self.placed.is_some() {
            self.seen_at = self.seen_at.max(at);
        }
    }

    fn put(&mut self, placed: Placed) {
        if self.placed().is_none_or(|known| known < placed) {
            self.placed = Some(Box::new(placed));
            if self.read_at < placed.at {
                self.read_at = NEVER;
            }
        }
    }

    /// Takes over what others noted.
    pub fn join(&mut self, other: &Self) {
        self.seen_at = self.seen_at.max(other.seen_at);
        self.read_at = self.read_at.max(other.read_at);
        if let Some(placed) = other.placed() {
            self.put(placed);
        }
        if self.placed().is_some_and(|placed| self.read_at < placed.at) {
            self.read_at = NEVER;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A change of the model, or a look at the list.
    #[derive(Clone, Copy, Debug)]
    enum Done {
        Change(Change),
        Look,
    }

    /// A message to which everything is done in the order of the moments.
    #[derive(Clone, Copy, Debug)]
    struct Message {
        place: Place,
        read: bool,
        seen: bool,
    }

    /// Rank at the same moment.
    fn rank(done: Done) -> (u8, i64) {
        match done {
            Done::Look => (0, 0),
            Done::Change(Change::Unread) => (1, 0),
            Done::Change(Change::Read) => (2, 0),
            Done::Change(Change::Unarchive) => (3, 0),
            Done::Change(Change::Snooze(until)) => (4, until.0),
            Done::Change(Change::Archive) => (5, 0),
            Done::Change(Change::Delete) => (6, 0),
        }
    }

    fn in_order(all: &[(i64, Done)]) -> Message {
        let mut sorted = all.to_vec();
        sorted.sort_by_key(|(at, done)| (*at, rank(*done)));
        let mut message = Message { place: Place::Inbox, read: false, seen: false };
        for (at, done) in sorted {
            let is_away = matches!(message.place, Place::Snoozed(until) if until.0 > at);
            match done {
                Done::Change(Change::Read) if !is_away => (message.read, message.seen) = (true, true),
                Done::Look if !is_away => message.seen = true,
                Done::Change(Change::Unread) => (message.place, message.read) = (Place::Inbox, false),
                Done::Change(Change::Unarchive) => {
                    message = Message { place: Place::Inbox, read: true, seen: true }
                }
                Done::Change(Change::Archive) => {
                    message = Message { place: Place::Archived, read: true, seen: true }
                }
                Done::Change(Change::Snooze(until)) => {
                    message = Message { place: Place::Snoozed(until), read: false, seen: false };
                }
                _ => {}
            }
        }
        message
    }

    fn done() -> impl Strategy<Value = (i64, Done)> {
        let change = prop_oneof![
            3 => Just(Done::Change(Change::Read)),
            3 => Just(Done::Change(Change::Unread)),
            2 => Just(Done::Change(Change::Archive)),
            2 => Just(Done::Change(Change::Unarchive)),
            2 => Just(Done::Look),
        ];
        // The end of a snooze lies after everything that may come late.
        prop_oneof![
            5 => (0..12_i64, change),
            1 => (0..12_i64, 100..103_i64)
                .prop_map(|(at, until)| (at, Done::Change(Change::Snooze(Timestamp(until))))),
        ]
    }

    fn note(marks: &mut Marks, (at, done): (i64, Done)) {
        match done {
            Done::Change(change) => marks.apply(change, Timestamp(at)),
            Done::Look => marks.see(Timestamp(at)),
        }
    }

    proptest! {
        /// Changes in any order, some of them twice, and two halves that are joined: always as in the order of their moments.
        #[test]
        fn changes_end_alike_in_whatever_order_they_come(
            all in proptest::collection::vec(done(), 1..9).prop_shuffle(), cut in 0..9_usize, later in 90..110_i64,
        ) {
            let expected = in_order(&all);
            let (mut marks, mut first, mut second) = (Marks::default(), Marks::default(), Marks::default());
            for (n, one) in all.iter().enumerate() {
                note(&mut marks, *one);
                note(if n < cut { &mut first } else { &mut second }, *one);
            }
            for one in all.iter().take(cut) {
                note(&mut marks, *one);
            }
            first.join(&second);
            for marks in [&marks, &first] {
                let standing = match expected.place {
                    Place::Archived => Standing::Archived,
                    Place::Snoozed(until) if until.0 > later => Standing::Snoozed,
                    _ if expected.read => Standing::Read,
                    _ => Standing::Unread,
                };
                prop_assert_eq!(marks.standing(Timestamp(later)), standing, "{:?} {:?}", all, marks);
                if standing != Standing::Snoozed {
                    // A list that was looked at while it was away may show it as seen, if a place came after that.
                    prop_assert!(marks.is_seen() || !expected.seen, "{:?} {:?}", all, marks);
                }
                let stored = Marks::new(marks.read_at(), marks.seen_at(), marks.placed());
                prop_assert_eq!(&stored, marks);
            }
        }
    }

    #[test]
    fn what_was_snoozed_comes_back_unread_and_unseen_whatever_was_read_meanwhile() {
        let mut marks = Marks::default();
        marks.read(Timestamp(1));
        marks.apply(Change::Snooze(Timestamp(10)), Timestamp(2));
        marks.read(Timestamp(5));
        marks.see(Timestamp(6));
        assert_eq!(marks.standing(Timestamp(9)), Standing::Snoozed);
        assert_eq!((marks.standing(Timestamp(10)), marks.is_seen()), (Standing::Unread, false));
        marks.see(Timestamp(11));
        assert_eq!((marks.is_read(), marks.is_seen()), (false, true));
        marks.read(Timestamp(12));
        assert_eq!(marks.standing(Timestamp(12)), Standing::Read);
    }

    #[test]
    fn unread_ends_a_snooze_and_takes_out_of_the_archive() {
        for away in [Change::Snooze(Timestamp(10)), Change::Archive] {
            let mut marks = Marks::default();
            marks.apply(away, Timestamp(1));
            marks.apply(Change::Unread, Timestamp(2));
            assert_eq!((marks.standing(Timestamp(3)), marks.returns_at()), (Standing::Unread, None));
        }
    }
}
