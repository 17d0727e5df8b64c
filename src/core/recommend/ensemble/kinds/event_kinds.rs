//! The kinds of a server: their numbers, their models, and the acts of a live profile.

use serde::{Deserialize, Serialize};

use crate::base::{ItemId, Timestamp};
use crate::event::EventKind;
use crate::profile::Profile;

use super::act::{Act, TARGET};
use super::column::KindColumn;
use super::models::KindModels;
use super::numbers::KindNumbers;

const MICROS_A_DAY: f64 = 86_400e6;

/// Kinds of behaviour as a server knows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventKinds {
    /// Kinds told apart.
    pub numbers: KindNumbers,
    /// Models of the kinds.
    pub models: KindModels,
}

impl EventKinds {
    /// Columns of all items, in order.
    pub fn columns(&self) -> &[KindColumn] {
        self.models.dense()
    }

    /// Acts that a profile remembers, oldest first: of each recent item the last one, what was bought, what lies in the cart.
    /// O(recent + bought).
    pub fn acts(&self, profile: &Profile) -> Vec<Act> {
        if self.columns().is_empty() {
            return Vec::new();
        }
        let recent = profile.recent();
        let day = |at: Timestamp| at.0 as f64 / MICROS_A_DAY;
        let mut acts: Vec<Act> = Vec::with_capacity(recent.len() + profile.bought().len());
        for bought in profile.bought() {
            acts.push(Act { item: bought.item.0, kind: TARGET, day: f64::from(bought.last_day()) });
        }
        let cart = self.numbers.number(EventKind::AddToCart);
        for known in recent.iter().rev().filter(|known| known.weight > 0.0) {
            let (item, day) = (known.item.0, day(known.at));
            let own = self.numbers.number(known.kind);
            let in_cart = profile.in_cart().contains(&known.item);
            let carted = cart.filter(|cart| in_cart && own != Some(*cart));
            // A purchase is there already, by its day.
            let own = own.filter(|kind| *kind != TARGET);
            acts.extend(carted.into_iter().chain(own).map(|kind| Act { item, kind, day }));
        }
        acts.sort_by(|a, b| a.day.total_cmp(&b.day));
        acts
    }

    /// Contribution of each touched item to a column's value of `item`; they sum to it. Empty for columns that depend on none.
    pub fn parts(&self, column: KindColumn, acts: &[Act], item: ItemId) -> Vec<(ItemId, f32)> {
        self.models.parts(column, acts, item)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::ml::threads::Threads;
    use crate::recommend::ensemble::{EnsembleParameters, EventRows, KindInputs};
    use crate::recommend::fixtures::{event, profile, shop};
    use crate::recommend::models::item_set::Universe;

    /// 60 users who view 0 and 1, cart 1, and buy 2; the kinds learnt of it, with all columns or those needed.
    fn kinds(needed: Option<&[KindColumn]>) -> EventKinds {
        let mut events = Vec::new();
        for user in 0..60u32 {
            for turn in 0..5u32 {
                let day = f64::from(turn);
                events.push(event(user, EventKind::View, turn % 2, day));
                events.push(event(user, EventKind::AddToCart, 1, day + 0.1));
                events.push(event(user, EventKind::Purchase, 2 + turn % 2, day + 0.2));
            }
        }
        events.sort_by_key(|event| event.occurred_at);
        let rows =
            EventRows::new(&events, 60, 50, KindNumbers::of(&events), |_| ControlFlow::Continue(())).unwrap();
        let (parameters, threads) = (EnsembleParameters::serving(), Threads::new(1).unwrap());
        let masked = &[true, false, false];
        let go_on = |_| ControlFlow::Continue(());
        let inputs = KindInputs { acts: &rows.acts, n_items: rows.n_items, masked, needed };
        let models = KindModels::fit(&inputs, None, &parameters, &threads, go_on).unwrap();
        EventKinds { numbers: rows.kinds, models }
    }

    #[test]
    fn a_profile_has_the_acts_it_remembers() {
        let kinds = kinds(None);
        let (view, cart) =
            (kinds.numbers.number(EventKind::View), kinds.numbers.number(EventKind::AddToCart));
        let user = profile(
            &[
                event(9, EventKind::Purchase, 3, 1.0),
                event(9, EventKind::AddToCart, 1, 2.0),
                event(9, EventKind::View, 1, 3.0),
                event(9, EventKind::View, 3, 4.0),
                event(9, EventKind::RemoveFromCart, 5, 4.0),
            ],
            &shop(),
        );
        let acts: Vec<(u32, Option<u8>)> =
            kinds.acts(&user).iter().map(|act| (act.item, Some(act.kind))).collect();
        assert_eq!(acts, [(3, Some(TARGET)), (1, cart), (1, view), (3, view)]);
    }

    #[test]
    fn parts_sum_to_the_column_and_what_is_not_needed_is_not_fitted() {
        let all = kinds(None);
        let viewer =
            profile(&[event(9, EventKind::View, 0, 1.0), event(9, EventKind::View, 1, 2.0)], &shop());
        let acts = all.acts(&viewer);
        let width = 6;
        let mut beside = vec![0f32; all.columns().len() * width];
        all.models.fill_dense(&acts, &Universe::All(width), &mut beside);
        let (place, column) = all
            .columns()
            .iter()
            .enumerate()
            .find(|(_, column)| Some(column.kind) == all.numbers.number(EventKind::View))
            .unwrap();
        let parts = all.parts(*column, &acts, ItemId(2));
        let whole: f32 = parts.iter().map(|(_, part)| part).sum();
        assert!(whole > 0.0 && (whole - beside[place * width + 2]).abs() < 1e-6, "{parts:?}");
        let few = kinds(Some(&[*column]));
        assert_eq!(few.columns(), [*column]);
        let mut own = vec![0f32; width];
        few.models.fill_dense(&acts, &Universe::All(width), &mut own);
        assert_eq!(own, beside[place * width..(place + 1) * width]);
        assert!(few.models.is_sound(width));
        let bytes = |kinds: &EventKinds| postcard::to_stdvec(kinds).unwrap().len();
        assert!(bytes(&few) < bytes(&all), "pairs of other kinds are not there");
        assert!(kinds(Some(&[])).acts(&viewer).is_empty());
    }
}
