//! Who would get it now, who not and why: the same judgement as the live one, over what the tables say, and nothing is
//! sent, reserved or stored.

use std::time::Instant;

use serde_json::Value;

use super::decide::steps;
use super::ready::Ready;
use crate::actors::loader::Loaded;
use crate::actors::shared::Shared;
use crate::base::{ExternalId, ItemId, Timestamp};
use crate::notify::policy::Channels;
use crate::notify::triggers::Trigger;
use crate::notify::{Content, Moment, decide};

/// What would become of it.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// `send`, `defer`, `digest`, `inbox_only` or `drop`.
    pub outcome: &'static str,
    /// Deferred until when.
    pub until: Option<Timestamp>,
    /// In words.
    pub reasons: Vec<String>,
    /// Every step that was asked.
    pub steps: Value,
    /// What it would say.
    pub content: Content,
    /// Items it would name.
    pub items: Vec<ItemId>,
}

/// Judges one trigger for one user as if it went off now with a connection open. About a millisecond.
pub fn dry_run(user: &ExternalId, loaded: Loaded, trigger: &Trigger, shared: &Shared) -> DryRun {
    let ready = Ready::new(user, loaded, shared);
    let (now, started) = (Timestamp::now(), Instant::now());
    let listed = ready.listed(trigger, shared, now);
    let items: Vec<ItemId> = listed.ids().collect();
    let (catalogue, rules) = (shared.catalogue.load(), shared.rules.load());
    let expectation = ready.expect(trigger, &listed.items, &shared.models.load(), shared, now);
    let candidate = ready.candidate(trigger, &items, &catalogue, &rules, now);
    let moment = Moment {
        channels: Channels { socket: true, push: false },
        ..ready.moment(trigger, &expectation, &rules, shared, now)
    };
    let decision = decide(&candidate, &moment, &ready.policy, &rules, &ready.preferences);
    let content = ready.words(trigger, &items, &catalogue, shared, now).content;
    log::debug!("dry run user_id={user} took_us={}", started.elapsed().as_micros());
    DryRun {
        outcome: decision.outcome.name(),
        until: decision.outcome.until(),
        reasons: decision.reasons(),
        steps: steps(&decision),
        content,
        items,
    }
}
