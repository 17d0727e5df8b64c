//! The newest sessions, kept in memory and indexed by item: what session-based recommenders answer from. A session is
//! the items one visitor clicked, oldest first. A ring: the oldest session leaves when a new one comes to a full memory.
//!
//! Memory: 4 bytes a click, about 56 a session, 4 a distinct item of a session and 32 an item id.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize, Serializer};

use crate::base::{ItemId, Timestamp};

/// One click of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// On what.
    pub item: ItemId,
    /// Moment of the click.
    pub at: Timestamp,
}

/// Bounds of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Most sessions.
    pub sessions: usize,
    /// Most clicks a session, the newest: one robot can't fill the memory.
    pub clicks: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { sessions: 500_000, clicks: 50 }
    }
}

/// The number of a session in one memory; a later one is larger. Not used again after the session has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionNumber(u32);

/// A session as remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Seconds since 1970 of the last click.
    ended: i64,
    items: Vec<u32>,
}

impl Remembered {
    /// Clicked items, oldest first, at least one.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// Unix seconds of the last click.
    pub fn ended(&self) -> i64 {
        self.ended
    }
}

/// Ring of the newest sessions, indexed by item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Stored")]
pub struct SessionMemory {
    bounds: Bounds,
    /// Number of the first session of `sessions`.
    first: u32,
    sessions: VecDeque<Remembered>,
    /// By item: numbers of the sessions it occurs in, in the order in which it came to them.
    postings: Vec<VecDeque<u32>>,
}

/// On disk: without the index, which is made again in a fraction of the time it takes to read it.
#[derive(Deserialize)]
struct Stored {
    bounds: Bounds,
    sessions: Vec<Remembered>,
}

/// The same, written from the memory itself.
#[derive(Serialize)]
#[serde(rename = "Stored")]
struct Kept<'a> {
    bounds: Bounds,
    sessions: &'a VecDeque<Remembered>,
}

impl From<Stored> for SessionMemory {
    fn from(stored: Stored) -> Self {
        let mut memory = Self::new(stored.bounds);
        for session in stored.sessions {
            memory.push(session);
        }
        memory
    }
}

impl Serialize for SessionMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Kept { bounds: self.bounds, sessions: &self.sessions }.serialize(serializer)
    }
}

impl SessionMemory {
    /// Remembers nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// From finished sessions, in any order; the ones that ended last stay. Sessions without clicks are left out.
    /// O(clicks + sessions log sessions).
    pub fn fit<'a>(sessions: impl IntoIterator<Item = &'a [Click]>, bounds: Bounds) -> Self {
        let mut remembered: Vec<Remembered> =
            sessions.into_iter().filter_map(|clicks| remember(clicks, bounds.clicks)).collect();
        // Stable: sessions that ended together stay in the order given.
        remembered.sort_by_key(|session| session.ended);
        let surplus = remembered.len().saturating_sub(bounds.sessions);
        let mut memory = Self::new(bounds);
        for session in remembered.into_iter().skip(surplus) {
            memory.push(session);
        }
        memory
    }

    /// Adds a finished or running session as the newest; `None` when it has no clicks or nothing may be remembered.
    /// O(clicks).
    pub fn observe(&mut self, clicks: &[Click]) -> Option<SessionNumber> {
        self.push(remember(clicks, self.bounds.clicks)?)
    }

    /// Adds a click to a session; false when the session has left the memory. O(clicks of the session).
    pub fn extend(&mut self, session: SessionNumber, click: Click) -> bool {
        let most = self.bounds.clicks.max(1);
        let Some(known) =
            session.0.checked_sub(self.first).and_then(|place| self.sessions.get_mut(place as usize))
        else {
            return false;
        };
        let is_new = !known.items.contains(&click.item.0);
        known.items.push(click.item.0);
        known.ended = known.ended.max(click.at.as_seconds());
        let mut left = None;
        if known.items.len() > most {
            let gone = known.items.remove(0);
            left = Some(gone).filter(|gone| !known.items.contains(gone));
        }
        if is_new {
            self.index(click.item.0, session.0);
        }
        if let Some(gone) = left {
            self.unindex(gone, session.0);
        }
        true
    }

    /// A session by its number; `None` when it has left.
    pub fn get(&self, session: SessionNumber) -> Option<&Remembered> {
        self.sessions.get(session.0.checked_sub(self.first)? as usize)
    }

    /// Sessions with this item, the one it came to last first. O(1) to begin.
    pub fn with_item(&self, item: ItemId) -> impl Iterator<Item = SessionNumber> + '_ {
        self.postings.get(item.index()).into_iter().flatten().rev().copied().map(SessionNumber)
    }

    /// In how many sessions an item occurs.
    pub fn n_with_item(&self, item: ItemId) -> usize {
        self.postings.get(item.index()).map_or(0, VecDeque::len)
    }

    /// All sessions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.sessions.iter()
    }

    /// The same without sessions of `other`, which are known by their last click and what led to it: one of the two may have lost older clicks.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut gone: HashMap<i64, Vec<&[u32]>> = HashMap::new();
        for session in &other.sessions {
            gone.entry(session.ended).or_default().push(&session.items);
        }
        let is_gone = |session: &Remembered| {
            let same = |items: &&[u32]| session.items.ends_with(items) || items.ends_with(&session.items);
            gone.get(&session.ended).is_some_and(|all| all.iter().any(same))
        };
        let sessions = self.sessions.iter().filter(|session| !is_gone(session)).cloned().collect();
        Stored { bounds: self.bounds, sessions }.into()
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Returns whether it holds no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// One more than the largest item ever seen.
    pub fn n_items(&self) -> usize {
        self.postings.len()
    }

    /// Index of a session among those present, for dense scratch space.
    pub(super) fn place(&self, session: SessionNumber) -> usize {
        session.0.wrapping_sub(self.first) as usize
    }

    fn push(&mut self, session: Remembered) -> Option<SessionNumber> {
        // The last number is given out never: u32::MAX sessions are a million a day for eleven years.
        let number = self.first.checked_add(u32::try_from(self.sessions.len()).ok()?)?;
        if self.bounds.sessions == 0 {
            return None;
        }
        if self.sessions.len() >= self.bounds.sessions
            && let Some(oldest) = self.sessions.pop_front()
        {
            let gone = self.first;
            self.first += 1;
            for item in oldest.items {
                self.unindex(item, gone);
            }
        }
        for (place, item) in session.items.iter().enumerate() {
            if !session.items.iter().take(place).any(|earlier| earlier == item) {
                self.index(*item, number);
            }
        }
        self.sessions.push_back(session);
        Some(SessionNumber(number))
    }

    fn index(&mut self, item: u32, session: u32) {
        let item = item as usize;
        if item >= self.postings.len() {
            self.postings.resize_with(item + 1, VecDeque::new);
        }
        if let Some(posting) = self.postings.get_mut(item) {
            posting.push_back(session);
        }
    }

    /// Takes a session out of a posting, near whose front it is: the oldest session leaves first.
    fn unindex(&mut self, item: u32, session: u32) {
        let Some(posting) = self.postings.get_mut(item as usize) else { return };
        if let Some(place) = posting.iter().position(|number| *number == session) {
            posting.remove(place);
        }
    }
}

