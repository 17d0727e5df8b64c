//! Agreement of two ranked lists, for a model that is scored beside the one that serves.

/// Share of the first `k` that both lists have, of the longer of the two cut at `k`; 1 when both are empty.
pub fn overlap<T: PartialEq>(a: &[T], b: &[T], k: usize) -> f64 {
    let (a, b) = (a.get(..k.min(a.len())).unwrap_or_default(), b.get(..k.min(b.len())).unwrap_or_default());
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 1.0;
    }
    a.iter().filter(|item| b.contains(item)).count() as f64 / longer as f64
}

/// Kendall's τ over the items both lists have: 1 the same order, −1 the reverse; `None` with fewer than two in common.
/// O(n²) for lists of ten.
pub fn kendall_tau<T: PartialEq>(a: &[T], b: &[T]) -> Option<f64> {
    let places: Vec<usize> = a.iter().filter_map(|item| b.iter().position(|other| other == item)).collect();
    let n = places.len();
    if n < 2 {
        return None;
    }
    let pairs = (n * (n - 1) / 2) as f64;
    let ordered = places
        .iter()
        .enumerate()
        .map(|(index, place)| places.iter().skip(index + 1).filter(|later| *later > place).count())
        .sum::<usize>() as f64;
    Some(2.0 * ordered / pairs - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_a_share_of_the_longer_list() {
        assert_eq!(overlap(&[1, 2, 3, 4], &[4, 3, 9, 8], 4), 0.5);
        assert_eq!(overlap(&[1, 2, 3], &[1], 2), 0.5);
        assert_eq!(overlap::<u32>(&[], &[], 10), 1.0);
        assert_eq!(overlap(&[1], &[], 10), 0.0);
    }

    #[test]
    fn tau_agrees_with_values_computed_by_hand() {
        assert_eq!(kendall_tau(&[1, 2, 3], &[1, 2, 3]), Some(1.0));
        assert_eq!(kendall_tau(&[1, 2, 3], &[3, 2, 1]), Some(-1.0));
        // One of three pairs is turned round.
        assert!((kendall_tau(&[1, 2, 3], &[1, 3, 2]).unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(kendall_tau(&[1, 5, 2], &[9, 2, 1]), Some(-1.0), "only what both have");
        assert_eq!(kendall_tau(&[1, 2], &[2, 3]), None);
    }
}
