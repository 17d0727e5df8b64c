//! A simulated shopper: what the policy does not know.
//!
//! A click has the probability taste · presence(hour) · relevance · wording · e^(−κF). Fatigue F rises by one a message and
//! halves every two days (the policy counts messages of a week instead); a message annoys with hazard α F² and the annoyed
//! opt out for good, which is how volume hurts in Zhao et al. (KDD 2018). A wording wears off and recovers with a half-life of
//! three days (Yancey & Settles, KDD 2020). Who cares little for what is said is annoyed sooner, and dismisses more. Presence peaks at two hours of the shopper's own.

use crate::chance::{between, happens, index, noise};
use tidings_core::base::random::{ChaCha8Rng, rng};

/// Wordings of the one template.
pub const WORDINGS: usize = 4;
/// Average effect of each wording.
const WORDING_EFFECT: [f64; WORDINGS] = [1.0, 0.85, 1.35, 1.1];
/// Taken off a wording just seen.
const WEAR: f64 = 0.35;
const WEAR_HALF_LIFE_DAYS: f64 = 3.0;
const FATIGUE_HALF_LIFE_DAYS: f64 = 2.0;
/// Probability of a purchase after a click.
const PURCHASE: f64 = 0.12;
/// Of a dismissal where there was no click, at full fatigue, by the ordinarily annoyed.
const DISMISSAL: f64 = 0.25;
/// Leaving at a fatigue of one, by the same.
const LEAVING: f64 = 0.000_25;
const MEDIAN_TASTE: f64 = 0.1;
/// Rate at which annoyance falls with taste.
const PATIENCE_OF_TASTE: f64 = 0.7;
/// Away from the peaks.
const BASE_PRESENCE: f64 = 0.12;
const PEAK_WIDTH_H: f64 = 1.4;

/// A simulated shopper with tastes, hours of presence and fatigue.
pub struct Shopper {
    /// Click probability at the best hour, fresh, of something wholly relevant.
    taste: f64,
    peaks: [f64; 2],
    wordings: [f64; WORDINGS],
    tiring: f64,
    /// Times the ordinary.
    annoyance: f64,
    /// Occasions a day.
    pub occasions: f64,
    fatigue: f64,
    fatigue_day: f64,
    seen: [Option<f64>; WORDINGS],
    /// Gone for good.
    pub has_left: bool,
    draws: ChaCha8Rng,
}

/// Reaction of a shopper to a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Response {
    pub clicked: bool,
    pub purchased: bool,
    pub dismissed: bool,
    pub left: bool,
}

impl Shopper {
    /// The n-th of a seed.
    pub fn new(seed: u64, number: usize) -> Self {
        let mut hidden = rng(seed ^ ((number as u64) << 20), "shopper");
        let evening = between(&mut hidden, 17.0, 23.0);
        let other = between(&mut hidden, 6.0, 16.0);
        let taste = (0.16 * noise(&mut hidden, 0.9)).min(0.8);
        Self {
            taste,
            peaks: [evening, other],
            wordings: WORDING_EFFECT.map(|effect| effect * noise(&mut hidden, 0.15)),
            tiring: 0.12 * noise(&mut hidden, 0.4),
            annoyance: noise(&mut hidden, 0.6) * (taste / MEDIAN_TASTE).powf(-PATIENCE_OF_TASTE),
            occasions: 2.5 * noise(&mut hidden, 0.5),
            fatigue: 0.0,
            fatigue_day: 0.0,
            seen: [None; WORDINGS],
            has_left: false,
            draws: rng(seed ^ ((number as u64) << 20), "response"),
        }
    }

    /// Share of the best at an hour of the day, 0…24.
    pub fn presence(&self, hour: f64) -> f64 {
        let [evening, other] = self.peaks.map(|peak| {
            let apart = (hour - peak).rem_euclid(24.0);
            let apart = apart.min(24.0 - apart) / PEAK_WIDTH_H;
            (-0.5 * apart * apart).exp()
        });
        BASE_PRESENCE + (1.0 - BASE_PRESENCE) * evening.max(0.6 * other)
    }

