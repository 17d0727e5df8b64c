//! Deferred triggers: until quiet hours end, until a cart has been left long enough, until the digest. Each is stored, so that
//! it survives a restart, and decided again when its moment comes. A user who is away is woken for it if a browser may be
//! pushed to, else it waits for the next visit.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::decide::{Origin, Proposal};
use super::definitions::Definitions;
use super::effect::Effect;
use super::recommend::Recommendations;
use super::record::{HeldRow, Record};
use super::user_state::{Step, UserState};
use crate::base::{ItemId, Millis, Timestamp, UserId};
use crate::notify::policy::{Reason, StepName};
use crate::notify::quiet_hours::next_minute;
use crate::notify::triggers::Trigger;
use crate::notify::{Decision, Outcome, Rules};

/// Most deferred triggers of one user beside the shop's own; the least urgent makes room.
const MAX_DEFERRED: usize = 64;

/// What one digest can't tell goes into later ones for so long.
const CARRIED_OVER: Millis = Millis::hours(72);

/// A deferred trigger.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Deferred {
    pub id: Uuid,
    pub trigger: Trigger,
    pub until: Timestamp,
    pub for_digest: bool,
}

impl Deferred {
    /// From its row; `None` while there is no definition of its name.
    pub fn from_row(row: &HeldRow, definitions: &Definitions) -> Option<Self> {
        let trigger = Trigger {
            item: row.item,
            price_before: row.price_before,
            event: row.event.clone(),
            expires_at: Some(row.expires_at),
            call: row.call,
            ..Trigger::of(definitions.find(&row.trigger)?, None)
        };
        Some(Self { id: row.held_id, trigger, until: row.until, for_digest: row.for_digest })
    }

    fn row(&self, user: UserId) -> HeldRow {
        let trigger = &self.trigger;
        HeldRow {
            held_id: self.id,
            user,
            trigger: trigger.name().to_owned(),
            category: trigger.category().to_owned(),
            item: trigger.item,
            price_before: trigger.price_before,
            event: trigger.event.clone(),
            for_digest: self.for_digest,
            until: self.until,
            expires_at: trigger.expires_at.unwrap_or(self.until),
            call: trigger.call,
        }
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.trigger.expires_at.is_some_and(|at| at <= now)
    }
}

impl UserState {
    /// Defers a trigger, once for each occasion; one that recommends a list once, or a night's browsing would all come out in
    /// the morning.
    /// `id`: of one that was deferred before.
    pub(super) fn defer(
        &mut self,
        mut trigger: Trigger,
        until: Timestamp,
        id: Option<Uuid>,
        step: &mut Step<'_>,
    ) {
        let again =
            |deferred: &&mut Deferred| !deferred.for_digest && deferred.trigger.is_same_occasion(&trigger);
        if id.is_none()
            && let Some(deferred) = self.deferred.iter_mut().find(again)
        {
            // The last one counts: a cart that was touched again is left later.
            if deferred.until < until {
                deferred.until = until;
                let row = deferred.row(self.user);
                step.record(Record::Defer(Box::new(row)));
            }
            return;
        }
        let lifetime = trigger.definition.expires_after(step.world.rules().expires_after);
        trigger.expires_at.get_or_insert(until + lifetime);
        let id = id.unwrap_or_else(|| step.new_id());
        self.keep(Deferred { id, trigger, until, for_digest: false }, step);
        self.make_room(step);
    }

    /// Collects items, or a message of the shop without one, for the next digest in the user's day.
    pub(super) fn collect(&mut self, trigger: &Trigger, items: &[ItemId], step: &mut Step<'_>) {
        let rules = self.rules(step.world);
        let due = self.next_digest(&rules, step);
        let expires_at = due + rules.expires_after + CARRIED_OVER;
        let collected =
            |item: Option<ItemId>| Trigger { item, expires_at: Some(expires_at), ..trigger.clone() };
        let about = trigger.item.iter().filter(|_| trigger.is_about_item());
        let mut new: Vec<Trigger> =
            about.chain(items).take(rules.digest_items).map(|item| collected(Some(*item))).collect();
        if new.is_empty() && trigger.is_said_by_shop() {
            new.push(collected(None));
        }
        for trigger in new {
            let known = |deferred: &Deferred| {
                let same = match trigger.item {
                    Some(item) => deferred.trigger.item == Some(item),
                    None => deferred.trigger.is_same_occasion(&trigger),
                };
                deferred.for_digest && same
            };
            if !self.deferred.iter().any(known) {
                let id = step.new_id();
                self.keep(Deferred { id, trigger, until: due, for_digest: true }, step);
            }
        }
        self.make_room(step);
    }

