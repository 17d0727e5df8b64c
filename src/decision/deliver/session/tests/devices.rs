//! Three devices and crashes of the server, against a model of the store.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{EPOCH, NOW, connection, entry, id, sent_to};
use crate::deliver::Resume;
use crate::deliver::session::{Effect, Input, Session};
use crate::deliver::standing::{Change, Standing};
use crate::deliver::stream::{Counts, Entry, MAX_ENTRIES, Stream};
use crate::notify::Priority;
use tidings_core::base::{NotificationId, Timestamp};

/// Rows that PostgreSQL would hold.
#[derive(Default)]
struct Model {
    rows: BTreeMap<i64, Entry>,
    acknowledged: i64,
}

impl Model {
    fn store(&mut self, entry: &Entry) {
        if entry.collapse_key.is_some() {
            let same = |old: &&mut Entry| old.collapse_key == entry.collapse_key;
            self.rows.values_mut().filter(same).for_each(|old| old.withdrawn = true);
        }
        self.rows.insert(entry.offset, entry.clone());
    }

    fn record(&mut self, effects: &[Effect], now: Timestamp) {
        for effect in effects {
            match effect {
                Effect::RecordAcknowledged(up_to) => self.acknowledged = self.acknowledged.max(*up_to),
                Effect::RecordChange(ids, change) => {
                    let named = self.rows.values_mut().filter(|row| ids.contains(&row.id));
                    named.for_each(|row| row.marks.apply(*change, now));
                }
                Effect::RecordReadAll(up_to) => {
                    self.rows.range_mut(..=up_to).for_each(|(_, row)| row.marks.read(now));
                }
                Effect::RecordSeen(up_to) => {
                    self.rows.range_mut(..=up_to).for_each(|(_, row)| row.marks.see(now));
                }
                Effect::RecordSuperseded(id) => {
                    self.rows.values_mut().filter(|row| row.id == *id).for_each(|row| row.withdrawn = true);
                }
                _ => {}
            }
        }
    }

    /// Counts by the rows.
    fn counts(&self, now: Timestamp) -> Counts {
        let unread =
            self.rows.values().filter(|row| row.is_live(now) && row.marks.standing(now) == Standing::Unread);
        unread.fold(Counts::default(), |counts, row| Counts {
            unread: counts.unread + 1,
            unseen: counts.unseen + usize::from(!row.marks.is_seen()),
        })
    }

    fn withdraw(&mut self, of: NotificationId, now: Timestamp) {
        let live = self.rows.values_mut().filter(|row| row.id == of && row.is_live(now));
        live.for_each(|row| row.withdrawn = true);
    }

    /// As the loader makes it after a crash.
    fn session(&self, now: Timestamp) -> Session {
        let last = self.rows.keys().last().copied().unwrap_or(0);
        let skip = self.rows.len().saturating_sub(MAX_ENTRIES);
        let entries: Vec<Entry> = self
            .rows
            .values()
            .skip(skip)
            .map(|row| Entry { frame: row.is_live(now).then(|| row.frame.clone()).flatten(), ..row.clone() })
            .collect();
        let floor = entries.first().map_or(last, |entry| entry.offset - 1);
        let older = self.rows.values().take(skip).filter(|row| row.is_live(now)).cloned().collect();
        Session::new(EPOCH, Stream::new(last, self.acknowledged, floor, entries).with_older(older), now, 4)
    }
}

/// One device: shows each id once, remembers where it was.
#[derive(Default)]
struct Device {
    online: bool,
    last: i64,
    shown: BTreeSet<i64>,
    /// Up to here it was told to reload its inbox.
    reloaded: i64,
}

impl Device {
    fn take(&mut self, offsets: &[i64]) -> Result<(), TestCaseError> {
        for offset in offsets {
            prop_assert!(*offset > self.last, "in order: {offset} after {}", self.last);
            prop_assert!(self.shown.insert(*offset), "{offset} came twice");
            self.last = *offset;
        }
        Ok(())
    }
}

/// Three devices of one user, and what the store holds.
struct Fleet {
    model: Model,
    devices: [Device; 3],
    /// Offset of the next message.
    next: i64,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { model: Model::default(), devices: Default::default(), next: 1 }
    }
}

