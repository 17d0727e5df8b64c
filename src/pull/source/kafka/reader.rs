//! The thread that reads Kafka.

use std::collections::HashMap;
use std::sync::mpsc as blocking;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset as Place, TopicPartitionList};
use tidings_core::base::Timestamp;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::rejecting::Rejecting;
use super::settings_fault::wrong;
use super::watermarks::Watermarks;
use crate::config::{BatchSettings, KafkaSettings, Start};
use crate::source::{Batch, Change, Content, Next, Record, SourceError, kafka_partitions};

/// Message from the reading thread.
pub type Read = Result<Next<Vec<Offset>>, SourceError>;

/// A batch of records up to these offsets.
fn batch(records: Vec<Record>, mark: Vec<Offset>) -> Next<Vec<Offset>> {
    Next::Batch(Batch { records, mark })
}

/// Longest wait for brokers.
const BROKERS: Duration = Duration::from_secs(10);
/// Wait for a record when there is none.
const POLL: Duration = Duration::from_millis(10);
/// Interval at which the brokers are asked why no partition is ours.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// A batch that nobody takes for so long means that the server is away: reading is paused, so that the group goes on.
const PATIENCE: Duration = Duration::from_secs(5);

/// The next offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    topic: String,
    partition: i32,
    next: i64,
}

/// Request to the reading thread.
pub enum Request {
    /// Commit offsets.
    Commit(Vec<Offset>, oneshot::Sender<Result<(), SourceError>>),
    /// Write refused records into a topic.
    Reject(String, Vec<String>, oneshot::Sender<Result<(), SourceError>>),
    /// Count what waits.
    Behind(oneshot::Sender<Option<u64>>),
}

/// A consumer and what it has read.
pub struct Reader {
    consumer: BaseConsumer,
    connection: ClientConfig,
    rejecting: Rejecting,
    watermarks: Watermarks,
    batch: BatchSettings,
    once: bool,
    records: Vec<Record>,
    began: Instant,
    /// Next offsets of what is in `records`.
    read: HashMap<(String, i32), i64>,
    /// Next offsets of everything handed out.
    handed: HashMap<(String, i32), i64>,
    /// With `once`, where each partition ends.
    ends: HashMap<(String, i32), i64>,
    /// With `once`, how often the brokers said that a partition of this number has nothing more to read.
    exhausted: HashMap<i32, usize>,
    topics: Vec<String>,
    group: String,
    opened: Instant,
    /// With `once`, when it was last asked why no partition is ours.
    asked: Instant,
}

impl Reader {
    /// Connects in the background; a wrong setting is an error.
    pub fn open(
        settings: &KafkaSettings,
        group: &str,
        name: &str,
        batch: BatchSettings,
        once: bool,
    ) -> Result<Self, SourceError> {
        let mut connection = ClientConfig::new();
        connection
            .set("bootstrap.servers", &settings.brokers)
            .set("client.id", format!("tidings-pull-{name}"));
        let mut config = connection.clone();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", if settings.start == Start::Latest { "latest" } else { "earliest" })
            // A consumer that was killed holds up its group for so long.
            .set("session.timeout.ms", "10000")
            // Offsets can't tell the end: markers of transactions have some too, and what is in an open one can't be read.
            .set("enable.partition.eof", once.to_string());
        for (key, value) in &settings.options {
            config.set(key, value);
            if !["group.", "session.", "heartbeat.", "max.poll.", "fetch.", "auto.", "enable.auto"]
                .iter()
                .any(|own| key.starts_with(own))
            {
                connection.set(key, value);
            }
        }
        let consumer: BaseConsumer = config.create().map_err(wrong)?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(wrong)?;
        let now = Instant::now();
        Ok(Self {
            consumer,
            watermarks: Watermarks::new(connection.clone()),
            connection,
            rejecting: Rejecting::default(),
            batch,
            once,
            records: Vec::new(),
            began: now,
            read: HashMap::new(),
            handed: HashMap::new(),
            ends: HashMap::new(),
            exhausted: HashMap::new(),
            topics: settings.topics.clone(),
            group: group.to_owned(),
            opened: now,
            asked: now,
        })
    }

