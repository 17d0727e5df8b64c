//! Triggers firing: events, changes of the catalogue, returning, meeting a rule, another model, a call of the shop.

use super::deferred_trigger::Deferred;
use super::proposal::Origin;
use super::record::DeferredRow;
use super::user_state::{Step, UserState};
use crate::notify::triggers::{Change, Condition, Trigger};
use tidings_core::base::{ItemId, Timestamp};
use tidings_core::event::Event;
use tidings_core::profile::Attributes;

/// Messages that one change of the catalogue may cause for a user; the most urgent are sent.
const MAX_OF_CHANGE: usize = 3;

impl UserState {
    /// Makes a candidate of a trigger and decides about it.
    pub(super) fn consider(&mut self, trigger: Trigger, origin: Origin, step: &mut Step<'_>) {
        let is_kept_back = self.is_kept_from_robot(&trigger);
        if is_kept_back {
            self.refuse_robot(&trigger, &origin, step);
        }
        if is_kept_back || !self.can_be_told(&trigger, step) {
            if let Some(connection) = origin.welcome_after {
                self.late_welcome(connection, step);
            }
            return; // Nobody would see it.
        }
        let list = self.list_for(&trigger, step);
        if trigger.is_general() {
            self.last_list = list.ids().collect();
        }
        self.decide_trigger(trigger, list, origin, step);
    }

    /// Fires what events cause: `at_once` now, the rest when its delay is over.
    pub(super) fn fire_events(&mut self, events: &[Event], at_once: Vec<Trigger>, step: &mut Step<'_>) {
        let triggers = &step.world.definitions.triggers;
        let now = step.now();
        for (trigger, delay) in events.iter().flat_map(|event| triggers.after_event(event)) {
            self.defer(trigger, now + delay, None, step);
        }
        for trigger in at_once {
            self.consider(trigger, Origin::default(), step);
        }
        self.check_rules(step);
    }

    /// Fires what a change of the catalogue causes.
    pub(super) fn catalogue_changed(&mut self, changes: &[Change], step: &mut Step<'_>) {
        if !self.is_reachable(step) {
            return;
        }
        let (definitions, catalogue, now) = (step.world.definitions, step.world.catalogue, step.now());
        let mut fired: Vec<Trigger> = changes
            .iter()
            .flat_map(|change| definitions.triggers.of_change(*change, &self.profile, catalogue, now))
            .filter(|trigger| !self.is_kept_from_robot(trigger))
            .collect();
        fired.sort_by_key(|trigger| std::cmp::Reverse(trigger.definition.priority));
        for trigger in fired.into_iter().take(MAX_OF_CHANGE) {
            self.consider(trigger, Origin::default(), step);
        }
    }

    /// Fires what returning after an absence causes; `last_here`: when the user was last here.
    pub(super) fn returned(&mut self, last_here: Option<Timestamp>, step: &mut Step<'_>) {
        let triggers = &step.world.definitions.triggers;
        if let Some(trigger) = triggers.of_return(last_here, &self.fired_once, step.now()) {
            self.consider(trigger, Origin::default(), step);
        }
        self.check_rules(step);
    }

    /// Fires segment triggers whose rule the user has come to meet.
    pub(super) fn check_rules(&mut self, step: &mut Step<'_>) {
        if !self.is_reachable(step) {
            return;
        }
        let triggers = &step.world.definitions.triggers;
        let fired = triggers.of_segment(
            &self.profile,
            self.segment,
            &self.attributes,
            &self.fired_once,
            step.world.feature_context(),
        );
        let before = std::mem::take(&mut self.met);
        let is_known = |trigger: &Trigger| before.iter().any(|name| name == trigger.name());
        // What a robot is not told is met when the flag is lifted.
        let met = fired.into_iter().filter(|trigger| is_known(trigger) || !self.is_kept_from_robot(trigger));
        let met: Vec<Trigger> = met.collect();
        self.met = met.iter().map(|trigger| trigger.name().to_owned()).collect();
        for trigger in met.into_iter().filter(|trigger| !is_known(trigger)) {
            self.consider(trigger, Origin::default(), step);
        }
    }

    /// The shop has set other attributes, and that is stored already.
    pub(super) fn attributes_changed(&mut self, attributes: Attributes, step: &mut Step<'_>) {
        self.attributes = attributes;
        // A tab that opens now is told in other words.
        self.last_login = None;
        self.check_rules(step);
    }

    /// Another model serves: a new segment, and a message if the list changed.
    pub(super) fn model_changed(&mut self, step: &mut Step<'_>) {
        self.place(step.world);
        if let Some(trigger) = step.world.definitions.triggers.first(&Condition::ModelRefreshed)
            && !self.is_kept_from_robot(&trigger)
            && self.can_be_told(&trigger, step)
        {
            let list = self.list_for(&trigger, step);
            let items: Box<[ItemId]> = list.ids().collect();
            if items != self.last_list {
                self.last_list = items;
                self.decide_trigger(trigger, list, Origin::default(), step);
            }
        }
        self.check_rules(step);
    }

    /// Triggers, templates, policy or experiments changed: what waits follows its trigger.
    pub(super) fn definitions_changed(&mut self, step: &mut Step<'_>) {
        for deferred in &mut self.deferred {
            deferred.follow(step.world.definitions);
        }
        self.check_rules(step);
    }

    /// The shop has fired a trigger, and that is stored already.
    pub(super) fn trigger_fired(&mut self, row: &DeferredRow, step: &mut Step<'_>) {
        if self.has_deferred(row.held_id) {
            return;
        }
        if let Some(deferred) = Deferred::from_row(row, step.world.definitions) {
            self.deferred.push(deferred);
            self.release_due(step);
        }
    }
}