fn remember(clicks: &[Click], most: usize) -> Option<Remembered> {
    let newest = clicks.get(clicks.len().saturating_sub(most.max(1))..)?;
    let ended = newest.iter().map(|click| click.at.as_seconds()).max()?;
    Some(Remembered { ended, items: newest.iter().map(|click| click.item.0).collect() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Clicks a minute apart, the first `minute` minutes after the epoch.
    pub(crate) fn clicks(minute: i64, items: &[u32]) -> Vec<Click> {
        let at = |place: i64| Timestamp::from_seconds(60 * (minute + place));
        (0..).zip(items).map(|(place, item)| Click { item: ItemId(*item), at: at(place) }).collect()
    }

    pub(crate) fn memory(sessions: &[Vec<Click>]) -> SessionMemory {
        SessionMemory::fit(sessions.iter().map(Vec::as_slice), Bounds::default())
    }

    fn with(memory: &SessionMemory, item: u32) -> Vec<Vec<u32>> {
        memory.with_item(ItemId(item)).map(|session| memory.get(session).unwrap().items().to_vec()).collect()
    }

    #[test]
    fn sessions_are_found_by_item_the_newest_first() {
        let memory = memory(&[clicks(100, &[1, 2, 1]), vec![], clicks(0, &[2, 3])]);
        assert_eq!(memory.len(), 2);
        assert_eq!(with(&memory, 2), [vec![1, 2, 1], vec![2, 3]]);
        assert_eq!(with(&memory, 1).len(), 1, "an item that was clicked twice counts once");
        assert!(with(&memory, 9).is_empty());
    }

    #[test]
    fn a_full_memory_forgets_the_oldest_session_and_long_ones_their_oldest_clicks() {
        let mut memory = SessionMemory::new(Bounds { sessions: 2, clicks: 2 });
        let first = memory.observe(&clicks(0, &[1, 2])).unwrap();
        let second = memory.observe(&clicks(9, &[2, 3, 4])).unwrap();
        memory.observe(&clicks(20, &[5])).unwrap();
        assert_eq!(memory.get(first), None);
        assert!(!memory.extend(first, clicks(30, &[7])[0]));
        assert_eq!(memory.get(second).unwrap().items(), [3, 4]);
        assert_eq!((with(&memory, 1).len(), with(&memory, 2).len(), memory.len()), (0, 0, 2));
        assert!(memory.extend(second, clicks(30, &[3])[0]));
        assert_eq!(with(&memory, 3), [[4, 3]]);
        assert!(memory.extend(second, clicks(31, &[8])[0]));
        assert_eq!((with(&memory, 4).len(), with(&memory, 8)), (0, vec![vec![3, 8]]));
        assert_eq!(SessionMemory::new(Bounds { sessions: 0, clicks: 2 }).observe(&clicks(0, &[1])), None);
    }

    #[test]
    fn a_session_that_goes_on_is_the_one_that_was_fitted_whole() {
        let whole = memory(&[clicks(0, &[1, 2, 3, 2])]);
        let mut live = SessionMemory::new(Bounds::default());
        let all = clicks(0, &[1, 2, 3, 2]);
        let running = live.observe(&all[..1]).unwrap();
        assert!(all[1..].iter().all(|click| live.extend(running, *click)));
        assert_eq!(live, whole);
        let bytes = postcard::to_stdvec(&whole).unwrap();
        assert_eq!(postcard::from_bytes::<SessionMemory>(&bytes).unwrap(), whole);
    }
}
