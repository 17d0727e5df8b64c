//! Means with their standard errors, 95 % intervals by the normal approximation; of rows that belong together (a user's) by
//! the sums of each cluster (Liang & Zeger 1986).

use serde::Serialize;

/// Two-sided 95 % of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// A value with its uncertainty, 95 % by the normal approximation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = OffPolicyEstimate))]
pub struct Estimate {
    /// In units of the terms.
    pub value: f64,
    /// Of the value.
    pub standard_error: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// A value with a known standard error.
    pub fn around(value: f64, standard_error: f64) -> Self {
        let half = Z_95 * standard_error;
        Self { value, standard_error, low: value - half, high: value + half }
    }

    /// The mean of independent terms; 0 without any.
    pub fn of_mean(terms: &[f64]) -> Self {
        let value = mean(terms.iter().copied(), terms.len() as f64);
        Self::around(value, standard_error(terms, value))
    }

    /// The mean of terms of which those with the same number depend on each other. Numbers are 0…`n_clusters` − 1; a term
    /// of another number counts in the mean alone.
    pub fn of_clusters(terms: &[f64], clusters: &[u32], n_clusters: usize) -> Self {
        let n = terms.len() as f64;
        let value = mean(terms.iter().copied(), n);
        let mut sums = vec![None; n_clusters];
        for (term, cluster) in terms.iter().zip(clusters) {
            if let Some(sum) = sums.get_mut(*cluster as usize) {
                *sum = Some(sum.unwrap_or(0.0) + term - value);
            }
        }
        let groups = sums.iter().flatten().count() as f64;
        let squares: f64 = sums.iter().flatten().map(|sum| sum * sum).sum();
        let error = if groups < 2.0 { 0.0 } else { (groups / (groups - 1.0) * squares).sqrt() / n };
        Self::around(value, error)
    }

    /// Returns whether the interval leaves 0 out.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// 0 when empty.
pub fn mean(values: impl Iterator<Item = f64>, n: f64) -> f64 {
    if n > 0.0 { values.sum::<f64>() / n } else { 0.0 }
}

/// Of the mean of independent terms; 0 below two of them.
pub fn standard_error(terms: &[f64], mean: f64) -> f64 {
    let n = terms.len() as f64;
    if n < 2.0 {
        return 0.0;
    }
    let squares: f64 = terms.iter().map(|term| (term - mean) * (term - mean)).sum();
    (squares / (n - 1.0) / n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_of_one_are_rows_and_twins_are_one_row() {
        let terms = [1.0, 2.0, 4.0, 9.0];
        let rows = Estimate::of_mean(&terms);
        // Deviations −3, −2, 0, 5: 38 / 3 / 4.
        assert_eq!(rows.value, 4.0);
        assert!((rows.standard_error - (38.0f64 / 12.0).sqrt()).abs() < 1e-12);
        assert_eq!(Estimate::of_clusters(&terms, &[0, 1, 2, 3], 4), rows);
        let twins: Vec<f64> = terms.iter().flat_map(|term| [*term, *term]).collect();
        let paired = Estimate::of_clusters(&twins, &[0, 0, 1, 1, 2, 2, 3, 3], 9);
        assert!((paired.standard_error - rows.standard_error).abs() < 1e-12, "{paired:?}");
        assert!(rows.low > 0.0 && rows.excludes_zero() && !Estimate::around(1.0, 1.0).excludes_zero());
    }

    #[test]
    fn nothing_has_no_error() {
        assert_eq!(Estimate::of_mean(&[]), Estimate::around(0.0, 0.0));
        assert_eq!(Estimate::of_clusters(&[5.0], &[0], 1), Estimate::around(5.0, 0.0));
    }
}
