//! Shoppers with hidden tastes. The server never sees this file: what it recommends is judged by it.

use super::chance;
use super::shop::{Shop, ShopItem};
use tidings_core::base::Timestamp;
use tidings_core::base::random::{ChaCha8Rng, rng};

/// Monthly behaviour of a class of shoppers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// `A`…`E`, by falling purchase frequency.
    pub name: char,
    /// Purchases a month.
    pub purchases: f64,
    /// Minutes of looking at items a month.
    pub minutes: f64,
    /// Searches a month.
    pub searches: f64,
    /// Share of all shoppers.
    pub share: f64,
}

/// The five classes of the project's own brief, which segments are to find again.
pub const CLASSES: [Class; 5] = [
    Class { name: 'A', purchases: 15.0, minutes: 120.0, searches: 10.0, share: 0.12 },
    Class { name: 'B', purchases: 12.0, minutes: 100.0, searches: 15.0, share: 0.16 },
    Class { name: 'C', purchases: 9.0, minutes: 80.0, searches: 20.0, share: 0.22 },
    Class { name: 'D', purchases: 6.0, minutes: 60.0, searches: 25.0, share: 0.24 },
    Class { name: 'E', purchases: 3.0, minutes: 40.0, searches: 30.0, share: 0.26 },
];
/// Days of history: three months.
pub const HISTORY_DAYS: f64 = 92.0;
/// Spread of shoppers around their class (log-normal sigma).
const STRAY: f64 = 0.08;

/// Homes of shoppers, with the share of each and the hours their clocks are ahead of UTC in winter.
const HOMES: [(&str, &str, i32, f64); 7] = [
    ("Europe/Berlin", "de-DE", 1, 0.34),
    ("Europe/London", "en-GB", 0, 0.2),
    ("Europe/Paris", "fr-FR", 1, 0.14),
    ("Europe/Helsinki", "fi-FI", 2, 0.08),
    ("America/New_York", "en-US", -5, 0.12),
    ("Asia/Tokyo", "ja-JP", 9, 0.06),
    ("Australia/Sydney", "en-AU", 10, 0.06),
];

/// A person, as only the simulation knows them.
#[derive(Clone, Debug, PartialEq)]
pub struct Shopper {
    /// The shop's user id, from 1.
    pub id: i64,
    /// Index into [`CLASSES`].
    pub class: usize,
    /// Purchases a month.
    pub purchases: f64,
    /// Minutes of looking at items a month.
    pub minutes: f64,
    /// Searches a month.
    pub searches: f64,
    /// One to three categories with weights summing to 1, best first.
    pub favourites: Vec<(usize, f64)>,
    /// Kinds within the favourites that they come back for.
    pub kinds: Vec<usize>,
    /// Liked brand in each category, by index of the category.
    pub brand: Vec<usize>,
    /// Liked style in each category.
    pub style: Vec<usize>,
    /// The price they look for among a kind: 0 the cheapest, 1 the dearest.
    pub price_level: f64,
    /// Sensitivity to a wrong price, 0…1.
    pub price_sensitivity: f64,
    /// IANA time zone.
    pub time_zone: &'static str,
    /// BCP 47 tag.
    pub locale: &'static str,
    /// Local hours ahead of UTC.
    pub utc_offset: i32,
    /// Hour of the day they are most active, local time, 0…24.
    pub peak_hour: f64,
    /// Factor by which they shop more often on a Saturday or Sunday than on another day.
    pub weekend: f64,
    /// Chance of a click on a perfectly relevant notification when rested.
    pub curiosity: f64,
    /// Rate at which notifications tire them, > 0.
    pub irritability: f64,
    /// Days before "now" of their first visit.
    pub tenure_days: f64,
}

