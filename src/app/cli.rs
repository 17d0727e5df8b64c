//! The command line: what can be said, and what scripts get back.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::commands;
use super::usage::Usage;
use tidings_actors::recommender;
use tidings_core::config::{Config, ConfigError, Layer, Layered, ROLES};
use tidings_decision::privacy::Role;

/// Wrong usage or configuration (clap uses the same).
const EXIT_USAGE: u8 = 2;
/// It was tried and failed.
const EXIT_FAILED: u8 = 1;

/// Real-time personalised notifications from one server and PostgreSQL.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n\
Every setting can also come from a file (--config), or from the environment: TIDINGS_<AREA>_<FIELD>, DATABASE_URL.\n\
TIDINGS_LOG filters the log, e.g. TIDINGS_LOG=debug."
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// For every command.
#[derive(Debug, Args)]
struct Common {
    /// Directory of the private PostgreSQL [default: tidings in the user's data home].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, stronger than file and environment; may be repeated.
    #[arg(long = "set", global = true, value_name = "AREA.FIELD=VALUE")]
    set: Vec<String>,
}

/// Command to run.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: take events, keep profiles, push recommendations.
    #[command(after_help = "Example:\n  tidings serve --listen 127.0.0.1:8080 --data-dir ./data")]
    Serve {
        /// Address and port [default: 127.0.0.1:8080].
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<String>,
        /// Adds /echo for the Autobahn test suite (loopback only).
        #[arg(long, hide = true)]
        conformance_echo: bool,
    },
    /// Serve a simulated shop with three months of history and shoppers who come and go.
    #[command(after_help = "Example:\n  tidings demo --data-dir ./data/demo --shoppers 40")]
    Demo {
        /// Address and port [default: 127.0.0.1:8080].
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<String>,
        /// Shoppers online at a time.
        #[arg(long, default_value_t = 40)]
        shoppers: usize,
        /// Same seed, same shop.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Bring the database schema up to date and say what was done.
    Migrate,
    /// Import files of other systems; running it twice changes nothing.
    #[command(after_help = "Examples:\n  tidings import online-retail online_retail.csv.gz\n  \
tidings import movielens ml-1m/ratings.dat ml-1m/movies.dat\n  \
tidings import csv orders.csv --map user_id=customer,item_id=sku,occurred_at=time --kind purchase --dry-run\n  \
tidings import csv ratings.csv --kind rate --scale 1-10 --day-first --where status=published")]
    Import(tidings_import::ImportArgs),
    /// Export events, decisions, outcomes, recommendations, items or users as a file.
    #[command(after_help = "Examples:\n  tidings export events events.ndjson.gz --since 2026-01-01\n  \
tidings export outcomes --since 7d | head\n  tidings export recommendations lists.csv -n 20 --json")]
    Export(super::export::ExportArgs),
    /// Pull records of Kafka, NATS, Redis, a PostgreSQL outbox or a MySQL binlog into a server (runs tidings-pull).
    #[command(disable_help_flag = true)]
    Pull {
        /// As `tidings pull --help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Train on what is stored; the model serves if it passes the gate.
    Train,
    /// Stored model versions.
    #[command(subcommand, after_help = "Example:\n  tidings models card 3")]
    Models(commands::models::ModelsCommand),
    /// Trains for a server, which says on standard input what.
    #[command(name = recommender::worker::SUBCOMMAND, hide = true)]
    TrainingWorker,
    /// Segments of users as of the last training: their size and the means of their features.
    #[command(after_help = "Examples:\n  tidings segments\n  tidings segments --csv > segments.csv")]
    Segments(commands::segments::SegmentsArgs),
    /// Users as of the last training: segment and, with --profile, features.
    #[command(
        after_help = "Examples:\n  tidings users --profile\n  tidings users --profile --segment A --json"
    )]
    Users(commands::segments::UsersArgs),
    /// Measure how good the recommendations are, on a hold-out of the stored data or on files.
    #[command(after_help = "Examples:\n  tidings evaluate --json\n  \
