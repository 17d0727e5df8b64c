//! One visit to the shop: searches, looks, fills the cart, perhaps buys. History and live shoppers both act it out.

use super::chance::{self, happens};
use super::shop::Shop;
use super::shoppers::Shopper;
use tidings_core::base::random::ChaCha8Rng;

/// Action of a shopper. Items are indices into [`Shop::items`].
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Types something.
    Search(String),
    /// Looks at an item for some milliseconds.
    View(usize, u32),
    /// Puts it into the cart.
    AddToCart(usize),
    /// Takes it out again.
    RemoveFromCart(usize),
    /// Buys so many.
    Purchase(usize, u32),
    /// Says that it is good.
    Like(usize),
    /// Gives stars, 1…5.
    Rate(usize, u8),
}

/// Planned contents of a visit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Plan {
    /// Searches.
    pub searches: u32,
    /// Purchases.
    pub purchases: u32,
    /// Items looked at, at least; each purchase is looked at too.
    pub views: u32,
    /// Minutes of looking, shared among the views.
    pub minutes: f64,
}

/// Memory of a shopper between visits.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Bought, and not to be bought again unless consumable.
    pub bought: Vec<usize>,
    /// In the cart.
    pub cart: Vec<usize>,
    /// Kinds that something bought calls for.
    pub wanted: Vec<usize>,
    /// Companion of the thing bought last, bought next.
    pub companion: Option<usize>,
}

/// Chance that a thing is bought together with its companion, if more than one thing is bought.
const WITH_COMPANION: f64 = 0.55;

/// Longest look at one item: 25 minutes.
const MAX_DWELL_MS: f64 = 1_500_000.0;

/// Plays a visit and updates the memory. `on_sale(item)` says whether an item could be seen then.
pub fn play(
    shop: &Shop,
    shopper: &Shopper,
    memory: &mut Memory,
    plan: Plan,
    rng: &mut ChaCha8Rng,
    on_sale: &dyn Fn(usize) -> bool,
) -> Vec<Act> {
    let mut visit = Visit { shop, shopper, memory, rng, on_sale, acts: Vec::new(), looks: Vec::new() };
    visit.tidy_cart();
    let mut kind = visit.choose_kind();
    let looks = plan.views.max(plan.purchases);
    let (mut searches, mut purchases) = (plan.searches, plan.purchases);
    for left in (0..looks.max(1)).rev() {
        // Searches are spread over the visit; each may turn to another shelf.
        let due = searches.div_ceil(left + 1);
        for _ in 0..due {
            if happens(visit.rng, 0.35) {
                kind = visit.choose_kind();
            }
            visit.search(kind);
            searches -= 1;
        }
        if looks == 0 {
            break;
        }
        let buys = purchases > left
            || (purchases > 0 && happens(visit.rng, f64::from(purchases) / f64::from(left + 1)));
        if let Some(next) = visit.look(kind, buys) {
            kind = next;
        }
        purchases -= u32::from(buys);
    }
    let looks = visit.looks;
    let mut acts = visit.acts;
    share_minutes(&mut acts, &looks, plan.minutes);
    acts
}

struct Visit<'a> {
    shop: &'a Shop,
    shopper: &'a Shopper,
    memory: &'a mut Memory,
    rng: &'a mut ChaCha8Rng,
    on_sale: &'a dyn Fn(usize) -> bool,
    acts: Vec<Act>,
    /// Attention of each view, in order: its share of the minutes.
    looks: Vec<f64>,
}

