//! Checks of single values, with the setting's key in the error.

use super::error::ConfigError;

/// A refusal of `key`.
pub(super) fn invalid<T>(key: &'static str, message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Invalid { key, message: message.into() })
}

/// Refuses a `value` of `key` outside `low…high`.
pub(super) fn within<N: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: N,
    low: N,
    high: N,
) -> Result<(), ConfigError> {
    if value >= low && value <= high {
        Ok(())
    } else {
        invalid(key, format!("must be {low}…{high}, is {value}"))
    }
}
