//! Numbers of the kinds of events that the blend tells apart: purchases are what pair models lead to.

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind};

/// Events of a kind below which nothing can be learnt of it.
const FEWEST: usize = 200;
/// Kinds told apart at most, the most frequent ones.
const MOST: usize = 6;

/// Codes of kinds by number; purchases are number 0. Empty where there is one kind of behaviour only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KindNumbers {
    codes: Vec<i16>,
}

/// A claim of a purchase is one to the blend.
fn code(kind: EventKind) -> i16 {
    if kind.is_bought() { EventKind::Purchase.code() } else { kind.code() }
}

impl KindNumbers {
    /// Of the kinds in events that are signs of interest and name items: purchases, if there are enough, and the most frequent
    /// others, ties by code. O(events).
    pub fn of(events: &[Event]) -> Self {
        let mut counts: Vec<(i16, usize)> = Vec::new();
        for event in events.iter().filter(|event| event.item.is_some() && event.kind.interest() > 0.0) {
            let code = code(event.kind);
            match counts.iter_mut().find(|(known, _)| *known == code) {
                Some((_, count)) => *count += 1,
                None => counts.push((code, 1)),
            }
        }
        counts.retain(|(_, count)| *count >= FEWEST);
        let target = EventKind::Purchase.code();
        counts.sort_by_key(|(code, count)| (*code != target, std::cmp::Reverse(*count), *code));
        counts.truncate(MOST);
        let codes: Vec<i16> = counts.into_iter().map(|(code, _)| code).collect();
        let can_learn = codes.len() > 1 && codes.first() == Some(&target);
        Self { codes: if can_learn { codes } else { Vec::new() } }
    }

    /// The same kinds, those that were numbered before under their old numbers: what was learnt of a number stays true.
    pub fn after(self, before: &Self) -> Self {
        if self.is_empty() {
            return self;
        }
        let mut codes = before.codes.clone();
        codes.extend(self.codes.into_iter().filter(|code| !before.codes.contains(code)));
        codes.truncate(2 * MOST);
        Self { codes }
    }

    /// The number of a kind; `None` for one that is not told apart.
    pub fn number(&self, kind: EventKind) -> Option<u8> {
        let place = self.codes.iter().position(|known| *known == code(kind))?;
        u8::try_from(place).ok()
    }

    /// Number of kinds.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Returns whether kinds are not told apart.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::ensemble::TARGET;
    use crate::recommend::fixtures::event;

    fn many(kind: EventKind, n: usize) -> Vec<Event> {
        (0..n).map(|place| event(0, kind, 1, place as f64)).collect()
    }

    #[test]
    fn purchases_come_first_and_rare_kinds_do_not_count() {
        let events = [
            many(EventKind::View, 900),
            many(EventKind::AddToCart, 300),
            many(EventKind::Purchase, 150),
            many(EventKind::PurchaseClaim, 60),
            many(EventKind::Like, 20),
            many(EventKind::Return, 400),
        ]
        .concat();
        let kinds = KindNumbers::of(&events);
        assert_eq!(kinds.len(), 3);
        assert_eq!(kinds.number(EventKind::PurchaseClaim), Some(TARGET));
        assert_eq!(kinds.number(EventKind::View), Some(1));
        assert_eq!(kinds.number(EventKind::AddToCart), Some(2));
        assert_eq!(kinds.number(EventKind::Like), None);
        assert_eq!(kinds.number(EventKind::Return), None);
    }

    #[test]
    fn a_kind_keeps_its_number_from_training_to_training() {
        let buy = many(EventKind::Purchase, 300);
        let before = KindNumbers::of(&[many(EventKind::AddToCart, 400), buy.clone()].concat());
        let now = [many(EventKind::View, 900), many(EventKind::AddToCart, 400), buy].concat();
        let now = KindNumbers::of(&now).after(&before);
        assert_eq!((now.number(EventKind::AddToCart), now.number(EventKind::View)), (Some(1), Some(2)));
        assert_eq!(now.number(EventKind::Purchase), Some(TARGET));
        assert!(KindNumbers::default().after(&before).is_empty());
    }

    #[test]
    fn one_kind_is_not_told_apart() {
        assert!(KindNumbers::of(&many(EventKind::Purchase, 500)).is_empty());
        let looked = [many(EventKind::View, 900), many(EventKind::AddToCart, 300)].concat();
        assert!(KindNumbers::of(&looked).is_empty(), "nothing to lead to");
    }
}
