//! Errors of messages of the shop.

/// Validation error of a message: stable code, field, and text with the fix in it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct MessageError {
    /// Stable, snake_case.
    pub code: &'static str,
    /// At fault.
    pub field: &'static str,
    /// For a person.
    pub message: String,
}

pub(super) fn wrong<T>(
    code: &'static str,
    field: &'static str,
    message: impl Into<String>,
) -> Result<T, MessageError> {
    Err(MessageError { code, field, message: message.into() })
}
