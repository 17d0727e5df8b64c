//! A relevance score in 0…1.

use serde::{Deserialize, Serialize};

/// 0 = irrelevant, 1 = as relevant as it gets. Never NaN; out-of-range values are clamped where it is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(f32);

impl Score {
    /// Clamps to 0…1; NaN becomes 0.
    pub fn new(value: f32) -> Self {
        if value.is_nan() { Self(0.0) } else { Self(value.clamp(0.0, 1.0)) }
    }
    /// The value, in 0…1.
    pub fn get(self) -> f32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_always_between_zero_and_one() {
        for (given, kept) in [(f32::NAN, 0.0), (-1.0, 0.0), (0.25, 0.25), (f32::INFINITY, 1.0)] {
            assert_eq!(Score::new(given).get(), kept);
        }
    }
}
