//! Sections of the sources.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

use super::error::ConfigError;

/// Source of records, as `--from` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// Topics of Kafka.
    Kafka,
    /// A stream of NATS JetStream.
    Nats,
    /// A stream of Redis.
    Redis,
    /// A table of the shop's PostgreSQL.
    PostgresOutbox,
    /// Changes of tables of MySQL or MariaDB.
    MysqlBinlog,
}

impl From {
    /// The name of its section.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::Redis => "redis",
            Self::PostgresOutbox => "postgres-outbox",
            Self::MysqlBinlog => "mysql-binlog",
        }
    }
}

/// First record for a puller without a position.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// The oldest there is.
    #[default]
    Earliest,
    /// The next to come.
    Latest,
}

/// Treatment of a record in the shop's own store once the server has it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// Stays.
    #[default]
    Keep,
    /// Deleted.
    Delete,
}

/// `[kafka]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(feature = "kafka"),
    expect(dead_code, reason = "checked, and then refused for want of the feature")
)]
pub struct KafkaSettings {
    /// Bootstrap servers, `host:port`, separated by commas.
    pub brokers: String,
    /// Topics to read.
    pub topics: Vec<String>,
    /// Consumer group [default: `tidings-NAME`].
    pub group: Option<String>,
    /// First record for a group without offsets.
    #[serde(default)]
    pub start: Start,
    /// Further settings of librdkafka, by their names.
    #[serde(default)]
    pub options: std::collections::BTreeMap<String, String>,
}

/// `[nats]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsSettings {
    /// Servers, separated by commas.
    pub url: String,
    /// Stream to read.
    pub stream: String,
    /// Durable consumer, made if it is not there [default: `tidings-NAME`].
    pub durable: Option<String>,
    /// Subject to read, wildcards allowed [default: all of the stream].
    pub subject: Option<String>,
    /// Time after which NATS delivers a message again that was not acknowledged, seconds; for a new consumer.
    #[serde(default = "default_ack_wait")]
    pub ack_wait_s: u64,
    /// First message for a new consumer.
    #[serde(default)]
    pub start: Start,
    /// File with credentials (`.creds`).
    pub credentials: Option<PathBuf>,
}

fn default_ack_wait() -> u64 {
    30
}

/// `[redis]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://` or `rediss://` address.
    pub url: String,
    /// Key of the stream.
    pub stream: String,
    /// Consumer group, made if it is not there [default: `tidings-NAME`].
    pub group: Option<String>,
    /// Name of this consumer; one that starts again under its name goes on with what it had [default: `NAME`].
    pub consumer: Option<String>,
    /// Field that holds a JSON object; without it, the fields of the entry are the record.
    pub field: Option<String>,
    /// First entry for a new group.
    #[serde(default)]
    pub start: Start,
    /// Treatment of entries that are stored.
    #[serde(default)]
    pub after: After,
    /// Entries that another consumer has had for longer are taken over, milliseconds.
    #[serde(default = "default_claim")]
    pub claim_after_ms: u64,
}

fn default_claim() -> u64 {
    60_000
}

/// `[postgres-outbox]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxSettings {
    /// `postgres://` address.
    pub url: String,
    /// Table, with its schema if it is not `public`.
    pub table: String,
    /// Integer column that names a row for good.
    #[serde(default = "default_id")]
    pub id: String,
    /// Column with a JSON object; without it, the columns of the row are the record.
    pub payload: Option<String>,
    /// Column with the moment the row was written.
    pub written_at: Option<String>,
    /// Column that is set to the present when a row is stored; without it, the row is deleted.
    pub mark: Option<String>,
}

fn default_id() -> String {
    "id".to_owned()
}

