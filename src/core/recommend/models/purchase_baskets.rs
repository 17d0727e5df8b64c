//! Baskets of items from purchases. Goes in: events. Comes out: [`Baskets`].

use crate::base::time::DAY_MICROS;
use crate::event::{Event, EventKind};

use super::frequent_itemsets::Baskets;

/// The baskets that events tell of, in order of basket: purchases with one basket or invoice id belong together, without
/// one those of a user on a day (UTC). 16 bytes a purchase while sorting.
pub fn purchase_baskets(events: &[Event]) -> Baskets {
    let mut bought: Vec<(i64, u32)> = events
        .iter()
        .filter(|event| event.kind == EventKind::Purchase)
        .filter_map(|event| {
            let day = event.occurred_at.0.div_euclid(DAY_MICROS);
            // Ids of baskets are hashes of 64 bits: that one equals a user's day is as unlikely as that two are equal.
            let of_day = |user: u32| (i64::from(user) << 32) | (day & 0xffff_ffff);
            let basket = event.basket.or_else(|| event.user.map(|user| of_day(user.0)))?;
            Some((basket, event.item?.0))
        })
        .collect();
    bought.sort_unstable();
    let mut baskets = Baskets::default();
    let mut items = Vec::new();
    for basket in bought.chunk_by(|a, b| a.0 == b.0) {
        items.clear();
        items.extend(basket.iter().map(|(_, item)| *item));
        baskets.push(&mut items);
    }
    baskets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::fixtures::{anonymous, event};

    #[test]
    fn baskets_are_invoices_or_a_users_day() {
        let mut invoice = event(3, EventKind::Purchase, 5, 0.1);
        invoice.basket = Some(77);
        let events = [
            event(1, EventKind::Purchase, 0, 0.1),
            event(1, EventKind::View, 9, 0.1),
            event(1, EventKind::Purchase, 1, 0.2),
            event(1, EventKind::Purchase, 2, 1.4),
            invoice,
            anonymous(77, 6, 3.0),
            event(2, EventKind::Purchase, 0, 0.1),
        ];
        let baskets = purchase_baskets(&events);
        let mut rows: Vec<Vec<u32>> = baskets.iter().map(<[u32]>::to_vec).collect();
        rows.sort();
        assert_eq!(rows, [vec![0], vec![0, 1], vec![2], vec![5, 6]]);
        assert!(purchase_baskets(&[]).is_empty());
    }
}
