//! The configuration file: what to read, how records are understood, where events go. Checked whole before anything is read.

mod error;
mod expand;
mod records;
mod relay;
mod sources;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tidings_core::config::toml_fault;

pub use error::ConfigError;
use records::RawRecords;
pub use records::{Envelope, Layout, RecordSettings};
pub use relay::RelaySettings;
pub use sources::{
    After, BinlogSettings, From, KafkaSettings, NatsSettings, OutboxSettings, RedisSettings, SourceSettings,
    Start,
};

/// Everything that one puller needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this puller: part of every event's id, and its line on the dashboard.
    pub name: String,
    /// Server that events go to.
    pub server: ServerSettings,
    /// Mapping and envelope of records.
    pub records: RecordSettings,
    /// Sizes of batches.
    pub batch: BatchSettings,
    /// Destination of refused records.
    pub rejects: RejectSettings,
    /// Address and port of the metrics page, if any.
    pub listen: Option<String>,
    /// Source to read.
    pub source: SourceSettings,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Base address, such as `http://127.0.0.1:8080`.
    #[serde(default = "default_url")]
    pub url: String,
    /// Service token.
    pub token: Option<String>,
    /// File that holds the service token; read again for each connection attempt.
    pub token_file: Option<PathBuf>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { url: default_url(), token: None, token_file: None }
    }
}

fn default_url() -> String {
    "http://127.0.0.1:8080".to_owned()
}

/// `[batch]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// Records in a batch, at most.
    pub records: usize,
    /// Requests open at a time; a user's events always take the same one, so their order is kept.
    pub in_flight: usize,
    /// Longest wait for further records of a batch, milliseconds.
    pub wait_ms: u64,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self { records: 2_000, in_flight: 2, wait_ms: 100 }
    }
}

/// `[rejects]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RejectSettings {
    /// File of refused records, one JSON object a line [default: beside the configuration]; with a topic, of those that are too
    /// long for it.
    pub file: Option<PathBuf>,
    /// Topic, subject or stream of refused records, in place of the file.
    pub topic: Option<String>,
    /// Share of refused records above which reading stops before anything more is acknowledged.
    pub stop_share: f64,
}

impl Default for RejectSettings {
    fn default() -> Self {
        Self { file: None, topic: None, stop_share: 0.5 }
    }
}

/// `[metrics]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetrics {
    listen: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawSettings {
    name: String,
    #[serde(default)]
    server: ServerSettings,
    #[serde(default)]
    records: RawRecords,
    #[serde(default)]
    batch: BatchSettings,
    #[serde(default)]
    rejects: RejectSettings,
    metrics: Option<RawMetrics>,
    kafka: Option<KafkaSettings>,
    nats: Option<NatsSettings>,
    redis: Option<RedisSettings>,
    postgres_outbox: Option<OutboxSettings>,
    mysql_binlog: Option<BinlogSettings>,
}

