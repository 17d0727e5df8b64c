//! Input of a training: events in order, capped by user.

use crate::base::UserId;
use crate::event::Event;
use crate::profile::StatedFeatures;

/// Training data of a model.
#[derive(Clone, Debug, Default)]
pub struct TrainingData {
    /// In order of `occurred_at`; users and items by dense id.
    pub events: Vec<Event>,
    /// One more than the largest user id.
    pub n_users: usize,
    /// Features that the shop states of users, by user.
    pub stated: Vec<(UserId, StatedFeatures)>,
}

/// Users of a training: how many, and what the shop states of some.
#[derive(Clone, Copy, Debug, Default)]
pub struct Users<'a> {
    /// One more than the largest user id.
    pub n: usize,
    /// Stated features, by user.
    pub stated: &'a [(UserId, StatedFeatures)],
}

impl Users<'_> {
    /// Features stated of one user.
    pub fn stated(&self, user: UserId) -> Option<StatedFeatures> {
        let place = self.stated.binary_search_by_key(&user, |(user, _)| *user).ok()?;
        self.stated.get(place).map(|(_, stated)| *stated)
    }
}

impl TrainingData {
    /// The users of all the data.
    pub fn users(&self) -> Users<'_> {
        Users { n: self.n_users, stated: &self.stated }
    }

    /// Leaves out all but the newest `most` events of each user; anonymous ones stay. How many went. O(events), 4 bytes a
    /// user; where many went, those that stay are copied.
    pub fn cap_users(&mut self, most: usize) -> usize {
        let mut surplus = vec![0u32; self.n_users];
        for event in &self.events {
            if let Some(count) = event.user.and_then(|user| surplus.get_mut(user.index())) {
                *count = count.saturating_add(1);
            }
        }
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        surplus.iter_mut().for_each(|count| *count = count.saturating_sub(most));
        let before = self.events.len();
        // Oldest first: the surplus is used up by the oldest.
        self.events.retain(|event| {
            let left = event.user.and_then(|user| surplus.get_mut(user.index())).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_none()
        });
        // Shrinking in place would keep the pages, and the events stay in memory during the whole training.
        if self.events.capacity() - self.events.len() > self.events.len() / 32 {
            self.events = self.events.as_slice().to_vec();
        }
        before - self.events.len()
    }
}
