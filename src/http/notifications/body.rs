//! The body of a request: one message, or an array of them.

use serde::de::IgnoredAny;

use crate::body::{too_complex, without_place};
use crate::error::ApiError;
use tidings_core::base::json_shape::{ArrayFault, elements};
use tidings_core::base::{FieldError, JsonShape, json, suggest_nearest};
use tidings_decision::notify::message::{MAX_RECIPIENTS, RawMessage};

/// Largest tree of one message that takes more than twice its text, bytes: 10,000 users have 640,000.
const MAX_TREE_BYTES: usize = 1 << 20;
/// Largest trees (`data`, `variables`, users) of all messages together that take more than twice the body, bytes.
const MAX_TREES_BYTES: usize = 16 << 20;

/// A message that could be read, or what is wrong with it.
pub type Checked = Result<RawMessage, FieldError>;

/// One object, or an array in which each bad one is an error of its own. Messages are counted before any is parsed.
pub fn split(body: &[u8]) -> Result<Vec<Checked>, ApiError> {
    let bad = |message: String| ApiError::invalid("bad_json", None, message);
    let no_json = |error: String| bad(format!("the body is not JSON: {error}"));
    let text = std::str::from_utf8(body).map_err(|error| no_json(error.to_string()))?.trim_ascii();
    let texts = match text.as_bytes().first() {
        Some(b'[') => elements(text, MAX_RECIPIENTS).map_err(|fault| match fault {
            ArrayFault::TooMany => {
                let message = format!("at most {MAX_RECIPIENTS} messages in a request, this one has more");
                ApiError::invalid("too_many_messages", None, message)
            }
            ArrayFault::Unbalanced => {
                let error = serde_json::from_str::<IgnoredAny>(text).err();
                no_json(error.map(|error| error.to_string()).unwrap_or_default())
            }
        })?,
        Some(b'{') => vec![text],
        _ => {
            return Err(match serde_json::from_str::<IgnoredAny>(text) {
                Ok(_) => bad("send a message or an array of messages".to_owned()),
                Err(error) => no_json(error.to_string()),
            });
        }
    };
    if texts.is_empty() {
        return Err(ApiError::invalid("empty", None, "there is no message in the body"));
    }
    let mut trees_bytes = 0usize;
    let mut messages = Vec::with_capacity(texts.len());
    for (index, text) in texts.into_iter().enumerate() {
        let shape = JsonShape::of(text.as_bytes());
        trees_bytes += shape.inner_bytes;
        if !shape.fits(text.as_bytes(), MAX_TREE_BYTES) || trees_bytes > MAX_TREES_BYTES.max(2 * body.len()) {
            return Err(too_complex());
        }
        messages.push(match json::from_str(text) {
            Ok(message) => Ok(message),
            Err(error) if error.is_data() => {
                let message = suggest_nearest(&without_place(&error));
                Err(FieldError::new("bad_message", "message", message))
            }
            Err(error) => return Err(no_json(format!("message {index}: {error}"))),
        });
    }
    Ok(messages)
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
        for body in ["", "[]", "7", "nonsense", r#"[{"user_id":1,"title":"t"},]"#, r#"[{"title":"t"}"#] {
            assert_eq!(count(body), None, "{body}");
        }
    }

    #[test]
    fn what_would_fill_memory_is_refused_before_it_is_parsed() {
        let code = |body: String| match split(body.as_bytes()) {
            Err(ApiError::Invalid { code, .. }) => code,
            Err(ApiError::TooComplex(_)) => "too_complex",
            _ => "",
        };
        let object = "{\"\":0},";
        assert_eq!(code(format!("[{}", object.repeat(600_000))), "too_many_messages");
        assert_eq!(code(format!("{{\"data\":{{\"a\":[{}0]}}}}", object.repeat(500_000))), "too_complex");
        let one =
            format!("{{\"user_id\":1,\"title\":\"t\",\"data\":{{\"a\":[{}0]}}}},", object.repeat(1_000));
        assert_eq!(code(format!("[{}7]", one.repeat(400))), "too_complex", "each is small and all are many");
        assert_eq!(code(format!("{{\"data\":{}1{}}}", "[".repeat(90), "]".repeat(90))), "too_complex");
        let data = "{\"user_id\":\"u12345\",\"title\":\"t\",\"data\":{\"a\":1,\"b\":\"x\",\"c\":[1,2]}},";
        assert_eq!(code(format!("[{}{{}}]", data.repeat(9_999))), "", "as many as there may be");
    }
}
