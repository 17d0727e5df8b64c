//! Ids of erased users, as hashes: asked before anything is taken, answered or connected under an id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use tidings_core::base::{ExternalId, Timestamp};
use tidings_decision::privacy::audit::{AuditEntry, Hash};
use tidings_decision::privacy::pseudonym::{PseudonymKey, of_entry, pseudonym};
use tidings_store::{Connection, StoreError, erasures};

#[derive(Default)]
struct Known {
    key: Option<PseudonymKey>,
    /// Each with its end.
    hashes: HashMap<Hash, Timestamp>,
}

/// Tombstones of this database.
#[derive(Default)]
pub struct Tombstones {
    known: RwLock<Known>,
    /// Nobody was erased: nothing is hashed.
    any: AtomicBool,
    /// Held from the query to the storing, so that an older reading never replaces a newer one.
    reading: Mutex<()>,
}

impl Tombstones {
    /// Reads all. Blocks.
    pub fn read(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let _reading = self.reading.lock();
        let key = PseudonymKey::new(erasures::key(connection)?);
        let hashes: HashMap<Hash, Timestamp> =
            erasures::tombstones(connection, Timestamp::now())?.into_iter().collect();
        let any = !hashes.is_empty();
        *self.known.write() = Known { key: Some(key), hashes };
        self.any.store(any, Ordering::Release);
        Ok(())
    }

    /// Reads what was stored just now. It is stored: what can't be read at this moment is read with the next look at erasures. Blocks.
    pub fn read_stored(&self, connection: &mut Connection) {
        if let Err(error) = self.read(connection) {
            log::warn!("stored tombstones not read, tried again error={error}");
        }
    }

    /// Returns whether the id is one of an erased user.
    pub fn has(&self, id: &ExternalId) -> bool {
        self.any.load(Ordering::Acquire) && self.pseudonym(&id.to_string()).is_some()
    }

    /// Pseudonym of the id of an erased user; `None` for every other.
    pub fn pseudonym(&self, id: &str) -> Option<String> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let known = self.known.read();
        let hash = known.key.as_ref()?.hash(id);
        known.hashes.get(&hash).is_some_and(|until| Timestamp::now() < *until).then(|| pseudonym(&hash))
    }

    /// The entry of the audit log with pseudonyms in place of erased ids.
    pub fn in_entry(&self, entry: &AuditEntry) -> AuditEntry {
        if !self.any.load(Ordering::Acquire) {
            return entry.clone();
        }
        of_entry(entry, &|id| self.pseudonym(id)).unwrap_or_else(|| entry.clone())
    }
}
