//! Errors of messages of the shop.

use crate::base::FieldError;

pub(super) fn wrong<T>(
    code: &'static str,
    field: &'static str,
    message: impl Into<String>,
) -> Result<T, FieldError> {
    Err(FieldError::new(code, field, message))
}
