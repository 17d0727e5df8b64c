//! The decision about one user: a value with a transition function. [`UserState::on`] takes an [`Input`] and the [`World`] it
//! may read, and returns the [`Effect`]s the shell carries out. No clock, no lock, no input or output.
//!
//! ```text
//! input → user_state → trigger → recommend ┐
//!                    → message of the API  ┴→ decide: candidate → predict → policy → send: render → record → effect
//! ```

#[expect(clippy::module_inception, reason = "the step that gives the module its name")]
mod decide;
mod deferred;
mod deferred_trigger;
pub mod definition_change;
pub mod definitions;
mod delivery;
mod dry_run;
mod effect;
pub mod experiment;
mod feedback;
mod in_flight;
mod inbox;
mod input;
mod learning;
mod load;
mod message_of_api;
mod predict;
mod proposal;
mod recall;
mod recommend;
pub mod record;
mod render;
mod returned;
mod robot;
mod running_experiment;
mod send;
mod served;
mod snooze;
mod stored;
mod stored_definition;
#[cfg(test)]
mod tests;
mod trigger;
mod user_state;
mod world;

pub use definitions::Definitions;
pub use dry_run::DryRun;
pub use effect::{Counter, DriftNote, Effect, Outgoing};
pub use experiment::ExperimentModels;
pub use input::{Announcement, Input};
pub use load::Loaded;
pub use predict::Prediction;
pub use proposal::{Judgement, Proposal, Subject};
pub use recommend::{Asking, ListRequest, Recommendations};
pub use record::{API, ApiMessage, Record, SnoozeEnded, steps};
pub use render::RenderedMessage;
pub use served::ServedLists;
pub use stored::{MAX_DEFERRED_READ, RecentSend, SentAs, StoredNotification, StoredUser, occasion};
pub use user_state::UserState;
pub use world::World;
