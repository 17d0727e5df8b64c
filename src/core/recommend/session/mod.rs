//! Next-item models over sequences of clicks, anonymous or not.
//!
//! [`memory`] holds past sessions, [`knn`] scores items by them, and [`next_item`] serves. Models that only evaluation asks are in
//! [`crate::evaluate::offline`].

pub mod knn;
pub mod memory;
pub mod next_item;
pub mod sparse_scores;
