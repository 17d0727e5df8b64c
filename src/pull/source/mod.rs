//! Sources: each reads records in batches and acknowledges a batch once the server has stored it.

pub mod backoff;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(any(feature = "kafka", test))]
mod kafka_partitions;
pub mod mysql_binlog;
pub mod nats;
pub mod postgres_outbox;
pub mod redis_stream;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use tidings_core::base::Timestamp;

/// Change of the thing that a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It happened, or is there now.
    New,
    /// A row was changed.
    Update,
    /// A row was deleted.
    Delete,
}

/// Content of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// JSON as it came.
    Text(Vec<u8>),
    /// Columns or fields by name.
    Fields(Map<String, Value>),
    /// Nothing that could be made into fields.
    Unreadable {
        /// Reason.
        reason: String,
        /// Content as far as it can be told, kept among the rejects.
        raw: Value,
    },
    /// Nothing: the source had forgotten the content before it was read.
    Gone(String),
}

/// Bytes of a field as JSON: their text, or an object with their base64.
pub fn raw_bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": BASE64_STANDARD.encode(bytes)}),
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Partition and offset, the same whenever the record is read, unlike that of any other.
    pub id: String,
    /// Moment the source took it, if known.
    pub at: Option<Timestamp>,
    /// Change that it reports.
    pub change: Change,
    /// Content of the record.
    pub content: Content,
}

/// Records read together.
#[derive(Debug)]
pub struct Batch<M> {
    /// In the order of the source.
    pub records: Vec<Record>,
    /// Mark that the source needs to acknowledge them.
    pub mark: M,
}

/// Answer of a source that was asked for records.
#[derive(Debug)]
pub enum Next<M> {
    /// Some records.
    Batch(Batch<M>),
    /// None for now.
    Idle,
    /// None now, and what was asked for was only what is there.
    End,
}

/// Fault of a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It may pass: the source is away, or is starting.
    #[error("{0}")]
    Away(String),
    /// It will not pass by itself; says the cure.
    #[error("{0}")]
    Wrong(String),
}

impl SourceError {
    /// A fault that may pass.
    pub fn away(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Away(format!("{what}: {error}"))
    }
}

/// A source that is open, or opens itself when it is asked.
pub trait Source {
    /// Mark by which a batch is acknowledged.
    type Mark;

    /// The next records; waits for some at most as long as the settings say. After an error the source begins again behind what
    /// was acknowledged last, so records that were handed out come again.
    async fn next(&mut self) -> Result<Next<Self::Mark>, SourceError>;

    /// Tells the source that a batch is stored. Batches are acknowledged in the order in which they were read.
    async fn acknowledge(&mut self, mark: Self::Mark) -> Result<(), SourceError>;

    /// Puts refused records, as JSON texts, where the settings say; returns once they are safe there.
    async fn reject(&mut self, topic: &str, lines: &[String]) -> Result<(), SourceError> {
        let _ = (topic, lines);
        Err(SourceError::Wrong("rejects.topic: this source has no topics; give rejects.file".to_owned()))
    }

    /// Records that wait in the source behind those handed out, if it can tell.
    async fn behind(&mut self) -> Option<u64>;
}
