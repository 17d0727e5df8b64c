//! What devices know: every live message after the place they came from, the counts of the store, and each withdrawal.

use tidings::base::Timestamp;
use tidings::deliver::Standing;

use super::Property;
use crate::devices::Page;
use crate::faults::Fault;
use crate::sim::Sim;
use crate::store::UserRows;

impl Sim {
    pub fn check_devices(&mut self) {
        let Some(holder) = self.holder() else { return };
        for user in 0..self.names.len() {
            if self.is_settled(holder, user) {
                self.check_devices_of(holder, user);
            }
        }
    }

    /// Whether nothing is under way for a user: no commit, no reading, nothing missed, no merge that will hang up.
    fn is_settled(&self, server: usize, user: usize) -> bool {
        let of = &self.servers[server];
        if self.merging.is_some_and(|merging| merging.alias == user) {
            return false;
        }
        let Some(actor) = of.registry[user].and_then(|instance| of.actors.get(&instance)) else {
            return false;
        };
        let is_ready = actor.ready().is_some_and(|state| state.is_quiet() && !state.is_stalled());
        is_ready && !actor.missed && !actor.reads_again && of.journal.is_idle()
    }

    fn check_devices_of(&mut self, server: usize, user: usize) {
        let instance = self.servers[server].registry[user].unwrap_or_default();
        let Some(actor) = self.servers[server].actors.get(&instance) else { return };
        let (latest, looked_at) = (self.latest(), actor.looked_at.min(self.now()));
        let rows = &self.store.users[user];
        let view = StoreView { rows, latest, looked_at, fault: self.fault };
        let [least, most] = view.counts();
        let held = actor.ready().map(|state| state.inbox_counts(self.now()));
        let held = held.map_or(least, |held| (held.unread as i64, held.unseen as i64));
        let mut broken = (!is_within(held, least, most)).then(|| {
            let text = format!("memory counts {held:?} for user {user}, the store {least:?}…{most:?}");
            (Property::Counts, text)
        });
        let mut told: Option<(i64, i64)> = None;
        for (device, of) in self.devices.iter().enumerate().filter(|(_, device)| device.user == user) {
            let Some(page) = &of.page else { continue };
            if page.instance != instance || !page.welcomed || page.is_stalled() {
                continue;
            }
            if let Some((property, text)) = view.disagreement(page) {
                broken = Some((property, format!("device {device} {text}")));
            }
            if let Some(told) = told.filter(|told| *told != page.counts) {
                let text = format!("devices of user {user} show {told:?} and {:?}", page.counts);
                broken = Some((Property::Counts, text));
            }
            told = Some(page.counts);
        }
        if let Some((property, text)) = broken {
            self.fail(property, text);
        }
    }
}

fn is_within(counts: (i64, i64), least: (i64, i64), most: (i64, i64)) -> bool {
    (least.0..=most.0).contains(&counts.0) && (least.1..=most.1).contains(&counts.1)
}

/// The rows of a user at a moment that lies between the last look of the actor and the latest time of the clock.
struct StoreView<'a> {
    rows: &'a UserRows,
    latest: Timestamp,
    looked_at: Timestamp,
    fault: Option<Fault>,
}

impl StoreView<'_> {
    /// Unread and unseen messages: at least, and at most. What has expired or returned since the last look may or may not count.
    fn counts(&self) -> [(i64, i64); 2] {
        let count = |expires_after: Timestamp, returned_by: Timestamp| {
            let live = self.rows.messages.iter().filter(|row| {
                !row.withdrawn && row.message.trigger != "login" && row.message.expires_at > expires_after
            });
            let shown = live.map(|row| row.shown(returned_by, self.fault));
            let unread = shown.filter(|shown| shown.standing == Standing::Unread);
            unread.fold((0, 0), |(unread, unseen), shown| (unread + 1, unseen + i64::from(!shown.seen)))
        };
        [count(self.latest, self.looked_at), count(self.looked_at, self.latest)]
    }

    /// The last thing in which a page differs from the rows.
    fn disagreement(&self, page: &Page) -> Option<(Property, String)> {
        let counts = |text| (Property::Counts, text);
        self.other_standing(page)
            .map(counts)
            .or_else(|| self.other_counts(page).map(counts))
            .or_else(|| self.kept(page).map(counts))
            .or_else(|| self.missing(page).map(|text| (Property::Order, text)))
    }

    /// A live message behind the place that the page came from.
    fn missing(&self, page: &Page) -> Option<String> {
        let after = page.complete_after.unwrap_or(i64::MAX);
        let missing = self.rows.messages.iter().find(|row| {
            row.message.offset > after
                && !row.withdrawn
                && !row.was_away()
                && row.message.expires_at > self.latest
                && !page.received.contains_key(&row.message.notification_id)
        });
        missing.map(|row| format!("misses offset {} after {after}", row.message.offset))
    }

    /// A message that was withdrawn and is still shown.
    fn kept(&self, page: &Page) -> Option<String> {
        let kept = self.rows.messages.iter().find(|row| {
            let id = row.message.notification_id;
            row.withdrawn
                && row.message.expires_at > self.latest
                && page.received.contains_key(&id)
                && !page.withdrawn.contains(&id)
        });
        kept.map(|row| format!("keeps offset {}, which was withdrawn", row.message.offset))
    }

    fn other_counts(&self, page: &Page) -> Option<String> {
        let [least, most] = self.counts();
        let is_other = !is_within(page.counts, least, most);
        is_other.then(|| format!("shows {:?}, the store has {least:?}…{most:?}", page.counts))
    }

    fn other_standing(&self, page: &Page) -> Option<String> {
        self.rows.messages.iter().find_map(|row| {
            let known = page.standing.get(&row.message.notification_id)?;
            let stands = [self.latest, self.looked_at].map(|at| row.shown(at, self.fault).standing);
            let is_other = row.is_live(self.latest) && !stands.contains(known);
            let offset = row.message.offset;
            is_other.then(|| format!("has offset {offset} as {known:?}, the store as {stands:?}"))
        })
    }
}
