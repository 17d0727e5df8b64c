//! Attribution of purchases to messages: last touch, net of returns.
//!
//! A purchase is credited to the latest message to its user that names the item and was sent before it, at most the
//! attribution window ago. The time is that of the purchase (`occurred_at`), not of its arrival, so a purchase that is
//! reported late is credited as if it had been reported at once, and one made before the message never is. Every line of an
//! order counts. A return takes back what was bought, whenever it comes: first from a purchase of the same basket, then
//! from the latest before it; by its money where both name money, else by its units.
//!
//! In: the messages and trades of one user, in any order. Out: [`Kept`] purchases, [`Credit`]s, sums by message.

use std::collections::BTreeMap;

use tidings_core::base::{ItemId, Millis, NotificationId, Timestamp};

/// Less than this share of a purchase left over is rounding, not a purchase.
const NOTHING_LEFT: f64 = 1e-6;

/// A purchase or a return of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Item bought or returned.
    pub item: ItemId,
    /// Moment of the purchase or return, by the event's own clock.
    pub at: Timestamp,
    /// A return; otherwise a purchase.
    pub is_return: bool,
    /// Units, > 0.
    pub quantity: f64,
    /// Money for all units, ≥ 0; `None` when the shop names none.
    pub value: Option<f64>,
    /// Basket or order; `None` when the shop names none.
    pub basket: Option<i64>,
}

/// A purchase with what returns left of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// As bought.
    pub trade: Trade,
    /// Share of it that was not returned, 0…1.
    pub share: f64,
}

impl Kept {
    /// Returns whether anything was not returned.
    pub fn is_kept(&self) -> bool {
        self.share > NOTHING_LEFT
    }

    /// Money for what was not returned; 0 without a value.
    pub fn value(&self) -> f64 {
        if self.is_kept() { self.share * self.trade.value.unwrap_or(0.0) } else { 0.0 }
    }

    /// Takes back up to what `left` still wants; returns what it wants after that.
    fn give_back(&mut self, left: Owed) -> Owed {
        let (whole, wanted) = match (left, self.trade.value) {
            (Owed::Money(money), Some(value)) if value > 0.0 => (value, money),
            // A line without money has no part in a refund by money.
            (Owed::Money(_), Some(_)) => return left,
            (Owed::Money(_), None) => (1.0, f64::INFINITY),
            (Owed::Units(units), _) => (self.trade.quantity, units),
        };
        let taken = wanted.min(self.share * whole);
        self.share -= taken / whole;
        match left {
            Owed::Money(_) if self.trade.value.is_none() => Owed::Units(0.0),
            Owed::Money(money) => Owed::Money(money - taken),
            Owed::Units(units) => Owed::Units(units - taken),
        }
    }
}

/// Amount that a return still has to take back.
#[derive(Clone, Copy, Debug)]
enum Owed {
    Money(f64),
    Units(f64),
}

impl Owed {
    fn of(trade: &Trade) -> Self {
        trade.value.filter(|value| *value > 0.0).map_or(Self::Units(trade.quantity), Self::Money)
    }

    fn is_settled(self) -> bool {
        let (Self::Money(left) | Self::Units(left)) = self;
        left <= NOTHING_LEFT
    }
}

/// The purchases of one user by time, each with what its returns left. Returns of what was never bought are ignored.
/// O(n log n) but for users who return a great deal.
pub fn settle(trades: &[Trade]) -> Vec<Kept> {
    let mut ordered: Vec<&Trade> = trades.iter().collect();
    ordered.sort_by_key(|trade| (trade.at, trade.is_return, trade.item));
    let mut kept: Vec<Kept> = Vec::with_capacity(ordered.len());
    for trade in ordered {
        if !trade.is_return {
            kept.push(Kept { trade: *trade, share: 1.0 });
            continue;
        }
        let mut left = Owed::of(trade);
        for same_basket in [true, false] {
            let of_pass = |line: &&mut Kept| {
                let same = trade.basket.is_some() && line.trade.basket == trade.basket;
                line.trade.item == trade.item && same == same_basket && line.is_kept()
            };
            for line in kept.iter_mut().rev().filter(of_pass) {
                if left.is_settled() {
                    break;
                }
                left = line.give_back(left);
            }
        }
    }
    kept
}

/// A message that names items.
#[derive(Clone, Debug, PartialEq)]
pub struct Naming {
    /// Id of the message.
    pub message: NotificationId,
    /// Moment of sending.
    pub at: Timestamp,
    /// Items named in it.
    pub items: Box<[ItemId]>,
}

/// A purchase owed to a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Credit {
    /// To which message.
    pub message: NotificationId,
    /// Purchase credited, with the share of it that was kept.
    pub purchase: Kept,
}

