//! Requests under an `Idempotency-Key` that are being processed: the same key may not begin again before the first has its answer.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use uuid::Uuid;

/// Keys of requests that are being processed, with the fingerprint of each request. As many as there are requests.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<DashMap<Uuid, Uuid>>);

/// Holds a key until the request has its answer, or is given up.
#[derive(Debug)]
#[must_use = "the key is free again when this is dropped"]
pub struct Processing {
    all: UnderWay,
    key: Uuid,
}

impl UnderWay {
    /// Holds `key`; the fingerprint of the request that holds it already otherwise.
    pub fn begin(&self, key: Uuid, fingerprint: Uuid) -> Result<Processing, Uuid> {
        match self.0.entry(key) {
            Entry::Occupied(entry) => Err(*entry.get()),
            Entry::Vacant(entry) => {
                entry.insert(fingerprint);
                Ok(Processing { all: self.clone(), key })
            }
        }
    }
}

impl Drop for Processing {
    fn drop(&mut self) {
        self.all.0.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_held_by_one_request_until_that_ends() {
        let all = UnderWay::default();
        let (key, first, second) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let held = all.begin(key, first).unwrap();
        assert_eq!(all.begin(key, second).unwrap_err(), first);
        assert!(all.begin(Uuid::from_u128(4), first).is_ok());
        drop(held);
        assert!(all.begin(key, second).is_ok());
    }
}
