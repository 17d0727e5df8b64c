//! The body of a request: one message, or an array of them.

use serde_json::Value;

use crate::base::suggest_nearest;
use crate::http::error::ApiError;
use crate::notify::message::{MAX_RECIPIENTS, MessageError, RawMessage};

/// A message that could be read, or what is wrong with it.
pub(super) type Checked = Result<RawMessage, MessageError>;

/// One object, or an array in which each bad one is an error of its own.
pub(super) fn split(body: &[u8]) -> Result<Vec<Checked>, ApiError> {
    // The common case in one pass; only a body with a bad message in it is read again.
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let whole = match first {
        Some(b'[') => serde_json::from_slice::<Vec<RawMessage>>(body),
        _ => serde_json::from_slice::<RawMessage>(body).map(|raw| vec![raw]),
    };
    if let Ok(raws) = whole {
        return bounded(raws.into_iter().map(Ok).collect());
    }
    let values = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(values)) => values,
        Ok(value @ Value::Object(_)) => vec![value],
        Ok(_) => {
            return Err(ApiError::invalid("bad_json", None, "send a message or an array of messages"));
        }
        Err(error) => {
            return Err(ApiError::invalid("bad_json", None, format!("the body is not JSON: {error}")));
        }
    };
    bounded(values.into_iter().map(one).collect())
}

fn one(value: Value) -> Checked {
    serde_json::from_value(value).map_err(|error| MessageError {
        code: "bad_message",
        field: "message",
        message: suggest_nearest(&error.to_string()),
    })
}

fn bounded(raws: Vec<Checked>) -> Result<Vec<Checked>, ApiError> {
    match raws.len() {
        0 => Err(ApiError::invalid("empty", None, "there is no message in the body")),
        n if n > MAX_RECIPIENTS => Err(ApiError::invalid(
            "too_many_messages",
            None,
            format!("at most {MAX_RECIPIENTS} messages in a request, this one has {n}"),
        )),
        _ => Ok(raws),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str) -> Option<(usize, usize)> {
        let raws = split(body.as_bytes()).ok()?;
        Some((raws.iter().filter(|raw| raw.is_ok()).count(), raws.len()))
    }

    #[test]
    fn one_and_an_array_are_understood_and_bad_ones_are_told_apart() {
        assert_eq!(count(r#"{"user_id":1,"title":"t"}"#), Some((1, 1)));
        assert_eq!(count(r#" [{"user_id":1,"title":"t"},{"titel":"t"},7]"#), Some((1, 3)));
        for body in ["", "[]", "7", "nonsense"] {
            assert_eq!(count(body), None, "{body}");
        }
    }
}