/// Credits the purchases of one user to messages to that user, by time of purchase. Of two messages of one moment the
/// later in `messages` counts as the latest.
pub fn credit(messages: &[Naming], trades: &[Trade], window: Millis) -> Vec<Credit> {
    let mut ordered: Vec<&Naming> = messages.iter().collect();
    ordered.sort_by_key(|message| message.at);
    let latest = |purchase: &Trade| {
        let before = ordered.partition_point(|message| message.at <= purchase.at);
        let since = purchase.at - window;
        let newest_first = ordered.iter().take(before).rev().take_while(|message| message.at >= since);
        newest_first.into_iter().find(|message| message.items.contains(&purchase.item))
    };
    settle(trades)
        .into_iter()
        .filter_map(|purchase| Some(Credit { message: latest(&purchase.trade)?.message, purchase }))
        .collect()
}

/// Purchases attributed to one message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Brought {
    /// Money, returns taken off.
    pub revenue: f64,
    /// Moment of the first purchase that was kept at least in part; `None` when all of it went back.
    pub first: Option<Timestamp>,
}

/// Sums credits by message.
pub fn by_message<'a>(credits: impl IntoIterator<Item = &'a Credit>) -> BTreeMap<NotificationId, Brought> {
    let mut sums: BTreeMap<NotificationId, Brought> = BTreeMap::new();
    for Credit { message, purchase } in credits {
        let brought = sums.entry(*message).or_default();
        if purchase.is_kept() {
            let at = purchase.trade.at;
            brought.revenue += purchase.value();
            brought.first = Some(brought.first.map_or(at, |first| first.min(at)));
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
    const WINDOW: Millis = Millis::hours(72);

    fn id(number: u128) -> NotificationId {
        NotificationId(Uuid::from_u128(number))
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp(NOW.0 + hours * 3_600_000_000)
    }

    fn naming(number: u128, hours: i64, items: &[u32]) -> Naming {
        Naming { message: id(number), at: at(hours), items: items.iter().map(|item| ItemId(*item)).collect() }
    }

    fn bought(item: u32, hours: i64, value: f64) -> Trade {
        Trade {
            item: ItemId(item),
            at: at(hours),
            is_return: false,
            quantity: 1.0,
            value: Some(value),
            basket: None,
        }
    }

    fn returned(item: u32, hours: i64, value: Option<f64>) -> Trade {
        Trade { is_return: true, value, ..bought(item, hours, 0.0) }
    }

    /// Message → revenue and whether it converted.
    fn sums(messages: &[Naming], trades: &[Trade]) -> Vec<(u128, f64, bool)> {
        by_message(&credit(messages, trades, WINDOW))
            .into_iter()
            .map(|(id, brought)| (id.0.as_u128(), brought.revenue, brought.first.is_some()))
            .collect()
    }

    #[test]
    fn a_purchase_before_the_message_is_not_its_conversion_however_late_it_is_reported() {
        assert_eq!(sums(&[naming(1, 0, &[7])], &[bought(7, -20, 100.0)]), []);
        // It belongs to the message before it, if there is one.
        let messages = [naming(2, 0, &[7]), naming(1, -30, &[7])];
        assert_eq!(sums(&messages, &[bought(7, -20, 100.0)]), [(1, 100.0, true)]);
    }

    #[test]
    fn every_line_of_an_order_counts() {
        let order = [bought(7, 1, 100.0), bought(8, 1, 100.0), bought(9, 1, 100.0), bought(99, 1, 50.0)];
        assert_eq!(sums(&[naming(1, 0, &[7, 8, 9])], &order), [(1, 300.0, true)]);
        let same_item = [bought(7, 1, 100.0), bought(7, 1, 100.0), bought(7, 1, 100.0)];
        assert_eq!(sums(&[naming(1, 0, &[7])], &same_item), [(1, 300.0, true)]);
    }

    #[test]
    fn the_latest_message_that_names_the_item_gets_it_within_the_window() {
        let messages = [naming(1, 0, &[7]), naming(2, 10, &[7, 8]), naming(3, 20, &[8])];
        let credited = |hours| sums(&messages, &[bought(7, hours, 10.0)]);
        assert_eq!(credited(5), [(1, 10.0, true)]);
        assert_eq!(credited(0), [(1, 10.0, true)], "in the same moment");
        assert_eq!(credited(30), [(2, 10.0, true)]);
        assert_eq!(credited(82), [(2, 10.0, true)]);
        assert_eq!(credited(83), []);
        assert_eq!(sums(&messages, &[bought(99, 30, 10.0)]), []);
    }

    #[test]
    fn a_return_takes_back_what_was_bought_whenever_it_comes_and_is_reported() {
        let messages = [naming(1, 0, &[7, 8])];
        let order = [bought(7, 1, 100.0), bought(8, 1, 200.0)];
        let with = |returns: &[Trade]| sums(&messages, &[returns, &order].concat());
        assert_eq!(with(&[returned(7, 2, Some(100.0))]), [(1, 200.0, true)]);
        assert_eq!(with(&[returned(7, 2, None), returned(8, 400, None)]), [(1, 0.0, false)]);
        assert_eq!(with(&[returned(8, 2, Some(50.0))]), [(1, 250.0, true)], "a part of the money");
        assert_eq!(with(&[returned(8, 2, Some(900.0))]), [(1, 100.0, true)], "never more than was paid");
        assert_eq!(with(&[returned(7, 0, None)]), [(1, 300.0, true)], "before the purchase: of another one");
    }

    #[test]
    fn a_return_of_an_earlier_purchase_costs_the_message_nothing() {
        let messages = [naming(1, 0, &[7])];
        let before = Trade { basket: Some(1), ..bought(7, -50, 100.0) };
        let after = Trade { basket: Some(2), ..bought(7, 1, 80.0) };
        let back = |basket| Trade { basket, ..returned(7, 3, None) };
        assert_eq!(sums(&messages, &[before, after, back(Some(1))]), [(1, 80.0, true)]);
        assert_eq!(sums(&messages, &[before, after, back(Some(2))]), [(1, 0.0, false)]);
        // Nothing says which: the latest.
        assert_eq!(sums(&messages, &[before, after, back(None)]), [(1, 0.0, false)]);
        assert_eq!(sums(&messages, &[before, back(Some(1))]), []);
    }

    #[test]
    fn a_return_after_another_message_is_of_the_purchase_and_not_of_that_message() {
        let messages = [naming(1, 0, &[7]), naming(2, 5, &[7])];
        assert_eq!(sums(&messages, &[bought(7, 1, 100.0), returned(7, 6, None)]), [(1, 0.0, false)]);
    }

    #[test]
    fn units_go_back_by_their_share_of_the_money() {
        let three = Trade { quantity: 3.0, ..bought(7, 1, 300.0) };
        let one = Trade { quantity: 1.0, ..returned(7, 2, None) };
        let messages = [naming(1, 0, &[7])];
        let [(_, revenue, true)] = sums(&messages, &[three, one])[..] else { panic!() };
        assert!((revenue - 200.0).abs() < 1e-9);
        assert_eq!(sums(&messages, &[three, one, one, one]), [(1, 0.0, false)]);
        // No money was named: units alone say whether it converted.
        let free = Trade { value: None, ..three };
        assert_eq!(sums(&messages, &[free, one]), [(1, 0.0, true)]);
        assert_eq!(sums(&messages, &[free, one, one, one]), [(1, 0.0, false)]);
    }

    fn trade() -> impl Strategy<Value = Trade> {
        (
            0u32..3,
            -5i64..5,
            any::<bool>(),
            1u8..4,
            proptest::option::of(1u16..500),
            proptest::option::of(0i64..2),
        )
            .prop_map(|(item, hours, is_return, quantity, value, basket)| Trade {
                item: ItemId(item),
                at: at(hours),
                is_return,
                quantity: f64::from(quantity),
                value: value.map(f64::from),
                basket,
            })
    }

    proptest! {
        /// Nothing is credited twice, nothing below 0, nothing before its message; and the order of arrival is all the same
        /// (but for trades of one moment, whose order nothing tells).
        #[test]
        fn no_more_is_credited_than_was_bought(trades in proptest::collection::vec(trade(), 0..12)) {
            let messages = [naming(1, -3, &[0, 1]), naming(2, 0, &[1, 2])];
            let credits = credit(&messages, &trades, WINDOW);
            for Credit { message, purchase } in &credits {
                let named = messages.iter().find(|naming| naming.message == *message).unwrap();
                prop_assert!(named.at <= purchase.trade.at && named.items.contains(&purchase.trade.item));
                prop_assert!((-1e-9..=1.0).contains(&purchase.share));
            }
            let spent: f64 = trades.iter().filter(|trade| !trade.is_return).filter_map(|trade| trade.value).sum();
            let revenue: f64 = by_message(&credits).values().map(|brought| brought.revenue).sum();
            prop_assert!((0.0..=spent + 1e-9).contains(&revenue), "{revenue} of {spent}");
            let mut moments: Vec<_> = trades.iter().map(|trade| (trade.at, trade.is_return, trade.item)).collect();
            moments.sort();
            moments.dedup();
            if moments.len() == trades.len() {
                let reversed: Vec<Trade> = trades.iter().rev().copied().collect();
                prop_assert_eq!(credit(&messages, &reversed, WINDOW), credits);
            }
        }
    }
}
