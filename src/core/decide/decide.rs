//! One way for every message: candidate → prediction → policy → content → record. Triggers and messages of the API differ in
//! their [`Subject`] only. [`UserState::judge`] changes nothing, so a dry run asks the very same question.

use std::sync::Arc;

use uuid::Uuid;

use super::deferred::mention;
use super::delivery::Placed;
use super::effect::{Counter, DriftNote, Effect};
use super::learning::is_learned_from;
use super::predict::Prediction;
use super::recommend::Recommendations;
use super::record::{API, ApiMessage, DecisionRow, Fired, NewNotification, Record, Trace, steps};
use super::render::RenderedMessage;
use super::user_state::{Step, UserState};
use super::world::World;
use crate::base::{ConnectionId, ItemId, ModelVersion, NotificationId};
use crate::deliver::{Frame, frames};
use crate::feedback::experiments::Slice;
use crate::notify::policy::{Precondition, Reason, StepName, Trial};
use crate::notify::triggers::Trigger;
use crate::notify::{
    Candidate, Channel, Channels, Decision, Message, Moment, Outcome, Priority, Rules, Sent, decide,
};

use super::input::Announcement;

/// Subject of a message.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A trigger that fired.
    Trigger(&'a Trigger),
    /// A message of the API, in words of the shop.
    Message(&'a Message),
}

impl<'a> Subject<'a> {
    /// Name of the trigger.
    pub fn trigger(self) -> &'a str {
        match self {
            Self::Trigger(trigger) => trigger.name(),
            Self::Message(_) => API,
        }
    }
}

/// A message that could be sent.
#[derive(Clone, Debug)]
pub struct Proposal<'a> {
    /// Subject of the message.
    pub subject: Subject<'a>,
    /// Items it names, best first.
    pub list: Recommendations,
    /// Ids of the items.
    items: Vec<ItemId>,
    /// Titles of collected messages without an item.
    mentions: Vec<String>,
}

impl<'a> Proposal<'a> {
    /// Of a trigger, with its items.
    pub fn of_trigger(trigger: &'a Trigger, list: Recommendations) -> Self {
        let items = list.ids().collect();
        Self { subject: Subject::Trigger(trigger), list, items, mentions: Vec::new() }
    }

    /// Of a message of the API.
    pub fn of_message(message: &'a Message) -> Self {
        Self {
            subject: Subject::Message(message),
            list: Recommendations::default(),
            items: Vec::new(),
            mentions: Vec::new(),
        }
    }

    pub(super) fn mentioning(self, mentions: Vec<String>) -> Self {
        Self { mentions, ..self }
    }
}

/// Source of a trigger, and who waits for its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// A minimal client that gets its welcome right after the message.
    pub welcome_after: Option<ConnectionId>,
    /// The deferred trigger that is decided again.
    pub deferred: Option<Uuid>,
    /// Entries of a digest that it tells.
    pub collected: Vec<Uuid>,
}

impl Origin {
    /// Of a deferred trigger.
    pub fn deferred(id: Uuid) -> Self {
        Self { deferred: Some(id), ..Self::default() }
    }

    /// Deferred triggers that end with the decision.
    fn releases(&self) -> Vec<Uuid> {
        self.deferred.iter().chain(&self.collected).copied().collect()
    }
}

/// The policy's decision about a proposal, with all it was made from.
#[derive(Clone, Debug)]
pub struct Judgement<'a> {
    /// As the policy saw it.
    pub candidate: Candidate<'a>,
    /// The decision.
    pub decision: Decision,
    /// The predicted response; `None` for what the shop says itself.
    pub prediction: Option<Prediction>,
    /// Probability of the outcome, in (0, 1].
    pub propensity: f32,
    /// The rules that held for the user.
    pub rules: Arc<Rules>,
}

