//! From a trigger to a decision, and from a decision to the wire: recommend → decide → journal → stream → sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::UserActor;
use super::expect::Expectation;
use super::ready::{Pending, Ready, Wants};
use crate::actors::journal::Record;
use crate::actors::shared::Shared;
use crate::base::{ConnectionId, ItemId, Millis, NotificationId, Timestamp};
use crate::deliver::{Entry, Frame, Input, frames};
use crate::notify::{Candidate, Decision, Outcome, Priority, Sent, Trigger, content};
use crate::recommend::{ModelSet, Recommendation, Request};
use crate::store::decisions::DecisionRow;
use crate::store::notifications::NewNotification;
use crate::telemetry::{Count, Timing};

impl Ready {
    /// Candidates for a trigger, best first.
    fn recommend(
        &self,
        trigger: Trigger,
        models: &ModelSet,
        shared: &Shared,
        now: Timestamp,
    ) -> Vec<Recommendation> {
        let started = Instant::now();
        let catalogue = shared.catalogue.load();
        let exclude = self.policy.resting(&shared.rules, now);
        let request = Request {
            profile: &self.profile,
            segment: self.segment,
            catalogue: &catalogue,
            now,
            n: shared.config.policy.items,
            seed: trigger.seed(),
            exclude: &exclude,
        };
        let recommendations = models.recommend(&request);
        shared.metrics.time(Timing::Recommend, started.elapsed());
        shared.monitor.compare(&request, &recommendations);
        recommendations
    }

    /// Makes a candidate, decides, and puts what is to be sent into `wants`. Every decision is journalled.
    pub(super) fn consider(
        &mut self,
        trigger: Trigger,
        at: Option<Instant>,
        welcome_after: Option<(ConnectionId, Instant)>,
        shared: &Shared,
        wants: &mut Wants,
    ) {
        if self.pipes.is_empty() || self.is_robot {
            return; // Nobody would see it; absent users are another channel's business.
        }
        let now = Timestamp::now();
        let models = shared.models.load();
        let recommendations = self.recommend(trigger, &models, shared, now);
        let items: Vec<ItemId> = recommendations.iter().map(|recommendation| recommendation.item).collect();
        if trigger.seed().is_none() {
            self.last_list = items.clone().into();
        }
        let expectation = self.expect(trigger, &recommendations, &models, shared, now);
        let candidate = Candidate { trigger, items };
        let decision = self.policy.decide(&candidate, &shared.rules, &self.preferences, now);
        let row = self.row(&candidate, &decision, &expectation, &models, now);
        match decision.outcome {
            Outcome::Send => {
                shared.metrics.add(Count::Sends, 1);
                let said = expectation.said;
                let pending = self.prepare(row, &candidate, &recommendations, shared, now);
                let id = pending.entry.id;
                shared.drift.lock().note_sent(id, now, trigger.name(), said);
                wants.pending.push(Pending { at, welcome_after, ..pending });
            }
            Outcome::Defer(until) => {
                shared.metrics.add(Count::Defers, 1);
                if !self.deferred.contains(&trigger.category()) {
                    self.deferred.push(trigger.category());
                    wants.deferred.push((trigger, until));
                }
                journal(shared, row);
            }
            Outcome::Drop => {
                shared.metrics.add(Count::Drops, 1);
                journal(shared, row);
            }
        }
    }

    fn row(
        &self,
        candidate: &Candidate,
        decision: &Decision,
        expectation: &Expectation,
        models: &ModelSet,
        now: Timestamp,
    ) -> Box<DecisionRow> {
        Box::new(DecisionRow {
            decision_id: Uuid::now_v7(),
            decided_at: now,
            user: self.user,
            trigger: candidate.trigger.name().to_owned(),
            category: candidate.trigger.category().to_owned(),
            outcome: decision.outcome.name().to_owned(),
            reasons: decision.reasons.clone(),
            notification_id: None,
            model_version: models.version,
            segment: self.segment.map(|segment| segment.0),
            items: candidate.items.clone(),
            propensity: 1.0,
            until: match decision.outcome {
                Outcome::Defer(until) => Some(until),
                Outcome::Send | Outcome::Drop => None,
            },
            expected: Some(expectation.expected),
            features: match decision.outcome {
                Outcome::Send => expectation.features.to_vec(),
                Outcome::Defer(_) | Outcome::Drop => Vec::new(),
            },
        })
    }

    /// Gives the message its place in the stream and reserves its share of the caps.
    fn prepare(
        &mut self,
        mut decision: Box<DecisionRow>,
        candidate: &Candidate,
        recommendations: &[Recommendation],
        shared: &Shared,
        now: Timestamp,
    ) -> Pending {
        let id = NotificationId(Uuid::now_v7());
        let offset = self.next_offset;
        self.next_offset += 1;
        decision.notification_id = Some(id);
        let expires_at = now + Millis::hours(shared.config.policy.expires_after_h);
        let trigger = candidate.trigger;
        let envelope = frames::Envelope {
            notification_id: id,
            user_id: &self.external_id,
            epoch: self.session.epoch(),
            offset,
            category: trigger.category(),
            trigger: trigger.name(),
            sent_at: now,
            expires_at,
            model: decision.model_version.0,
        };
        let frame = encode(&envelope, candidate, recommendations, shared);
        self.policy.note_sent(Sent {
            id,
            at: now,
            category: trigger.category().into(),
            items: candidate.items.clone().into(),
            asked_for: trigger.is_asked_for(),
            clicked: false,
            dismissed: false,
        });
        let notification = Box::new(NewNotification {
            notification_id: id,
            user: self.user,
            offset,
            kind: "recommendation".to_owned(),
            category: trigger.category().to_owned(),
            trigger: trigger.name().to_owned(),
            model_version: decision.model_version,
            segment: decision.segment,
            items: candidate.items.clone(),
            frame: frame.to_string(),
            created_at: now,
            expires_at,
            collapse_key: None,
            priority: Priority::default(),
        });
        let entry = Entry { offset, id, expires_at, frame };
        Pending { decision, notification, entry, at: None, welcome_after: None }
    }

