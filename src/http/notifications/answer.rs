//! The answer to a request with messages: what was accepted, and what is wrong with the others.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::describe::{self, Described, May};
use crate::idempotency;
use crate::rejected::{Refusal, Rejected};
use tidings_core::base::{ExternalId, FieldError, NotificationId, Timestamp};
use tidings_decision::notify::message::RawMessage;
use tidings_decision::privacy::Permission;
use tidings_store::outbox::Accepted;

/// Outcome of a request.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagesAccepted)]
pub(super) struct Answer<'a> {
    /// Stands for all of it, as for taking it back (`DELETE /v1/notifications/{id}`); of a single message to one user its
    /// `notification_id`. Absent where only ephemeral messages were accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    accepted: usize,
    duplicates: usize,
    /// Of accepted messages to one user each: what they will be known by, as for taking them back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    notifications: Vec<Named>,
    /// Accepted messages to many, and those that wait for their time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    broadcasts: Vec<Sent>,
    /// Connected users that ephemeral messages went to; absent without such messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<usize>,
    /// Named users nobody has heard of: accepted as well, and kept for their first login.
    unknown: &'a [ExternalId],
    rejected: &'a [Rejected],
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::post(
            "/v1/notifications",
            May::Needs(Permission::SendMessages),
            "Sends messages of the shop.",
        )
        .header("Idempotency-Key", idempotency::ABOUT)
        .bodies::<RawMessage>()
        .body_example(r#"{"user_id": 17, "title": "Your order is on its way", "priority": "transactional"}"#)
        .answers::<Answer<'_>>(202, "What is accepted is durable.")
        .example(EXAMPLE)
        .answers::<Refusal<'_>>(400, "Nothing can be accepted.")
        .refuses(&[409, 422]),
    ]
}

const EXAMPLE: &str = r#"{
    "id": "01938c2e-7a00-7000-8000-5d2f6c1b9e10", "accepted": 1, "duplicates": 0,
    "notifications": [{"index": 0, "notification_id": "01938c2e-7a00-7000-8000-5d2f6c1b9e10"}],
    "unknown": [], "rejected": []
}"#;

/// An accepted message to one user.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedMessage)]
struct Named {
    /// Place in the request.
    index: usize,
    notification_id: NotificationId,
}

/// An accepted message to many, or with a time.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedBroadcast)]
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
pub(super) struct Draft {
    pub(super) id: Option<Uuid>,
    /// One a submission.
    pub(super) parts: Vec<Part>,
    /// Named users that do not exist.
    pub(super) unknown: Vec<ExternalId>,
    /// Fault of each refused message.
    pub(super) rejected: Vec<Rejected>,
}

#[derive(Clone)]
pub(super) struct Part {
    pub(super) index: usize,
    pub(super) notification: Option<NotificationId>,
    pub(super) broadcast: Option<Uuid>,
    pub(super) due_at: Option<Timestamp>,
}

impl Draft {
    pub(super) fn reject(&mut self, index: usize, error: FieldError) {
        self.rejected.push(Rejected::new(index, error));
    }

    pub(super) fn answer(&self, outcomes: &[Accepted], told: Option<usize>) -> Answer<'_> {
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

    pub(super) fn json(&self, outcomes: &[Accepted], told: Option<usize>) -> String {
        serde_json::to_string(&self.answer(outcomes, told)).unwrap_or_default()
    }
}
