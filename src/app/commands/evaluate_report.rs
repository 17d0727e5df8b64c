//! One measured algorithm on standard output.

use std::time::Duration;

use serde_json::{Value, json};

use super::memory::peak_rss_mib;
use super::say;
use tidings_core::ml::metrics::Metrics;

/// Durations of a measurement.
pub(super) struct Measured {
    pub(super) train: Duration,
    pub(super) rank: Duration,
}

/// One object a line, or a table.
pub(super) fn print(
    as_json: bool,
    algorithm: &str,
    parameters: &Value,
    metrics: &Metrics,
    took: &Measured,
) -> anyhow::Result<()> {
    if as_json {
        let mut line = json!({
            "algorithm": algorithm, "parameters": parameters, "train_seconds": took.train.as_secs_f64(),
            "rank_seconds": took.rank.as_secs_f64(), "peak_rss_mib": peak_rss_mib(),
        });
        if let Some(fields) = line.as_object_mut() {
            fields.extend(metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
        }
        return say(&line.to_string());
    }
    let (train, rank) = (took.train.as_secs_f64(), took.rank.as_secs_f64());
    say(&format!("{algorithm}  {parameters}  trained in {train:.2} s, ranked in {rank:.2} s"))?;
    for (name, value) in metrics {
        say(&format!("  {name:<28} {value:.4}"))?;
    }
    Ok(())
}
