//! Vectors rounded to a byte a number, so that all products with one vector are read four times as fast, each right to a known error.
//! The product with the vector itself differs by at most the length of the one times that of the rounding (Cauchy–Schwarz). That one
//! vector is rounded to two bytes a number, so that products are sums of integers.
//!
//! Memory: a byte a number, rounded up to 16 of them, and 8 bytes a vector.

use pulp::{Arch, Simd, WithSimd};

use crate::base::ItemId;

/// Numbers that are multiplied at once.
const LANES: usize = 16;
/// Largest rounded number.
const MOST: f32 = 127.0;
/// Largest rounded number of the vector that others are multiplied with; less for long ones, whose sums must fit 32 bits.
const MOST_X: f32 = 32_767.0;
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
        let error = lost.sqrt() + (ROUNDING + self.error_of_x()) * whole.sqrt();
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
        let most = x.iter().fold(0f32, |most, value| most.max(value.abs()));
        let scale = most / self.most_x();
        if scale.is_nan() || scale <= 0.0 {
            return;
        }
        let mut padded: Vec<i16> = x.iter().map(|value| (value / scale).round() as i16).collect();
        padded.resize(self.width, 0);
        let x = Factor { numbers: &padded, scale };
        match vectors {
            None => Arch::new().dispatch(All { rounded: self, x, slots }),
            Some(vectors) => Arch::new().dispatch(These { rounded: self, x, vectors, slots }),
        }
    }

    fn most_x(&self) -> f32 {
        MOST_X.min((i32::MAX as f32 / (MOST * self.width.max(1) as f32)).floor())
    }

    /// The most that rounding takes from a vector of length 1 that others are multiplied with.
    fn error_of_x(&self) -> f32 {
        0.5 * (self.width as f32).sqrt() / self.most_x()
    }
}

/// The vector that others are multiplied with.
#[derive(Clone, Copy)]
struct Factor<'a> {
    numbers: &'a [i16],
    /// Value of a rounded 1.
    scale: f32,
}

struct All<'a> {
    rounded: &'a Quantized,
    x: Factor<'a>,
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
                *slot = scale * x.scale * product(x.numbers, vector) as f32;
            }
        }
    }
}

struct These<'a> {
    rounded: &'a Quantized,
    x: Factor<'a>,
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
                *slot = scale * x.scale * product(x.numbers, vector) as f32;
            }
        }
    }
}

/// Of two vectors of one length. Compiled for the widest vectors of the machine where it is inlined.
#[inline(always)]
fn product(x: &[i16], vector: &[i8]) -> i32 {
    x.iter().zip(vector).map(|(x, value)| i32::from(*x) * i32::from(*value)).sum()
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
