//! Machine learning and numerics without users, items or messages: matrices and labels in, models and numbers out.
//!
//! [`boosting`] learns probabilities, numbers and orders from rows of numbers, [`regression`] numbers in the way that fits
//! best, [`listwise`] an order from lists, [`calibration`] turns scores into probabilities, [`kmeans`] clusters rows,
//! [`estimate`] gives means their intervals. [`threads`] is the pool of every training.

pub mod boosting;
pub mod calibration;
pub(crate) mod elimination;
pub mod estimate;
pub mod kmeans;
pub(crate) mod least_squares;
pub(crate) mod linear;
pub mod listwise;
pub mod metrics;
pub(crate) mod product;
pub mod regression;
pub(crate) mod symmetric_inverse;
pub mod threads;
