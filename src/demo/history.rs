//! Three months of behaviour up to "now", drawn by a seed: who did what when, with the rhythm of days and weeks.

use rayon::prelude::*;

use super::chance::{self, happens};
use super::session::{self, Act, Memory, Plan};
use super::shop::Shop;
use super::shoppers::Shopper;
use tidings_core::base::random::{ChaCha8Rng, rng};
use tidings_core::base::time::DAYS_PER_MONTH;
use tidings_core::base::{EventKey, ExternalId, Millis, Timestamp};
use tidings_core::event::{EventKind, NewEvent};

/// Visits a shopper makes in a month, on average.
const VISITS_PER_MONTH: f64 = 11.0;
/// Minutes an average look at an item lasts.
const MINUTES_PER_VIEW: f64 = 3.2;
/// Share of lasting goods that are sent back.
const RETURN_SHARE: f64 = 0.03;

/// Draws histories; holds nothing but its inputs.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Shop they buy from.
    pub shop: &'a Shop,
    /// Number of shoppers, ids 1…n.
    pub n_shoppers: u32,
    /// The end of the history; no event is later.
    pub now: Timestamp,
}

impl History<'_> {
    /// Every event in order of time; the same inputs give the same events with the same keys. About 120 a shopper;
    /// 2,000 shoppers take well under a second on two cores in a release build.
    pub fn events(&self) -> Vec<NewEvent> {
        let mut events: Vec<NewEvent> = (1..=i64::from(self.n_shoppers))
            .into_par_iter()
            .flat_map_iter(|id| self.of_shopper(id))
            .collect();
        events.par_sort_by(|a, b| a.occurred_at.cmp(&b.occurred_at).then(a.key.cmp(&b.key)));
        events
    }

    fn of_shopper(&self, id: i64) -> Vec<NewEvent> {
        let shopper = Shopper::generate(self.shop, id);
        let mut rng = rng(self.shop.seed, &format!("history {id}"));
        let visits = self.visit_times(&shopper, &mut rng);
        let months = shopper.tenure_days / DAYS_PER_MONTH;
        let mut pace = Pace::new(&shopper, months, visits.len(), &mut rng);
        let mut memory = Memory::default();
        let mut ledger = Ledger { shop: self.shop, shopper: &shopper, now: self.now, events: Vec::new() };
        for (number, start) in visits.into_iter().enumerate() {
            let age_days = self.now.days_since(start);
            let on_sale =
                |item: usize| self.shop.items.get(item).is_some_and(|item| item.age_days > age_days);
            let plan = pace.next_plan();
            let acts = session::play(self.shop, &shopper, &mut memory, plan, &mut rng, &on_sale);
            ledger.note_visit(number, start, &acts, &mut rng);
        }
        ledger.events
    }

    /// Moments of visits, ascending: the first when they joined, the others where they like to shop.
    fn visit_times(&self, shopper: &Shopper, rng: &mut ChaCha8Rng) -> Vec<Timestamp> {
        let first = self.now.plus_days(-shopper.tenure_days);
        let wanted = VISITS_PER_MONTH * chance::noise(rng, 0.2) * shopper.tenure_days / DAYS_PER_MONTH;
        let mut times = vec![first];
        // Rejection: a uniform moment stands if it is an hour they would shop at.
        let busiest = 1.06 * shopper.weekend.max(1.0);
        while (times.len() as f64) < wanted {
            let moment = first.plus_days(chance::between(rng, 0.0, shopper.tenure_days));
            if happens(rng, shopper.activity(moment) / busiest) {
                times.push(moment);
            }
        }
        times.sort_unstable();
        times
    }
}

/// Things bought in one visit, if any is: people fill a parcel.
const PURCHASES_AT_ONCE: f64 = 2.0;

/// Deals a shopper's monthly rates out to visits so that their sums come true, whatever the number of visits.
struct Pace {
    visits: f64,
    number: f64,
    /// Searches, purchases, views: total over all visits, phase in 0…1, dealt so far.
    counts: [(f64, f64, u32); 3],
    minutes_per_visit: f64,
}

impl Pace {
    fn new(shopper: &Shopper, months: f64, visits: usize, rng: &mut ChaCha8Rng) -> Self {
        let visits = visits.max(1) as f64;
        let minutes = shopper.minutes * months;
        let views = (minutes / MINUTES_PER_VIEW).max(shopper.purchases * months);
        let counts = [shopper.searches * months, shopper.purchases * months, views]
            .map(|total| (total, chance::between(rng, 0.0, 1.0), 0));
        Self { visits, number: 0.0, counts, minutes_per_visit: minutes / visits }
    }

