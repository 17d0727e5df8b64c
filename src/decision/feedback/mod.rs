//! Responses to messages, and what is learned from them: the outcomes a client reports or a purchase proves; when, how much
//! and in which words to write ([`learner`] joins [`send_time`], [`volume`] and [`variants`]); what a change did ([`experiments`], [`lift`],
//! [`uplift`]); what came of lists of a placement ([`placements`]). Every random choice gives its propensity.

mod arm_outcome;
pub mod attribution;
pub mod experiments;
pub mod learner;
pub mod lift;
pub mod outcomes;
pub mod placements;
pub mod send_time;
pub mod statistics;
pub mod uplift;
pub mod variants;
pub mod volume;
mod wordings;

use serde::{Deserialize, Serialize};

/// Outcome of a message. The number is the code in `feedback.outcome`; never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum FeedbackOutcome {
    /// It was on a screen.
    Displayed = 1,
    /// It, or an item of it, was clicked.
    Clicked = 2,
    /// It was closed unread.
    Dismissed = 3,
    /// An item of it was bought within the attribution window.
    Converted = 4,
    /// No more of its category.
    Muted = 5,
    /// Thumbs up.
    Liked = 6,
    /// Thumbs down.
    Disliked = 7,
}

impl FeedbackOutcome {
    /// Every outcome, in order of code.
    pub const ALL: [Self; 7] = [
        Self::Displayed,
        Self::Clicked,
        Self::Dismissed,
        Self::Converted,
        Self::Muted,
        Self::Liked,
        Self::Disliked,
    ];

    /// The code in the database.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// From the code.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Displayed => "displayed",
            Self::Clicked => "clicked",
            Self::Dismissed => "dismissed",
            Self::Converted => "converted",
            Self::Muted => "muted",
            Self::Liked => "liked",
            Self::Disliked => "disliked",
        }
    }

    /// Returns whether it makes the message's items rest.
    pub fn is_rejection(self) -> bool {
        matches!(self, Self::Dismissed | Self::Disliked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_their_outcome() {
        for outcome in FeedbackOutcome::ALL {
            assert_eq!(FeedbackOutcome::from_code(outcome.code()), Some(outcome));
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{}\"", outcome.name()));
        }
    }
}
