//! One trigger as it is stored, sent and checked.

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use crate::notify::message::Priority;
use tidings_core::base::Millis;
use tidings_core::recommend::serve::placement::Wants;

/// Longest name, category or key, bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest lifetime: 30 days.
const MAX_EXPIRY_MIN: u64 = 43_200;

/// Validation error of a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct DefinitionError {
    /// Name of the field.
    pub field: &'static str,
    /// Description of the error and its fix.
    pub message: String,
}

/// Definition of a trigger: its condition, its content and its urgency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name: the campaign of its messages. `[a-z0-9_]`, 1…64.
    pub name: String,
    /// Condition that sets the trigger off.
    pub when: Condition,
    /// Category that frequency caps and mutes go by.
    pub category: String,
    /// Name of the template that puts it into words.
    pub template: String,
    /// Urgency: how much the message may disturb.
    #[serde(default)]
    pub priority: Priority,
    /// Not worth saying after this many minutes; absent = as the policy has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_min: Option<u64>,
    /// A later message with the same key takes the place of this one; `{item}` stands for the item's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<String>,
    /// Kind of items that the list of its message is to hold.
    #[serde(default, skip_serializing_if = "Wants::is_default")]
    pub wants: Wants,
}

impl Definition {
    /// With its kind's own name as category and template: what a condition is when nobody has said more.
    pub fn plain(when: Condition) -> Self {
        let name = when.kind().to_owned();
        Self {
            category: name.clone(),
            template: name.clone(),
            name,
            when,
            priority: Priority::Normal,
            expires_after_min: None,
            collapse_key: None,
            wants: Wants::default(),
        }
    }

    /// Bounds, with the fix in the error.
    pub fn validate(&self) -> Result<(), DefinitionError> {
        let bad = |field, message: &str| Err(DefinitionError { field, message: message.to_owned() });
        let is_name = |text: &str| {
            (1..=MAX_NAME_BYTES).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        for (field, text) in
            [("name", &self.name), ("category", &self.category), ("template", &self.template)]
        {
            if !is_name(text) {
                return bad(field, "must be 1…64 of a–z, 0–9 and _");
            }
        }
        if let Err(message) = self.when.validate() {
            return Err(DefinitionError { field: "when", message });
        }
        if self.expires_after_min.is_some_and(|minutes| !(1..=MAX_EXPIRY_MIN).contains(&minutes)) {
            return bad("expires_after_min", "must be 1…43,200 minutes (30 days)");
        }
        if !self.wants.is_default() && !self.when.recommends() {
            return bad("wants", "goes with a condition whose message holds a list, such as login or digest");
        }
        let bad_key =
            |key: &String| key.is_empty() || key.len() > MAX_NAME_BYTES || key.chars().any(char::is_control);
        if self.collapse_key.as_ref().is_some_and(bad_key) {
            return bad("collapse_key", "must have 1…64 bytes; {item} stands for the item's id");
        }
        Ok(())
    }

    /// Lifetime of its message; `otherwise` where the definition names none.
    pub fn expires_after(&self, otherwise: Millis) -> Millis {
        self.expires_after_min.map_or(otherwise, |minutes| Millis(minutes * 60_000))
    }
}
