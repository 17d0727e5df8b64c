//! From a trigger to a decision, and from a decision to the wire: list → decide → journal → stream → sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::UserActor;
use super::expect::Expectation;
use super::learning::is_learned_from;
use super::lists::Listed;
use super::ready::{Pending, Ready, Wants};
use crate::actors::journal::Record;
use crate::actors::shared::Shared;
use crate::base::{ConnectionId, ItemId, ModelVersion, NotificationId, Timestamp};
use crate::catalogue::Catalogue;
use crate::deliver::{Class, Entry, Frame, Input, frames};
use crate::feedback::experiments::Slice;
use crate::notify::{Candidate, Channel, Content, Decision, Moment, Outcome, Rules, Sent, Trigger, decide};
use crate::recommend::Recommendation;
use crate::store::decisions::{DecisionRow, Trace};
use crate::store::notifications::NewNotification;
use crate::telemetry::{Count, Timing};

impl Ready {
    /// Makes a candidate, decides, and puts what is to be sent into `wants`. Every decision is journalled.
    pub(super) fn consider(
        &mut self,
        trigger: Trigger,
        at: Option<Instant>,
        welcome_after: Option<(ConnectionId, Instant)>,
        shared: &Shared,
        wants: &mut Wants,
    ) {
        if self.is_robot || !self.can_be_told(trigger.name(), shared) {
            return; // Nobody would see it.
        }
        let listed = self.listed(&trigger, shared, Timestamp::now());
        if trigger.is_general() {
            self.last_list = listed.ids().collect();
        }
        self.judge(trigger, listed, at, welcome_after, shared, wants);
    }

    /// Decides about a message of these items.
    pub(super) fn judge(
        &mut self,
        trigger: Trigger,
        listed: Listed,
        at: Option<Instant>,
        welcome_after: Option<(ConnectionId, Instant)>,
        shared: &Shared,
        wants: &mut Wants,
    ) {
        let now = Timestamp::now();
        let Listed { items: recommendations, ranked_by } = listed;
        let models = shared.models.load();
        let items: Vec<ItemId> = recommendations.iter().map(|recommendation| recommendation.item).collect();
        let expectation = self.expect(&trigger, &recommendations, &models, shared, now);
        let catalogue = shared.catalogue.load();
        let rules = self.rules(shared);
        let candidate = self.candidate(&trigger, &items, &catalogue, &rules, now);
        let time = self.chosen_time(&trigger, &rules, shared, now);
        let best_time = time.and_then(|time| time.at);
        let moment = Moment { best_time, ..self.moment(&trigger, &expectation, &rules, shared, now) };
        let decision = decide(&candidate, &moment, &self.policy, &rules, &self.preferences);
        let mut row = self.row(&trigger, &candidate, &decision, &expectation, ranked_by, &rules, now);
        row.trace.arms = self.arms_by_name(shared, &rules);
        row.propensity *= time.filter(|time| time.decided(&decision)).map_or(1.0, |time| time.propensity);
        match decision.outcome {
            Outcome::Send | Outcome::InboxOnly => {
                shared.metrics.add(Count::Sends, 1);
                shared.budget.spend(now);
                let said = expectation.said;
                let channel = decision.channel;
                let pending = self.prepare(row, &trigger, &candidate, channel, &recommendations, shared);
                let id = pending.entry.id;
                shared.drift.lock().note_sent(id, now, trigger.name(), said);
                wants.pending.push(Pending { at, welcome_after, ..pending });
            }
            Outcome::Defer(until) => {
                shared.metrics.add(Count::Defers, 1);
                journal(shared, row);
                self.hold(trigger, until, shared, wants);
            }
            Outcome::Digest => {
                shared.metrics.add(Count::Defers, 1);
                journal(shared, row);
                self.collect(&trigger, &items, shared, wants);
            }
            Outcome::Drop => {
                shared.metrics.add(Count::Drops, 1);
                journal(shared, row);
            }
        }
    }

