//! The audit log as requests see it: entries wait for a commit in groups; refused attempts are bounded, so that nobody fills the disk.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::tombstones::Tombstones;
use tidings_core::base::Timestamp;
use tidings_core::base::rate::{Rate, RateTable};
use tidings_decision::privacy::audit::AuditEntry;
use tidings_store::{Store, StoreError, audit};

/// Entries that wait for a commit.
const MAX_WAITING: usize = 4_096;
/// Entries in one commit.
const MAX_COMMIT: usize = 500;
/// Pause after a commit that failed.
const RETRY: Duration = Duration::from_secs(1);
/// The same reading by the same caller is one entry in this time.
const SAME_READING: Duration = Duration::from_secs(60);
/// Readings that are remembered for that.
const MAX_READINGS: usize = 10_000;
/// Refused attempts of one address that are kept: ten at once, one each ten seconds.
const OF_ADDRESS: Rate = Rate { quota: 10, window_s: 100 };
/// The same of all together.
const OF_ALL: Rate = Rate { quota: 200, window_s: 400 };
/// Sets of eight addresses that are remembered.
const ADDRESS_SETS: usize = 512;

/// An entry, and who waits until it is stored.
struct Waiting {
    entry: Option<AuditEntry>,
    stored: Option<oneshot::Sender<bool>>,
}

/// Bounds of refused attempts. Addresses are counted in constant memory.
struct Refusals {
    all: RateTable,
    by_address: RateTable,
    hasher: RandomState,
    begin: Instant,
    left_out: u64,
}

impl Refusals {
    fn new(begin: Instant) -> Self {
        let (all, by_address) = (RateTable::new(1), RateTable::new(ADDRESS_SETS));
        Self { all, by_address, hasher: RandomState::new(), begin, left_out: 0 }
    }

    /// Returns whether an attempt is kept: how many before it were not, in that case.
    fn admit(&mut self, address: Option<IpAddr>, now: Instant) -> Option<u64> {
        let since = now.saturating_duration_since(self.begin).as_micros();
        // Never 0, which means an unused slot.
        let now_us = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        let key = self.hasher.hash_one(address);
        let is_kept = self.by_address.take(key, OF_ADDRESS, 1, now_us).allowed
            && self.all.take(0, OF_ALL, 1, now_us).allowed;
        if is_kept {
            return Some(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        None
    }
}

/// The end of the log that requests write to.
pub struct AuditLog {
    sender: mpsc::Sender<Waiting>,
    receiver: Mutex<Option<mpsc::Receiver<Waiting>>>,
    readings: Mutex<HashMap<String, Instant>>,
    refusals: Mutex<Refusals>,
}

impl Default for AuditLog {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            readings: Mutex::default(),
            refusals: Mutex::new(Refusals::new(Instant::now())),
        }
    }
}

impl AuditLog {
    /// Adds an entry and waits until it is stored; whether it was.
    pub async fn changed(&self, entry: AuditEntry) -> bool {
        let (stored, answer) = oneshot::channel();
        let waiting = Waiting { entry: Some(entry), stored: Some(stored) };
        self.sender.send(waiting).await.is_ok() && answer.await.unwrap_or(false)
    }

    /// Adds a reading of personal data, unless the same caller read the same a moment ago; waits for room only.
    pub async fn read(&self, entry: AuditEntry) {
        let key = format!("{:?} {} {}", entry.actor, entry.action, entry.object);
        if self.is_new_reading(key) {
            let _ = self.sender.send(Waiting { entry: Some(entry), stored: None }).await;
        }
    }

    fn is_new_reading(&self, key: String) -> bool {
        let (mut readings, now) = (self.readings.lock(), Instant::now());
        if readings.len() >= MAX_READINGS {
            readings.retain(|_, at| now.duration_since(*at) < SAME_READING);
            if readings.len() >= MAX_READINGS {
                readings.clear();
            }
        }
        match readings.get(&key) {
            Some(at) if now.duration_since(*at) < SAME_READING => false,
            _ => {
                readings.insert(key, now);
                true
            }
        }
    }

