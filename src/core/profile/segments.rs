//! Groups of users who behave alike: k-means over purchases, browsing minutes and searches a month, after
//! `ln(1 + x)` (the measures are heavy-tailed) and z-score (so that minutes don't drown purchases). Months are those in which a
//! user was active, so that the same purchases are the same segment whenever they were made: how long ago is recency, not
//! frequency. Segments are named A, B, … by falling purchase frequency, so that "A" means the same after every training.

use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::ml::kmeans::{self, KmeansParameters, Row, WIDTH};

use super::features::Features;

/// A segment; 0 = A, at most 25 = Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentId(pub u8);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        char::from(b'A' + self.0.min(25)).fmt(f)
    }
}

/// Parameters of the segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SegmentParameters {
    /// Number of segments, 1…26.
    pub k: usize,
    /// Same seed, same segments.
    pub seed: u64,
    /// Starts of k-means, of which the best is kept; smartcore's single starts differ by up to 1 %.
    pub starts: usize,
    /// Most users k-means starts on; all are used for the refinement, and all are assigned. Measured 2026-11-24 on
    /// 100,000 users, two cores: 20,000 take 0.42 s, 10,000 0.22 s, 3,000 0.07 s, all at inertia 43,775.9;
    /// scikit-learn 1.9.1 with `n_init=10` 0.52–0.66 s at 43,776.0–43,776.4.
    pub max_sample: usize,
    /// Active months of a user count for so many at least, ≥ 1; a training takes it from its data
    /// ([`super::ReturnTimes`]).
    pub least_months: f64,
}

impl SegmentParameters {
    /// The part that k-means needs.
    pub fn kmeans(&self) -> KmeansParameters {
        let Self { k, seed, starts, max_sample, .. } = *self;
        KmeansParameters { k, seed, starts, max_sample }
    }
}

impl Default for SegmentParameters {
    fn default() -> Self {
        Self { k: 5, seed: 1, starts: 10, max_sample: 10_000, least_months: 1.0 }
    }
}

