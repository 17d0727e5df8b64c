//! State, timers and messages; they call the domain, then adapters. No SQL, no JSON, no formulas.
//!
//! One [`user::UserActor`] per connected user decides everything about that user. Around it: [`ingest`] commits
//! events in groups, [`journal`] commits what was decided and sent, [`loader`] reads users in groups,
//! [`recommender`] trains. All are reached through kept addresses ([`watch::Kept`], [`registry::Registry`]).

pub mod absent;
pub mod announce;
pub mod budget;
pub mod definitions;
pub mod ephemeral;
pub mod gateway;
pub mod ingest;
pub mod journal;
pub mod learning;
pub mod live;
pub mod loader;
pub mod monitor;
pub mod notifier;
pub mod recommender;
pub mod registry;
pub mod send;
pub mod shared;
pub mod snapshot;
pub mod user;
pub mod watch;
pub mod web_push;

pub use shared::Shared;
