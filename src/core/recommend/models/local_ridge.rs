//! Ridge regression of each item on its nearest items: EASE^R (see [`super::ease`]) where a catalogue is too large for the
//! inverse of its Gram matrix. For item j with the k nearest items S, (G_SS + Λ_S) b = G_Sj, the weights that the items of S
//! have for j; with S all items it is EASE^R exactly. Nearest are those of the largest cosine, shrunk where few share both.
//!
//! Items beyond the `width` nearest of either side count as having nothing in common, so that the Gram matrix stays sparse:
//! 8 bytes · items · width. Each system is solved by conjugate gradients from zero, with the diagonal as preconditioner.
//! Time: Σ over rows of (row length)² once, then items · k · (width + k · steps), some 15 steps.
#![expect(
    clippy::indexing_slicing,
    reason = "dense inner loops over neighbourhoods of k items, bounded where they are made"
)]

use std::ops::ControlFlow;

use faer::{Accum, MatMut, MatRef};
use rayon::prelude::*;

use crate::base::ItemId;
use crate::ml::product::product;
use crate::ml::threads::Threads;
use crate::recommend::train::error::TrainError;

use super::interactions::Matrix;
use super::item_weights::{ItemWeights, keep_largest};
use super::ridge::RidgeParameters;
use super::transpose::{Columns, ListBuilder};

/// n shared rows multiply a cosine by n / (n + this) before the nearest are chosen.
const SHRINKAGE: f32 = 2.0;
/// Most steps of conjugate gradients, and the share of the first residual at which they end.
const STEPS: usize = 40;
const ENOUGH: f32 = 1e-3;
/// Weights that one item may have for others, in units of those kept of each regression: what a popular item says to thousands
/// has to be added up for each list.
const MOST_OF_ONE: usize = 16;
/// Items between two looks at cancellation.
const ITEMS_AT_ONCE: usize = 256;
/// Place of an item outside the neighbourhood.
const OUTSIDE: u32 = u32::MAX;

/// Parameters of the regressions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalRidgeParameters {
    /// The penalty.
    pub ridge: RidgeParameters,
    /// Nearest items that an item is regressed on.
    pub neighbours: usize,
    /// Weights kept of each regression, the largest.
    pub kept: usize,
}

impl Default for LocalRidgeParameters {
    fn default() -> Self {
        Self { ridge: RidgeParameters::default(), neighbours: 256, kept: 256 }
    }
}

/// The sparse Gram matrix: of each item the products with its nearest ones.
#[derive(Clone, Debug)]
pub struct Neighbourhoods {
    offsets: Vec<u32>,
    /// Nearest first.
    cells: Vec<(u32, f32)>,
    squares: Vec<f32>,
}

/// Scratch of one thread.
struct Room {
    /// By item its place in the neighbourhood; [`OUTSIDE`] between two items.
    places: Vec<u32>,
    gram: Vec<f32>,
    right: Vec<f32>,
    diagonal: Vec<f32>,
}

impl Neighbourhoods {
    /// The `width` nearest of each item, by the cells of `matrix` scaled as `ridge` says. `progress` hears 0…1 every few
    /// milliseconds and may break ([`TrainError::Cancelled`]).
    pub fn new(
        matrix: &Matrix,
        ridge: &RidgeParameters,
        width: usize,
        threads: &Threads,
        progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        ridge.check()?;
        let scaled = ridge.scaled(matrix);
        let matrix = scaled.as_ref().unwrap_or(matrix);
        let columns = Columns::new(matrix);
        let n = matrix.n_items();
        let squares: Vec<f32> =
            (0..n).map(|item| columns.column(item).1.iter().map(|weight| weight * weight).sum()).collect();
        let init = || (vec![0f32; n], Vec::<u32>::new());
        let list = |item: usize, (sums, touched): &mut (Vec<f32>, Vec<u32>)| {
            for (row, weight) in columns.cells(item) {
                for entry in matrix.row(row as usize) {
                    let sum = &mut sums[entry.item as usize];
                    if *sum == 0.0 {
                        touched.push(entry.item);
                    }
                    *sum += weight * entry.weight;
                }
            }
            let near = |other: u32, product: f32| {
                let cosine = product / (squares[item] * squares[other as usize]).sqrt();
                cosine * product / (product + SHRINKAGE)
            };
            let mut list: Vec<(ItemId, f32)> = Vec::with_capacity(touched.len());
            for other in touched.iter().copied().filter(|other| *other as usize != item) {
                list.push((ItemId(other), near(other, sums[other as usize])));
            }
            keep_largest(&mut list, width);
            let list = list.into_iter().map(|(other, _)| (other.0, sums[other.index()])).collect();
            touched.drain(..).for_each(|other| sums[other as usize] = 0.0);
            list
        };
        let lists = columns.lists(matrix, threads, progress, init, list);
        let (offsets, cells) = lists.ok_or(TrainError::Cancelled)?;
        Ok(Self { offsets, cells, squares })
    }

