//! Gate that decides whether a new model may replace the current one. Both are compared on the same users and the same slice of
//! time. The current model itself has been trained on that slice, which would favour it; so its parameters are trained again on
//! what came before the slice, as the new model's twin is (`current.ndcg@10`, see `backtest.rs`). What is compared is thus two ways
//! of training, not two states of knowledge: newer data always helps, and needs no gate. A stored figure of another slice is
//! compared only where there is none of this one.

use serde::{Deserialize, Serialize};

use crate::ml::metrics::Metrics;

/// Metric that is compared.
pub const MEASURE: &str = "ndcg@10";
/// The current model's parameters, under the same conditions.
pub const CURRENT: &str = "current.ndcg@10";

/// The verdict, stored with the model version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// True if the new model may serve.
    pub passed: bool,
    /// Reason of the verdict, for a person.
    pub reason: String,
    /// The new model's figure, if it has one.
    pub new: Option<f64>,
    /// The current model's figure, if there is a model that has one.
    pub current: Option<f64>,
    /// Allowed loss, as a share of the current figure.
    pub tolerance: f64,
}

/// Passes when there is nothing to compare with, or when the new NDCG@10 is at least the current one less
/// `tolerance` (a share, 0…1). On few users chance alone moves the figure, so the tolerance is never below
/// 2 / √users. A model that can't be measured does not replace one that was.
pub fn judge(new: &Metrics, current: Option<&Metrics>, tolerance: f64) -> Gate {
    let figure = |metrics: &Metrics| metrics.get(MEASURE).copied();
    let new_figure = figure(new);
    let same_slice = current.and_then(|_| new.get(CURRENT).copied()).filter(|value| value.is_finite());
    let current_figure = same_slice.or_else(|| current.and_then(figure)).filter(|value| value.is_finite());
    let how = if same_slice.is_some() {
        "trained again without this slice, would reach on it"
    } else {
        "reached on the hold-out of its own training"
    };
    let users = new.get("users").copied().unwrap_or(0.0);
    let chance = if users > 0.0 { (2.0 / users.sqrt()).min(0.5) } else { 0.0 };
    let tolerance = if tolerance.is_finite() { tolerance.clamp(0.0, 1.0) } else { 0.0 }.max(chance);
    let (passed, reason) = match (new_figure, current_figure) {
        (Some(new), _) if !new.is_finite() => (false, format!("{MEASURE} is not a number")),
        (Some(new), Some(current)) => {
            let least = current * (1.0 - tolerance);
            let passed = new >= least;
            let relation = if passed { "reaches" } else { "is below" };
            let reason = format!(
                "{MEASURE} {new:.4} on {users} held-out users {relation} {least:.4}, which is {:.0} % less than the \
                 {current:.4} that the current model {how}",
                tolerance * 100.0
            );
            (passed, reason)
        }
        (Some(new), None) => {
            (true, format!("{MEASURE} {new:.4} on {users} held-out users; no current model to compare with"))
        }
        (None, Some(current)) => (
            false,
            format!("nothing could be held out to measure it; the current model's {MEASURE} is {current:.4}"),
        ),
        (None, None) => (true, "nothing could be held out yet; no measured model to compare with".to_owned()),
    };
    Gate {
        passed,
        reason,
        new: new_figure.filter(|value| value.is_finite()),
        current: current_figure,
        tolerance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(ndcg: f64) -> Metrics {
        Metrics::from([("ndcg@10".to_owned(), ndcg), ("users".to_owned(), 10_000.0)])
    }

    #[test]
    fn the_first_model_passes_and_a_worse_one_does_not() {
        assert!(judge(&metrics(0.1), None, 0.1).passed);
        assert!(judge(&metrics(0.091), Some(&metrics(0.1)), 0.1).passed);
        let refused = judge(&metrics(0.089), Some(&metrics(0.1)), 0.1);
        assert!(!refused.passed);
        assert!(refused.reason.contains("0.0890") && refused.reason.contains("0.0900"), "{}", refused.reason);
        assert!(!judge(&metrics(f64::NAN), None, 0.1).passed);
    }

    #[test]
    fn the_same_slice_counts_where_there_is_one() {
        let mut new = metrics(0.05);
        new.insert(CURRENT.to_owned(), 0.05);
        // This slice is harder than the one the current model was measured on.
        let gate = judge(&new, Some(&metrics(0.1)), 0.1);
        assert!(gate.passed && gate.reason.contains("without this slice"), "{}", gate.reason);
        assert_eq!(gate.current, Some(0.05));
        new.insert(CURRENT.to_owned(), 0.06);
        assert!(!judge(&new, Some(&metrics(0.01)), 0.1).passed);
        assert!(judge(&new, None, 0.1).current.is_none(), "nothing serves yet");
    }

    #[test]
    fn what_cannot_be_measured_does_not_replace_what_was() {
        assert!(!judge(&Metrics::new(), Some(&metrics(0.1)), 0.1).passed);
        assert!(judge(&Metrics::new(), Some(&Metrics::new()), 0.1).passed);
        assert!(judge(&Metrics::new(), None, 0.1).passed);
    }

    #[test]
    fn few_users_widen_the_tolerance() {
        let few = Metrics::from([("ndcg@10".to_owned(), 0.07), ("users".to_owned(), 25.0)]);
        let gate = judge(&few, Some(&metrics(0.1)), 0.1);
        assert!(gate.passed);
        assert!((gate.tolerance - 0.4).abs() < 1e-9);
    }
}
