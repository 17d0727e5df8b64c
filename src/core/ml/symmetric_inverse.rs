//! The inverse of a symmetric positive definite matrix in place, by the symmetric sweep (Goodnight 1979) a block of
//! rows and columns at a time: the block is inverted by Cholesky, the rest updated by one product. n³ operations, as
//! Cholesky and the inverse of its factor, but in the memory of the matrix itself, in steps of equal length that can be
//! counted and cancelled, and the same to the last bit on any number of threads.
//!
//! faer's own inverse needs two more copies of the matrix; LAPACK's `getri` behind NumPy takes twice the operations.

use std::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::{Accum, Mat, MatMut, Par};
use rayon::prelude::*;

use super::product::{clear_registers, product};
use super::threads::Threads;

/// Rows and columns swept at once: large enough for the products to run from the cache.
const BLOCK: usize = 128;
/// Columns updated by one task.
const TILE: usize = 128;
/// Multiplications between two looks at cancellation: about ten milliseconds on two threads.
const COST_AT_ONCE: usize = 400_000_000;

/// Reason why there is no inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SweepError {
    /// Not positive definite, as far as the precision shows.
    NotPositiveDefinite,
    /// The progress function said stop.
    Cancelled,
}

/// Replaces `a` (n × n, column after column, of which only the lower triangle is read) by **minus** its inverse, lower
/// triangle only. `progress` hears 0…1 every few milliseconds and may break; `a` is spoilt then. n³ operations,
/// 2 · 128 · n numbers of scratch.
pub(crate) fn negative_inverse(
    a: &mut [f32],
    n: usize,
    threads: &Threads,
    mut progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Result<(), SweepError> {
    if n == 0 || a.len() != n * n {
        return Ok(());
    }
    let mut from = 0;
    while from < n {
        let block = from..(from + BLOCK).min(n);
        let size = block.len();
        let columns = gather(a, n, from, size);
        let inverse = invert_block(&columns, from, size).ok_or(SweepError::NotPositiveDefinite)?;
        let mut products = Mat::<f32>::zeros(n, size);
        threads.run(|| {
            products.as_mut().par_row_chunks_mut(TILE).enumerate().for_each(|(index, target)| {
                let rows = columns.as_ref().subrows(index * TILE, target.nrows());
                product(target, Accum::Replace, rows, inverse.as_ref(), 1.0);
            });
        });
        let tiles_at_once = (COST_AT_ONCE / (n * size * TILE)).max(1);
        let mut column = 0;
        for tiles in a.chunks_mut(n * TILE * tiles_at_once) {
            let done = (from as f32 + size as f32 * column as f32 / n as f32) / n as f32;
            if progress(done).is_break() {
                return Err(SweepError::Cancelled);
            }
            threads.run(|| {
                tiles.par_chunks_mut(n * TILE).enumerate().for_each(|(index, tile)| {
                    let first = column + index * TILE;
                    let width = tile.len() / n;
                    // Only what lies on and below the diagonal.
                    let target =
                        MatMut::from_column_major_slice_mut(tile, n, width).subrows_mut(first, n - first);
                    let left = products.as_ref().subrows(first, n - first);
                    let right = columns.as_ref().subrows(first, width);
                    product(target, Accum::Add, left, right.transpose(), -1.0);
                });
            });
            column += tiles.len() / n;
        }
        scatter(a, n, from, &products, &inverse);
        from += size;
    }
    Ok(())
}

/// The block's columns, all n rows, from the lower triangle.
fn gather(a: &[f32], n: usize, from: usize, size: usize) -> Mat<f32> {
    let at = |row: usize, column: usize| {
        let (row, column) = if row >= column { (row, column) } else { (column, row) };
        a.get(column * n + row).copied().unwrap_or(0.0)
    };
    Mat::from_fn(n, size, |row, column| at(row, from + column))
}

fn invert_block(columns: &Mat<f32>, from: usize, size: usize) -> Option<Mat<f32>> {
    let mut factor = columns.as_ref().subrows(from, size).to_owned();
    let scratch = llt::factor::cholesky_in_place_scratch::<f32>(size, Par::Seq, faer::prelude::default())
        .or(llt::inverse::inverse_scratch::<f32>(size, Par::Seq));
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    llt::factor::cholesky_in_place(
        factor.as_mut(),
        faer::prelude::default(),
        Par::Seq,
        stack,
        faer::prelude::default(),
    )
    .ok()?;
    let mut inverse = Mat::zeros(size, size);
    llt::inverse::inverse(inverse.as_mut(), factor.as_ref(), Par::Seq, stack);
    clear_registers();
    for column in 0..size {
        for row in 0..column {
            let value = *inverse.get(column, row);
            *inverse.get_mut(row, column) = value;
        }
    }
    let sound = inverse.col_iter().all(|column| column.iter().all(|value| value.is_finite()));
    sound.then_some(inverse)
}

/// Puts the swept block into the lower triangle: its products beside it, minus its inverse within.
fn scatter(a: &mut [f32], n: usize, from: usize, products: &Mat<f32>, inverse: &Mat<f32>) {
    let size = inverse.nrows();
    for (column, cells) in a.chunks_exact_mut(n).take(from + size).enumerate() {
        if column < from {
            for (offset, cell) in cells.iter_mut().skip(from).take(size).enumerate() {
                *cell = *products.get(column, offset);
            }
            continue;
        }
        for (row, cell) in cells.iter_mut().enumerate().skip(column) {
            *cell = if row < from + size {
                -*inverse.get(row - from, column - from)
            } else {
                *products.get(row, column - from)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A · Aᵀ + n · I of repeatable numbers, column after column.
    fn matrix(n: usize) -> Vec<f32> {
        let a = |row: usize, k: usize| ((row * 31 + k * 17) % 23) as f32 / 23.0 - 0.5;
        let cell = |row: usize, column: usize| {
            (0..n).map(|k| a(row, k) * a(column, k)).sum::<f32>() + if row == column { n as f32 } else { 0.0 }
        };
        (0..n * n).map(|index| cell(index % n, index / n)).collect()
    }

    fn invert(a: &[f32], n: usize, n_threads: usize) -> Vec<f32> {
        let mut inverse = a.to_vec();
        let threads = Threads::new(n_threads).unwrap();
        negative_inverse(&mut inverse, n, &threads, |_| ControlFlow::Continue(())).unwrap();
        inverse
    }

    #[test]
    fn two_by_two_by_hand() {
        // (2 1; 1 3)⁻¹ = (3 −1; −1 2) / 5.
        let inverse = invert(&[2.0, 1.0, 1.0, 3.0], 2, 1);
        for (value, expected) in [(inverse[0], -0.6), (inverse[1], 0.2), (inverse[3], -0.4)] {
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
        }
    }

    #[test]
    fn several_blocks_multiply_to_the_identity_on_any_number_of_threads() {
        let n = 2 * BLOCK + 37;
        let a = matrix(n);
        let inverse = invert(&a, n, 1);
        assert_eq!(inverse, invert(&a, n, 3));
        let full = |row: usize, column: usize| -inverse[row.min(column) * n + row.max(column)];
        for row in (0..n).step_by(29) {
            for column in (0..n).step_by(31) {
                let product: f32 = (0..n).map(|k| a[k * n + row] * full(k, column)).sum();
                assert!(
                    (product - f32::from(u8::from(row == column))).abs() < 1e-4,
                    "{row} {column} {product}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_refused_and_it_can_be_cancelled() {
        let threads = Threads::new(1).unwrap();
        let mut singular = [1.0, 1.0, 1.0, 1.0];
        let go_on = |_| ControlFlow::Continue(());
        let refused = negative_inverse(&mut singular, 2, &threads, go_on);
        assert_eq!(refused, Err(SweepError::NotPositiveDefinite));
        let mut nan = [f32::NAN];
        assert_eq!(negative_inverse(&mut nan, 1, &threads, go_on), Err(SweepError::NotPositiveDefinite));
        let stopped = negative_inverse(&mut [1.0], 1, &threads, |_| ControlFlow::Break(()));
        assert_eq!(stopped, Err(SweepError::Cancelled));
        assert_eq!(negative_inverse(&mut [], 0, &threads, go_on), Ok(()));
    }
}
