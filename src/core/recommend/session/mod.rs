//! Next-item models over sequences of clicks, anonymous or not.
//!
//! [`memory`] holds past sessions; [`knn`] and [`transitions`] score items by them. [`model`] fits all session models, [`ranking`]
//! merges their scores into one order; [`next_item`] is the part used while serving.

pub mod knn;
pub mod memory;
pub mod model;
pub mod next_item;
pub mod ranking;
pub mod sparse_scores;
pub mod transitions;
