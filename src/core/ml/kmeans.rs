//! k-means over rows of three numbers, smartcore's inside. smartcore 0.7 panics or loops on NaN, infinities, no
//! rows and fewer distinct rows than k, refuses k = 1, and shows neither centroids nor inertia; all of that is
//! dealt with here and nowhere else. Lloyd 1982; seeding by k-means++ (Arthur & Vassilvitskii 2007).

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::seq::SliceRandom;
use smartcore::cluster::kmeans::{KMeans, KMeansParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

use crate::base::random;

/// Columns of a row.
pub const WIDTH: usize = 3;
/// One row, already scaled.
pub type Row = [f64; WIDTH];

/// Parameters of the clustering.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KmeansParameters {
    /// Clusters wanted.
    pub k: usize,
    /// Same seed, same clusters.
    pub seed: u64,
    /// Starts, of which the best is kept; at least one is made.
    pub starts: usize,
    /// Most rows the starts look at; all are used for the refinement.
    pub max_sample: usize,
}

/// Iterations of one smartcore start, and of the refinement over all rows.
const MAX_ITERATIONS: usize = 100;
const MAX_REFINEMENTS: usize = 50;

/// The result: centroids and the sum of squared distances to the nearest one.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// 1…k centroids: fewer than asked for when the rows have fewer distinct values.
    pub centroids: Vec<Row>,
    /// Over all rows.
    pub inertia: f64,
}

/// The centroid nearest to a row, ties to the lower index; 0 when there is none. O(k).
pub fn nearest(centroids: &[Row], row: &Row) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for (index, centroid) in centroids.iter().enumerate() {
        let distance: f64 = centroid.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum();
        if distance < best.1 {
            best = (index, distance);
        }
    }
    best
}

/// Clusters `rows`: seeded starts on a sample, the best of them refined over all rows. Rows must be finite (others are
/// ignored). `None` when `progress` breaks, and for no usable row or k = 0.
/// O(starts · sample · k + rows · k · refinements).
pub fn fit(
    rows: &[Row],
    parameters: &KmeansParameters,
    mut progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Option<Clusters> {
    let KmeansParameters { k, seed, starts, max_sample } = *parameters;
    let finite: Vec<Row> = rows.iter().copied().filter(|row| row.iter().all(|x| x.is_finite())).collect();
    if finite.is_empty() || k == 0 {
        return None;
    }
    let sample = sample(&finite, seed, max_sample);
    let distinct = distinct(&sample);
    let mut best: Option<Clusters> = None;
    if k == 1 {
        best = Some(Clusters { centroids: vec![mean(&finite)], inertia: f64::INFINITY });
    } else if distinct.len() <= k {
        // As many clusters as values: nothing to search for.
        best = Some(Clusters { centroids: distinct, inertia: f64::INFINITY });
    } else {
        for start in 0..starts.max(1) {
            let start_seed = seed.wrapping_add(start as u64);
            let centroids = smartcore_start(&sample, k, start_seed)
                .unwrap_or_else(|| distinct_start(&distinct, k, start_seed));
            let inertia = inertia(&sample, &centroids);
            if best.as_ref().is_none_or(|best| inertia < best.inertia) {
                best = Some(Clusters { centroids, inertia });
            }
            if progress((start + 1) as f32 / (starts.max(1) + 1) as f32).is_break() {
                return None;
            }
        }
    }
    let refined = refine(&finite, best?.centroids);
    progress(1.0).is_continue().then_some(refined)
}

fn sample(rows: &[Row], seed: u64, max_sample: usize) -> Vec<Row> {
    let mut rows = rows.to_vec();
    let wanted = max_sample.max(1);
    if rows.len() <= wanted {
        return rows;
    }
    rows.partial_shuffle(&mut random::rng(seed, "kmeans sample"), wanted).0.to_vec()
}

/// Distinct rows, sorted.
fn distinct(rows: &[Row]) -> Vec<Row> {
    let mut distinct = rows.to_vec();
    let compare = |a: &Row, b: &Row| {
        a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    distinct.sort_unstable_by(compare);
    distinct.dedup();
    distinct
}

fn mean(rows: &[Row]) -> Row {
    let mut sums = Row::default();
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums.map(|sum| sum / rows.len().max(1) as f64)
}

/// One start by smartcore; `None` when it failed or left a cluster empty.
fn smartcore_start(rows: &[Row], k: usize, seed: u64) -> Option<Vec<Row>> {
    let parameters = KMeansParameters { k, max_iter: MAX_ITERATIONS, seed: Some(seed) };
    let labels: Vec<u32> = catch_unwind(AssertUnwindSafe(|| {
        let values: Vec<f64> = rows.iter().flatten().copied().collect();
        let matrix = DenseMatrix::new(rows.len(), WIDTH, values, false).ok()?;
        let model = KMeans::<f64, u32, DenseMatrix<f64>, Vec<u32>>::fit(&matrix, parameters).ok()?;
        model.predict(&matrix).ok()
    }))
    .ok()??;
    let mut sums = vec![(Row::default(), 0usize); k];
    for (row, label) in rows.iter().zip(&labels) {
        let (sum, count) = sums.get_mut(*label as usize)?;
        *count += 1;
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum.map(|sum| sum / count as f64))).collect()
}

/// k distinct rows drawn at random: the start when smartcore gave none.
fn distinct_start(distinct: &[Row], k: usize, seed: u64) -> Vec<Row> {
    let mut shuffled = distinct.to_vec();
    shuffled.shuffle(&mut random::rng(seed, "kmeans start"));
    shuffled.truncate(k);
    shuffled
}

/// Sum of squared distances of all rows to their nearest centroid.
pub fn inertia(rows: &[Row], centroids: &[Row]) -> f64 {
    rows.iter().map(|row| nearest(centroids, row).1).sum()
}

/// Lloyd's iterations over all rows until the centroids rest; an emptied cluster keeps its centroid.
fn refine(rows: &[Row], mut centroids: Vec<Row>) -> Clusters {
    let mut last = f64::INFINITY;
    for _ in 0..MAX_REFINEMENTS {
        let mut sums = vec![(Row::default(), 0usize); centroids.len()];
        let mut inertia = 0.0;
        for row in rows {
            let (index, distance) = nearest(&centroids, row);
            inertia += distance;
            if let Some((sum, count)) = sums.get_mut(index) {
                *count += 1;
                for (sum, value) in sum.iter_mut().zip(row) {
                    *sum += value;
                }
            }
        }
        // A ten-millionth of the inertia is far below what names or means of segments show.
        if inertia >= last * (1.0 - 1e-7) {
            break;
        }
        last = inertia;
        for (centroid, (sum, count)) in centroids.iter_mut().zip(&sums) {
            if *count > 0 {
                *centroid = sum.map(|sum| sum / *count as f64);
            }
        }
    }
    let inertia = inertia(rows, &centroids);
    Clusters { centroids, inertia }
}