    /// The shop has taken a call back, and what it deferred is removed from the store.
    pub(super) fn call_withdrawn(&mut self, call: Uuid) {
        self.deferred.retain(|deferred| deferred.trigger.call != Some(call));
    }

    fn next_digest(&self, rules: &Rules, step: &Step<'_>) -> Timestamp {
        let now = step.now();
        next_minute(rules.digest_minute, now, self.zone(rules)).unwrap_or(now + rules.expires_after)
    }

    fn keep(&mut self, deferred: Deferred, step: &mut Step<'_>) {
        let row = deferred.row(self.user);
        step.record(Record::Defer(Box::new(row)));
        self.deferred.push(deferred);
    }

    /// Drops what is beyond [`MAX_DEFERRED`]: of the least urgent what would have come last.
    fn make_room(&mut self, step: &mut Step<'_>) {
        let mut dropped = Vec::new();
        while self.deferred.iter().filter(|one| !one.trigger.is_said_by_shop()).count() > MAX_DEFERRED {
            let least = self
                .deferred
                .iter()
                .enumerate()
                .filter(|(_, one)| !one.trigger.is_said_by_shop())
                .min_by_key(|(_, one)| (one.trigger.definition.priority, std::cmp::Reverse(one.until)))
                .map(|(place, _)| place);
            let Some(place) = least else { break };
            dropped.push(self.deferred.remove(place));
        }
        self.give_up(dropped, Reason::TooManyDeferred, step);
    }

    /// Drops deferred triggers with a stored reason, one decision for each trigger.
    fn give_up(&mut self, dropped: Vec<Deferred>, reason: Reason, step: &mut Step<'_>) {
        if dropped.is_empty() {
            return;
        }
        let mut by_trigger: BTreeMap<String, Vec<Deferred>> = BTreeMap::new();
        for one in dropped {
            by_trigger.entry(one.trigger.name().to_owned()).or_default().push(one);
        }
        for group in by_trigger.into_values() {
            let Some(first) = group.first() else { continue };
            let model = step.world.models.version;
            let mut list = Recommendations { items: Vec::new(), model };
            for item in group.iter().filter_map(|one| one.trigger.item) {
                list.items.extend(Recommendations::about(item, model).items);
            }
            let trigger = first.trigger.clone();
            let proposal = Proposal::of_trigger(&trigger, list);
            let mut judgement =
                self.judge(&proposal, self.channels(trigger.name(), step), step.sent, step.world);
            judgement.decision = Decision::stopped(StepName::StillTrue, reason);
            judgement.propensity = 1.0;
            let releases = group.iter().map(|one| one.id).collect();
            self.explain(&proposal, &judgement, releases, step);
        }
    }

    /// Decides again about everything that is due, as far as the user can be told. Not while the stream is lost: the message
    /// could not be placed.
    pub(super) fn release_due(&mut self, step: &mut Step<'_>) {
        if self.stream_lost {
            return;
        }
        let (now, before) = (step.now(), self.deferred.len());
        let (expired, kept) =
            std::mem::take(&mut self.deferred).into_iter().partition(|one| one.is_expired(now));
        self.deferred = kept;
        self.give_up(expired, Reason::Expired, step);
        let mut due: Vec<(Timestamp, Uuid)> = self
            .deferred
            .iter()
            .filter(|one| one.until <= now && !one.for_digest && self.can_be_told(&one.trigger, step))
            .map(|one| (one.until, one.id))
            .collect();
        due.sort();
        for (_, id) in due {
            let Some(place) = self.deferred.iter().position(|deferred| deferred.id == id) else { continue };
            let deferred = self.deferred.remove(place);
            let trigger = deferred.trigger.up_to_date(&self.profile, step.world.catalogue, now);
            self.consider(trigger, Origin::deferred(id), step);
        }
        self.release_digest(step);
        // The store holds more than was read: the next ones, now that there is room.
        if self.has_more_deferred && self.deferred.len() < before && self.in_flight.is_empty() {
            self.has_more_deferred = false;
            step.push(Effect::Reload);
        }
    }

