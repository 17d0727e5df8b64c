//! The inner loop of implicit ALS: one vector x that solves (Σ y yᵀ + Σ (c − 1) y yᵀ + λI) x = Σ c y, the first sum over
//! everybody on the other side (given as their Gram matrix), the others over the cells of one row, by conjugate gradients.
//! Nothing is ever assembled, so a step costs O(cells · f + f²) for f factors. Takács, Pilászy & Tikk 2011.
//!
//! Several rows go side by side, so that the products with the Gram matrix, which all share, are one product of
//! matrices: at 128 factors that is half of the work, and runs four times as fast. Which rows go together depends on
//! their numbers alone, so results are the same on any number of threads.

use faer::{Accum, MatMut, MatRef};
use pulp::{Arch, Simd, WithSimd, as_arrays};

use super::product::product;

/// Rows side by side.
pub(crate) const BATCH: usize = 32;
/// Squared length of a residual below which nothing is left to do.
const CONVERGED: f32 = 1e-20;
/// Registers of sums kept apart in one product, so that additions need not wait for each other.
const SUMS: usize = 4;

/// Observations of the rows of a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// Others they touched, with confidence c > 0, row after row.
    cells: Vec<(u32, f32)>,
    /// End of each row in `cells`.
    ends: Vec<usize>,
    /// λ of each row.
    penalties: Vec<f32>,
}

impl Rows {
    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.ends.clear();
        self.penalties.clear();
    }

    /// One more row; its penalty by its confidence in all.
    pub(crate) fn push(&mut self, cells: impl Iterator<Item = (u32, f32)>, penalty: impl Fn(f32) -> f32) {
        let from = self.cells.len();
        self.cells.extend(cells);
        self.ends.push(self.cells.len());
        let confidence = self.cells.iter().skip(from).map(|(_, confidence)| confidence).sum();
        self.penalties.push(penalty(confidence));
    }

    fn each(&self) -> impl Iterator<Item = (&[(u32, f32)], f32)> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let cells = begins.zip(&self.ends).map(|(from, to)| self.cells.get(from..*to).unwrap_or_default());
        cells.zip(self.penalties.iter().copied())
    }
}

/// The vectors of the other side.
#[derive(Clone, Copy)]
pub(crate) struct Others<'a> {
    /// One after another.
    pub(crate) vectors: &'a [f32],
    /// Their Gram matrix, f × f.
    pub(crate) gram: &'a [f32],
}

/// Vectors of one thread, of each row of a batch.
pub(crate) struct Scratch {
    residuals: Vec<f32>,
    directions: Vec<f32>,
    images: Vec<f32>,
    /// Squared length of each residual; 0 = the row is done.
    lengths: Vec<f32>,
    arch: Arch,
}

impl Scratch {
    /// For vectors of `factors`.
    pub(crate) fn new(factors: usize) -> Self {
        let zero = || vec![0f32; factors * BATCH];
        Self {
            residuals: zero(),
            directions: zero(),
            images: zero(),
            lengths: vec![0.0; BATCH],
            arch: Arch::new(),
        }
    }
}

/// Yᵀ · Y of vectors one after another; f × f zeroes without vectors. O(vectors · f²).
pub(crate) fn gram(vectors: &[f32], factors: usize) -> Vec<f32> {
    let mut gram = vec![0f32; factors * factors];
    if factors > 0 && !vectors.is_empty() {
        let all = MatRef::from_column_major_slice(vectors, factors, vectors.len() / factors);
        let target = MatMut::from_column_major_slice_mut(&mut gram, factors, factors);
        product(target, Accum::Replace, all, all.transpose(), 1.0);
    }
    gram
}

/// Improves each vector of `xs` (at most [`BATCH`], one after another) by at most `steps` steps; that of a row without
/// cells becomes 0. Stops early when nothing is left to improve.
pub(crate) fn solve(
    xs: &mut [f32],
    factors: usize,
    rows: &Rows,
    others: &Others<'_>,
    steps: usize,
    scratch: &mut Scratch,
) {
    let Scratch { residuals, directions, images, lengths, arch } = scratch;
    let size = xs.len().min(residuals.len());
    let (Some(residuals), Some(directions), Some(images)) =
        (residuals.get_mut(..size), directions.get_mut(..size), images.get_mut(..size))
    else {
        return;
    };
    times_gram(others.gram, xs, images, factors);
    arch.dispatch(Step { xs, residuals, directions, images, lengths, rows, others, factors, first: true });
    for _ in 0..steps {
        times_gram(others.gram, directions, images, factors);
        arch.dispatch(Step {
            xs,
            residuals,
            directions,
            images,
            lengths,
            rows,
            others,
            factors,
            first: false,
        });
    }
}

