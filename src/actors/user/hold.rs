//! What waits: for the end of quiet hours, for a cart to be left long enough, for the digest. Stored, so that it survives
//! a restart; judged again when it is let go. Whoever is away is woken for it (`actors/absent.rs`) if a browser may be
//! pushed to, else it waits for the next visit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use uuid::Uuid;

use super::lists::Listed;
use super::messages::LetGo;
use super::ready::{Ready, Wants};
use super::{State, UserActor};
use crate::actors::journal::Record;
use crate::actors::shared::Shared;
use crate::base::Score;
use crate::base::{ItemId, Timestamp, UserId};
use crate::notify::quiet_hours::next_minute;
use crate::notify::triggers::Trigger;
use crate::recommend::{Reason, Recommendation};
use crate::store::held::HeldRow;

/// Most that wait for one user; more are not worth the waiting.
const MAX_HELD: usize = 64;

/// One that waits.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub id: Uuid,
    pub trigger: Trigger,
    pub until: Timestamp,
    pub for_digest: bool,
}

impl Held {
    /// As stored, if its trigger is still there.
    pub fn from_row(row: &HeldRow, shared: &Shared) -> Option<Self> {
        let definition = shared.definitions.load().triggers.find(&row.trigger).cloned()?;
        let trigger = Trigger {
            definition,
            item: row.item,
            price_before: row.price_before,
            event: row.event.clone().map(Arc::new),
            expires_at: Some(row.expires_at),
        };
        Some(Self { id: row.held_id, trigger, until: row.until, for_digest: row.for_digest })
    }

    /// As stored.
    fn row(&self, user: UserId) -> HeldRow {
        let trigger = &self.trigger;
        HeldRow {
            held_id: self.id,
            user,
            trigger: trigger.name().to_owned(),
            category: trigger.category().to_owned(),
            item: trigger.item,
            price_before: trigger.price_before,
            event: trigger.event.as_deref().cloned(),
            for_digest: self.for_digest,
            until: self.until,
            expires_at: trigger.expires_at.unwrap_or(self.until),
        }
    }
}

impl Ready {
    /// Lets a trigger wait, once for each item; one that recommends a list once, or a night's browsing would all come
    /// out in the morning.
    pub(super) fn hold(
        &mut self,
        mut trigger: Trigger,
        until: Timestamp,
        shared: &Shared,
        wants: &mut Wants,
    ) {
        let again = |held: &&mut Held| {
            !held.for_digest
                && held.trigger.name() == trigger.name()
                && (held.trigger.item == trigger.item || trigger.definition.when.recommends())
        };
        if let Some(held) = self.held.iter_mut().find(again) {
            // The last one counts: a cart that was touched again is left later.
            if held.until < until {
                held.until = until;
                let row = held.row(self.user);
                self.record(Record::Hold(Box::new(row)), shared);
            }
            return;
        }
        let lifetime = trigger.definition.expires_after(shared.rules.load().expires_after);
        trigger.expires_at.get_or_insert(until + lifetime);
        self.keep(Held { id: Uuid::now_v7(), trigger, until, for_digest: false }, shared, wants);
    }

    /// Collects for the digest: the next one in the user's day.
    pub(super) fn collect(
        &mut self,
        trigger: &Trigger,
        items: &[ItemId],
        shared: &Shared,
        wants: &mut Wants,
    ) {
        let rules = shared.rules.load();
        let now = Timestamp::now();
        let zone =
            self.device_zone.as_ref().or(self.preferences.time_zone.as_ref()).unwrap_or(&rules.time_zone);
        let due = next_minute(rules.digest_minute, now, zone).unwrap_or(now + rules.expires_after);
        let expires_at = due + rules.expires_after;
        let known = |held: &Held, item: ItemId| held.for_digest && held.trigger.item == Some(item);
        for item in
            trigger.item.iter().filter(|_| trigger.is_about_item()).chain(items).take(rules.digest_items)
        {
            if self.held.iter().any(|held| known(held, *item)) {
                continue;
            }
            let trigger = Trigger { item: Some(*item), expires_at: Some(expires_at), ..trigger.clone() };
            self.keep(Held { id: Uuid::now_v7(), trigger, until: due, for_digest: true }, shared, wants);
        }
    }

    fn keep(&mut self, held: Held, shared: &Shared, wants: &mut Wants) {
        if self.held.len() >= MAX_HELD {
            return;
        }
        let row = held.row(self.user);
        self.record(Record::Hold(Box::new(row)), shared);
        wants.timers.push((held.id, held.until));
        self.held.push(held);
    }

    /// The shop has set something off, and it is stored already.
    pub(super) fn told(&mut self, row: &HeldRow, shared: &Shared, wants: &mut Wants) {
        if self.held.iter().any(|held| held.id == row.held_id) {
            return;
        }
        if let Some(held) = Held::from_row(row, shared) {
            let id = held.id;
            self.held.push(held);
            self.let_go(id, shared, wants);
        }
    }

