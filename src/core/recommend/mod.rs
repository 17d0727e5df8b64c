//! Recommendation: models over interactions, a learnt blend of them, filters, and a reason for each item.
//!
//! [`models`] has one recommender a file, [`session`] the next-item models of a visit; [`ensemble`] blends by a learnt rule;
//! [`serve`] answers a [`Request`] from a [`ModelSet`], which is immutable and swapped whole; [`train`] makes a model set from
//! events and a catalogue.

pub mod ensemble;
pub mod models;
pub mod serve;
pub mod session;
pub mod train;

#[cfg(test)]
pub(crate) mod fixtures;

pub use serve::model_set::ModelSet;
pub use serve::reason::Reason;
pub use serve::request::{List, Recommendation, Request};
