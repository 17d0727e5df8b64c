//! The domain of Tidings: events, profiles, models, policy, the decision about one user, and what is sent. No I/O, no clock, no
//! runtime: the moment and everything else that is read are arguments. `../ARCHITECTURE.md` walks one event through it.
//!
//! Modules in the order an event flows; imports point up this list only.

pub mod base;
pub mod config;

pub mod catalogue;
pub mod event;

pub mod ml;

pub mod profile;
pub mod response;

pub mod recommend;

pub mod evaluate;

pub mod notify;

pub mod feedback;

pub mod deliver;
pub mod privacy;

pub mod decide;
