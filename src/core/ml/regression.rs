//! Regression in the way that fits best: the mean, ridge regression ([`linear`](super::linear)) or boosted trees, compared by
//! squared error on the half of the rows that a model has not seen. In go rows of numbers with their targets, out comes the
//! expected target of a row, never beyond the targets learned from.

use std::ops::ControlFlow;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::boosting::{Boosting, BoostingError, BoostingParameters, Dataset, Objective};
use super::linear::Linear;
use super::threads::Threads;
use crate::base::random;

/// Fewest rows that anything but their mean is learned from.
const MIN_ROWS: usize = 40;
/// Rows that ridge regression learns from, evenly spaced over all: more tell a line little, and smartcore's can't be cancelled.
const MAX_RIDGE_ROWS: usize = 50_000;
/// Fewest rows of a leaf, and the share of all rows that is more on large data.
const LEAF_ROWS: usize = 20;
const LEAF_SHARE: usize = 100;

/// Rows to learn from, row-major.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// n × `width`; NaN = missing.
    pub values: Vec<f32>,
    /// Columns.
    pub width: usize,
    /// n of them, finite.
    pub targets: Vec<f32>,
}

/// A way to a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Way {
    /// The mean of all targets.
    Mean(f32),
    Ridge(Linear),
    Trees(Boosting),
}

/// The fitted regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    way: Way,
    least: f32,
    most: f32,
}

impl Default for Regression {
    /// 0 for every row.
    fn default() -> Self {
        Self { way: Way::Mean(0.0), least: 0.0, most: 0.0 }
    }
}

impl Rows {
    /// Adds a row; one of another width than the first is left out.
    pub fn push(&mut self, row: &[f32], target: f64) {
        if row.len() == self.width {
            self.values.extend_from_slice(row);
            self.targets.push(target as f32);
        }
    }

    fn each(&self) -> impl Iterator<Item = (&[f32], f32)> {
        // Without columns there is a row for each target all the same.
        let row = |at: usize| self.values.get(at * self.width..(at + 1) * self.width).unwrap_or_default();
        self.targets.iter().enumerate().map(move |(at, target)| (row(at), *target))
    }

    fn part(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let mut part = Self { width: self.width, ..Self::default() };
        for (_, (row, target)) in self.each().enumerate().filter(|(at, _)| wanted(*at)) {
            part.push(row, f64::from(target));
        }
        part
    }

    fn mean(&self) -> f32 {
        let sum: f64 = self.targets.iter().copied().map(f64::from).sum();
        (sum / self.targets.len().max(1) as f64) as f32
    }
}

impl Regression {
    /// Fits. The mean serves below 40 rows, without columns, and where nothing is better; that of no rows is 0. `None` when
    /// `progress`, which hears 0…1, broke. Time: three fits of trees.
    pub fn fit(
        rows: &Rows,
        seed: u64,
        threads: &Threads,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Self> {
        let mean = Way::Mean(rows.mean());
        let way = if rows.targets.len() < MIN_ROWS || rows.width == 0 {
            mean
        } else {
            let [ridge, trees] = Self::gains(rows, seed, threads, &mut |share| progress(share / 2.0))?;
            let mut hear = |share: f32| progress(0.5 + share / 2.0);
            let found = if trees > 0.0 && trees >= ridge {
                fit_trees(rows, seed, threads, &mut hear)?
            } else if ridge > 0.0 {
                fit_ridge(rows)
            } else {
                None
            };
            found.unwrap_or(mean)
        };
        progress(1.0).is_continue().then_some(())?;
        let finite = rows.targets.iter().copied().filter(|target| target.is_finite());
        let (least, most) =
            finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), one| (a.min(one), b.max(one)));
        let (least, most) = if least <= most { (least, most) } else { (0.0, 0.0) };
        Some(Self { way, least, most })
    }

    /// By how much ridge regression and trees lower the sum of squared errors of the mean, each half predicted from the other;
    /// −∞ for one that can't be fitted.
    fn gains(
        rows: &Rows,
        seed: u64,
        threads: &Threads,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Option<[f64; 2]> {
        let mut rng = random::rng(seed, "regression halves");
        let half: Vec<bool> = rows.targets.iter().map(|_| rng.random()).collect();
        let mut gains = [0.0; 2];
        for (done, side) in [(0.0, true), (0.5, false)] {
            let is = |at: usize| half.get(at) == Some(&side);
            let (seen, unseen) = (rows.part(is), rows.part(|at| !is(at)));
            let least = Way::Mean(seen.mean()).squares(&unseen);
            let trees = fit_trees(&seen, seed, threads, &mut |share| progress(done + share / 2.0))?;
            for (gain, way) in gains.iter_mut().zip([fit_ridge(&seen), trees]) {
                *gain += way.map_or(f64::NEG_INFINITY, |way| least - way.squares(&unseen));
            }
        }
        Some(gains)
    }

    /// The expected target of a row, within the targets learned from. O(columns), for trees O(trees · depth).
    pub fn predict(&self, row: &[f32]) -> f64 {
        let raw = self.way.predict(row);
        f64::from(if raw.is_nan() { self.least } else { raw.max(self.least).min(self.most) })
    }

    /// Name of the chosen way: `mean`, `ridge` or `trees`.
    pub fn basis(&self) -> &'static str {
        match self.way {
            Way::Mean(_) => "mean",
            Way::Ridge(_) => "ridge",
            Way::Trees(_) => "trees",
        }
    }

    /// Returns whether the numbers make sense for rows of so many columns. Checked after loading.
    pub fn is_sound(&self, width: usize) -> bool {
        let bounded = self.least.is_finite() && self.most.is_finite() && self.least <= self.most;
        bounded
            && match &self.way {
                Way::Mean(mean) => mean.is_finite(),
                Way::Ridge(linear) => linear.width() == width && linear.is_sound(),
                Way::Trees(trees) => trees.n_features() == width && trees.is_sound(),
            }
    }
}