    /// The candidate of a trigger, with whether it still holds.
    pub(super) fn candidate<'a>(
        &self,
        trigger: &'a Trigger,
        items: &'a [ItemId],
        catalogue: &'a Catalogue,
        rules: &Rules,
        now: Timestamp,
    ) -> Candidate<'a> {
        let subject = trigger.item.and_then(|item| catalogue.get(item)).map(AsRef::as_ref);
        let lifetime = trigger.definition.expires_after(rules.expires_after);
        Candidate {
            category: trigger.category(),
            campaign: trigger.name(),
            priority: trigger.definition.priority,
            items,
            subject,
            needs_items: !trigger.is_said_by_shop(),
            asked_for: trigger.is_asked_for(),
            from_profile: !trigger.is_said_by_shop(),
            truth: trigger.truth(&self.profile, self.segment, catalogue, now),
            dedupe_key: trigger.dedupe_key(subject.and_then(|item| item.price)),
            expires_at: trigger.expires_at.unwrap_or(now + lifetime),
        }
    }

    pub(super) fn moment<'a>(
        &'a self,
        trigger: &Trigger,
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
            attention_price: self.attention_price(expectation.last_week, rules, shared),
            budget_left: shared.budget.left(rules.budget_per_hour, now),
            channels: self.channels(trigger.name(), shared),
            best_time: None,
            trial: self.trial(rules, now),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "everything a decision is made of, stored with it")]
    fn row(
        &self,
        trigger: &Trigger,
        candidate: &Candidate<'_>,
        decision: &Decision,
        expectation: &Expectation,
        ranked_by: ModelVersion,
        rules: &Rules,
        now: Timestamp,
    ) -> Box<DecisionRow> {
        let slice = self.slice(rules);
        Box::new(DecisionRow {
            decision_id: Uuid::now_v7(),
            decided_at: now,
            user: self.user,
            trigger: trigger.name().to_owned(),
            category: candidate.category.to_owned(),
            outcome: decision.outcome.name().to_owned(),
            reasons: decision.reasons(),
            notification_id: None,
            model_version: ranked_by,
            segment: self.segment.map(|segment| segment.0),
            items: candidate.items.to_vec(),
            propensity: decision.propensity(),
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
                holdout: slice == Slice::Holdout,
                counted: !candidate.passes_caps(),
                alternatives: Vec::new(),
                steps: steps(decision),
                slice: slice.name().to_owned(),
                ..Trace::default()
            },
        })
    }

    /// Gives the message its place in the stream and reserves its share of the caps.
    fn prepare(
        &mut self,
        mut decision: Box<DecisionRow>,
        trigger: &Trigger,
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
        let catalogue = shared.catalogue.load();
        let said = self.words(trigger, candidate.items, &catalogue, shared, now);
        if let Some(wording) = &said.wording {
            decision.trace.variant_propensity = Some(wording.propensity());
        }
        if let [used, _, ..] = said.variants.as_slice() {
            decision.trace.variant = Some(used.clone());
        }
        decision.trace.alternatives = said.variants;
        if is_learned_from(candidate.passes_caps(), channel) {
            self.learn_sent(id, candidate.category, said.wording, shared, now);
        }
        let name = candidate.subject.map(|item| item.external_id.to_string()).unwrap_or_default();
        let is_notification = trigger.is_about_item() || trigger.is_said_by_shop();
        let collapse_key = trigger.definition.collapse_key.as_ref().map(|key| key.replace("{item}", &name));
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
            collapse_key: collapse_key.as_deref(),
            kind: is_notification.then(|| trigger.category()),
        };
        let frame = encode(&envelope, trigger, &said.content, recommendations, &catalogue);
        self.policy.note_sent(Sent {
            id,
            at: now,
            category: candidate.category.into(),
            campaign: candidate.campaign.into(),
            channel,
            expires_at,
            given: channel == Channel::Socket,
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
            kind: if is_notification { trigger.category() } else { "recommendation" }.to_owned(),
            category: trigger.category().to_owned(),
            trigger: trigger.name().to_owned(),
            model_version: decision.model_version,
            segment: decision.segment,
            items: candidate.items.to_vec(),
            frame: frame.to_string(),
            created_at: now,
            expires_at,
            collapse_key: collapse_key.as_deref().map(Into::into),
            priority: trigger.definition.priority,
            channel,
        });
        let class = if trigger.is_asked_for() { Class::Answer } else { Class::Recommendation };
        let entry = Entry::new(offset, id, expires_at, frame, class);
        Pending { decision, notification, entry, at: None, welcome_after: None }
    }
}

fn encode(
    envelope: &frames::Envelope<'_>,
    trigger: &Trigger,
    words: &Content,
    recommendations: &[Recommendation],
    catalogue: &Catalogue,
) -> Frame {
    let mut items = frames::recommended_items(recommendations, catalogue);
    if let Some(because) = trigger.definition.when.because() {
        items.iter_mut().for_each(|item| item.reason = because.to_owned());
    }
    frames::recommendation(envelope, words, items)
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
        if !wants.released.is_empty()
            && !self.shared.journal.offer(Record::Release(wants.released)).is_queued()
        {
            // It is let go again after the next login, and found to have been said.
            self.shared.metrics.add(Count::MailboxFull, 1);
        }
        self.set_timers(wants.timers, context);
    }

    fn store_then_send(&mut self, pending: Pending, context: &mut Context<Self>) {
        let (reply, answer) = oneshot::channel();
        let Pending { decision, notification, entry, at, welcome_after } = pending;
        let record = Record::Decision { decision, notification: Some(notification), reply: Some(reply) };
        // A full or restarting journal drops `reply`, and the answer below is "not stored".
        let _ = self.shared.journal.offer(record);
        let offset = entry.offset;
        self.begin(offset);
        let answer = async move { answer.await.unwrap_or(false) };
        context.spawn(answer.into_actor(self).map(move |stored, actor, context| {
            let then = move |actor: &mut Self| actor.decision_answered(entry, at, welcome_after, stored);
            actor.answered(offset, Box::new(then), context);
        }));
    }

    fn decision_answered(
        &mut self,
        entry: Entry,
        at: Option<Instant>,
        welcome_after: Option<(ConnectionId, Instant)>,
        stored: bool,
    ) {
        if stored && self.stream_lost {
            // An earlier message was not confirmed: reading again delivers both, in order.
            self.not_stored(entry.id, welcome_after);
        } else if stored {
            self.stored(entry, at, welcome_after);
        } else {
            // Perhaps stored, perhaps not: only the database knows.
            log::warn!("message not confirmed, reading the stream again user_id={}", self.user);
            self.not_stored(entry.id, welcome_after);
            self.stream_lost = true;
            self.missed.store(true, Ordering::Release);
        }
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
            ready.last_login = frame.map(|frame| (Instant::now(), frame));
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
