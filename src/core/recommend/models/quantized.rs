//! Vectors rounded to a byte a number, so that all products with one vector are read four times as fast, each right to a known error.
//! The product with the vector itself differs by at most the length of the one times that of the rounding (Cauchy–Schwarz).
//!
//! Memory: a byte a number, rounded up to 16 of them, and 8 bytes a vector.

use pulp::{Arch, Simd, WithSimd};

use crate::base::ItemId;

/// Numbers that are multiplied at once.
const LANES: usize = 16;
/// Largest rounded number.
const MOST: f32 = 127.0;
/// Share of the product of two lengths by which rounding of sums may change a product.
const ROUNDING: f32 = 1e-5;

/// Vectors of a byte a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Quantized {
    /// Numbers of a vector, with zeros behind them.
    width: usize,
    /// Vector after vector.
    values: Vec<i8>,
    /// Value of a rounded 1, by vector; 0 of a vector of zeros.
    scales: Vec<f32>,
    /// Length of what rounding took from each vector.
    errors: Vec<f32>,
    /// The largest of them.
    largest: f32,
}

impl Quantized {
    /// Of vectors of so many numbers, one after the other.
    pub(super) fn new(vectors: &[f32], numbers: usize) -> Self {
        let width = numbers.next_multiple_of(LANES);
        let n = vectors.len() / numbers.max(1);
        let mut rounded = Self { width, ..Self::default() };
        rounded.values.reserve_exact(n * width);
        rounded.scales.reserve_exact(n);
        rounded.errors.reserve_exact(n);
        vectors.chunks_exact(numbers.max(1)).for_each(|vector| rounded.push(vector));
        rounded
    }

    fn push(&mut self, vector: &[f32]) {
        let most = vector.iter().fold(0f32, |most, value| most.max(value.abs()));
        let scale = most / MOST;
        let round = |value: &f32| if scale > 0.0 { (value / scale).round() } else { 0.0 };
        let lost = vector.iter().map(|value| (value - scale * round(value)).powi(2)).sum::<f32>();
        let whole = vector.iter().map(|value| value * value).sum::<f32>();
        self.values.extend(vector.iter().map(|value| round(value) as i8));
        self.values.resize(self.values.len().next_multiple_of(self.width), 0);
        self.scales.push(scale);
        let error = lost.sqrt() + ROUNDING * whole.sqrt();
        self.errors.push(error);
        self.largest = self.largest.max(error);
    }

    /// The most by which a product of `x` may differ from what [`Quantized::products`] says, for an `x` of length 1. O(1).
    pub(super) fn error(&self, vector: ItemId) -> f32 {
        self.errors.get(vector.index()).copied().unwrap_or(0.0)
    }

    /// The same for any vector. O(1).
    pub(super) fn largest_error(&self) -> f32 {
        self.largest
    }

    /// Writes the products of `x` with these vectors, `None` = all in their order, into slots of 0; a vector that is not there says
    /// nothing. O(slots · numbers).
    pub(super) fn products(&self, x: &[f32], vectors: Option<&[ItemId]>, slots: &mut [f32]) {
        let mut padded = x.to_vec();
        padded.resize(self.width, 0.0);
        match vectors {
            None => Arch::new().dispatch(All { rounded: self, x: &padded, slots }),
            Some(vectors) => Arch::new().dispatch(These { rounded: self, x: &padded, vectors, slots }),
        }
    }
}

struct All<'a> {
    rounded: &'a Quantized,
    x: &'a [f32],
    slots: &'a mut [f32],
}

impl WithSimd for All<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rounded, x, slots } = self;
        let vectors = rounded.values.chunks_exact(rounded.width.max(1)).zip(&rounded.scales);
        for ((vector, scale), slot) in vectors.zip(slots) {
            if *scale > 0.0 {
                *slot = scale * product(x, vector);
            }
        }
    }
}

struct These<'a> {
    rounded: &'a Quantized,
    x: &'a [f32],
    vectors: &'a [ItemId],
    slots: &'a mut [f32],
}

impl WithSimd for These<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rounded, x, vectors, slots } = self;
        for (number, slot) in vectors.iter().zip(slots) {
            let scale = rounded.scales.get(number.index()).copied().unwrap_or(0.0);
            let from = number.index() * rounded.width;
            let vector = rounded.values.get(from..from + rounded.width);
            if let Some(vector) = vector.filter(|_| scale > 0.0) {
                *slot = scale * product(x, vector);
            }
        }
    }
}

/// Of two vectors as long as a multiple of [`LANES`]. Compiled for the widest vectors of the machine where it is inlined.
#[inline(always)]
fn product(x: &[f32], vector: &[i8]) -> f32 {
    let mut sums = [0f32; LANES];
    let (x, _) = x.as_chunks::<LANES>();
    let (vector, _) = vector.as_chunks::<LANES>();
    for (x, vector) in x.iter().zip(vector) {
        for ((sum, x), value) in sums.iter_mut().zip(x).zip(vector) {
            *sum += x * f32::from(*value);
        }
    }
    let mut fours = [0f32; 4];
    for part in sums.as_chunks::<4>().0 {
        fours.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    fours.iter().sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_are_right_to_the_error_that_is_told(
            numbers in 1usize..70,
            seed in prop::collection::vec(-1f32..1.0, 200),
            scale in prop::sample::select(vec![0.0f32, 1e-6, 1.0, 1e6]),
        ) {
            let vectors: Vec<f32> = (0..3 * numbers).map(|place| scale * seed[place * 7 % 200] * seed[place % 200]).collect();
            let x: Vec<f32> = (0..numbers).map(|place| seed[place * 3 % 200]).collect();
            let length = x.iter().map(|value| value * value).sum::<f32>().sqrt();
            let rounded = Quantized::new(&vectors, numbers);
            let mut about = [0f32; 4];
            rounded.products(&x, None, &mut about);
            let mut some = [0f32; 2];
            rounded.products(&x, Some(&[ItemId(2), ItemId(9)]), &mut some);
            prop_assert_eq!(some, [about[2], 0.0]);
            prop_assert_eq!(about[3], 0.0);
            for (number, vector) in (0u32..).zip(vectors.chunks(numbers)) {
                let product: f64 = vector.iter().zip(&x).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let off = (product - f64::from(about[number as usize])).abs();
                prop_assert!(off <= f64::from(length * rounded.error(ItemId(number))), "{} {}", product, off);
            }
        }
    }
}