impl Fleet {
    /// Input of a step; none where it makes no sense now.
    fn input(&mut self, kind: u8, which: u8, chance: u8, now: Timestamp) -> Option<Input> {
        let me = connection(u64::from(which));
        let device = &mut self.devices[which as usize];
        let any_id = id(1 + i64::from(chance) % self.next.max(1));
        Some(match kind {
            0 | 1 if !device.online => {
                device.online = true;
                let resume = Some(Resume { epoch: EPOCH.into(), offset: device.last });
                Input::Connected { connection: me, resume }
            }
            2 => {
                device.online = false;
                Input::Disconnected(me)
            }
            3 if device.online => Input::Acknowledged { offset: device.last },
            4 if device.online => {
                Input::Change { ids: vec![any_id], change: Change::Read, at: now, by: Some(me) }
            }
            5 if device.online => Input::Seen { up_to: device.last, at: now, by: Some(me) },
            7 if chance < 60 => {
                self.model.withdraw(any_id, now);
                Input::Withdrawn(any_id)
            }
            8 if chance < 60 => Input::Tick,
            9 if chance < 20 && device.online => Input::ReadAll { up_to: i64::MAX, at: now, by: Some(me) },
            0..=9 => return None,
            _ => {
                let entry = entry_of(self.next, chance, now);
                // A refused commit may leave a number out.
                self.next += 1 + i64::from(chance == 13);
                self.model.store(&entry);
                Input::Stored(entry)
            }
        })
    }

    /// Passes frames to the devices; one that can't resume goes on from where the stream is.
    fn hear(&mut self, effects: &[Effect], session: &Session) -> Result<(), TestCaseError> {
        for (n, device) in self.devices.iter_mut().enumerate() {
            let (me, sent) = (connection(n as u64), sent_to(effects, n as u64));
            if effects.contains(&Effect::Welcome { connection: me, recovered: false }) {
                prop_assert!(sent.is_empty(), "all or nothing");
                device.last = session.last_offset();
                device.reloaded = device.last;
            }
            prop_assert!(device.online || sent.is_empty());
            device.take(&sent)?;
        }
        Ok(())
    }

    /// A device that is connected has everything that is still to be shown, from where it began.
    fn check(&self, now: Timestamp) -> Result<(), TestCaseError> {
        for device in self.devices.iter().filter(|device| device.online) {
            for (_, row) in self.model.rows.range(device.reloaded + 1..) {
                prop_assert!(
                    !row.is_live(now) || device.shown.contains(&row.offset),
                    "{} was missed",
                    row.offset
                );
            }
        }
        Ok(())
    }
}

/// A message of any priority, with or without a collapse key, which may expire soon.
fn entry_of(offset: i64, chance: u8, now: Timestamp) -> Entry {
    let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Transactional];
    let expires = if chance.is_multiple_of(7) { now.0 + i64::from(chance) } else { i64::MAX };
    Entry {
        collapse_key: chance.is_multiple_of(5).then(|| format!("k{}", chance % 3).into()),
        priority: priorities[chance as usize % 4],
        expires_at: Timestamp(expires),
        ..entry(offset)
    }
}

fn step() -> impl Strategy<Value = (u8, u8, u8)> {
    (0u8..16, 0u8..3, any::<u8>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Three devices connect, drop, resume, acknowledge, read and see; messages come with and without collapse keys, of all
    /// priorities, expire and are taken back; the server dies and starts again.
    #[test]
    fn nothing_is_missed_nothing_comes_twice_and_memory_is_bounded(steps in proptest::collection::vec(step(), 1..600)) {
        let mut fleet = Fleet::default();
        let mut session = fleet.model.session(NOW);
        let mut now = NOW;
        for (kind, which, chance) in steps {
            now = Timestamp(now.0 + 1);
            if kind == 6 && chance < 40 {
                // Crash: connections are gone, and what the database does not have never was.
                fleet.devices.iter_mut().for_each(|device| device.online = false);
                session = fleet.model.session(now);
                continue;
            }
            let Some(input) = fleet.input(kind, which, chance, now) else { continue };
            let effects = session.on(input, now);
            fleet.model.record(&effects, now);
            fleet.hear(&effects, &session)?;
            fleet.check(now)?;
            prop_assert!(session.stream.len() <= MAX_ENTRIES);
            prop_assert_eq!(session.stream.counts(now), fleet.model.counts(now));
        }
    }
}
