//! `POST /v1/notifications`: messages of the shop, one object or an array. The good ones are made durable, the bad ones named
//! by index; a request of which nothing can be accepted is an error. Ephemeral ones go to whoever is connected once the others
//! are durable.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use super::idempotency;
use crate::actors::App;
use crate::actors::ephemeral::tell_now;
use crate::actors::notifier::messages::{Keyed, Submitted};
use crate::base::{EventKey, ExternalId, Millis, NotificationId, Timestamp, suggest_nearest};
use crate::notify::message::{Addressed, Audience, MAX_RECIPIENTS, MessageError, RawMessage};
use crate::profile::SegmentId;
use crate::store::outbox::{Accepted, Submission};
use crate::store::{self, Connection, audiences, users};

/// Outcome of a request.
#[derive(Serialize)]
struct Answer<'a> {
    /// Takes all of it back (`DELETE /v1/notifications/{id}`); of a single message to one user its `notification_id`. Absent for
    /// several messages to one user each, which are named one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    accepted: usize,
    duplicates: usize,
    /// Of accepted messages to one user each: what they will be known by, as for taking them back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notifications: Vec<Named>,
    /// Accepted messages to many, and those that wait for their time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broadcasts: Vec<Sent>,
    /// Connected users that ephemeral messages went to; absent without such messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<usize>,
    /// Named users nobody has heard of: accepted as well, and kept for their first login.
    unknown: &'a [ExternalId],
    rejected: &'a [Value],
}

/// An accepted message to one user.
#[derive(Serialize)]
struct Named {
    /// Place in the request.
    index: usize,
    notification_id: NotificationId,
}

/// An accepted message to many, or with a time.
#[derive(Serialize)]
struct Sent {
    /// Place in the request.
    index: usize,
    id: Uuid,
    /// Users; of a segment or everyone that waits, as of now.
    accepted: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
}

/// Parts of an answer, once the outcome of each submission is known.
#[derive(Clone, Default)]
struct Draft {
    id: Option<Uuid>,
    /// One a submission.
    parts: Vec<Part>,
    unknown: Vec<ExternalId>,
    rejected: Vec<Value>,
}

#[derive(Clone)]
struct Part {
    index: usize,
    notification: Option<NotificationId>,
    broadcast: Option<Uuid>,
    due_at: Option<Timestamp>,
}

impl Draft {
    fn reject(&mut self, index: usize, MessageError { code, field, message }: MessageError) {
        self.rejected.push(json!({"index": index, "code": code, "field": field, "message": message}));
    }

    fn answer(&self, outcomes: &[Accepted], told: Option<usize>) -> Answer<'_> {
        let parts = || self.parts.iter().zip(outcomes).filter(|(_, outcome)| outcome.accepted > 0);
        let named = |part: &Part| {
            let notification_id = part.notification?;
            Some(Named { index: part.index, notification_id })
        };
        // A segment or everyone that waits may have nobody yet.
        let is_new = |(_, outcome): &(&Part, &Accepted)| outcome.accepted > 0 || outcome.duplicates == 0;
        let broadcasts = self.parts.iter().zip(outcomes).filter(is_new);
        let sent = |(part, outcome): (&Part, &Accepted)| {
            let (id, accepted) = (part.broadcast?, outcome.accepted);
            Some(Sent { index: part.index, id, accepted, due_at: part.due_at })
        };
        let broadcasts: Vec<Sent> = broadcasts.filter_map(sent).collect();
        let has_id = !broadcasts.is_empty() || parts().next().is_some();
        Answer {
            id: self.id.filter(|_| has_id),
            accepted: outcomes.iter().map(|outcome| outcome.accepted).sum(),
            duplicates: outcomes.iter().map(|outcome| outcome.duplicates).sum(),
            notifications: parts().filter_map(|(part, _)| named(part)).collect(),
            broadcasts,
            told,
            unknown: &self.unknown,
            rejected: &self.rejected,
        }
    }

    fn json(&self, outcomes: &[Accepted], told: Option<usize>) -> String {
        serde_json::to_string(&self.answer(outcomes, told)).unwrap_or_default()
    }

    /// Nothing was accepted: an error, with what is wrong with each message.
    fn refusal(&self) -> HttpResponse {
        let first = self.rejected.first();
        let of_first = |field: &str| first.map(|one| one[field].clone()).unwrap_or_default();
        let message = match self.rejected.len() {
            1 => of_first("message"),
            n => json!(format!("none of the {n} messages can be accepted; see rejected")),
        };
        HttpResponse::BadRequest().json(json!({
            "error": {"code": of_first("code"), "field": of_first("field"), "message": message},
            "accepted": 0, "duplicates": 0, "rejected": self.rejected,
        }))
    }
}

