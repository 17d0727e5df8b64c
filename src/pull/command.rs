//! The command line of `tidings-pull`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use env_logger::{Env, Target};
use tidings_core::base::Timestamp;

use crate::config::{From, RelaySettings, Settings};
use crate::pipeline::{self, Failure};
use crate::relay;

/// Wrong usage or configuration (clap uses the same).
const EXIT_USAGE: u8 = 2;
/// It was tried and failed.
const EXIT_FAILED: u8 = 1;

/// Pull records of Kafka, NATS JetStream, Redis Streams, a PostgreSQL outbox or a MySQL/MariaDB binlog into Tidings.
#[derive(Debug, Parser)]
#[command(
    name = "tidings-pull",
    version,
    after_help = "Example:\n  tidings pull --from redis --config pull.toml --check\n  tidings pull --from redis --config pull.toml\n\
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. docs/sources.md has a configuration for each source.\n\
TIDINGS_LOG filters the log, e.g. TIDINGS_LOG=debug."
)]
struct Cli {
    /// Source to read; its section of the file is used [default: the only one there is].
    #[arg(long, value_name = "SOURCE")]
    from: Option<From>,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the file, say what would be done, and end.
    #[arg(long)]
    check: bool,
    /// Read up to the present end, then end.
    #[arg(long)]
    once: bool,
    /// The other way: take webhooks of the server and publish them into NATS JetStream, as the file's [relay] says.
    #[arg(long, conflicts_with_all = ["from", "once", "check"])]
    relay: bool,
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    if cli.relay {
        let ran = RelaySettings::read(&cli.config)
            .map_err(|error| Failure::Configuration(error.to_string()))
            .and_then(relay::run);
        return ended(ran);
    }
    let settings = match Settings::read(&cli.config, cli.from) {
        Ok(settings) => settings,
        Err(error) => return fail(&error.to_string(), EXIT_USAGE),
    };
    if cli.check {
        // A closed pipe is the reader's business.
        let _ = write!(std::io::stdout(), "{}", settings.summary());
        return ExitCode::SUCCESS;
    }
    ended(pipeline::run(settings, cli.once))
}

fn ended(ran: Result<(), Failure>) -> ExitCode {
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(message)) => fail(&message, EXIT_USAGE),
        Err(Failure::Failed(message)) => fail(&message, EXIT_FAILED),
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tidings-pull: {message}");
    ExitCode::from(code)
}

/// Lines in the form of the server's, to stderr.
fn start_log() {
    // librdkafka and async-nats tell of every lost connection themselves, again and again; ours tells once.
    let filter = "info,rdkafka=off,librdkafka=off,async_nats=warn";
    let result = env_logger::Builder::from_env(Env::new().filter_or("TIDINGS_LOG", filter))
        .target(Target::Stderr)
        .format(|out, record| {
            let millis = Timestamp(Timestamp::now().0 / 1_000 * 1_000);
            writeln!(out, "{millis} {:<5} {} {}", record.level(), record.target(), record.args())
        })
        .try_init();
    drop(result);
}
