//! Rows of several kinds of behaviour by user, and what of them is hidden while tuning.

use std::collections::{HashMap, HashSet};

use crate::recommend::ensemble::{Act, TARGET, masked_items};

/// Acts a user needs to have one of the target kind held out.
const FEWEST_ACTS: usize = 3;
/// Share of the held-out rows that must be the last of their user and the target kind for the split to be one in time.
const IN_TIME: f64 = 0.5;

/// Acts by user, and the names of their kinds.
#[derive(Clone, Debug, Default)]
pub(super) struct KindTable {
    /// The target kind first.
    pub(super) names: Vec<String>,
    /// By kind: whether what was touched stays out of lists.
    pub(super) masked: Vec<bool>,
    /// Training rows, oldest first.
    pub(super) acts: Vec<Vec<Act>>,
    /// Rows that users are known by instead, for those who have any.
    pub(super) known: Vec<Vec<Act>>,
}

impl KindTable {
    pub(super) fn new(target: &str) -> Self {
        Self { names: vec![target.to_owned()], masked: vec![true], ..Self::default() }
    }

    /// The number of a kind; a new name gets the next one, the 256th and later share one.
    pub(super) fn kind(&mut self, name: &str) -> u8 {
        let place = self.names.iter().position(|other| other == name).unwrap_or(self.names.len());
        let kind = u8::try_from(place).unwrap_or(u8::MAX);
        if place == self.names.len() && kind < u8::MAX {
            self.names.push(name.to_owned());
            self.masked.push(false);
        }
        kind
    }

    /// Puts acts in order.
    pub(super) fn sort(&mut self) {
        for acts in self.acts.iter_mut().chain(&mut self.known) {
            acts.sort_by(|a, b| a.day.total_cmp(&b.day));
            acts.shrink_to_fit();
        }
    }

    /// Rows that a user is known by, oldest first; empty for an unknown one.
    pub(super) fn known(&self, user: usize) -> &[Act] {
        let apart = self.known.get(user).filter(|acts| !acts.is_empty());
        apart.or_else(|| self.acts.get(user)).map_or(&[][..], Vec::as_slice)
    }

    /// Items that stay out of a user's list.
    pub(super) fn seen(&self, user: usize) -> HashSet<u32> {
        masked_items(self.known(user), &self.masked)
    }

    /// The newest item of the target kind of every user with enough acts.
    pub(super) fn newest_targets(&self) -> Vec<(u32, u32)> {
        let rows = (0u32..).zip(&self.acts).filter(|(_, acts)| acts.len() >= FEWEST_ACTS);
        let newest = |acts: &[Act]| acts.iter().rev().find(|act| act.kind == TARGET).map(|act| act.item);
        rows.filter_map(|(user, acts)| Some((user, newest(acts)?))).collect()
    }

    /// Takes out the held-out (user, item) pairs of the target kind; where most of them are the last of their user, what came
    /// later too: it was not known then.
    pub(super) fn hide(&mut self, held_out: &HashSet<(u32, u32)>) {
        let mut first: HashMap<u32, f64> = HashMap::new();
        let is_held_out = |user: u32, act: &Act| act.kind == TARGET && held_out.contains(&(user, act.item));
        let mut last = 0usize;
        for (user, acts) in (0u32..).zip(&self.acts) {
            let Some(day) = acts.iter().find(|act| is_held_out(user, act)).map(|act| act.day) else {
                continue;
            };
            first.insert(user, day);
            let later = |act: &Act| act.kind == TARGET && act.day > day && !is_held_out(user, act);
            last += usize::from(!acts.iter().any(later));
        }
        let in_time = last as f64 > IN_TIME * first.len() as f64;
        for (user, acts) in (0u32..).zip(&mut self.acts) {
            let end = first.get(&user).copied().filter(|_| in_time).unwrap_or(f64::INFINITY);
            acts.retain(|act| act.day <= end && !is_held_out(user, act));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CART: u8 = 1;

    fn table(rows: &[&[(u32, u8, f64)]]) -> KindTable {
        let mut table = KindTable::new("purchase");
        assert_eq!(table.kind("cart"), CART);
        let act = |(item, kind, day): &(u32, u8, f64)| Act { item: *item, kind: *kind, day: *day };
        table.acts = rows.iter().map(|row| row.iter().map(act).collect()).collect();
        table
    }

    #[test]
    fn what_came_after_a_held_out_purchase_is_hidden_with_it() {
        let row = [(1, CART, 1.0), (2, TARGET, 2.0), (1, TARGET, 3.0), (4, CART, 4.0)];
        let mut table = table(&[&row, &[(5, CART, 1.0)]]);
        assert_eq!(table.newest_targets(), [(0, 1)]);
        table.hide(&HashSet::from([(0, 1)]));
        let left: Vec<(u32, u8)> = table.acts[0].iter().map(|act| (act.item, act.kind)).collect();
        // The cart of the bought item stays.
        assert_eq!(left, [(1, CART), (2, TARGET)]);
        assert_eq!(table.acts[1].len(), 1);
        assert_eq!(table.seen(0), HashSet::from([2]));
    }

    #[test]
    fn where_purchases_are_held_out_at_random_the_later_ones_stay() {
        let row = [(1, TARGET, 1.0), (2, TARGET, 2.0), (3, CART, 3.0)];
        let mut table = table(&[&row]);
        table.hide(&HashSet::from([(0, 1)]));
        assert_eq!(table.acts[0].len(), 2);
    }
}
