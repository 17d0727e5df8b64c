//! Next-item models over sequences of clicks, anonymous or not.
//!
//! [`memory`] holds past sessions, [`knn`] scores items by them, [`transitions`] counts what follows what; [`model`] holds all that
//! answers "what comes next?", [`ranking`] makes one order of the answers, learnt by [`learning`]; [`next_item`] serves it.

pub mod knn;
pub mod learning;
pub mod memory;
pub mod model;
pub mod next_item;
pub mod ranking;
pub mod sparse_scores;
pub mod transitions;