impl Visit<'_> {
    /// Second thoughts about what was left in the cart.
    fn tidy_cart(&mut self) {
        for item in self.memory.cart.clone() {
            if happens(self.rng, 0.2) {
                self.memory.cart.retain(|other| *other != item);
                self.acts.push(Act::RemoveFromCart(item));
            }
        }
    }

    /// Chooses a kind that a bought thing calls for, else a liked kind of a favourite category, else anything.
    fn choose_kind(&mut self) -> usize {
        if !self.memory.wanted.is_empty() && happens(self.rng, 0.6) {
            let index = chance::index(self.rng, self.memory.wanted.len());
            return self.memory.wanted.swap_remove(index);
        }
        if happens(self.rng, 0.08) {
            return chance::index(self.rng, self.shop.kinds.len());
        }
        let weights: Vec<f64> = self
            .shop
            .kinds
            .iter()
            .enumerate()
            .map(|(index, (category, kind))| {
                let favourite = self.shopper.favourites.iter().find(|(of, _)| of == category);
                let liked = if self.shopper.kinds.contains(&index) { 3.0 } else { 1.0 };
                favourite.map_or(0.0, |(_, weight)| weight * liked * if kind.consumable { 1.3 } else { 1.0 })
            })
            .collect();
        chance::weighted(self.rng, &weights).unwrap_or(0)
    }

    fn search(&mut self, kind: usize) {
        let Some((category, kind)) = self.shop.kinds.get(kind) else { return };
        let Some(words) = kind.searches.get(chance::index(self.rng, kind.searches.len())) else { return };
        let brand = self
            .shop
            .categories
            .get(*category)
            .and_then(|shelf| shelf.brands.get(self.shopper.brand.get(*category).copied().unwrap_or(0)));
        let query = match brand {
            Some(brand) if happens(self.rng, 0.2) => format!("{} {words}", brand.to_lowercase()),
            _ => words.clone(),
        };
        self.acts.push(Act::Search(query));
    }

    /// Looks at an item of a kind and, if `buys`, buys it. Answers with the kind to go on with.
    fn look(&mut self, kind: usize, buys: bool) -> Option<usize> {
        let companion = if buys { self.memory.companion.take() } else { None };
        let companion = companion.filter(|item| (self.on_sale)(*item) && self.can_buy(*item));
        let from_cart = buys && !self.memory.cart.is_empty() && happens(self.rng, 0.5);
        let item = if let Some(companion) = companion {
            companion
        } else if from_cart {
            let index = chance::index(self.rng, self.memory.cart.len());
            self.memory.cart.get(index).copied()?
        } else {
            self.choose_item(kind, buys)?
        };
        let liking = self.shopper.relevance(self.shop.items.get(item)?);
        self.acts.push(Act::View(item, 0));
        self.looks.push((0.5 + liking) * chance::noise(self.rng, 0.5));
        let carted = self.memory.cart.contains(&item);
        if buys {
            self.buy(item, carted);
            return self.follow_up(item);
        }
        if happens(self.rng, 0.05 * liking) {
            self.acts.push(Act::Like(item));
        }
        if !carted && happens(self.rng, 0.3 * liking) && self.can_buy(item) {
            self.acts.push(Act::AddToCart(item));
            self.memory.cart.push(item);
        } else if carted && happens(self.rng, 0.3) {
            self.acts.push(Act::RemoveFromCart(item));
            self.memory.cart.retain(|other| *other != item);
        }
        happens(self.rng, 0.15).then(|| self.choose_kind())
    }

    fn buy(&mut self, item: usize, carted: bool) {
        if !carted {
            self.acts.push(Act::AddToCart(item));
        }
        let consumable = self.is_consumable(item);
        let quantity = if consumable {
            1 + chance::weighted(self.rng, &[0.7, 0.22, 0.08]).unwrap_or(0) as u32
        } else {
            1
        };
        self.acts.push(Act::Purchase(item, quantity));
        self.memory.cart.retain(|other| *other != item);
        self.memory.bought.push(item);
        let companion = self.shop.companions.get(item).copied().flatten();
        self.memory.companion = companion.filter(|_| happens(self.rng, WITH_COMPANION));
        if happens(self.rng, 0.08) {
            let liking = self.shop.items.get(item).map_or(0.5, |item| self.shopper.relevance(item));
            let stars = (2.6 + 2.4 * liking + 0.7 * chance::normal(self.rng)).round().clamp(1.0, 5.0);
            self.acts.push(Act::Rate(item, stars as u8));
        }
    }

    /// After a purchase: something that goes with it, now or on a later visit.
    fn follow_up(&mut self, item: usize) -> Option<usize> {
        let bought = self.shop.items.get(item)?;
        let companions = self.shop.goes_with.get(bought.kind)?;
        let companion = companions.get(chance::index(self.rng, companions.len())).copied()?;
        if happens(self.rng, 0.45) {
            return Some(companion);
        }
        if happens(self.rng, 0.4) && self.memory.wanted.len() < 4 {
            self.memory.wanted.push(companion);
        }
        None
    }

    /// In stock, and not a lasting thing they have already.
    fn can_buy(&self, item: usize) -> bool {
        let in_stock = self.shop.items.get(item).is_some_and(|item| item.stock > 0);
        in_stock && (self.is_consumable(item) || !self.memory.bought.contains(&item))
    }

    fn is_consumable(&self, item: usize) -> bool {
        self.shop.items.get(item).and_then(|item| self.shop.kind_of(item)).is_some_and(|kind| kind.consumable)
    }

    /// An item of a kind: what the town likes times (much stronger) what they like.
    fn choose_item(&mut self, kind: usize, buys: bool) -> Option<usize> {
        let list = self.shop.by_kind.get(kind)?;
        let weights: Vec<f64> = list
            .iter()
            .map(|index| {
                let Some(item) = self.shop.items.get(*index) else { return 0.0 };
                if !(self.on_sale)(*index) || (buys && !self.can_buy(*index)) {
                    return 0.0;
                }
                // People stay with the coffee they know.
                let known = self.is_consumable(*index) && self.memory.bought.contains(index);
                let habit = if known { 6.0 } else { 1.0 };
                item.popularity * (6.0 * self.shopper.relevance(item)).exp() * habit
            })
            .collect();
        match chance::weighted(self.rng, &weights) {
            Some(index) => list.get(index).copied(),
            // Everything of the kind is bought already: look elsewhere.
            None => {
                let any = (0..20).map(|_| chance::index(self.rng, self.shop.items.len())).collect::<Vec<_>>();
                any.into_iter().find(|index| (self.on_sale)(*index) && self.can_buy(*index))
            }
        }
    }
}

