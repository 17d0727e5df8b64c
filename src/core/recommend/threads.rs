//! A bounded thread pool for training, so that it never takes more cores than it may.

use super::train::TrainError;

/// The pool; dropped when training ends.
#[derive(Debug)]
pub struct Threads(rayon::ThreadPool);

impl Threads {
    /// `n` threads, 0 = as many as there are cores.
    pub fn new(n: usize) -> Result<Self, TrainError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .thread_name(|index| format!("train-{index}"))
            .build()
            .map(Self)
            .map_err(|error| TrainError::Threads(error.to_string()))
    }

    /// Runs rayon's parallel iterators of `work` inside the pool.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }
}