    /// Its time has come: judged again, with what is known now. Nothing happens while nobody can be
    /// told: it goes on waiting for the next connection.
    pub(super) fn let_go(&mut self, id: Uuid, shared: &Shared, wants: &mut Wants) {
        let Some(held) = self.held.iter().find(|held| held.id == id) else { return };
        if !self.can_be_told(held.trigger.name(), shared) {
            self.is_armed = false;
            return;
        }
        let now = Timestamp::now();
        if held.until > now {
            wants.timers.push((id, held.until)); // Put off meanwhile.
            return;
        }
        if held.for_digest {
            return self.tell_digest(now, shared, wants);
        }
        let trigger = held.trigger.clone();
        self.held.retain(|held| held.id != id);
        self.consider(trigger, None, None, shared, wants);
        wants.released.push(id);
    }

    /// One message for all that was collected and is due.
    fn tell_digest(&mut self, now: Timestamp, shared: &Shared, wants: &mut Wants) {
        let is_due = |held: &Held| held.for_digest && held.until <= now;
        let rules = self.rules(shared);
        let zone =
            self.device_zone.as_ref().or(self.preferences.time_zone.as_ref()).unwrap_or(&rules.time_zone);
        let quiet = self.preferences.quiet_hours.unwrap_or(rules.quiet_hours);
        if let Some(until) = quiet.quiet_until(now, zone) {
            // It goes on being collected.
            let user = self.user;
            let put_off: Vec<HeldRow> = self
                .held
                .iter_mut()
                .filter(|held| is_due(held))
                .map(|held| {
                    held.until = until;
                    wants.timers.push((held.id, until));
                    held.row(user)
                })
                .collect();
            for row in put_off {
                self.record(Record::Hold(Box::new(row)), shared);
            }
            return;
        }
        let due: Vec<Held> = self.held.iter().filter(|held| is_due(held)).cloned().collect();
        self.held.retain(|held| !is_due(held));
        let catalogue = shared.catalogue.load();
        let still_true = |held: &&Held| {
            let item = held.trigger.item.and_then(|item| catalogue.get(item));
            item.is_some_and(|item| {
                item.in_stock()
                    && !self.profile.has_bought(item.id)
                    && self.preferences.silenced(item).is_none()
                    && !self.preferences.muted.contains(held.trigger.category())
            })
        };
        let items: Vec<Recommendation> = due
            .iter()
            .filter(still_true)
            .filter_map(|held| held.trigger.item)
            .take(rules.digest_items)
            .map(|item| Recommendation {
                item,
                score: Score::new(1.0),
                reason: Reason::Viewed(item),
                propensity: 1.0,
            })
            .collect();
        wants.released.extend(due.iter().map(|held| held.id));
        let trigger = shared.definitions.load().digest.clone();
        let listed = Listed { items, ranked_by: shared.models.load().version };
        self.judge(trigger, listed, None, None, shared, wants);
    }

    /// Lets go of everything that is due, for a user who may be away and can be pushed to.
    pub(super) fn let_go_due(&mut self, shared: &Shared, wants: &mut Wants) {
        let now = Timestamp::now();
        let due: Vec<Uuid> = self.held.iter().filter(|held| held.until <= now).map(|held| held.id).collect();
        for id in due {
            self.let_go(id, shared, wants);
        }
    }

    /// Timers for everything that waits, when somebody is there.
    pub(super) fn arm(&mut self, wants: &mut Wants) {
        if !self.is_armed && !self.pipes.is_empty() {
            self.is_armed = true;
            wants.timers.extend(self.held.iter().map(|held| (held.id, held.until)));
        }
    }
}

impl UserActor {
    /// Judges again when the time has come.
    pub(super) fn set_timers(&mut self, timers: Vec<(Uuid, Timestamp)>, context: &mut Context<Self>) {
        for (id, until) in timers {
            // A little late never hurts; a little early would be quiet still.
            let wait = until.millis_since(Timestamp::now()).to_std() + Duration::from_secs(1);
            context.run_later(wait, move |actor, context| {
                actor.with_ready(context, |ready, shared, wants| ready.let_go(id, shared, wants));
            });
        }
    }
}

impl Handler<LetGo> for UserActor {
    type Result = ();

    fn handle(&mut self, due: LetGo, context: &mut Self::Context) {
        let State::Ready(ready) = &self.state else { return }; // What is read now has it.
        if !ready.held.iter().any(|held| held.id == due.0) {
            self.missed.store(true, Ordering::Release); // Made by the database for whoever was away.
        }
        self.with_ready(context, |ready, shared, wants| ready.let_go_due(shared, wants));
        self.finish_if_absent(context);
    }
}