    /// The weights by the regression of every item. `ridge.user_scaling` must be that of the neighbourhoods. `progress` hears
    /// 0…1 every few milliseconds and may break ([`TrainError::Cancelled`]).
    pub fn fit(
        &self,
        parameters: &LocalRidgeParameters,
        threads: &Threads,
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<ItemWeights, TrainError> {
        parameters.ridge.check()?;
        let penalties = parameters.ridge.penalties(&self.squares);
        let n = self.squares.len();
        let (mut columns, mut done) = (ListBuilder::default(), 0);
        let items: Vec<usize> = (0..n).collect();
        for chunk in items.chunks(ITEMS_AT_ONCE) {
            let init = || Room {
                places: vec![OUTSIDE; n],
                gram: Vec::new(),
                right: Vec::new(),
                diagonal: Vec::new(),
            };
            let one = |room: &mut Room, item: &usize| self.regress(*item, parameters, &penalties, room);
            let made: Vec<_> =
                threads.run(|| chunk.par_iter().with_min_len(16).map_init(init, one).collect());
            columns.push(made);
            done += chunk.len();
            if progress(done as f32 / n as f32).is_break() {
                return Err(TrainError::Cancelled);
            }
        }
        Ok(by_source(columns, parameters.kept.saturating_mul(MOST_OF_ONE)))
    }

    fn near(&self, item: usize) -> &[(u32, f32)] {
        &self.cells[self.offsets[item] as usize..self.offsets[item + 1] as usize]
    }

    /// The weights that other items have for `item`.
    fn regress(
        &self,
        item: usize,
        parameters: &LocalRidgeParameters,
        penalties: &[f32],
        room: &mut Room,
    ) -> Vec<(ItemId, f32)> {
        let near = self.near(item);
        let near = &near[..near.len().min(parameters.neighbours)];
        let k = near.len();
        for (place, (other, _)) in (0u32..).zip(near) {
            room.places[*other as usize] = place;
        }
        room.gram.clear();
        room.gram.resize(k * k, 0.0);
        for (place, (other, _)) in near.iter().enumerate() {
            // Either side may have left the other out, so both are written.
            for (third, product) in self.near(*other as usize) {
                let column = room.places[*third as usize];
                if column != OUTSIDE {
                    room.gram[place * k + column as usize] = *product;
                    room.gram[column as usize * k + place] = *product;
                }
            }
            room.gram[place * k + place] = self.squares[*other as usize] + penalties[*other as usize];
        }
        near.iter().for_each(|(other, _)| room.places[*other as usize] = OUTSIDE);
        room.right.clear();
        room.right.extend(near.iter().map(|(_, product)| *product));
        room.diagonal.clear();
        room.diagonal.extend((0..k).map(|place| room.gram[place * k + place]));
        let solved = conjugate_gradients(&room.gram, &room.diagonal, &room.right);
        let pairs = near.iter().zip(solved).filter(|(_, weight)| weight.is_finite() && *weight != 0.0);
        let mut list: Vec<_> = pairs.map(|((other, _), weight)| (ItemId(*other), weight)).collect();
        keep_largest(&mut list, parameters.kept);
        list.shrink_to_fit();
        list
    }
}

/// x of A x = b for symmetric A (k × k), from zero. Stops where A turns out not to be positive definite.
fn conjugate_gradients(a: &[f32], diagonal: &[f32], b: &[f32]) -> Vec<f32> {
    let k = b.len();
    let (mut x, mut residual) = (vec![0f32; k], b.to_vec());
    let mut direction: Vec<f32> = residual.iter().zip(diagonal).map(|(r, d)| r / d).collect();
    let mut length = dot(&residual, &direction);
    let (enough, mut image) = (ENOUGH * ENOUGH * length, vec![0f32; k]);
    let square = MatRef::from_column_major_slice(a, k, k);
    for _ in 0..STEPS.min(2 * k) {
        let target = MatMut::from_column_major_slice_mut(&mut image, k, 1);
        let vector = MatRef::from_column_major_slice(&direction, k, 1);
        product(target, Accum::Replace, square, vector, 1.0);
        let curvature = dot(&direction, &image);
        if !(curvature > 0.0 && length > enough) {
            break;
        }
        let step = length / curvature;
        for place in 0..k {
            x[place] += step * direction[place];
            residual[place] -= step * image[place];
            image[place] = residual[place] / diagonal[place];
        }
        let next = dot(&residual, &image);
        let grow = next / length;
        length = next;
        direction.iter_mut().zip(&image).for_each(|(d, z)| *d = z + grow * *d);
    }
    x
}

/// In eight sums, which the compiler computes side by side.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (mut sums, mut rest) = ([0f32; 8], 0f32);
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in a_chunks.remainder().iter().zip(b_chunks.remainder()) {
        rest += x * y;
    }
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    rest + sums.iter().sum::<f32>()
}

