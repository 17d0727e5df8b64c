//! A user as the store holds it, folded: the same fold over the same events as the live one.

use super::record::DeferredRow;
use super::stored::{MAX_DEFERRED_READ, RecentSend, StoredNotification, StoredUser};
use crate::deliver::{Entry, Stream};
use crate::feedback::FeedbackOutcome;
use crate::notify::policy::{Consent, PreferenceDocument, Purpose};
use crate::notify::triggers::{FiredOnce, Views};
use crate::notify::{Channel, PolicyState, Preferences, Sent};
use tidings_core::base::{Timestamp, UserId};
use tidings_core::catalogue::Catalogue;
use tidings_core::profile::{Attributes, Profile};

/// A user who was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Inner id.
    pub user: UserId,
    /// Moment at which the user was last found to act faster than a person: neither learned from nor answered. `None` = a person.
    pub robot_since: Option<Timestamp>,
    /// Folded from all events.
    pub profile: Profile,
    /// Messages sent lately and what came of them.
    pub policy: PolicyState,
    /// Preferences and consent, parsed.
    pub preferences: Preferences,
    /// Preferences as stored.
    pub document: PreferenceDocument,
    /// Attributes that the shop has set.
    pub attributes: Attributes,
    /// Views of the same item.
    pub views: Views,
    /// Deferred triggers, the earliest first.
    pub deferred: Vec<DeferredRow>,
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
    /// From the rows of one user. O(events + messages read).
    pub fn fold(mut stored: StoredUser, catalogue: &Catalogue) -> Self {
        stored.recent.sort_by_key(|send| send.at);
        let mut profile = Profile::default();
        let mut views = Views::default();
        if let Some(stated) = stored.stated {
            profile.state(stated);
        }
        for event in &stored.events {
            profile.apply(event, catalogue);
            views.apply(event);
        }
        let acknowledged =
            stored.tail.iter().filter(|one| one.acknowledged).map(|one| one.offset).max().unwrap_or(0);
        let tail = stored.tail.into_iter().map(entry).collect();
        let older = stored.older.into_iter().map(entry).collect();
        Self {
            user: stored.user,
            robot_since: stored.robot_since,
            profile,
            policy: policy(&stored.recent),
            preferences: stored.preferences.parse(consent(&stored.consents)),
            document: stored.preferences,
            attributes: stored.attributes,
            views,
            has_more_deferred: stored.held.len() >= MAX_DEFERRED_READ,
            deferred: stored.held,
            last_connected: stored.last_connected,
            fired_once: stored.fired_once.into_iter().collect(),
            stream: Stream::new(stored.last_offset, acknowledged, stored.floor, tail).with_older(older),
        }
    }

    /// A user of whom nothing is known.
    pub fn stranger() -> Self {
        Self {
            user: UserId(0),
            robot_since: None,
            profile: Profile::default(),
            policy: PolicyState::default(),
            preferences: Preferences::default(),
            document: PreferenceDocument::default(),
            attributes: Attributes::default(),
            views: Views::default(),
            deferred: Vec::new(),
            has_more_deferred: false,
            last_connected: None,
            fired_once: FiredOnce::default(),
            stream: Stream::new(0, 0, 0, Vec::new()),
        }
    }
}

fn policy(recent: &[RecentSend]) -> PolicyState {
    let mut policy = PolicyState::default();
    for send in recent {
        policy.note_sent(Sent {
            id: send.notification_id,
            at: send.at,
            category: send.category.as_str().into(),
            campaign: send.campaign.as_str().into(),
            channel: Channel::parse(&send.channel).unwrap_or(Channel::Socket),
            expires_at: send.expires_at,
            given: send.given || send.outcomes.iter().any(|code| is_shown(*code)),
            items: send.items.clone().into(),
            dedupe_key: send.dedupe_key.map(i64::cast_unsigned),
            passes_caps: send.passes_caps || send.trigger == "login",
            clicked: send.outcomes.contains(&FeedbackOutcome::Clicked.code()),
            dismissed: false,
            is_ephemeral: false,
        });
    }
    for send in recent {
        let rejected =
            |code: &i16| FeedbackOutcome::from_code(*code).is_some_and(FeedbackOutcome::is_rejection);
        if send.outcomes.iter().any(rejected) {
            policy.note_dismissed(send.notification_id, send.at);
        }
    }
    policy
}

/// Returns whether somebody saw the message that this came of. A purchase follows one that nobody saw as well.
fn is_shown(code: i16) -> bool {
    FeedbackOutcome::from_code(code).is_some_and(|outcome| outcome != FeedbackOutcome::Converted)
}

fn entry(stored: StoredNotification) -> Entry {
    let class = Entry::class_of(&stored.trigger, &stored.kind);
    Entry {
        offset: stored.offset,
        id: stored.notification_id,
        expires_at: stored.expires_at,
        frame: (!stored.frame.is_empty()).then(|| stored.frame.into()),
        class,
        priority: stored.priority,
        collapse_key: stored.collapse_key.map(Into::into),
        marks: stored.marks,
        withdrawn: stored.withdrawn,
        given: stored.given,
    }
}

/// Consent by the latest entry for each purpose.
pub(super) fn consent(entries: &[(String, bool)]) -> Consent {
    let mut consent = Consent::default();
    for (purpose, granted) in entries {
        if let Some(purpose) = Purpose::parse(purpose) {
            consent.note(purpose, *granted);
        }
    }
    consent
}
