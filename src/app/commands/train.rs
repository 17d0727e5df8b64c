//! `tidings train`.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::memory::use_little_memory;
use super::say;
use crate::app::database::{Sharing, open};
use crate::app::server;
use tidings_actors::recommender::requested::Requested;
use tidings_actors::recommender::training;
use tidings_core::config::Config;
use tidings_state::audit::of_command;
use tidings_store::audit;

/// Trains once, prints the metrics, and fails when the gate does not let the model serve.
pub fn run(config: &Config) -> anyhow::Result<()> {
    // As in the process that a server starts for a training.
    use_little_memory();
    let database = open(config, Sharing::Existing)?;
    let state = server::load_models(config.clone(), database.store.clone())?;
    let bar = ProgressBar::new(1_000);
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} {bar:40} {percent:>3} % {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut last = "";
    let requested = Requested::new(&of_command("train", "model"), None);
    let note = |entry| database.store.run_blocking(|connection| audit::append(connection, &[entry]));
    note(requested.started())?;
    let outcome = training::train(&state, Some(&requested), &mut |stage, share| {
        if bar.is_hidden() && stage.name() != last {
            last = stage.name();
            log::info!("training stage={last}");
        }
        bar.set_message(stage.name());
        bar.set_position((share * 1_000.0) as u64);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    if outcome.is_err()
        && let Err(error) = note(requested.without_model("failed"))
    {
        log::error!("audit log not written error={error}");
    }
    let outcome = outcome?;
    for (name, value) in &outcome.model.metrics {
        say(&format!("{name:<28} {value:.4}"))?;
    }
    say(&format!("events {}  took {:.1} s", outcome.model.events, outcome.took.as_secs_f64()))?;
    if !outcome.gate.passed {
        bail!("version {} does not serve: {}", outcome.model.version, outcome.gate.reason);
    }
    say(&format!("version {} serves: {}", outcome.model.version, outcome.gate.reason))
}
