//! The few distributions that experiments and bandits need.

use rand::{Rng, RngExt};

/// Two-sided 95 % of the normal distribution.
pub const Z_95: f64 = 1.959_963_984_540_054;
/// Steps of a series or continued fraction; they converge in a few dozens.
const MAX_STEPS: usize = 500;

/// Probability that a χ² variable of so many degrees of freedom is at least `x`; 1 for x ≤ 0 or no degrees.
/// Regularised upper incomplete gamma function (Press et al., Numerical Recipes, §6.2), error < 1e-10.
pub fn chi_square_p(x: f64, degrees: usize) -> f64 {
    if !x.is_finite() {
        return 0.0;
    }
    if x <= 0.0 || degrees == 0 {
        return 1.0;
    }
    let (a, x) = (degrees as f64 / 2.0, x / 2.0);
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for step in 1..MAX_STEPS {
            term *= x / (a + step as f64);
            sum += term;
            if term < sum * 1e-14 {
                break;
            }
        }
        return (1.0 - scale * sum).clamp(0.0, 1.0);
    }
    // Lentz's continued fraction.
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for step in 1..MAX_STEPS {
        let an = -(step as f64) * (step as f64 - a);
        b += 2.0;
        d = 1.0 / nonzero(an * d + b);
        c = nonzero(b + an / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    (scale * fraction).clamp(0.0, 1.0)
}

fn nonzero(x: f64) -> f64 {
    if x.abs() < 1e-300 { 1e-300 } else { x }
}

/// Lanczos' approximation (g = 5, n = 6), relative error < 2e-10, for x > 0.
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 6] = [
        76.180_091_729_471_46,
        -86.505_320_329_416_77,
        24.014_098_240_830_91,
        -1.231_739_572_450_155,
        1.208_650_973_866_179e-3,
        -5.395_239_384_953e-6,
    ];
    let shifted = x + 5.5 - (x + 0.5) * (x + 5.5).ln();
    let series = COEFFICIENTS.iter().enumerate().fold(1.000_000_000_190_015, |sum, (index, coefficient)| {
        sum + coefficient / (x + 1.0 + index as f64)
    });
    (2.506_628_274_631_000_5 * series / x).ln() - shifted
}

/// A standard normal number (Box & Muller 1958).
pub fn normal(rng: &mut impl Rng) -> f64 {
    let u = 1.0 - rng.random::<f64>();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// A gamma number of a shape ≥ 1 and scale 1 (Marsaglia & Tsang 2000).
fn gamma(shape: f64, rng: &mut impl Rng) -> f64 {
    let d = shape.max(1.0) - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - rng.random::<f64>();
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// A beta number, both parameters ≥ 1.
pub fn beta(a: f64, b: f64, rng: &mut impl Rng) -> f64 {
    let (x, y) = (gamma(a, rng), gamma(b, rng));
    x / (x + y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::rng;

    /// scipy.stats.chi2.sf.
    #[test]
    fn tails_of_the_chi_square_distribution_are_those_of_scipy() {
        for (x, degrees, expected) in [
            (3.841_458_820_694_124, 1, 0.05),
            (10.827_566_170_662_733, 1, 0.001),
            (0.5, 3, 0.918_891_411_654_675_8),
            (30.0, 10, 0.000_856_641_210_775_300_3),
            (1_000.0, 900, 0.010_994_608_942_135_844),
        ] {
            let p = chi_square_p(x, degrees);
            assert!((p - expected).abs() < 1e-6 * (1.0 + expected), "{x} {degrees}: {p} {expected}");
        }
        assert_eq!((chi_square_p(0.0, 3), chi_square_p(f64::NAN, 1)), (1.0, 0.0));
    }

    #[test]
    fn beta_numbers_have_the_mean_and_variance_of_the_distribution() {
        let mut rng = rng(1, "test");
        let n = 50_000;
        let draws: Vec<f64> = (0..n).map(|_| beta(3.0, 7.0, &mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!((mean - 0.3).abs() < 0.003, "{mean}");
        // a b / ((a + b)² (a + b + 1)).
        assert!((variance - 21.0 / 1_100.0).abs() < 0.0005, "{variance}");
    }
}
