//! A few values by key, derived from one snapshot of the catalogue: held by [`Catalogue::memo`](super::Catalogue::memo) where
//! there is more than one of a kind.

use std::sync::{Arc, Mutex, PoisonError};

/// Values by key, the one asked for last at the end.
pub struct Kept<K, V>(Mutex<Vec<(K, Arc<V>)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq, V> Kept<K, V> {
    /// The value of the key that matches. O(values kept).
    pub fn find(&self, matches: impl Fn(&K) -> bool) -> Option<Arc<V>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().rposition(|(known, _)| matches(known))?;
        let found = kept.remove(place);
        let value = Arc::clone(&found.1);
        kept.push(found);
        Some(value)
    }

    /// Keeps a value; of more than `most` the one goes that nobody has asked for longest.
    pub fn keep(&self, key: K, value: &Arc<V>, most: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Several may have missed it at once.
        kept.retain(|(known, _)| *known != key);
        if kept.len() >= most {
            kept.remove(0);
        }
        kept.push((key, Arc::clone(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_asked_for_last_are_kept() {
        let kept = Kept::<u32, String>::default();
        let keep = |key: u32| kept.keep(key, &Arc::new(key.to_string()), 3);
        let find = |key: u32| kept.find(|known| *known == key).map(|value| value.as_str().to_owned());
        (0..3).for_each(keep);
        assert_eq!(find(0).as_deref(), Some("0"));
        keep(2);
        keep(3);
        assert_eq!([0, 1, 2, 3].map(|key| find(key).is_some()), [true, false, true, true]);
    }
}
