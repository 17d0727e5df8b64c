//! Quality of predicted responses, on messages their models had not seen.

use crate::ml::metrics::Metrics;
use crate::response::{Fitted, Response};

use super::classification::measure_probabilities;

/// `propensity.click.auc`, `….log_loss`, `….ece`, …, `….messages` for each response that has a model; for the others
/// `….messages` alone. Of messages that a coin decided about `uplift.decisions`, and with enough of them `uplift.effect` and
/// `uplift.qini` with the ends of their intervals, `…_low` and `…_high`. Empty without messages.
pub fn measure_responses(fitted: &Fitted) -> Metrics {
    let mut metrics = Metrics::new();
    for response in Response::ALL {
        let prefix = format!("propensity.{}.", response.name());
        let messages = fitted.model.report(response).map_or(0, |report| report.messages);
        if messages > 0 {
            metrics.insert(format!("{prefix}messages"), messages as f64);
        }
        let (probabilities, outcomes): (Vec<f64>, Vec<bool>) =
            fitted.held_out.get(response).iter().copied().unzip();
        for (name, value) in measure_probabilities(&probabilities, &outcomes) {
            metrics.insert(format!("{prefix}{name}"), value);
        }
    }
    if let Some(report) = fitted.model.uplift_report().filter(|report| report.decisions > 0) {
        metrics.insert("uplift.decisions".to_owned(), report.decisions as f64);
        for (name, estimate) in [("effect", report.effect), ("qini", report.qini)] {
            let Some([value, low, high]) = estimate else { continue };
            for (end, value) in [("", value), ("_low", low), ("_high", high)] {
                metrics.insert(format!("uplift.{name}{end}"), value);
            }
        }
    }
    metrics
}
