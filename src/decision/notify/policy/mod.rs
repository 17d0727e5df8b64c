//! The decision about one message (send, moment, channel): eleven steps in order, each of which leaves its reason.
//!
//! ```text
//! consent → preference → still true → duplicate → frequency caps → quiet hours → budget → worth → channel → time
//!                                             ▼
//!                    send | defer(until) | digest | inbox_only | drop
//! ```
//!
//! In: a [`Candidate`], the [`Moment`], what is remembered of the user ([`PolicyState`]), the [`Rules`] and the user's
//! [`Preferences`]. Out: a [`Decision`] with the whole trace. Pure: the same input gives the same decision. The caller
//! reserves what was granted ([`PolicyState::note_sent`]) before it lets go of the user, and gives it back
//! ([`PolicyState::refund`]) when the message could not be stored.

mod candidate;
mod caps;
mod preferences;
mod reason;
mod rules;
mod silenced;
mod state;
mod steps;
#[cfg(test)]
mod tests;

pub use candidate::{Candidate, Channel, Channels, Moment, Precondition, Trial};
pub use preferences::{
    BRAND, Consent, MAX_MUTED_CATEGORIES, MAX_MUTES, MAX_NAME_BYTES, Mute, Muted, PreferenceChange,
    PreferenceDocument, PreferenceError, Preferences, Purpose, Settings, SettingsDocument, TOO_MANY_MUTES,
    is_name,
};
pub use reason::{Decision, Outcome, Reason, Step, StepName, Verdict};
pub use rules::{Rules, Worth};
pub use state::{PolicyState, Sent};
pub use steps::decide;
