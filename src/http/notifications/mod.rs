//! `POST /v1/notifications`: messages of the shop, one object or an array. The good ones are made durable, the bad ones named
//! by index; a request of which nothing can be accepted is an error. Ephemeral ones go to whoever is connected once the others
//! are durable.

mod answer;
mod audience;
pub mod body;
mod words;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use uuid::Uuid;

pub use self::answer::described;
use self::answer::{Draft, Part};
use self::audience::Known;
use self::body::Checked;
pub(super) use self::words::check_one as check_words;
use super::audited::Change;
use super::auth::Caller;
use super::bodies::Bodies;
use super::body::Batch;
use super::error::ApiError;
use super::idempotency::{self, Begun};
use super::rejected::refuse_all;
use crate::permit::{SendMessages, With};
use tidings_actors::App;
use tidings_actors::ephemeral::tell_now;
use tidings_actors::notifier::direct;
use tidings_actors::notifier::messages::{Keyed, Submitted};
use tidings_core::base::{EventKey, ExternalId, FieldError, Millis, Timestamp};
use tidings_decision::notify::message::{Addressed, Audience, MAX_RECIPIENTS};
use tidings_decision::privacy::audit::AuditEntry;
use tidings_store::broadcasts;
use tidings_store::idempotency::Request;
use tidings_store::outbox::{self, Accepted, Submission};

/// Answers 202 when everything accepted is durable; a body that can't be read at all, or of which nothing can be accepted, is a 400.
pub async fn post(
    request: HttpRequest,
    Batch(body): Batch,
    app: web::Data<App>,
    bodies: web::Data<Bodies>,
    caller: With<SendMessages>,
) -> Result<HttpResponse, ApiError> {
    let named = idempotency::named(&request, "notifications")?;
    let read = move |body: &[u8]| (named.map(|named| named.with(body)), body::split(body));
    let (keyed, raws) = bodies.work(body, read).await?;
    let _held = match idempotency::begin(&app.state, keyed).await? {
        Begun::New(held) => held,
        Begun::Before(answer) => return Ok(answer),
    };
    let raws = raws?;
    let call = Call {
        id: Uuid::now_v7(),
        now: Timestamp::now(),
        is_alone: raws.len() == 1,
        idempotency_key: idempotency::key(request.headers())?,
    };
    let mut draft = Draft::default();
    let lifetime = Millis::hours(app.state.config.policy.expires_after_h);
    let addressed = call.validate(raws, lifetime, &mut draft)?;
    let addressed = words::check(&app, addressed, call.now, &mut draft)?;
    let addressed = without_erased(&app, addressed, &mut draft);
    let known = Known::of(&app, &addressed).await?;
    let (submissions, ephemeral) = call.compose(addressed, &known, &mut draft)?;
    if submissions.is_empty() && ephemeral.is_empty() {
        return Ok(refuse_all("messages", &draft.rejected));
    }
    draft.unknown = known.unknown;
    draft.id = call.recall_id(&submissions);
    let draft = Arc::new(draft);
    let change = Change::new(&request, &app, StatusCode::ACCEPTED);
    let kept = Kept { id: draft.id, messages: submissions.len(), ephemeral: ephemeral.len() };
    let entry = change.entry((), kept).filter(|_| !entry_follows(&caller, &submissions, keyed.is_some()));
    let is_kept = entry.is_some();
    let outcomes = match (submit(&app, submissions, keyed, entry, &draft).await?, &keyed) {
        (Submitted::Accepted(outcomes), _) => outcomes,
        (Submitted::Before(stored), Some(request)) => return idempotency::replay(request, stored),
        (Submitted::Before(_), None) => Vec::new(),
    };
    if is_kept {
        change.note_stored();
    }
    let told = tell(&app, ephemeral).await;
    if let (Some(_), Some(request)) = (told, keyed) {
        let answers = [(request.key, draft.json(&outcomes, told))];
        app.state
            .store
            .run(move |connection| tidings_store::idempotency::answer(connection, &answers))
            .await?;
    }
    Ok(HttpResponse::Accepted().json(draft.answer(&outcomes, told)))
}

