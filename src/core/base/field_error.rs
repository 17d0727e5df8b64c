//! Validation error of one entry of a request: an event, an item, a message.

use std::borrow::Cow;

/// Reason an entry was refused: a stable code, the field, and what a valid value looks like.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Stable, snake_case.
    pub code: &'static str,
    /// The field at fault.
    pub field: Cow<'static, str>,
    /// Description of a valid value, for a person.
    pub message: String,
}

impl FieldError {
    /// An error of one field.
    pub fn new(code: &'static str, field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }
}