    /// One message for everything collected that is due.
    fn release_digest(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        let trigger = step.world.definitions.digest.clone();
        let is_due = |one: &Deferred| one.for_digest && one.until <= now;
        if !self.deferred.iter().any(is_due) || !self.can_be_told(&trigger, step) {
            return;
        }
        let rules = self.rules(step.world);
        let (due, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deferred).into_iter().partition(is_due);
        self.deferred = kept;
        let next = self.next_digest(&rules, step);
        let (mut tell, untrue): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|one| self.is_worth_collecting(one, step));
        self.give_up(untrue, Reason::NoLongerTrue, step);
        let later = tell.split_off(tell.len().min(rules.digest_items));
        self.put_off(later, next, step);
        if tell.is_empty() {
            return;
        }
        let model = step.world.models.version;
        let mut list = Recommendations { items: Vec::new(), model };
        let mut mentions = Vec::new();
        for one in &tell {
            match one.trigger.item {
                Some(item) => list.items.extend(Recommendations::about(item, model).items),
                None => mentions.extend(one.trigger.title()),
            }
        }
        let proposal = Proposal::of_trigger(&trigger, list).mentioning(mentions);
        let judgement = self.judge(&proposal, self.channels(trigger.name(), step), step.sent, step.world);
        match judgement.decision.outcome {
            Outcome::Send | Outcome::InboxOnly => {
                let origin = Origin { collected: ids(&tell), ..Origin::default() };
                self.send_trigger(&trigger, &proposal, judgement, origin, step);
            }
            Outcome::Defer(until) => {
                self.explain(&proposal, &judgement, Vec::new(), step);
                self.put_off(tell, until, step);
            }
            // A cap or a budget that is used up today may not be tomorrow; a refusal stays.
            Outcome::Digest | Outcome::Drop if judgement.decision.is_temporary() => {
                self.explain(&proposal, &judgement, Vec::new(), step);
                self.put_off(tell, next, step);
            }
            Outcome::Digest | Outcome::Drop => self.explain(&proposal, &judgement, ids(&tell), step),
        }
    }

    /// Keeps entries of the digest for a later one.
    fn put_off(&mut self, entries: Vec<Deferred>, until: Timestamp, step: &mut Step<'_>) {
        // Never at once: a moment that has passed would be decided about again and again.
        let until = until.max(step.now() + Millis::seconds(1));
        for mut deferred in entries {
            deferred.until = until;
            step.record(Record::Defer(Box::new(deferred.row(self.user))));
            self.deferred.push(deferred);
        }
    }

    /// Whether a collected entry still holds and is still wanted.
    fn is_worth_collecting(&self, deferred: &Deferred, step: &Step<'_>) -> bool {
        let trigger = &deferred.trigger;
        if self.preferences.muted.contains(trigger.category()) {
            return false;
        }
        let Some(item) = trigger.item else { return true };
        let Some(item) = step.world.catalogue.get(item) else { return false };
        let holds =
            trigger.truth(&self.profile, self.segment, self.last_connected, step.world.catalogue, step.now());
        let bought = self.profile.has_bought(item.id) && !item.consumable;
        holds == crate::notify::policy::Truth::Holds
            && item.in_stock()
            && !bought
            && self.preferences.silenced(item).is_none()
    }

    /// A deferred trigger of the store is due. One that is not known here was made by the store while the user was away.
    pub(super) fn due_in_store(&mut self, id: Uuid, step: &mut Step<'_>) {
        if self.has_deferred(id) {
            self.release_due(step);
        } else if self.in_flight.is_empty() {
            step.push(Effect::Reload);
        } else {
            self.has_more_deferred = true;
        }
    }
}

fn ids(entries: &[Deferred]) -> Vec<Uuid> {
    entries.iter().map(|one| one.id).collect()
}