    /// Adds a refused attempt, within the bounds; never waits.
    pub fn refused(&self, mut entry: AuditEntry, address: Option<IpAddr>) {
        let Some(left_out) = self.refusals.lock().admit(address, Instant::now()) else { return };
        if left_out > 0 {
            entry.after = Some(format!("{{\"attempts_not_kept\":{left_out}}}"));
        }
        let _ = self.sender.try_send(Waiting { entry: Some(entry), stored: None });
    }

    /// Waits until everything that was added before is stored.
    pub async fn flush(&self) {
        let (stored, answer) = oneshot::channel();
        if self.sender.send(Waiting { entry: None, stored: Some(stored) }).await.is_ok() {
            let _ = answer.await;
        }
    }
}

/// Stores entries as they come, all that wait in one commit, without ids of erased users. Runs as long as its thread.
pub async fn keep(log: Arc<AuditLog>, store: Store, tombstones: Arc<Tombstones>) {
    let Some(mut receiver) = log.receiver.lock().take() else { return };
    let mut kept: Vec<AuditEntry> = Vec::new();
    loop {
        let mut group = Vec::with_capacity(MAX_COMMIT);
        let next = receiver.recv_many(&mut group, MAX_COMMIT);
        // What could not be stored is tried again, whether or not more comes.
        let received = match kept.is_empty() {
            true => Some(next.await),
            false => tokio::time::timeout(RETRY, next).await.ok(),
        };
        if received == Some(0) {
            return;
        }
        let mut waiting = Vec::new();
        for Waiting { entry, stored } in group {
            kept.extend(entry);
            waiting.extend(stored);
        }
        let stored = append(&store, &tombstones, &mut kept).await;
        for waiting in waiting {
            let _ = waiting.send(stored);
        }
        if !stored {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Stores what is kept, which is tried again with the next ones where that fails.
async fn append(store: &Store, tombstones: &Tombstones, kept: &mut Vec<AuditEntry>) -> bool {
    if kept.is_empty() {
        return true;
    }
    let entries: Vec<AuditEntry> = kept.iter().map(|entry| tombstones.in_entry(entry)).collect();
    let stored: Result<(), StoreError> =
        store.run_patiently(move |connection| audit::append(connection, &entries)).await;
    match stored {
        Ok(()) => kept.clear(),
        Err(error) => {
            log::error!("audit log not written entries={} error={error}", kept.len());
            if kept.len() > MAX_WAITING {
                log::error!("audit log: entries are lost entries={}", kept.len());
                kept.clear();
            }
        }
    }
    kept.is_empty()
}

/// Entry of a command that changes or reads much: who ran it is the account of the process.
pub fn of_command(command: &str, object: &str) -> AuditEntry {
    let account = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
    AuditEntry {
        occurred_at: Timestamp::now(),
        actor: account.filter(|name| !name.is_empty()),
        role: "command_line".to_owned(),
        action: format!("tidings {command}"),
        object: object.to_owned(),
        ..AuditEntry::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_attempts_of_one_address_and_of_all_are_bounded() {
        let begin = Instant::now();
        let mut refusals = Refusals::new(begin);
        let address = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
        let kept = (0..1_000).filter(|_| refusals.admit(address(1), begin).is_some()).count();
        assert_eq!(kept, 10);
        let later = begin + Duration::from_secs(11);
        assert_eq!(refusals.admit(address(1), later), Some(990), "the next one says how many were not");
        let kept = (0..255).filter(|n| refusals.admit(address(*n), later).is_some()).count();
        assert!((190..=195).contains(&kept), "{kept}");
    }

    #[test]
    fn the_same_reading_is_one_entry_for_a_while() {
        let log = AuditLog::default();
        assert!(log.is_new_reading("anna GET /v1/users/17".into()));
        assert!(!log.is_new_reading("anna GET /v1/users/17".into()));
        assert!(log.is_new_reading("anna GET /v1/users/18".into()));
        for n in 0..2 * MAX_READINGS {
            log.is_new_reading(n.to_string());
        }
        assert!(log.readings.lock().len() <= MAX_READINGS);
    }
}
