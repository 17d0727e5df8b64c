//! Histories from events: what the blend of a server is learnt on. A row for each user, then one for each anonymous basket.

use std::ops::ControlFlow;

use crate::event::Event;
use crate::profile::interest;
use crate::recommend::models::interactions::Groups;

use super::histories::{Histories, Interaction};

/// Rows made between two looks at cancellation.
const ROWS_AT_ONCE: usize = 512;
const MICROS_A_DAY: f64 = 86_400e6;

/// Rows with owned data; see [`Histories`].
#[derive(Clone, Debug, Default)]
pub struct EventHistories {
    /// Oldest first, no item twice.
    pub rows: Vec<Vec<Interaction>>,
    /// One more than the largest item.
    pub n_items: usize,
    /// Mean interest before scaling: weights are divided by it, so that 1 is usual in every shop and penalties mean the same
    /// where people buy and where they look.
    pub unit: f32,
}

/// The damped interest of one item: log2(1 + x), in units of the shop's mean. `unit` not above 0 counts as 1.
pub fn damped(interest: f32, unit: f32) -> f32 {
    (1.0 + interest).log2() / if unit > 0.0 { unit } else { 1.0 }
}

impl EventHistories {
    /// From events in order of time; of each row the newest `history_cap` items that still interest. `progress` hears 0…1 and
    /// may break, then `None` comes back. O(events log history).
    pub fn new(
        events: &[Event],
        n_users: usize,
        history_cap: usize,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let groups = Groups::by_visitor(n_users, events);
        let n_items = events.iter().filter_map(|event| event.item).map(|item| item.index() + 1).max();
        let mut rows = Vec::with_capacity(groups.n_rows());
        let mut cells: Vec<(u32, usize, f32, f64)> = Vec::new();
        let (mut sum, mut count) = (0f64, 0usize);
        for row in 0..groups.n_rows() {
            cells.clear();
            let events = groups.row(row, events).enumerate();
            cells.extend(events.filter_map(|(place, event)| {
                let day = event.occurred_at.0 as f64 / MICROS_A_DAY;
                Some((event.item?.0, place, interest(event), day))
            }));
            let history = history(&mut cells, history_cap);
            sum += history.iter().map(|one| f64::from(one.weight)).sum::<f64>();
            count += history.len();
            rows.push(history);
            if row % ROWS_AT_ONCE == 0 && progress(row as f32 / groups.n_rows() as f32).is_break() {
                return None;
            }
        }
        let unit = if count > 0 { (sum / count as f64) as f32 } else { 1.0 };
        rows.iter_mut().flatten().for_each(|one| one.weight /= unit);
        Some(Self { rows, n_items: n_items.unwrap_or(0), unit })
    }

    /// Histories that models are fitted on.
    pub fn histories(&self) -> Histories<'_> {
        Histories { rows: &self.rows, n_items: self.n_items }
    }
}

/// Merges the events (item, place, interest, day) of one row by item.
fn history(cells: &mut Vec<(u32, usize, f32, f64)>, cap: usize) -> Vec<Interaction> {
    cells.sort_by_key(|(item, place, ..)| (*item, *place));
    cells.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            (kept.1, kept.2, kept.3) = (later.1, kept.2 + later.2, later.3);
        }
        same
    });
    cells.retain(|(_, _, interest, _)| *interest > 1e-6);
    cells.sort_by_key(|(_, place, ..)| *place);
    let newest = cells.get(cells.len().saturating_sub(cap)..).unwrap_or_default();
    let one = |(item, _, interest, day): &(u32, usize, f32, f64)| Interaction {
        item: *item,
        day: *day,
        weight: damped(*interest, 1.0),
    };
    newest.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::recommend::fixtures::{anonymous, event};

    #[test]
    fn a_history_holds_each_item_once_where_it_was_last_touched() {
        let events = [
            event(0, EventKind::View, 3, 0.0),
            event(0, EventKind::Purchase, 1, 1.0),
            event(0, EventKind::Purchase, 3, 2.0),
            event(0, EventKind::Purchase, 5, 3.0),
            event(0, EventKind::Return, 5, 4.0),
            event(0, EventKind::RemoveFromCart, 2, 4.0),
            anonymous(7, 9, 5.0),
        ];
        let found = EventHistories::new(&events, 2, 10, |_| ControlFlow::Continue(())).unwrap();
        let items: Vec<Vec<u32>> =
            found.rows.iter().map(|row| row.iter().map(|one| one.item).collect()).collect();
        // What was sent back keeps a little interest.
        assert_eq!(items, [vec![1, 3, 5], vec![], vec![9]]);
        assert_eq!(found.n_items, 10);
        let weights: Vec<f32> = found.rows.iter().flatten().map(|one| one.weight).collect();
        let mean = weights.iter().sum::<f32>() / weights.len() as f32;
        assert!((mean - 1.0).abs() < 1e-5, "{weights:?}");
        assert!((damped(1.2, found.unit) - weights[1]).abs() < 1e-5);
        let short = EventHistories::new(&events, 2, 1, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(short.rows[0].len(), 1);
        assert!(EventHistories::new(&events, 2, 1, |_| ControlFlow::Break(())).is_none());
        let nothing = EventHistories::new(&[], 0, 9, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((nothing.rows.len(), nothing.n_items, nothing.unit), (0, 0, 1.0));
    }
}