    /// An hour at which this shopper comes by, drawn.
    pub fn visit(&self, draws: &mut ChaCha8Rng) -> f64 {
        loop {
            let hour = between(draws, 0.0, 24.0);
            if happens(draws, self.presence(hour)) {
                return hour;
            }
        }
    }

    fn fatigue(&self, day: f64) -> f64 {
        self.fatigue * (-(day - self.fatigue_day).max(0.0) / FATIGUE_HALF_LIFE_DAYS).exp2()
    }

    /// Probability of a click on a message at a moment, in days, with a wording.
    pub fn click_probability(&self, day: f64, relevance: f64, wording: usize) -> f64 {
        let worn = self
            .seen
            .get(wording)
            .copied()
            .flatten()
            .map_or(0.0, |seen| WEAR * (-(day - seen).max(0.0) / WEAR_HALF_LIFE_DAYS).exp2());
        let wording = self.wordings.get(wording).copied().unwrap_or(1.0) * (1.0 - worn);
        let fresh = (-self.tiring * self.fatigue(day)).exp();
        (self.taste * self.presence(day.fract() * 24.0) * relevance * wording * fresh).clamp(0.0, 1.0)
    }

    /// Probability that a message at a moment makes the shopper leave.
    pub fn leave_probability(&self, day: f64) -> f64 {
        (LEAVING * self.annoyance * self.fatigue(day).powi(2)).min(1.0)
    }

    /// Purchases a click.
    pub fn purchase_rate() -> f64 {
        PURCHASE
    }

    /// The wording this shopper likes best now.
    pub fn best_wording(&self, day: f64) -> usize {
        let value = |wording: &usize| self.click_probability(day, 1.0, *wording);
        (0..WORDINGS).max_by(|a, b| value(a).total_cmp(&value(b))).unwrap_or(0)
    }

    /// Takes a message.
    pub fn take(&mut self, day: f64, relevance: f64, wording: usize) -> Response {
        let click = self.click_probability(day, relevance, wording);
        let leave = self.leave_probability(day);
        let fatigue = self.fatigue(day);
        let clicked = happens(&mut self.draws, click);
        let purchased = happens(&mut self.draws, PURCHASE) && clicked;
        let annoyed = self.annoyance.min(3.0) * fatigue / (1.0 + fatigue);
        let dismissed = happens(&mut self.draws, DISMISSAL * annoyed) && !clicked;
        let left = happens(&mut self.draws, leave);
        (self.fatigue, self.fatigue_day) = (fatigue + 1.0, day);
        if let Some(seen) = self.seen.get_mut(wording) {
            *seen = Some(day);
        }
        self.has_left |= left;
        Response { clicked, purchased, dismissed, left }
    }
}

/// Kinds of occasions: trigger and category of the message. Caps go by both.
pub const KINDS: [(&str, &str); 3] =
    [("view", "similar_items"), ("cart", "goes_with"), ("retrain", "for_you")];

/// An occasion to say something: when, in days, and how relevant it is, 0…1.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    pub day: f64,
    pub relevance: f64,
}

/// Those of a day, by time: they come of what the shopper does, so most are at the shopper's hours.
pub fn occasions(shopper: &Shopper, day: usize, draws: &mut ChaCha8Rng) -> Vec<Occasion> {
    const SLOTS: usize = 8;
    let chance = shopper.occasions / SLOTS as f64;
    let mut found: Vec<Occasion> = (0..SLOTS)
        .filter_map(|_| {
            let (comes, visits) = (happens(draws, chance), index(draws, 2) == 0);
            let hour = if visits { shopper.visit(draws) } else { between(draws, 0.0, 24.0) };
            let relevance = between(draws, 0.2, 1.0);
            comes.then_some(Occasion { day: day as f64 + hour / 24.0, relevance })
        })
        .collect();
    found.sort_by(|a, b| a.day.total_cmp(&b.day));
    found
}
