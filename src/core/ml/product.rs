//! Products of dense matrices on one thread.

use std::hint::black_box;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};

/// target = factor · left · right, or added to what is there. rows · columns · inner multiplications.
pub(crate) fn product(
    target: MatMut<'_, f32>,
    accum: Accum,
    left: MatRef<'_, f32>,
    right: MatRef<'_, f32>,
    factor: f32,
) {
    matmul(target, accum, left, right, factor, Par::Seq);
    clear_registers();
}

/// Clears the upper halves of the vector registers, which the kernels of faer 0.24 leave in use: until then all code compiled for
/// narrower vectors waits for them. Measured 2026-11-30: exponentials after products of 128 × 512 × 48 took 12 times as long. A
/// function for wide vectors clears them as it returns.
pub(crate) fn clear_registers() {
    Arch::new().dispatch(Wide);
}

struct Wide;

impl WithSimd for Wide {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        black_box(simd.splat_f32s(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_replaces_or_is_added() {
        let (left, right) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0]);
        let mut target = [1.0f32, 1.0];
        let run = |accum, target: &mut [f32]| {
            let left = MatRef::from_row_major_slice(&left, 2, 2);
            let right = MatRef::from_column_major_slice(&right, 2, 1);
            product(MatMut::from_column_major_slice_mut(target, 2, 1), accum, left, right, 2.0);
        };
        run(Accum::Replace, &mut target);
        assert_eq!(target, [34.0, 78.0]);
        run(Accum::Add, &mut target);
        assert_eq!(target, [68.0, 156.0]);
    }
}
