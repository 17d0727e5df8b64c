//! A user as the store holds it, folded: the same fold over the same events as the live one.

use super::record::HeldRow;
use crate::base::{Timestamp, UserId};
use crate::deliver::Stream;
use crate::notify::policy::PreferenceDocument;
use crate::notify::triggers::{FiredOnce, Views};
use crate::notify::{PolicyState, Preferences};
use crate::profile::Profile;

/// A user who was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Inner id.
    pub user: UserId,
    /// Neither learned from nor answered.
    pub is_robot: bool,
    /// Folded from all events.
    pub profile: Profile,
    /// Messages sent lately and what came of them.
    pub policy: PolicyState,
    /// Preferences and consent, parsed.
    pub preferences: Preferences,
    /// Preferences as stored.
    pub document: PreferenceDocument,
    /// Views of the same item.
    pub views: Views,
    /// Deferred triggers, the earliest first.
    pub deferred: Vec<HeldRow>,
    /// The store holds more of them.
    pub has_more_deferred: bool,
    /// Moment at which a connection of the user was last known to be open.
    pub last_connected: Option<Timestamp>,
    /// Triggers that fire once and have fired.
    pub fired_once: FiredOnce,
    /// The newest messages and their state.
    pub stream: Stream,
}

impl Loaded {
    /// A user of whom nothing is known.
    pub fn stranger() -> Self {
        Self {
            user: UserId(0),
            is_robot: false,
            profile: Profile::default(),
            policy: PolicyState::default(),
            preferences: Preferences::default(),
            document: PreferenceDocument::default(),
            views: Views::default(),
            deferred: Vec::new(),
            has_more_deferred: false,
            last_connected: None,
            fired_once: FiredOnce::default(),
            stream: Stream::new(0, 0, 0, Vec::new()),
        }
    }
}
