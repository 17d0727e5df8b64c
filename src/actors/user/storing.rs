//! Changes of one user on their way to the store.

use super::replies::Replies;

/// Changes of one user that are on their way to the store.
#[derive(Default)]
pub(super) struct Storing {
    /// A change went to the journal, and no answer has waited for it.
    pub is_open: bool,
    /// The journal had no room for a change.
    pub is_lost: bool,
    /// Answers that wait for the journal.
    pub awaited: u32,
    /// Changes of topics that wait for those under way; `None` = none are.
    pub topics: Option<Vec<TopicChange>>,
}

/// A topic to follow, or to follow no longer.
pub(super) struct TopicChange {
    /// Receiver of the answer.
    pub to: Replies,
    /// Name of the topic.
    pub topic: Box<str>,
    /// From now on, or no longer.
    pub follows: bool,
}
