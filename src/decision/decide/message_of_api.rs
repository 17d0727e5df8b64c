//! Messages of the API: decided, put into words where they name a template, numbered and stored like any other.

use std::sync::Arc;

use super::deferred_trigger::{mention, worded_by};
use super::effect::{Counter, Effect};
use super::proposal::{Judgement, Proposal};
use super::record::{API, ApiMessage};
use super::render::RenderedMessage;
use super::send::note_variants;
use super::user_state::{Step, UserState};
use crate::notify::message::Encoded;
use crate::notify::policy::{Reason, StepName};
use crate::notify::triggers::Trigger;
use crate::notify::{Message, Outcome};

impl UserState {
    /// A message of the API: decided, numbered and stored like any other. It is settled when it is stored, or held back with
    /// a stored reason.
    pub(super) fn message_of_api(&mut self, api: &ApiMessage, step: &mut Step<'_>) {
        if self.stream_lost {
            return step.push(Effect::Return(api.id));
        }
        let message = &api.content.message;
        let proposal = Proposal::of_message(message, api.call.or(Some(api.id.0)), api.occasion());
        let judgement = self.judge(&proposal, self.channels(API, step), step.sent, step.world);
        match judgement.decision.outcome {
            Outcome::Send | Outcome::InboxOnly | Outcome::Digest => {
                self.word_and_send(api, &proposal, judgement, step);
            }
            Outcome::Defer(until) => {
                self.explain(&proposal, &judgement, Vec::new(), step);
                step.push(Effect::Postpone(api.id, until));
            }
            Outcome::Drop => self.refuse(api, &proposal, &judgement, step),
        }
    }

    /// Settles a message with the decision that says why it is not sent.
    fn refuse(
        &mut self,
        api: &ApiMessage,
        proposal: &Proposal<'_>,
        judgement: &Judgement<'_>,
        step: &mut Step<'_>,
    ) {
        step.count(Counter::Dropped);
        let row = self.decision_row(proposal, judgement, step);
        step.push(Effect::SettleWith(api.id, row));
    }

    /// Sends a granted message, in the words of its template if it names one; without words it is refused.
    fn word_and_send(
        &mut self,
        api: &ApiMessage,
        proposal: &Proposal<'_>,
        mut judgement: Judgement<'_>,
        step: &mut Step<'_>,
    ) {
        let rendered = self.render_message(&api.content.message, step);
        if rendered.as_ref().is_some_and(|rendered| rendered.variants.is_empty()) {
            judgement.decision.stop(StepName::Content, Outcome::Drop, Reason::Unrenderable);
            return self.refuse(api, proposal, &judgement, step);
        }
        let worded = rendered.as_ref().map(|rendered| in_words(api, rendered));
        let api = worded.as_ref().unwrap_or(api);
        let is_collected = judgement.decision.outcome == Outcome::Digest;
        if is_collected {
            let mention = mention(api.id, &api.content.message, step.world.definitions);
            self.collect(&mention, &[], step);
        }
        // Stored where the message alone does not say that no cap counts it, or which words were chosen.
        let row = (is_collected || rendered.is_some()).then(|| {
            let mut row = self.decision_row(proposal, &judgement, step);
            row.notification_id = Some(api.id);
            if let Some(rendered) = &rendered {
                note_variants(&mut row, rendered);
            }
            row
        });
        self.send_message(api, &judgement, row, step);
    }

    /// Title and body of a message that names a template, by the same function as a trigger's; `None` for one with words of its
    /// own. No variants where the template is missing or fails.
    fn render_message(&self, message: &Message, step: &mut Step<'_>) -> Option<RenderedMessage> {
        let template = message.template.as_deref()?;
        let world = step.world;
        let item = message.item_id.as_ref().and_then(|id| world.catalogue.find(id)).map(|item| item.id);
        let trigger = Trigger {
            event: message.variables.clone().map(Arc::new),
            expires_at: Some(message.expires_at),
            ..Trigger::of(&worded_by(template, message, world.definitions), item)
        };
        let rendered = self.render(&trigger, &[], &[], world);
        if let Some(error) = &rendered.error {
            let (template, error) = (template.into(), error.as_str().into());
            step.count(Counter::TemplateFailed { template, error });
        }
        Some(rendered)
    }
}

/// The message as one user gets it.
fn in_words(api: &ApiMessage, rendered: &RenderedMessage) -> ApiMessage {
    let message = Message {
        title: rendered.content.title.as_str().into(),
        body: rendered.content.body.as_str().into(),
        template: None,
        variables: None,
        item_id: None,
        ..api.content.message.clone()
    };
    // These types hold no map with other keys than strings.
    let json = serde_json::to_string(&message).unwrap_or_default().into();
    ApiMessage { content: Arc::new(Encoded { message, json }), ..api.clone() }
}
