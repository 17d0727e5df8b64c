//! Errors of messages of the shop.

use tidings_core::base::FieldError;

pub(super) fn wrong<T>(
    code: &'static str,
    field: &'static str,
    message: impl Into<String>,
) -> Result<T, FieldError> {
    Err(FieldError::new(code, field, message))
}
