//! Sends what waits in the push outbox: claims due rows in groups, keeps a bounded number of requests open, and records
//! in groups what became of them. Whatever dies in between, a row stays until its end is recorded.

pub mod messages;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use self::messages::Wake;
use super::journal::messages::Record;
use super::mailbox::{DropGuard, Mailbox};
use super::registry::Registry;
use crate::base::{Millis, NotificationId, Timestamp, UserId};
use crate::decide::{self, Input};
use crate::deliver::push_payload::{self, PushPayload};
use crate::privacy::report_token::{self, Report};
use crate::state::AppState;
use crate::store::push_outbox::{self, DuePush, Finished, HandOver, PushEnd};
use crate::store::{push_subscriptions, users};
use crate::telemetry::Count;
use crate::transport::webpush::{Delivery, Endpoint, PushClient, PushSettings, UserAgentKeys, next_attempt};

/// Wake-ups waiting in the mailbox; one more says nothing new.
const MAILBOX: usize = 16;
/// The outbox is looked at this often: for what was put off, and what a lost wake-up left.
const TICK: Duration = Duration::from_secs(1);
/// A claim outlives the longest request by this.
const LEASE_MS: u64 = 60_000;
/// A report may come this long after the message expired: notifications stay until they are touched.
const REPORTS_FOR_DAYS: f64 = 7.0;
/// Users looked after when the server starts.
const MAX_LEFT_BEHIND: i64 = 10_000;

/// Claims, sends, records.
pub struct WebPushActor {
    state: Arc<AppState>,
    registry: Arc<Registry>,
    journal: Arc<Mailbox<Record>>,
    client: Option<Rc<PushClient>>,
    open: usize,
    finished: Vec<Finished>,
    claiming: bool,
    recording: bool,
    /// Claims of an earlier life were freed.
    released: bool,
    /// The last claim was as large as it could be, or somebody has called since.
    more: bool,
    _guard: DropGuard,
}

impl WebPushActor {
    /// Idle; for good when Web Push is off.
    pub fn new(
        state: Arc<AppState>,
        registry: Arc<Registry>,
        journal: Arc<Mailbox<Record>>,
        guard: DropGuard,
    ) -> Self {
        let webpush = &state.config.webpush;
        let settings = PushSettings {
            contact: webpush.contact.clone(),
            timeout: Duration::from_millis(webpush.timeout_ms),
            max_connections: state.config.webpush.max_concurrent as usize,
            allow_loopback: webpush.allow_loopback,
        };
        let client = state.push.keys().and_then(|keys| {
            PushClient::new(keys.clone(), settings)
                .inspect_err(|error| log::error!("Web Push is off: no TLS error={error}"))
                .ok()
        });
        Self {
            state,
            registry,
            journal,
            client: client.map(Rc::new),
            open: 0,
            finished: Vec::new(),
            claiming: false,
            recording: false,
            released: false,
            more: false,
            _guard: guard,
        }
    }

    fn max_open(&self) -> usize {
        self.state.config.webpush.max_concurrent as usize
    }

    fn claim(&mut self, context: &mut Context<Self>) {
        // What was sent and can't be recorded holds its place: a database that is away must not be flooded later.
        let free = self.max_open().saturating_sub(self.open + self.finished.len());
        if self.client.is_none() || self.claiming || free == 0 {
            return;
        }
        self.claiming = true;
        self.more = false;
        let (store, release) = (self.state.store.clone(), !self.released);
        let lease = Millis(self.state.config.webpush.timeout_ms + LEASE_MS);
        let limit = i64::try_from(free).unwrap_or(i64::MAX);
        let claim = async move {
            let work = move |connection: &mut crate::store::Connection| {
                let now = Timestamp::now();
                if release {
                    push_outbox::release(connection)?;
                }
                push_outbox::claim(connection, now, limit, lease)
            };
            store.run(work).await
        };
        context.spawn(claim.into_actor(self).map(move |outcome, actor, context| {
            actor.claiming = false;
            match outcome {
                Ok(due) => {
                    actor.released = true;
                    actor.more |= due.len() == free;
                    for push in due {
                        actor.send(push, context);
                    }
                    if actor.more {
                        actor.claim(context); // Called meanwhile; without a free place this does nothing.
                    }
                }
                Err(error) => log::error!("push outbox not read error={error}"),
            }
        }));
    }

    /// Hands over what pages were given before this server started, except for users who have come back: they see to it
    /// themselves.
    fn sweep(&mut self, context: &mut Context<Self>) {
        let store = self.state.store.clone();
        let find = async move {
            store
                .run(|connection| push_outbox::left_behind(connection, Timestamp::now(), MAX_LEFT_BEHIND))
                .await
        };
        context.spawn(find.into_actor(self).map(|found, actor, _| match found {
            Ok(users) => {
                for (user, external_id) in users {
                    if actor.registry.get(&external_id).is_none() {
                        let all = HandOver { user, seen_up_to: i64::MAX, due_at: Timestamp::now() };
                        // A full journal: the next start, or the user's next visit.
                        let _ = actor.journal.offer(Record::Other(decide::Record::HandOver(all)));
                    }
                }
            }
            Err(error) => log::error!("messages left behind not read error={error}"),
        }));
    }

