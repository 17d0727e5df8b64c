//! Log lines that read alone: time, level, place, message with its ids (`user_id=… took_ms=…`).

use std::io::Write;

use env_logger::{Builder, Env, Target};
use log::LevelFilter;

use crate::base::Timestamp;

/// Starts logging to stderr. `TIDINGS_LOG` filters as env_logger does (`info`, `tidings::actors=debug`, …).
pub fn init() {
    let result = Builder::from_env(Env::new().filter_or("TIDINGS_LOG", "info,actix_server=warn"))
        .target(Target::Stderr)
        // Says of every session that ends that its body has ended (`transport/ending.rs`), and nothing else of note.
        .filter_module("actix_http::h1::dispatcher", LevelFilter::Off)
        .format(|out, record| {
            let style = out.default_level_style(record.level());
            let millis = Timestamp(Timestamp::now().0 / 1_000 * 1_000);
            writeln!(
                out,
                "{millis} {style}{:<5}{style:#} {} {}",
                record.level(),
                record.target(),
                record.args()
            )
        })
        .try_init();
    // A second call (tests start several servers in one process) changes nothing.
    drop(result);
}
