//! Kafka: topics read by a consumer group (the classic protocol), offsets committed once records are stored.
//!
//! librdkafka blocks, so a thread of its own reads (`reader.rs`); batches and requests go through channels.

mod reader;
mod rejecting;
mod settings_fault;
mod watermarks;

use std::sync::mpsc as blocking;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use self::reader::{Offset, Read, Reader, Request};
use super::{Next, Source, SourceError};
use crate::config::{BatchSettings, KafkaSettings};

/// Longest wait for the reading thread.
const ANSWER: Duration = Duration::from_secs(60);
/// Longest wait for it to leave its group at the end.
const LEAVE: Duration = Duration::from_secs(2);

struct Thread {
    batches: mpsc::Receiver<Read>,
    requests: blocking::Sender<Request>,
    /// Disconnected once it has left its group.
    leaving: blocking::Receiver<()>,
}

/// Topics of Kafka.
pub struct Kafka {
    settings: KafkaSettings,
    group: String,
    name: String,
    batch: BatchSettings,
    once: bool,
    thread: Option<Thread>,
}

impl Kafka {
    /// Nothing is opened yet.
    pub fn new(settings: KafkaSettings, name: &str, batch: BatchSettings, once: bool) -> Self {
        let group = settings.group.clone().unwrap_or_else(|| format!("tidings-{name}"));
        Self { settings, group, name: name.to_owned(), batch, once, thread: None }
    }

    fn open(&mut self) -> Result<&mut Thread, SourceError> {
        match self.thread {
            Some(ref mut thread) => Ok(thread),
            ref mut none => {
                // One batch waits while the one before it is posted.
                let (send, batches) = mpsc::channel(1);
                let (requests, receive) = blocking::channel();
                let (left, leaving) = blocking::channel();
                let reader = Reader::open(&self.settings, &self.group, &self.name, self.batch, self.once)?;
                std::thread::Builder::new()
                    .name("kafka".to_owned())
                    .spawn(move || {
                        reader.run(&send, &receive);
                        drop(left);
                    })
                    .map_err(|error| SourceError::Away(format!("no thread for Kafka: {error}")))?;
                Ok(none.insert(Thread { batches, requests, leaving }))
            }
        }
    }

    /// Sends a request to the thread and waits for its answer.
    async fn ask<T>(
        &mut self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, SourceError> {
        let thread = self.open()?;
        let (send, answer) = oneshot::channel();
        let gone = || SourceError::Away("the thread that reads Kafka has ended".to_owned());
        thread.requests.send(request(send)).map_err(|_| gone())?;
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(answer) => answer.map_err(|_| gone()),
            Err(_) => Err(SourceError::Away("Kafka does not answer".to_owned())),
        }
    }
}

impl Drop for Kafka {
    /// Waits until the thread has left its group: of a reader that is only gone, the brokers would wait for its
    /// `session.timeout.ms` before the next one is given a partition.
    fn drop(&mut self) {
        let Some(Thread { batches, requests, leaving }) = self.thread.take() else { return };
        drop((batches, requests));
        if leaving.recv_timeout(LEAVE) == Err(blocking::RecvTimeoutError::Timeout) {
            log::debug!("kafka: the brokers do not answer; they will notice that this reader is gone");
        }
    }
}

impl Source for Kafka {
    type Mark = Vec<Offset>;

    async fn next(&mut self) -> Result<Next<Self::Mark>, SourceError> {
        let wait = Duration::from_millis(self.batch.wait_ms.max(100));
        let thread = self.open()?;
        match tokio::time::timeout(wait, thread.batches.recv()).await {
            Err(_) => Ok(Next::Idle),
            Ok(Some(read)) => read,
            Ok(None) => {
                self.thread = None;
                Err(SourceError::Away("the thread that reads Kafka has ended".to_owned()))
            }
        }
    }

    async fn acknowledge(&mut self, mark: Self::Mark) -> Result<(), SourceError> {
        self.ask(|answer| Request::Commit(mark, answer)).await?
    }

    async fn reject(&mut self, topic: &str, lines: &[String]) -> Result<(), SourceError> {
        let (topic, lines) = (topic.to_owned(), lines.to_vec());
        self.ask(|answer| Request::Reject(topic, lines, answer)).await?
    }

    async fn behind(&mut self) -> Option<u64> {
        self.thread.as_ref()?;
        self.ask(Request::Behind).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_refused_is_named_without_its_value() {
        let options = [("sasl.passwort".to_owned(), "hunter2".to_owned())].into_iter().collect();
        let settings = KafkaSettings {
            brokers: "127.0.0.1:1".to_owned(),
            topics: vec!["t".to_owned()],
            group: None,
            start: crate::config::Start::Earliest,
            options,
        };
        let mut kafka = Kafka::new(settings, "a", BatchSettings::default(), false);
        let Err(SourceError::Wrong(message)) = kafka.open().map(drop) else { panic!("it was taken") };
        assert!(message.contains("sasl.passwort") && !message.contains("hunter2"), "{message}");
    }
}
