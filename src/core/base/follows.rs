//! Values that follow from the rest of their owner.

use std::sync::OnceLock;

/// A value that follows from the rest of its owner and is made when it is asked for first. It is never stored, and two owners are
/// equal whether or not it has been made.
#[derive(Clone, Debug)]
pub struct Follows<T>(OnceLock<T>);

impl<T> Follows<T> {
    /// The value; `make` must give the same for the same owner.
    pub fn get(&self, make: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(make)
    }
}

impl<T> Default for Follows<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> PartialEq for Follows<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
