//! What sets triggers off in a user's actor: events, changes of the catalogue, coming back, coming to meet a rule.

use std::time::Instant;

use super::ready::{Ready, Wants};
use crate::actors::shared::Shared;
use crate::base::Timestamp;
use crate::event::Event;
use crate::notify::triggers::{Change, Trigger};

/// Messages that one change of the catalogue may set off for a user; the most urgent are told.
const MAX_OF_CHANGE: usize = 3;

impl Ready {
    /// Only the last event of a batch that sets something off does so: the earlier ones are history by now.
    pub(super) fn set_off(
        &mut self,
        events: &[Event],
        at: Option<Instant>,
        shared: &Shared,
        wants: &mut Wants,
    ) {
        let definitions = shared.definitions.load_full();
        let now = Timestamp::now();
        for (trigger, delay) in events.iter().flat_map(|event| definitions.triggers.after_event(event)) {
            self.hold(trigger, now + delay, shared, wants);
        }
        let fired = events
            .iter()
            .rev()
            .map(|event| definitions.triggers.of_event(event, &self.views, event.occurred_at))
            .find(|fired| !fired.is_empty());
        for trigger in fired.into_iter().flatten() {
            self.consider(trigger, at, None, shared, wants);
        }
        self.check_rules(shared, wants);
    }

    /// Something became cheaper, available or new.
    pub(super) fn catalogue_changed(&mut self, changes: &[Change], shared: &Shared, wants: &mut Wants) {
        if self.is_robot || !self.is_reachable(shared) {
            return;
        }
        let definitions = shared.definitions.load_full();
        let (catalogue, now) = (shared.catalogue.load_full(), Timestamp::now());
        let mut fired: Vec<Trigger> = changes
            .iter()
            .flat_map(|change| definitions.triggers.of_change(*change, &self.profile, &catalogue, now))
            .collect();
        fired.sort_by_key(|trigger| std::cmp::Reverse(trigger.definition.priority));
        for trigger in fired.into_iter().take(MAX_OF_CHANGE) {
            self.consider(trigger, None, None, shared, wants);
        }
    }

    /// Somebody has logged in who was last seen then.
    pub(super) fn returned(&mut self, last_seen: Option<Timestamp>, shared: &Shared, wants: &mut Wants) {
        let definitions = shared.definitions.load_full();
        let returned = definitions.triggers.of_return(last_seen, Timestamp::now());
        // Won back by a push: it need not be said again.
        let said = |trigger: &Trigger| {
            let since = last_seen.unwrap_or(Timestamp(i64::MIN));
            self.policy.newest_first().any(|sent| &*sent.campaign == trigger.name() && sent.at > since)
        };
        if let Some(trigger) = returned.filter(|trigger| !said(trigger)) {
            self.consider(trigger, None, None, shared, wants);
        }
        self.check_rules(shared, wants);
    }

    /// Rules about segment and features go off when they come to be met.
    pub(super) fn check_rules(&mut self, shared: &Shared, wants: &mut Wants) {
        if self.is_robot || !self.is_reachable(shared) {
            return;
        }
        let definitions = shared.definitions.load_full();
        let fired = definitions.triggers.of_segment(&self.profile, self.segment, Timestamp::now());
        let before = std::mem::take(&mut self.met);
        self.met = fired.iter().map(|trigger| trigger.name().to_owned()).collect();
        for trigger in fired.into_iter().filter(|trigger| !before.iter().any(|name| name == trigger.name())) {
            self.consider(trigger, None, None, shared, wants);
        }
    }
}