    fn send(&mut self, push: DuePush, context: &mut Context<Self>) {
        let Some(client) = self.client.clone() else { return };
        self.open += 1;
        let state = Arc::clone(&self.state);
        let send = async move {
            let (end, may_be_shown) = deliver(&client, &state, &push).await;
            Finished {
                may_be_shown,
                notification: push.notification,
                subscription: push.subscription,
                user: push.user,
                end,
            }
        };
        context.spawn(send.into_actor(self).map(|finished, actor, context| {
            actor.open -= 1;
            actor.finished.push(finished);
            actor.record(context);
        }));
    }

    /// Together with whatever else has ended meanwhile.
    fn record(&mut self, context: &mut Context<Self>) {
        if self.recording || self.finished.is_empty() {
            return;
        }
        self.recording = true;
        let finished = std::mem::take(&mut self.finished);
        let taken = finished.iter().filter(|finished| finished.may_be_shown);
        let sent: Vec<(UserId, NotificationId)> =
            taken.map(|finished| (finished.user, finished.notification)).collect();
        let (store, group) = (self.state.store.clone(), finished.clone());
        let (who, ids): (Vec<_>, Vec<_>) = sent.iter().copied().unzip();
        let record = async move {
            let work = move |connection: &mut crate::store::Connection| {
                push_outbox::note_sent(connection, &ids, Timestamp::now())?;
                let left = push_outbox::finish(connection, &group, Timestamp::now())?;
                let still = push_subscriptions::subscribed(connection, Some(&left))?;
                Ok((left, still, users::external_ids(connection, &who)?))
            };
            store.run(work).await
        };
        context.spawn(record.into_actor(self).map(move |outcome, actor, context| {
            actor.recording = false;
            match outcome {
                Ok((left, still, names)) => {
                    actor.state.push.note(&left, &still);
                    for (user, id) in sent {
                        if let Some(name) = names.get(&user) {
                            actor.registry.happened(name, Input::Pushed(id));
                        }
                    }
                    actor.record(context);
                    if actor.more {
                        actor.claim(context);
                    }
                }
                Err(error) => {
                    log::error!("pushes not recorded, tried again rows={} error={error}", finished.len());
                    actor.finished.extend(finished); // With the next tick.
                }
            }
        }));
    }
}

/// One request: what it means for the row, and whether the message may be shown.
async fn deliver(client: &PushClient, state: &AppState, push: &DuePush) -> (PushEnd, bool) {
    let now = Timestamp::now();
    let metrics = &state.metrics;
    if push.settled || push.expires_at <= now {
        metrics.add(Count::PushExpired, 1);
        return (PushEnd::Dropped, false);
    }
    let Some((endpoint, keys, payload)) = prepare(state, push) else {
        log::error!(
            "push can't be made notification_id={} subscription={}",
            push.notification,
            push.subscription
        );
        metrics.add(Count::PushRefused, 1);
        return (PushEnd::Dropped, false);
    };
    let delivery = client.send(&endpoint, &keys, &payload, push.expires_at, now).await;
    let may_be_shown = matches!(delivery, Delivery::Accepted | Delivery::Unanswered);
    let put_off = |status: u16, asked| {
        let at = next_attempt(Timestamp::now(), push.attempt, asked, rand::random());
        log::info!("push put off service={endpoint} status={status} attempt={} until={at}", push.attempt);
        if at < push.expires_at {
            metrics.add(Count::PushRetried, 1);
            PushEnd::Retry(at)
        } else {
            metrics.add(Count::PushExpired, 1);
            PushEnd::Dropped
        }
    };
    let end = match delivery {
        Delivery::Accepted => {
            metrics.add(Count::PushSent, 1);
            PushEnd::Sent
        }
        Delivery::Gone => {
            metrics.add(Count::PushGone, 1);
            PushEnd::Gone
        }
        Delivery::Refused(status) => {
            log::warn!(
                "push refused service={endpoint} status={status} notification_id={} bytes={}",
                push.notification,
                payload.json.len()
            );
            metrics.add(Count::PushRefused, 1);
            PushEnd::Dropped
        }
        Delivery::Later(status, asked) => put_off(status, asked),
        Delivery::Unanswered => put_off(0, None),
    };
    (end, may_be_shown)
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

impl Actor for WebPushActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        self.claim(context);
        let grace = Duration::from_millis(self.state.config.webpush.grace_ms);
        context.run_later(grace, |actor, context| actor.sweep(context));
        context.run_interval(TICK, |actor, context| {
            actor.record(context);
            actor.claim(context);
        });
    }
}

impl Handler<Wake> for WebPushActor {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Self::Context) {
        self.more = true;
        self.claim(context);
    }
}
