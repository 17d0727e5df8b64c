//! Cosine between items of one kind and items of another: weights of what was viewed or carted for what is bought.
//!
//! Time: Σ over users of (items of the one kind) · (items of the other). Memory: 8 bytes · items · weights kept.
#![expect(
    clippy::indexing_slicing,
    reason = "dense inner loops; each index is bounded by n_items where it is made"
)]

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::ItemId;
use crate::ml::threads::Threads;
use crate::recommend::models::item_weights::{ItemWeights, keep_largest};
use crate::recommend::models::transpose::ListBuilder;

/// Items between two looks at cancellation.
const ITEMS_AT_ONCE: usize = 2_048;

/// Weights from items of `from` to items of `to`, rows of both by user, no item twice in a row, all below `n_items`: the number of
/// users who have both over √(users of the one · users of the other); an item says nothing of itself. The `kept` largest of
/// each item stay. `None` when `progress` breaks.
pub(super) fn cross(
    from: &[Vec<u32>],
    to: &[Vec<u32>],
    n_items: usize,
    kept: usize,
    threads: &Threads,
    mut progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Option<ItemWeights> {
    let mut users: Vec<Vec<u32>> = vec![Vec::new(); n_items];
    for (user, row) in (0u32..).zip(from) {
        row.iter().for_each(|item| users[*item as usize].push(user));
    }
    let mut counts = vec![0f64; n_items];
    to.iter().flatten().for_each(|item| counts[*item as usize] += 1.0);
    let list = |(sums, hit): &mut (Vec<f64>, Vec<u32>), item: usize| {
        for row in users[item].iter().filter_map(|user| to.get(*user as usize)) {
            for other in row {
                let sum = &mut sums[*other as usize];
                if *sum == 0.0 {
                    hit.push(*other);
                }
                *sum += 1.0;
            }
        }
        let own = users[item].len() as f64;
        let mut list = Vec::with_capacity(hit.len());
        for other in hit.drain(..) {
            let shared = std::mem::take(&mut sums[other as usize]);
            if other as usize != item {
                list.push((ItemId(other), (shared / (own * counts[other as usize]).sqrt()) as f32));
            }
        }
        keep_largest(&mut list, kept);
        list.shrink_to_fit();
        list
    };
    let mut made = ListBuilder::default();
    for start in (0..n_items).step_by(ITEMS_AT_ONCE) {
        let chunk = start..(start + ITEMS_AT_ONCE).min(n_items);
        let end = chunk.end;
        let scratch = || (vec![0f64; n_items], Vec::new());
        let lists: Vec<Vec<(ItemId, f32)>> =
            threads.run(|| chunk.into_par_iter().with_min_len(128).map_init(scratch, &list).collect());
        made.push(lists);
        if progress(end as f32 / n_items as f32).is_break() {
            return None;
        }
    }
    let (offsets, all) = made.finish();
    Some(ItemWeights::new(offsets, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bought_after_a_view_is_worked_out_by_hand() {
        let viewed = [vec![0, 1], vec![0], vec![1, 2]];
        let bought = [vec![2], vec![2, 0], vec![]];
        let threads = Threads::new(2).unwrap();
        let weights = cross(&viewed, &bought, 3, 9, &threads, |_| ControlFlow::Continue(())).unwrap();
        // Two users viewed 0 and bought 2, which two bought: 2 / √(2 · 2). Nobody who viewed 2 bought anything.
        assert_eq!(weights.of(ItemId(0)), [(ItemId(2), 1.0)]);
        assert_eq!(weights.of(ItemId(1)), [(ItemId(2), 0.5)]);
        assert!(weights.of(ItemId(2)).is_empty() && weights.is_sound());
        assert!(cross(&viewed, &bought, 3, 9, &threads, |_| ControlFlow::Break(())).is_none());
    }
}