/// One step of every row of a batch; the first only finds where to go.
struct Step<'a> {
    xs: &'a mut [f32],
    residuals: &'a mut [f32],
    directions: &'a mut [f32],
    images: &'a mut [f32],
    lengths: &'a mut [f32],
    rows: &'a Rows,
    others: &'a Others<'a>,
    factors: usize,
    first: bool,
}

impl WithSimd for Step<'_> {
    type Output = ();

    // Everything below is inlined here, and this compiled for each instruction set: a closure would not be.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let f = self.factors;
        let vectors = self.xs.chunks_exact_mut(f).zip(self.images.chunks_exact_mut(f));
        let ways = self.residuals.chunks_exact_mut(f).zip(self.directions.chunks_exact_mut(f));
        for ((((x, image), (residual, direction)), length), (cells, penalty)) in
            vectors.zip(ways).zip(self.lengths.iter_mut()).zip(self.rows.each())
        {
            if self.first {
                *length = begin(simd, x, image, residual, cells, penalty, self.others.vectors);
                direction.copy_from_slice(residual);
            } else if *length >= CONVERGED {
                add_cells(simd, image, direction, cells, penalty, self.others.vectors);
                *length = step(simd, x, image, residual, direction, *length);
            }
        }
    }
}

/// The residual b − A x, from G x; returns its squared length.
#[inline(always)]
fn begin<S: Simd>(
    simd: S,
    x: &mut [f32],
    image: &[f32],
    residual: &mut [f32],
    cells: &[(u32, f32)],
    penalty: f32,
    others: &[f32],
) -> f32 {
    if cells.is_empty() {
        x.fill(0.0);
        residual.fill(0.0);
        return 0.0;
    }
    for ((residual, image), x) in residual.iter_mut().zip(image).zip(x.iter()) {
        *residual = -image - penalty * x;
    }
    for (other, confidence) in cells {
        let y = vector(others, *other, x.len());
        let known = if *confidence == 1.0 { 0.0 } else { (confidence - 1.0) * dot(simd, y, x) };
        add(simd, residual, confidence - known, y);
    }
    dot(simd, residual, residual)
}

/// image + λ p + Σ (c − 1) y (y·p): from G p to A p.
#[inline(always)]
fn add_cells<S: Simd>(
    simd: S,
    image: &mut [f32],
    p: &[f32],
    cells: &[(u32, f32)],
    penalty: f32,
    others: &[f32],
) {
    add(simd, image, penalty, p);
    // One of confidence 1 weighs what an empty cell does, and the Gram matrix has that.
    for (other, confidence) in cells.iter().filter(|(_, confidence)| *confidence != 1.0) {
        let y = vector(others, *other, p.len());
        add(simd, image, (confidence - 1.0) * dot(simd, y, p), y);
    }
}

/// One step of conjugate gradients; returns the squared length of what is left, 0 when it is not to go on.
#[inline(always)]
fn step<S: Simd>(
    simd: S,
    x: &mut [f32],
    image: &[f32],
    residual: &mut [f32],
    direction: &mut [f32],
    length: f32,
) -> f32 {
    let curvature = dot(simd, direction, image);
    // Not a direction to go: rounding, or a history that names an item twice with little confidence.
    if !(curvature > 0.0 && length.is_finite()) {
        return 0.0;
    }
    let step = length / curvature;
    add(simd, x, step, direction);
    add(simd, residual, -step, image);
    let next = dot(simd, residual, residual);
    let keep = next / length;
    direction.iter_mut().zip(residual.iter()).for_each(|(to, from)| *to = from + keep * *to);
    next
}

#[inline(always)]
fn vector(others: &[f32], index: u32, factors: usize) -> &[f32] {
    let from = index as usize * factors;
    others.get(from..from + factors).unwrap_or_default()
}

/// The Gram matrix times each vector.
fn times_gram(gram: &[f32], vectors: &[f32], images: &mut [f32], factors: usize) {
    let n = vectors.len() / factors.max(1);
    let gram = MatRef::from_column_major_slice(gram, factors, factors);
    let vectors = MatRef::from_column_major_slice(vectors, factors, n);
    let target = MatMut::from_column_major_slice_mut(images, factors, n);
    product(target, Accum::Replace, gram, vectors, 1.0);
}

