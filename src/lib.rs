//! Tidings: a real-time personalised notification server. `src/ARCHITECTURE.md` walks one event through it.
//!
//! The domain is a crate of its own, `src/core`; its modules are named here as if they were this crate's. So is what makes records of
//! other systems into events and items, `src/intake`.

pub use tidings_core::{
    base, catalogue, config, decide, deliver, evaluate, event, feedback, ml, notify, privacy, profile,
    recommend, response,
};
pub use tidings_intake as intake;

pub mod store;
pub mod telemetry;
pub mod transport;

pub mod state;

pub mod actors;
pub mod app;
pub mod http;
