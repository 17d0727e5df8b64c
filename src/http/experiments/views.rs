//! Parameters and answers of readings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::describe::{self, Described, May};
use crate::off_policy::{OffPolicyOf, Sending};
use tidings_core::base::Timestamp;
use tidings_decision::feedback::experiments::SampleRatio;
use tidings_decision::feedback::lift::{Attribution, Lift, Measured};
use tidings_decision::feedback::statistics::Estimate;
use tidings_decision::privacy::Permission;

/// Over which time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ReadingQuery {
    /// Days looked back, at most 365; 7 without it.
    pub(super) days: Option<f64>,
}

/// An arm and what its users did.
#[derive(Serialize, ToSchema)]
pub(super) struct ArmView {
    pub(super) name: String,
    /// Of all arms.
    pub(super) share: f64,
    pub(super) users: u64,
    /// By metric.
    pub(super) metrics: BTreeMap<String, Measured>,
}

/// An arm compared with the control.
#[derive(Serialize, ToSchema)]
pub(super) struct ArmLift {
    pub(super) arm: String,
    pub(super) metrics: Vec<Lift>,
}

/// Arms, the check of their sizes and the lifts, or in words why there are none.
#[derive(Serialize, ToSchema)]
#[schema(as = Reading)]
pub(super) struct ReadingView {
    pub(super) control: Option<String>,
    pub(super) arms: Vec<ArmView>,
    pub(super) sample_ratio: SampleRatio,
    /// Reason for which nothing may be read.
    pub(super) blocked: Option<String>,
    pub(super) lifts: Vec<ArmLift>,
}

/// Reading of one experiment.
#[derive(Serialize, ToSchema)]
pub(super) struct ExperimentReading {
    pub(super) name: String,
    pub(super) days: f64,
    pub(super) from: Timestamp,
    /// Moment at which it began anew within these days.
    pub(super) restarted_at: Option<Timestamp>,
    pub(super) note: Option<String>,
    pub(super) reading: ReadingView,
}

/// Share of buyers that messages add in a segment.
#[derive(Serialize, ToSchema)]
pub(super) struct SegmentUplift {
    pub(super) segment: Option<String>,
    pub(super) messaged: u64,
    pub(super) held_out: u64,
    /// Shrunk towards that of all.
    pub(super) uplift: f64,
    pub(super) difference: Option<Estimate>,
    /// Reason for which it can't be told.
    pub(super) too_few: Option<String>,
}

/// Control group, everybody else and the random test, compared.
#[derive(Serialize, ToSchema)]
pub(super) struct SlicesView {
    pub(super) from: Timestamp,
    pub(super) restarted_at: Option<Timestamp>,
    pub(super) note: Option<String>,
    pub(super) reading: ReadingView,
    /// Null while the reading is blocked, as the next.
    pub(super) attribution: Option<Attribution>,
    pub(super) uplift: Option<Vec<SegmentUplift>>,
}

/// Reason for which there is no comparison.
#[derive(Serialize, ToSchema)]
pub(super) struct NoSlices {
    pub(super) note: String,
}

/// Comparison of the slices, or why there is none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SlicesReading {
    Compared(Box<SlicesView>),
    Nobody(NoSlices),
}

/// An experiment that decisions were part of.
#[derive(Serialize, ToSchema)]
pub(super) struct SeenExperiment {
    pub(super) name: String,
    pub(super) arms_seen: Vec<String>,
}

/// Readings of the slices, and the names of experiments.
#[derive(Serialize, ToSchema)]
pub(super) struct Readings {
    pub(super) days: f64,
    pub(super) slices: SlicesReading,
    pub(super) experiments: Vec<SeenExperiment>,
    /// Earnings of each wording if it were always taken, by trigger.
    pub(super) off_policy: Vec<OffPolicyOf>,
    /// Earnings of always sending and of never sending.
    pub(super) send: Sending,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/admin/experiments/readings",
            May::Needs(Permission::ReadFigures),
            "Readings of the slices, and the names of experiments.",
        )
        .query::<ReadingQuery>()
        .answers::<Readings>(200, "Readings."),
        describe::get(
            "/admin/experiments/{name}/reading",
            May::Needs(Permission::ReadFigures),
            "Reading of one experiment.",
        )
        .query::<ReadingQuery>()
        .answers::<ExperimentReading>(200, "The reading.")
        .refuses(&[404]),
    ]
}
