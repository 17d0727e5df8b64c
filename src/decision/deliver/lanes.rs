//! Messages that wait to be handed to the actors of their users: one lane a user, taken from in turn, so that thousands for one
//! user hold nobody else up. Within a lane the order is that of acceptance; where more waits than may be out at a time,
//! transactional messages go first. No I/O and no clock.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::notify::{Message, Priority};
use tidings_core::base::ExternalId;

/// Element of a lane.
pub trait Queued {
    /// Receiver of the message.
    fn user(&self) -> &ExternalId;
    /// Order of acceptance.
    fn sequence(&self) -> u64;
    /// Content of the message.
    fn message(&self) -> &Message;
}

/// One user's messages.
struct Lane<T> {
    /// Transactional ones, by sequence.
    transactional: VecDeque<T>,
    /// All others, by sequence.
    ordinary: VecDeque<T>,
    /// Its user is in [`Lanes::transactional`].
    queued_first: bool,
    /// Its user is in [`Lanes::ordinary`].
    queued: bool,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        let (transactional, ordinary) = (VecDeque::new(), VecDeque::new());
        Self { transactional, ordinary, queued_first: false, queued: false }
    }
}

impl<T: Queued> Lane<T> {
    fn len(&self) -> usize {
        self.transactional.len() + self.ordinary.len()
    }

    /// A transactional message that replaces an ordinary one which still waits must not overtake it: the older would replace
    /// the newer. The other way round the order is kept anyway.
    fn may_overtake(&self, turn: &T) -> bool {
        let message = turn.message();
        message.priority == Priority::Transactional
            && (message.collapse_key.is_none()
                || !self.ordinary.iter().any(|other| other.message().collapse_key == message.collapse_key))
    }

    /// The next one; the earliest of all if `free` places are enough for all that wait.
    fn take(&mut self, free: usize) -> Option<T> {
        let sequence = |turns: &VecDeque<T>| turns.front().map(Queued::sequence);
        let transactional_first = match (sequence(&self.transactional), sequence(&self.ordinary)) {
            (Some(first), Some(other)) => first < other || self.len() > free,
            (first, _) => first.is_some(),
        };
        if transactional_first { self.transactional.pop_front() } else { self.ordinary.pop_front() }
    }
}

/// All users' lanes.
pub struct Lanes<T> {
    lanes: HashMap<ExternalId, Lane<T>>,
    /// Users with transactional messages; they go before the others.
    transactional: VecDeque<ExternalId>,
    /// Users with other messages.
    ordinary: VecDeque<ExternalId>,
    /// Users with as many messages out as may be.
    full: HashSet<ExternalId>,
    len: usize,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            transactional: VecDeque::new(),
            ordinary: VecDeque::new(),
            full: HashSet::new(),
            len: 0,
        }
    }
}

impl<T: Queued> Lanes<T> {
    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a message into its user's lane, where its sequence belongs. O(1) for the newest and for the oldest.
    pub fn push(&mut self, turn: T) {
        let user = turn.user().clone();
        let lane = self.lanes.entry(user.clone()).or_default();
        let turns = if lane.may_overtake(&turn) { &mut lane.transactional } else { &mut lane.ordinary };
        match turns.back() {
            Some(last) if last.sequence() > turn.sequence() => {
                let place = turns.partition_point(|other| other.sequence() < turn.sequence());
                turns.insert(place, turn);
            }
            _ => turns.push_back(turn),
        }
        self.len += 1;
        if !self.full.contains(&user) {
            self.queue(user);
        }
    }

    /// Puts a user into the queues that its lane belongs to.
    fn queue(&mut self, user: ExternalId) {
        let Some(lane) = self.lanes.get_mut(&user) else { return };
        if !lane.transactional.is_empty() && !std::mem::replace(&mut lane.queued_first, true) {
            self.transactional.push_back(user.clone());
        }
        if !lane.ordinary.is_empty() && !std::mem::replace(&mut lane.queued, true) {
            self.ordinary.push_back(user);
        }
    }

    /// Looks again at users who had no free place.
    pub fn recheck(&mut self, free: impl Fn(&ExternalId) -> usize) {
        let freed: Vec<ExternalId> = self.full.iter().filter(|user| free(user) > 0).cloned().collect();
        for user in freed {
            self.full.remove(&user);
            self.queue(user);
        }
    }

    /// The next message of a user with a free place. `free`: how many more may be out for a user.
    pub fn next(&mut self, free: impl Fn(&ExternalId) -> usize) -> Option<T> {
        loop {
            let first = self.transactional.pop_front();
            let is_first = first.is_some();
            let user = first.or_else(|| self.ordinary.pop_front())?;
            let Some(lane) = self.lanes.get_mut(&user) else { continue };
            if is_first {
                lane.queued_first = false;
            } else {
                lane.queued = false;
            }
            let places = free(&user);
            if places == 0 {
                self.full.insert(user);
                continue;
            }
            let turn = lane.take(places);
            self.len -= usize::from(turn.is_some());
            if lane.len() == 0 {
                self.lanes.remove(&user);
            } else {
                self.queue(user);
            }
            if turn.is_some() {
                return turn;
            }
        }
    }

