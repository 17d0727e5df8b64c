//! Models for evaluation only: no server asks any of them, and `tidings evaluate` measures them on files beside what serves, the blend
//! of [`ensemble`](crate::recommend::ensemble).

pub mod rp3beta;
pub mod trending;
pub mod user_knn;
