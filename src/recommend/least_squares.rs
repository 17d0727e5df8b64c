//! The inner loop of implicit ALS: one vector x that solves (Σ y yᵀ + Σ (c − 1) y yᵀ + λI) x = Σ c y, the first sum over
//! everybody on the other side (given as their Gram matrix), the others over the cells of one row, by conjugate gradients.
//! Nothing is ever assembled, so a step costs O(cells · f + f²) for f factors. Takács, Pilászy & Tikk 2011.
//!
//! Sums run in eight lanes whatever the machine, so that results are the same where wider instructions are used.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

/// Squared length of a residual below which nothing is left to do.
const CONVERGED: f32 = 1e-20;
/// Sums kept apart in one product.
const LANES: usize = 8;

/// What is known about one row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// Whom it touched and with which confidence c > 0.
    pub(super) cells: &'a [(u32, f32)],
    /// The vectors of the other side, one after another.
    pub(super) others: &'a [f32],
    /// Their Gram matrix, f × f.
    pub(super) gram: &'a [f32],
    /// λ of this row.
    pub(super) penalty: f32,
}

/// Vectors of one thread.
pub(super) struct Scratch {
    residual: Vec<f32>,
    direction: Vec<f32>,
    image: Vec<f32>,
    arch: Arch,
}

impl Scratch {
    /// For vectors of `factors`.
    pub(super) fn new(factors: usize) -> Self {
        let zero = || vec![0f32; factors];
        Self { residual: zero(), direction: zero(), image: zero(), arch: Arch::new() }
    }
}

/// Yᵀ · Y of vectors one after another; f × f zeroes without vectors. O(vectors · f²).
pub(super) fn gram(vectors: &[f32], factors: usize) -> Vec<f32> {
    let mut gram = vec![0f32; factors * factors];
    if factors > 0 && !vectors.is_empty() {
        let all = MatRef::from_column_major_slice(vectors, factors, vectors.len() / factors);
        let target = MatMut::from_column_major_slice_mut(&mut gram, factors, factors);
        matmul(target, Accum::Replace, all, all.transpose(), 1.0, Par::Seq);
    }
    gram
}

/// Improves `x` by at most `steps` steps; a row without cells gets 0. Stops early when nothing is left to improve.
pub(super) fn solve(x: &mut [f32], row: &Row<'_>, steps: usize, scratch: &mut Scratch) {
    let arch = scratch.arch;
    // Compiled again for each instruction set, the widest at hand runs.
    arch.dispatch(
        #[inline(always)]
        || conjugate_gradients(x, row, steps, scratch),
    );
}

#[inline(always)]
fn conjugate_gradients(x: &mut [f32], row: &Row<'_>, steps: usize, scratch: &mut Scratch) {
    if row.cells.is_empty() {
        x.fill(0.0);
        return;
    }
    let Scratch { residual, direction, image, .. } = scratch;
    // The residual b − A x in one pass over the cells: Σ (c − (c − 1) y·x) y − G x − λ x.
    times_gram(row, x, image);
    residual.iter_mut().zip(image.iter()).for_each(|(residual, image)| *residual = -image);
    for (other, confidence) in row.cells {
        let y = vector(row.others, *other, x.len());
        add(residual, confidence - (confidence - 1.0) * dot_lanes(y, x), y);
    }
    direction.copy_from_slice(residual);
    let mut length = dot_lanes(residual, residual);
    for _ in 0..steps {
        if length < CONVERGED {
            return;
        }
        times_gram(row, direction, image);
        for (other, confidence) in row.cells {
            let y = vector(row.others, *other, x.len());
            add(image, (confidence - 1.0) * dot_lanes(y, direction), y);
        }
        let curvature = dot_lanes(direction, image);
        // Not a direction to go: rounding, or a history that names an item twice with little confidence.
        if !(curvature > 0.0 && length.is_finite()) {
            return;
        }
        let step = length / curvature;
        add(x, step, direction);
        add(residual, -step, image);
        let next = dot_lanes(residual, residual);
        let keep = next / length;
        direction.iter_mut().zip(residual.iter()).for_each(|(to, from)| *to = from + keep * *to);
        length = next;
    }
}

#[inline(always)]
fn vector(others: &[f32], index: u32, factors: usize) -> &[f32] {
    let from = index as usize * factors;
    others.get(from..from + factors).unwrap_or_default()
}

/// image = (G + λI) p, four columns of the symmetric G at a time.
#[inline(always)]
fn times_gram(row: &Row<'_>, p: &[f32], image: &mut [f32]) {
    let f = p.len();
    image.iter_mut().zip(p).for_each(|(to, from)| *to = row.penalty * from);
    let mut fours = row.gram.chunks_exact(4 * f);
    let mut values = p.chunks_exact(4);
    for (columns, values) in fours.by_ref().zip(values.by_ref()) {
        let [p0, p1, p2, p3] = values else { continue };
        let (a, rest) = columns.split_at(f);
        let (b, rest) = rest.split_at(f);
        let (c, d) = rest.split_at(f);
        for ((((to, a), b), c), d) in image.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *to += (p0 * a + p1 * b) + (p2 * c + p3 * d);
        }
    }
    for (column, value) in fours.remainder().chunks_exact(f).zip(values.remainder()) {
        add(image, *value, column);
    }
}

/// to += factor · from.
#[inline(always)]
fn add(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

/// Product of two vectors of one length, in eight sums.
#[inline(always)]
pub(super) fn dot_lanes(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (mut left, mut right) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in left.by_ref().zip(right.by_ref()) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h)) + rest
}

/// The same, outside the hot loop.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_lanes(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_factors_agree_with_a_system_solved_by_hand() {
        // y₀ = (1, 0), y₁ = (1, 1); G = (2 1; 1 1); the row has y₀ with c = 3, λ = 1:
        // A = (2 1; 1 1) + 2 (1 0; 0 0) + I = (5 1; 1 2), b = (3, 0), x = (6, −3) / 9.
        let others = [1.0, 0.0, 1.0, 1.0];
        let gram = gram(&others, 2);
        assert_eq!(gram, [2.0, 1.0, 1.0, 1.0]);
        let mut x = [0.0; 2];
        let row = Row { cells: &[(0, 3.0)], others: &others, gram: &gram, penalty: 1.0 };
        solve(&mut x, &row, 2, &mut Scratch::new(2));
        assert!((x[0] - 2.0 / 3.0).abs() < 1e-5 && (x[1] + 1.0 / 3.0).abs() < 1e-5, "{x:?}");
        solve(&mut x, &Row { cells: &[], ..row }, 2, &mut Scratch::new(2));
        assert_eq!(x, [0.0; 2]);
    }

    #[test]
    fn products_of_any_length() {
        for n in [0, 1, 7, 8, 9, 37] {
            let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
            assert_eq!(dot(&a, &a), (0..n).map(|i| (i * i) as f32).sum::<f32>());
        }
    }
}
