//! Quality of predicted responses, on messages their models had not seen.

use crate::ml::metrics::Metrics;
use crate::response::{Fitted, Response};

use super::classification::measure_probabilities;

/// `propensity.click.auc`, `….log_loss`, `….ece`, …, `….messages` for each response that has a model; for the others
/// `….messages` alone. Empty without messages.
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
    metrics
}