    /// Reads until nobody listens any more.
    pub fn run(mut self, batches: &mpsc::Sender<Read>, requests: &blocking::Receiver<Request>) {
        loop {
            self.answer(requests);
            let read = match self.fill() {
                Ok(None) if batches.is_closed() => return,
                Ok(None) => continue,
                Ok(Some(next)) => Ok(next),
                Err(error) => Err(error),
            };
            if !self.hand_out(read, batches, requests) {
                return;
            }
        }
    }

    /// Hands out a batch, answering requests meanwhile. False once nobody listens.
    fn hand_out(
        &mut self,
        mut read: Read,
        batches: &mpsc::Sender<Read>,
        requests: &blocking::Receiver<Request>,
    ) -> bool {
        let began = Instant::now();
        let mut paused: Option<TopicPartitionList> = None;
        loop {
            match batches.try_send(read) {
                Ok(()) => break,
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(back)) => read = back,
            }
            if began.elapsed() > PATIENCE {
                self.pause(&mut paused);
            }
            match requests.recv_timeout(POLL) {
                Ok(request) => self.fulfil(request),
                Err(blocking::RecvTimeoutError::Timeout) => {}
                Err(blocking::RecvTimeoutError::Disconnected) => return false,
            }
            // The group goes on only while it is polled; records are those of partitions that came since the pause.
            if paused.is_some()
                && let Some(Ok(message)) = self.consumer.poll(Duration::ZERO)
            {
                let (record, place) = record(&message);
                self.keep(record, place);
            }
        }
        // Those that went meanwhile are no longer ours to resume.
        if paused.is_some()
            && let Err(error) =
                self.consumer.assignment().and_then(|assigned| self.consumer.resume(&assigned))
        {
            log::debug!("kafka: {error}");
        }
        true
    }

    /// Pauses all partitions, those too that a rebalance brought since the last call: a partition comes to a consumer running.
    fn pause(&self, paused: &mut Option<TopicPartitionList>) {
        let Ok(assigned) = self.consumer.assignment() else { return };
        if paused.as_ref() == Some(&assigned) {
            return;
        }
        match self.consumer.pause(&assigned) {
            Ok(()) => *paused = Some(assigned),
            Err(error) => log::debug!("kafka: {error}"),
        }
    }

    fn answer(&mut self, requests: &blocking::Receiver<Request>) {
        while let Ok(request) = requests.try_recv() {
            self.fulfil(request);
        }
    }

    fn fulfil(&mut self, request: Request) {
        // Whoever asked may have gone.
        match request {
            Request::Commit(offsets, answer) => drop(answer.send(self.commit(&offsets))),
            Request::Reject(topic, lines, answer) => {
                drop(answer.send(self.rejecting.send(&self.connection, &topic, &lines)));
            }
            Request::Behind(answer) => drop(answer.send(self.behind())),
        }
    }

    /// Reads until a batch is full, or its time is over; `None` if there is nothing yet.
    fn fill(&mut self) -> Result<Option<Next<Vec<Offset>>>, SourceError> {
        let wait = Duration::from_millis(self.batch.wait_ms);
        while self.records.len() < self.batch.records {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let (record, place) = record(&message);
                    self.keep(record, place);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    *self.exhausted.entry(partition).or_default() += 1;
                }
                Some(Err(error)) => return Err(self.fault(&error)),
                None if self.records.is_empty() => {
                    return Ok((self.once && self.is_at_end()?).then_some(Next::End));
                }
                None if self.began.elapsed() >= wait => break,
                None => {}
            }
        }
        let mark: Vec<Offset> =
            self.read.drain().map(|((topic, partition), next)| Offset { topic, partition, next }).collect();
        for offset in &mark {
            self.handed.insert((offset.topic.clone(), offset.partition), offset.next);
        }
        Ok(Some(batch(std::mem::take(&mut self.records), mark)))
    }

    fn keep(&mut self, record: Record, (topic, partition, offset): (String, i32, i64)) {
        if self.records.is_empty() {
            self.began = Instant::now();
        }
        self.records.push(record);
        self.read.insert((topic, partition), offset + 1);
    }

    fn fault(&self, error: &KafkaError) -> SourceError {
        if let Some((_, reason)) = self.consumer.client().fatal_error() {
            return SourceError::Wrong(format!("Kafka: {reason}"));
        }
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::Authentication,
            ) => SourceError::Wrong(format!(
                "Kafka refuses the login or the right to read (kafka.options): {error}"
            )),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                SourceError::Away(format!("kafka.topics names one that is not there: {error}"))
            }
            _ => SourceError::away("Kafka", error),
        }
    }

    fn commit(&self, offsets: &[Offset]) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::new();
        for Offset { topic, partition, next } in offsets {
            list.add_partition_offset(topic, *partition, Place::Offset(*next))
                .map_err(|error| SourceError::away("Kafka", error))?;
        }
        self.consumer.commit(&list, CommitMode::Sync).map_err(|error| SourceError::away("Kafka", error))
    }

    /// Returns whether every partition that is ours is read up to where it ended when we were given it, or the brokers say that no
    /// more of it can be read: behind the last record may stand markers of transactions, or a transaction that is open.
    fn is_at_end(&mut self) -> Result<bool, SourceError> {
        let away = |error| SourceError::away("Kafka", error);
        let assigned = self.consumer.assignment().map_err(away)?;
        if assigned.count() == 0 {
            return self.ask_why_nothing_is_ours().map(|()| false);
        }
        let committed = self.consumer.committed(BROKERS).map_err(away)?;
        let positions = self.consumer.position().map_err(away)?;
        for element in assigned.elements() {
            let key = (element.topic().to_owned(), element.partition());
            let (low, end) = match self.ends.get(&key) {
                Some(end) => (0, *end),
                None => {
                    let (low, high) =
                        self.watermarks.of(element.topic(), element.partition(), BROKERS).map_err(away)?;
                    self.ends.insert(key.clone(), high);
                    (low, high)
                }
            };
            let at =
                |list: &TopicPartitionList| match list.find_partition(element.topic(), element.partition()) {
                    Some(found) => {
                        if let Place::Offset(offset) = found.offset() {
                            offset
                        } else {
                            0
                        }
                    }
                    None => 0,
                };
            let reached = at(&committed).max(at(&positions)).max(self.handed.get(&key).copied().unwrap_or(0));
            let is_exhausted = || {
                // The brokers' word names the number of the partition, not its topic.
                let of_number = assigned
                    .elements()
                    .iter()
                    .filter(|other| other.partition() == element.partition())
                    .count();
                self.exhausted.get(&element.partition()).is_some_and(|times| *times >= of_number)
            };
            if reached < end && low < end && !is_exhausted() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An error once it is clear that no partition will be ours.
    fn ask_why_nothing_is_ours(&mut self) -> Result<(), SourceError> {
        if self.asked.elapsed() < ASK_AGAIN {
            return Ok(());
        }
        let known = self.consumer.fetch_metadata(None, BROKERS);
        self.asked = Instant::now();
        let known = known.map_err(|error| SourceError::away("Kafka", error))?;
        let topics = known.topics().iter();
        let there = topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
        let fault = kafka_partitions::fault(&self.topics, &there, &self.group, self.opened.elapsed());
        fault.map_or(Ok(()), |fault| Err(SourceError::Wrong(fault)))
    }

    /// Records between what was handed out and the ends, as far as the brokers have told.
    fn behind(&mut self) -> Option<u64> {
        let assigned = self.consumer.assignment().ok()?;
        let committed = self.consumer.committed(Duration::from_secs(1)).ok()?;
        let mut sum = 0;
        for element in assigned.elements() {
            let key = (element.topic().to_owned(), element.partition());
            let (low, high) = self.watermarks.of(&key.0, key.1, Duration::from_secs(1)).ok()?;
            let from = match committed.find_partition(&key.0, key.1).map(|found| found.offset()) {
                Some(Place::Offset(offset)) => offset,
                _ => low,
            };
            let from = self.handed.get(&key).copied().unwrap_or(from);
            sum += u64::try_from(high - from).unwrap_or(0);
        }
        Some(sum)
    }
}

/// The record, and where it stands. The id holds the time as well, since a topic that is made anew counts anew.
fn record(message: &BorrowedMessage<'_>) -> (Record, (String, i32, i64)) {
    let (topic, partition, offset) = (message.topic().to_owned(), message.partition(), message.offset());
    let millis = message.timestamp().to_millis();
    let id = format!("{topic}/{partition}/{offset}/{}", millis.unwrap_or(0));
    let content = Content::Text(message.payload().unwrap_or_default().to_vec());
    let record = Record { id, at: millis.map(Timestamp::from_millis), change: Change::New, content };
    (record, (topic, partition, offset))
}
