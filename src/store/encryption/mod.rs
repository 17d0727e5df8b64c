//! Encrypted fields: the one place where the store encrypts and decrypts. Keys are fetched and made for a whole batch at a time and held
//! in memory, a bounded number; a batch whose keys are there costs no statement.
//!
//! - `attributes.rs` attributes of users that are marked so;
//! - `cache.rs` unwrapped data keys;
//! - `data_keys.rs` table `data_keys`;
//! - `existing.rs` rows from before encryption was switched on, and another master key;
//! - `words.rs` messages of the shop that wait to be sent.

pub(super) mod attributes;
mod cache;
mod data_keys;
pub mod existing;
pub(super) mod words;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use diesel::PgConnection;
use parking_lot::Mutex;
use rand::RngExt;
use uuid::Uuid;

use self::cache::{Cache, Known};
use self::data_keys::{KeySession, WrappedKey};
use super::postgres::error::StoreError;
use tidings_core::base::UserId;
use tidings_decision::privacy::encryption::{
    DataKey, Field, KEY_BYTES, MasterKeys, NONCE_BYTES, Nonce, Owner, Unavailable, key_of, open, seal,
};

pub use data_keys::{MasterKeyUse, names, uses};

/// Encryption of fields, on or off. Cheap to ask while it is off.
#[derive(Default)]
pub struct Fields {
    on: OnceLock<On>,
}

/// Encryption that is on.
struct On {
    masters: MasterKeys,
    /// Names of the attributes of users that are encrypted.
    attributes: BTreeSet<Box<str>>,
    cache: Mutex<Cache>,
    session: Mutex<KeySession>,
}

impl Fields {
    /// Switches encryption on, once; data keys are made over a session of their own at `url`. `attributes`: names of those of users that are
    /// encrypted.
    pub(super) fn enable(&self, masters: MasterKeys, attributes: BTreeSet<Box<str>>, url: &str) {
        let session = Mutex::new(KeySession::new(url));
        let _ = self.on.set(On { masters, attributes, cache: Mutex::default(), session });
    }

    /// Returns whether fields are encrypted from now on.
    pub fn is_on(&self) -> bool {
        self.on.get().is_some()
    }

    /// The master keys; `None` while encryption is off.
    pub fn masters(&self) -> Option<&MasterKeys> {
        self.on.get().map(|on| &on.masters)
    }

    /// Keys for fields of these users; makes those that are missing. One statement for all that are not in memory, one more where
    /// some are made.
    pub(super) fn sealer(
        &self,
        conn: &mut PgConnection,
        owners: impl IntoIterator<Item = Owner>,
    ) -> Result<Sealer, StoreError> {
        let Some(on) = self.on.get() else { return Ok(Sealer { keys: None }) };
        let wanted: BTreeSet<Owner> = owners.into_iter().collect();
        let mut keys: HashMap<Owner, Arc<Known>> = HashMap::with_capacity(wanted.len());
        {
            let mut cache = on.cache.lock();
            keys.extend(wanted.iter().filter_map(|owner| Some((*owner, cache.of_owner(*owner)?))));
        }
        let missing: Vec<Owner> = wanted.into_iter().filter(|owner| !keys.contains_key(owner)).collect();
        if missing.is_empty() {
            return Ok(Sealer { keys: Some(keys) });
        }
        for known in on.unwrapped(data_keys::of_owners(conn, &missing)?) {
            keys.entry(known.key.owner).or_insert(known);
        }
        let without: Vec<Owner> = missing.into_iter().filter(|owner| !keys.contains_key(owner)).collect();
        for known in on.make(&without)? {
            keys.insert(known.key.owner, known);
        }
        on.cache.lock().put(keys.values());
        Ok(Sealer { keys: Some(keys) })
    }

    /// Keys for fields that are to be read, each with whose row it stands in. One statement for all that are not in memory; none where
    /// nothing is encrypted.
    pub(super) fn opener<'t>(
        &self,
        conn: &mut PgConnection,
        fields: impl IntoIterator<Item = (Owner, &'t str)>,
    ) -> Result<Opener, StoreError> {
        let wanted = fields.into_iter().filter_map(|(owner, text)| Some((key_of(text)?, Some(owner))));
        self.opener_by(wanted.collect(), |_, missing| data_keys::of_ids(conn, missing))
    }

