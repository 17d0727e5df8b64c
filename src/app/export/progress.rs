//! Progress of an export on standard error: a line that is drawn over on a terminal, one every few seconds in a log.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use tidings_core::event::clean::grouped;

/// Between two lines in a log.
const LINE_EVERY: Duration = Duration::from_secs(3);
/// The clock is looked at every so many rows.
const ROWS_A_LOOK: u64 = 1_024;

/// Shows progress, or not.
pub struct Progress {
    began: Instant,
    show: Show,
}

enum Show {
    Spinner(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

impl Progress {
    /// Nothing written yet.
    pub fn new(quiet: bool) -> Self {
        let began = Instant::now();
        let show = if quiet {
            Show::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            // A template that indicatif refuses would be ours to mend; until then its own bar does.
            let style = ProgressStyle::with_template("exporting  {spinner} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            Show::Spinner(bar)
        } else {
            Show::Lines { last: began }
        };
        Self { began, show }
    }

    /// So many rows are written.
    pub fn rows(&mut self, rows: u64) {
        if !rows.is_multiple_of(ROWS_A_LOOK) {
            return;
        }
        let speed = rows as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let text = format!("{} rows, {} rows/s", grouped(rows), grouped(speed as u64));
        match &mut self.show {
            Show::Spinner(bar) => {
                bar.set_message(text);
                bar.tick();
            }
            Show::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                // Nobody to tell if standard error is closed.
                let _ = writeln!(std::io::stderr(), "export: {text}");
            }
            Show::Lines { .. } | Show::Nothing => {}
        }
    }

    /// Takes the line away.
    pub fn finish(&mut self) {
        if let Show::Spinner(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}
