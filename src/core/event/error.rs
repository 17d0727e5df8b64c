//! Refusals of events that are no fault of a field's form.

use crate::base::FieldError;

/// Refusal of an event of a user who was erased.
pub fn erased_user() -> FieldError {
    FieldError::new("erased_user", "user_id", "this user was erased: events of the id are refused")
}