    /// Keys for fields of rows that are nobody's, whosever the keys are; to be opened by [`Opener::open_any`].
    pub(super) fn opener_of_any<'t>(
        &self,
        conn: &mut PgConnection,
        fields: impl IntoIterator<Item = &'t str>,
    ) -> Result<Opener, StoreError> {
        let wanted = fields.into_iter().filter_map(|text| Some((key_of(text)?, None)));
        self.opener_by(wanted.collect(), |_, missing| data_keys::of_ids(conn, missing))
    }

    /// The same while the caller's connection is busy, over the session of the keys.
    pub(super) fn opener_aside<'t>(
        &self,
        fields: impl IntoIterator<Item = (Owner, &'t str)>,
    ) -> Result<Opener, StoreError> {
        let wanted = fields.into_iter().filter_map(|(owner, text)| Some((key_of(text)?, Some(owner))));
        self.opener_by(wanted.collect(), |on, missing| {
            on.session.lock().run(|conn| data_keys::of_ids(conn, missing))
        })
    }

    /// Every key of one user, and the server's own.
    pub(super) fn opener_of(&self, conn: &mut PgConnection, user: Owner) -> Result<Opener, StoreError> {
        let Some(on) = self.on.get() else { return Ok(Opener { keys: None }) };
        let mut rows = data_keys::of_user(conn, user)?;
        rows.extend(data_keys::of_owners(conn, &[Owner::SERVER])?);
        let keys = on.unwrapped(rows);
        Ok(Opener { keys: Some(keys.into_iter().map(|known| (known.key.id, known)).collect()) })
    }

    /// `wanted`: keys, each with the owner that it has to have by now; `None` = any.
    fn opener_by(
        &self,
        wanted: HashMap<Uuid, Option<Owner>>,
        fetch: impl FnOnce(&On, &[Uuid]) -> Result<Vec<WrappedKey>, StoreError>,
    ) -> Result<Opener, StoreError> {
        let Some(on) = self.on.get() else { return Ok(Opener { keys: None }) };
        let mut keys: HashMap<Uuid, Arc<Known>> = HashMap::with_capacity(wanted.len());
        {
            let mut cache = on.cache.lock();
            for (id, owner) in &wanted {
                // A user may have been merged into another since.
                let is_owners = |known: &Arc<Known>| owner.is_none_or(|owner| known.belongs_to == owner);
                keys.extend(cache.of_id(*id).filter(is_owners).map(|known| (*id, known)));
            }
        }
        let missing: Vec<Uuid> = wanted.into_keys().filter(|id| !keys.contains_key(id)).collect();
        if !missing.is_empty() {
            let found = on.unwrapped(fetch(on, &missing)?);
            on.cache.lock().put(&found);
            keys.extend(found.into_iter().map(|known| (known.key.id, known)));
        }
        Ok(Opener { keys: Some(keys) })
    }

    /// Forgets the keys of users that are erased.
    pub fn forget(&self, users: &[i32]) {
        if let Some(on) = self.on.get() {
            let owners: HashSet<Owner> = users.iter().map(|user| Owner(*user)).collect();
            on.cache.lock().forget(&owners);
        }
    }
}

impl On {
    /// The keys that a master key unwraps. One that none does is told in the log: what is under it can't be read.
    fn unwrapped(&self, rows: Vec<WrappedKey>) -> Vec<Arc<Known>> {
        let unwrap = |row: WrappedKey| {
            let master = self.masters.named(&row.master_key);
            let Some(bytes) = master.and_then(|master| master.unwrap(&row.wrapped, row.id, row.owner)) else {
                log::error!("data key not unwrapped key_id={} master_key={}", row.id, row.master_key);
                return None;
            };
            let key = DataKey::new(row.id, row.owner, bytes);
            Some(Arc::new(Known { key, belongs_to: row.belongs_to }))
        };
        rows.into_iter().filter_map(unwrap).collect()
    }

