//! Errors of events: what is wrong with which field.

use std::borrow::Cow;

/// Reason an event was refused: a stable code, the field, and what a valid value looks like.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct EventError {
    /// Stable, snake_case.
    pub code: &'static str,
    /// The field at fault.
    pub field: Cow<'static, str>,
    /// For a person.
    pub message: String,
}

impl EventError {
    /// An error of one field.
    pub(super) fn new(
        code: &'static str,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }

    /// The user was erased.
    pub fn erased() -> Self {
        Self::new("erased_user", "user_id", "this user was erased: events of the id are refused")
    }
}
