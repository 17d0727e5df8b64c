//! Tests that may be looked at all the time, and values with their intervals.

use serde::Serialize;
use statrs::function::gamma::ln_gamma;

/// Two-sided 95 % of the normal distribution.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// A value with its 95 % interval. On the wire `[value, low, high]`, an end that can't be told null.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(into = "[Option<f64>; 3]")]
pub struct Estimate {
    /// As observed.
    pub value: f64,
    /// Lower end; `None` while it can't be told.
    pub low: Option<f64>,
    /// Upper end; `None` while it can't be told, or where there is none.
    pub high: Option<f64>,
}

impl From<Estimate> for [Option<f64>; 3] {
    fn from(estimate: Estimate) -> Self {
        [Some(estimate.value), estimate.low, estimate.high]
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Estimate {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        <Vec<Option<f64>> as utoipa::PartialSchema>::schema()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Estimate {}

impl Estimate {
    /// With both ends.
    pub fn between(value: f64, low: f64, high: f64) -> Self {
        Self { value, low: Some(low), high: Some(high) }
    }

    /// Without an interval.
    pub fn untold(value: f64) -> Self {
        Self { value, low: None, high: None }
    }

    /// Returns whether the interval leaves 0 out. False without an interval.
    pub fn excludes_zero(&self) -> bool {
        self.low.is_some_and(|low| low > 0.0) || self.high.is_some_and(|high| high < 0.0)
    }

    /// In another unit; `factor` ≥ 0.
    pub fn times(self, factor: f64) -> Self {
        let scaled = |end: Option<f64>| end.map(|end| end * factor);
        Self { value: self.value * factor, low: scaled(self.low), high: scaled(self.high) }
    }
}

/// Concentration of the prior over shares: deviations of about √(share · (1 − share) / 100) are found soonest, 5 points of 50.
const CONCENTRATION: f64 = 100.0;

/// Anytime-valid p-value that counts were drawn with these shares (any unit): the inverse of the Bayes factor of a Dirichlet
/// prior around the shares against the shares themselves (Lindon & Malek, NeurIPS 2022). It falls below α with a probability
/// of at most α, however often and whenever somebody looks. 1 for no counts. An arm without a share must have no counts.
/// O(arms).
pub fn multinomial_p(counts: &[u64], shares: &[f64]) -> f64 {
    let whole: f64 = shares.iter().sum();
    let total: f64 = counts.iter().map(|count| *count as f64).sum();
    if total <= 0.0 || whole <= 0.0 {
        return 1.0;
    }
    if counts.iter().zip(shares).any(|(count, share)| *count > 0 && *share <= 0.0) {
        return 0.0;
    }
    let arm = |(count, share): (&u64, &f64)| {
        let (count, share) = (*count as f64, share / whole);
        let prior = CONCENTRATION * share;
        ln_gamma(prior + count) - ln_gamma(prior) - count * share.ln()
    };
    let arms: f64 = counts.iter().zip(shares).filter(|(_, share)| **share > 0.0).map(arm).sum();
    let bayes_factor = arms - (ln_gamma(CONCENTRATION + total) - ln_gamma(CONCENTRATION));
    (-bayes_factor).exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use tidings_core::base::random::rng;

    /// Computed with Python's math.lgamma.
    #[test]
    fn sequential_p_values_are_those_of_the_formula() {
        for (counts, shares, expected) in [
            (&[1_000, 800][..], &[0.5, 0.5][..], 1.142_836_746_713_050_3e-4),
            (&[5_250, 4_750], &[1.0, 1.0], 4.222_537_418_130_42e-5),
            (&[6, 144, 18], &[200.0, 9_300.0, 500.0], 0.108_614_318_166_810_43),
            (&[30, 90], &[0.5, 0.5], 3.599_430_353_337_727_4e-4),
        ] {
            let p = multinomial_p(counts, shares);
            assert!((p / expected - 1.0).abs() < 1e-9, "{counts:?}: {p} {expected}");
        }
        assert_eq!(multinomial_p(&[0, 0], &[1.0, 1.0]), 1.0);
        assert_eq!((multinomial_p(&[5, 0], &[1.0, 0.0]), multinomial_p(&[5, 1], &[1.0, 0.0])), (1.0, 0.0));
    }

    /// 1,000 experiments without a fault, looked at after each of 1,000 users. χ² at 5 % would have called a third of them wrong.
    #[test]
    fn looking_all_the_time_raises_no_more_false_alarms_than_promised() {
        let shares = [0.02, 0.93, 0.05];
        let mut alarms = 0;
        for seed in 0..1_000 {
            let mut rng = rng(seed, "arms");
            let mut counts = [0u64; 3];
            let mut alarmed = false;
            for _ in 0..1_000 {
                let draw: f64 = rng.random();
                counts[if draw < 0.02 { 0 } else { usize::from(draw >= 0.95) + 1 }] += 1;
                alarmed |= multinomial_p(&counts, &shares) < 0.05;
            }
            alarms += u32::from(alarmed);
        }
        assert!((1..=50).contains(&alarms), "{alarms}");
    }
}
