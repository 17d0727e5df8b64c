//! Draws that the simulated world is made of, from a seeded generator; every function is a pure function of it.

use rand::RngExt;

use tidings_core::base::random::ChaCha8Rng;

/// True with probability `p`; p ≤ 0 (or NaN) never, p ≥ 1 always.
pub fn happens(rng: &mut ChaCha8Rng, p: f64) -> bool {
    rng.random::<f64>() < p
}

/// Uniform in `low…high`.
pub fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Standard normal (Box and Muller 1958).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// Log-normal with mean 1: multiplies a rate without changing its expectation.
pub fn noise(rng: &mut ChaCha8Rng, sigma: f64) -> f64 {
    (sigma * normal(rng) - sigma * sigma / 2.0).exp()
}

/// Uniform index below `n`; 0 when `n` is 0.
pub fn index(rng: &mut ChaCha8Rng, n: usize) -> usize {
    if n == 0 { 0 } else { rng.random_range(0..n as u64) as usize }
}

/// Index drawn in proportion to `weights` (≥ 0); `None` when they sum to 0. O(n).
pub fn weighted(rng: &mut ChaCha8Rng, weights: &[f64]) -> Option<usize> {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = rng.random::<f64>() * total;
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return Some(index);
        }
    }
    weights.iter().rposition(|weight| *weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::random::rng;

    #[test]
    fn draws_have_the_moments_they_claim() {
        let mut rng = rng(7, "chance");
        let n = 20_000;
        let mean = |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        assert!(mean(&mut || normal(&mut rng)).abs() < 0.03);
        assert!((mean(&mut || normal(&mut rng).powi(2)) - 1.0).abs() < 0.05);
        assert!((mean(&mut || noise(&mut rng, 0.5)) - 1.0).abs() < 0.02);
        assert!((mean(&mut || f64::from(happens(&mut rng, 0.3))) - 0.3).abs() < 0.02);
        let second = mean(&mut || f64::from(weighted(&mut rng, &[1.0, 3.0, 0.0]) == Some(1)));
        assert!((second - 0.75).abs() < 0.02, "{second}");
    }

    #[test]
    fn nothing_can_be_drawn_from_nothing() {
        assert_eq!(weighted(&mut rng(1, "x"), &[]), None);
        assert_eq!(weighted(&mut rng(1, "x"), &[0.0, 0.0]), None);
    }
}