/// A request as the audit log keeps it.
#[derive(Serialize)]
struct Kept {
    /// As in the answer.
    id: Option<Uuid>,
    /// Messages that are stored.
    messages: usize,
    ephemeral: usize,
}

/// Returns whether the entry of the audit log follows the messages, in a commit of its own: with authentication off nobody is known, and
/// what may skip the outbox is pushed after one commit.
fn entry_follows(caller: &Caller, submissions: &[Submission], is_keyed: bool) -> bool {
    caller.access().is_open()
        && !submissions.is_empty()
        && direct::may_skip(submissions, !is_keyed, Timestamp::now())
}

/// Makes the submissions durable, with the answer under the key of the request and the entry of the audit log.
async fn submit(
    app: &App,
    submissions: Vec<Submission>,
    keyed: Option<Request>,
    entry: Option<AuditEntry>,
    draft: &Arc<Draft>,
) -> Result<Submitted, ApiError> {
    let is_alone = keyed.is_none() && entry.is_none();
    if submissions.is_empty() && is_alone {
        return Ok(Submitted::Accepted(Vec::new()));
    }
    // What skips the outbox is noted as one broadcast here, all else where it is accepted.
    if direct::may_skip(&submissions, is_alone, Timestamp::now())
        && let Some(group) = outbox::group(&submissions, Timestamp::now())
    {
        let fields = Arc::clone(app.state.store.fields());
        app.state.store.run(move |connection| broadcasts::insert(connection, &fields, &[group])).await?;
    }
    let draft = Arc::clone(draft);
    let compose = Arc::new(move |outcomes: &[Accepted]| draft.json(outcomes, None));
    let under_key = keyed.map(|request| Keyed { request, compose });
    Ok(app.notifier.submit(submissions, under_key, entry).await?)
}

/// Passes ephemeral messages on; the number of connected users they went to, `None` without such messages.
async fn tell(app: &App, ephemeral: Vec<Addressed>) -> Option<usize> {
    let mut told = None;
    for addressed in ephemeral {
        let users = tell_now(&addressed.audience, addressed.message, &app.state, &app.registry).await;
        told = Some(told.unwrap_or(0) + users);
    }
    told
}

/// One request, as all of its messages know it.
struct Call<'a> {
    id: Uuid,
    now: Timestamp,
    /// True if it has one message, which is then known by the id of the request.
    is_alone: bool,
    idempotency_key: Option<&'a [u8]>,
}

