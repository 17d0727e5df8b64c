//! What devices know: every live message after the place they came from, the counts of the store, and each withdrawal.

use tidings::base::Timestamp;

use super::Property;
use crate::sim::Sim;
use crate::store::UserRows;

/// Unread and unseen messages: at least, and at most. What has expired since the last look may or may not count.
fn counts(rows: &UserRows, surely: Timestamp, perhaps: Timestamp) -> [(i64, i64); 2] {
    let count = |after: Timestamp| {
        let unread = rows
            .messages
            .iter()
            .filter(|row| !row.withdrawn && !row.read && row.message.trigger != "login")
            .filter(|row| row.message.expires_at > after);
        unread.fold((0, 0), |(unread, unseen), row| (unread + 1, unseen + i64::from(!row.seen)))
    };
    [count(surely), count(perhaps)]
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
        let [least, most] = counts(rows, latest, actor.looked_at.min(self.now()));
        let mut told: Option<(i64, i64)> = None;
        let mut broken = None;
        for (device, of) in self.devices.iter().enumerate().filter(|(_, device)| device.user == user) {
            let Some(page) = &of.page else { continue };
            if page.instance != instance || !page.welcomed || page.is_stalled() {
                continue;
            }
            let after = page.complete_after.unwrap_or(i64::MAX);
            let missing = rows.messages.iter().find(|row| {
                row.message.offset > after
                    && !row.withdrawn
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
            if !is_right && rows.messages.len() < 120 {
                let text =
                    format!("device {device} shows {:?}, the store has {least:?}…{most:?}", page.counts);
                broken = Some((Property::Counts, text));
            }
            if told.is_some_and(|told| told != page.counts) {
                let text = format!("devices of user {user} show {:?} and {:?}", told.unwrap(), page.counts);
                broken = Some((Property::Counts, text));
            }
            told = Some(page.counts);
        }
        if let Some((property, text)) = broken {
            self.fail(property, text);
        }
    }
}
