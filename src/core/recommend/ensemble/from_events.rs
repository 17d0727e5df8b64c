//! Examples from events: what the blend of a server is learnt on. A row for each user, then one for each anonymous basket.

use std::ops::ControlFlow;

use crate::event::Event;
use crate::profile::interest;
use crate::recommend::models::interactions::Groups;

use super::histories::{Histories, Interaction};
use super::kinds::{Act, KindNumbers};

/// Rows made between two looks at cancellation.
const ROWS_AT_ONCE: usize = 512;
const MICROS_A_DAY: f64 = 86_400e6;

/// Rows with owned data: histories over all kinds, and the acts of each kind. No kind has a weight: what it is worth is learnt.
#[derive(Clone, Debug, Default)]
pub struct EventRows {
    /// Oldest first, each item once at its newest event, all alike.
    pub rows: Vec<Vec<Interaction>>,
    /// By row: acts of the numbered kinds, oldest first; empty rows in a shop of one kind.
    pub acts: Vec<Vec<Act>>,
    /// One more than the largest item.
    pub n_items: usize,
    /// Kinds of behaviour that are told apart.
    pub kinds: KindNumbers,
}

impl EventRows {
    /// From events in order of time, with these kinds told apart; of each row the newest `history_cap` items that still interest (those whose signs of interest
    /// outweigh removals and returns). `progress` hears 0…1 and may break, then `None` comes back. O(events log history).
    pub fn new(
        events: &[Event],
        n_users: usize,
        history_cap: usize,
        kinds: KindNumbers,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let groups = Groups::by_visitor(n_users, events);
        let n_items = events.iter().filter_map(|event| event.item).map(|item| item.index() + 1).max();
        let mut found = Self { n_items: n_items.unwrap_or(0), kinds, ..Self::default() };
        let mut cells: Vec<Cell> = Vec::new();
        for row in 0..groups.n_rows() {
            cells.clear();
            cells.extend(groups.row(row, events).enumerate().filter_map(Cell::of));
            found.rows.push(history(&mut cells, history_cap));
            let acts = groups.row(row, events).filter_map(|event| act(event, &found.kinds));
            found.acts.push(acts.collect());
            if row % ROWS_AT_ONCE == 0 && progress(row as f32 / groups.n_rows() as f32).is_break() {
                return None;
            }
        }
        Some(found)
    }

    /// Histories that models are fitted on.
    pub fn histories(&self) -> Histories<'_> {
        Histories { rows: &self.rows, n_items: self.n_items }
    }
}

fn act(event: &Event, kinds: &KindNumbers) -> Option<Act> {
    let kind = kinds.number(event.kind).filter(|_| interest(event) > 0.0)?;
    Some(Act { item: event.item?.0, kind, day: event.occurred_at.0 as f64 / MICROS_A_DAY })
}

/// One event of a row.
struct Cell {
    item: u32,
    place: usize,
    /// Only its sign counts, after those of all events of the item are summed.
    interest: f32,
    day: f64,
}

impl Cell {
    fn of((place, event): (usize, &Event)) -> Option<Self> {
        let day = event.occurred_at.0 as f64 / MICROS_A_DAY;
        Some(Self { item: event.item?.0, place, interest: interest(event), day })
    }
}

/// Merges the events of one row by item.
fn history(cells: &mut Vec<Cell>, cap: usize) -> Vec<Interaction> {
    cells.sort_by_key(|cell| (cell.item, cell.place));
    cells.dedup_by(|later, kept| {
        let same = later.item == kept.item;
        if same {
            *kept = Cell { interest: kept.interest + later.interest, ..*later };
        }
        same
    });
    cells.retain(|cell| cell.interest > 1e-6);
    cells.sort_by_key(|cell| cell.place);
    let newest = cells.get(cells.len().saturating_sub(cap)..).unwrap_or_default();
    newest.iter().map(|cell| Interaction { item: cell.item, day: cell.day, weight: 1.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::recommend::ensemble::TARGET;
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
        let found =
            EventRows::new(&events, 2, 10, KindNumbers::of(&events), |_| ControlFlow::Continue(())).unwrap();
        let items: Vec<Vec<u32>> =
            found.rows.iter().map(|row| row.iter().map(|one| one.item).collect()).collect();
        // What was sent back keeps a little interest.
        assert_eq!(items, [vec![1, 3, 5], vec![], vec![9]]);
        assert_eq!(found.n_items, 10);
        assert!(found.rows.iter().flatten().all(|one| one.weight == 1.0), "no kind has a weight");
        assert!(found.acts.iter().all(Vec::is_empty), "too few events to tell kinds apart");
        let short =
            EventRows::new(&events, 2, 1, KindNumbers::of(&events), |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(short.rows[0].len(), 1);
        assert!(
            EventRows::new(&events, 2, 1, KindNumbers::of(&events), |_| ControlFlow::Break(())).is_none()
        );
        let nothing = EventRows::new(&[], 0, 9, KindNumbers::of(&[]), |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((nothing.rows.len(), nothing.n_items), (0, 0));
    }

    #[test]
    fn acts_of_each_kind_are_kept_apart() {
        let mut events: Vec<_> = (0..300).map(|n| event(0, EventKind::View, n % 7, f64::from(n))).collect();
        events.extend((0..250).map(|n| event(0, EventKind::Purchase, n % 5, 400.0 + f64::from(n))));
        events.push(event(0, EventKind::Return, 1, 700.0));
        let found =
            EventRows::new(&events, 1, 10, KindNumbers::of(&events), |_| ControlFlow::Continue(())).unwrap();
        let bought = found.acts[0].iter().filter(|act| act.kind == TARGET).count();
        assert_eq!((found.acts[0].len(), bought, found.rows[0].len()), (550, 250, 7));
    }
}
