//! Mind of a live shopper: what to do next and what to make of a notification. No socket, no clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::chance::{self, happens};
use crate::session::{self, Act, Memory, Plan};
use crate::shop::{Shop, ShopItem};
use crate::shoppers::{Fatigue, Shopper};
use tidings_core::base::Timestamp;
use tidings_core::base::random::ChaCha8Rng;

/// Live shoppers live fast: half of their fatigue is gone after this long.
const FATIGUE_HALF_LIFE_MS: u64 = 90_000;
/// Purchases a month of the keenest class: scales how often a round of browsing ends in one.
const KEENEST: f64 = 15.0;

/// Reaction of a shopper to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Opens this item (the shop's id).
    Clicks(i64),
    /// Closes it.
    Dismisses,
    /// Wants no more of its kind.
    Mutes,
    /// Leaves it.
    Ignores,
}

/// One shopper during one visit.
pub struct Mind {
    shop: Arc<Shop>,
    shopper: Shopper,
    memory: Memory,
    fatigue: Fatigue,
    rng: ChaCha8Rng,
    queue: VecDeque<Act>,
    rounds_left: u32,
}

impl Mind {
    /// Someone who comes in with what they remember; `rng` is theirs alone.
    pub fn new(shop: Arc<Shop>, shopper: Shopper, memory: Memory, mut rng: ChaCha8Rng) -> Self {
        let rounds_left = 1 + u32::try_from(chance::index(&mut rng, 5)).unwrap_or(0);
        let fatigue = Fatigue::default();
        Self { shop, shopper, memory, fatigue, rng, queue: VecDeque::new(), rounds_left }
    }

    /// Shopper whose mind this is.
    pub fn shopper(&self) -> &Shopper {
        &self.shopper
    }

    /// Memory for the next visit.
    pub fn into_memory(self) -> Memory {
        self.memory
    }

    /// The next thing to do; `None` when they have had enough.
    pub fn next_act(&mut self) -> Option<Act> {
        while self.queue.is_empty() && self.rounds_left > 0 {
            self.rounds_left -= 1;
            let keenness = self.shopper.purchases / KEENEST;
            let plan = Plan {
                searches: u32::from(happens(&mut self.rng, self.shopper.searches / 30.0)),
                // A parcel is worth its postage: two things or none.
                purchases: 2 * u32::from(happens(&mut self.rng, 0.15 * keenness)),
                views: 2 + u32::try_from(chance::index(&mut self.rng, 4)).unwrap_or(0),
                minutes: 0.0,
            };
            let acts =
                session::play(&self.shop, &self.shopper, &mut self.memory, plan, &mut self.rng, &|_| true);
            self.queue.extend(acts);
        }
        self.queue.pop_front()
    }

    /// Pause until the next action, around `pace`.
    pub fn pause(&mut self, pace: Duration) -> Duration {
        pace.mul_f64(chance::noise(&mut self.rng, 0.5).clamp(0.2, 4.0))
    }

    /// A draw in 0…1, for whoever needs one.
    pub fn draw(&mut self) -> f64 {
        chance::between(&mut self.rng, 0.0, 1.0)
    }

    /// Draws the reaction to a notification about these items (the shop's ids, best first). A click leads to a look and
    /// perhaps to a purchase, which come next.
    pub fn react(&mut self, items: &[i64], now: Timestamp) -> Reaction {
        let fatigue = self.fatigue.level(now, FATIGUE_HALF_LIFE_MS);
        self.fatigue.add(now, FATIGUE_HALF_LIFE_MS);
        let best = self.best_of(items);
        let relevance = best.map_or(0.0, |(_, relevance)| relevance);
        if let Some((id, _)) = best
            && happens(&mut self.rng, self.shopper.click_probability(relevance, fatigue))
        {
            self.open(id, relevance);
            return Reaction::Clicks(id);
        }
        if happens(&mut self.rng, self.shopper.mute_probability(relevance, fatigue)) {
            return Reaction::Mutes;
        }
        // The duller and the more frequent, the sooner it is waved away.
        let dismiss = 0.1 + 0.35 * (1.0 - relevance) + 0.05 * fatigue;
        if happens(&mut self.rng, dismiss) { Reaction::Dismisses } else { Reaction::Ignores }
    }

    /// The item they like best; the place in the list counts a little, as it does for people.
    fn best_of(&self, items: &[i64]) -> Option<(i64, f64)> {
        items
            .iter()
            .take(6)
            .enumerate()
            .filter_map(|(place, id)| Some((*id, self.shopper.relevance(self.shop.find(*id)?), place)))
            .max_by(|a, b| (a.1 - 0.03 * a.2 as f64).total_cmp(&(b.1 - 0.03 * b.2 as f64)))
            .map(|(id, relevance, _)| (id, relevance))
    }

    fn open(&mut self, id: i64, relevance: f64) {
        let Some(index) = self.shop.items.iter().position(|item| item.id == id) else { return };
        let lasting = self
            .shop
            .items
            .get(index)
            .and_then(|item| self.shop.kind_of(item))
            .is_some_and(|kind| !kind.consumable);
        let in_stock = self.shop.items.get(index).is_some_and(|item: &ShopItem| item.stock > 0);
        let owned = lasting && self.memory.bought.contains(&index);
        let mut then = vec![Act::View(index, 0)];
        if in_stock && !owned && happens(&mut self.rng, 0.35 * relevance) {
            then.push(Act::AddToCart(index));
            if happens(&mut self.rng, 0.5) {
                then.push(Act::Purchase(index, 1));
                self.memory.bought.push(index);
            } else {
                self.memory.cart.push(index);
            }
        }
        for act in then.into_iter().rev() {
            self.queue.push_front(act);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::random::rng;

    fn mind(id: i64) -> Mind {
        let shop = Arc::new(Shop::generate(1, 600).unwrap());
        let shopper = Shopper::generate(&shop, id);
        Mind::new(shop, shopper, Memory::default(), rng(1, &format!("mind {id}")))
    }

    #[test]
    fn a_visit_is_lively_and_ends() {
        let mut lengths = Vec::new();
        for id in 1..60 {
            let mut mind = mind(id);
            lengths.push(std::iter::from_fn(|| mind.next_act()).count());
        }
        assert!(lengths.iter().all(|length| (1..100).contains(length)), "{lengths:?}");
        assert!(lengths.iter().sum::<usize>() > 59 * 6, "{lengths:?}");
    }

    #[test]
    fn what_they_love_is_clicked_more_often_and_then_looked_at() {
        let (mut loved, mut other) = (0, 0);
        let now = Timestamp::from_seconds(1_000_000);
        for id in 1..=300 {
            let mut subject = mind(id);
            let mut items: Vec<(f64, i64)> =
                subject.shop.items.iter().map(|item| (subject.shopper.relevance(item), item.id)).collect();
            items.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (dullest, finest) = (items[0].1, items[items.len() - 1].1);
            if subject.react(&[finest], now) == Reaction::Clicks(finest) {
                loved += 1;
                let Some(Act::View(index, _)) = subject.next_act() else { panic!("a click without a look") };
                assert_eq!(subject.shop.items[index].id, finest);
            }
            other += i32::from(matches!(mind(id).react(&[dullest], now), Reaction::Clicks(_)));
        }
        assert!(loved > 90 && other < 15, "{loved} {other}");
    }

    #[test]
    fn unknown_items_are_never_clicked() {
        let mut mind = mind(3);
        for _ in 0..50 {
            assert!(!matches!(mind.react(&[1, 999_999], Timestamp::default()), Reaction::Clicks(_)));
        }
    }
}