/// Gives each view its share of the minutes.
fn share_minutes(acts: &mut [Act], looks: &[f64], minutes: f64) {
    let total: f64 = looks.iter().sum();
    let mut shares = looks.iter();
    for act in acts {
        if let Act::View(_, dwell_ms) = act
            && let Some(share) = shares.next()
        {
            *dwell_ms = (minutes * 60_000.0 * share / total).clamp(800.0, MAX_DWELL_MS) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::random::rng;

    #[test]
    fn a_visit_holds_what_was_planned() {
        let shop = Shop::generate(1, 600).unwrap();
        let shopper = Shopper::generate(&shop, 1);
        let mut rng = rng(1, "visit");
        let mut memory = Memory::default();
        for plan in [
            Plan { searches: 3, purchases: 2, views: 5, minutes: 12.0 },
            Plan { searches: 2, purchases: 0, views: 0, minutes: 0.0 },
            Plan { searches: 0, purchases: 3, views: 1, minutes: 6.0 },
            Plan::default(),
        ] {
            let acts = play(&shop, &shopper, &mut memory, plan, &mut rng, &|_| true);
            let count = |wanted: fn(&Act) -> bool| acts.iter().filter(|act| wanted(act)).count() as u32;
            assert_eq!(count(|act| matches!(act, Act::Search(_))), plan.searches, "{plan:?}");
            assert_eq!(count(|act| matches!(act, Act::Purchase(..))), plan.purchases, "{plan:?}");
            assert_eq!(count(|act| matches!(act, Act::View(..))), plan.views.max(plan.purchases), "{plan:?}");
            let dwell: u32 = acts.iter().map(|act| if let Act::View(_, ms) = act { *ms } else { 0 }).sum();
            assert!((f64::from(dwell) / 60_000.0 - plan.minutes).abs() < 0.01, "{plan:?}: {dwell}");
        }
    }

    #[test]
    fn two_things_bought_are_often_a_thing_and_its_companion() {
        let shop = Shop::generate(1, 600).unwrap();
        let mut rng = rng(5, "companions");
        let (mut together, mut visits) = (0, 0);
        for id in 1..=400 {
            let shopper = Shopper::generate(&shop, id);
            let plan = Plan { searches: 0, purchases: 2, views: 4, minutes: 8.0 };
            let acts = play(&shop, &shopper, &mut Memory::default(), plan, &mut rng, &|_| true);
            let bought = |act: &Act| if let Act::Purchase(item, _) = act { Some(*item) } else { None };
            let bought: Vec<usize> = acts.iter().filter_map(bought).collect();
            let Some(companion) = shop.companions[bought[0]] else { continue };
            visits += 1;
            together += usize::from(bought[1] == companion);
        }
        let share = f64::from(together as u32) / f64::from(visits);
        assert!((0.45..0.65).contains(&share), "{together} of {visits}");
    }

    #[test]
    fn straps_follow_watches_far_more_often_than_by_chance() {
        let shop = Shop::generate(1, 600).unwrap();
        let kind = |name: &str| shop.kinds.iter().position(|(_, kind)| kind.name == name).unwrap();
        let (watch, strap) = (kind("Dive watches"), kind("Watch straps"));
        let mut rng = rng(3, "straps");
        let (mut after_watch, mut watches, mut after_other, mut others) = (0.0, 0.0, 0.0, 0.0);
        for id in 1..=400 {
            let shopper = Shopper::generate(&shop, id);
            let plan = Plan { searches: 1, purchases: 2, views: 4, minutes: 8.0 };
            let acts = play(&shop, &shopper, &mut Memory::default(), plan, &mut rng, &|_| true);
            let bought: Vec<usize> = acts
                .iter()
                .filter_map(|act| {
                    if let Act::Purchase(item, _) = act { Some(shop.items[*item].kind) } else { None }
                })
                .collect();
            let with_strap = f64::from(bought.get(1) == Some(&strap));
            if bought.first() == Some(&watch) {
                (after_watch, watches) = (after_watch + with_strap, watches + 1.0);
            } else {
                (after_other, others) = (after_other + with_strap, others + 1.0);
            }
        }
        assert!(watches > 5.0, "{watches}");
        assert!(
            after_watch / watches > 4.0 * (after_other / others),
            "{after_watch}/{watches} {after_other}/{others}"
        );
    }
}
