//! Columns of f32 cut into at most 255 bins of about equally many rows; missing values have a bin of their own, the
//! last. Comes out: a byte a value, column-major.

use rayon::prelude::*;

use super::dataset::Dataset;

/// Rows looked at to find the bounds: quantiles of that many are exact enough.
const MAX_SAMPLE: usize = 200_000;

/// All columns of a data set as bins.
#[derive(Debug)]
pub(super) struct Bins {
    columns: Vec<Column>,
}

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    /// Upper bounds, rising; bin b holds `uppers[b - 1] < x ≤ uppers[b]`, the last one has none.
    pub(super) uppers: Vec<f32>,
    /// Bin of each row; `uppers.len() + 1` is "missing".
    pub(super) rows: Vec<u8>,
}

impl Column {
    /// Bins, the one for missing values included.
    pub(super) fn n_bins(&self) -> usize {
        self.uppers.len() + 2
    }

    fn new(data: &Dataset<'_>, column: usize, max_bins: usize) -> Self {
        let value = |row: usize| data.values.get(row * data.n_features + column).copied().unwrap_or(f32::NAN);
        let n = data.n_rows();
        let stride = n.div_ceil(MAX_SAMPLE).max(1);
        let mut sample: Vec<f32> =
            (0..n).step_by(stride).map(value).filter(|value| !value.is_nan()).collect();
        sample.sort_unstable_by(f32::total_cmp);
        let uppers = bounds(&sample, max_bins);
        let missing = byte(uppers.len() + 1);
        let rows = (0..n)
            .map(|row| match value(row) {
                value if value.is_nan() => missing,
                value => byte(uppers.partition_point(|upper| *upper < value)),
            })
            .collect();
        Self { uppers, rows }
    }
}

fn byte(bin: usize) -> u8 {
    u8::try_from(bin).unwrap_or(u8::MAX)
}

/// Bounds between bins of sorted values: a bin a value where there are few, else as even as heavy values allow.
fn bounds(sorted: &[f32], max_bins: usize) -> Vec<f32> {
    let mut distinct: Vec<(f32, usize)> = Vec::new();
    for value in sorted {
        match distinct.last_mut() {
            Some((last, count)) if *last == *value => *count += 1,
            _ => distinct.push((*value, 1)),
        }
    }
    let max_bins = max_bins.clamp(2, 255);
    let all_fit = distinct.len() <= max_bins;
    let mut uppers = Vec::new();
    let (mut rows_left, mut in_bin) = (sorted.len(), 0);
    for pair in distinct.windows(2) {
        let [(value, count), (next, next_count)] = pair else { continue };
        in_bin += count;
        let bins_left = max_bins - uppers.len();
        if bins_left <= 1 {
            break;
        }
        let target = rows_left as f64 / bins_left as f64;
        // Closing before a heavy value keeps it in a bin of its own.
        let full = in_bin as f64 >= target || in_bin as f64 + *next_count as f64 / 2.0 > target;
        if all_fit || full {
            uppers.push(between(*value, *next));
            rows_left -= in_bin;
            in_bin = 0;
        }
    }
    uppers
}

/// A number from `low` up to but not including `high`, half-way where there is one.
fn between(low: f32, high: f32) -> f32 {
    let middle = ((f64::from(low) + f64::from(high)) / 2.0) as f32;
    if middle >= low && middle < high { middle } else { low }
}

impl Bins {
    /// Cuts every column, in parallel over columns.
    pub(super) fn fit(data: &Dataset<'_>, max_bins: usize) -> Self {
        let columns = (0..data.n_features).into_par_iter().map(|column| Column::new(data, column, max_bins));
        Self { columns: columns.collect() }
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_get_a_bin_each_and_missing_ones_the_last() {
        let values = [1.0, f32::NAN, 3.0, 1.0, 2.0, f32::INFINITY];
        let labels = [0.0; 6];
        let data = Dataset { values: &values, n_features: 1, labels: &labels, weights: None, groups: None };
        let bins = Bins::fit(&data, 255);
        assert_eq!(bins.columns()[0].uppers, [1.5, 2.5, 3.0]);
        assert_eq!(bins.columns()[0].rows, [0, 4, 2, 0, 1, 3]);
        assert_eq!(bins.columns()[0].n_bins(), 5);
    }

    #[test]
    fn many_values_are_cut_evenly_and_a_heavy_one_stays_alone() {
        let mut values: Vec<f32> = (0..1_000).map(|value| value as f32).collect();
        let uppers = bounds(&values, 10);
        assert_eq!(uppers.len(), 9);
        assert!(
            uppers.iter().zip(1..).all(|(upper, nth)| (upper - 100.0 * nth as f32).abs() <= 2.0),
            "{uppers:?}"
        );
        values.extend([500.0; 1_000]);
        values.sort_unstable_by(f32::total_cmp);
        let uppers = bounds(&values, 10);
        assert!(uppers.contains(&499.5) && uppers.contains(&500.5), "{uppers:?}");
    }

    #[test]
    fn nothing_and_one_value_have_no_bounds() {
        assert!(bounds(&[], 255).is_empty());
        assert!(bounds(&[2.0, 2.0], 255).is_empty());
        let next = f32::from_bits(1f32.to_bits() + 1);
        assert_eq!(bounds(&[1.0, next], 255), [1.0]);
    }
}
