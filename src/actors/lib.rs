//! State, timers and messages; they call the domain, then adapters. No SQL, no JSON, no formulas.
//!
//! What the server knows without asking an actor is [`tidings_state`]. An actor's constructor names the state and the
//! mailboxes it may write to; its `messages` file, which names no actor, is all that its senders import. One
//! [`user::UserActor`] per connected user decides everything about that user. Around it: [`ingest`] commits events in groups,
//! [`journal`] commits what was decided and sent, [`loader`] reads users in groups, [`recommender`] trains. [`app`] puts them
//! together.

mod aliases;
pub mod app;
pub mod catalogue_changes;
pub mod definition_changes;
pub mod ephemeral;
pub mod erasures;
pub mod gateway;
pub mod ingest;
pub mod journal;
pub mod loader;
pub mod mailbox;
pub mod merges;
pub mod notifier;
pub mod offline_users;
pub mod recommender;
pub mod registry;
pub mod send;
mod unread;
pub mod user;
pub mod web_push;
pub mod webhooks;

pub use app::App;
