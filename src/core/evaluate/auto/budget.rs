//! Bounds of the work of choosing a blend. Counts of work, never seconds: a busy machine chooses what an idle one does.

use crate::recommend::ensemble::EnsembleParameters;
use crate::recommend::models::implicit_als::AlsParameters;
use crate::recommend::models::ridge::RidgeParameters;

use super::blend::SearchSpace;

/// Bounds of a trial.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Most multiplications of all fits of EASE^R, and as many again of item-to-item similarity; the first fit of each is always
    /// made.
    pub work: f64,
    /// The same of implicit ALS, where twice the factors may be worth four times the work.
    pub als_work: f64,
    /// Share of all the data that the histories of the trial hold, 0…1: a fit on all of it takes so much more work.
    pub share: f64,
    /// Most fits of each.
    pub trials: usize,
    /// True if the first fit of each comes on top: it is made whether or not others are tried.
    pub first_is_free: bool,
    /// Best parameters of each that become members.
    pub staying: usize,
    /// Users that the blend is learnt on, spread evenly.
    pub cases: usize,
    /// Users that single models are compared on.
    pub compared: usize,
    /// Standard errors by which a blend may be below its best member and serve, where a member must always be part of it.
    pub tolerated: f64,
    /// Shapes and penalties of the blend.
    pub space: SearchSpace,
}

/// Factors, penalty and confidence of implicit ALS that a file is tried with first.
const ALS: [(usize, f32, f32); 3] = [(64, 10.0, 1.0), (64, 50.0, 16.0), (64, 10.0, 4.0)];
/// Rounds of implicit ALS.
const ITERATIONS: usize = 10;

impl Budget {
    /// Of `tidings evaluate` on files.
    pub const OF_FILES: Self = Self {
        work: 2.5e11,
        als_work: 1.5e12,
        share: 1.0,
        trials: 12,
        first_is_free: false,
        // The second best of two says much the same, and takes as long to fit.
        staying: 1,
        cases: 4_000,
        compared: 1_000,
        tolerated: 0.0,
        space: SearchSpace::EVERYTHING,
    };

    /// Of a training of a server: what it may try beside what served last, on a `share` 0…1 of all its data.
    pub fn of_training(work: f64, share: f64) -> Self {
        Self {
            work,
            als_work: work,
            share,
            trials: 4,
            first_is_free: true,
            staying: 1,
            cases: 1_000,
            compared: 300,
            tolerated: 1.0,
            space: SearchSpace::A_LITTLE,
        }
    }
}

/// The parameters that a file is tried with first.
pub(super) fn of_files() -> EnsembleParameters {
    let als = |(factors, regularisation, alpha): (usize, f32, f32)| AlsParameters {
        factors,
        regularisation,
        alpha,
        iterations: ITERATIONS,
        ..AlsParameters::default()
    };
    EnsembleParameters {
        ridges: vec![RidgeParameters::plain(100.0)],
        als: ALS.map(als).to_vec(),
        ..EnsembleParameters::default()
    }
}
