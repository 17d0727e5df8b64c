//! One request to an endpoint: how it is signed, and what its answer means for the delivery.

use tidings_core::base::{Millis, Timestamp};
use tidings_decision::deliver::push_services::Outcome;
use tidings_decision::deliver::webhooks::{Verdict, judge, next_attempt};
use tidings_decision::privacy::webhook_secret::{WebhookSecret, signatures};
use tidings_store::webhook_outbox::{Attempted, Due, End, Target};
use tidings_telemetry::Count;
use tidings_transport::webhooks::{WebhookClient, WebhookRequest};

/// Sends a claimed delivery; what became of it, and what that says of the endpoint.
pub(super) async fn deliver(
    client: &WebhookClient,
    target: &Target,
    due: Due,
    give_up_after: Millis,
) -> (Attempted, Outcome) {
    let at = Timestamp::now();
    let (id, timestamp) = (format!("msg_{}", due.message.simple()), at.as_seconds());
    let secrets: Vec<WebhookSecret> =
        target.secrets.iter().map(|secret| WebhookSecret::from_bytes(secret.as_slice())).collect();
    let signature = signatures(&secrets, &id, timestamp, due.payload.as_bytes());
    let url = target.url.clone();
    let answer = client.send(WebhookRequest { url, id, timestamp, signature, body: due.payload }).await;
    let now = Timestamp::now();
    let (verdict, outcome) = judge(answer.status, answer.asked);
    let end = match verdict {
        Verdict::Delivered => End::Delivered,
        Verdict::Gone => End::Gone,
        Verdict::Later(asked) => {
            let next = next_attempt(now, due.attempt, asked, rand::random());
            if next < due.since + give_up_after { End::Retry(next) } else { End::GivenUp }
        }
    };
    let attempted = Attempted {
        delivery: due.delivery,
        endpoint: target.endpoint,
        at,
        took_ms: i32::try_from(answer.took.as_millis()).unwrap_or(i32::MAX),
        status: i16::try_from(answer.status).unwrap_or(0),
        answer: answer.text,
        end,
    };
    (attempted, outcome)
}

/// Under which outcome an attempt is counted.
pub(super) fn counted(attempted: &Attempted) -> Count {
    match attempted.end {
        End::Delivered => Count::WebhookDelivered,
        End::Retry(_) => Count::WebhookRetried,
        End::GivenUp | End::Gone => Count::WebhookGivenUp,
    }
}
