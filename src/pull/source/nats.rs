//! NATS JetStream: messages read by a durable pull consumer, acknowledged once they are stored. What is not acknowledged in time
//! is delivered again, under the same sequence number.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::{self, Context, Message};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use futures_util::StreamExt;
use tidings_core::base::Timestamp;

use super::{Batch, Change, Content, Next, Record, Source, SourceError};
use crate::config::{BatchSettings, NatsSettings, Start};

/// Messages of a new consumer that may be open: those of pullers that were killed stay so until they are delivered again.
const MAX_OPEN: i64 = 40_000;
/// With `--once`, time between two looks for messages that will be delivered again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

struct Connection {
    client: Client,
    context: Context,
    consumer: Consumer<Config>,
}

/// A stream of NATS.
pub struct JetStream {
    settings: NatsSettings,
    durable: String,
    name: String,
    batch: BatchSettings,
    once: bool,
    connection: Option<Connection>,
}

impl JetStream {
    /// Nothing is opened yet.
    pub fn new(settings: NatsSettings, name: &str, batch: BatchSettings, once: bool) -> Self {
        let durable = settings.durable.clone().unwrap_or_else(|| format!("tidings-{name}"));
        Self { settings, durable, name: name.to_owned(), batch, once, connection: None }
    }

    async fn open(&mut self) -> Result<(), SourceError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let addresses: Result<Vec<ServerAddr>, _> =
            self.settings.url.split(',').map(|one| one.trim().parse()).collect();
        let addresses = addresses.map_err(|error| {
            SourceError::Wrong(format!("nats.url: {error}; such as nats://127.0.0.1:4222"))
        })?;
        let mut options = ConnectOptions::new()
            .name(format!("tidings-pull {}", self.name))
            .connection_timeout(Duration::from_secs(5))
            .request_timeout(Some(Duration::from_secs(10)));
        if let Some(path) = &self.settings.credentials {
            options = options.credentials_file(path).await.map_err(|error| {
                SourceError::Wrong(format!("nats.credentials {}: {error}", path.display()))
            })?;
        }
        let client =
            async_nats::connect_with_options(addresses, options).await.map_err(|error| {
                match error.kind() {
                    ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                        SourceError::Wrong(format!(
                            "NATS refuses the login of nats.url or nats.credentials: {error}"
                        ))
                    }
                    _ => SourceError::away("NATS", error),
                }
            })?;
        let context = jetstream::new(client.clone());
        let consumer = self.consumer(&context).await?;
        self.connection = Some(Connection { client, context, consumer });
        Ok(())
    }

    async fn consumer(&self, context: &Context) -> Result<Consumer<Config>, SourceError> {
        let stream = context.get_stream(&self.settings.stream).await.map_err(|error| match error.kind() {
            GetStreamErrorKind::JetStream(_)
            | GetStreamErrorKind::EmptyName
            | GetStreamErrorKind::InvalidStreamName => {
                SourceError::Wrong(format!("nats.stream {}: {error}", self.settings.stream))
            }
            GetStreamErrorKind::Request => SourceError::away("NATS", error),
        })?;
        let config = Config {
            durable_name: Some(self.durable.clone()),
            description: Some("tidings-pull".to_owned()),
            deliver_policy: if self.settings.start == Start::Latest {
                DeliverPolicy::New
            } else {
                DeliverPolicy::All
            },
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(self.settings.ack_wait_s),
            filter_subject: self.settings.subject.clone().unwrap_or_default(),
            max_ack_pending: MAX_OPEN,
            ..Config::default()
        };
        let consumer = stream
            .get_or_create_consumer(&self.durable, config)
            .await
            .map_err(|error| SourceError::Away(format!("NATS consumer {}: {error}", self.durable)))?;
        if consumer.cached_info().config.ack_policy != AckPolicy::Explicit {
            return Err(SourceError::Wrong(format!(
                "nats.durable {}: its messages are not acknowledged one by one (ack_policy explicit); name another",
                self.durable
            )));
        }
        Ok(consumer)
    }

    async fn read(&mut self) -> Result<Next<Vec<Acker>>, SourceError> {
        self.open().await?;
        let Some(connection) = &self.connection else { return Ok(Next::Idle) };
        let batch = if self.once {
            connection.consumer.fetch().max_messages(self.batch.records).messages().await
        } else {
            let wait = Duration::from_millis(self.batch.wait_ms);
            connection.consumer.batch().max_messages(self.batch.records).expires(wait).messages().await
        };
        let mut batch = batch.map_err(|error| SourceError::away("NATS", error))?;
        let (mut records, mut mark) = (Vec::new(), Vec::new());
        while let Some(message) = batch.next().await {
            let message = message.map_err(|error| SourceError::away("NATS", error))?;
            let (record, acker) = record(message)?;
            records.push(record);
            mark.push(acker);
        }
        if !records.is_empty() {
            return Ok(Next::Batch(Batch { records, mark }));
        }
        if !self.once {
            return Ok(Next::Idle);
        }
        let info = connection.consumer.get_info().await.map_err(|error| SourceError::away("NATS", error))?;
        if info.num_pending == 0 && info.num_ack_pending == 0 {
            return Ok(Next::End);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(Next::Idle)
    }
}

impl Source for JetStream {
    type Mark = Vec<Acker>;

    async fn next(&mut self) -> Result<Next<Self::Mark>, SourceError> {
        let next = self.read().await;
        if next.is_err() {
            self.connection = None;
        }
        next
    }

    async fn acknowledge(&mut self, mark: Self::Mark) -> Result<(), SourceError> {
        for acker in &mark {
            acker.ack().await.map_err(|error| SourceError::away("NATS", error))?;
        }
        let Some(connection) = &self.connection else { return Ok(()) };
        connection.client.flush().await.map_err(|error| SourceError::away("NATS", error))
    }

    async fn reject(&mut self, topic: &str, lines: &[String]) -> Result<(), SourceError> {
        self.open().await?;
        let Some(connection) = &self.connection else { return Ok(()) };
        for line in lines {
            let sent = connection.context.publish(topic.to_owned(), line.clone().into()).await;
            let stored = sent.map_err(|error| SourceError::away("NATS", error))?.await;
            stored.map_err(|error| {
                SourceError::Away(format!(
                    "no stream of NATS keeps the subject {topic} (rejects.topic): {error}"
                ))
            })?;
        }
        Ok(())
    }

    async fn behind(&mut self) -> Option<u64> {
        let info = self.connection.as_ref()?.consumer.get_info().await.ok()?;
        Some(info.num_pending)
    }
}

/// The message's place is its sequence number in the stream; with its time, since a stream that is made anew counts anew.
fn record(message: Message) -> Result<(Record, Acker), SourceError> {
    let (id, at) = {
        let info = message.info().map_err(|error| SourceError::away("NATS", error))?;
        let micros = i64::try_from(info.published.unix_timestamp_nanos() / 1_000).unwrap_or(0);
        (format!("{}/{}/{micros}", info.stream, info.stream_sequence), Timestamp(micros))
    };
    let (message, acker) = message.split();
    let content = Content::Text(message.payload.to_vec());
    Ok((Record { id, at: Some(at), change: Change::New, content }, acker))
}
