//! Redis Streams: entries read by a consumer group, acknowledged once they are stored.
//!
//! A consumer that starts first reads what it was given before and did not acknowledge, then new entries; from time to time it
//! takes over entries that another consumer has had for too long (XAUTOCLAIM). An entry's id is its place for good.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use redis::{AsyncConnectionConfig, Client, RedisError, Value, cmd};
use serde_json::{Map, Value as Json};
use tidings_core::base::Timestamp;
use tokio::time::Instant;

use super::{Batch, Change, Content, Next, Record, Source, SourceError, raw_bytes};
use crate::config::{After, BatchSettings, RedisSettings, Start};

/// Longest wait for an answer, beside the time that a read waits for entries.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Time between two looks for entries of consumers that are gone.
const CLAIM_EVERY: Duration = Duration::from_secs(15);

/// Two connections: a read that waits must not hold up the rest.
struct Connections {
    reading: MultiplexedConnection,
    rest: MultiplexedConnection,
    /// Id from which the entries given before and not acknowledged go on; `None` behind the last.
    own: Option<String>,
    claimed: Instant,
}

/// A stream of Redis.
pub struct RedisStream {
    settings: RedisSettings,
    group: String,
    consumer: String,
    batch: BatchSettings,
    once: bool,
    connections: Option<Connections>,
    /// Claimed entries, not handed out yet.
    claimed: VecDeque<StreamId>,
}

impl RedisStream {
    /// Nothing is opened yet.
    pub fn new(settings: RedisSettings, name: &str, batch: BatchSettings, once: bool) -> Self {
        let group = settings.group.clone().unwrap_or_else(|| format!("tidings-{name}"));
        let consumer = settings.consumer.clone().unwrap_or_else(|| name.to_owned());
        Self { settings, group, consumer, batch, once, connections: None, claimed: VecDeque::new() }
    }

    async fn open(&mut self) -> Result<(), SourceError> {
        if self.connections.is_some() {
            return Ok(());
        }
        self.claimed.clear();
        let client = Client::open(self.settings.url.as_str()).map_err(|error| {
            SourceError::Wrong(format!("redis.url: {error}; such as redis://127.0.0.1:6379"))
        })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(5)))
            .set_response_timeout(Some(TIMEOUT + Duration::from_millis(self.batch.wait_ms)));
        let reading = client.get_multiplexed_async_connection_with_config(&config).await.map_err(away)?;
        let mut rest = client.get_multiplexed_async_connection_with_config(&config).await.map_err(away)?;
        let start = if self.settings.start == Start::Latest { "$" } else { "0" };
        let made: Result<(), RedisError> = cmd("XGROUP")
            .arg("CREATE")
            .arg(&self.settings.stream)
            .arg(&self.group)
            .arg(start)
            .arg("MKSTREAM")
            .query_async(&mut rest)
            .await;
        match made {
            Err(error) if error.code() != Some("BUSYGROUP") => return Err(away(error)),
            _ => {}
        }
        let claimed = Instant::now().checked_sub(CLAIM_EVERY).unwrap_or_else(Instant::now);
        self.connections = Some(Connections { reading, rest, own: Some("0".to_owned()), claimed });
        Ok(())
    }

    async fn read(&mut self) -> Result<Vec<StreamId>, SourceError> {
        self.open().await?;
        if self.claimed.is_empty() {
            self.claim().await?;
        }
        if !self.claimed.is_empty() {
            let count = self.batch.records.min(self.claimed.len());
            return Ok(self.claimed.drain(..count).collect());
        }
        let Some(connections) = &mut self.connections else { return Ok(Vec::new()) };
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.group).arg(&self.consumer).arg("COUNT").arg(self.batch.records);
        if connections.own.is_none() && !self.once {
            command.arg("BLOCK").arg(self.batch.wait_ms);
        }
        let from = connections.own.clone().unwrap_or_else(|| ">".to_owned());
        command.arg("STREAMS").arg(&self.settings.stream).arg(from);
        let reply: Option<StreamReadReply> =
            command.query_async(&mut connections.reading).await.map_err(away)?;
        let ids: Vec<StreamId> =
            reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect();
        if connections.own.is_some() {
            connections.own = ids.last().map(|entry| entry.id.clone());
            if ids.is_empty() {
                return Box::pin(self.read()).await;
            }
        }
        Ok(ids)
    }

    /// Takes over entries of consumers that do not come back.
    async fn claim(&mut self) -> Result<(), SourceError> {
        let Some(connections) = &mut self.connections else { return Ok(()) };
        if connections.claimed.elapsed() < CLAIM_EVERY {
            return Ok(());
        }
        connections.claimed = Instant::now();
        let mut from = "0-0".to_owned();
        loop {
            let reply: StreamAutoClaimReply = cmd("XAUTOCLAIM")
                .arg(&self.settings.stream)
                .arg(&self.group)
                .arg(&self.consumer)
                .arg(self.settings.claim_after_ms)
                .arg(&from)
                .arg("COUNT")
                .arg(self.batch.records)
                .query_async(&mut connections.rest)
                .await
                .map_err(away)?;
            self.claimed.extend(reply.claimed);
            from = reply.next_stream_id;
            if from == "0-0" || self.claimed.len() >= self.batch.records {
                return Ok(());
            }
        }
    }

    fn record(&self, entry: StreamId) -> Record {
        let at = entry.id.split('-').next().and_then(|ms| ms.parse().ok()).map(Timestamp::from_millis);
        let content = match &self.settings.field {
            _ if entry.map.is_empty() => {
                Content::Gone("was deleted from the stream before it was read".to_owned())
            }
            Some(field) => match entry.map.get(field).map(bytes) {
                Some(Some(bytes)) => Content::Text(bytes),
                Some(None) => unreadable(format!("field {field:?} is no text"), &entry.map),
                None => unreadable(format!("has no field {field:?} (redis.field)"), &entry.map),
            },
            None => fields(&entry.map),
        };
        Record { id: format!("{}/{}", self.settings.stream, entry.id), at, change: Change::New, content }
    }
}

