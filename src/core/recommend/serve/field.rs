//! Columns of the items that are looked at, read a whole at a time: where most of the catalogue is open a place is an item's id, and
//! what is not open is barred; where few are, the open items are numbered without gaps.

use crate::base::ItemId;
use crate::recommend::models::item_set::{ItemSet, Universe};

/// One in so many items must be open for columns as wide as the catalogue: they need no look-up of places.
const WIDE: usize = 4;
/// Places that are compared at once.
const LANES: usize = 16;
/// Places of a part of a column.
const BLOCK: usize = 64 * LANES;

/// Numbering of the open items, and which places are barred.
pub(super) struct Field<'a> {
    among: &'a ItemSet,
    pub(super) universe: Universe,
    /// By place: 0 for an item that is open, −∞ for one that is not.
    bars: Vec<f32>,
}

impl<'a> Field<'a> {
    /// O(width of the set).
    pub(super) fn new(among: &'a ItemSet) -> Self {
        if among.len() * WIDE < among.width() {
            let universe = Universe::of(among.clone());
            let bars = vec![0.0; universe.width()];
            return Self { among, universe, bars };
        }
        let bars = among.by_item(|is_open| if is_open { 0.0 } else { f32::NEG_INFINITY });
        Self { among, universe: Universe::All(bars.len()), bars }
    }

    /// A column of 0.
    pub(super) fn column(&self) -> Vec<f32> {
        vec![0f32; self.universe.width()]
    }

    /// The item at a place, if it is open.
    pub(super) fn item(&self, place: usize) -> Option<ItemId> {
        self.universe.item(place).filter(|item| self.among.has(*item))
    }

    /// Place and score of the best open item; `None` where none is above 0. O(places).
    pub(super) fn best(&self, column: &[f32]) -> Option<(usize, f32)> {
        let mut best = (0, 0.0);
        for (number, (column, bars)) in column.chunks(BLOCK).zip(self.bars.chunks(BLOCK)).enumerate() {
            let most = largest(column, bars);
            if most > best.1 {
                best = (number * BLOCK, most);
            }
        }
        let (from, most) = best;
        let mut scores = column.get(from..)?.iter().zip(self.bars.get(from..)?);
        let place = scores.position(|(score, bar)| score + bar == most)?;
        (most > 0.0).then_some((from + place, most))
    }

    /// Bars the places of items that are not open.
    pub(super) fn bar(&self, column: &mut [f32]) {
        column.iter_mut().zip(&self.bars).for_each(|(score, bar)| *score += bar);
    }
}

/// The largest sum of two columns, at least 0; what is no number is passed over.
fn largest(column: &[f32], bars: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = column.as_chunks::<LANES>();
    let (bar_chunks, bar_rest) = bars.as_chunks::<LANES>();
    let mut most = [0f32; LANES];
    for (scores, bars) in chunks.iter().zip(bar_chunks) {
        for ((most, score), bar) in most.iter_mut().zip(scores).zip(bars) {
            *most = larger(*most, score + bar);
        }
    }
    // Only the last part of a column has a rest, and it may be shorter than the bars.
    let rest = rest.iter().zip(bars.get(chunks.len() * LANES..).unwrap_or(bar_rest));
    rest.map(|(score, bar)| score + bar).chain(most).fold(0.0, larger)
}

/// Adds the scores above 0 to the sums, as shares of the best one.
pub(super) fn add_shares(sums: &mut [f32], column: &[f32], best: f32) {
    sums.iter_mut()
        .zip(column)
        .for_each(|(sum, score)| *sum += if *score > 0.0 { score / best } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_is_that_of_the_open_items(
            scores in prop::collection::vec(-1f32..1.0, 0..3_000),
            open in prop::collection::vec(any::<bool>(), 3_000),
            step in prop::sample::select(vec![1usize, 2, 9]),
        ) {
            let items = (0..3_000).step_by(step).filter(|item| open[*item]).map(|item| ItemId(item as u32));
            let among = ItemSet::of(3_000, items);
            let field = Field::new(&among);
            let mut column = field.column();
            field.universe.gather(&mut column, &scores);
            if matches!(field.universe, Universe::All(_)) {
                column.truncate(scores.len());
            }
            let expected = among.iter().filter_map(|item| Some((item, *scores.get(item.index())?)));
            let expected = expected.map(|(_, score)| score).fold(0.0, f32::max);
            match field.best(&column) {
                None => prop_assert_eq!(expected, 0.0),
                Some((place, best)) => {
                    prop_assert_eq!(best, expected);
                    prop_assert_eq!(scores[field.item(place).unwrap().index()], best);
                }
            }
        }
    }
}
