//! Errors of a training.

use crate::ml::threads::ThreadsError;

/// Reason why there is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// Nothing to learn from.
    #[error("not enough data: training needs {needs}, there is {has}")]
    NotEnoughData {
        /// The least that would do.
        needs: &'static str,
        /// Data that there is.
        has: String,
    },
    /// The progress function said stop.
    #[error("the training was cancelled")]
    Cancelled,
    /// A parameter is out of range.
    #[error("bad training parameter: {0}")]
    Parameter(String),
    /// A dense model would not fit.
    #[error(
        "{items} items are too many for a dense model: it takes at most {most} ({bytes} bytes would be needed)"
    )]
    TooManyItems {
        /// Items there are.
        items: usize,
        /// Items allowed.
        most: usize,
        /// Memory they would take.
        bytes: usize,
    },
    /// No threads could be started.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
}