impl Shopper {
    /// The shopper with this id in the town of `shop`; independent of every other one.
    pub fn generate(shop: &Shop, id: i64) -> Self {
        let mut rng = rng(shop.seed, &format!("shopper {id}"));
        let shares = CLASSES.map(|class| class.share);
        let class = chance::weighted(&mut rng, &shares).unwrap_or(0);
        let typical = CLASSES.get(class).copied().unwrap_or(CLASSES[0]);
        let favourites = draw_favourites(shop, &mut rng);
        let kinds = draw_kinds(shop, &favourites, &mut rng);
        let mut pick = |count: &dyn Fn(usize) -> usize| -> Vec<usize> {
            (0..shop.categories.len()).map(|category| chance::index(&mut rng, count(category))).collect()
        };
        let brand = pick(&|category| shop.categories.get(category).map_or(0, |c| c.brands.len()));
        let style = pick(&|category| shop.categories.get(category).map_or(0, |c| c.styles.len()));
        let home = chance::weighted(&mut rng, &HOMES.map(|home| home.3)).unwrap_or(0);
        let (time_zone, locale, utc_offset, _) = HOMES.get(home).copied().unwrap_or(HOMES[0]);
        // A quarter have been customers all along, most joined at some point since, a few are almost new.
        let tenure_days = match chance::weighted(&mut rng, &[0.25, 0.72, 0.03]) {
            Some(0) => chance::between(&mut rng, HISTORY_DAYS - 1.0, HISTORY_DAYS),
            Some(1) => chance::between(&mut rng, 31.0, 75.0),
            _ => chance::between(&mut rng, 22.0, 31.0),
        };
        Self {
            id,
            class,
            purchases: typical.purchases * chance::noise(&mut rng, STRAY),
            minutes: typical.minutes * chance::noise(&mut rng, STRAY),
            searches: typical.searches * chance::noise(&mut rng, STRAY),
            favourites,
            kinds,
            brand,
            style,
            price_level: chance::between(&mut rng, 0.0, 1.0),
            price_sensitivity: chance::between(&mut rng, 0.2, 0.9),
            time_zone,
            locale,
            utc_offset,
            peak_hour: (19.5 + 2.5 * chance::normal(&mut rng)).rem_euclid(24.0),
            weekend: chance::between(&mut rng, 0.9, 2.2),
            curiosity: chance::between(&mut rng, 0.35, 0.75),
            irritability: chance::between(&mut rng, 0.12, 0.45),
            tenure_days,
        }
    }

    /// True liking of an item, 0…1: a favourite category counts half, the rest is kind, brand, style and
    /// price. Pure.
    pub fn relevance(&self, item: &ShopItem) -> f64 {
        let best = self.favourites.first().map_or(1.0, |favourite| favourite.1).max(1e-9);
        let category = self
            .favourites
            .iter()
            .find(|(category, _)| *category == item.category)
            .map_or(0.06, |(_, weight)| 0.55 + 0.45 * weight / best);
        let likes = |liked: &[usize], of: usize| f64::from(liked.get(item.category) == Some(&of));
        let kind = f64::from(self.kinds.contains(&item.kind));
        let price = 1.0 - self.price_sensitivity * (item.price_level - self.price_level).abs();
        category
            * (0.34
                + 0.24 * kind
                + 0.16 * likes(&self.brand, item.brand)
                + 0.14 * likes(&self.style, item.style)
                + 0.12 * price)
    }

    /// Chance to click on a notification whose best item has this relevance; rises with relevance, falls with fatigue.
    pub fn click_probability(&self, relevance: f64, fatigue: f64) -> f64 {
        let interest = relevance.clamp(0.0, 1.0).powf(1.3);
        (self.curiosity * interest * (-self.irritability * fatigue.max(0.0)).exp()).clamp(0.0, 1.0)
    }

    /// Chance to mute the category of a notification: none when rested, more for what is irrelevant.
    pub fn mute_probability(&self, relevance: f64, fatigue: f64) -> f64 {
        let annoyed = (self.irritability * fatigue - 1.5).max(0.0);
        (0.06 * annoyed * (1.0 - relevance.clamp(0.0, 1.0))).clamp(0.0, 0.3)
    }

    /// Likelihood of shopping at a moment, relative to others: weekday and hour in their own time.
    pub fn activity(&self, at: Timestamp) -> f64 {
        let local_hours = at.as_seconds() as f64 / 3_600.0 + f64::from(self.utc_offset);
        let hour = local_hours.rem_euclid(24.0);
        // 1970-01-01 was a Thursday: day 2 of the epoch's week a Saturday.
        let weekday = (local_hours / 24.0).floor().rem_euclid(7.0);
        let day = if (2.0..4.0).contains(&weekday) { self.weekend } else { 1.0 };
        let distance = (hour - self.peak_hour + 12.0).rem_euclid(24.0) - 12.0;
        day * (0.06 + (-distance * distance / (2.0 * 3.2 * 3.2)).exp())
    }
}

fn draw_favourites(shop: &Shop, rng: &mut ChaCha8Rng) -> Vec<(usize, f64)> {
    let wanted = 1 + chance::weighted(rng, &[0.3, 0.45, 0.25]).unwrap_or(0);
    // Some shelves are more loved than others: watches, shoes and coffee draw crowds.
    let mut appeal: Vec<f64> =
        (0..shop.categories.len()).map(|index| 1.0 / (1.0 + 0.12 * index as f64)).collect();
    let mut favourites = Vec::with_capacity(wanted);
    let mut weight = 1.0;
    while favourites.len() < wanted {
        let Some(category) = chance::weighted(rng, &appeal) else { break };
        if let Some(slot) = appeal.get_mut(category) {
            *slot = 0.0;
        }
        favourites.push((category, weight));
        weight *= chance::between(rng, 0.4, 0.8);
    }
    let total: f64 = favourites.iter().map(|favourite| favourite.1).sum();
    for favourite in &mut favourites {
        favourite.1 /= total;
    }
    favourites
}