impl Call<'_> {
    /// Messages that are valid, each with its place in the request; the others are rejected in the draft.
    fn validate(
        &self,
        raws: Vec<Checked>,
        lifetime: Millis,
        draft: &mut Draft,
    ) -> Result<Vec<(usize, Addressed)>, ApiError> {
        let mut valid = Vec::with_capacity(raws.len());
        for (index, raw) in raws.into_iter().enumerate() {
            match raw.and_then(|raw| raw.validate(self.now, lifetime)) {
                Ok(addressed) => valid.push((index, addressed)),
                Err(error) => draft.reject(index, error),
            }
        }
        let recipients: usize = valid.iter().map(|(_, addressed)| size(&addressed.audience)).sum();
        if recipients > MAX_RECIPIENTS {
            let message = format!("at most {MAX_RECIPIENTS} users in a request, this one has {recipients}");
            return Err(ApiError::invalid("too_many_users", Some("user_ids"), message));
        }
        Ok(valid)
    }

    /// Submissions to be stored, and ephemeral messages; messages to nobody are rejected in the draft.
    fn compose(
        &self,
        addressed: Vec<(usize, Addressed)>,
        known: &Known,
        draft: &mut Draft,
    ) -> Result<(Vec<Submission>, Vec<Addressed>), ApiError> {
        let (mut submissions, mut ephemeral) = (Vec::new(), Vec::new());
        for (index, addressed) in addressed {
            if let Err(error) = known.check(&addressed) {
                draft.reject(index, error);
            } else if addressed.ephemeral {
                ephemeral.push(addressed);
            } else {
                let submission = self.submission(addressed, index, known)?;
                draft.parts.push(Part {
                    index,
                    notification: submission.single(),
                    broadcast: submission.call.map(|_| submission.batch),
                    due_at: (submission.due_at > self.now).then_some(submission.due_at),
                });
                submissions.push(submission);
            }
        }
        draft.rejected.sort_by_key(|one| one.index);
        Ok((submissions, ephemeral))
    }

    /// The id that stands for all of it.
    fn recall_id(&self, submissions: &[Submission]) -> Option<Uuid> {
        match submissions {
            [one] if self.is_alone => one.call.or(one.single().map(|id| id.0)),
            several => several.iter().any(|one| one.broadcast().is_some()).then_some(self.id),
        }
    }

    fn submission(&self, addressed: Addressed, index: usize, known: &Known) -> Result<Submission, ApiError> {
        let Addressed { audience, message, send_at, dedupe_key, pace, local, ephemeral: _ } = addressed;
        let receipt = |parts: &[&[u8]]| EventKey::from_parts(parts).0;
        let by_request =
            self.idempotency_key.map(|key| receipt(&[b"request", key, &(index as u64).to_le_bytes()]));
        let of_user =
            |key: &str, user: &ExternalId| receipt(&[b"user", key.as_bytes(), user.to_string().as_bytes()]);
        let (receipt, user_receipts) = match (&dedupe_key, &audience) {
            (None, _) => (by_request, Vec::new()),
            (Some(key), Audience::Users(users)) => {
                let own = |user: &ExternalId| -> Vec<Uuid> {
                    known.names(user).map(|name| of_user(key, name)).collect()
                };
                (by_request, users.iter().map(own).collect())
            }
            (Some(key), Audience::Segment(segment)) => {
                (Some(receipt(&[b"segment", key.as_bytes(), &[*segment]])), Vec::new())
            }
            (Some(key), Audience::Topic(topic)) => {
                (Some(receipt(&[b"topic", key.as_bytes(), topic.as_bytes()])), Vec::new())
            }
            (Some(key), Audience::Meeting(conditions)) => {
                (Some(receipt(&[b"attributes", key.as_bytes(), conditions.as_bytes()])), Vec::new())
            }
            (Some(key), Audience::Everyone) => (Some(receipt(&[b"everyone", key.as_bytes()])), Vec::new()),
        };
        let message = serde_json::to_string(&message)
            .map_err(|error| ApiError::invalid("bad_data", Some("data"), error.to_string()))?;
        let due_at = send_at.unwrap_or(self.now);
        let batch = if self.is_alone { self.id } else { Uuid::now_v7() };
        let is_single = matches!(&audience, Audience::Users(users) if users.len() == 1);
        let call = (!is_single || due_at > self.now || local.is_some()).then_some(self.id);
        let group = (call.is_none() && !self.is_alone).then_some(self.id);
        Ok(Submission { batch, audience, message, due_at, receipt, user_receipts, call, group, pace, local })
    }
}

/// The messages without users who were erased; those to nobody else are rejected in the draft.
fn without_erased(
    app: &App,
    addressed: Vec<(usize, Addressed)>,
    draft: &mut Draft,
) -> Vec<(usize, Addressed)> {
    let mut kept = Vec::with_capacity(addressed.len());
    for (index, mut addressed) in addressed {
        if let Audience::Users(users) = &mut addressed.audience {
            users.retain(|user| !app.state.tombstones.has(user));
            if users.is_empty() {
                let message = "every user that is named was erased";
                draft.reject(index, FieldError::new("erased_user", "user_id", message));
                continue;
            }
        }
        kept.push((index, addressed));
    }
    kept
}

fn size(audience: &Audience) -> usize {
    match audience {
        Audience::Users(users) => users.len(),
        Audience::Segment(_) | Audience::Topic(_) | Audience::Meeting(_) | Audience::Everyone => 1,
    }
}
