//! Deferred triggers: until quiet hours end, until a cart has been left long enough, until the digest. Each is stored, so that
//! it survives a restart, and decided again when its moment comes. A user who is away is woken for it if a browser may be
//! pushed to, else it waits for the next visit.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::deferred_trigger::Deferred;
use super::effect::Effect;
use super::proposal::{Origin, Proposal};
use super::recommend::Recommendations;
use super::record::Record;
use super::user_state::{Step, UserState};
use super::world::World;
use crate::notify::policy::{Precondition, Purpose, Reason, StepName};
use crate::notify::quiet_hours::next_minute;
use crate::notify::triggers::{Condition, Trigger};
use crate::notify::{Decision, Outcome, Rules};
use tidings_core::base::{ItemId, Millis, Timestamp};

/// Most deferred triggers of one user beside the shop's own; the least urgent makes room.
const MAX_DEFERRED: usize = 64;

/// Duration for which anything that one digest can't tell goes into later ones.
const CARRIED_OVER: Millis = Millis::hours(72);

/// Content of a digest.
#[derive(Debug, Default)]
pub(super) struct DigestContent {
    /// Items, each once.
    pub list: Recommendations,
    /// Titles of what the shop says.
    pub mentions: Vec<String>,
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
                let lifetime = trigger.definition.expires_after(step.world.rules().expires_after);
                deferred.trigger.expires_at = deferred.trigger.expires_at.max(Some(until + lifetime));
                let row = deferred.row(self.user);
                step.record(Record::Defer(Box::new(row)));
            }
            return;
        }
        let lifetime = trigger.definition.expires_after(step.world.rules().expires_after);
        trigger.expires_at.get_or_insert(until + lifetime);
        let id = id.unwrap_or_else(|| step.new_id());
        self.keep(Deferred { id, trigger, until, for_digest: false, is_paused: false }, step);
        self.make_room(step);
    }

    /// Collects items, or what the shop says in words of its own, for the next digest in the user's day.
    pub(super) fn collect(&mut self, trigger: &Trigger, items: &[ItemId], step: &mut Step<'_>) {
        let rules = self.rules(step.world);
        let due = self.next_digest(&rules, step);
        let lasting = Some(due + rules.expires_after + CARRIED_OVER);
        let new: Vec<Trigger> = if trigger.is_said_by_shop() {
            // Not worth telling after its own expiry, as in the inbox.
            vec![Trigger { expires_at: trigger.expires_at.or(lasting), ..trigger.clone() }]
        } else {
            let collected =
                |item: &ItemId| Trigger { item: Some(*item), expires_at: lasting, ..trigger.clone() };
            items.iter().take(rules.digest_items).map(collected).collect()
        };
        for trigger in new {
            if !self
                .deferred
                .iter()
                .any(|known| known.for_digest && is_collected_as(&trigger, &known.trigger))
            {
                let id = step.new_id();
                self.keep(Deferred { id, trigger, until: due, for_digest: true, is_paused: false }, step);
            }
        }
        self.make_room(step);
    }

    /// The shop has taken a call or a message back, and what was deferred of it is removed from the store.
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

    /// Drops deferred triggers with a stored reason, one decision for each trigger and call of the shop.
    fn give_up(&mut self, dropped: Vec<Deferred>, reason: Reason, step: &mut Step<'_>) {
        if dropped.is_empty() {
            return;
        }
        let mut by_trigger: BTreeMap<(String, Option<Uuid>), Vec<Deferred>> = BTreeMap::new();
        for one in dropped {
            by_trigger.entry((one.trigger.name().to_owned(), one.trigger.call)).or_default().push(one);
        }
        for group in by_trigger.into_values() {
            let Some(first) = group.first() else { continue };
            let model = step.world.models.version;
            let mut list = Recommendations { model, ..Recommendations::default() };
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
            .filter(|one| one.is_due(now) && !one.for_digest && self.can_be_told(&one.trigger, step))
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
        if self.has_more_deferred && self.deferred.len() < before {
            self.has_more_deferred = false;
            self.read_more(step);
        }
    }

    /// Reads the user again, as soon as nothing is being stored.
    fn read_more(&mut self, step: &mut Step<'_>) {
        if self.in_flight.is_empty() {
            step.push(Effect::Reload);
        } else {
            self.reads_more = true;
        }
    }

    /// One message for everything collected that is due.
    fn release_digest(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        let trigger = step.world.definitions.digest.clone();
        let is_due = |one: &Deferred| one.for_digest && one.is_due(now);
        if !self.deferred.iter().any(is_due) || !self.can_be_told(&trigger, step) {
            return;
        }
        let rules = self.rules(step.world);
        let (due, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deferred).into_iter().partition(is_due);
        self.deferred = kept;
        let next = self.next_digest(&rules, step);
        let (mut tell, untrue): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|one| self.is_worth_telling(one, step.world));
        self.give_up(untrue, Reason::NoLongerTrue, step);
        let later = tell.split_off(n_fitting(&tell, rules.digest_items));
        self.put_off(later, next, step);
        if tell.is_empty() {
            return;
        }
        let DigestContent { list, mentions } = self.digest_content(&tell, step.world);
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

    /// Items and titles of collected entries, in order.
    pub(super) fn digest_content<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a Deferred>,
        world: &World<'_>,
    ) -> DigestContent {
        let mut content = DigestContent::default();
        content.list.model = world.models.version;
        let mut named = BTreeSet::new();
        for entry in entries {
            let trigger = &entry.trigger;
            if trigger.is_said_by_shop() {
                let rendered = || self.render(trigger, &[], &[], world).content.title;
                let title = trigger.title().unwrap_or_else(rendered);
                content.mentions.extend(Some(title).filter(|title| !title.trim().is_empty()));
            } else if let Some(item) = trigger.item.filter(|item| named.insert(*item)) {
                content.list.items.extend(Recommendations::about(item, world.models.version).items);
            }
        }
        content
    }

    /// Content of a digest if it went out now.
    pub(super) fn digest_now(&self, world: &World<'_>) -> DigestContent {
        let is_told = |one: &&Deferred| {
            one.for_digest
                && !one.is_paused
                && !one.is_expired(world.now)
                && self.is_worth_telling(one, world)
        };
        let entries: Vec<&Deferred> = self.deferred.iter().filter(is_told).collect();
        let n = n_fitting(entries.iter().copied(), self.rules(world).digest_items);
        self.digest_content(entries.into_iter().take(n), world)
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

    /// Returns whether a collected entry still holds and is still wanted. What the shop says holds whatever became of its item.
    fn is_worth_telling(&self, entry: &Deferred, world: &World<'_>) -> bool {
        let (trigger, catalogue) = (&entry.trigger, world.catalogue);
        let preferences = &self.preferences;
        if preferences.muted.contains(trigger.category()) || preferences.silences_campaign(trigger.name()) {
            return false;
        }
        let item = trigger.item.and_then(|item| catalogue.get(item));
        let is_silenced = item.is_some_and(|item| preferences.silenced(item).is_some());
        if trigger.is_said_by_shop() || is_silenced {
            return !is_silenced;
        }
        let Some(item) = item else { return false };
        // Who has come back since is still told what is new.
        let is_of_return = matches!(trigger.definition.when, Condition::WinBack { .. });
        let (profile, attributes) = (&self.profile, &self.attributes);
        let (last_connected, clock) = (self.last_connected, world.feature_context());
        let truth =
            || trigger.truth(profile, self.segment, attributes, last_connected, catalogue, world.now, clock);
        let bought = self.profile.has_bought(item.id) && !item.consumable;
        (is_of_return || truth() == Precondition::Holds)
            && item.in_stock()
            && !bought
            && preferences.consent.has(Purpose::Profiling, self.rules(world).profiling_by_default)
    }

    /// A deferred trigger of the store is due. One that is not known here was made by the store while the user was away.
    pub(super) fn due_in_store(&mut self, id: Uuid, step: &mut Step<'_>) {
        if self.has_deferred(id) {
            self.release_due(step);
        } else {
            self.read_more(step);
        }
    }
}

/// Returns whether a trigger tells nothing new beside one that is collected: the same message of the shop, or the same item. An item of
/// a list stays one, whatever list named it; one that an occasion named is told only while the occasion holds.
fn is_collected_as(trigger: &Trigger, collected: &Trigger) -> bool {
    let is_list = |trigger: &Trigger| trigger.definition.when.recommends();
    if trigger.is_said_by_shop() || collected.is_said_by_shop() {
        return trigger.is_same_occasion(collected);
    }
    trigger.item == collected.item
        && (trigger.name() == collected.name() || (is_list(trigger) && is_list(collected)))
}

/// Number of leading entries that have at most `n` different things to tell.
fn n_fitting<'a>(entries: impl IntoIterator<Item = &'a Deferred>, n: usize) -> usize {
    let (mut items, mut things) = (BTreeSet::new(), 0);
    let fits = |entry: &&Deferred| {
        let trigger = &entry.trigger;
        let is_new = trigger.is_said_by_shop() || trigger.item.is_none_or(|item| items.insert(item));
        things += usize::from(is_new);
        things <= n
    };
    entries.into_iter().take_while(fits).count()
}

fn ids(entries: &[Deferred]) -> Vec<Uuid> {
    entries.iter().map(|one| one.id).collect()
}