/// Answers 202 when everything accepted is durable; a body that can't be read at all, or of which nothing can be accepted, is a 400.
pub async fn post(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.service()?;
    let keyed = idempotency::request(&request, "notifications", &body)?;
    if let Some(answer) = idempotency::before(&app.state.store, keyed).await? {
        return Ok(answer);
    }
    let now = Timestamp::now();
    let lifetime = Millis::hours(app.state.config.policy.expires_after_h);
    let mut draft = Draft::default();
    let mut checked = Vec::new();
    let raws = split(&body)?;
    let is_alone = raws.len() == 1;
    for (index, raw) in raws.into_iter().enumerate() {
        match raw.and_then(|raw| raw.validate(now, lifetime)) {
            Ok(addressed) => checked.push((index, addressed)),
            Err(error) => draft.reject(index, error),
        }
    }
    let recipients: usize = checked.iter().map(|(_, addressed)| size(&addressed.audience)).sum();
    if recipients > MAX_RECIPIENTS {
        let message = format!("at most {MAX_RECIPIENTS} users in a request, this one has {recipients}");
        return Err(ApiError::invalid("too_many_users", Some("user_ids"), message));
    }
    let known = Known::of(&app, &checked).await?;
    let call = Uuid::now_v7();
    let key = idempotency::key(request.headers())?;
    let (mut submissions, mut ephemeral) = (Vec::new(), Vec::new());
    for (index, addressed) in checked {
        if let Err(error) = known.check(&addressed) {
            draft.reject(index, error);
        } else if addressed.ephemeral {
            ephemeral.push(addressed);
        } else {
            let submission = submission(addressed, now, index, key, call, is_alone)?;
            draft.parts.push(Part {
                index,
                notification: submission.single(),
                broadcast: submission.call.map(|_| submission.batch),
                due_at: (submission.due_at > now).then_some(submission.due_at),
            });
            submissions.push(submission);
        }
    }
    draft.rejected.sort_by_key(|one| one["index"].as_u64());
    if submissions.is_empty() && ephemeral.is_empty() {
        return Ok(draft.refusal());
    }
    draft.unknown = known.unknown;
    draft.id = match submissions.as_slice() {
        [one] if is_alone => one.call.or(one.single().map(|id| id.0)),
        several => several.iter().any(|one| one.call.is_some()).then_some(call),
    };
    let draft = Arc::new(draft);
    let outcomes = if submissions.is_empty() && keyed.is_none() {
        Vec::new()
    } else {
        let composed = Arc::clone(&draft);
        let compose = Arc::new(move |outcomes: &[Accepted]| composed.json(outcomes, None));
        let under_key = keyed.map(|request| Keyed { request, compose });
        match (app.notifier.submit(submissions, under_key).await?, &keyed) {
            (Submitted::Accepted(outcomes), _) => outcomes,
            (Submitted::Before(stored), Some(request)) => return idempotency::replay(request, stored),
            (Submitted::Before(_), None) => Vec::new(),
        }
    };
    let mut told = None;
    for addressed in ephemeral {
        told = Some(
            told.unwrap_or(0)
                + tell_now(&addressed.audience, addressed.message, &app.state, &app.registry).await,
        );
    }
    if let (Some(_), Some(request)) = (told, keyed) {
        let answers = [(request.key, draft.json(&outcomes, told))];
        app.state.store.run(move |connection| store::idempotency::answer(connection, &answers)).await?;
    }
    Ok(HttpResponse::Accepted().json(draft.answer(&outcomes, told)))
}

