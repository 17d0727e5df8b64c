//! A sparse vector laid out for products with many others: a table of its terms, which answers in a look or two.

use super::text::Term;

/// Places of the table for each term, so that few of them collide.
const ROOM: usize = 4;
/// Knuth's multiplier: spreads terms over the highest bits.
const SPREAD: u32 = 0x9E37_79B1;

/// Sparse vector as a table of its terms. Weights of 0 are not kept.
#[derive(Clone, Debug)]
pub(super) struct TermTable {
    /// A power of two of them; 0.0 = empty.
    slots: Vec<(Term, f32)>,
    /// Of a spread term, bits that do not name its slot.
    shift: u32,
}

impl TermTable {
    pub(super) fn new(vector: &[(Term, f32)]) -> Self {
        let bits = (vector.len() * ROOM).max(2).next_power_of_two().trailing_zeros();
        let mut table = Self { slots: vec![(0, 0.0); 1 << bits], shift: Term::BITS - bits };
        for (term, weight) in vector.iter().filter(|(_, weight)| *weight != 0.0) {
            let place = table.place(*term);
            table.slots.get_mut(place).into_iter().for_each(|slot| *slot = (*term, *weight));
        }
        table
    }

    /// The slot of a term, or the empty one where it would be.
    fn place(&self, term: Term) -> usize {
        let first = (term.wrapping_mul(SPREAD) >> self.shift) as usize;
        let free = |place: &usize| {
            self.slots.get(*place).is_none_or(|(known, weight)| *known == term || *weight == 0.0)
        };
        (first..self.slots.len()).chain(0..first).find(free).unwrap_or(first)
    }

    /// Product with a vector sorted by term, added up in the order of its terms. O(its terms).
    pub(super) fn dot(&self, vector: &[(Term, f32)]) -> f32 {
        let mut sum = 0.0;
        for (term, weight) in vector {
            let (known, own) = self.slots.get(self.place(*term)).copied().unwrap_or_default();
            if known == *term {
                sum += own * weight;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_are_those_of_the_vectors(
            a in prop::collection::btree_map(0u32..60, 0.1f32..1.0, 0..40),
            b in prop::collection::btree_map(0u32..60, 0.1f32..1.0, 0..40),
            spread in prop::sample::select(vec![1u32, 0x0100_0000, 0x9E37_79B1]),
        ) {
            let vector = |terms: &std::collections::BTreeMap<u32, f32>| -> Vec<(Term, f32)> {
                let mut vector: Vec<_> = terms.iter().map(|(term, own)| (term.wrapping_mul(spread), *own)).collect();
                vector.sort_by_key(|(term, _)| *term);
                vector
            };
            let (a, b) = (vector(&a), vector(&b));
            let mut sum = 0.0;
            for (term, weight) in &b {
                sum += a.iter().find(|(known, _)| known == term).map_or(0.0, |(_, own)| own * weight);
            }
            prop_assert_eq!(TermTable::new(&a).dot(&b), sum);
        }
    }
}
