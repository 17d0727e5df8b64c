//! Weights of one neighbour's items, by their distance from the click it shares.

use crate::base::ItemId;

use super::knn::{Proximity, decay};

/// Weights of a neighbour's items, with the decays that were worked out already.
pub(super) struct Near {
    proximity: Proximity,
    /// By distance.
    before: Vec<f32>,
    after: Vec<f32>,
    /// Places of the shared click.
    places: Vec<usize>,
}

impl Near {
    pub(super) fn new(proximity: Proximity) -> Self {
        Self { proximity, before: Vec::new(), after: Vec::new(), places: Vec::new() }
    }

    /// Adds the scores that one neighbour gives to its distinct items.
    pub(super) fn say(&mut self, shared: ItemId, steps: usize, items: &[u32], said: &mut Vec<(u32, f32)>) {
        let Self { proximity, before, after, places } = self;
        let even = match proximity {
            Proximity::Even => Some(1.0),
            Proximity::LastShared => Some(1.0 / (1.0 + steps as f32)),
            Proximity::Around { before: lambda_before, after: lambda_after, .. } => {
                for (decays, lambda) in [(before, lambda_before), (after, lambda_after)] {
                    decays
                        .extend((decays.len()..items.len()).map(|distance| decay(distance as f32, *lambda)));
                }
                places.clear();
                places
                    .extend((0..).zip(items).filter(|(_, item)| **item == shared.0).map(|(place, _)| place));
                None
            }
        };
        for (place, item) in items.iter().enumerate() {
            let weight = even.unwrap_or_else(|| self.around(place));
            match said.iter_mut().find(|(known, _)| known == item) {
                Some((_, known)) => *known = known.max(weight),
                None => said.push((*item, weight)),
            }
        }
    }

    /// Weight by the distance from the nearest shared click.
    fn around(&self, place: usize) -> f32 {
        let Proximity::Around { itself, .. } = self.proximity else { return 1.0 };
        let of = |at: &usize| match place.checked_sub(*at) {
            Some(0) => Some(itself),
            Some(after) => self.after.get(after).copied(),
            None => self.before.get(at - place).copied(),
        };
        self.places.iter().filter_map(of).fold(0.0, f32::max)
    }
}