impl UserState {
    /// Decides about a proposal and changes nothing. `channels`: those that are open.
    pub fn judge<'a>(
        &self,
        proposal: &'a Proposal<'a>,
        channels: Channels,
        sent: u64,
        world: &'a World<'a>,
    ) -> Judgement<'a> {
        let now = world.now;
        let rules = self.rules(world);
        let candidate = self.candidate(proposal, &rules, world);
        let own = match proposal.subject {
            Subject::Trigger(trigger) if !trigger.is_said_by_shop() => Some(trigger),
            _ => None,
        };
        let prediction = own.map(|trigger| self.predict(trigger, &proposal.list.items, &rules, world));
        let time = own.and_then(|trigger| self.chosen_time(trigger, &rules, world));
        let used = world.sent_this_hour + sent;
        let moment = Moment {
            now,
            device_zone: self.device_zone.as_ref(),
            seed: u64::from(self.user.0),
            expected: prediction.as_ref().filter(|one| one.is_learned).map(|one| one.expected),
            attention_price: prediction
                .as_ref()
                .map_or(0.0, |one| self.attention_price(one.last_week, &rules, world.learner)),
            budget_left: rules.budget_per_hour.map(|budget| budget.saturating_sub(used)),
            channels,
            best_time: time.and_then(|time| time.at),
            trial: own.map_or(Trial::None, |_| self.trial(&rules, now)),
        };
        let decision = decide(&candidate, &moment, &self.policy, &rules, &self.preferences);
        let timed = time.filter(|time| time.decided(&decision)).map_or(1.0, |time| time.propensity);
        let propensity = decision.propensity() * timed;
        Judgement { candidate, decision, prediction, propensity, rules }
    }

    /// The candidate of a proposal, with whether it still holds.
    fn candidate<'a>(
        &self,
        proposal: &'a Proposal<'a>,
        rules: &Rules,
        world: &'a World<'a>,
    ) -> Candidate<'a> {
        match proposal.subject {
            Subject::Trigger(trigger) => {
                let catalogue = world.catalogue;
                let subject = trigger.item.and_then(|item| catalogue.get(item)).map(AsRef::as_ref);
                // A digest that mentions what the shop says carries it to everybody it was meant for.
                let said_by_shop = trigger.is_said_by_shop() || !proposal.mentions.is_empty();
                let lifetime = trigger.definition.expires_after(rules.expires_after);
                Candidate {
                    category: trigger.category(),
                    campaign: trigger.name(),
                    priority: trigger.definition.priority,
                    items: &proposal.items,
                    subject,
                    needs_items: !said_by_shop,
                    solicited: trigger.is_asked_for(),
                    said_by_shop,
                    from_profile: !said_by_shop,
                    is_digest: trigger.is_digest(),
                    truth: trigger.truth(
                        &self.profile,
                        self.segment,
                        self.last_connected,
                        catalogue,
                        world.now,
                    ),
                    dedupe_key: trigger.dedupe_key(world.catalogue, world.now),
                    expires_at: trigger.expires_at.unwrap_or(world.now + lifetime),
                }
            }
            Subject::Message(message) => Candidate {
                category: &message.category,
                campaign: &message.kind,
                priority: message.priority,
                items: &[],
                subject: None,
                needs_items: false,
                solicited: false,
                said_by_shop: true,
                from_profile: false,
                is_digest: false,
                truth: Precondition::Holds,
                // Repeated requests were told apart when the message was accepted.
                dedupe_key: None,
                expires_at: message.expires_at,
            },
        }
    }

    /// Decides about a trigger's message and carries the decision out. `origin`: who waits for the answer, or which deferred
    /// trigger it is.
    pub(super) fn decide_trigger(
        &mut self,
        trigger: Trigger,
        list: Recommendations,
        origin: Origin,
        step: &mut Step<'_>,
    ) {
        let proposal = Proposal::of_trigger(&trigger, list);
        let judgement = self.judge(&proposal, self.channels(trigger.name(), step), step.sent, step.world);
        // What is told has fired when its message is stored.
        let is_settled = trigger.is_settled_by(&judgement.decision);
        match judgement.decision.outcome {
            Outcome::Send | Outcome::InboxOnly => {
                self.send_trigger(&trigger, &proposal, judgement, origin, step);
                return;
            }
            Outcome::Digest if trigger.is_said_by_shop() => {
                self.collect(&trigger, &[], step);
                self.send_trigger(&trigger, &proposal, judgement, origin, step);
                return;
            }
            Outcome::Defer(until) => {
                self.explain(&proposal, &judgement, Vec::new(), step);
                self.defer(trigger.clone(), until, origin.deferred, step);
            }
            Outcome::Digest => {
                self.explain(&proposal, &judgement, origin.releases(), step);
                self.collect(&trigger, &proposal.items, step);
            }
            Outcome::Drop => self.explain(&proposal, &judgement, origin.releases(), step),
        }
        if is_settled {
            self.note_fired(self.firing(&trigger, step), step);
        }
        if let Some(connection) = origin.welcome_after {
            self.late_welcome(connection, step);
        }
    }

    fn firing(&self, trigger: &Trigger, step: &Step<'_>) -> Fired {
        Fired { user: self.user, trigger: trigger.name().to_owned(), at: step.now() }
    }

    /// Notes that a trigger which fires once has fired.
    pub(super) fn note_fired(&mut self, fired: Fired, step: &mut Step<'_>) {
        self.fired_once.note(&fired.trigger, fired.at);
        step.record(Record::FiredOnce(fired));
    }

    /// Records a decision that sends nothing now, and ends the deferred triggers `releases`.
    pub(super) fn explain(
        &mut self,
        proposal: &Proposal<'_>,
        judgement: &Judgement<'_>,
        releases: Vec<Uuid>,
        step: &mut Step<'_>,
    ) {
        step.count(match judgement.decision.outcome {
            Outcome::Drop => Counter::Dropped,
            _ => Counter::Deferred,
        });
        let row = self.decision_row(proposal, judgement, step);
        step.record(Record::Decision(row, releases));
    }

    /// Renders a granted message, gives it its place in the stream and reserves its share of the caps.
    pub(super) fn send_trigger(
        &mut self,
        trigger: &Trigger,
        proposal: &Proposal<'_>,
        mut judgement: Judgement<'_>,
        origin: Origin,
        step: &mut Step<'_>,
    ) {
        let world = step.world;
        let rendered = self.render(trigger, &proposal.items, &proposal.mentions, world);
        if let Some(error) = &rendered.error {
            step.count(Counter::TemplateFailed {
                template: trigger.definition.template.as_str().into(),
                error: error.as_str().into(),
            });
        }
        if rendered.is_blank() && !trigger.is_asked_for() {
            judgement.decision.stop(StepName::Content, Outcome::Drop, Reason::Unrenderable);
            return self.explain(proposal, &judgement, origin.releases(), step);
        }
        let collected = judgement.decision.outcome == Outcome::Digest;
        let fired = trigger.is_settled_by(&judgement.decision).then(|| self.firing(trigger, step));
        // What a call of the shop says is found by the call.
        let id = match trigger.call {
            Some(call) => NotificationId::of_batch(call, &self.external_id),
            None => NotificationId(step.new_id()),
        };
        let mut row = self.decision_row(proposal, &judgement, step);
        row.notification_id = Some(id);
        note_variants(&mut row, &rendered);
        let candidate = &judgement.candidate;
        let channel = if collected { Channel::Inbox } else { judgement.decision.channel };
        if let Some(prediction) = &judgement.prediction {
            let (at, predicted) = (world.now, prediction.predicted);
            let trigger = trigger.name().into();
            step.push(Effect::Drift(DriftNote::Sent { id, at, trigger, predicted }));
            if is_learned_from(candidate.passes_caps(), channel) {
                self.learn_sent(id, candidate.category, rendered.wording.clone(), step);
            }
        }
        let name = candidate.subject.map(|item| item.external_id.to_string()).unwrap_or_default();
        let collapse_key = trigger.definition.collapse_key.as_ref().map(|key| key.replace("{item}", &name));
        let is_notification = trigger.is_about_item() || trigger.is_said_by_shop();
        let offset = self.take_offset();
        let envelope = frames::Envelope {
            notification_id: id,
            user_id: &self.external_id,
            epoch: self.session.epoch(),
            offset,
            category: trigger.category(),
            trigger: trigger.name(),
            sent_at: world.now,
            expires_at: candidate.expires_at,
            model: proposal.list.model.0,
            channel: (channel == Channel::Inbox).then_some("inbox"),
            collapse_key: collapse_key.as_deref(),
            kind: is_notification.then(|| trigger.category()),
        };
        let frame = encode(&envelope, trigger, &rendered, proposal, world);
        let notification = Box::new(NewNotification {
            notification_id: id,
            user: self.user,
            offset,
            kind: if is_notification { trigger.category() } else { "recommendation" }.to_owned(),
            category: trigger.category().to_owned(),
            trigger: trigger.name().to_owned(),
            model_version: proposal.list.model,
            segment: self.segment.map(|segment| segment.0),
            items: proposal.items.clone(),
            frame,
            created_at: world.now,
            expires_at: candidate.expires_at,
            collapse_key: collapse_key.as_deref().map(Into::into),
            priority: trigger.definition.priority,
            channel,
        });
        self.reserve(id, candidate, channel, collected, step);
        let releases = origin.releases();
        let welcome_after = origin.welcome_after;
        let (decision, is_of_api) = (Some(row), false);
        let placed = Placed { decision, notification, is_of_api, welcome_after, releases, fired };
        self.store(placed, step);
    }

    /// A message of the API: decided, numbered and stored like any other. It is settled when it is stored, or held back with
    /// a stored reason.
    pub(super) fn message_of_api(&mut self, api: &ApiMessage, step: &mut Step<'_>) {
        if self.stream_lost {
            return step.push(Effect::Return(api.id));
        }
        let message = &api.content.message;
        let proposal = Proposal::of_message(message);
        let judgement = self.judge(&proposal, self.channels(API, step), step.sent, step.world);
        match judgement.decision.outcome {
            Outcome::Send | Outcome::InboxOnly => self.send_message(api, &judgement, None, step),
            Outcome::Digest => {
                let mention = mention(api.id, message, step.world.definitions);
                self.collect(&mention, &[], step);
                // Stored, since the message alone does not say that no cap counts it.
                let mut row = self.decision_row(&proposal, &judgement, step);
                row.notification_id = Some(api.id);
                self.send_message(api, &judgement, Some(row), step);
            }
            Outcome::Defer(until) => {
                self.explain(&proposal, &judgement, Vec::new(), step);
                step.push(Effect::Postpone(api.id, until));
            }
            Outcome::Drop => {
                step.count(Counter::Dropped);
                let row = self.decision_row(&proposal, &judgement, step);
                step.push(Effect::SettleWith(api.id, row));
            }
        }
    }

    fn send_message(
        &mut self,
        api: &ApiMessage,
        judgement: &Judgement<'_>,
        decision: Option<Box<DecisionRow>>,
        step: &mut Step<'_>,
    ) {
        let (message, now) = (&api.content.message, step.now());
        let collected = judgement.decision.outcome == Outcome::Digest;
        let channel = if collected { Channel::Inbox } else { judgement.decision.channel };
        let offset = self.take_offset();
        let envelope = frames::Envelope {
            notification_id: api.id,
            user_id: &self.external_id,
            epoch: self.session.epoch(),
            offset,
            category: "",
            trigger: API,
            sent_at: now,
            expires_at: message.expires_at,
            model: 0,
            channel: (channel == Channel::Inbox).then_some("inbox"),
            collapse_key: None,
            kind: None,
        };
        let frame = frames::notification(&envelope, &api.content.json);
        let notification = Box::new(NewNotification {
            notification_id: api.id,
            user: self.user,
            offset,
            kind: message.kind.to_string(),
            category: message.category.to_string(),
            trigger: API.to_owned(),
            model_version: ModelVersion::default(),
            segment: self.segment.map(|segment| segment.0),
            items: Vec::new(),
            frame,
            created_at: now,
            expires_at: message.expires_at,
            collapse_key: message.collapse_key.clone(),
            priority: message.priority,
            channel,
        });
        self.reserve(api.id, &judgement.candidate, channel, collected, step);
        let (releases, welcome_after, fired) = (Vec::new(), None, None);
        let placed = Placed { decision, notification, is_of_api: true, welcome_after, releases, fired };
        self.store(placed, step);
    }

    /// Shows an ephemeral message to the user's open connections, if it is for this user and the policy agrees.
    pub(super) fn show(&mut self, announcement: &Announcement, step: &mut Step<'_>) {
        let elsewhere =
            announcement.segment.is_some_and(|asked| self.segment.is_none_or(|own| own.0 != asked));
        if !self.is_connected() || elsewhere {
            return;
        }
        let proposal = Proposal::of_message(&announcement.message);
        let judgement = self.judge(&proposal, self.channels(API, step), step.sent, step.world);
        if judgement.decision.outcome != Outcome::Send || judgement.decision.channel != Channel::Socket {
            return step.count(Counter::Dropped);
        }
        let message = &announcement.message;
        self.policy.note_sent(Sent {
            campaign: message.kind.clone(),
            passes_caps: message.priority == Priority::Transactional,
            is_ephemeral: true,
            ..Sent::plain(announcement.id, step.now(), &message.category, Channel::Socket)
        });
        step.sent += 1;
        step.count(Counter::Sent);
        for connection in self.session.connections() {
            step.push(Effect::Send(connection, Frame::clone(&announcement.frame)));
        }
    }

    fn take_offset(&mut self) -> i64 {
        let offset = self.next_offset;
        self.next_offset += 1;
        offset
    }

    /// Remembers a message, and so reserves its share of the caps. One that is collected for the digest disturbs nobody and
    /// is counted with the digest.
    fn reserve(
        &mut self,
        id: NotificationId,
        candidate: &Candidate<'_>,
        channel: Channel,
        collected: bool,
        step: &mut Step<'_>,
    ) {
        step.sent += 1;
        step.count(Counter::Sent);
        self.policy.note_sent(Sent {
            id,
            at: step.now(),
            category: candidate.category.into(),
            campaign: candidate.campaign.into(),
            channel,
            expires_at: candidate.expires_at,
            given: channel == Channel::Socket,
            items: candidate.items.into(),
            dedupe_key: candidate.dedupe_key,
            passes_caps: candidate.passes_caps() || collected,
            clicked: false,
            dismissed: false,
            is_ephemeral: false,
        });
    }

    fn decision_row(
        &self,
        proposal: &Proposal<'_>,
        judgement: &Judgement<'_>,
        step: &mut Step<'_>,
    ) -> Box<DecisionRow> {
        let Judgement { candidate, decision, prediction, propensity, rules } = judgement;
        let world = step.world;
        let slice = self.slice(rules);
        let collected = decision.outcome == Outcome::Digest;
        Box::new(DecisionRow {
            decision_id: step.new_id(),
            decided_at: world.now,
            user: self.user,
            trigger: proposal.subject.trigger().to_owned(),
            category: candidate.category.to_owned(),
            outcome: decision.outcome.name().to_owned(),
            reasons: decision.reasons(),
            notification_id: None,
            model_version: proposal.list.model,
            segment: self.segment.map(|segment| segment.0),
            items: candidate.items.to_vec(),
            propensity: *propensity,
            until: decision.outcome.until(),
            expected: prediction.as_ref().map(|prediction| prediction.expected),
            features: match (decision.outcome, prediction) {
                (Outcome::Send, Some(prediction)) => prediction.features.to_vec(),
                _ => Vec::new(),
            },
            trace: Trace {
                channel: decision.channel.name().to_owned(),
                campaign: candidate.campaign.to_owned(),
                dedupe_key: candidate.dedupe_key.map(u64::cast_signed),
                policy_version: rules.version,
                holdout: slice == Slice::Holdout,
                counted: !candidate.passes_caps() && !collected,
                alternatives: Vec::new(),
                steps: steps(decision),
                slice: slice.name().to_owned(),
                variant: None,
                variant_propensity: None,
                arms: self.arms_by_name(world.definitions),
                inputs: world.inputs(),
            },
        })
    }
}

fn note_variants(row: &mut DecisionRow, rendered: &RenderedMessage) {
    row.trace.variant_propensity = rendered.wording.as_ref().map(|wording| wording.propensity());
    if let [used, _, ..] = rendered.variants.as_slice() {
        row.trace.variant = Some(used.clone());
    }
    row.trace.alternatives = rendered.variants.clone();
}

fn encode(
    envelope: &frames::Envelope<'_>,
    trigger: &Trigger,
    rendered: &RenderedMessage,
    proposal: &Proposal<'_>,
    world: &World<'_>,
) -> Frame {
    let mut items = frames::recommended_items(&proposal.list.items, world.catalogue);
    if let Some(because) = trigger.definition.when.because() {
        items.iter_mut().for_each(|item| item.reason = because.to_owned());
    }
    frames::recommendation(envelope, &rendered.content, items)
}
