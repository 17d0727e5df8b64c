//! The sparse user × item matrix (CSR, weights > 0) that every collaborative model is made from. Rows 0…n_users − 1
//! are users; anonymous baskets follow, one row each. A weight is the interest of all events of a user with an
//! item, each halving with age, damped by log2(1 + x) so that a tenth purchase adds less than the first.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::base::Timestamp;
use crate::event::{Event, EventKind};
use crate::profile::interest;

/// Rows made between two looks at cancellation.
const ROWS_AT_ONCE: usize = 512;

/// One cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Item, as a column.
    pub item: u32,
    /// Interest, > 0.
    pub weight: f32,
    /// Days from the last event with the item to the newest event of all, ≥ 0.
    pub age_days: f32,
    /// True if it was bought.
    pub bought: bool,
}

/// Compressed sparse rows; the entries of a row sorted by item. 16 bytes an entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    offsets: Vec<usize>,
    entries: Vec<Entry>,
    n_items: usize,
}

/// Parameters by which events become weights.
#[derive(Clone, Copy, Debug)]
pub struct Weighting {
    /// Interest halves in this many days; not positive or not finite = never.
    pub half_life_days: f64,
    /// Newest items kept a row.
    pub history_cap: usize,
}

/// Grouping of events by the row each belongs to, rows in order: `order[offsets[r]..offsets[r + 1]]` are the indices of row r's
/// events, in the order they came. Counting sort, O(events + rows).
pub struct Groups {
    offsets: Vec<usize>,
    order: Vec<u32>,
}

impl Groups {
    /// Groups by `row_of`; `None` = in no row.
    pub fn new(n_rows: usize, events: &[Event], row_of: impl Fn(&Event) -> Option<usize>) -> Self {
        let mut offsets = vec![0usize; n_rows + 1];
        for row in events.iter().filter_map(&row_of) {
            if let Some(count) = offsets.get_mut(row + 1) {
                *count += 1;
            }
        }
        let mut total = 0;
        for offset in &mut offsets {
            total += *offset;
            *offset = total;
        }
        let mut next = offsets.clone();
        let mut order = vec![0u32; total];
        for (index, event) in (0u32..).zip(events) {
            let Some(place) = row_of(event).and_then(|row| next.get_mut(row)) else { continue };
            if let Some(slot) = order.get_mut(*place) {
                *slot = index;
            }
            *place += 1;
        }
        Self { offsets, order }
    }

    /// By user.
    pub fn by_user(n_users: usize, events: &[Event]) -> Self {
        Self::new(n_users, events, |event| event.user.map(|user| user.index()).filter(|user| *user < n_users))
    }

    /// By user, then a row for each anonymous basket, in order of appearance; anonymous events without a basket are in none.
    pub fn by_visitor(n_users: usize, events: &[Event]) -> Self {
        let mut baskets: HashMap<i64, usize> = HashMap::new();
        for event in events.iter().filter(|event| event.user.is_none()) {
            if let Some(basket) = event.basket {
                let next = n_users + baskets.len();
                baskets.entry(basket).or_insert(next);
            }
        }
        Self::new(n_users + baskets.len(), events, |event| match (event.user, event.basket) {
            (Some(user), _) => Some(user.index()).filter(|user| *user < n_users),
            (None, Some(basket)) => baskets.get(&basket).copied(),
            (None, None) => None,
        })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The events of a row, oldest first if they came so; empty for an unknown row.
    pub fn row<'a>(&'a self, row: usize, events: &'a [Event]) -> impl Iterator<Item = &'a Event> + 'a {
        let range = self.offsets.get(row).zip(self.offsets.get(row + 1));
        range
            .and_then(|(from, to)| self.order.get(*from..*to))
            .unwrap_or_default()
            .iter()
            .filter_map(|index| events.get(*index as usize))
    }
}

impl Matrix {
    /// From events in any order. Ages count from the newest event, not from the clock: a shop whose data ends a
    /// year ago still has fresh and stale. `progress` hears 0…1 every few milliseconds and may break, then `None`
    /// comes back. O(events log history).
    pub fn from_events(
        events: &[Event],
        n_users: usize,
        weighting: &Weighting,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let groups = Groups::by_visitor(n_users, events);
        let newest = events.iter().map(|event| event.occurred_at).max().unwrap_or_default();
        let n_items =
            events.iter().filter_map(|event| event.item).map(|item| item.index() + 1).max().unwrap_or(0);
        let mut matrix = Self { offsets: vec![0], entries: Vec::new(), n_items };
        let mut cells = Vec::new();
        for row in 0..groups.n_rows() {
            cells.clear();
            cells.extend(groups.row(row, events).filter_map(|event| cell(event, newest, weighting)));
            matrix.push_row(&mut cells, weighting.history_cap);
            if row % ROWS_AT_ONCE == 0 && progress(row as f32 / groups.n_rows() as f32).is_break() {
                return None;
            }
        }
        Some(matrix)
    }

    /// From rows of (item, weight) as they are, nothing damped or decayed: for evaluation of plain tables.
    pub fn from_rows(rows: &[Vec<(u32, f32)>], n_items: usize) -> Self {
        let entry =
            |(item, weight): &(u32, f32)| Entry { item: *item, weight: *weight, age_days: 0.0, bought: true };
        Self::from_entries(rows.iter().map(|row| row.iter().map(entry).collect()), n_items)
    }

