//! The log as it is written: rows of our tables out of transactions.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::{Event, EventData, QueryEvent, RotateEvent, RowsEventData};
use mysql_async::binlog::row::BinlogRow;
use mysql_async::binlog::value::BinlogValue;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest};
use serde_json::{Map, Value as Json};
use tidings_core::base::Timestamp;
use tokio::time::Instant;

use super::columns::{self, Origin, Table};
use super::connection::{away, connect};
use super::position::Place;
use crate::config::{BatchSettings, BinlogSettings};
use crate::source::{Change, Content, Record, SourceError};

/// Time between signs of life of a server that has nothing to send, nanoseconds.
const HEARTBEAT_NS: u64 = 5_000_000_000;
/// Time without any sign of life after which the connection is taken for lost.
const SILENCE: Duration = Duration::from_secs(30);

/// Records, the end of the transaction behind the last of them if there is one, and whether the log ends here.
type Read = (Vec<Record>, Option<Place>, bool);

/// A stream of the log.
pub struct Log {
    stream: BinlogStream,
    settings: BinlogSettings,
    database: String,
    tables: HashMap<String, Table>,
    batch: BatchSettings,
    /// The end of the transaction read last.
    place: Place,
    /// Rows of our tables so far in the transaction.
    row: u64,
    heard: Instant,
    /// True if the definition of a table may have changed.
    stale: bool,
    /// True if the log has told its form: before, names of files carry their checksum.
    described: bool,
    /// True if the server has sent all there is (`once`).
    ended: bool,
}

impl Log {
    /// Asks for the log from a place on; with `once`, up to its present end.
    pub async fn open(
        settings: &BinlogSettings,
        batch: BatchSettings,
        once: bool,
        place: Place,
        tables: HashMap<String, Table>,
    ) -> Result<Self, SourceError> {
        let mut conn = connect(&settings.url).await?;
        let database = conn.opts().db_name().unwrap_or_default().to_owned();
        conn.query_drop(format!("SET @master_heartbeat_period = {HEARTBEAT_NS}")).await.map_err(away)?;
        let mut request = BinlogStreamRequest::new(settings.server_id)
            .with_filename(place.file.as_bytes())
            .with_pos(place.position);
        if once {
            request = request.with_non_blocking();
        }
        let stream = conn.get_binlog_stream(request).await.map_err(away)?;
        let (settings, heard) = (settings.clone(), Instant::now());
        Ok(Self {
            stream,
            settings,
            database,
            tables,
            batch,
            place,
            row: 0,
            heard,
            stale: false,
            described: false,
            ended: false,
        })
    }

    /// The next records, waiting for some at most as long as the settings say.
    pub async fn next(&mut self) -> Result<Read, SourceError> {
        let mut records = Vec::new();
        let deadline = Instant::now() + Duration::from_millis(self.batch.wait_ms);
        let before = self.place.clone();
        while records.len() < self.batch.records && !self.ended {
            let Ok(event) = tokio::time::timeout_at(deadline, self.stream.next()).await else { break };
            let Some(event) = event else {
                self.ended = true;
                break;
            };
            self.heard = Instant::now();
            self.take(&event.map_err(away)?, &mut records).await?;
        }
        if !self.ended && self.heard.elapsed() > SILENCE {
            return Err(SourceError::Away("MySQL has not been heard of for half a minute".to_owned()));
        }
        let place = (self.place != before || self.ended).then(|| self.place.clone());
        Ok((records, place, self.ended))
    }

