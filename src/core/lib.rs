//! The domain of Tidings as far as it is learnt: events, the catalogue, profiles, models and lists. No I/O, no clock, no
//! runtime: the moment and everything else that is read are arguments. What is told to a user is decided over it, in
//! `../decision`; `../ARCHITECTURE.md` walks one event through both.
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
