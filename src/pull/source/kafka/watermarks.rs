//! First and last offsets of partitions, asked over connections of their own: on those of the reader, which waits there for
//! records, a broker answers only once some have come or `fetch.wait.max.ms` is over, half a second for each question.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;

/// A client that is opened by the first question.
pub struct Watermarks {
    connection: ClientConfig,
    client: Option<BaseConsumer>,
}

impl Watermarks {
    /// Nothing is opened yet.
    pub fn new(connection: ClientConfig) -> Self {
        Self { connection, client: None }
    }

    /// The first offset and the one behind the last.
    pub fn of(&mut self, topic: &str, partition: i32, wait: Duration) -> KafkaResult<(i64, i64)> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(self.connection.create()?),
        };
        client.fetch_watermarks(topic, partition, wait)
    }
}
