//! Values that readers have derived from one snapshot of the catalogue. A snapshot never changes, so neither does what follows from it: it is
//! made once, by whoever asks first, and gone with the next change.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

type Derived = Arc<dyn Any + Send + Sync>;

/// Values by type, each made when it is asked for the first time. Copies of a snapshot share them until one changes.
#[derive(Clone, Default)]
pub(super) struct Memo(Arc<Mutex<Vec<(TypeId, Derived)>>>);

impl Memo {
    /// The value of a type, its default at first.
    pub(super) fn get<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_type = known.iter().find(|(id, _)| *id == TypeId::of::<T>());
        if let Some(found) = of_type.and_then(|(_, derived)| Arc::clone(derived).downcast::<T>().ok()) {
            return found;
        }
        let made = Arc::new(T::default());
        known.push((TypeId::of::<T>(), Arc::clone(&made) as Derived));
        made
    }

    /// Begins anew, apart from all copies. Free where nothing has been derived and nobody shares it.
    pub(super) fn forget(&mut self) {
        let known = Arc::get_mut(&mut self.0).and_then(|known| known.get_mut().ok());
        match known {
            Some(known) => known.clear(),
            None => *self = Self::default(),
        }
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Notes(Mutex<Vec<u32>>);

    fn notes(memo: &Memo) -> Vec<u32> {
        memo.get::<Notes>().0.lock().unwrap().clone()
    }

    #[test]
    fn a_copy_shares_what_is_derived_until_one_of_them_changes() {
        let mut memo = Memo::default();
        memo.get::<Notes>().0.lock().unwrap().push(7);
        let copy = memo.clone();
        assert_eq!((notes(&memo), notes(&copy)), (vec![7], vec![7]));
        memo.forget();
        assert_eq!((notes(&memo), notes(&copy)), (vec![], vec![7]));
        memo.get::<Notes>().0.lock().unwrap().push(8);
        memo.forget();
        assert!(notes(&memo).is_empty());
    }
}