impl Way {
    fn predict(&self, row: &[f32]) -> f32 {
        match self {
            Self::Mean(mean) => *mean,
            Self::Ridge(linear) => linear.score(row),
            Self::Trees(trees) => trees.predict(row),
        }
    }

    fn squares(&self, rows: &Rows) -> f64 {
        rows.each().map(|(row, target)| f64::from(target - self.predict(row)).powi(2)).sum()
    }
}

fn fit_ridge(rows: &Rows) -> Option<Way> {
    let step = rows.targets.len().div_ceil(MAX_RIDGE_ROWS).max(1);
    let linear = match step {
        1 => Linear::ridge(&rows.values, &rows.targets, rows.width),
        _ => {
            let some = rows.part(|at| at % step == 0);
            Linear::ridge(&some.values, &some.targets, some.width)
        }
    };
    linear.map(Way::Ridge)
}

/// Outer `None`: cancelled. Inner: no trees for these rows.
fn fit_trees(
    rows: &Rows,
    seed: u64,
    threads: &Threads,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Option<Option<Way>> {
    let parameters = BoostingParameters {
        objective: Objective::Squared,
        trees: 50,
        learning_rate: 0.1,
        leaves: 6,
        min_rows: LEAF_ROWS.max(rows.targets.len() / LEAF_SHARE),
        l2: 10.0,
        row_share: 0.8,
        bins: 63,
        seed,
        ..BoostingParameters::default()
    };
    let data = Dataset {
        values: &rows.values,
        n_features: rows.width,
        labels: &rows.targets,
        weights: None,
        groups: None,
    };
    match Boosting::fit(&data, None, &parameters, threads, progress) {
        Ok(trees) => Some(Some(Way::Trees(trees))),
        Err(BoostingError::Cancelled) => None,
        Err(_) => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(n: usize, target: impl Fn(f32, f32) -> f32) -> Regression {
        let mut rng = random::rng(1, "regression test");
        let mut rows = Rows { width: 2, ..Rows::default() };
        for _ in 0..n {
            let (a, b) = (rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
            rows.push(&[a, b], f64::from(target(a, b) + rng.random_range(-0.1..0.1)));
        }
        let threads = Threads::new(1).unwrap();
        Regression::fit(&rows, 1, &threads, &mut |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn a_line_is_told_from_a_step_and_both_from_nothing() {
        let line = fit(400, |a, b| 1.0 + a - 0.5 * b);
        assert_eq!(line.basis(), "ridge");
        assert!((line.predict(&[0.5, 0.5]) - 1.25).abs() < 0.05);
        let step = fit(600, |a, b| if a > 0.0 && b > 0.0 { 2.0 } else { 0.0 });
        assert_eq!(step.basis(), "trees");
        assert!(step.predict(&[0.5, 0.5]) > 1.7 && step.predict(&[0.5, -0.5]) < 0.3);
        let nothing = fit(400, |_, _| 3.0);
        assert!((nothing.predict(&[1.0, -1.0]) - 3.0).abs() < 0.05, "{}", nothing.basis());
    }

    #[test]
    fn few_rows_or_no_columns_have_their_mean_and_no_rows_zero() {
        let threads = Threads::new(1).unwrap();
        let fit =
            |rows: &Rows| Regression::fit(rows, 1, &threads, &mut |_| ControlFlow::Continue(())).unwrap();
        let mut rows = Rows { width: 1, ..Rows::default() };
        assert_eq!(fit(&rows).predict(&[1.0]), 0.0);
        rows.push(&[f32::NAN], 1.0);
        rows.push(&[4.0], 2.0);
        rows.push(&[4.0, 5.0], 9.0);
        assert_eq!((fit(&rows).predict(&[9.0]), fit(&rows).basis()), (1.5, "mean"));
        let none = Rows { targets: (0..100u8).map(f32::from).collect(), ..Rows::default() };
        assert_eq!(fit(&none).predict(&[]), 49.5);
        assert!(fit(&rows).is_sound(1) && Regression::default().is_sound(7));
    }

    #[test]
    fn what_is_predicted_stays_within_what_was_seen() {
        let line = fit(400, |a, _| a);
        assert!(line.predict(&[1e6, 0.0]) <= 1.1 && line.predict(&[f32::NAN, f32::NAN]).is_finite());
    }

    #[test]
    fn it_stops_when_told_to() {
        let rows = Rows {
            values: (0..100u8).map(f32::from).collect(),
            width: 1,
            targets: (0..100u8).map(f32::from).collect(),
        };
        let threads = Threads::new(1).unwrap();
        assert!(Regression::fit(&rows, 1, &threads, &mut |_| ControlFlow::Break(())).is_none());
    }
}