/// Reason why there are no segments.
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
    /// Segment that is summarised.
    pub segment: SegmentId,
    /// Users in it.
    pub size: u64,
    /// Mean items bought a month of the users' active time.
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
    /// As in [`SegmentParameters`].
    least_months: f64,
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
        let rates: Vec<Row> = users.iter().map(|user| user.behaviour(parameters.least_months)).collect();
        let logs: Vec<Row> = rates.iter().map(|row| row.map(f64::ln_1p)).collect();
        let (means, deviations) = moments(&logs);
        let rows: Vec<Row> = logs.iter().map(|row| scale(row, &means, &deviations)).collect();
        if rows.is_empty() {
            return Err(SegmentError::NoUsers);
        }
        let clusters = kmeans::fit(&rows, &parameters.kmeans(), progress).ok_or(SegmentError::Cancelled)?;
        let centroids = distinct(clusters.centroids, &means, &deviations);
        let mut groups = summarise(users, &rates, &rows, &centroids);
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
            least_months: parameters.least_months,
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
        let row = scale(&user.behaviour(self.least_months).map(f64::ln_1p), &self.means, &self.deviations);
        SegmentId(u8::try_from(kmeans::nearest(&self.centroids, &row).0).unwrap_or(0))
    }

    /// Rates of a user as the segments compare them, in the units of the summaries.
    pub fn rates(&self, user: &Features) -> [f64; WIDTH] {
        user.behaviour(self.least_months)
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

/// Centroids without those that are alike to one before: k-means divides also what is the same but for noise.
fn distinct(centroids: Vec<Row>, means: &Row, deviations: &Row) -> Vec<Row> {
    /// Rates of one segment are within a tenth of each other, or both next to nothing.
    const ALIKE: f64 = 1.1;
    const NOTHING: f64 = 0.001;
    let rate = |centroid: &Row, column: usize| {
        let value = |row: &Row| row.get(column).copied().unwrap_or_default();
        (value(centroid) * value(deviations) + value(means)).exp_m1().max(0.0)
    };
    let alike = |a: &Row, b: &Row| {
        (0..WIDTH).all(|column| {
            let (a, b) = (rate(a, column), rate(b, column));
            a.max(b) <= a.min(b) * ALIKE + NOTHING
        })
    };
    let mut kept: Vec<Row> = Vec::with_capacity(centroids.len());
    for centroid in centroids {
        if !kept.iter().any(|known| alike(known, &centroid)) {
            kept.push(centroid);
        }
    }
    kept
}

/// Means in natural units by cluster, with the cluster's centroid; clusters without users are left out.
fn summarise(
    users: &[Features],
    rates: &[Row],
    rows: &[Row],
    centroids: &[Row],
) -> Vec<(SegmentSummary, Row)> {
    #[derive(Clone, Default)]
    struct Sums {
        size: u64,
        behaviour: [f64; WIDTH],
        recency: f64,
        bought: u64,
        monetary: f64,
    }
    let mut sums = vec![Sums::default(); centroids.len()];
    for ((user, rates), row) in users.iter().zip(rates).zip(rows) {
        let Some(sum) = sums.get_mut(kmeans::nearest(centroids, row).0) else { continue };
        sum.size += 1;
        for (sum, value) in sum.behaviour.iter_mut().zip(rates) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(purchases: f64, minutes: f64, searches: f64) -> Features {
        Features {
            purchases_per_month: purchases,
            browsing_minutes_per_month: minutes,
            searches_per_month: searches,
            recency_days: Some(1.0),
            monetary: 10.0 * purchases,
            active: None,
        }
    }

    fn fit(users: &[Features], k: usize) -> Segmentation {
        Segmentation::fit(users, &SegmentParameters { k, ..Default::default() }).unwrap()
    }

    #[test]
    fn clear_groups_are_found_and_named_by_falling_purchases() {
        let mut users = Vec::new();
        for i in 0..20 {
            let jitter = f64::from(i) * 0.01;
            users.push(user(1.0 + jitter, 10.0, 2.0));
            users.push(user(20.0 + jitter, 100.0, 5.0));
            users.push(user(5.0 + jitter, 300.0, 50.0));
        }
        let segmentation = fit(&users, 3);
        let summaries = segmentation.summaries();
        assert_eq!(summaries.iter().map(|s| s.size).collect::<Vec<_>>(), [20, 20, 20]);
        assert!(summaries.is_sorted_by(|a, b| a.purchases_per_month > b.purchases_per_month));
        assert!((summaries[0].purchases_per_month - 20.095).abs() < 1e-9);
        assert!((summaries[1].browsing_minutes_per_month - 300.0).abs() < 1e-9);
        assert!((summaries[2].monetary - 10.95).abs() < 1e-9);
        assert_eq!(segmentation.assign(&user(19.0, 90.0, 5.0)).to_string(), "A");
        assert_eq!(segmentation.assign(&user(4.0, 250.0, 60.0)).to_string(), "B");
        assert_eq!(segmentation.assign(&user(0.0, 0.0, 0.0)).to_string(), "C");
        assert_eq!(segmentation, fit(&users, 3), "the same seed gives the same segments");
    }

    fn active(months: f64, purchases: f64) -> Features {
        let active = super::super::Activity { months, purchases, browsing_minutes: 0.0, searches: 0.0 };
        Features { active: Some(active), ..Features::default() }
    }

    #[test]
    fn the_same_purchases_at_other_times_are_one_segment() {
        // The rates of observed time differ by the age of the data; they are not asked.
        let same: Vec<Features> = (0..120)
            .map(|user| Features { purchases_per_month: 7.0 / f64::from(user + 1), ..active(5.5, 7.0) })
            .collect();
        let segmentation = fit(&same, 5);
        assert_eq!(segmentation.summaries().len(), 1);
        assert!((segmentation.summaries()[0].purchases_per_month - 7.0 / 5.5).abs() < 1e-9);
        // Nor do some hours more or less make a segment.
        let nearly: Vec<Features> = (0..120).map(|user| active(5.5 + f64::from(user) * 0.002, 7.0)).collect();
        assert_eq!(fit(&nearly, 5).summaries().len(), 1);
    }

    #[test]
    fn who_came_once_is_not_more_eager_than_who_comes_every_other_month() {
        let mut users = vec![active(0.0, 1.0); 60];
        users.extend([active(22.0, 11.0); 60]);
        let parameters = SegmentParameters { k: 2, least_months: 12.0, ..Default::default() };
        let segmentation = Segmentation::fit(&users, &parameters).unwrap();
        assert_eq!(segmentation.assign(&active(22.0, 11.0)).to_string(), "A");
        assert_eq!(segmentation.assign(&active(0.0, 1.0)).to_string(), "B");
        assert_eq!(segmentation.rates(&active(0.0, 1.0)), [1.0 / 12.0, 0.0, 0.0]);
    }

    #[test]
    fn what_breaks_k_means_elsewhere_is_handled() {
        assert_eq!(Segmentation::fit(&[], &SegmentParameters::default()), Err(SegmentError::NoUsers));
        for k in [0, 27] {
            let parameters = SegmentParameters { k, ..Default::default() };
            assert_eq!(
                Segmentation::fit(&[user(1.0, 1.0, 1.0)], &parameters),
                Err(SegmentError::BadCount(k))
            );
        }
        // One user; k greater than the number of users; all equal; duplicates fewer than k; k = 1.
        assert_eq!(fit(&[user(1.0, 2.0, 3.0)], 5).summaries().len(), 1);
        assert_eq!(fit(&[user(1.0, 2.0, 3.0), user(2.0, 2.0, 3.0)], 5).summaries().len(), 2);
        assert_eq!(fit(&[user(1.0, 2.0, 3.0); 50], 5).summaries().len(), 1);
        let mut twins = vec![user(1.0, 2.0, 3.0); 50];
        twins.extend([user(9.0, 2.0, 3.0); 50]);
        let segmentation = fit(&twins, 5);
        assert_eq!(segmentation.summaries().iter().map(|s| s.size).collect::<Vec<_>>(), [50, 50]);
        assert_eq!(fit(&twins, 1).summaries()[0].size, 100);
        // A constant column, NaN and infinities.
        let odd = [
            user(f64::NAN, 5.0, 1.0),
            user(f64::INFINITY, 5.0, 2.0),
            user(-3.0, 5.0, f64::NEG_INFINITY),
            user(1.0, 5.0, 3.0),
            user(2.0, 5.0, 4.0),
            user(3.0, 5.0, 5.0),
        ];
        let segmentation = fit(&odd, 2);
        assert_eq!(segmentation.summaries().iter().map(|s| s.size).sum::<u64>(), 6);
        assert!(segmentation.inertia().is_finite());
    }

    proptest! {
        #[test]
        fn any_users_are_segmented_without_a_panic(
            rows in prop::collection::vec(prop::array::uniform3(prop_oneof![
                0.0..5.0f64, Just(0.0), Just(1.0), Just(f64::NAN), Just(f64::MAX), Just(1e-300), Just(-1.0)
            ]), 1..40),
            k in 1usize..8,
        ) {
            let users: Vec<_> = rows.iter().map(|[a, b, c]| user(*a, *b, *c)).collect();
            let segmentation = fit(&users, k);
            prop_assert!((1..=k).contains(&segmentation.summaries().len()));
            prop_assert_eq!(segmentation.summaries().iter().map(|s| s.size).sum::<u64>(), users.len() as u64);
            prop_assert!(segmentation.inertia().is_finite());
            for user in &users {
                prop_assert!(usize::from(segmentation.assign(user).0) < segmentation.summaries().len());
            }
        }
    }
}
