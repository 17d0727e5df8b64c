//! Settings that librdkafka refuses.

use rdkafka::error::KafkaError;

use crate::source::SourceError;

/// A setting that librdkafka refuses. Its own words repeat the value, which may be a password.
pub(super) fn wrong(error: KafkaError) -> SourceError {
    match error {
        KafkaError::ClientConfig(_, reason, name, _) => {
            SourceError::Wrong(format!("[kafka] {name}: {reason}"))
        }
        error => SourceError::Wrong(format!("[kafka]: {error}")),
    }
}