/// `[mysql-binlog]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinlogSettings {
    /// `mysql://` address with the database.
    pub url: String,
    /// Tables of that database.
    pub tables: Vec<String>,
    /// True if rows that are there already are read first.
    #[serde(default = "default_true")]
    pub snapshot: bool,
    /// Number of this replica, unlike that of any other.
    #[serde(default = "default_replica")]
    pub server_id: u32,
    /// File that holds the position [default: beside the configuration].
    pub state: Option<PathBuf>,
}

fn default_true() -> bool {
    true
}

fn default_replica() -> u32 {
    71_001
}

/// The source that was chosen.
#[derive(Clone, Debug)]
pub enum SourceSettings {
    /// Topics of Kafka.
    Kafka(KafkaSettings),
    /// A stream of NATS JetStream.
    Nats(NatsSettings),
    /// A stream of Redis.
    Redis(RedisSettings),
    /// A table of PostgreSQL.
    PostgresOutbox(OutboxSettings),
    /// Tables of MySQL or MariaDB.
    MysqlBinlog(BinlogSettings),
}

impl SourceSettings {
    /// Its kind.
    pub fn from(&self) -> From {
        match self {
            Self::Kafka(_) => From::Kafka,
            Self::Nats(_) => From::Nats,
            Self::Redis(_) => From::Redis,
            Self::PostgresOutbox(_) => From::PostgresOutbox,
            Self::MysqlBinlog(_) => From::MysqlBinlog,
        }
    }

    /// Returns whether refused records can be put back into the source's system.
    pub fn takes_rejects(&self) -> bool {
        matches!(self, Self::Kafka(_) | Self::Nats(_) | Self::Redis(_))
    }

    /// One phrase, without secrets.
    pub fn describe(&self) -> String {
        match self {
            Self::Kafka(kafka) => format!("kafka topics {}", kafka.topics.join(", ")),
            Self::Nats(nats) => format!("nats stream {}", nats.stream),
            Self::Redis(redis) => format!("redis stream {}", redis.stream),
            Self::PostgresOutbox(outbox) => format!("postgres-outbox table {}", outbox.table),
            Self::MysqlBinlog(binlog) => format!("mysql-binlog tables {}", binlog.tables.join(", ")),
        }
    }

    /// Puts the state file beside the configuration if no other place is given.
    pub fn place_beside(&mut self, directory: &Path, name: &str) {
        if let Self::MysqlBinlog(binlog) = self {
            binlog.state.get_or_insert_with(|| directory.join(format!("{name}.position.json")));
        }
    }

    /// Checks what the types don't.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fail = |message: &str| Err(ConfigError::new(message));
        match self {
            Self::Kafka(kafka) if kafka.topics.is_empty() => fail("kafka.topics: name at least one"),
            Self::Kafka(_) if !cfg!(feature = "kafka") => fail(
                "kafka: this tidings-pull was built without it; build it with: cargo build --release -p tidings-pull --features kafka",
            ),
            Self::Nats(nats) if !(1..=3_600).contains(&nats.ack_wait_s) => {
                fail("nats.ack_wait_s: must be 1…3600")
            }
            Self::MysqlBinlog(binlog) if binlog.tables.is_empty() => {
                fail("mysql-binlog.tables: name at least one")
            }
            Self::MysqlBinlog(binlog) if binlog.server_id == 0 => {
                fail("mysql-binlog.server_id: must not be 0")
            }
            _ => Ok(()),
        }
    }
}

/// The section that `from` names, or the only one.
pub fn choose(mut there: Vec<SourceSettings>, from: Option<From>) -> Result<SourceSettings, ConfigError> {
    if let Some(from) = from {
        return there.into_iter().find(|source| source.from() == from).ok_or_else(|| {
            ConfigError::new(format!("there is no section [{}], which --from names", from.name()))
        });
    }
    match (there.pop(), there.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(ConfigError::new("there are several sources; say which with --from")),
        (None, _) => Err(ConfigError::new(
            "there is no source: add a section [kafka], [nats], [redis], [postgres-outbox] or [mysql-binlog]",
        )),
    }
}