    async fn take(&mut self, event: &Event, records: &mut Vec<Record>) -> Result<(), SourceError> {
        let bad =
            |error: std::io::Error| SourceError::Away(format!("an event of the log can't be read: {error}"));
        let header = event.header();
        match header.event_type() {
            Ok(EventType::FORMAT_DESCRIPTION_EVENT) => self.described = true,
            // The first one repeats the file that was asked for.
            Ok(EventType::ROTATE_EVENT) if self.described => {
                let rotate: RotateEvent = event.read_event().map_err(bad)?;
                let file = rotate.name().into_owned();
                if file != self.place.file {
                    self.place = Place { file, position: rotate.position() };
                    self.row = 0;
                }
            }
            Ok(EventType::XID_EVENT) => self.commit(header.log_pos()),
            Ok(EventType::QUERY_EVENT) => {
                let query: QueryEvent = event.read_event().map_err(bad)?;
                self.query(&query.query(), &query.schema(), header.log_pos())?;
            }
            Ok(
                EventType::WRITE_ROWS_EVENT
                | EventType::WRITE_ROWS_EVENT_V1
                | EventType::UPDATE_ROWS_EVENT
                | EventType::UPDATE_ROWS_EVENT_V1
                | EventType::PARTIAL_UPDATE_ROWS_EVENT
                | EventType::DELETE_ROWS_EVENT
                | EventType::DELETE_ROWS_EVENT_V1,
            ) => {
                if let Some(EventData::RowsEvent(rows)) = event.read_data().map_err(bad)? {
                    self.rows(&rows, header.timestamp(), records).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything before is whole.
    fn commit(&mut self, position: u32) {
        self.row = 0;
        if position > 0 {
            self.place.position = u64::from(position);
        }
    }

    /// Statements in the log are the brackets of transactions and changes of tables; rows as statements are an error.
    fn query(&mut self, query: &str, schema: &str, position: u32) -> Result<(), SourceError> {
        // What the server puts in the place of events that this reader does not ask for.
        if query.starts_with('#') {
            return Ok(());
        }
        let first = query.split_whitespace().next().unwrap_or("").to_uppercase();
        match &*first {
            "BEGIN" => self.row = 0,
            "SAVEPOINT" | "RELEASE" => {}
            "ROLLBACK" if query.to_uppercase().contains(" TO ") => {}
            "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "LOAD" if schema == self.database => {
                return Err(SourceError::Wrong(format!(
                    "at {} a statement stands in the log in place of rows ({first}): a session has set binlog_format to \
                     something else than ROW. Its rows can't be read; remove the state file to begin with a snapshot",
                    self.place
                )));
            }
            "COMMIT" | "ROLLBACK" | "XA" => self.commit(position),
            _ => {
                self.stale = true;
                self.commit(position);
            }
        }
        Ok(())
    }

    async fn rows(
        &mut self,
        event: &RowsEventData<'_>,
        written: u32,
        records: &mut Vec<Record>,
    ) -> Result<(), SourceError> {
        let Some(map) = self.stream.get_tme(event.table_id()) else {
            return Err(SourceError::Away("rows of an unknown table in the log".to_owned()));
        };
        let name = map.table_name().into_owned();
        if map.database_name() != self.database || !self.settings.tables.contains(&name) {
            return Ok(());
        }
        let width = usize::try_from(map.columns_count()).unwrap_or(0);
        if self.stale || self.tables.get(&name).is_none_or(|table| table.columns.len() != width) {
            self.refresh(&name, width).await?;
        }
        let (Some(map), Some(table)) = (self.stream.get_tme(event.table_id()), self.tables.get(&name)) else {
            return Ok(());
        };
        for row in event.rows(map) {
            let (before, after) =
                row.map_err(|error| SourceError::Away(format!("a row of {name} can't be read: {error}")))?;
            let (change, image) = match (before, after) {
                (None, Some(after)) => (Change::New, after),
                (Some(_), Some(after)) => (Change::Update, after),
                (Some(before), None) => (Change::Delete, before),
                (None, None) => continue,
            };
            let content = match object(table, &image) {
                Ok(fields) => Content::Fields(fields),
                Err(reason) => Content::Unreadable { reason, raw: raw(table, &image) },
            };
            let Place { file, position } = &self.place;
            let id = format!("{name}/{file}/{position}/{}/{written}", self.row);
            self.row += 1;
            records.push(Record {
                id,
                at: Some(Timestamp::from_seconds(i64::from(written))),
                change,
                content,
            });
        }
        Ok(())
    }

    /// Reads the columns again: a table was changed.
    async fn refresh(&mut self, name: &str, width: usize) -> Result<(), SourceError> {
        let mut conn = connect(&self.settings.url).await?;
        self.tables = columns::read(&mut conn, &self.settings.tables).await?;
        self.stale = false;
        match self.tables.get(name) {
            Some(table) if table.columns.len() == width => Ok(()),
            table => Err(SourceError::Wrong(format!(
                "table {name} had {width} columns when this part of the log was written and has {} now, so their names are not \
                 known any more. Remove the state file to begin with a snapshot",
                table.map_or(0, |table| table.columns.len())
            ))),
        }
    }
}

/// Values of a row that can't be read as an object, in their order; null for those that are no values of SQL.
fn raw(table: &Table, row: &BinlogRow) -> Json {
    table.raw((0..row.len()).map(|index| match row.as_ref(index) {
        Some(BinlogValue::Value(value)) => Some(value),
        _ => None,
    }))
}

/// A row of the log as an object. Columns go by their place, and by their name where the log tells it.
fn object(table: &Table, row: &BinlogRow) -> Result<Map<String, Json>, String> {
    let names: Vec<String> = row.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    let mut object = Map::new();
    for (index, name) in names.iter().enumerate() {
        let by_place = name.strip_prefix('@').and_then(|place| place.parse::<usize>().ok());
        let column = match by_place {
            Some(place) => table.columns.get(place),
            None => table.columns.iter().find(|column| column.name == *name),
        };
        let (Some(column), Some(value)) = (column, row.as_ref(index).cloned()) else { continue };
        let json = match value {
            BinlogValue::Jsonb(value) => Json::try_from(value).map_err(|error| error.to_string())?,
            BinlogValue::Value(value) => column.json(value, Origin::Log)?,
            BinlogValue::JsonDiff(_) => {
                return Err("holds a part of a JSON value; set binlog_row_value_options = ''".to_owned());
            }
        };
        object.insert(column.name.clone(), json);
    }
    Ok(object)
}
