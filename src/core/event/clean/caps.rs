//! Bounds learnt from the data: where each kind's quantity, value and dwell are cut off, and what stands in
//! for a missing value. Winsorising (Tukey 1962): an outlier is pulled to the bound, not thrown away, since
//! the event itself did happen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::event::{EventKind, NewEvent};

/// Longest dwell ever believed, in milliseconds: a day (the wire's own bound).
const MAX_DWELL_MS: f64 = 86_400_000.0;
/// Dwell bound while nothing has been learnt: half an hour, the usual end of a web session.
const DEFAULT_DWELL_CAP_MS: u32 = 1_800_000;

/// Upper bounds of one kind; `None` = nothing of the sort was seen, so nothing is cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct KindCaps {
    /// Units.
    quantity: Option<f32>,
    /// Money of a purchase or return, by currency: 25,000 yen are no outlier among euros. Stars are never cut.
    values: Vec<(Option<String>, f64)>,
    /// Milliseconds.
    dwell_ms: Option<u32>,
    /// Median dwell, for those that have none.
    typical_dwell_ms: Option<u32>,
}

/// Bounds for outliers and values for missing fields, per kind. Small, so that a live server can keep one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caps {
    /// By `EventKind::code() − 1`.
    kinds: Vec<KindCaps>,
    /// Currency of purchases and returns that say none: the one that all others have. `None` where there are several.
    currency: Option<String>,
}

impl Caps {
    /// For live events before anything was learnt: dwell is cut at 30 minutes, nothing else.
    pub fn live_default() -> Self {
        let mut caps = Self { kinds: vec![KindCaps::default(); EventKind::ALL.len()], currency: None };
        if let Some(view) = caps.kinds.first_mut() {
            view.dwell_ms = Some(DEFAULT_DWELL_CAP_MS);
        }
        caps
    }

    /// Learns from events: bounds at `quantile` (0…1, nearest rank, so that below 1 / (1 − quantile) values
    /// the bound is the largest of them and nothing is cut), medians and the currency, if there is one only. No events: nothing is cut or filled. O(n).
    pub fn learn<'a>(events: impl Iterator<Item = &'a NewEvent>, quantile: f64) -> Self {
        #[derive(Clone, Default)]
        struct Seen<'a> {
            quantities: Vec<f64>,
            values: BTreeMap<Option<&'a str>, Vec<f64>>,
            dwells: Vec<f64>,
        }
        let mut kinds = vec![Seen::default(); EventKind::ALL.len()];
        let mut currencies: BTreeSet<&str> = BTreeSet::new();
        for event in events {
            let Some(seen) = kinds.get_mut(index(event.kind)) else { continue };
            seen.quantities.push(f64::from(event.quantity));
            if let Some(dwell) = event.dwell_ms {
                seen.dwells.push(f64::from(dwell));
            }
            if carries_money(event.kind) {
                seen.values.entry(event.currency.as_deref()).or_default().extend(event.value);
                currencies.extend(event.currency.as_deref());
            }
        }
        let mut currencies = currencies.into_iter();
        let only = currencies.next().filter(|_| currencies.next().is_none());
        if let Some(only) = only {
            // What is filled with a currency is compared with the bound of that currency, so it is learnt from as well.
            for seen in &mut kinds {
                let unnamed = seen.values.remove(&None).unwrap_or_default();
                if !unnamed.is_empty() {
                    seen.values.entry(Some(only)).or_default().extend(unnamed);
                }
            }
        }
        let kinds = kinds
            .into_iter()
            .map(|mut seen| KindCaps {
                quantity: nearest_rank(&mut seen.quantities, quantile).map(|cap| cap as f32),
                values: seen
                    .values
                    .into_iter()
                    .filter_map(|(currency, mut values)| {
                        Some((currency.map(str::to_owned), nearest_rank(&mut values, quantile)?))
                    })
                    .collect(),
                dwell_ms: nearest_rank(&mut seen.dwells, quantile).map(|cap| cap.min(MAX_DWELL_MS) as u32),
                typical_dwell_ms: nearest_rank(&mut seen.dwells, 0.5).map(|median| median as u32),
            })
            .collect();
        Self { kinds, currency: only.map(str::to_owned) }
    }

    /// Fills what is missing, then pulls outliers down: a purchase has its currency before its value is compared with a bound.
    /// Whether anything was filled, and whether anything was pulled down.
    pub(super) fn clean(&self, event: &mut NewEvent) -> (bool, bool) {
        let is_filled = self.fill(event);
        (is_filled, self.winsorise(event))
    }

    /// Pulls quantity, value and dwell down to the bounds of the kind; money to the bound of its currency, where one was learnt.
    /// True when anything was changed.
    pub fn winsorise(&self, event: &mut NewEvent) -> bool {
        let Some(caps) = self.kinds.get(index(event.kind)) else { return false };
        let mut changed = false;
        if let Some(cap) = caps.quantity
            && event.quantity > cap
        {
            event.quantity = cap;
            changed = true;
        }
        let cap = caps.values.iter().find(|(currency, _)| *currency == event.currency).map(|(_, cap)| *cap);
        if let (Some(cap), Some(value)) = (cap, event.value)
            && carries_money(event.kind)
            && value > cap
        {
            event.value = Some(cap);
            changed = true;
        }
        if let Some(dwell) = event.dwell_ms {
            let kept = self.winsorise_dwell(event.kind, dwell);
            changed |= kept != dwell;
            event.dwell_ms = Some(kept);
        }
        changed
    }

    /// A dwell in milliseconds, at most the kind's bound.
    pub fn winsorise_dwell(&self, kind: EventKind, dwell_ms: u32) -> u32 {
        self.kinds.get(index(kind)).and_then(|caps| caps.dwell_ms).map_or(dwell_ms, |cap| dwell_ms.min(cap))
    }

    /// Fills a view's missing dwell with the median and missing currency of money with the only one.
    /// True when anything was filled.
    pub fn fill(&self, event: &mut NewEvent) -> bool {
        let mut changed = false;
        if event.kind == EventKind::View && event.dwell_ms.is_none() {
            event.dwell_ms = self.kinds.get(index(event.kind)).and_then(|caps| caps.typical_dwell_ms);
            changed = event.dwell_ms.is_some();
        }
        if carries_money(event.kind)
            && event.value.is_some()
            && event.currency.is_none()
            && self.currency.is_some()
        {
            event.currency.clone_from(&self.currency);
            changed = true;
        }
        changed
    }
}

