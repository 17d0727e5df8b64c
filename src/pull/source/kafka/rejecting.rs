//! The producer of the dead-letter topic: returns once the brokers have every record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use super::settings_fault::wrong;
use crate::source::SourceError;

/// Longest wait for the brokers.
const FLUSH: Duration = Duration::from_secs(20);

/// Counts what did not arrive.
#[derive(Default)]
struct Deliveries {
    failed: AtomicUsize,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A producer that is opened by the first record.
#[derive(Default)]
pub struct Rejecting {
    producer: Option<BaseProducer<Deliveries>>,
}

impl Rejecting {
    /// Sends lines; `config` is that of the consumer's connection.
    pub fn send(&mut self, config: &ClientConfig, topic: &str, lines: &[String]) -> Result<(), SourceError> {
        let away =
            |error: &dyn std::fmt::Display| SourceError::Away(format!("rejects.topic {topic}: {error}"));
        let producer = match &mut self.producer {
            Some(producer) => producer,
            none => none.insert(config.create_with_context(Deliveries::default()).map_err(wrong)?),
        };
        producer.context().failed.store(0, Ordering::Relaxed);
        for line in lines {
            let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).payload(line);
            producer.send(record).map_err(|(error, _)| away(&error))?;
        }
        producer.flush(FLUSH).map_err(|error| away(&error))?;
        match producer.context().failed.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => Err(away(&format!("{failed} records did not arrive"))),
        }
    }
}
