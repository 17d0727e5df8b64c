//! Gradients of the loss that boosting minimises.

/// First and second derivatives of the loss by row.
#[derive(Debug)]
pub(super) struct Gradients(pub(super) Vec<(f32, f32)>);

impl Gradients {
    pub(super) fn new(n: usize) -> Self {
        Self(vec![(0.0, 0.0); n])
    }

    pub(super) fn at(&self, row: u32) -> (f32, f32) {
        self.0.get(row as usize).copied().unwrap_or_default()
    }
}