/// Returns whether `value` is money for this kind.
pub(super) fn carries_money(kind: EventKind) -> bool {
    matches!(kind, EventKind::Purchase | EventKind::Return)
}

fn index(kind: EventKind) -> usize {
    usize::try_from(kind.code() - 1).unwrap_or(usize::MAX)
}

/// The smallest value such that at least `quantile` of all are not above it; `None` when there are none.
fn nearest_rank(values: &mut [f64], quantile: f64) -> Option<f64> {
    let rank = (quantile.clamp(0.0, 1.0) * values.len() as f64).ceil() as usize;
    let index = rank.max(1) - 1;
    if index >= values.len() {
        return None;
    }
    Some(*values.select_nth_unstable_by(index, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{EventKey, ExternalId, Timestamp};

    fn event(kind: EventKind, quantity: f32, value: Option<f64>, dwell_ms: Option<u32>) -> NewEvent {
        NewEvent {
            key: EventKey::from_parts(&[]),
            deduplicate: true,
            user: Some(ExternalId::Integer(1)),
            item: Some(ExternalId::Integer(1)),
            kind,
            occurred_at: Timestamp::from_seconds(1_300_000_000),
            dwell_ms,
            query: None,
            quantity,
            value,
            currency: None,
            basket: None,
            list: None,
        }
    }

    #[test]
    fn the_nearest_rank_is_a_value_that_occurs() {
        let mut values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        assert_eq!(nearest_rank(&mut values, 0.999), Some(999.0));
        assert_eq!(nearest_rank(&mut values, 0.5), Some(500.0));
        assert_eq!(nearest_rank(&mut values, 1.0), Some(1000.0));
        assert_eq!(nearest_rank(&mut values, 0.0), Some(1.0));
        assert_eq!(nearest_rank(&mut [3.0], 0.999), Some(3.0));
        assert_eq!(nearest_rank(&mut [], 0.5), None);
    }

    #[test]
    fn each_kind_has_bounds_of_its_own_and_stars_are_left_alone() {
        let mut events: Vec<NewEvent> = (1..=2000)
            .map(|n| event(EventKind::Purchase, n as f32, Some(f64::from(n)), None))
            .chain((1..=2000).map(|n| event(EventKind::View, 1.0, None, Some(n))))
            .collect();
        events.push(event(EventKind::Rate, 1.0, Some(5.0), None));
        let caps = Caps::learn(events.iter(), 0.999);
        let mut purchase = event(EventKind::Purchase, 80_995.0, Some(77_183.6), None);
        assert!(caps.winsorise(&mut purchase));
        assert_eq!((purchase.quantity, purchase.value), (1998.0, Some(1998.0)));
        let mut view = event(EventKind::View, 1.0, None, Some(1999));
        assert!(caps.winsorise(&mut view));
        assert_eq!(view.dwell_ms, Some(1998));
        let mut usual = event(EventKind::Purchase, 1998.0, Some(5.0), None);
        assert!(!caps.winsorise(&mut usual));
        let mut stars = event(EventKind::Rate, 1.0, Some(5.0), None);
        assert!(!caps.winsorise(&mut stars));
    }

    #[test]
    fn a_bound_of_euros_does_not_cut_yen() {
        let priced = |value: f64, currency: &str| NewEvent {
            currency: Some(currency.to_owned()),
            ..event(EventKind::Purchase, 1.0, Some(value), None)
        };
        let events: Vec<NewEvent> =
            (1..=2000).map(|n| priced(f64::from(n), "EUR")).chain([priced(25_000.0, "JPY")]).collect();
        let caps = Caps::learn(events.iter(), 0.999);
        let mut yen = priced(25_000.0, "JPY");
        assert!(!caps.winsorise(&mut yen));
        let mut euros = priced(25_000.0, "EUR");
        assert!(caps.winsorise(&mut euros));
        assert_eq!(euros.value, Some(1_998.0));
    }

    #[test]
    fn missing_dwell_and_currency_are_filled_with_what_is_usual() {
        let mut pound = event(EventKind::Purchase, 1.0, Some(1.0), None);
        pound.currency = Some("GBP".into());
        let events =
            [event(EventKind::View, 1.0, None, Some(10)), event(EventKind::View, 1.0, None, Some(30)), pound];
        let caps = Caps::learn(events.iter(), 0.999);
        let mut view = event(EventKind::View, 1.0, None, None);
        assert!(caps.fill(&mut view));
        assert_eq!(view.dwell_ms, Some(10));
        let mut purchase = event(EventKind::Purchase, 1.0, Some(1.0), None);
        assert!(caps.fill(&mut purchase));
        assert_eq!(purchase.currency.as_deref(), Some("GBP"));
        let mut unpriced = event(EventKind::Purchase, 1.0, None, None);
        assert!(!caps.fill(&mut unpriced));
        assert!(!Caps::default().fill(&mut event(EventKind::View, 1.0, None, None)));
    }

    #[test]
    fn each_currency_has_bounds_of_its_own_and_none_is_guessed_among_several() {
        let paid = |value: f64, currency: Option<&str>| {
            let mut event = event(EventKind::Purchase, 1.0, Some(value), None);
            event.currency = currency.map(str::to_owned);
            event
        };
        let mut events: Vec<NewEvent> = (1..=5_000).map(|n| paid(f64::from(n % 100), Some("EUR"))).collect();
        events.push(paid(25_000.0, Some("JPY")));
        let caps = Caps::learn(events.iter(), 0.999);
        let mut yen = paid(25_000.0, Some("JPY"));
        assert!(!caps.winsorise(&mut yen));
        let mut euro = paid(25_000.0, Some("EUR"));
        assert!(caps.winsorise(&mut euro));
        let mut unknown = paid(5.0, None);
        assert!(!caps.fill(&mut unknown));
    }

    #[test]
    fn money_without_a_currency_is_bounded_like_that_of_the_only_one() {
        let paid = |value: f64, currency: Option<&str>| NewEvent {
            currency: currency.map(str::to_owned),
            ..event(EventKind::Purchase, 1.0, Some(value), None)
        };
        let events: Vec<NewEvent> =
            (1..=2_000).map(|n| paid(f64::from(n), (n % 2 == 0).then_some("EUR"))).collect();
        let caps = Caps::learn(events.iter(), 0.999);
        let mut unnamed = paid(50_000.0, None);
        assert_eq!(caps.clean(&mut unnamed), (true, true));
        assert_eq!(
            (unnamed.value, unnamed.currency.as_deref()),
            (Some(1_998.0), Some("EUR")),
            "of all 2,000"
        );
        // Among several currencies none is guessed: its own bound holds.
        let mixed: Vec<NewEvent> = events.iter().cloned().chain([paid(25_000.0, Some("JPY"))]).collect();
        let caps = Caps::learn(mixed.iter(), 0.999);
        let mut unnamed = paid(50_000.0, None);
        assert_eq!(caps.clean(&mut unnamed), (false, true));
        assert_eq!(unnamed.value, Some(1_997.0));
    }

    #[test]
    fn a_live_view_left_open_overnight_counts_half_an_hour() {
        let caps = Caps::live_default();
        assert_eq!(caps.winsorise_dwell(EventKind::View, 40_000_000), 1_800_000);
        assert_eq!(caps.winsorise_dwell(EventKind::View, 1_000), 1_000);
    }
}
