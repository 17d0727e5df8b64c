//! Delivers webhooks: claims due rows of the outbox in groups, keeps a bounded number of requests open to each endpoint, and records in
//! groups what became of them. Whatever dies in between, a row stays until its end is recorded.

pub mod messages;
mod request;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use uuid::Uuid;

use self::messages::LookNow;
use super::mailbox::DropGuard;
use tidings_core::base::{Millis, Timestamp};
use tidings_decision::deliver::push_services::{BreakerState, Limits, Outcome, PushServices};
use tidings_state::AppState;
use tidings_store::new_conversions;
use tidings_store::webhook_outbox::{self, Attempted, Due, Target};
use tidings_store::webhook_upkeep::{self, Sweep};
use tidings_store::{Connection, StoreError, in_transaction};
use tidings_telemetry::Gauge;
use tidings_transport::webhooks::{WebhookClient, WebhookSettings};

/// Wake-ups waiting in the mailbox; one more says nothing new.
const MAILBOX: usize = 16;
/// The outbox is looked at this often.
const TICK: Duration = Duration::from_millis(500);
/// Conversions, expired claims, the sweep and the gauge are looked after every so many ticks.
const SLOW_EVERY: u32 = 10;
/// A claim outlives the longest request by this.
const LEASE_MS: u64 = 60_000;

/// Claims, sends, records.
pub struct WebhookActor {
    state: Arc<AppState>,
    client: Option<Rc<WebhookClient>>,
    /// Budgets and breakers, by endpoint.
    endpoints: PushServices,
    finished: Vec<Attempted>,
    claiming: bool,
    recording: bool,
    /// The outbox is being looked after.
    looking: bool,
    /// Claims of an earlier life were freed.
    released: bool,
    /// The last claim was as large as it could be.
    more: bool,
    ticks: u32,
    _guard: DropGuard,
}

impl WebhookActor {
    /// Idle. Nothing is sent when webhooks are off, but the outbox is looked after all the same.
    pub fn new(state: Arc<AppState>, guard: DropGuard) -> Self {
        let webhooks = &state.config.webhooks;
        let limits = Limits {
            total: webhooks.max_concurrent as usize,
            per_service: webhooks.max_concurrent_per_endpoint as usize,
        };
        let settings = WebhookSettings {
            timeout: Duration::from_millis(webhooks.timeout_ms),
            max_connections: limits.total,
            allow_private: webhooks.allow_private,
        };
        let client = webhooks.enabled.then(|| WebhookClient::new(settings));
        let client = client.and_then(|client| {
            client.inspect_err(|error| log::error!("webhooks are off: no TLS error={error}")).ok()
        });
        Self {
            state,
            client: client.map(Rc::new),
            endpoints: PushServices::new(limits),
            finished: Vec::new(),
            claiming: false,
            recording: false,
            looking: false,
            released: false,
            more: false,
            ticks: 0,
            _guard: guard,
        }
    }

    fn claim(&mut self, context: &mut Context<Self>) {
        if self.client.is_none() || self.claiming {
            return;
        }
        let now = Timestamp::now();
        // What was sent and can't be recorded holds its place: a database that is away must not be flooded later.
        let allowance = self.endpoints.allowance(self.finished.len(), now);
        if allowance.is_spent() {
            return;
        }
        (self.claiming, self.more) = (true, false);
        let releases = !self.released;
        let until = now + Millis(self.state.config.webhooks.timeout_ms + LEASE_MS);
        let store = self.state.store.clone();
        let work = move |connection: &mut Connection| {
            if releases {
                webhook_upkeep::free_claims(connection, None)?;
            }
            in_transaction(connection, |connection| {
                let mut allowance = allowance;
                let mut claimed = Vec::new();
                for target in webhook_outbox::targets(connection, now)? {
                    let name = target.endpoint.to_string();
                    let limit = allowance.of(&name);
                    if limit == 0 {
                        continue;
                    }
                    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
                    let due = webhook_outbox::claim(connection, target.endpoint, rows, now, until)?;
                    allowance.spend(&name, due.len());
                    claimed.push((target, due, limit));
                }
                Ok(claimed)
            })
        };
        let claim = async move { store.run_patiently(work).await };
        context.spawn(claim.into_actor(self).map(|outcome, actor, context| {
            actor.claiming = false;
            match outcome {
                Ok(claimed) => actor.send_all(claimed, context),
                Err(error) => log::error!("outbox of webhooks not read error={error}"),
            }
        }));
    }

