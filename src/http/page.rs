//! Pages of lists that are read by key.

/// Key after which the next page begins; `None` when this page is the last: it has fewer rows than `limit`.
pub fn next_after<R, K>(rows: &[R], limit: i64, key: impl FnOnce(&R) -> K) -> Option<K> {
    let is_full = i64::try_from(rows.len()).is_ok_and(|n| n >= limit);
    rows.last().filter(|_| is_full).map(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_page_has_a_next_one() {
        let rows = [3, 5];
        assert_eq!(next_after(&rows, 2, |row| *row), Some(5));
        assert_eq!(next_after(&rows, 3, |row| *row), None);
        assert_eq!(next_after(&[] as &[i64], 1, |row| *row), None);
    }
}
