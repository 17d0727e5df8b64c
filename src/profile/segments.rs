//! Groups of users who behave alike: k-means over purchases, browsing minutes and searches a month, after
//! `ln(1 + x)` (the measures are heavy-tailed) and z-score (so that minutes don't drown purchases). Segments are
//! named A, B, … by falling purchase frequency, so that "A" means the same after every training.

use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::kmeans::{self, Row, WIDTH};

/// A segment; 0 = A, at most 25 = Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentId(pub u8);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        char::from(b'A' + self.0.min(25)).fmt(f)
    }
}

/// How to segment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SegmentParameters {
    /// Number of segments, 1…26.
    pub k: usize,
    /// Same seed, same segments.
    pub seed: u64,
    /// Starts of k-means, of which the best is kept; smartcore's single starts differ by up to 1 %.
    pub starts: usize,
    /// Most users k-means starts on; all are used for the refinement, and all are assigned.
    pub max_sample: usize,
}

impl Default for SegmentParameters {
    fn default() -> Self {
        Self { k: 5, seed: 1, starts: 10, max_sample: 20_000 }
    }
}

/// Why there are no segments.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SegmentError {
    /// Nobody to segment.
    #[error("not enough data: segments need at least 1 user, there are 0")]
    NoUsers,
    /// The caller said stop.
    #[error("cancelled")]
    Cancelled,
    /// Names go from A to Z.
    #[error("the number of segments must be 1…26, is {0}")]
    BadCount(usize),
}

/// One segment in natural units: means over its users at training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentSummary {
    /// Which.
    pub segment: SegmentId,
    /// Users in it.
    pub size: u64,
    /// Mean items bought a month.
    pub purchases_per_month: f64,
    /// Mean minutes of dwell a month.
    pub browsing_minutes_per_month: f64,
    /// Mean searches a month.
    pub searches_per_month: f64,
    /// Mean days since the last purchase, of those who ever bought; `None` when nobody did.
    pub recency_days: Option<f64>,
    /// Mean purchases minus returns.
    pub monetary: f64,
}

/// Fitted segments: can assign any user, also one not seen in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segmentation {
    /// Of `ln(1 + x)`, by column.
    means: Row,
    /// Of `ln(1 + x)`, by column; 1 for a constant column, which then says nothing.
    deviations: Row,
    /// In scaled units, by segment.
    centroids: Vec<Row>,
    summaries: Vec<SegmentSummary>,
    inertia: f64,
}

impl Segmentation {
    /// Fits segments to users. Fewer than k distinct users give as many segments as there are distinct ones. NaN,
    /// infinite and negative features count as 0. Deterministic. 100,000 users, k = 5: about a second.
    pub fn fit(users: &[Features], parameters: &SegmentParameters) -> Result<Self, SegmentError> {
        Self::fit_with(users, parameters, |_| ControlFlow::Continue(()))
    }

