//! Growth of the lists of a profile, in small steps.

/// Grows a full vector by `step` instead of doubling it: ten thousand profiles are held at once.
pub(super) fn grow_by<T>(vector: &mut Vec<T>, step: usize) {
    if vector.len() == vector.capacity() {
        vector.reserve_exact(step.max(vector.len() / 4));
    }
}
