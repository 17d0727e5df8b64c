//! Tidings: a real-time personalised notification server. `src/ARCHITECTURE.md` walks one event through it.
//!
//! Modules in the order an event flows; imports point up this list only.

pub mod base;
pub mod config;

pub mod catalogue;
pub mod event;
pub mod profile;
pub mod recommend;

pub mod evaluate;

pub mod notify;

pub mod feedback;

pub mod deliver;
pub mod privacy;

pub mod decide;

pub mod store;
pub mod telemetry;
pub mod transport;

pub mod state;

pub mod actors;
pub mod app;
pub mod http;