tidings evaluate --train train.csv.gz --test test.csv.gz --algorithm all --k 10,20\n  \
tidings evaluate --train kinds.csv.gz --test test.csv.gz --target purchase --algorithm auto\n  \
tidings evaluate --protocol sessions --train train.txt.gz --test test.txt.gz --algorithm auto")]
    Evaluate(commands::evaluate_args::EvaluateArgs),
    /// Lists as the server would make them, of one user or of all.
    #[command(after_help = "Examples:\n  tidings recommend --user 17 --with n=5 --with category=Watches\n  \
tidings recommend --all --with placement=email > lists.ndjson")]
    Recommend(commands::recommend::RecommendArgs),
    /// Association rules of a file of baskets, or of the stored model.
    #[command(after_help = "Examples:\n  tidings rules --top 10\n  \
tidings rules --baskets baskets.txt.gz --support 0.01 --confidence 0.3 --json")]
    Rules(commands::rules::RulesArgs),
    /// Estimated value of a policy, from the log of another (IPS, SNIPS, DR); refused where the log can't tell.
    #[command(after_help = "Example:\n  tidings off-policy --log log.csv.gz --target policy.csv --json")]
    OffPolicy(commands::off_policy::OffPolicyArgs),
    /// Uplift of a treatment: effect, ranking and value of treating whom it helps, from a log (T-, X- and DR-learner); refused
    /// where the log can't tell.
    #[command(
        after_help = "Example:\n  tidings uplift --log trial.csv.gz --treatment messaged --outcome bought --propensity p --user user"
    )]
    Uplift(commands::uplift::UpliftArgs),
    /// Personal data: what of it is held, and its purpose.
    #[command(subcommand)]
    Privacy(commands::privacy::PrivacyCommand),
    /// Policies against simulated shoppers, faster than time; with --url, such shoppers as clients of a running server.
    #[command(
        after_help = "Examples:\n  tidings simulate\n  tidings simulate --policy default --policy my-policy.json --seeds 5 --json\n  \
tidings simulate --url ws://127.0.0.1:8080/ws --shoppers 100 --duration 60"
    )]
    Simulate(commands::simulate::SimulateArgs),
    /// Issue an access token (needs auth.secret).
    #[command(after_help = "Example:\n  tidings token --role user --user 17 --days 1")]
    Token {
        /// Role of the token: user, viewer, marketer, operator, privacy_officer, service, developer or admin.
        #[arg(long, value_parser = role)]
        role: Role,
        /// User of a user token.
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// The user is a visitor without an account: may be merged into one at a login.
        #[arg(long)]
        anonymous: bool,
        /// Valid for this many days.
        #[arg(long, default_value_t = 1.0)]
        days: f64,
    },
    /// The audit log: what was changed, read of others, and refused, by whom.
    #[command(after_help = "Examples:\n  tidings audit list --actor anna --json\n  tidings audit verify")]
    Audit {
        #[command(subcommand)]
        action: commands::audit::AuditAction,
    },
    /// API keys of services: make, list and revoke them.
    #[command(
        after_help = "Examples:\n  tidings keys create shop --scope events:write --scope items:write\n  tidings keys list"
    )]
    Keys {
        #[command(subcommand)]
        action: commands::keys::KeysAction,
    },
    /// The certificate of `tls`: check it, or make one for trying.
    #[command(
        after_help = "Examples:\n  tidings tls check --config shop.toml\n  tidings tls self-signed --host push.shop.example --directory tls"
    )]
    Tls {
        #[command(subcommand)]
        action: commands::tls::TlsAction,
    },
    /// Encryption at rest: make, show and replace master keys, encrypt what is there.
    #[command(
        after_help = "Examples:\n  (umask 077; tidings encryption new-key > master-key)\n  tidings encryption rotate --config shop.toml"
    )]
    Encryption {
        #[command(subcommand)]
        action: commands::encryption::EncryptionAction,
    },
    /// People who sign in to the dashboard: add, list and disable them, set roles and passwords.
    #[command(
        after_help = "Examples:\n  tidings people add anna --role admin\n  tidings people role ben viewer\n  tidings people list"
    )]
    People {
        #[command(subcommand)]
        action: commands::people::PeopleAction,
    },
    /// Print every setting, its value and where it came from.
    Config,
}

