//! Three devices and crashes of the server, against a model of the store.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{EPOCH, NOW, connection, entry, id, sent_to};
use crate::base::Timestamp;
use crate::deliver::Resume;
use crate::deliver::session::{Effect, Input, Session};
use crate::deliver::standing::{Change, Standing};
use crate::deliver::stream::{Counts, Entry, MAX_ENTRIES, Stream};
use crate::notify::Priority;

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

fn step() -> impl Strategy<Value = (u8, u8, u8)> {
    (0u8..16, 0u8..3, any::<u8>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Three devices connect, drop, resume, acknowledge, read and see; messages come with and without collapse keys, of all
    /// priorities, expire and are taken back; the server dies and starts again.
    #[test]
    fn nothing_is_missed_nothing_comes_twice_and_memory_is_bounded(steps in proptest::collection::vec(step(), 1..600)) {
        let mut model = Model::default();
        let mut session = model.session(NOW);
        let mut devices: [Device; 3] = Default::default();
        let mut now = NOW;
        let mut next = 1;
        for (kind, which, chance) in steps {
            let device = which as usize;
            let me = connection(u64::from(which));
            now = Timestamp(now.0 + 1);
            let any_id = id(1 + i64::from(chance) % next.max(1));
            let input = match kind {
                0 | 1 if !devices[device].online => {
                    devices[device].online = true;
                    Input::Connected { connection: me, resume: Some(Resume { epoch: EPOCH.into(), offset: devices[device].last }) }
                }
                2 => {
                    devices[device].online = false;
                    Input::Disconnected(me)
                }
                3 if devices[device].online => Input::Acknowledged { offset: devices[device].last },
                4 if devices[device].online => Input::Change { ids: vec![any_id], change: Change::Read, at: now, by: Some(me) },
                5 if devices[device].online => Input::Seen { up_to: devices[device].last, at: now, by: Some(me) },
                6 if chance < 40 => {
                    // Crash: connections are gone, and what the database does not have never was.
                    devices.iter_mut().for_each(|device| device.online = false);
                    session = model.session(now);
                    continue;
                }
                7 if chance < 60 => {
                    model.rows.values_mut().filter(|row| row.id == any_id && row.is_live(now)).for_each(|row| row.withdrawn = true);
                    Input::Withdrawn(any_id)
                }
                8 if chance < 60 => Input::Tick,
                9 if chance < 20 && devices[device].online => Input::ReadAll { up_to: i64::MAX, at: now, by: Some(me) },
                0..=9 => continue,
                _ => {
                    let entry = Entry {
                        collapse_key: (chance % 5 == 0).then(|| format!("k{}", chance % 3).into()),
                        priority: [Priority::Low, Priority::Normal, Priority::High, Priority::Transactional][chance as usize % 4],
                        expires_at: if chance % 7 == 0 { Timestamp(now.0 + i64::from(chance)) } else { Timestamp(i64::MAX) },
                        ..entry(next)
                    };
                    // A refused commit may leave a number out.
                    next += 1 + i64::from(chance == 13);
                    model.store(&entry);
                    Input::Stored(entry)
                }
            };
            let effects = session.on(input, now);
            model.record(&effects, now);
            for (n, device) in devices.iter_mut().enumerate() {
                let me = connection(n as u64);
                if effects.contains(&Effect::Welcome { connection: me, recovered: false }) {
                    prop_assert!(sent_to(&effects, n as u64).is_empty(), "all or nothing");
                    device.last = session.last_offset();
                    device.reloaded = device.last;
                }
                let sent = sent_to(&effects, n as u64);
                prop_assert!(device.online || sent.is_empty());
                device.take(&sent)?;
            }
            // A device that is connected has everything that is still to be shown, from where it began.
            for device in devices.iter().filter(|device| device.online) {
                for row in model.rows.range(device.reloaded + 1..).map(|(_, row)| row).filter(|row| row.is_live(now)) {
                    prop_assert!(device.shown.contains(&row.offset), "{} was missed", row.offset);
                }
            }
            prop_assert!(session.stream.len() <= MAX_ENTRIES);
            prop_assert_eq!(session.stream.counts(now), model.counts(now));
        }
    }
}
