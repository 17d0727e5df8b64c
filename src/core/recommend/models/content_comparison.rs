//! Unit vectors of a few items, laid out so that each is compared with each: their terms are numbered, and the one that others are compared
//! with lies in a table by number.

use std::collections::HashMap;

use super::text::Term;

/// Words of items, by numbers.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// By place, where its entries begin; one more at the end.
    starts: Vec<usize>,
    /// Numbers of terms, in the order of the terms, with their weights.
    entries: Vec<(u32, f32)>,
    /// By number of a term, its weight in the vector that others are compared with.
    table: Vec<f32>,
    /// Place of that one.
    own: Option<usize>,
}

impl Comparison {
    pub(super) fn new<'a>(vectors: impl Iterator<Item = &'a [(Term, f32)]>) -> Self {
        let mut numbers: HashMap<Term, u32> = HashMap::new();
        let mut comparison = Self { starts: vec![0], ..Self::default() };
        for vector in vectors {
            for (term, weight) in vector {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                comparison.entries.push((*numbers.entry(*term).or_insert(next), *weight));
            }
            comparison.starts.push(comparison.entries.len());
        }
        comparison.table = vec![0.0; numbers.len()];
        comparison
    }

    fn vector(&self, place: usize) -> &[(u32, f32)] {
        let range = self.starts.get(place).zip(self.starts.get(place + 1)).map(|(from, to)| *from..*to);
        range.and_then(|range| self.entries.get(range)).unwrap_or_default()
    }

    /// Returns whether nothing is known of the item at a place.
    pub fn is_empty(&self, place: usize) -> bool {
        self.vector(place).is_empty()
    }

    /// From now on others are compared with the item at this place. O(words of two items).
    pub fn compare_with(&mut self, place: usize) {
        let mut table = std::mem::take(&mut self.table);
        let mut write = |place: Option<usize>, is_there: bool| {
            for (number, weight) in place.map_or(&[][..], |place| self.vector(place)) {
                let own = if is_there { *weight } else { 0.0 };
                table.get_mut(*number as usize).into_iter().for_each(|slot| *slot = own);
            }
        };
        write(self.own, false);
        write(Some(place), true);
        (self.table, self.own) = (table, Some(place));
    }

    /// Cosine of the item at a place with that one. O(words of the item).
    pub fn of(&self, place: usize) -> f32 {
        let product =
            |(number, weight): &(u32, f32)| self.table.get(*number as usize).copied().unwrap_or(0.0) * weight;
        self.vector(place).iter().map(product).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::content_terms::TermTable;
    use super::*;

    proptest! {
        #[test]
        fn cosines_are_those_of_one_by_one(
            vectors in prop::collection::vec(prop::collection::btree_map(0u32..40, 0.1f32..1.0, 0..12), 1..8),
            order in prop::collection::vec(0usize..8, 1..12),
        ) {
            let vectors: Vec<Vec<(Term, f32)>> = vectors.into_iter().map(|terms| terms.into_iter().collect()).collect();
            let mut comparison = Comparison::new(vectors.iter().map(Vec::as_slice));
            for place in order.into_iter().map(|place| place % vectors.len()) {
                comparison.compare_with(place);
                let one_by_one = TermTable::new(&vectors[place]);
                for (other, vector) in vectors.iter().enumerate() {
                    prop_assert_eq!(comparison.of(other), one_by_one.dot(vector));
                    prop_assert_eq!(comparison.is_empty(other), vector.is_empty());
                }
            }
        }
    }
}