impl Source for RedisStream {
    type Mark = Vec<String>;

    async fn next(&mut self) -> Result<Next<Self::Mark>, SourceError> {
        let entries = match self.read().await {
            Ok(entries) => entries,
            Err(error) => {
                self.connections = None;
                return Err(error);
            }
        };
        if entries.is_empty() {
            return Ok(if self.once { Next::End } else { Next::Idle });
        }
        let mark = entries.iter().map(|entry| entry.id.clone()).collect();
        let records = entries.into_iter().map(|entry| self.record(entry)).collect();
        Ok(Next::Batch(Batch { records, mark }))
    }

    async fn acknowledge(&mut self, mark: Self::Mark) -> Result<(), SourceError> {
        let Some(connections) = &mut self.connections else {
            return Err(SourceError::Away("the connection was lost meanwhile".to_owned()));
        };
        let mut command = redis::pipe();
        command.cmd("XACK").arg(&self.settings.stream).arg(&self.group).arg(&mark).ignore();
        if self.settings.after == After::Delete {
            command.cmd("XDEL").arg(&self.settings.stream).arg(&mark).ignore();
        }
        let done: Result<(), RedisError> = command.query_async(&mut connections.rest).await;
        done.map_err(|error| {
            self.connections = None;
            away(error)
        })
    }

    async fn reject(&mut self, topic: &str, lines: &[String]) -> Result<(), SourceError> {
        self.open().await?;
        let Some(connections) = &mut self.connections else { return Ok(()) };
        let mut command = redis::pipe();
        for line in lines {
            command.cmd("XADD").arg(topic).arg("*").arg("reject").arg(line).ignore();
        }
        command.query_async::<()>(&mut connections.rest).await.map_err(away)
    }

    async fn behind(&mut self) -> Option<u64> {
        let connections = self.connections.as_mut()?;
        let groups: Vec<HashMap<String, Value>> = cmd("XINFO")
            .arg("GROUPS")
            .arg(&self.settings.stream)
            .query_async(&mut connections.rest)
            .await
            .ok()?;
        let ours = groups.into_iter().find(|group| {
            group.get("name").and_then(bytes).is_some_and(|name| name == self.group.as_bytes())
        })?;
        match ours.get("lag")? {
            Value::Int(lag) => u64::try_from(*lag).ok(),
            _ => None,
        }
    }
}

/// Sorts errors of Redis: what the server refuses for good is told with the cure; everything else may pass.
fn away(error: RedisError) -> SourceError {
    match error.code() {
        Some("WRONGTYPE") => {
            SourceError::Wrong(format!("redis.stream is the key of something else: {error}"))
        }
        Some("WRONGPASS" | "NOAUTH" | "NOPERM") => {
            SourceError::Wrong(format!("redis refuses the login in redis.url: {error}"))
        }
        _ => SourceError::away("redis", error),
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
        Value::SimpleString(text) => Some(text.clone().into_bytes()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// An entry whose content is not what the settings say, with all of its fields.
fn unreadable(reason: String, map: &HashMap<String, Value>) -> Content {
    let raw = map.iter().map(|(name, value)| {
        let raw = bytes(value).map_or_else(|| Json::from(format!("{value:?}")), |bytes| raw_bytes(&bytes));
        (name.clone(), raw)
    });
    Content::Unreadable { reason, raw: Json::Object(raw.collect()) }
}

/// The entry's own fields; all are texts.
fn fields(map: &HashMap<String, Value>) -> Content {
    let mut object = Map::new();
    for (name, value) in map {
        match bytes(value).map(String::from_utf8) {
            Some(Ok(text)) => object.insert(name.clone(), Json::String(text)),
            _ => return unreadable(format!("field {name:?} is not UTF-8"), map),
        };
    }
    Content::Fields(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_read_of_an_entry_is_kept() {
        let value = |bytes: &[u8]| Value::BulkString(bytes.to_vec());
        let map = HashMap::from([("who".to_owned(), value(b"ann")), ("photo".to_owned(), value(b"\xff"))]);
        let Content::Unreadable { reason, raw } = fields(&map) else { panic!("it was read") };
        assert!(reason.contains("photo"), "{reason}");
        assert_eq!(raw, serde_json::json!({"who": "ann", "photo": {"base64": "/w=="}}));
    }
}