/// to += factor · from.
#[inline(always)]
fn add<S: Simd>(simd: S, to: &mut [f32], factor: f32, from: &[f32]) {
    let factors = simd.splat_f32s(factor);
    let (to, to_rest) = S::as_mut_simd_f32s(to);
    let (from, from_rest) = S::as_simd_f32s(from);
    to.iter_mut().zip(from).for_each(|(to, from)| *to = simd.mul_add_f32s(factors, *from, *to));
    to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to += factor * from);
}

/// Product of two vectors of one length.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let ((a_fours, a), (b_fours, b)) = (as_arrays::<SUMS, _>(a), as_arrays::<SUMS, _>(b));
    let mut sums = [simd.splat_f32s(0.0); SUMS];
    for (a, b) in a_fours.iter().zip(b_fours) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = simd.mul_add_f32s(*a, *b, *sum);
        }
    }
    let [first, second, third, fourth] = sums;
    let mut sum = simd.add_f32s(simd.add_f32s(first, second), simd.add_f32s(third, fourth));
    a.iter().zip(b).for_each(|(a, b)| sum = simd.mul_add_f32s(*a, *b, sum));
    simd.reduce_sum_f32s(sum) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Adds the product of `x` with each of the vectors to `scores`.
pub(crate) fn add_products(x: &[f32], vectors: &[f32], scores: &mut [f32]) {
    struct Products<'a>(&'a [f32], &'a [f32], &'a mut [f32]);
    impl WithSimd for Products<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(x, vectors, scores) = self;
            for (score, vector) in scores.iter_mut().zip(vectors.chunks_exact(x.len().max(1))) {
                *score += dot(simd, x, vector);
            }
        }
    }
    Arch::new().dispatch(Products(x, vectors, scores));
}

/// The same for some of the vectors: one for each score. A vector that is not there says nothing.
pub(crate) fn add_products_of(
    x: &[f32],
    vectors: &[f32],
    numbers: impl Iterator<Item = u32>,
    scores: &mut [f32],
) {
    struct Products<'a, I>(&'a [f32], &'a [f32], I, &'a mut [f32]);
    impl<I: Iterator<Item = u32>> WithSimd for Products<'_, I> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(x, vectors, numbers, scores) = self;
            for (score, number) in scores.iter_mut().zip(numbers) {
                *score += dot(simd, x, vector(vectors, number, x.len()));
            }
        }
    }
    Arch::new().dispatch(Products(x, vectors, numbers, scores));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_factors_agree_with_a_system_solved_by_hand() {
        // y₀ = (1, 0), y₁ = (1, 1); G = (2 1; 1 1); the row has y₀ with c = 3, λ = 1:
        // A = (2 1; 1 1) + 2 (1 0; 0 0) + I = (5 1; 1 2), b = (3, 0), x = (6, −3) / 9.
        let vectors = [1.0, 0.0, 1.0, 1.0];
        let gram = gram(&vectors, 2);
        assert_eq!(gram, [2.0, 1.0, 1.0, 1.0]);
        let mut rows = Rows::default();
        rows.push(std::iter::empty(), |_| 1.0);
        rows.push(std::iter::once((0, 3.0)), |confidence| confidence / 3.0);
        let mut xs = [7.0, 7.0, 0.0, 0.0];
        solve(&mut xs, 2, &rows, &Others { vectors: &vectors, gram: &gram }, 2, &mut Scratch::new(2));
        let [a, b, x, y] = xs;
        assert_eq!([a, b], [0.0; 2], "a row without cells");
        assert!((x - 2.0 / 3.0).abs() < 1e-5 && (y + 1.0 / 3.0).abs() < 1e-5, "{xs:?}");
    }

    #[test]
    fn products_of_any_length() {
        for n in [0, 1, 31, 32, 33, 100] {
            let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let mut scores = [1.0, 0.0];
            add_products(&a, &[a.clone(), a.clone()].concat(), &mut scores);
            let expected: f32 = a.iter().map(|value| value * value).sum();
            assert!(n == 0 || scores == [expected + 1.0, expected], "{n}: {scores:?}");
            let mut some = [0.0, 1.0];
            add_products_of(&a, &[vec![7.0; n], a.clone()].concat(), [1, 9].into_iter(), &mut some);
            assert!(n == 0 || some == [expected, 1.0], "{n}: {some:?}");
        }
    }
}
