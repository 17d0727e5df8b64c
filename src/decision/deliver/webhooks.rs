//! Webhooks without a socket: the events there are, what an answer means for a delivery and for its endpoint, and when a delivery
//! is tried again.

use super::push_services::Outcome;
use tidings_core::base::{Millis, Timestamp};

/// Least wait for the attempt after the first, the second, …; the last one repeats.
const BACKOFF_S: [u64; 8] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400];
/// An endpoint that asks for more is asked again after this long.
const MAX_ASKED: Millis = Millis::hours(6);
/// Busy without a time: asked again after this long.
const BUSY: Millis = Millis::seconds(30);

/// Event that an endpoint can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookEvent {
    /// A message was put into a user's stream.
    MessageSent,
    /// A message was on a screen.
    MessageDisplayed,
    /// A message, or an item of it, was clicked.
    MessageClicked,
    /// A message was closed unread.
    MessageDismissed,
    /// A user wants no more of a message's category.
    MessageMuted,
    /// Thumbs up.
    MessageLiked,
    /// Thumbs down.
    MessageDisliked,
    /// An item of a message was bought within the attribution window.
    MessageConverted,
    /// A message was decided against.
    MessageDropped,
    /// A user's preferences changed.
    PreferenceChanged,
    /// A user gave or took back a consent.
    ConsentChanged,
    /// A browser subscribed to Web Push.
    SubscriptionStarted,
    /// A subscription to Web Push ended.
    SubscriptionEnded,
}

impl WebhookEvent {
    /// Every event.
    pub const ALL: [Self; 13] = [
        Self::MessageSent,
        Self::MessageDisplayed,
        Self::MessageClicked,
        Self::MessageDismissed,
        Self::MessageMuted,
        Self::MessageLiked,
        Self::MessageDisliked,
        Self::MessageConverted,
        Self::MessageDropped,
        Self::PreferenceChanged,
        Self::ConsentChanged,
        Self::SubscriptionStarted,
        Self::SubscriptionEnded,
    ];

    /// The name on the wire and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::MessageSent => "message.sent",
            Self::MessageDisplayed => "message.displayed",
            Self::MessageClicked => "message.clicked",
            Self::MessageDismissed => "message.dismissed",
            Self::MessageMuted => "message.muted",
            Self::MessageLiked => "message.liked",
            Self::MessageDisliked => "message.disliked",
            Self::MessageConverted => "message.converted",
            Self::MessageDropped => "message.dropped",
            Self::PreferenceChanged => "preference.changed",
            Self::ConsentChanged => "consent.changed",
            Self::SubscriptionStarted => "subscription.started",
            Self::SubscriptionEnded => "subscription.ended",
        }
    }

    /// From the name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// Meaning of an answer, or of its absence, for the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered.
    Delivered,
    /// Delivered again later, perhaps after the time the endpoint asked for.
    Later(Option<Millis>),
    /// The endpoint is no more (410): it is disabled.
    Gone,
}

/// The verdict on a status, 0 = no answer, and what it says of the endpoint's health.
pub fn judge(status: u16, asked: Option<Millis>) -> (Verdict, Outcome) {
    let asked = asked.map(|asked| asked.min(MAX_ASKED));
    match (status, asked) {
        (200..=299, _) => (Verdict::Delivered, Outcome::Answered),
        (410, _) => (Verdict::Gone, Outcome::Answered),
        (429, asked) => (Verdict::Later(asked), Outcome::Busy(asked.unwrap_or(BUSY))),
        (503, Some(asked)) => (Verdict::Later(Some(asked)), Outcome::Paused(asked)),
        (0 | 500.., asked) => (Verdict::Later(asked), Outcome::Failed),
        // It answers, whatever it thinks of this delivery.
        (_, asked) => (Verdict::Later(asked), Outcome::Answered),
    }
}

/// Moment of the attempt after number `attempt` (from 1), which failed: at least what was asked for, else a growing wait, and up to half
/// as much more by `chance` (uniform in 0…1).
pub fn next_attempt(now: Timestamp, attempt: u32, asked: Option<Millis>, chance: f64) -> Timestamp {
    let place = (attempt.saturating_sub(1) as usize).min(BACKOFF_S.len() - 1);
    let backoff = Millis::seconds(BACKOFF_S.get(place).copied().unwrap_or(14_400));
    let least = asked.map_or(backoff, |asked| asked.max(Millis::seconds(1)));
    now + Millis(least.0 + (least.0 as f64 * 0.5 * chance) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_event() {
        for event in WebhookEvent::ALL {
            assert_eq!(WebhookEvent::from_name(event.name()), Some(event));
        }
        assert_eq!(WebhookEvent::from_name("message"), None);
    }

    #[test]
    fn only_2xx_delivers_and_only_410_ends() {
        let of = |status| judge(status, None);
        assert_eq!(of(204), (Verdict::Delivered, Outcome::Answered));
        assert_eq!(of(410), (Verdict::Gone, Outcome::Answered));
        for redirect_or_refusal in [301, 307, 400, 401, 404] {
            assert_eq!(of(redirect_or_refusal), (Verdict::Later(None), Outcome::Answered));
        }
        for failure in [0, 500, 502, 503, 599] {
            assert_eq!(of(failure), (Verdict::Later(None), Outcome::Failed));
        }
        let long = Millis::hours(48);
        assert_eq!(judge(503, Some(long)), (Verdict::Later(Some(MAX_ASKED)), Outcome::Paused(MAX_ASKED)));
        assert_eq!(of(429), (Verdict::Later(None), Outcome::Busy(BUSY)));
    }

    #[test]
    fn waits_grow_over_hours_and_are_spread() {
        let after = |attempt, chance| next_attempt(Timestamp(0), attempt, None, chance).as_seconds();
        assert_eq!((after(1, 0.0), after(1, 1.0)), (5, 7));
        assert_eq!((after(4, 0.0), after(8, 0.0), after(99, 0.0)), (600, 14_400, 14_400));
        let asked = next_attempt(Timestamp(0), 8, Some(Millis::seconds(60)), 0.0).as_seconds();
        assert_eq!(asked, 60);
        // Sixteen tries or more within three days, whatever the draws.
        let mut at = Timestamp(0);
        let tries = (1..).take_while(|attempt| {
            at = next_attempt(at, *attempt, None, 1.0);
            at < Timestamp(0).plus_days(3.0)
        });
        assert!(tries.count() >= 16);
    }
}
