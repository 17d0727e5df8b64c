//! Not five of a kind: maximal marginal relevance. Carbonell & Goldstein 1998.
//!
//! The next item is the one with the largest `score − weight · likeness to the most alike item already taken`.

use super::ranked::Ranked;

/// Likeness of the items of a list, by place.
pub(super) trait Alike {
    /// From now on others are compared with the item at this place.
    fn compare_with(&mut self, place: usize);

    /// Likeness of the item at a place to it, 0…1.
    fn of(&self, place: usize) -> f32;
}

/// At most `n` of `ranked` (best first, scores 0…1), in order of marginal relevance, which becomes their score and never
/// rises down the list. `weight` ≥ 0, 0 = as they are; `alike` compares those that can get in. Ties go to the better. O(n · those that
/// can get in).
pub(super) fn diversify<A: Alike>(
    ranked: Vec<Ranked>,
    n: usize,
    weight: f32,
    alike: impl FnOnce(&[Ranked]) -> A,
) -> Vec<Ranked> {
    let mut waiting = ranked;
    let weight = if weight.is_finite() { weight.max(0.0) } else { 0.0 };
    if weight == 0.0 || waiting.len() <= 1 {
        waiting.truncate(n);
        return waiting;
    }
    // The n best have at least the n-th score less the whole weight, so nothing below that gets in.
    let least = n.checked_sub(1).and_then(|last| waiting.get(last)).map_or(0.0, |last| last.score - weight);
    waiting.retain(|one| one.score >= least);
    let mut values: Vec<f32> = waiting.iter().map(|one| one.score).collect();
    let scores = values.clone();
    let mut alike = alike(&waiting);
    let mut taken = vec![false; waiting.len()];
    let mut list: Vec<Ranked> = Vec::with_capacity(n.min(waiting.len()));
    while list.len() < n {
        let open = values.iter().enumerate().filter(|(place, _)| taken.get(*place) == Some(&false));
        let Some((place, value)) = open.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))) else { break };
        let Some(next) = waiting.get(place) else { break };
        let next = Ranked { score: value.clamp(0.0, 1.0), ..*next };
        if let Some(slot) = taken.get_mut(place) {
            *slot = true;
        }
        alike.compare_with(place);
        let others = values.iter_mut().zip(&scores).zip(&taken).enumerate();
        for (other, ((value, score), _)) in others.filter(|(_, (_, taken))| !**taken) {
            *value = value.min(score - weight * alike.of(other));
        }
        list.push(next);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ItemId;
    use crate::recommend::serve::ranked::Because;

    fn ranked(scores: &[f32]) -> Vec<Ranked> {
        let one = |(item, score): (u32, &f32)| Ranked::new(ItemId(item), *score, Because::Own);
        (0..).zip(scores).map(one).collect()
    }

    /// Even items are alike, so are odd ones.
    struct Parity(Vec<u32>, usize);

    impl Alike for Parity {
        fn compare_with(&mut self, place: usize) {
            self.1 = place;
        }

        fn of(&self, place: usize) -> f32 {
            f32::from(self.0[self.1] % 2 == self.0[place] % 2)
        }
    }

    fn parity(list: &[Ranked]) -> Parity {
        Parity(order(list), 0)
    }

    fn order(list: &[Ranked]) -> Vec<u32> {
        list.iter().map(|one| one.item.0).collect()
    }

    #[test]
    fn a_like_item_waits_as_long_as_its_relevance_is_not_worth_it() {
        let list = ranked(&[1.0, 0.5, 0.9, 0.45]);
        assert_eq!(order(&diversify(list.clone(), 3, 0.0, parity)), [0, 1, 2]);
        // 0.9 − 0.3 is still more than 0.5; 0.9 − 0.5 is not.
        let mild = diversify(list.clone(), 4, 0.3, parity);
        assert_eq!(order(&mild), [0, 2, 1, 3]);
        assert!((mild[1].score - 0.6).abs() < 1e-6);
        let strong = diversify(list.clone(), 4, 0.5, parity);
        assert_eq!(order(&strong), [0, 1, 2, 3]);
        assert!(strong.is_sorted_by(|a, b| a.score >= b.score));
        assert_eq!(order(&diversify(list, 2, f32::NAN, parity)), [0, 1]);
        assert!(diversify(Vec::new(), 3, 0.5, parity).is_empty());
    }
}