    /// From rows of cells as they are. Cells outside the matrix or without a weight > 0 are left out; of several of
    /// one item in a row the first counts. O(cells log row).
    pub fn from_entries(rows: impl IntoIterator<Item = Vec<Entry>>, n_items: usize) -> Self {
        let mut matrix = Self { offsets: vec![0], entries: Vec::new(), n_items };
        for mut cells in rows {
            cells.retain(|cell| {
                (cell.item as usize) < n_items && cell.weight.is_finite() && cell.weight > 0.0
            });
            cells.sort_by_key(|cell| cell.item);
            cells.dedup_by_key(|cell| cell.item);
            matrix.entries.append(&mut cells);
            matrix.offsets.push(matrix.entries.len());
        }
        matrix
    }

    /// The same cells with other weights, by row and cell. O(cells).
    pub(crate) fn reweighted(&self, weight: impl Fn(usize, &Entry) -> f32) -> Self {
        let mut matrix = self.clone();
        for (row, range) in self.offsets.windows(2).enumerate() {
            let [from, to] = range else { continue };
            for entry in matrix.entries.get_mut(*from..*to).into_iter().flatten() {
                entry.weight = weight(row, entry);
            }
        }
        matrix
    }

    /// Merges the cells of one row by item, drops what is not wanted (any more), keeps the newest.
    fn push_row(&mut self, cells: &mut Vec<Entry>, history_cap: usize) {
        cells.sort_by_key(|cell| cell.item);
        cells.dedup_by(|later, kept| {
            let same = later.item == kept.item;
            if same {
                kept.weight += later.weight;
                kept.age_days = kept.age_days.min(later.age_days);
                kept.bought |= later.bought;
            }
            same
        });
        cells.retain(|cell| cell.weight > 1e-6);
        if cells.len() > history_cap {
            cells.sort_by(|a, b| a.age_days.total_cmp(&b.age_days).then(a.item.cmp(&b.item)));
            cells.truncate(history_cap);
            cells.sort_by_key(|cell| cell.item);
        }
        self.entries.extend(cells.iter().map(|cell| Entry { weight: (1.0 + cell.weight).log2(), ..*cell }));
        self.offsets.push(self.entries.len());
    }

    /// The entries of a row, by item; empty for an unknown row.
    pub fn row(&self, row: usize) -> &[Entry] {
        let range = self.offsets.get(row).zip(self.offsets.get(row + 1));
        range.and_then(|(from, to)| self.entries.get(*from..*to)).unwrap_or_default()
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &[Entry]> {
        (0..self.n_rows()).map(|row| self.row(row))
    }

    /// Users and anonymous baskets.
    pub fn n_rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// One more than the largest item.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Number of cells.
    pub fn n_entries(&self) -> usize {
        self.entries.len()
    }
}

/// One event as a cell before merging; `None` when it says nothing about an item.
fn cell(event: &Event, newest: Timestamp, weighting: &Weighting) -> Option<Entry> {
    let item = event.item?.0;
    let weight = interest(event);
    if weight == 0.0 {
        return None;
    }
    let age_days = newest.days_since(event.occurred_at).max(0.0);
    let faded = if weighting.half_life_days.is_finite() && weighting.half_life_days > 0.0 {
        (-age_days / weighting.half_life_days).exp2()
    } else {
        1.0
    };
    Some(Entry {
        item,
        weight: (f64::from(weight) * faded) as f32,
        age_days: age_days as f32,
        bought: event.kind == EventKind::Purchase,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::fixtures::{anonymous, event};

    fn matrix(events: &[Event], n_users: usize, half_life_days: f64, history_cap: usize) -> Matrix {
        let weighting = Weighting { half_life_days, history_cap };
        Matrix::from_events(events, n_users, &weighting, |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn events_of_a_user_with_an_item_become_one_weight() {
        let events = [
            event(0, EventKind::View, 3, 0.0),
            event(0, EventKind::Purchase, 3, 1.0),
            event(0, EventKind::Purchase, 1, 1.0),
            event(0, EventKind::Return, 1, 1.0),
            event(0, EventKind::RemoveFromCart, 2, 1.0),
        ];
        let matrix = matrix(&events, 2, 0.0, 10);
        assert_eq!((matrix.n_rows(), matrix.n_items(), matrix.n_entries()), (2, 4, 2));
        let [returned, bought] = matrix.row(0) else { panic!("{:?}", matrix.row(0)) };
        assert_eq!((returned.item, bought.item), (1, 3));
        assert!((returned.weight - 1.2f32.log2()).abs() < 1e-6);
        assert!((bought.weight - 2.2f32.log2()).abs() < 1e-6);
        assert!(bought.bought);
        assert!(matrix.row(1).is_empty() && matrix.row(99).is_empty());
    }

    #[test]
    fn interest_halves_with_age_counted_from_the_newest_event() {
        let events = [event(0, EventKind::Purchase, 0, 0.0), event(1, EventKind::Purchase, 0, 10.0)];
        let matrix = matrix(&events, 2, 10.0, 10);
        assert!((matrix.row(0)[0].weight - 1.5f32.log2()).abs() < 1e-6);
        assert!((matrix.row(1)[0].weight - 1.0).abs() < 1e-6);
        assert_eq!(matrix.row(0)[0].age_days, 10.0);
    }

    #[test]
    fn anonymous_baskets_follow_the_users_and_long_histories_keep_the_newest() {
        let mut events: Vec<_> =
            (0..5).map(|item| event(0, EventKind::Purchase, item, f64::from(item))).collect();
        events.push(anonymous(77, 1, 6.0));
        events.push(anonymous(77, 2, 6.0));
        let matrix = matrix(&events, 1, 0.0, 3);
        assert_eq!(matrix.row(0).iter().map(|entry| entry.item).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(matrix.row(1).iter().map(|entry| entry.item).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn no_events_give_an_empty_matrix() {
        assert_eq!(matrix(&[], 0, 30.0, 10).n_rows(), 0);
        assert_eq!(matrix(&[], 3, 30.0, 10).n_rows(), 3);
    }
}