    fn next_plan(&mut self) -> Plan {
        self.number += 1.0;
        let share = (self.number / self.visits).min(1.0);
        let mut at_once = [1.0, PURCHASES_AT_ONCE, 1.0].into_iter();
        let [searches, purchases, views] = self.counts.each_mut().map(|(total, phase, dealt)| {
            // What is over at the last visit comes alone, so that the sum comes true.
            let step = at_once.next().filter(|_| share < 1.0).unwrap_or(1.0);
            let due = ((*total * share + *phase) / step).floor() * step;
            let due = due as u32;
            let now = due.saturating_sub(*dealt);
            *dealt = due;
            now
        });
        Plan { searches, purchases, views: views.max(1), minutes: self.minutes_per_visit }
    }
}

/// Writes acts down as events.
struct Ledger<'a> {
    shop: &'a Shop,
    shopper: &'a Shopper,
    now: Timestamp,
    events: Vec<NewEvent>,
}

impl Ledger<'_> {
    fn note_visit(&mut self, number: usize, start: Timestamp, acts: &[Act], rng: &mut ChaCha8Rng) {
        let basket = basket_of(self.shop.seed, self.shopper.id, number);
        let mut at = start;
        for act in acts {
            let lasting = match act {
                Act::View(_, dwell_ms) => u64::from(*dwell_ms),
                _ => 0,
            };
            self.note(act, at, Some(basket));
            if let Act::Purchase(item, _) = act
                && !self
                    .shop
                    .items
                    .get(*item)
                    .and_then(|i| self.shop.kind_of(i))
                    .is_some_and(|k| k.consumable)
                && happens(rng, RETURN_SHARE)
            {
                self.note_return(*item, at.plus_days(chance::between(rng, 3.0, 10.0)));
            }
            at = at + Millis(lasting + 2_000 + (9_000.0 * chance::noise(rng, 0.6)) as u64);
        }
    }

    fn note(&mut self, act: &Act, at: Timestamp, basket: Option<i64>) {
        let event = match act {
            Act::Search(query) => {
                NewEvent { query: Some(query.clone()), ..self.blank(EventKind::Search, None, at) }
            }
            Act::View(item, dwell_ms) => {
                NewEvent { dwell_ms: Some(*dwell_ms), ..self.blank(EventKind::View, Some(*item), at) }
            }
            Act::AddToCart(item) => self.blank(EventKind::AddToCart, Some(*item), at),
            Act::RemoveFromCart(item) => self.blank(EventKind::RemoveFromCart, Some(*item), at),
            Act::Purchase(item, quantity) => NewEvent {
                quantity: *quantity as f32,
                value: self.shop.items.get(*item).map(|item| item.price * f64::from(*quantity)),
                currency: Some("EUR".to_owned()),
                ..self.blank(EventKind::Purchase, Some(*item), at)
            },
            Act::Like(item) => self.blank(EventKind::Like, Some(*item), at),
            Act::Rate(item, stars) => {
                NewEvent { value: Some(f64::from(*stars)), ..self.blank(EventKind::Rate, Some(*item), at) }
            }
        };
        self.push(NewEvent { basket, ..event });
    }

    fn note_return(&mut self, item: usize, at: Timestamp) {
        let value = self.shop.items.get(item).map(|item| item.price);
        let event = self.blank(EventKind::Return, Some(item), at);
        self.push(NewEvent { value, currency: Some("EUR".to_owned()), ..event });
    }

    fn push(&mut self, event: NewEvent) {
        if event.occurred_at <= self.now {
            self.events.push(event);
        }
    }

    fn blank(&self, kind: EventKind, item: Option<usize>, at: Timestamp) -> NewEvent {
        let number = self.events.len() as u64;
        let parts: [&[u8]; 4] = [
            b"demo history",
            &self.shop.seed.to_le_bytes(),
            &self.shopper.id.to_le_bytes(),
            &number.to_le_bytes(),
        ];
        NewEvent {
            key: EventKey::from_parts(&parts),
            deduplicate: true,
            user: Some(ExternalId::Integer(self.shopper.id)),
            item: item.and_then(|item| self.shop.items.get(item)).map(|item| ExternalId::Integer(item.id)),
            kind,
            occurred_at: at,
            dwell_ms: None,
            query: None,
            quantity: 1.0,
            value: None,
            currency: None,
            basket: None,
            list: None,
        }
    }
}

