//! The decision about one user: messages and their policy, feedback, streams, privacy, and what brings them together. As pure as the crate under it: the moment and everything else that is read are arguments.
//!
//! Modules in the order an event flows; imports point up this list only.

pub mod notify;

pub mod feedback;

pub mod deliver;
pub mod privacy;

pub mod decide;
