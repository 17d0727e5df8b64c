//! MySQL/MariaDB binlog: the rows of some tables as they are, then every row as it is written, changed or deleted.
//!
//! The position is kept in a file of this puller's own, written when a batch is acknowledged and only at the end of a
//! transaction: a transaction that was sent in part is read again as a whole. A row's id is made of the end of the transaction
//! before its own, its number in its transaction and the time of writing, the same whenever the log is read.

mod columns;
mod connection;
mod position;
mod snapshot;
mod stream;

use std::collections::HashMap;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::Instant;

use self::columns::Table;
use self::connection::{away, connect};
use self::position::{Place, State};
use self::snapshot::Snapshot;
use self::stream::Log;
use super::{Batch, Next, Source, SourceError};
use crate::config::{BatchSettings, BinlogSettings};

/// Time between two savings of a position behind which there was nothing for us.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Reader that is active now.
enum Reading {
    /// Nothing; the next read opens.
    Closed,
    /// Rows that were there already.
    Snapshot(Box<Snapshot>),
    /// Rows as they are written.
    Log(Box<Log>),
}

/// Progress that a batch acknowledges.
#[derive(Debug)]
pub enum Mark {
    /// Nothing: the middle of a snapshot, or of a transaction.
    Inside,
    /// Everything up to the end of a transaction.
    UpTo(Place),
}

/// Tables of MySQL or MariaDB.
pub struct Binlog {
    settings: BinlogSettings,
    batch: BatchSettings,
    once: bool,
    state: State,
    saved: Instant,
    reading: Reading,
}

impl Binlog {
    /// Nothing is opened yet.
    pub fn new(settings: BinlogSettings, batch: BatchSettings, once: bool) -> Self {
        let state = State::at(settings.state.clone().unwrap_or_default());
        Self { settings, batch, once, state, saved: Instant::now(), reading: Reading::Closed }
    }

    async fn open(&mut self) -> Result<(), SourceError> {
        self.state.load()?;
        let mut conn = connect(&self.settings.url).await?;
        check(&mut conn, &mut self.state).await?;
        let tables = columns::read(&mut conn, &self.settings.tables).await?;
        match self.state.place() {
            Some(place) => {
                drop(conn);
                self.follow(place, tables).await
            }
            None if self.settings.snapshot => {
                let stamp = self.state.begin_snapshot()?;
                let snapshot =
                    Snapshot::begin(conn, &self.settings.url, tables, stamp, self.batch.records).await?;
                self.reading = Reading::Snapshot(Box::new(snapshot));
                Ok(())
            }
            None => {
                let place = position::present(&mut conn).await?;
                self.state.save(&place)?;
                drop(conn);
                self.follow(place, tables).await
            }
        }
    }

    async fn follow(&mut self, place: Place, tables: HashMap<String, Table>) -> Result<(), SourceError> {
        let log = Log::open(&self.settings, self.batch, self.once, place, tables).await?;
        self.reading = Reading::Log(Box::new(log));
        Ok(())
    }

    async fn read(&mut self) -> Result<Next<Mark>, SourceError> {
        loop {
            match &mut self.reading {
                Reading::Closed => self.open().await?,
                Reading::Snapshot(snapshot) => match snapshot.next().await? {
                    Some(records) => return Ok(Next::Batch(Batch { records, mark: Mark::Inside })),
                    None => {
                        let place = snapshot.place().clone();
                        log::info!("the snapshot is read, the log follows from {place}");
                        // Acknowledged behind all batches of the snapshot.
                        let done = Batch { records: Vec::new(), mark: Mark::UpTo(place.clone()) };
                        let tables = snapshot.take_tables();
                        self.follow(place, tables).await?;
                        return Ok(Next::Batch(done));
                    }
                },
                Reading::Log(log) => {
                    let (records, place, ended) = log.next().await?;
                    let behind = place.as_ref().is_some_and(|place| !self.state.is_at(place));
                    let mark = place.map_or(Mark::Inside, Mark::UpTo);
                    if !records.is_empty() || (behind && (ended || self.saved.elapsed() > SAVE_EVERY)) {
                        return Ok(Next::Batch(Batch { records, mark }));
                    }
                    return Ok(if ended { Next::End } else { Next::Idle });
                }
            }
        }
    }
}

impl Source for Binlog {
    type Mark = Mark;

    async fn next(&mut self) -> Result<Next<Self::Mark>, SourceError> {
        let next = self.read().await;
        if next.is_err() {
            self.reading = Reading::Closed;
        }
        next
    }

    async fn acknowledge(&mut self, mark: Self::Mark) -> Result<(), SourceError> {
        self.saved = Instant::now();
        match mark {
            Mark::Inside => Ok(()),
            Mark::UpTo(place) => self.state.save(&place),
        }
    }

    /// Records can't be counted in a log; the lag in seconds is known.
    async fn behind(&mut self) -> Option<u64> {
        None
    }
}

/// Returns whether the log holds rows, and whether the position is of this server.
async fn check(conn: &mut Conn, state: &mut State) -> Result<(), SourceError> {
    let found: Option<(u8, String, String, u32)> = conn
        .query_first(
            "SELECT @@GLOBAL.log_bin, @@GLOBAL.binlog_format, @@GLOBAL.binlog_row_image, @@GLOBAL.server_id",
        )
        .await
        .map_err(away)?;
    let Some((log_bin, format, image, server)) = found else {
        return Err(SourceError::Away("MySQL does not tell its settings".to_owned()));
    };
    let wrong = |message: &str| Err(SourceError::Wrong(message.to_owned()));
    if log_bin == 0 {
        return wrong("this server of MySQL writes no binlog: set log_bin in its configuration");
    }
    if format != "ROW" {
        return wrong("the binlog of this server holds statements, not rows: set binlog_format = ROW");
    }
    if image != "FULL" {
        return wrong("the binlog of this server holds parts of rows: set binlog_row_image = FULL");
    }
    state.check_server(server)
}
