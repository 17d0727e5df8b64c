//! The decision that a trigger would lead to now: the live question, nothing sent, reserved or stored.

use super::deferred::DigestContent;
use super::proposal::{Judgement, Proposal};
use super::record::TraceStep;
use super::user_state::UserState;
use super::world::World;
use crate::notify::policy::{Reason, StepName};
use crate::notify::triggers::Trigger;
use crate::notify::{Channels, Content, Decision, Outcome};
use tidings_core::base::{ItemId, Timestamp};

/// Outcome of a dry run.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// `send`, `defer`, `digest`, `inbox_only` or `drop`.
    pub outcome: &'static str,
    /// End of a deferral.
    pub until: Option<Timestamp>,
    /// In words.
    pub reasons: Vec<String>,
    /// Every step asked.
    pub steps: Vec<TraceStep>,
    /// Title and body it would have.
    pub content: Content,
    /// Items it would name.
    pub items: Vec<ItemId>,
}

impl UserState {
    /// Decides about a trigger as if it fired now with a visible page open. About a millisecond.
    pub fn dry_run(&self, trigger: &Trigger, world: &World<'_>) -> DryRun {
        let DigestContent { list, mentions } = match trigger.is_digest() {
            true => self.digest_now(world),
            false => DigestContent { list: self.items_of(trigger, world), mentions: Vec::new() },
        };
        let items: Vec<ItemId> = list.ids().collect();
        let rendered = self.render(trigger, &items, &mentions, world);
        let proposal = Proposal::of_trigger(trigger, list).mentioning(mentions);
        let channels = Channels { socket: true, push: false };
        let Judgement { mut decision, .. } = self.judge(&proposal, channels, 0, world);
        if self.is_kept_from_robot(trigger) {
            decision = Decision::stopped(StepName::Consent, Reason::Robot);
        }
        if decision.outcome.is_delivered() && rendered.is_blank() && !trigger.is_asked_for() {
            decision.stop(StepName::Content, Outcome::Drop, Reason::Unrenderable);
        }
        DryRun {
            outcome: decision.outcome.name(),
            until: decision.outcome.until(),
            reasons: decision.reasons(),
            steps: super::record::steps(&decision),
            content: rendered.content,
            items,
        }
    }
}
