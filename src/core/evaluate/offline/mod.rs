//! Models for evaluation only: no server asks any of them, and `tidings evaluate` measures them on files beside what serves. The list
//! after a click is served by [`NextItem`](crate::recommend::session::next_item::NextItem), other lists by the blend of
//! [`ensemble`](crate::recommend::ensemble); [`clicks`](super::clicks) measures the former as it is served, and these beside it.
//!
//! [`session_model`] fits all session models over the memory that serving uses too, [`session_ranking`] merges their scores into one
//! order.

pub mod rp3beta;
pub mod session_model;
pub mod session_ranking;
pub mod session_transitions;
pub mod trending;
pub mod user_knn;