    /// Takes out all messages of which `gone` holds. O(messages).
    pub fn take_out(&mut self, gone: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for lane in self.lanes.values_mut() {
            for turns in [&mut lane.transactional, &mut lane.ordinary] {
                if turns.iter().any(&gone) {
                    let (out, stay): (VecDeque<_>, VecDeque<_>) = turns.drain(..).partition(&gone);
                    *turns = stay;
                    taken.extend(out);
                }
            }
        }
        self.len -= taken.len();
        self.lanes.retain(|_, lane| lane.len() > 0);
        self.full.retain(|user| self.lanes.contains_key(user));
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    struct Turn {
        user: ExternalId,
        sequence: u64,
        message: Message,
    }

    impl Queued for Turn {
        fn user(&self) -> &ExternalId {
            &self.user
        }

        fn sequence(&self) -> u64 {
            self.sequence
        }

        fn message(&self) -> &Message {
            &self.message
        }
    }

    fn turn(user: i64, sequence: u64, priority: &str, collapse_key: Option<&str>) -> Turn {
        let message = serde_json::json!({"kind": "k", "category": "c", "priority": priority, "title": "t", "body": "",
            "collapse_key": collapse_key, "expires_at": "2100-01-01T00:00:00Z"});
        let message = serde_json::from_value(message).unwrap();
        Turn { user: ExternalId::Integer(user), sequence, message }
    }

    fn drained(lanes: &mut Lanes<Turn>, free: usize) -> Vec<(String, u64)> {
        std::iter::from_fn(|| lanes.next(|_| free))
            .map(|turn| (turn.user.to_string(), turn.sequence))
            .collect()
    }

    #[test]
    fn the_order_is_kept_while_there_is_room_and_transactional_messages_go_first_where_there_is_not() {
        let fill = |lanes: &mut Lanes<Turn>| {
            for sequence in 0..4 {
                lanes.push(turn(1, sequence, "normal", None));
            }
            lanes.push(turn(1, 4, "transactional", None));
        };
        let order = |free| {
            let mut lanes = Lanes::default();
            fill(&mut lanes);
            drained(&mut lanes, free).into_iter().map(|(_, sequence)| sequence).collect::<Vec<_>>()
        };
        assert_eq!(order(5), [0, 1, 2, 3, 4]);
        assert_eq!(order(4), [4, 0, 1, 2, 3]);
    }

    #[test]
    fn users_take_turns_and_those_with_something_transactional_come_first() {
        let mut lanes = Lanes::default();
        for sequence in 0..3 {
            lanes.push(turn(1, sequence, "normal", None));
        }
        lanes.push(turn(2, 3, "normal", None));
        lanes.push(turn(3, 4, "transactional", None));
        let users: Vec<String> = drained(&mut lanes, 9).into_iter().map(|(user, _)| user).collect();
        assert_eq!(users, ["3", "1", "2", "1", "1"]);
    }

    #[test]
    fn what_came_back_goes_to_its_old_place() {
        let mut lanes = Lanes::default();
        for sequence in [5, 6, 2, 9, 3] {
            lanes.push(turn(1, sequence, "normal", None));
        }
        let order: Vec<u64> = drained(&mut lanes, 9).into_iter().map(|(_, sequence)| sequence).collect();
        assert_eq!(order, [2, 3, 5, 6, 9]);
    }

    #[test]
    fn a_message_does_not_overtake_the_one_that_it_replaces() {
        let mut lanes = Lanes::default();
        lanes.push(turn(1, 0, "normal", Some("order-1")));
        lanes.push(turn(1, 1, "transactional", Some("order-1")));
        lanes.push(turn(1, 2, "transactional", Some("order-2")));
        let order: Vec<u64> = drained(&mut lanes, 1).into_iter().map(|(_, sequence)| sequence).collect();
        assert_eq!(order, [2, 0, 1]);
    }

    #[test]
    fn what_is_taken_out_is_not_handed_out() {
        let mut lanes = Lanes::default();
        for sequence in 0..6 {
            lanes.push(turn(i64::try_from(sequence % 2).unwrap(), sequence, "normal", None));
        }
        assert!(lanes.next(|_| 0).is_none());
        let taken = lanes.take_out(|turn| turn.sequence % 2 == 0 || turn.sequence == 3);
        assert_eq!((taken.len(), lanes.len()), (4, 2));
        lanes.recheck(|_| 9);
        assert_eq!(drained(&mut lanes, 9), [("1".to_owned(), 1), ("1".to_owned(), 5)]);
        assert!(lanes.is_empty());
    }

    proptest! {
        /// In any order of arrivals and returns each message is handed out once, never more than its user has places for.
        #[test]
        fn every_message_is_handed_out(steps in prop::collection::vec((0..4_i64, any::<bool>(), 0..3_u8), 1..200)) {
            let (mut lanes, out) = (Lanes::default(), RefCell::new(HashMap::<ExternalId, usize>::new()));
            let free = |user: &ExternalId| 3 - out.borrow().get(user).copied().unwrap_or(0);
            let mut handed = HashSet::new();
            for (sequence, (user, transactional, step)) in steps.iter().enumerate() {
                let priority = if *transactional { "transactional" } else { "low" };
                lanes.push(turn(*user, sequence as u64, priority, None));
                match step {
                    0 => {
                        if let Some(turn) = lanes.next(free) {
                            prop_assert!(free(&turn.user) > 0);
                            *out.borrow_mut().entry(turn.user.clone()).or_default() += 1;
                            prop_assert!(handed.insert(turn.sequence));
                        }
                    }
                    1 => {
                        out.borrow_mut().clear();
                        lanes.recheck(free);
                    }
                    _ => {}
                }
            }
            while !lanes.is_empty() {
                out.borrow_mut().clear();
                lanes.recheck(free);
                while let Some(turn) = lanes.next(free) {
                    *out.borrow_mut().entry(turn.user.clone()).or_default() += 1;
                    prop_assert!(handed.insert(turn.sequence));
                }
            }
            prop_assert_eq!(handed.len(), steps.len());
        }
    }
}
