//! Errors of boosting.

/// Reason why there is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BoostingError {
    /// Nothing to learn from.
    #[error("not enough data: boosting needs {needs}, there is {has}")]
    NotEnoughData {
        /// The least that would do.
        needs: &'static str,
        /// Data that there is.
        has: String,
    },
    /// Lengths do not fit, or a label, weight or parameter is out of range.
    #[error("bad input for boosting: {0}")]
    Input(String),
    /// The progress function said stop.
    #[error("boosting was cancelled")]
    Cancelled,
}
