//! Choice of the wording, the alternative: Thompson sampling with beta posteriors (Thompson 1933; Chapelle & Li 2011). It
//! ignores that wordings tire (see [`super::variants`]), and is right where they don't.
//!
//! [`DRAWS`] winners are drawn, and one of them is taken evenly: that is Thompson sampling still, and its propensity is known
//! without an integral: wins / draws, mixed with an even share.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::statistics::beta;
use super::variants::{ArmChoice, MAX_ARMS, Offer, draw};

/// Winners drawn a choice.
const DRAWS: u32 = 64;

/// Clicks and misses of each arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thompson {
    arms: Vec<(f64, f64)>,
}

impl Thompson {
    /// So many arms, at most [`MAX_ARMS`], each with an even prior, Beta(1, 1).
    pub fn new(n_arms: usize) -> Self {
        Self { arms: vec![(0.0, 0.0); n_arms.min(MAX_ARMS)] }
    }

    /// Learns from a message.
    pub fn note(&mut self, arm: usize, clicked: bool) {
        if let Some((clicks, misses)) = self.arms.get_mut(arm) {
            *(if clicked { clicks } else { misses }) += 1.0;
        }
    }

    /// Draws an arm; `exploration` is the share drawn evenly, 0…1. `None` if nothing known is on offer. O(64 · arms).
    pub fn choose(&self, offers: &[Offer], exploration: f64, rng: &mut impl Rng) -> Option<ArmChoice> {
        let known: Vec<(usize, (f64, f64))> =
            offers.iter().filter_map(|offer| Some((offer.arm, *self.arms.get(offer.arm)?))).collect();
        let mut wins = vec![0u32; known.len()];
        for _ in 0..DRAWS {
            let mut best = (f64::NEG_INFINITY, None);
            for ((_, (clicks, misses)), wins) in known.iter().zip(&mut wins) {
                let rate = beta(1.0 + clicks, 1.0 + misses, rng);
                if rate > best.0 {
                    best = (rate, Some(wins));
                }
            }
            if let (_, Some(wins)) = best {
                *wins += 1;
            }
        }
        let even = exploration.clamp(0.0, 1.0);
        let share = |wins: u32| (1.0 - even) * f64::from(wins) / f64::from(DRAWS) + even / known.len() as f64;
        draw(known.iter().zip(wins).map(|((arm, _), wins)| (*arm, share(wins))).collect(), rng)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::base::random::rng;

    #[test]
    fn the_better_arm_is_drawn_more_and_more() {
        let mut bandit = Thompson::new(2);
        let mut rng = rng(4, "test");
        let offers = [0, 1].map(|arm| Offer { arm, days_since_seen: None });
        let mut better = 0;
        for message in 0..3_000 {
            let choice = bandit.choose(&offers, 0.02, &mut rng).unwrap();
            assert!((choice.probabilities.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9);
            assert!(choice.probabilities.iter().all(|(_, p)| *p >= 0.01 - 1e-12));
            bandit.note(choice.arm, rng.random::<f64>() < if choice.arm == 1 { 0.3 } else { 0.1 });
            better += usize::from(message >= 2_000 && choice.arm == 1);
        }
        assert!(better > 950, "{better} of the last 1,000");
    }

    #[test]
    fn nothing_on_offer_is_no_choice() {
        assert!(Thompson::new(2).choose(&[], 0.0, &mut rng(1, "test")).is_none());
        let asleep = [Offer { arm: 5, days_since_seen: None }];
        assert!(Thompson::new(2).choose(&asleep, 0.0, &mut rng(1, "test")).is_none());
    }
}
