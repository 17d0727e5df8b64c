//! Next-item models over sequences of clicks, anonymous or not.
//!
//! [`memory`] holds past sessions; [`query`] scores items by those like the running one ([`overlaps`], [`near`]) with the settings of
//! [`knn`]; [`transitions`] counts what follows what; [`model`] holds all that answers "what comes next?", [`ranking`] makes one order
//! of the answers, learnt by [`learning`]; [`next_item`] serves it.

pub mod knn;
pub mod learning;
pub mod memory;
pub mod model;
mod near;
pub mod next_item;
pub mod overlaps;
pub mod query;
pub mod ranking;
pub mod sparse_scores;
pub mod transitions;
