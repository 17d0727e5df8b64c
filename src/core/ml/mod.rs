//! Machine learning and numerics without users, items or messages: matrices and labels in, models and numbers out.
//!
//! [`boosting`] learns probabilities and orders from rows of numbers, [`listwise`] an order from lists, [`calibration`] turns
//! scores into probabilities, [`kmeans`] clusters rows. [`threads`] is the pool of every training.

pub mod boosting;
pub mod calibration;
pub mod kmeans;
pub(crate) mod least_squares;
pub mod listwise;
pub mod metrics;
pub(crate) mod symmetric_inverse;
pub mod threads;