fn draw_kinds(shop: &Shop, favourites: &[(usize, f64)], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut liked = Vec::new();
    for (category, _) in favourites {
        let kinds: Vec<usize> = shop
            .kinds
            .iter()
            .enumerate()
            .filter(|(_, (of, _))| of == category)
            .map(|(index, _)| index)
            .collect();
        for _ in 0..2 {
            if let Some(kind) = kinds.get(chance::index(rng, kinds.len()))
                && !liked.contains(kind)
            {
                liked.push(*kind);
            }
        }
    }
    liked
}

/// Fatigue of a shopper from notifications: each adds 1, half of it is forgotten in `half_life_ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fatigue {
    level: f64,
    at: Timestamp,
}

impl Fatigue {
    /// The level at a moment, ≥ 0.
    pub fn level(&self, now: Timestamp, half_life_ms: u64) -> f64 {
        let passed = now.millis_since(self.at).0 as f64;
        self.level * (-std::f64::consts::LN_2 * passed / half_life_ms.max(1) as f64).exp()
    }

    /// One more notification.
    pub fn add(&mut self, now: Timestamp, half_life_ms: u64) {
        *self = Self { level: self.level(now, half_life_ms) + 1.0, at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::happens;

    fn shop() -> Shop {
        Shop::generate(1, 600).unwrap()
    }

    #[test]
    fn a_shopper_is_the_same_whoever_else_is_there() {
        let shop = shop();
        assert_eq!(Shopper::generate(&shop, 7), Shopper::generate(&shop, 7));
        assert_ne!(Shopper::generate(&shop, 7).favourites, Shopper::generate(&shop, 8).favourites);
        let other = Shop::generate(2, 600).unwrap();
        assert_ne!(Shopper::generate(&shop, 7), Shopper::generate(&other, 7));
    }

    #[test]
    fn relevance_separates_what_they_love_from_the_rest() {
        let shop = shop();
        for id in 1..50 {
            let shopper = Shopper::generate(&shop, id);
            let mean = |favourite: bool| {
                let scores: Vec<f64> = shop
                    .items
                    .iter()
                    .filter(|item| shopper.favourites.iter().any(|f| f.0 == item.category) == favourite)
                    .map(|item| shopper.relevance(item))
                    .collect();
                assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
                scores.iter().sum::<f64>() / scores.len() as f64
            };
            assert!(mean(true) > 5.0 * mean(false), "shopper {id}");
        }
    }

    #[test]
    fn clicks_rise_with_relevance_and_fall_with_fatigue() {
        let shop = shop();
        let mut rng = rng(5, "clicks");
        let shoppers: Vec<Shopper> = (1..=100).map(|id| Shopper::generate(&shop, id)).collect();
        let mut rate = |relevance: f64, fatigue: f64| {
            let clicks = shoppers
                .iter()
                .flat_map(|shopper| std::iter::repeat_n(shopper.click_probability(relevance, fatigue), 50))
                .filter(|p| happens(&mut rng, *p))
                .count();
            clicks as f64 / 5_000.0
        };
        let (cold, warm, hot) = (rate(0.1, 0.0), rate(0.5, 0.0), rate(0.9, 0.0));
        assert!(cold + 0.05 < warm && warm + 0.1 < hot, "{cold} {warm} {hot}");
        let (tired, weary) = (rate(0.9, 2.0), rate(0.9, 8.0));
        assert!(hot > tired + 0.1 && tired > weary + 0.1, "{hot} {tired} {weary}");
        let shopper = &shoppers[0];
        assert_eq!(shopper.mute_probability(0.1, 0.0), 0.0);
        assert!(shopper.mute_probability(0.1, 30.0) > shopper.mute_probability(0.9, 30.0));
    }

    #[test]
    fn fatigue_halves_in_its_half_life() {
        let mut fatigue = Fatigue::default();
        let start = Timestamp::from_seconds(1_000);
        fatigue.add(start, 60_000);
        fatigue.add(start, 60_000);
        assert!((fatigue.level(start, 60_000) - 2.0).abs() < 1e-9);
        assert!((fatigue.level(Timestamp::from_seconds(1_060), 60_000) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn evenings_and_weekends_are_busier_in_local_time() {
        let shop = shop();
        let mut tokyo = Shopper::generate(&shop, 1);
        (tokyo.utc_offset, tokyo.peak_hour, tokyo.weekend) = (9, 20.0, 2.0);
        // 2026-11-20 is a Friday; 11:00 UTC is 20:00 in Tokyo.
        let at = |text| tokyo.activity(Timestamp::parse(text).unwrap());
        assert!(at("2026-11-20T11:00:00Z") > 5.0 * at("2026-11-20T23:00:00Z") / 2.0);
        assert!((at("2026-11-21T11:00:00Z") / at("2026-11-20T11:00:00Z") - 2.0).abs() < 1e-9);
    }
}
