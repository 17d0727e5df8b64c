//! Log lines that read alone: time, level, place, message with its ids (`user_id=… took_ms=…`).

use std::borrow::Cow;
use std::io::Write;

use env_logger::{Builder, Env, Target};
use log::LevelFilter;

use tidings_core::base::Timestamp;

/// Starts logging to stderr. `TIDINGS_LOG` filters as env_logger does (`info`, `tidings_actors=debug`, …).
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
                one_line(&record.args().to_string())
            )
        })
        .try_init();
    // A second call (tests start several servers in one process) changes nothing.
    drop(result);
}

/// A message without control characters, which could begin a line of their own or hide one: each is written as Rust escapes it.
fn one_line(message: &str) -> Cow<'_, str> {
    if !message.contains(char::is_control) {
        return message.into();
    }
    let mut line = String::with_capacity(message.len() + 16);
    for c in message.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_can_not_be_forged() {
        for (message, line) in [
            ("stored user_id=ä 7", "stored user_id=ä 7"),
            ("user_id=7\n2026-11-23T10:00:00Z INFO forged", "user_id=7\\n2026-11-23T10:00:00Z INFO forged"),
            ("\r\t\u{1b}[2K\u{85}\0", "\\r\\t\\u{1b}[2K\\u{85}\\u{0}"),
        ] {
            assert_eq!(one_line(message), line);
        }
    }
}
