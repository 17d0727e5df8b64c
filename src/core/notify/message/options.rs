//! Checks of what a message may have beside its words: a template with variables, a wall time, a rate.

use super::{Audience, MAX_NAME_BYTES, MessageError, RawMessage, ahead, wrong};
use crate::base::Timestamp;
use crate::notify::local_time::LocalTime;
use crate::notify::pace::{MAX_PER_MINUTE, Pace};

/// Largest `variables`, bytes of JSON.
const MAX_VARIABLES_BYTES: usize = 4 << 10;

impl RawMessage {
    /// A wall time still to come somewhere, without another time or a rate beside it.
    pub(super) fn local(&self, now: Timestamp) -> Result<Option<LocalTime>, MessageError> {
        let Some(text) = &self.send_at_local else { return Ok(None) };
        if self.send_at.is_some() || self.ephemeral || self.rate_per_minute.is_some() {
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
        ahead("send_at_local", Some(local.first()), now)?;
        Ok(Some(local))
    }

    /// Either words or a template, and what the template reads only with one.
    pub(super) fn check_template(&self) -> Result<(), MessageError> {
        let has_words = !self.title.is_empty() || !self.body.is_empty();
        match &self.template {
            Some(name) if name.is_empty() || name.len() > MAX_NAME_BYTES => {
                wrong("bad_template", "template", format!("template is a name of 1…{MAX_NAME_BYTES} bytes"))
            }
            Some(_) if has_words => {
                wrong("bad_template", "template", "give title and body, or a template that makes them")
            }
            None if self.variables.is_some() || self.item_id.is_some() => {
                wrong("bad_template", "variables", "variables and item_id are for a template: name one")
            }
            _ => match &self.variables {
                Some(variables) if !variables.is_object() => {
                    wrong("bad_variables", "variables", "variables is an object")
                }
                Some(variables) if variables.to_string().len() > MAX_VARIABLES_BYTES => wrong(
                    "too_long",
                    "variables",
                    format!("variables is at most {MAX_VARIABLES_BYTES} bytes of JSON"),
                ),
                _ => Ok(()),
            },
        }
    }
}

/// A rate is of what goes to many and is kept.
pub(super) fn pace(
    per_minute: Option<u32>,
    audience: &Audience,
    ephemeral: bool,
) -> Result<Option<Pace>, MessageError> {
    let Some(per_minute) = per_minute else { return Ok(None) };
    let is_single = matches!(audience, Audience::Users(users) if users.len() == 1);
    if is_single || ephemeral {
        let text = "a rate is for a message to many that is kept: leave out rate_per_minute";
        return wrong("bad_rate", "rate_per_minute", text);
    }
    match Pace::new(per_minute) {
        Some(pace) => Ok(Some(pace)),
        None => wrong("bad_rate", "rate_per_minute", format!("rate_per_minute is 1…{MAX_PER_MINUTE}")),
    }
}