/// From the weights for each item to those of each item, the `most` largest.
fn by_source(columns: ListBuilder<(ItemId, f32)>, most: usize) -> ItemWeights {
    let mut starts = vec![0usize; columns.n_lists() + 1];
    columns.elements().for_each(|(source, _)| starts[source.index() + 1] += 1);
    let mut total = 0;
    for start in &mut starts {
        total += *start;
        *start = total;
    }
    let (mut next, mut all) = (starts.clone(), vec![(ItemId(0), 0f32); total]);
    let mut target = 0u32;
    columns.drain(|column| {
        for (source, weight) in column {
            let place = &mut next[source.index()];
            all[*place] = (ItemId(target), *weight);
            *place += 1;
        }
        target += 1;
    });
    // In place: the weights kept never reach beyond those that were read.
    let (mut offsets, mut end, mut row) = (vec![0u32], 0, Vec::new());
    for range in starts.windows(2) {
        row.clear();
        row.extend_from_slice(&all[range[0]..range[1]]);
        keep_largest(&mut row, most);
        all[end..end + row.len()].copy_from_slice(&row);
        end += row.len();
        offsets.push(u32::try_from(end).unwrap_or(u32::MAX));
    }
    all.truncate(end);
    ItemWeights::new(offsets, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::models::ease::{Ease, EaseParameters};

    fn rows(n: u32) -> Vec<Vec<(u32, f32)>> {
        let item = |user: u32, k: u32| (user * 13 + k * k * 29 + user * user % 7 * k) % n;
        let cell = |user: u32, k: u32| (item(user, k), 1.0 + (k % 3) as f32 / 2.0);
        (0..400u32).map(|user| (0..8).map(|k| cell(user, k)).collect()).collect()
    }

    fn matrix(n: u32) -> Matrix {
        Matrix::from_rows(&rows(n), n as usize)
    }

    fn fit(matrix: &Matrix, parameters: &LocalRidgeParameters, n_threads: usize) -> ItemWeights {
        let threads = Threads::new(n_threads).unwrap();
        let go_on = |_| ControlFlow::Continue(());
        let width = 2 * parameters.neighbours;
        let near = Neighbourhoods::new(matrix, &parameters.ridge, width, &threads, go_on).unwrap();
        near.fit(parameters, &threads, go_on).unwrap()
    }

    #[test]
    fn with_all_items_near_it_is_the_closed_form() {
        // Somebody has everything, so that no item is out of reach of another.
        let mut rows = rows(60);
        rows.push((0..60).map(|item| (item, 1.0)).collect());
        let matrix = Matrix::from_rows(&rows, 60);
        for (user_scaling, item_scaling) in [(0.0, 0.0), (1.0, 0.5)] {
            let ridge = RidgeParameters { lambda: 20.0, user_scaling, item_scaling };
            let parameters = LocalRidgeParameters { ridge, neighbours: 60, kept: 60 };
            let local = fit(&matrix, &parameters, 2);
            let threads = Threads::new(1).unwrap();
            let dense = EaseParameters { ridge, max_items: 100 };
            let ease = Ease::fit(&matrix, &dense, &threads, |_| ControlFlow::Continue(())).unwrap();
            for item in (0..60).map(ItemId) {
                let mut row = [0f32; 60];
                local.of(item).iter().for_each(|(other, weight)| row[other.index()] = *weight);
                for (own, expected) in row.iter().zip(ease.row(item)) {
                    assert!((own - expected).abs() < 2e-3, "{own} is not {expected}");
                }
            }
        }
    }

    #[test]
    fn the_nearest_alone_are_the_same_on_any_number_of_threads() {
        let matrix = matrix(300);
        let parameters = LocalRidgeParameters { neighbours: 12, kept: 5, ..LocalRidgeParameters::default() };
        let weights = fit(&matrix, &parameters, 1);
        assert!(weights.is_sound() && weights.len() <= 5 * 300 && !weights.is_empty());
        assert_eq!(weights, fit(&matrix, &parameters, 3));
        for item in (0..300).map(ItemId) {
            assert!(weights.of(item).is_sorted_by(|a, b| a.1.abs() >= b.1.abs()));
            assert!(weights.of(item).iter().all(|(other, _)| *other != item));
        }
    }

    #[test]
    fn weights_by_target_become_the_largest_by_source() {
        let of = |item, weight| (ItemId(item), weight);
        let mut columns = ListBuilder::default();
        columns.push(vec![vec![of(1, 0.5), of(2, 0.1)], vec![of(2, 0.4)]]);
        columns.push(vec![vec![of(1, -0.9)], vec![of(0, 0.3), of(1, 0.2), of(2, -0.7)]]);
        let weights = by_source(columns, 2);
        assert_eq!(weights.of(ItemId(0)), [of(3, 0.3)]);
        assert_eq!(weights.of(ItemId(1)), [of(2, -0.9), of(0, 0.5)]);
        assert_eq!(weights.of(ItemId(2)), [of(3, -0.7), of(1, 0.4)]);
        assert!(weights.of(ItemId(3)).is_empty() && weights.n_items() == 4 && weights.len() == 5);
    }

    #[test]
    fn nothing_bad_parameters_and_a_stop() {
        let threads = Threads::new(1).unwrap();
        let go_on = |_| ControlFlow::Continue(());
        let parameters = LocalRidgeParameters::default();
        assert!(fit(&Matrix::default(), &parameters, 1).is_empty());
        assert!(fit(&Matrix::from_rows(&[vec![(1, 1.0)]], 3), &parameters, 1).is_empty());
        let bad = RidgeParameters::plain(-1.0);
        assert!(matches!(
            Neighbourhoods::new(&matrix(9), &bad, 5, &threads, go_on),
            Err(TrainError::Parameter(_))
        ));
        let stopped =
            Neighbourhoods::new(&matrix(9), &parameters.ridge, 5, &threads, |_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(TrainError::Cancelled)));
        let near = Neighbourhoods::new(&matrix(9), &parameters.ridge, 5, &threads, go_on).unwrap();
        let stopped = near.fit(&parameters, &threads, |_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(TrainError::Cancelled)));
    }
}
