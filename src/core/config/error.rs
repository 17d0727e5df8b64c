//! Refusals of a configuration, with the setting at fault.

/// Error in the configuration, and the source of the value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or not the shape of [`Config`](super::Config).
    #[error("{0}")]
    File(String),
    /// No such setting.
    #[error("unknown setting {key}{}; `tidings config` lists them", near.as_ref().map(|near| format!(", did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// `area.field`.
        key: String,
        /// The nearest setting, if one is near.
        near: Option<String>,
    },
    /// The text can't be read as the setting's type.
    #[error("{key} (from {layer}): {message}")]
    Type {
        /// `area.field`.
        key: String,
        /// Layer's name.
        layer: &'static str,
        /// Description of the expected value.
        message: String,
    },
    /// Out of bounds or unsafe.
    #[error("{key}: {message}")]
    Invalid {
        /// `area.field`.
        key: &'static str,
        /// Description of a valid value, or of the fix.
        message: String,
    },
}
