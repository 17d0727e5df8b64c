//! `POST /v1/notifications`: messages of the shop, one object or an array. The good ones are made durable, the bad ones named
//! by index. Ephemeral ones go to whoever is connected once the others are durable.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::App;
use crate::actors::ephemeral::tell_now;
use crate::base::{EventKey, ExternalId, Millis, NotificationId, Timestamp};
use crate::notify::message::{Addressed, Audience, MAX_RECIPIENTS, MessageError, RawMessage};
use crate::store::outbox::Submission;

/// What became of a request.
#[derive(Serialize)]
struct Answer {
    accepted: usize,
    duplicates: usize,
    /// Of accepted messages to one user each: what they will be known by, as for taking them back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notifications: Vec<Named>,
    /// Connected users that ephemeral messages went to; absent without such messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<usize>,
    rejected: Vec<Value>,
}

/// An accepted message to one user.
#[derive(Serialize)]
struct Named {
    /// Place in the request.
    index: usize,
    notification_id: NotificationId,
}

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const MAX_IDEMPOTENCY_KEY_BYTES: usize = 128;

/// Answers 202 when everything accepted is durable; a body that can't be read at all is a 400.
pub async fn post(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let idempotency_key = idempotency_key(&request)?;
    let now = Timestamp::now();
    let lifetime = Millis::hours(app.state.config.policy.expires_after_h);
    let mut submissions = Vec::new();
    let mut names = Vec::new();
    let mut ephemeral = Vec::new();
    let mut rejected = Vec::new();
    let mut recipients = 0;
    for (index, raw) in split(&body)?.into_iter().enumerate() {
        let checked = raw.and_then(|raw| raw.validate(now, lifetime));
        match checked {
            Ok(addressed) => {
                recipients += size(&addressed.audience);
                if addressed.ephemeral {
                    ephemeral.push(addressed);
                    continue;
                }
                let submission = submission(addressed, now, index, idempotency_key)?;
                names.push(submission.single().map(|notification_id| Named { index, notification_id }));
                submissions.push(submission);
            }
            Err(MessageError { code, field, message }) => {
                rejected.push(json!({"index": index, "code": code, "field": field, "message": message}));
            }
        }
    }
    if recipients > MAX_RECIPIENTS {
        let message = format!("at most {MAX_RECIPIENTS} users in a request, this one has {recipients}");
        return Err(ApiError::invalid("too_many_users", Some("user_ids"), message));
    }
    let outcomes = if submissions.is_empty() { Vec::new() } else { app.notifier.submit(submissions).await? };
    let accepted: usize = outcomes.iter().map(|outcome| outcome.accepted).sum();
    let duplicates: usize = outcomes.iter().map(|outcome| outcome.duplicates).sum();
    let named = names.into_iter().zip(&outcomes).filter(|(_, outcome)| outcome.accepted > 0);
    let notifications = named.filter_map(|(name, _)| name).collect();
    let mut told = None;
    for addressed in ephemeral {
        told = Some(
            told.unwrap_or(0)
                + tell_now(&addressed.audience, addressed.message, &app.state, &app.registry).await,
        );
    }
    let answer = Answer { accepted, duplicates, notifications, told, rejected };
    Ok(HttpResponse::Accepted().json(answer))
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<&[u8]>, ApiError> {
    let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.as_bytes();
    if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY_BYTES {
        let message = format!("the Idempotency-Key header has 1…{MAX_IDEMPOTENCY_KEY_BYTES} bytes");
        return Err(ApiError::invalid("bad_idempotency_key", None, message));
    }
    Ok(Some(key))
}

fn size(audience: &Audience) -> usize {
    match audience {
        Audience::Users(users) => users.len(),
        Audience::Segment(_) | Audience::Everyone => 1,
    }
}

fn submission(
    addressed: Addressed,
    now: Timestamp,
    index: usize,
    idempotency_key: Option<&[u8]>,
) -> Result<Submission, ApiError> {
    let Addressed { audience, message, send_at, dedupe_key, ephemeral: _ } = addressed;
    let receipt = |parts: &[&[u8]]| EventKey::from_parts(parts).0;
    let by_request = idempotency_key.map(|key| receipt(&[b"request", key, &(index as u64).to_le_bytes()]));
    let of_user =
        |key: &str, user: &ExternalId| receipt(&[b"user", key.as_bytes(), user.to_string().as_bytes()]);
    let (receipt, user_receipts) = match (&dedupe_key, &audience) {
        (None, _) => (by_request, Vec::new()),
        (Some(key), Audience::Users(users)) => {
            (by_request, users.iter().map(|user| of_user(key, user)).collect())
        }
        (Some(key), Audience::Segment(segment)) => {
            (Some(receipt(&[b"segment", key.as_bytes(), &[*segment]])), Vec::new())
        }
        (Some(key), Audience::Everyone) => (Some(receipt(&[b"everyone", key.as_bytes()])), Vec::new()),
    };
    let message = serde_json::to_string(&message)
        .map_err(|error| ApiError::invalid("bad_data", Some("data"), error.to_string()))?;
    let due_at = send_at.unwrap_or(now);
    Ok(Submission { batch: Uuid::now_v7(), audience, message, due_at, receipt, user_receipts })
}

type Checked = Result<RawMessage, MessageError>;

/// One object, or an array in which each bad one is an error of its own.
fn split(body: &[u8]) -> Result<Vec<Checked>, ApiError> {
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
        message: error.to_string(),
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
