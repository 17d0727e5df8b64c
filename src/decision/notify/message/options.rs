//! Checks of what a message may have beside its words: a template with variables, a wall time, a rate.

use serde_json::Value;

use super::error::wrong;
use crate::notify::local_time::LocalTime;
use crate::notify::pace::{MAX_PER_MINUTE, Pace};
use tidings_core::base::{FieldError, Timestamp, has_escaped_nul};

/// Largest `variables`, bytes of JSON.
const MAX_VARIABLES_BYTES: usize = 4 << 10;
/// Longest name of a template, bytes.
const MAX_NAME_BYTES: usize = 64;

/// A wall time still to come somewhere, without another time or a rate beside it.
pub(super) fn local(
    text: Option<&str>,
    has_other_time: bool,
    now: Timestamp,
) -> Result<Option<LocalTime>, FieldError> {
    let Some(text) = text else { return Ok(None) };
    if has_other_time {
        let text = "send_at_local stands alone: leave out send_at, rate_per_minute and ephemeral";
        return wrong("bad_time", "send_at_local", text);
    }
    let Some(local) = LocalTime::parse(text) else {
        let text = "send_at_local is a time without a zone, such as \"2026-12-01T09:00\"";
        return wrong("bad_time", "send_at_local", text);
    };
    if local.last() <= now {
        return wrong("expired", "send_at_local", "send_at_local has passed in every time zone");
    }
    Ok(Some(local))
}

/// Either words or a template, and what the template reads only with one.
pub(super) fn check_template(
    template: Option<&str>,
    has_words: bool,
    variables: Option<&Value>,
    has_item: bool,
) -> Result<(), FieldError> {
    match template {
        Some(name) if name.is_empty() || name.len() > MAX_NAME_BYTES => {
            wrong("bad_template", "template", format!("template is a name of 1…{MAX_NAME_BYTES} bytes"))
        }
        Some(_) if has_words => {
            wrong("bad_template", "template", "give title and body, or a template that makes them")
        }
        None if variables.is_some() || has_item => {
            wrong("bad_template", "variables", "variables and item_id are for a template: name one")
        }
        _ => match variables {
            Some(variables) if !variables.is_object() => {
                wrong("bad_variables", "variables", "variables is an object")
            }
            Some(variables) if has_escaped_nul(variables.to_string().as_bytes()) => nul("variables"),
            Some(variables) if variables.to_string().len() > MAX_VARIABLES_BYTES => {
                let text = format!("variables is at most {MAX_VARIABLES_BYTES} bytes of JSON");
                wrong("too_long", "variables", text)
            }
            _ => Ok(()),
        },
    }
}

/// PostgreSQL's text can't hold it.
pub(super) fn nul<T>(field: &'static str) -> Result<T, FieldError> {
    wrong("bad_text", field, format!("{field} must not contain NUL (U+0000)"))
}

/// A rate is of what goes to many and is kept. `is_other`: it is neither.
pub(super) fn pace(per_minute: Option<u32>, is_other: bool) -> Result<Option<Pace>, FieldError> {
    let Some(per_minute) = per_minute else { return Ok(None) };
    if is_other {
        let text = "a rate is for a message to many that is kept: leave out rate_per_minute";
        return wrong("bad_rate", "rate_per_minute", text);
    }
    match Pace::new(per_minute) {
        Some(pace) => Ok(Some(pace)),
        None => wrong("bad_rate", "rate_per_minute", format!("rate_per_minute is 1…{MAX_PER_MINUTE}")),
    }
}
