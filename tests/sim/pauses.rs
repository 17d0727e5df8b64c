//! Messages that are paused and resumed: what the notifier has in memory goes back into the outbox, where rows of paused batches are
//! held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidings::base::Timestamp;
use uuid::Uuid;

use crate::notifier::{Of, Ticket};
use crate::sim::Sim;
use crate::store::OutboxRow;

/// What one notifier was told.
#[derive(Clone, Debug, Default)]
pub struct Pauses {
    paused: BTreeSet<Uuid>,
    /// Batches to pause (true) or resume, not stored yet.
    switches: Vec<(Uuid, bool)>,
    /// Tickets of paused batches, to be put back into the outbox.
    pub parked: Vec<Ticket>,
}

impl Pauses {
    pub fn is_idle(&self) -> bool {
        self.switches.is_empty() && self.parked.is_empty()
    }

    pub fn has(&self, batch: Uuid) -> bool {
        self.paused.contains(&batch)
    }

    /// Keeps a ticket of a paused batch; the others come back. What is not in the outbox has no broadcast to be paused.
    pub fn park(&mut self, ticket: Ticket) -> Option<Ticket> {
        if matches!(ticket.of, Of::Row(_)) && self.has(ticket.batch) {
            self.parked.push(ticket);
            return None;
        }
        Some(ticket)
    }

    /// What is to be stored.
    pub fn take(&mut self) -> Self {
        let (switches, parked) = (std::mem::take(&mut self.switches), std::mem::take(&mut self.parked));
        Self { paused: self.paused.clone(), switches, parked }
    }

    /// Nothing of it is known to be stored: what is in memory goes on.
    pub fn give_up(&mut self) -> Vec<Ticket> {
        for (batch, _) in self.switches.drain(..) {
            self.paused.remove(&batch);
        }
        let paused = self.paused.clone();
        let (kept, on) =
            std::mem::take(&mut self.parked).into_iter().partition(|one| paused.contains(&one.batch));
        self.parked = kept;
        on
    }
}

impl Sim {
    /// `POST /v1/notifications/{id}/pause` and `/resume`.
    pub fn switch(&mut self, back: u8, pauses: bool) {
        let Some(server) = self.holder() else { return };
        let Some((_, _, batch)) = self.shadow.newest_accepted(back) else { return };
        let notifier = &mut self.servers[server].notifier;
        notifier.pauses.switches.push((batch, pauses));
        if pauses {
            notifier.pauses.paused.insert(batch);
            for ticket in std::mem::take(&mut notifier.turns) {
                if let Some(ticket) = notifier.pauses.park(ticket) {
                    notifier.turns.push_back(ticket);
                }
            }
        } else {
            notifier.pauses.paused.remove(&batch);
        }
        self.wake_notifier(server, 0);
    }

    /// Everything that is paused goes on.
    pub fn resume_all(&mut self) {
        let Some(server) = self.holder() else { return };
        let pauses = &mut self.servers[server].notifier.pauses;
        let paused = std::mem::take(&mut pauses.paused);
        pauses.switches.extend(paused.union(&self.store.paused).map(|batch| (*batch, false)));
        self.wake_notifier(server, 0);
    }

    /// Stores pauses; true when something goes on. `after`: up to here the outbox is in memory.
    pub fn write_pauses(&mut self, pauses: &Pauses, after: Option<(Timestamp, i64)>, now: Timestamp) -> bool {
        let mut rows: BTreeMap<(usize, Uuid), OutboxRow> = BTreeMap::new();
        for ticket in &pauses.parked {
            let Of::Row(place) = ticket.of else { continue };
            let (batch, message) = (ticket.batch, Arc::clone(&ticket.message));
            let row = rows.entry((place, batch)).or_insert_with(|| OutboxRow {
                batch,
                users: Vec::new(),
                message,
                held: true,
            });
            row.users.push(ticket.user);
        }
        for row in rows.into_values() {
            self.store.insert_outbox(Timestamp(now.0 + 1), row);
        }
        if after.is_none() {
            let paused = self.store.paused.clone();
            let of_paused = self.store.outbox.values_mut().filter(|row| paused.contains(&row.batch));
            of_paused.for_each(|row| row.held = true);
        }
        let mut goes_on = false;
        for (batch, pause) in &pauses.switches {
            if *pause {
                self.store.paused.insert(*batch);
                let rows =
                    self.store.outbox.iter_mut().filter(|(key, _)| after.is_none_or(|after| **key > after));
                rows.filter(|(_, row)| row.batch == *batch).for_each(|(_, row)| row.held = true);
            } else {
                self.store.paused.remove(batch);
                goes_on = true;
                self.put_back(*batch, now);
            }
        }
        goes_on
    }

    /// Held rows of a batch on the timeline again, not before now.
    fn put_back(&mut self, batch: Uuid, now: Timestamp) {
        let held = self.store.outbox.iter().filter(|(_, row)| row.held && row.batch == batch);
        for (key, row) in held.map(|(key, row)| (*key, row.clone())).collect::<Vec<_>>() {
            self.store.outbox.remove(&key);
            self.store.outbox.insert((key.0.max(now), key.1), OutboxRow { held: false, ..row });
        }
    }
}