    /// As [`Segmentation::fit`]; `progress` hears 0…1 after each start and may break.
    pub fn fit_with(
        users: &[Features],
        parameters: &SegmentParameters,
        progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, SegmentError> {
        if !(1..=26).contains(&parameters.k) {
            return Err(SegmentError::BadCount(parameters.k));
        }
        let logs: Vec<Row> = users.iter().map(|user| user.behaviour().map(f64::ln_1p)).collect();
        let (means, deviations) = moments(&logs);
        let rows: Vec<Row> = logs.iter().map(|row| scale(row, &means, &deviations)).collect();
        if rows.is_empty() {
            return Err(SegmentError::NoUsers);
        }
        let clusters = kmeans::fit(&rows, parameters, progress).ok_or(SegmentError::Cancelled)?;
        let mut groups = summarise(users, &rows, &clusters.centroids);
        groups.sort_by(|(a, a_centroid), (b, b_centroid)| {
            b.purchases_per_month
                .total_cmp(&a.purchases_per_month)
                .then(b.browsing_minutes_per_month.total_cmp(&a.browsing_minutes_per_month))
                .then(b.searches_per_month.total_cmp(&a.searches_per_month))
                .then(b_centroid.iter().sum::<f64>().total_cmp(&a_centroid.iter().sum()))
        });
        let mut segmentation = Self {
            means,
            deviations,
            centroids: Vec::new(),
            summaries: Vec::new(),
            inertia: clusters.inertia,
        };
        for (name, (mut summary, centroid)) in (0u8..).zip(groups) {
            summary.segment = SegmentId(name);
            segmentation.summaries.push(summary);
            segmentation.centroids.push(centroid);
        }
        Ok(segmentation)
    }

    /// The segment of a user. O(k).
    pub fn assign(&self, user: &Features) -> SegmentId {
        let row = scale(&user.behaviour().map(f64::ln_1p), &self.means, &self.deviations);
        SegmentId(u8::try_from(kmeans::nearest(&self.centroids, &row).0).unwrap_or(0))
    }

    /// By segment, A first. Never empty.
    pub fn summaries(&self) -> &[SegmentSummary] {
        &self.summaries
    }

    /// Sum of squared distances to the centroids over all training users, in scaled units.
    pub fn inertia(&self) -> f64 {
        self.inertia
    }
}

/// Mean and population standard deviation by column; 1 where the column is constant.
fn moments(rows: &[Row]) -> (Row, Row) {
    let n = rows.len().max(1) as f64;
    let (mut means, mut deviations) = (Row::default(), Row::default());
    for row in rows {
        for (mean, value) in means.iter_mut().zip(row) {
            *mean += value / n;
        }
    }
    for row in rows {
        for ((deviation, mean), value) in deviations.iter_mut().zip(&means).zip(row) {
            *deviation += (value - mean) * (value - mean) / n;
        }
    }
    (means, deviations.map(|variance| if variance > 1e-12 { variance.sqrt() } else { 1.0 }))
}

fn scale(row: &Row, means: &Row, deviations: &Row) -> Row {
    let mut scaled = Row::default();
    for (((to, value), mean), deviation) in scaled.iter_mut().zip(row).zip(means).zip(deviations) {
        *to = (value - mean) / deviation;
    }
    scaled
}

/// Means in natural units by cluster, with the cluster's centroid; clusters without users are left out.
fn summarise(users: &[Features], rows: &[Row], centroids: &[Row]) -> Vec<(SegmentSummary, Row)> {
    #[derive(Clone, Default)]
    struct Sums {
        size: u64,
        behaviour: [f64; WIDTH],
        recency: f64,
        bought: u64,
        monetary: f64,
    }
    let mut sums = vec![Sums::default(); centroids.len()];
    for (user, row) in users.iter().zip(rows) {
        let Some(sum) = sums.get_mut(kmeans::nearest(centroids, row).0) else { continue };
        sum.size += 1;
        for (sum, value) in sum.behaviour.iter_mut().zip(user.behaviour()) {
            *sum += value;
        }
        if let Some(days) = user.recency_days.filter(|days| days.is_finite()) {
            sum.recency += days;
            sum.bought += 1;
        }
        if user.monetary.is_finite() {
            sum.monetary += user.monetary;
        }
    }
    sums.into_iter()
        .zip(centroids)
        .filter(|(sum, _)| sum.size > 0)
        .map(|(sum, centroid)| {
            let size = sum.size as f64;
            let [purchases, minutes, searches] = sum.behaviour.map(|total| total / size);
            let summary = SegmentSummary {
                segment: SegmentId(0),
                size: sum.size,
                purchases_per_month: purchases,
                browsing_minutes_per_month: minutes,
                searches_per_month: searches,
                recency_days: (sum.bought > 0).then(|| sum.recency / sum.bought as f64),
                monetary: sum.monetary / size,
            };
            (summary, *centroid)
        })
        .collect()
}