/// Facts from the database about the audiences of a request. Asked only for what is not known from memory.
#[derive(Default)]
struct Known {
    /// Segments of the model or with somebody in them, 0 = A.
    segments: BTreeSet<u8>,
    /// Segments that somebody is in.
    inhabited: BTreeSet<u8>,
    has_anybody: bool,
    /// Named users that do not exist.
    unknown: Vec<ExternalId>,
}

impl Known {
    async fn of(app: &App, checked: &[(usize, Addressed)]) -> Result<Self, ApiError> {
        let mut asked: BTreeSet<&ExternalId> = BTreeSet::new();
        let mut is_wide = false;
        for (_, addressed) in checked {
            match &addressed.audience {
                Audience::Users(_) if addressed.ephemeral => {}
                Audience::Users(users) => {
                    // Who has an actor is known.
                    asked.extend(users.iter().filter(|user| app.registry.get(user).is_none()));
                }
                Audience::Segment(_) | Audience::Everyone => is_wide = true,
            }
        }
        if asked.is_empty() && !is_wide {
            return Ok(Self::default());
        }
        let asked: Vec<ExternalId> = asked.into_iter().cloned().collect();
        let mut known = app
            .state
            .store
            .run(move |connection: &mut Connection| {
                let found = users::find_many(connection, &asked)?;
                let unknown = asked.into_iter().filter(|user| !found.contains_key(user)).collect();
                if !is_wide {
                    return Ok(Self { unknown, ..Self::default() });
                }
                let inhabited: BTreeSet<u8> =
                    audiences::inhabited_segments(connection)?.into_iter().collect();
                let has_anybody = audiences::has_anybody(connection)?;
                Ok(Self { segments: inhabited.clone(), inhabited, has_anybody, unknown })
            })
            .await?;
        if let Some(segmentation) = &app.state.models.load().segmentation {
            known.segments.extend(segmentation.summaries().iter().map(|summary| summary.segment.0));
        }
        Ok(known)
    }

    /// Refuses an audience of nobody. A message that waits for its time may find somebody by then, an ephemeral one nobody.
    fn check(&self, addressed: &Addressed) -> Result<(), MessageError> {
        let wrong = |code, field, message| Err(MessageError { code, field, message });
        let is_now = addressed.send_at.is_none() && !addressed.ephemeral;
        match addressed.audience {
            Audience::Segment(segment) if !self.segments.contains(&segment) => {
                let names: Vec<String> =
                    self.segments.iter().map(|segment| SegmentId(*segment).to_string()).collect();
                let there_are = match names.is_empty() {
                    true => "there is none before the first training".to_owned(),
                    false => format!("there are {}", names.join(", ")),
                };
                let message = format!("there is no segment {}; {there_are}", SegmentId(segment));
                wrong("unknown_segment", "segment", message)
            }
            Audience::Segment(segment) if is_now && !self.inhabited.contains(&segment) => {
                wrong("nobody", "segment", format!("nobody is in segment {}", SegmentId(segment)))
            }
            Audience::Everyone if is_now && !self.has_anybody => {
                wrong("nobody", "to", "nobody is known yet".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn size(audience: &Audience) -> usize {
    match audience {
        Audience::Users(users) => users.len(),
        Audience::Segment(_) | Audience::Everyone => 1,
    }
}

/// `call`: the id of the request; a message that came alone is known by its own.
fn submission(
    addressed: Addressed,
    now: Timestamp,
    index: usize,
    idempotency_key: Option<&[u8]>,
    call: Uuid,
    is_alone: bool,
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
    let batch = if is_alone { call } else { Uuid::now_v7() };
    let is_single = matches!(&audience, Audience::Users(users) if users.len() == 1);
    let call = (!is_single || due_at > now).then_some(call);
    Ok(Submission { batch, audience, message, due_at, receipt, user_receipts, call })
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