    /// Makes a key for each, and commits them.
    fn make(&self, owners: &[Owner]) -> Result<Vec<Arc<Known>>, StoreError> {
        let Some(master) = self.masters.current().filter(|_| !owners.is_empty()) else {
            return Ok(Vec::new());
        };
        let made: Vec<(WrappedKey, Arc<Known>)> = owners
            .iter()
            .map(|owner| {
                let id = uuid::Builder::from_random_bytes(rand::rng().random()).into_uuid();
                let bytes = rand::rng().random::<[u8; KEY_BYTES]>();
                let wrapped = WrappedKey {
                    id,
                    owner: *owner,
                    belongs_to: *owner,
                    master_key: master.name().to_string(),
                    wrapped: master.wrap(&bytes, id, *owner, &nonce()),
                };
                (wrapped, Arc::new(Known { key: DataKey::new(id, *owner, bytes), belongs_to: *owner }))
            })
            .collect();
        let (rows, known): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        self.session.lock().run(|conn| data_keys::insert(conn, &rows))?;
        Ok(known)
    }
}

fn nonce() -> Nonce {
    rand::rng().random::<[u8; NONCE_BYTES]>()
}

/// Owner of the key that fields of a row are under: the user, or the server itself where the row is nobody's.
pub(super) fn owner(user: Option<UserId>) -> Owner {
    user.map_or(Owner::SERVER, |user| Owner(user.to_sql()))
}

/// Encrypts fields of one batch.
pub struct Sealer {
    /// `None` while encryption is off.
    keys: Option<HashMap<Owner, Arc<Known>>>,
}

impl Sealer {
    /// The field as it is stored. An owner that was not asked for is an error: nothing is stored unencrypted by accident.
    pub(super) fn seal<'t>(
        &self,
        owner: Owner,
        field: Field,
        text: &'t str,
    ) -> Result<Cow<'t, str>, StoreError> {
        let Some(keys) = &self.keys else { return Ok(Cow::Borrowed(text)) };
        let known = keys.get(&owner).ok_or(StoreError::Unencrypted(field.name()))?;
        Ok(Cow::Owned(seal(&known.key, field, &nonce(), text)))
    }
}

/// Decrypts fields of one batch.
pub(super) struct Opener {
    /// `None` while encryption is off.
    keys: Option<HashMap<Uuid, Arc<Known>>>,
}

impl Opener {
    /// The field as it was before it was encrypted; one that never was as it is.
    pub(super) fn open(&self, owner: Owner, field: Field, text: String) -> Result<String, Unavailable> {
        let Some(id) = key_of(&text) else { return Ok(text) };
        let keys = self.keys.as_ref().ok_or(Unavailable::Off)?;
        let known = keys.get(&id).ok_or(Unavailable::NoKey)?;
        if known.belongs_to != owner {
            return Err(Unavailable::Damaged);
        }
        open(&known.key, field, &text)
    }

    /// The same of a row that is nobody's, or of several.
    pub(super) fn open_any(&self, field: Field, text: String) -> Result<String, Unavailable> {
        let Some(id) = key_of(&text) else { return Ok(text) };
        let keys = self.keys.as_ref().ok_or(Unavailable::Off)?;
        open(&keys.get(&id).ok_or(Unavailable::NoKey)?.key, field, &text)
    }

    /// Owner of the key that a field is under; the server itself where it is under none that is there.
    fn owner_of(&self, text: &str) -> Owner {
        let known = key_of(text).and_then(|id| self.keys.as_ref()?.get(&id));
        known.map_or(Owner::SERVER, |known| known.key.owner)
    }
}

/// A message in place of one that can't be decrypted, as JSON.
pub(super) fn unavailable_message(reason: Unavailable) -> String {
    format!(
        "{{\"type\":\"notification\",\"title\":\"This message can't be shown\",\"unavailable\":\"{}\"}}",
        reason.reason()
    )
}
