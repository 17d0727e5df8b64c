//! Unwrapped data keys in memory: those used lately, in two generations, so that a hit costs a look-up and nothing is ever searched for
//! the oldest. About 200 bytes a key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use tidings_decision::privacy::encryption::{DataKey, Owner};

/// Keys of a generation; twice as many are held.
const GENERATION: usize = 8_192;

/// A data key, and whose it is now.
#[derive(Debug)]
pub(super) struct Known {
    /// The key, with the owner that it was made for.
    pub(super) key: DataKey,
    /// The owner, or the user that it was merged into.
    pub(super) belongs_to: Owner,
}

#[derive(Default)]
struct Generation {
    by_id: HashMap<Uuid, Arc<Known>>,
    /// The key that an owner's fields are encrypted under.
    by_owner: HashMap<Owner, Arc<Known>>,
}

/// Keys used lately.
#[derive(Default)]
pub(super) struct Cache {
    young: Generation,
    old: Generation,
}

impl Cache {
    /// The key of this id.
    pub(super) fn of_id(&mut self, id: Uuid) -> Option<Arc<Known>> {
        if let Some(known) = self.young.by_id.get(&id) {
            return Some(Arc::clone(known));
        }
        let known = self.old.by_id.get(&id).cloned()?;
        self.put([&known]);
        Some(known)
    }

    /// A key that fields of this owner may be encrypted under.
    pub(super) fn of_owner(&mut self, owner: Owner) -> Option<Arc<Known>> {
        if let Some(known) = self.young.by_owner.get(&owner) {
            return Some(Arc::clone(known));
        }
        let known = self.old.by_owner.get(&owner).cloned()?;
        self.put([&known]);
        Some(known)
    }

    /// Remembers keys.
    pub(super) fn put<'k>(&mut self, keys: impl IntoIterator<Item = &'k Arc<Known>>) {
        for known in keys {
            if self.young.by_id.len() >= GENERATION {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.by_id.insert(known.key.id, Arc::clone(known));
            self.young.by_owner.insert(known.key.owner, Arc::clone(known));
        }
    }

    /// Forgets the keys that were made for these owners. O(keys).
    pub(super) fn forget(&mut self, owners: &HashSet<Owner>) {
        for generation in [&mut self.young, &mut self.old] {
            generation.by_id.retain(|_, known| !owners.contains(&known.key.owner));
            generation.by_owner.retain(|owner, _| !owners.contains(owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(n: i32) -> Arc<Known> {
        let key = DataKey::new(Uuid::from_u128(n as u128), Owner(n), [7; 32]);
        Arc::new(Known { key, belongs_to: Owner(n) })
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes_when_there_is_more_than_room_for() {
        let mut cache = Cache::default();
        for n in 1..=100_000 {
            cache.put([&known(n)]);
            if n > 1 {
                assert!(cache.of_owner(Owner(1)).is_some(), "{n}");
            }
        }
        assert!(cache.of_id(Uuid::from_u128(100_000)).is_some());
        assert!(cache.of_id(Uuid::from_u128(2)).is_none());
        assert!(cache.young.by_id.len() + cache.old.by_id.len() <= 2 * GENERATION);
        assert!(cache.young.by_owner.len() + cache.old.by_owner.len() <= 2 * GENERATION);
    }

    #[test]
    fn what_is_forgotten_is_nowhere() {
        let mut cache = Cache::default();
        cache.put((1..=10_000).map(known).collect::<Vec<_>>().iter());
        cache.forget(&HashSet::from([Owner(1), Owner(10_000)]));
        for n in [1, 10_000] {
            assert!(cache.of_owner(Owner(n)).is_none() && cache.of_id(Uuid::from_u128(n as u128)).is_none());
        }
        assert!(cache.of_owner(Owner(9_999)).is_some());
    }
}