fn basket_of(seed: u64, shopper: i64, visit: usize) -> i64 {
    let parts: [&[u8]; 4] =
        [b"demo visit", &seed.to_le_bytes(), &shopper.to_le_bytes(), &(visit as u64).to_le_bytes()];
    i64::try_from(EventKey::from_parts(&parts).0.as_u128() >> 65).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::shoppers::CLASSES;
    use tidings_core::profile::{Features, SegmentParameters, Segmentation};

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-23T12:00:00Z").unwrap()
    }

    #[test]
    fn a_history_repeats_itself_by_seed_and_ends_now() {
        let shop = Shop::generate(1, 600).unwrap();
        let history = History { shop: &shop, n_shoppers: 150, now: now() };
        let events = history.events();
        assert!(events == history.events());
        let other = Shop::generate(2, 600).unwrap();
        assert!(events != History { shop: &other, ..history }.events());
        assert!(events.is_sorted_by_key(|event| event.occurred_at));
        assert!(events.last().unwrap().occurred_at <= now());
        assert!(now().days_since(events[0].occurred_at) <= 92.001);
        let keys: HashSet<_> = events.iter().map(|event| event.key).collect();
        assert_eq!(keys.len(), events.len());
        let per_shopper = events.len() / 150;
        assert!((90..145).contains(&per_shopper), "{per_shopper} events a shopper");
    }

    /// Each shopper with what a month of theirs looks like.
    fn months(n_shoppers: u32) -> Vec<(Shopper, Features)> {
        let shop = Shop::generate(1, 600).unwrap();
        let events = History { shop: &shop, n_shoppers, now: now() }.events();
        let mut sums: HashMap<i64, [f64; 3]> = HashMap::new();
        for event in &events {
            let Some(ExternalId::Integer(user)) = event.user else { panic!("anonymous") };
            let [purchases, minutes, searches] = sums.entry(user).or_default();
            match event.kind {
                EventKind::Purchase => *purchases += 1.0,
                EventKind::View => *minutes += f64::from(event.dwell_ms.unwrap()) / 60_000.0,
                EventKind::Search => *searches += 1.0,
                _ => {}
            }
        }
        (1..=i64::from(n_shoppers))
            .map(|id| {
                let shopper = Shopper::generate(&shop, id);
                let months = (shopper.tenure_days / DAYS_PER_MONTH).max(1.0);
                let [purchases, minutes, searches] = sums[&id].map(|sum| sum / months);
                let features = Features {
                    purchases_per_month: purchases,
                    browsing_minutes_per_month: minutes,
                    searches_per_month: searches,
                    recency_days: None,
                    monetary: 0.0,
                    active: None,
                };
                (shopper, features)
            })
            .collect()
    }

    #[test]
    fn hidden_classes_show_in_the_features_of_their_shoppers() {
        let shoppers = months(600);
        for (index, class) in CLASSES.iter().enumerate() {
            let members: Vec<[f64; 3]> = shoppers
                .iter()
                .filter(|(shopper, _)| shopper.class == index && shopper.tenure_days > 31.0)
                .map(|(_, features)| features.observed())
                .collect();
            assert!(members.len() > 30);
            for (column, planted) in [class.purchases, class.minutes, class.searches].into_iter().enumerate()
            {
                let mean = members.iter().map(|member| member[column]).sum::<f64>() / members.len() as f64;
                assert!((mean / planted - 1.0).abs() < 0.08, "{}: {mean} instead of {planted}", class.name);
            }
        }
    }

    #[test]
    fn segments_find_the_hidden_classes_again() {
        let shoppers = months(2_000);
        let features: Vec<Features> = shoppers.iter().map(|(_, features)| *features).collect();
        let segmentation = Segmentation::fit(&features, &SegmentParameters::default()).unwrap();
        let found = shoppers
            .iter()
            .filter(|(shopper, features)| usize::from(segmentation.assign(features).0) == shopper.class)
            .count();
        assert!(found > 1_800, "{found} of 2000 {:#?}", segmentation.summaries());
    }

    #[test]
    fn lasting_goods_are_bought_once_and_consumables_again() {
        let shop = Shop::generate(1, 600).unwrap();
        let events = History { shop: &shop, n_shoppers: 200, now: now() }.events();
        let mut bought: HashMap<(ExternalId, ExternalId), u32> = HashMap::new();
        for event in events.iter().filter(|event| event.kind == EventKind::Purchase) {
            *bought.entry((event.user.clone().unwrap(), event.item.clone().unwrap())).or_default() += 1;
        }
        let mut again = 0;
        for ((_, item), times) in bought {
            let ExternalId::Integer(id) = item else { panic!("{item}") };
            let item = shop.find(id).unwrap();
            assert!(item.stock > 0, "{} is sold out", item.title);
            if shop.kind_of(item).unwrap().consumable {
                again += usize::from(times > 1);
            } else {
                assert_eq!(times, 1, "{}", item.title);
            }
        }
        assert!(again > 100, "{again}");
    }
}
