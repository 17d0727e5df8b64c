//! Progress of an import: a bar on a terminal, a line every few seconds in a log. On standard error, so that standard
//! output stays the summary's.

use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::input::BytesRead;
use tidings_core::event::clean::grouped;

/// Between two lines in a log.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// Shows progress, or not.
pub struct Progress {
    bytes: BytesRead,
    total_bytes: Option<u64>,
    began: Instant,
    show: Show,
}

enum Show {
    Bar(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

impl Progress {
    /// `total_bytes` is unknown for standard input.
    pub fn new(bytes: BytesRead, total_bytes: Option<u64>, quiet: bool) -> Self {
        let began = Instant::now();
        let show = if quiet {
            Show::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(style(if total_bytes.is_some() {
                "reading  {bar:30} {percent:>3} %  {msg}  {eta} left"
            } else {
                "reading  {spinner} {bytes}  {msg}"
            }));
            Show::Bar(bar)
        } else {
            Show::Lines { last: began }
        };
        Self { bytes, total_bytes, began, show }
    }

    /// So many rows were read.
    pub fn rows_read(&mut self, rows: u64) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let speed = rows as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        match &mut self.show {
            Show::Bar(bar) => {
                bar.set_position(bytes);
                bar.set_message(format!("{} rows, {} rows/s", grouped(rows), grouped(speed as u64)));
            }
            Show::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let share = match self.total_bytes {
                    Some(total) => format!(", {} %", bytes * 100 / total.max(1)),
                    None => String::new(),
                };
                line(&format!("read {} rows{share}, {} rows/s", grouped(rows), grouped(speed as u64)));
            }
            Show::Lines { .. } | Show::Nothing => {}
        }
    }

    /// Everything is read; what is left is to store `events` events.
    pub fn begin_storing(&mut self, events: u64) {
        if let Show::Bar(bar) = &mut self.show {
            bar.set_style(style("storing  {bar:30} {percent:>3} %  {msg}  {eta} left"));
            bar.set_message(format!("{} events", grouped(events)));
            bar.reset_eta();
            bar.set_length(events);
            bar.set_position(0);
        }
    }

    /// So many of the last `of` events are stored.
    pub fn stored(&mut self, events: u64, of: u64) {
        match &mut self.show {
            Show::Bar(bar) => bar.set_position(events),
            Show::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                line(&format!("stored {} of {} events", grouped(events), grouped(of)));
            }
            Show::Lines { .. } | Show::Nothing => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A template that indicatif refuses would be ours to mend; until then its own bar does.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn line(text: &str) {
    // Nobody to tell if standard error is closed.
    let _ = writeln!(std::io::stderr(), "import: {text}");
}
