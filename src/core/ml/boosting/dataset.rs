//! Rows, labels, weights and groups to learn from.

/// Training data, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Dataset<'a> {
    /// n × `n_features`, row-major; NaN = missing.
    pub values: &'a [f32],
    /// Columns.
    pub n_features: usize,
    /// n of them; 0…1 for a probability, 0 and more (grades) for an order.
    pub labels: &'a [f32],
    /// Weight of each row, ≥ 0; without it every row counts 1.
    pub weights: Option<&'a [f32]>,
    /// Numbers of rows of the groups, in order, that are ranked among themselves; they add up to n.
    pub groups: Option<&'a [usize]>,
}

impl Dataset<'_> {
    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// The values of a row; empty beyond the last.
    pub fn row(&self, row: usize) -> &[f32] {
        self.values.get(row * self.n_features..(row + 1) * self.n_features).unwrap_or_default()
    }
}