    fn send_all(&mut self, claimed: Vec<(Target, Vec<Due>, usize)>, context: &mut Context<Self>) {
        self.released = true;
        for (target, due, limit) in claimed {
            self.more |= due.len() >= limit;
            let target = Rc::new(target);
            for due in due {
                self.send(Rc::clone(&target), due, context);
            }
        }
    }

    fn send(&mut self, target: Rc<Target>, due: Due, context: &mut Context<Self>) {
        let Some(client) = self.client.clone() else { return };
        let endpoint = target.endpoint;
        self.endpoints.started(&endpoint.to_string(), Timestamp::now());
        let give_up_after = Millis::hours(self.state.config.webhooks.give_up_after_h);
        let send = async move { request::deliver(&client, &target, due, give_up_after).await };
        context.spawn(send.into_actor(self).map(move |(attempted, outcome), actor, context| {
            actor.note_outcome(endpoint, outcome);
            actor.state.metrics.add(request::counted(&attempted), 1);
            actor.finished.push(attempted);
            actor.record(context);
        }));
    }

    fn note_outcome(&mut self, endpoint: Uuid, outcome: Outcome) {
        let changed = self.endpoints.ended(&endpoint.to_string(), outcome, Timestamp::now(), rand::random());
        match changed {
            Some(BreakerState::Open) => {
                log::warn!("webhook endpoint gets no requests for now endpoint={endpoint}")
            }
            Some(state) => log::info!("webhook endpoint breaker endpoint={endpoint} state={}", state.name()),
            None => {}
        }
    }

    /// Together with whatever else has ended meanwhile.
    fn record(&mut self, context: &mut Context<Self>) {
        if self.recording || self.finished.is_empty() {
            return;
        }
        self.recording = true;
        let finished = std::mem::take(&mut self.finished);
        let (store, group, now) = (self.state.store.clone(), finished.clone(), Timestamp::now());
        let before = now - Millis::hours(self.state.config.webhooks.disable_after_h);
        let record = async move {
            store
                .run_patiently(move |connection| webhook_outbox::finish(connection, &group, before, now))
                .await
        };
        context.spawn(record.into_actor(self).map(move |outcome, actor, context| {
            actor.recording = false;
            match outcome {
                Ok(disabled) => {
                    for (endpoint, reason) in disabled {
                        log::warn!("webhook endpoint disabled endpoint={endpoint} reason={reason:?}");
                    }
                    actor.record(context);
                    // Its places are free again.
                    if actor.more {
                        actor.claim(context);
                    }
                }
                Err(error) => {
                    log::error!("webhooks not recorded, tried again rows={} error={error}", finished.len());
                    actor.finished.extend(finished); // With the next tick.
                }
            }
        }));
    }

    fn look_after(&mut self, context: &mut Context<Self>) {
        // One look at a time: a database that is slow is not asked again meanwhile.
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        let now = Timestamp::now();
        let window = self.state.rules().attribution_window;
        let webhooks = &self.state.config.webhooks;
        let given_up_before = now - Millis::hours(webhooks.give_up_after_h);
        let sweep = Sweep {
            kept_since: now.plus_days(-f64::from(self.state.config.retention.webhook_log_days)),
            given_up_before: self.client.is_none().then_some(given_up_before),
        };
        let store = self.state.store.clone();
        let money = self.state.catalogue.load().money().clone();
        let work = move |connection: &mut Connection| -> Result<(usize, i64), StoreError> {
            webhook_upkeep::free_claims(connection, Some(now))?;
            webhook_upkeep::sweep(connection, &sweep)?;
            Ok((new_conversions::emit(connection, window, &money)?, webhook_upkeep::waiting(connection)?))
        };
        let look = async move { store.run_patiently(work).await };
        context.spawn(look.into_actor(self).map(|outcome, actor, context| {
            actor.looking = false;
            match outcome {
                Ok((conversions, waiting)) => {
                    actor.state.metrics.set(Gauge::WebhooksWaiting, waiting);
                    if conversions > 0 {
                        actor.claim(context);
                    }
                }
                Err(error) => log::error!("webhooks not looked after error={error}"),
            }
        }));
    }
}

impl Actor for WebhookActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        self.claim(context);
        context.run_interval(TICK, |actor, context| {
            actor.ticks = actor.ticks.wrapping_add(1);
            if actor.ticks.is_multiple_of(SLOW_EVERY) {
                actor.look_after(context);
            }
            actor.record(context);
            actor.claim(context);
        });
    }
}

impl Handler<LookNow> for WebhookActor {
    type Result = ();

    fn handle(&mut self, _: LookNow, context: &mut Context<Self>) {
        self.claim(context);
    }
}
