//! Choice of the wording: a sleeping, recovering bandit (Yancey & Settles, KDD 2020).
//!
//! An arm's score is by how much messages with it did better than messages where it could have been used and was not:
//! s = (μ⁺ − μ⁻) / μ⁻, both means weighted by the inverse of the probability that it was (not) chosen, which takes out who
//! was offered what; arms that sleep (are not on offer) are not compared. Wordings tire and recover: the user's last sight
//! of the arm d days ago takes γ · 2^(−d / h) off the score. The choice is a softmax of the scores at temperature τ, mixed
//! with an even draw, so that every arm on offer keeps a propensity of at least `exploration / arms`.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Most arms of a bandit.
pub const MAX_ARMS: usize = 64;
/// A message counts at most this often, whatever its propensity.
const MAX_WEIGHT: f64 = 50.0;
/// Messages with an arm before its own difference counts half.
const PRIOR_MESSAGES: f64 = 200.0;

/// Parameters of a bandit's choice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VariantParameters {
    /// Taken off the score of an arm just seen, as a share of the mean reward, ≥ 0.
    pub recency_penalty: f64,
    /// After so many days half of it is left, > 0.
    pub half_life_days: f64,
    /// Of the softmax, in units of the score, > 0: the smaller, the greedier.
    pub temperature: f64,
    /// Share of choices drawn evenly, 0…1.
    pub exploration: f64,
}

impl Default for VariantParameters {
    /// For differences of some tens of percent between wordings; where they are of a few percent, as in the paper, a
    /// temperature and a penalty ten times smaller fit.
    fn default() -> Self {
        Self { recency_penalty: 0.4, half_life_days: 7.0, temperature: 0.05, exploration: 0.05 }
    }
}

/// Weighted rewards with an arm and without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ArmSums {
    messages: f64,
    weight_with: f64,
    reward_with: f64,
    weight_without: f64,
    reward_without: f64,
}

/// Statistics learned about the wordings of one template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variants {
    arms: Vec<ArmSums>,
}

/// An arm on offer to a user at this moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// 0…arms − 1.
    pub arm: usize,
    /// Days since the user saw it last; `None` = never.
    pub days_since_seen: Option<f64>,
}

/// An arm, and how likely each on offer was.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmChoice {
    /// The chosen one.
    pub arm: usize,
    /// Its probability, in (0, 1].
    pub propensity: f64,
    /// Every arm on offer with its probability, in the order offered; they sum to 1.
    pub probabilities: Vec<(usize, f64)>,
}

impl Variants {
    /// So many arms, at most [`MAX_ARMS`], nothing known.
    pub fn new(n_arms: usize) -> Self {
        Self { arms: vec![ArmSums::default(); n_arms.min(MAX_ARMS)] }
    }

    /// Number of arms.
    pub fn len(&self) -> usize {
        self.arms.len()
    }

    /// No arms.
    pub fn is_empty(&self) -> bool {
        self.arms.is_empty()
    }

    /// Learns from a message: the reward (a click 1, none 0, or a utility) of a choice among those on offer.
    pub fn note(&mut self, choice: &ArmChoice, reward: f64) {
        if reward.is_finite() {
            self.note_used(choice);
            self.note_reward(choice, reward);
        }
    }

    /// The same where the reward comes later, if at all: now the message, and [`Self::note_reward`] then.
    pub fn note_used(&mut self, choice: &ArmChoice) {
        for (arm, probability) in &choice.probabilities {
            let Some(sums) = self.arms.get_mut(*arm) else { continue };
            if *arm == choice.arm {
                sums.messages += 1.0;
                sums.weight_with += weight(*probability);
            } else {
                sums.weight_without += weight(1.0 - probability);
            }
        }
    }

    /// Notes the reward of a message that was counted.
    pub fn note_reward(&mut self, choice: &ArmChoice, reward: f64) {
        for (arm, probability) in &choice.probabilities {
            let Some(sums) = self.arms.get_mut(*arm) else { continue };
            if *arm == choice.arm {
                sums.reward_with += weight(*probability) * reward;
            } else {
                sums.reward_without += weight(1.0 - probability) * reward;
            }
        }
    }

