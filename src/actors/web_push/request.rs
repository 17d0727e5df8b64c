//! One request to a push service: what it means for the row in the outbox, for the service and for the counts.

use tidings_core::base::{Millis, Timestamp};
use tidings_decision::deliver::push_payload::{self, PushPayload};
use tidings_decision::deliver::push_services::Outcome;
use tidings_decision::privacy::report_token::{self, Report};
use tidings_state::AppState;
use tidings_store::push_outbox::{DuePush, Finished, PushEnd};
use tidings_telemetry::{Count, PushOutcome};
use tidings_transport::webpush::{Delivery, Endpoint, PushClient, UserAgentKeys, next_attempt};

/// A report may come this long after the message expired: notifications stay until they are touched.
const REPORTS_FOR_DAYS: f64 = 7.0;
/// Busy without a time: asked again after this long.
const BUSY: Millis = Millis::seconds(5);

/// Sends a claimed push; what became of it, and what that says of the service.
pub(super) async fn deliver(client: &PushClient, state: &AppState, push: DuePush) -> (Finished, Outcome) {
    let (end, may_be_shown, outcome) = attempt(client, state, &push).await;
    let finished = Finished {
        notification: push.notification,
        subscription: push.subscription,
        user: push.user,
        endpoint: push.endpoint,
        end,
        may_be_shown,
    };
    (finished, outcome)
}

async fn attempt(client: &PushClient, state: &AppState, push: &DuePush) -> (PushEnd, bool, Outcome) {
    let now = Timestamp::now();
    let metrics = &state.metrics;
    if push.settled || push.expires_at <= now {
        metrics.add(Count::PushExpired, 1);
        return (PushEnd::Dropped, false, Outcome::Unused);
    }
    let Some((endpoint, keys, payload)) = prepare(state, push) else {
        log::error!(
            "push can't be made notification_id={} subscription={}",
            push.notification,
            push.subscription
        );
        metrics.add(Count::PushRefused, 1);
        return (PushEnd::Dropped, false, Outcome::Unused);
    };
    let delivery = client.send(&endpoint, &keys, &payload, push.expires_at, now).await;
    if let Some(outcome) = counted(delivery) {
        metrics.push_services.note(&push.service, outcome);
    }
    let may_be_shown = matches!(delivery, Delivery::Accepted | Delivery::Unanswered);
    (end_of(delivery, state, push, payload.json.len()), may_be_shown, outcome_of(delivery))
}

/// Fate of the row. No number of attempts ends a message.
fn end_of(delivery: Delivery, state: &AppState, push: &DuePush, bytes: usize) -> PushEnd {
    let (metrics, service) = (&state.metrics, &push.service);
    let now = Timestamp::now();
    let next = |asked| next_attempt(now, push.attempt, asked, rand::random());
    // A back-off ends before the message does: half of what is left.
    let backed_off = || next(None).min(now + Millis(push.expires_at.millis_since(now).0 / 2));
    let put_off = |status: u16, asked: Option<std::time::Duration>| {
        let at = if asked.is_some() { next(asked) } else { backed_off() };
        log::debug!("push put off service={service} status={status} attempt={} until={at}", push.attempt);
        if at < push.expires_at {
            metrics.add(Count::PushRetried, 1);
            PushEnd::Retry(at)
        } else {
            metrics.add(Count::PushExpired, 1);
            PushEnd::Dropped
        }
    };
    match delivery {
        Delivery::Accepted => {
            metrics.add(Count::PushSent, 1);
            PushEnd::Sent
        }
        Delivery::Gone(status) => {
            metrics.add(Count::PushGone, 1);
            PushEnd::Gone(status)
        }
        Delivery::Unfit(status) => {
            let id = push.notification;
            log::warn!(
                "push does not fit service={service} status={status} notification_id={id} bytes={bytes}"
            );
            metrics.add(Count::PushRefused, 1);
            PushEnd::Dropped
        }
        Delivery::Refused(status) => {
            log::info!(
                "push subscription refused service={service} status={status} subscription={}",
                push.subscription
            );
            metrics.add(Count::PushRefused, 1);
            PushEnd::Refused(status, backed_off())
        }
        Delivery::Later(status, asked) => put_off(status, asked),
        Delivery::Unanswered => put_off(0, None),
    }
}

/// Verdict of the answer on the service.
fn outcome_of(delivery: Delivery) -> Outcome {
    let wait = |asked: std::time::Duration| Millis(u64::try_from(asked.as_millis()).unwrap_or(u64::MAX));
    match delivery {
        Delivery::Accepted | Delivery::Gone(_) => Outcome::Answered,
        Delivery::Unfit(status) | Delivery::Refused(status) => {
            if status == 0 {
                Outcome::Unused
            } else {
                Outcome::Answered
            }
        }
        Delivery::Later(429, asked) => Outcome::Busy(asked.map_or(BUSY, wait)),
        Delivery::Later(_, Some(asked)) => Outcome::Paused(wait(asked)),
        Delivery::Later(_, None) | Delivery::Unanswered => Outcome::Failed,
    }
}

/// Under which outcome a request is counted; `None` if there was none.
fn counted(delivery: Delivery) -> Option<PushOutcome> {
    match delivery {
        Delivery::Accepted => Some(PushOutcome::Accepted),
        Delivery::Gone(_) => Some(PushOutcome::Gone),
        Delivery::Unfit(0) | Delivery::Refused(0) => None,
        Delivery::Unfit(_) | Delivery::Refused(_) => Some(PushOutcome::Refused),
        Delivery::Later(429, _) | Delivery::Later(_, Some(_)) => Some(PushOutcome::Busy),
        Delivery::Later(_, None) | Delivery::Unanswered => Some(PushOutcome::Failed),
    }
}

fn prepare(state: &AppState, push: &DuePush) -> Option<(Endpoint, UserAgentKeys, PushPayload)> {
    let report = Report { notification: push.notification, user: push.user };
    let ends = push.expires_at.plus_days(REPORTS_FOR_DAYS);
    let token = report_token::issue(state.push.report_secret()?, report, ends).ok()?;
    let payload = push_payload::compose(&push.frame, &token)?;
    let endpoint = Endpoint::parse(&push.endpoint, state.config.webpush.allow_loopback).ok()?;
    let keys = UserAgentKeys::new(&push.p256dh, &push.auth).ok()?;
    Some((endpoint, keys, payload))
}
