//! Decisions of a coin with known effects, for tests.

use rand::RngExt;

use super::CoinDecision;
use crate::base::{UserId, random};
use crate::response::FEATURE_NAMES;

/// Decisions about `n` users of whom nothing but one feature, 0…3, is known: of ten that are held back four buy, of the others
/// more or fewer by the effect.
pub(crate) fn coins(n: u32, seed: u64, feature: &str, effect: impl Fn(f32) -> f64) -> Vec<CoinDecision> {
    let mut draws = random::rng(seed, "coins");
    let place = FEATURE_NAMES.iter().position(|name| *name == feature).unwrap();
    let decision = |user: u32| {
        let mut features = vec![f32::NAN; FEATURE_NAMES.len()];
        let value = draws.random_range(0.0..3.0);
        features[place] = value;
        let sent = draws.random::<bool>();
        let probability = 0.4 + if sent { effect(value) } else { 0.0 };
        CoinDecision {
            user: UserId(user),
            trigger: "view".to_owned(),
            category: "similar_items".to_owned(),
            segment: None,
            features,
            sent,
            propensity: 0.5,
            bought: draws.random::<f64>() < probability,
        }
    };
    (0..n).map(decision).collect()
}