fn role(text: &str) -> Result<Role, String> {
    Role::named(text).ok_or_else(|| format!("must be one of {}", ROLES.join(", ")))
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    if let Some(arguments) = commands::pull::arguments(std::env::args_os()) {
        return done(commands::pull::exec(&arguments));
    }
    let cli = Cli::parse();
    tidings_telemetry::log_line::init();
    if matches!(cli.command, Command::TrainingWorker) {
        return done(commands::training_worker::run()); // Configured by the server.
    }
    let layered = match settings(&cli) {
        Ok(layered) => layered,
        Err(error) => return fail(&error, EXIT_USAGE),
    };
    if matches!(cli.command, Command::Config) {
        return done(commands::config::print(&layered));
    }
    let config = match layered.build() {
        Ok(config) => config,
        Err(error) => return fail(&error.into(), EXIT_USAGE),
    };
    done(execute(cli.command, config))
}

fn execute(command: Command, config: Config) -> anyhow::Result<()> {
    match command {
        Command::Serve { conformance_echo, .. } => commands::serve::serve(config, conformance_echo),
        Command::Demo { shoppers, seed, .. } => commands::serve::demo(config, shoppers, seed),
        Command::Migrate => commands::migrate::run(&config),
        Command::Import(args) => commands::import::run(&config, args),
        Command::Export(args) => commands::export::run(&config, &args),
        Command::Pull { arguments } => commands::pull::exec(&arguments),
        Command::Train => commands::train::run(&config),
        Command::Models(command) => commands::models::run(&config, &command),
        Command::Segments(args) => commands::segments::segments(&config, &args),
        Command::Users(args) => commands::segments::users(&config, &args),
        Command::Evaluate(args) => commands::evaluate::run(&config, &args),
        Command::Privacy(command) => commands::privacy::run(&config, &command),
        Command::Recommend(args) => commands::recommend::run(&config, &args),
        Command::Rules(args) => commands::rules::run(&config, &args),
        Command::OffPolicy(args) => commands::off_policy::run(&args),
        Command::Uplift(args) => commands::uplift::run(&args),
        Command::Simulate(args) => commands::simulate::run(args),
        Command::Token { role, user, anonymous, days } => {
            commands::token::run(&config, role, user.as_deref(), anonymous, days)
        }
        Command::Audit { action } => commands::audit::run(&config, &action),
        Command::Keys { action } => commands::keys::run(&config, &action),
        Command::Encryption { action } => commands::encryption::run(&config, &action),
        Command::Tls { action } => commands::tls::run(&config, &action),
        Command::People { action } => commands::people::run(&config, &action),
        Command::Config | Command::TrainingWorker => Ok(()),
    }
}

/// Defaults < file < environment < flags.
fn settings(cli: &Cli) -> anyhow::Result<Layered> {
    let mut layered = Layered::default();
    if let Some(path) = &cli.common.config {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("configuration file {}: {error}", path.display()))?;
        layered.file(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    }
    layered.environment(std::env::vars_os().filter_map(|(name, value)| {
        // Names that are not UTF-8 can't be ours.
        Some((name.into_string().ok()?, value.into_string().ok()?))
    }))?;
    if let Some(dir) = &cli.common.data_dir {
        layered.text("server.data_dir", &dir.to_string_lossy(), Layer::Flag)?;
    }
    if let Command::Serve { listen: Some(listen), .. } | Command::Demo { listen: Some(listen), .. } =
        &cli.command
    {
        layered.text("server.listen", listen, Layer::Flag)?;
    }
    for set in &cli.common.set {
        let (key, value) = set.split_once('=').ok_or_else(|| ConfigError::Unknown {
            key: format!("{set} (--set takes area.field=value)"),
            near: None,
        })?;
        layered.text(key, value, Layer::Flag)?;
    }
    Ok(layered)
}

fn done(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Usage>() => fail(&error, EXIT_USAGE),
        Err(error) => fail(&error, EXIT_FAILED),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    use std::io::Write;
    // The whole chain in one line: scripts log lines.
    let _ = writeln!(std::io::stderr(), "tidings: {error:#}");
    ExitCode::from(code)
}