    /// The model changed: a new segment, and a message if the list did.
    pub(super) fn model_trained(&mut self, shared: &Shared, wants: &mut Wants) {
        self.place(shared);
        if self.pipes.is_empty() || self.is_robot {
            return;
        }
        let models = shared.models.load();
        let list: Vec<ItemId> = self
            .recommend(Trigger::Retrain, &models, shared, Timestamp::now())
            .iter()
            .map(|recommendation| recommendation.item)
            .collect();
        if *list != *self.last_list {
            self.consider(Trigger::Retrain, None, None, shared, wants);
        }
    }
}

fn encode(
    envelope: &frames::Envelope<'_>,
    candidate: &Candidate,
    recommendations: &[Recommendation],
    shared: &Shared,
) -> Frame {
    let catalogue = shared.catalogue.load();
    let words = content::compose(candidate.trigger, &candidate.items, &catalogue);
    let items = frames::recommended_items(recommendations, &catalogue);
    frames::recommendation(envelope, &words, items)
}

pub(super) fn journal(shared: &Shared, decision: Box<DecisionRow>) {
    let record = Record::Decision { decision, notification: None, reply: None };
    if !shared.journal.offer(record).is_queued() {
        shared.metrics.add(Count::MailboxFull, 1);
    }
}

impl UserActor {
    /// Stores what is to be sent and sets timers for what is deferred.
    pub(super) fn satisfy(&mut self, wants: Wants, context: &mut Context<Self>) {
        for pending in wants.pending {
            if self.stream_lost {
                // About to read everything again: no number given now would hold.
                self.not_stored(pending.entry.id, pending.welcome_after);
            } else {
                self.store_then_send(pending, context);
            }
        }
        self.schedule(wants.deferred, context);
    }

    /// Judges again when the quiet hours are over.
    pub(super) fn schedule(&mut self, deferred: Vec<(Trigger, Timestamp)>, context: &mut Context<Self>) {
        for (trigger, until) in deferred {
            // A little late never hurts; a little early would be quiet still.
            let wait = until.millis_since(Timestamp::now()).to_std() + Duration::from_secs(1);
            context.run_later(wait, move |actor, context| {
                actor.with_ready(context, |ready, shared, wants| {
                    ready.deferred.retain(|category| *category != trigger.category());
                    ready.consider(trigger, None, None, shared, wants);
                });
            });
        }
    }

    fn store_then_send(&mut self, pending: Pending, context: &mut Context<Self>) {
        let (reply, answer) = oneshot::channel();
        let Pending { decision, notification, entry, at, welcome_after } = pending;
        let record = Record::Decision { decision, notification: Some(notification), reply: Some(reply) };
        // A full or restarting journal drops `reply`, and the answer below is "not stored".
        let _ = self.shared.journal.offer(record);
        self.in_flight += 1;
        let answer = async move { answer.await.unwrap_or(false) };
        context.spawn(answer.into_actor(self).map(move |stored, actor, context| {
            actor.in_flight -= 1;
            if stored && actor.stream_lost {
                // An earlier message was not confirmed: reading again delivers both, in order.
                actor.not_stored(entry.id, welcome_after);
            } else if stored {
                actor.stored(entry, at, welcome_after);
            } else {
                // Perhaps stored, perhaps not: only the database knows.
                log::warn!("message not confirmed, reading the stream again user_id={}", actor.user);
                actor.not_stored(entry.id, welcome_after);
                actor.stream_lost = true;
                actor.missed.store(true, Ordering::Release);
            }
            actor.reload_if_due(context);
        }));
    }

    pub(super) fn stored(
        &mut self,
        entry: Entry,
        at: Option<Instant>,
        welcome_after: Option<(ConnectionId, Instant)>,
    ) {
        let shared = Arc::clone(&self.shared);
        let Some(ready) = self.serving() else { return };
        let frame = entry.frame.clone();
        let effects = ready.session.on(Input::Stored(entry), Timestamp::now());
        ready.run(effects, &shared);
        shared.metrics.add(Count::Pushes, 1);
        if let Some(at) = at {
            shared.metrics.time(Timing::EventToPush, at.elapsed());
        }
        if let Some((connection, since)) = welcome_after {
            ready.last_login = Some((Instant::now(), frame));
            ready.late_welcome(connection, since, &shared);
        }
    }

    pub(super) fn not_stored(&mut self, id: NotificationId, welcome_after: Option<(ConnectionId, Instant)>) {
        let shared = Arc::clone(&self.shared);
        let Some(ready) = self.serving() else { return };
        ready.policy.refund(id);
        if let Some((connection, since)) = welcome_after {
            ready.late_welcome(connection, since, &shared);
        }
    }
}
