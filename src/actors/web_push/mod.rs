//! Sends what waits in the push outbox: claims due rows in groups, keeps a bounded number of requests open to each push service,
//! and records in groups what became of them. Whatever dies in between, a row stays until its end is recorded.

mod claim;
pub mod messages;
mod request;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use self::claim::{Plan, Round};
use self::messages::Wake;
use super::journal::messages::Record;
use super::mailbox::{DropGuard, Mailbox};
use super::registry::Registry;
use tidings_core::base::{Millis, NotificationId, Timestamp, UserId};
use tidings_decision::decide::{self, Input};
use tidings_decision::deliver::push_services::{BreakerState, Limits, Outcome, PushServices};
use tidings_state::AppState;
use tidings_store::push_outbox::{self, DuePush, Finished, HandOver};
use tidings_store::{push_subscriptions, users};
use tidings_telemetry::Count;
use tidings_transport::webpush::{PushClient, PushSettings};

/// Wake-ups waiting in the mailbox; one more says nothing new.
const MAILBOX: usize = 16;
/// The outbox is looked at this often: for what was put off, for services that are back, and what a lost wake-up left.
const TICK: Duration = Duration::from_millis(500);
/// Expired rows and claims are looked for every so many ticks.
const TIDY_EVERY: u32 = 10;
/// A claim outlives the longest request by this.
const LEASE_MS: u64 = 60_000;
/// Users looked after when the server starts.
const MAX_LEFT_BEHIND: i64 = 10_000;
/// Push services shown to operators.
const MAX_SHOWN: usize = 20;

/// Claims, sends, records.
pub struct WebPushActor {
    state: Arc<AppState>,
    registry: Arc<Registry>,
    journal: Arc<Mailbox<Record>>,
    client: Option<Rc<PushClient>>,
    services: PushServices,
    /// Services after this one are looked at first.
    after: String,
    finished: Vec<Finished>,
    claiming: bool,
    recording: bool,
    /// Claims of an earlier life were freed.
    released: bool,
    /// The last claim was as large as it could be, or somebody has called since.
    more: bool,
    ticks: u32,
    tidies: bool,
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
        let limits = Limits {
            total: webpush.max_concurrent as usize,
            per_service: webpush.max_concurrent_per_service as usize,
        };
        let settings = PushSettings {
            contact: webpush.contact.clone(),
            timeout: Duration::from_millis(webpush.timeout_ms),
            max_connections: limits.total,
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
            services: PushServices::new(limits),
            after: String::new(),
            finished: Vec::new(),
            claiming: false,
            recording: false,
            released: false,
            more: false,
            ticks: 0,
            tidies: true,
            _guard: guard,
        }
    }

    fn claim(&mut self, context: &mut Context<Self>) {
        if self.client.is_none() || self.claiming {
            return;
        }
        let now = Timestamp::now();
        // What was sent and can't be recorded holds its place: a database that is away must not be flooded later.
        let allowance = self.services.allowance(self.finished.len(), now);
        if allowance.is_spent() {
            return;
        }
        self.claiming = true;
        self.more = false;
        let plan = Plan {
            allowance,
            after: self.after.clone(),
            lease: Millis(self.state.config.webpush.timeout_ms + LEASE_MS),
            releases: !self.released,
            tidies: std::mem::take(&mut self.tidies),
            fields: Arc::clone(self.state.store.fields()),
        };
        let store = self.state.store.clone();
        let claim = async move { store.run_patiently(move |connection| plan.run(connection, now)).await };
        context.spawn(claim.into_actor(self).map(|outcome, actor, context| {
            actor.claiming = false;
            match outcome {
                Ok(round) => actor.send_all(round, context),
                Err(error) => log::error!("push outbox not read error={error}"),
            }
        }));
    }

    fn send_all(&mut self, round: Round, context: &mut Context<Self>) {
        self.released = true;
        self.more |= round.has_more;
        self.after = round.after;
        self.state.metrics.add(Count::PushExpired, round.expired as u64);
        for push in round.due {
            self.send(push, context);
        }
        if self.more {
            self.claim(context); // Called meanwhile; without a free place this does nothing.
        }
    }

    /// Hands over what pages were given before this server started, except for users who have come back: they see to it
    /// themselves.
    fn sweep(&mut self, context: &mut Context<Self>) {
        let store = self.state.store.clone();
        let find = async move {
            store
                .run_patiently(|connection| {
                    push_outbox::left_behind(connection, Timestamp::now(), MAX_LEFT_BEHIND)
                })
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
        let (service, now) = (push.service.clone(), Timestamp::now());
        self.services.started(&service, now);
        self.services.note_turn(&service, push.user);
        let state = Arc::clone(&self.state);
        let send = async move { request::deliver(&client, &state, push).await };
        context.spawn(send.into_actor(self).map(move |(finished, outcome), actor, context| {
            actor.note_outcome(&service, outcome);
            actor.finished.push(finished);
            actor.record(context);
        }));
    }

    fn note_outcome(&mut self, service: &str, outcome: Outcome) {
        let changed = self.services.ended(service, outcome, Timestamp::now(), rand::random());
        match changed {
            Some(BreakerState::Open) => {
                log::warn!("push service gets no requests for now service={service} outcome={outcome:?}");
            }
            Some(state) => log::info!("push service breaker service={service} state={}", state.name()),
            None => {}
        }
    }

    /// Shows operators how the services do.
    fn publish(&self) {
        let all = self.services.status(usize::MAX);
        let gauges =
            all.iter().map(|one| (one.service.as_str(), one.in_flight, one.breaker != BreakerState::Closed));
        self.state.metrics.push_services.set(gauges);
        self.state.push.services.store(Arc::new(all.into_iter().take(MAX_SHOWN).collect()));
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
        let max_refusals = self.state.config.webpush.max_refusals;
        let record = async move {
            let work = move |connection: &mut tidings_store::Connection| {
                push_outbox::note_sent(connection, &ids, Timestamp::now())?;
                let left = push_outbox::finish(connection, &group, max_refusals, Timestamp::now())?;
                let still = push_subscriptions::subscribed(connection, Some(&left))?;
                Ok((left, still, users::external_ids(connection, &who)?))
            };
            store.run_patiently(work).await
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
                    // Its places are free again.
                    actor.claim(context);
                }
                Err(error) => {
                    log::error!("pushes not recorded, tried again rows={} error={error}", finished.len());
                    actor.finished.extend(finished); // With the next tick.
                }
            }
        }));
    }
}

impl Actor for WebPushActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        self.claim(context);
        let grace = Duration::from_millis(self.state.config.webpush.grace_ms);
        context.run_later(grace, |actor, context| actor.sweep(context));
        context.run_interval(TICK, |actor, context| {
            actor.ticks = actor.ticks.wrapping_add(1);
            actor.tidies |= actor.ticks.is_multiple_of(TIDY_EVERY);
            actor.publish();
            actor.record(context);
            actor.claim(context);
        });
    }
}

impl Handler<Wake> for WebPushActor {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Context<Self>) {
        self.more = true;
        self.claim(context);
    }
}