impl Settings {
    /// Reads and checks a file. `from` says which section is meant if there are several.
    pub fn read(path: &Path, from: Option<From>) -> Result<Self, ConfigError> {
        let within = |message: String| ConfigError(format!("{}: {message}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| within(error.to_string()))?;
        let mut settings = Self::parse(&text, from, |name| std::env::var(name).ok())
            .map_err(|ConfigError(message)| within(message))?;
        if settings.rejects.file.is_none() {
            let name = format!("{}.rejects.ndjson", settings.name);
            settings.rejects.file = Some(path.parent().unwrap_or(Path::new(".")).join(name));
        }
        settings.source.place_beside(path.parent().unwrap_or(Path::new(".")), &settings.name);
        Ok(settings)
    }

    /// Parses and checks a text; `environment` looks up `${NAME}`.
    pub fn parse(
        text: &str,
        from: Option<From>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| ConfigError(toml_fault::of_text(text, &error)))?;
        let table = expand::expand(toml::Value::Table(table), &environment)?;
        let raw: RawSettings =
            table.try_into().map_err(|error: toml::de::Error| ConfigError(toml_fault::of_value(&error)))?;
        let sections = [
            raw.kafka.map(SourceSettings::Kafka),
            raw.nats.map(SourceSettings::Nats),
            raw.redis.map(SourceSettings::Redis),
            raw.postgres_outbox.map(SourceSettings::PostgresOutbox),
            raw.mysql_binlog.map(SourceSettings::MysqlBinlog),
        ];
        let source = sources::choose(sections.into_iter().flatten().collect(), from)?;
        let settings = Self {
            name: raw.name,
            server: raw.server,
            records: raw.records.check()?,
            batch: raw.batch,
            rejects: raw.rejects,
            listen: raw.metrics.map(|metrics| metrics.listen),
            source,
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let fail = |message: &str| Err(ConfigError::new(message));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if !(1..=40).contains(&self.name.len()) || !self.name.chars().all(plain) {
            return fail("name: 1 to 40 lower-case letters, digits, - and _, such as \"shop-orders\"");
        }
        if !self.server.url.starts_with("http://") && !self.server.url.starts_with("https://") {
            return fail(
                "server.url: must begin with http:// or https://, such as \"http://127.0.0.1:8080\"",
            );
        }
        if self.server.token.is_some() && self.server.token_file.is_some() {
            return fail("server: give token or token_file, not both");
        }
        if !(1..=10_000).contains(&self.batch.records) {
            return fail("batch.records: must be 1…10000");
        }
        if !(1..=16).contains(&self.batch.in_flight) {
            return fail("batch.in_flight: must be 1…16");
        }
        if !(1..=10_000).contains(&self.batch.wait_ms) {
            return fail("batch.wait_ms: must be 1…10000");
        }
        if !(0.0..=1.0).contains(&self.rejects.stop_share) {
            return fail("rejects.stop_share: must be 0…1");
        }
        if self.rejects.file.is_some() && self.rejects.topic.is_some() {
            return fail("rejects: give file or topic, not both");
        }
        if self.rejects.topic.is_some() && !self.source.takes_rejects() {
            return fail("rejects.topic: a database has no topics; give rejects.file");
        }
        self.source.check()
    }

    /// Description of what would be done, for `--check`.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let rejects = match (&self.rejects.topic, &self.rejects.file) {
            (Some(topic), _) => format!("topic {topic}"),
            (None, Some(file)) => format!("file {}", file.display()),
            (None, None) => "nowhere".to_owned(),
        };
        let mapping = self.records.mapping.to_string();
        let mapping = if mapping.is_empty() { "fields by their own names" } else { &mapping };
        let kind = self.records.kind.map_or("as each record says", |kind| self.records.kinds.name_of(kind));
        let mapping = match self.records.layout {
            Layout::Own => mapping,
            Layout::Segment => "track calls of Segment",
            Layout::Ga4 => "events of Google Analytics 4",
        };
        let _ = writeln!(out, "{}: {} -> {}", self.name, self.source.describe(), self.server.url);
        let _ = writeln!(
            out,
            "mapping: {mapping}; kind: {kind}; records older than {} days are refused",
            self.records.max_age_days
        );
        let _ = writeln!(
            out,
            "batches of {} in {} requests; refused records to {rejects}",
            self.batch.records, self.batch.in_flight
        );
        let _ =
            writeln!(out, "metrics: {}", self.listen.as_deref().unwrap_or("not served ([metrics] listen)"));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "name = \"orders\"\n[redis]\nurl = \"redis://127.0.0.1\"\nstream = \"orders\"\n";

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, None, |name| (name == "SECRET").then(|| "s3".to_owned()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_minimal_file_is_enough() {
        let settings = parse(MINIMAL).unwrap();
        assert_eq!((settings.name.as_str(), settings.batch.records), ("orders", 2_000));
        assert!(settings.summary().contains("orders: redis stream orders"), "{}", settings.summary());
    }

    #[test]
    fn each_fault_is_named_with_its_cure() {
        for (text, says) in [
            ("name = \"A b\"\n[redis]\nurl=\"redis://h\"\nstream=\"s\"\n", "lower-case"),
            ("name = \"a\"\n", "no source"),
            ("name = \"a\"\n[redis]\nurl=\"redis://h\"\nstraem=\"s\"\n", "stream"),
            ("name = \"a\"\n[redys]\nurl=\"redis://h\"\n", "redis"),
            (
                "name = \"a\"\n[redis]\nurl=\"redis://h\"\nstream=\"s\"\n[records]\nkind=\"purchse\"\n",
                "purchase",
            ),
            (
                "name = \"a\"\n[redis]\nurl=\"redis://h\"\nstream=\"s\"\n[records]\nmax_age_days=90\n",
                "tidings import",
            ),
            (
                "name = \"a\"\n[redis]\nurl=\"redis://h\"\nstream=\"s\"\n[records.map]\nuser=\"x\"\n",
                "user_id",
            ),
            ("name = \"a\"\n[redis]\nurl=\"redis://${MISSING}\"\nstream=\"s\"\n", "MISSING"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn no_fault_shows_a_secret() {
        for text in [
            "name = \"a\"\n[redis]\nurl = \"redis://:hunter2@h\n",
            "name = \"a\"\n[redis]\nurl = redis://:hunter2@h\n",
            "name = \"a\"\n[server]\ntoken = hunter2\n",
            "name = \"a\"\nredis = \"redis://:hunter2@h\"\n",
            "name = \"a\"\n[redis]\nurl = \"redis://:${hunter2@h\"\n",
            "name = \"a\"\n[redis]\nurl = \"redis://:${hunter2@h}\"\n",
            "name = \"a\"\n[batch]\nrecords = \"hunter2\"\n",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
        assert!(parse("name = \"a\"\n[redis]\nurl = \"x\n").unwrap_err().contains("line 3"));
        let error = parse("name = \"a\"\n[redis]\nurl = \"redis://:${X\"\n").unwrap_err();
        assert!(error.contains("redis.url"), "{error}");
    }

    #[test]
    fn a_secret_comes_from_the_environment() {
        let settings = parse(&MINIMAL.replace("127.0.0.1", ":${SECRET}@h")).unwrap();
        let SourceSettings::Redis(redis) = settings.source else { panic!("not redis") };
        assert_eq!(redis.url, "redis://:s3@h");
    }

    #[test]
    fn of_several_sections_one_is_chosen() {
        let two = format!("{MINIMAL}[nats]\nurl = \"nats://h\"\nstream = \"S\"\n");
        assert!(parse(&two).unwrap_err().contains("--from"));
        assert!(Settings::parse(&two, Some(From::Nats), |_| None).is_ok());
        let error = Settings::parse(MINIMAL, Some(From::Nats), |_| None).unwrap_err().to_string();
        assert!(error.contains("[nats]"), "{error}");
    }
}