    /// Makes what was learned so far weigh `factor`, 0…1.
    pub fn decay(&mut self, factor: f64) {
        for sums in &mut self.arms {
            for sum in [
                &mut sums.messages,
                &mut sums.weight_with,
                &mut sums.reward_with,
                &mut sums.weight_without,
                &mut sums.reward_without,
            ] {
                *sum *= factor.clamp(0.0, 1.0);
            }
        }
    }

    /// Relative difference of an arm, shrunk to 0 while few messages used it; 0 for one never used or alone.
    pub fn score(&self, arm: usize) -> f64 {
        let Some(sums) = self.arms.get(arm) else { return 0.0 };
        if sums.weight_with <= 0.0 || sums.reward_without <= 0.0 {
            return 0.0;
        }
        let with = sums.reward_with / sums.weight_with;
        let without = sums.reward_without / sums.weight_without;
        (with - without) / without * sums.messages / (sums.messages + PRIOR_MESSAGES)
    }

    /// Draws an arm. `None` if nothing known is on offer. O(arms on offer).
    pub fn choose(
        &self,
        offers: &[Offer],
        parameters: &VariantParameters,
        rng: &mut impl Rng,
    ) -> Option<ArmChoice> {
        let offers: Vec<&Offer> = offers.iter().filter(|offer| offer.arm < self.arms.len()).collect();
        let scores: Vec<f64> = offers.iter().map(|offer| self.recovered(offer, parameters)).collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let temperature = parameters.temperature.max(1e-9);
        let powers: Vec<f64> = scores.iter().map(|score| ((score - best) / temperature).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let even = parameters.exploration.clamp(0.0, 1.0);
        let probability = |power: &f64| (1.0 - even) * power / sum + even / offers.len() as f64;
        let probabilities =
            offers.iter().zip(&powers).map(|(offer, power)| (offer.arm, probability(power))).collect();
        draw(probabilities, rng)
    }

    fn recovered(&self, offer: &Offer, parameters: &VariantParameters) -> f64 {
        let seen = offer.days_since_seen.map_or(0.0, |days| {
            (-days.max(0.0) / parameters.half_life_days.max(1e-6)).exp2() * parameters.recency_penalty
        });
        self.score(offer.arm) - seen
    }
}

/// Every arm alike; `None` of none.
pub(super) fn evenly(arms: &[usize], rng: &mut impl Rng) -> Option<ArmChoice> {
    let share = 1.0 / arms.len() as f64;
    draw(arms.iter().map(|arm| (*arm, share)).collect(), rng)
}

/// Inverse of a probability, bounded.
fn weight(probability: f64) -> f64 {
    (1.0 / probability.max(f64::MIN_POSITIVE)).min(MAX_WEIGHT)
}

/// Draws from a distribution; `None` if it is empty.
pub(super) fn draw(probabilities: Vec<(usize, f64)>, rng: &mut impl Rng) -> Option<ArmChoice> {
    let mut u: f64 = rng.random();
    // Rounding may leave a little of `u`: then the last one with a probability it is.
    let mut chosen = None;
    for (arm, probability) in probabilities.iter().filter(|(_, probability)| *probability > 0.0) {
        chosen = Some((*arm, *probability));
        if u < *probability {
            break;
        }
        u -= probability;
    }
    let (arm, propensity) = chosen?;
    Some(ArmChoice { arm, propensity, probabilities })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::random::rng;

    fn even(arm: usize, arms: usize) -> ArmChoice {
        let probabilities = (0..arms).map(|other| (other, 1.0 / arms as f64)).collect();
        ArmChoice { arm, propensity: 1.0 / arms as f64, probabilities }
    }

    fn offers(arms: usize) -> Vec<Offer> {
        (0..arms).map(|arm| Offer { arm, days_since_seen: None }).collect()
    }

    #[test]
    fn an_even_draw_gives_each_arm_on_offer_the_same_chance() {
        let mut random = tidings_core::base::random::rng(1, "even");
        let mut counts = [0u32; 5];
        for _ in 0..3_000 {
            let choice = evenly(&[0, 2, 4], &mut random).unwrap();
            assert!((choice.propensity - 1.0 / 3.0).abs() < 1e-12 && choice.probabilities.len() == 3);
            counts[choice.arm] += 1;
        }
        assert_eq!((counts[1], counts[3]), (0, 0));
        // Three standard errors of 1,000.
        assert!([0, 2, 4].iter().all(|arm| counts[*arm].abs_diff(1_000) < 78), "{counts:?}");
        assert!(evenly(&[], &mut random).is_none());
    }

    #[test]
    fn a_score_is_the_relative_difference_shrunk() {
        let mut variants = Variants::new(2);
        for message in 0..400 {
            let arm = message % 2;
            // Arm 0: 3 of 10 are clicked, arm 1: 2 of 10.
            variants.note(&even(arm, 2), f64::from(u8::from(message / 2 % 10 < 3 - arm)));
        }
        // (0.3 − 0.2) / 0.2 = 0.5, 200 messages against a prior of 200.
        assert!((variants.score(0) - 0.25).abs() < 1e-12, "{}", variants.score(0));
        assert!((variants.score(1) + 1.0 / 6.0).abs() < 1e-12, "{}", variants.score(1));
        assert_eq!(variants.score(9), 0.0);
    }

    #[test]
    fn probabilities_are_the_softmax_of_scores_and_an_even_share() {
        let parameters = VariantParameters {
            recency_penalty: 0.1,
            half_life_days: 5.0,
            temperature: 0.1,
            exploration: 0.1,
        };
        let seen = [
            Offer { arm: 0, days_since_seen: Some(5.0) },
            Offer { arm: 1, days_since_seen: None },
            Offer { arm: 7, days_since_seen: None },
        ];
        let choice = Variants::new(2).choose(&seen, &parameters, &mut rng(1, "test")).unwrap();
        // Half of the penalty is left: score −0.05 against 0.
        let power = (-0.5f64).exp();
        let expected = 0.9 * power / (1.0 + power) + 0.05;
        assert!((choice.probabilities[0].1 - expected).abs() < 1e-12);
        assert!((choice.probabilities.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(choice.probabilities.len(), 2);
    }

    #[test]
    fn arms_are_drawn_as_often_as_their_propensity_says() {
        let mut variants = Variants::new(3);
        for message in 0..3_000 {
            variants.note(&even(message % 3, 3), f64::from(u8::from(message % 30 < message % 3 * 4)));
        }
        let mut rng = rng(3, "test");
        let parameters = VariantParameters { temperature: 1.0, ..VariantParameters::default() };
        let mut counts = [0.0; 3];
        let mut last = None;
        for _ in 0..30_000 {
            let choice = variants.choose(&offers(3), &parameters, &mut rng).unwrap();
            counts[choice.arm] += 1.0 / 30_000.0;
            last = Some(choice);
        }
        for (arm, probability) in last.unwrap().probabilities {
            assert!((counts[arm] - probability).abs() < 0.012, "{arm}: {} {probability}", counts[arm]);
        }
    }

    #[test]
    fn an_arm_on_offer_only_in_good_times_is_not_praised_for_them() {
        // Arm 2 is offered on weekends, when everything is clicked twice as often; it is no better than the others.
        let mut variants = Variants::new(3);
        let mut rng = rng(5, "test");
        for message in 0..60_000 {
            let weekend = message % 7 >= 5;
            let choice = variants
                .choose(&offers(if weekend { 3 } else { 2 }), &VariantParameters::default(), &mut rng)
                .unwrap();
            let rate = if weekend { 0.4 } else { 0.2 };
            variants.note(&choice, f64::from(u8::from(rng.random::<f64>() < rate)));
        }
        assert!(variants.score(2).abs() < 0.05, "{}", variants.score(2));
    }

    #[test]
    fn nothing_on_offer_is_no_choice() {
        let parameters = VariantParameters::default();
        assert!(Variants::new(2).choose(&[], &parameters, &mut rng(1, "test")).is_none());
        assert!(Variants::new(0).choose(&offers(3), &parameters, &mut rng(1, "test")).is_none());
        let mut variants = Variants::new(1);
        variants.note(&even(0, 1), f64::NAN);
        assert_eq!(variants, Variants::new(1));
    }
}
