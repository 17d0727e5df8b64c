//! A bounded thread pool for training, so that it never takes more cores than it may.

/// The pool; dropped when training ends.
#[derive(Debug)]
pub struct Threads(rayon::ThreadPool);

/// The operating system refused to start threads, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no threads for training: {0}")]
pub struct ThreadsError(String);

impl Threads {
    /// `n` threads, 0 = as many as there are cores.
    pub fn new(n: usize) -> Result<Self, ThreadsError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .thread_name(|index| format!("train-{index}"))
            .build()
            .map(Self)
            .map_err(|error| ThreadsError(error.to_string()))
    }

    /// Runs rayon's parallel iterators of `work` inside the pool.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }
}
