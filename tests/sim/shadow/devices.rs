//! What devices know: every live message after the place they came from, the counts of the store, and each withdrawal.

use tidings::base::Timestamp;
use tidings::deliver::Standing;

use super::Property;
use crate::faults::Fault;
use crate::sim::Sim;
use crate::store::UserRows;

/// Unread and unseen messages: at least, and at most. What has expired or returned since the last look may or may not count.
fn counts(rows: &UserRows, surely: Timestamp, perhaps: Timestamp, fault: Option<Fault>) -> [(i64, i64); 2] {
    let count = |expires_after: Timestamp, returned_by: Timestamp| {
        let live = rows.messages.iter().filter(|row| {
            !row.withdrawn && row.message.trigger != "login" && row.message.expires_at > expires_after
        });
        let shown = live.map(|row| row.shown(returned_by, fault));
        let unread = shown.filter(|shown| shown.standing == Standing::Unread);
        unread.fold((0, 0), |(unread, unseen), shown| (unread + 1, unseen + i64::from(!shown.seen)))
    };
    [count(surely, perhaps), count(perhaps, surely)]
}

impl Sim {
    pub fn check_devices(&mut self) {
        let Some(holder) = self.holder() else { return };
        for user in 0..self.names.len() {
            if self.is_settled(holder, user) {
                self.check_devices_of(holder, user);
            }
        }
    }

    /// Whether nothing is under way for a user: no commit, no reading, nothing missed.
    fn is_settled(&self, server: usize, user: usize) -> bool {
        let of = &self.servers[server];
        let Some(actor) = of.registry[user].and_then(|instance| of.actors.get(&instance)) else {
            return false;
        };
        let is_ready = actor.ready().is_some_and(|state| state.is_quiet() && !state.is_stalled());
        is_ready && !actor.missed && !actor.reads_again && of.journal.is_idle()
    }

    fn check_devices_of(&mut self, server: usize, user: usize) {
        let instance = self.servers[server].registry[user].unwrap_or_default();
        let rows = &self.store.users[user];
        let Some(actor) = self.servers[server].actors.get(&instance) else { return };
        let latest = self.latest();
        let looked_at = actor.looked_at.min(self.now());
        let [least, most] = counts(rows, latest, looked_at, self.fault);
        let mut told: Option<(i64, i64)> = None;
        let mut broken = None;
        let held = actor.ready().map(|state| state.inbox_counts(self.now()));
        let held = held.map_or(least, |held| (held.unread as i64, held.unseen as i64));
        if held.0 < least.0 || held.0 > most.0 || held.1 < least.1 || held.1 > most.1 {
            let text = format!("memory counts {held:?} for user {user}, the store {least:?}…{most:?}");
            broken = Some((Property::Counts, text));
        }
        for (device, of) in self.devices.iter().enumerate().filter(|(_, device)| device.user == user) {
            let Some(page) = &of.page else { continue };
            if page.instance != instance || !page.welcomed || page.is_stalled() {
                continue;
            }
            let after = page.complete_after.unwrap_or(i64::MAX);
            let missing = rows.messages.iter().find(|row| {
                row.message.offset > after
                    && !row.withdrawn
                    && !row.was_away()
                    && row.message.expires_at > latest
                    && !page.received.contains_key(&row.message.notification_id)
            });
            if let Some(row) = missing {
                let text = format!("device {device} misses offset {} after {after}", row.message.offset);
                broken = Some((Property::Order, text));
            }
            let kept = rows.messages.iter().find(|row| {
                let id = row.message.notification_id;
                row.withdrawn
                    && row.message.expires_at > latest
                    && page.received.contains_key(&id)
                    && !page.withdrawn.contains(&id)
            });
            if let Some(row) = kept {
                let text =
                    format!("device {device} keeps offset {}, which was withdrawn", row.message.offset);
                broken = Some((Property::Counts, text));
            }
            let (unread, unseen) = page.counts;
            let within = |value, least, most| least <= value && value <= most;
            let is_right = within(unread, least.0, most.0) && within(unseen, least.1, most.1);
            if !is_right {
                let text =
                    format!("device {device} shows {:?}, the store has {least:?}…{most:?}", page.counts);
                broken = Some((Property::Counts, text));
            }
            if told.is_some_and(|told| told != page.counts) {
                let text = format!("devices of user {user} show {:?} and {:?}", told.unwrap(), page.counts);
                broken = Some((Property::Counts, text));
            }
            told = Some(page.counts);
            let other = rows.messages.iter().find_map(|row| {
                let known = page.standing.get(&row.message.notification_id)?;
                let stands = [latest, looked_at].map(|at| row.shown(at, self.fault).standing);
                let is_other = row.is_live(latest) && !stands.contains(known);
                is_other.then_some((row.message.offset, *known, stands))
            });
            if let Some((offset, known, stands)) = other {
                let text =
                    format!("device {device} has offset {offset} as {known:?}, the store as {stands:?}");
                broken = Some((Property::Counts, text));
            }
        }
        if let Some((property, text)) = broken {
            self.fail(property, text);
        }
    }
}
