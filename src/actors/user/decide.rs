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
use crate::base::{ConnectionId, ItemId, NotificationId, Timestamp};
use crate::deliver::{Entry, Frame, Input, frames};
use crate::notify::policy::{Purpose, Truth};
use crate::notify::{
    Candidate, Channel, Channels, Decision, Moment, Outcome, Priority, Rules, Sent, Trigger, content, decide,
};
use crate::profile::Profile;
use crate::recommend::{ModelSet, Recommendation, Request};
use crate::store::decisions::{DecisionRow, Trace};
use crate::store::notifications::NewNotification;
use crate::telemetry::{Count, Timing};

/// Recommendations asked for when the user has muted some items.
const MOST_WITH_MUTES: usize = 50;

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
        let rules = shared.rules.load();
        let exclude = self.policy.resting(&rules, now);
        // Without consent to profiling a user is nobody in particular, and gets what is popular.
        let stranger = Profile::default();
        let profiled = self.preferences.consent.has(Purpose::Profiling, rules.profiling_by_default);
        let (profile, segment) = if profiled { (&self.profile, self.segment) } else { (&stranger, None) };
        let silenced = !self.preferences.settings.mutes.is_empty();
        let request = Request {
            profile,
            segment,
            catalogue: &catalogue,
            now,
            // Some of them may be muted.
            n: if silenced { MOST_WITH_MUTES.max(rules.items) } else { rules.items },
            seed: trigger.seed(),
            exclude: &exclude,
        };
        let mut recommendations = models.recommend(&request);
        shared.metrics.time(Timing::Recommend, started.elapsed());
        shared.monitor.compare(&request, &recommendations);
        if silenced {
            recommendations.retain(|found| {
                catalogue.get(found.item).is_none_or(|item| self.preferences.silenced(item).is_none())
            });
            recommendations.truncate(rules.items);
        }
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
        let catalogue = shared.catalogue.load();
        let rules = shared.rules.load();
        let candidate = Candidate {
            category: trigger.category(),
            campaign: trigger.name(),
            priority: Priority::Normal,
            items: &items,
            subject: trigger.seed().and_then(|item| catalogue.get(item)).map(AsRef::as_ref),
            needs_items: true,
            asked_for: trigger.is_asked_for(),
            from_profile: true,
            truth: Truth::Holds,
            dedupe_key: None,
            expires_at: now + rules.expires_after,
        };
        let moment = self.moment(&expectation, &rules, shared, now);
        let decision = decide(&candidate, &moment, &self.policy, &rules, &self.preferences);
        let row = self.row(trigger, &candidate, &decision, &expectation, &models, &rules, now);
        match decision.outcome {
            Outcome::Send | Outcome::InboxOnly => {
                shared.metrics.add(Count::Sends, 1);
                shared.budget.spend(now);
                let said = expectation.said;
                let pending =
                    self.prepare(row, trigger, &candidate, decision.channel, &recommendations, shared);
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
            Outcome::Drop | Outcome::Digest => {
                shared.metrics.add(Count::Drops, 1);
                journal(shared, row);
            }
        }
    }

    fn moment<'a>(
        &'a self,
        expectation: &Expectation,
        rules: &Rules,
        shared: &Shared,
        now: Timestamp,
    ) -> Moment<'a> {
        Moment {
            now,
            device_zone: self.device_zone.as_ref(),
            seed: u64::from(self.user.0),
            expected: expectation.is_learned.then_some(expectation.expected),
            attention_price: 0.0,
            budget_left: shared.budget.left(rules.budget_per_hour, now),
            channels: Channels { socket: !self.pipes.is_empty(), push: false },
            best_time: None,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "everything a decision is made of, stored with it")]
    fn row(
        &self,
        trigger: Trigger,
        candidate: &Candidate<'_>,
        decision: &Decision,
        expectation: &Expectation,
        models: &ModelSet,
        rules: &Rules,
        now: Timestamp,
    ) -> Box<DecisionRow> {
        Box::new(DecisionRow {
            decision_id: Uuid::now_v7(),
            decided_at: now,
            user: self.user,
            trigger: trigger.name().to_owned(),
            category: candidate.category.to_owned(),
            outcome: decision.outcome.name().to_owned(),
            reasons: decision.reasons(),
            notification_id: None,
            model_version: models.version,
            segment: self.segment.map(|segment| segment.0),
            items: candidate.items.to_vec(),
            propensity: 1.0,
            until: decision.outcome.until(),
            expected: Some(expectation.expected),
            features: match decision.outcome {
                Outcome::Send => expectation.features.to_vec(),
                _ => Vec::new(),
            },
            trace: Trace {
                channel: decision.channel.name().to_owned(),
                campaign: candidate.campaign.to_owned(),
                dedupe_key: candidate.dedupe_key.map(u64::cast_signed),
                policy_version: rules.version,
                holdout: false,
                counted: !candidate.passes_caps(),
                alternatives: Vec::new(),
                steps: steps(decision),
            },
        })
    }

    /// Gives the message its place in the stream and reserves its share of the caps.
    fn prepare(
        &mut self,
        mut decision: Box<DecisionRow>,
        trigger: Trigger,
        candidate: &Candidate<'_>,
        channel: Channel,
        recommendations: &[Recommendation],
        shared: &Shared,
    ) -> Pending {
        let now = decision.decided_at;
        let id = NotificationId(Uuid::now_v7());
        let offset = self.next_offset;
        self.next_offset += 1;
        decision.notification_id = Some(id);
        let expires_at = candidate.expires_at;
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
            channel: (channel == Channel::Inbox).then_some("inbox"),
        };
        let frame = encode(&envelope, trigger, candidate, recommendations, shared);
        self.policy.note_sent(Sent {
            id,
            at: now,
            category: candidate.category.into(),
            campaign: candidate.campaign.into(),
            channel,
            items: candidate.items.into(),
            dedupe_key: candidate.dedupe_key,
            passes_caps: candidate.passes_caps(),
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
            items: candidate.items.to_vec(),
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
    trigger: Trigger,
    candidate: &Candidate<'_>,
    recommendations: &[Recommendation],
    shared: &Shared,
) -> Frame {
    let catalogue = shared.catalogue.load();
    let words = content::compose(trigger, candidate.items, &catalogue);
    let items = frames::recommended_items(recommendations, &catalogue);
    frames::recommendation(envelope, &words, items)
}

/// The whole trace, as stored.
pub(super) fn steps(decision: &Decision) -> serde_json::Value {
    decision
        .steps
        .iter()
        .map(|step| {
            serde_json::json!({
                "step": step.step, "verdict": step.verdict, "reason": step.reason.name(), "text": step.to_string(),
            })
        })
        .collect()
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
