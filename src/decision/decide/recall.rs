//! Messages that teach send time, volume and wording, and what those of the last week taught about one user.

use jiff::tz::TimeZone;

use crate::feedback::learner::{Learner, PastContact, UserLearning};
use crate::notify::{Channel, PolicyState, Preferences, Rules};
use tidings_core::base::Timestamp;

/// Returns whether a message teaches send time, volume and wording. Solicited and transactional ones do not, nor one that only lies
/// in the inbox.
pub(super) fn is_learned_from(passes_caps: bool, channel: Channel) -> bool {
    !passes_caps && channel != Channel::Inbox
}

/// The user's part of what was learned, from the messages of the last week.
pub(super) fn recall(
    policy: &PolicyState,
    preferences: &Preferences,
    rules: &Rules,
    learner: &Learner,
) -> UserLearning {
    let zone = preferences.time_zone.as_ref().unwrap_or(&rules.time_zone);
    let past: Vec<PastContact> = policy
        .newest_first()
        .filter(|sent| is_learned_from(sent.passes_caps, sent.channel))
        .map(|sent| PastContact {
            hour: local_hour(sent.at, zone),
            clicked: sent.clicked,
            dismissed: sent.dismissed,
        })
        .collect();
    UserLearning::recall(past.into_iter().rev(), learner)
}

/// Hour of the day in a time zone, 0…23.
pub(super) fn local_hour(at: Timestamp, zone: &TimeZone) -> u8 {
    u8::try_from(at.to_jiff().to_zoned_datetime(zone.clone()).hour()).unwrap_or(0)
}
