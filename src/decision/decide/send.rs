//! A granted message gets its words, its place in the stream and its share of the caps, and is given to the store.

use super::effect::{Counter, DriftNote, Effect};
use super::in_flight::Placed;
use super::proposal::{Judgement, Origin, Proposal};
use super::recall::is_learned_from;
use super::record::{API, ApiMessage, DecisionRow, NewNotification};
use super::render::RenderedMessage;
use super::user_state::{Step, UserState};
use super::world::World;
use crate::deliver::{Frame, frames};
use crate::notify::content::ItemLanguage;
use crate::notify::policy::{Reason, StepName};
use crate::notify::triggers::Trigger;
use crate::notify::{Candidate, Channel, Outcome, Sent};
use tidings_core::base::{ModelVersion, NotificationId};

/// Name, place in the stream and channel of a message that is about to be stored.
#[derive(Clone, Copy)]
struct Place {
    id: NotificationId,
    offset: i64,
    channel: Channel,
}

impl UserState {
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
        let channel = if collected { Channel::Inbox } else { judgement.decision.channel };
        let fired = trigger.is_settled_by(&judgement.decision).then(|| self.firing(trigger, step));
        // What a call of the shop says is found by the call.
        let id = match trigger.call {
            Some(call) => NotificationId::of_batch(call, &self.external_id),
            None => NotificationId(step.new_id()),
        };
        let mut row = self.decision_row(proposal, &judgement, step);
        row.notification_id = Some(id);
        note_variants(&mut row, &rendered);
        self.note_prediction(id, channel, trigger, &judgement, &rendered, step);
        let place = Place { id, offset: self.take_offset(), channel };
        let candidate = &judgement.candidate;
        let notification =
            self.notification_of_trigger(place, trigger, candidate, proposal, &rendered, world);
        self.reserve(id, candidate, channel, collected, step);
        self.store(
            Placed {
                decision: Some(row),
                notification: Box::new(notification),
                is_of_api: false,
                welcome_after: origin.welcome_after,
                releases: origin.releases(),
                fired,
            },
            step,
        );
    }

    /// Notes what was predicted of a message, to be compared with its outcome, and teaches the learner that it was sent.
    fn note_prediction(
        &mut self,
        id: NotificationId,
        channel: Channel,
        trigger: &Trigger,
        judgement: &Judgement<'_>,
        rendered: &RenderedMessage,
        step: &mut Step<'_>,
    ) {
        let Judgement { candidate, prediction: Some(prediction), .. } = judgement else { return };
        let (at, predicted) = (step.now(), prediction.predicted);
        let trigger = trigger.name().into();
        step.push(Effect::Drift(DriftNote::Sent { id, at, trigger, predicted }));
        if is_learned_from(candidate.passes_caps(), channel) {
            self.learn_sent(id, candidate.category, rendered.wording.clone(), step);
        }
    }

    fn notification_of_trigger(
        &self,
        place: Place,
        trigger: &Trigger,
        candidate: &Candidate<'_>,
        proposal: &Proposal<'_>,
        rendered: &RenderedMessage,
        world: &World<'_>,
    ) -> NewNotification {
        let Place { id, offset, channel } = place;
        let name = candidate.subject.map(|item| item.external_id.to_string()).unwrap_or_default();
        let collapse_key = trigger.definition.collapse_key.as_ref().map(|key| key.replace("{item}", &name));
        let is_notification = trigger.is_about_item() || trigger.is_said_by_shop();
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
        let frame = encode(&envelope, trigger, rendered, proposal, self.preferences.locale.as_deref(), world);
        NewNotification {
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
            call: trigger.call,
        }
    }

    /// Gives a granted message of the API its place in the stream; `decision` is stored with it.
    pub(super) fn send_message(
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
            call: api.call,
        });
        self.reserve(api.id, &judgement.candidate, channel, collected, step);
        let (releases, welcome_after, fired) = (Vec::new(), None, None);
        let placed = Placed { decision, notification, is_of_api: true, welcome_after, releases, fired };
        self.store(placed, step);
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
}

pub(super) fn note_variants(row: &mut DecisionRow, rendered: &RenderedMessage) {
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
    locale: Option<&str>,
    world: &World<'_>,
) -> Frame {
    let language = ItemLanguage::of(locale);
    let mut items = frames::recommended_items(&proposal.list.items, world.catalogue, &language, None);
    if let Some(because) = trigger.definition.when.because() {
        items.iter_mut().for_each(|item| item.reason = because.to_owned());
    }
    frames::recommendation(envelope, &rendered.content, items)
}
