//! PostgreSQL outbox: rows of a table of the shop's, written in the transaction of what they tell of.
//!
//! The rows themselves are the position: one that the server has stored is deleted, or marked. A position by id would lose rows:
//! ids are given in one order and committed in another, and one that is committed late lies behind the position. So rows are read
//! upwards by id, and from the start again whenever the end is reached. One puller reads a table at a time (an advisory lock); a
//! second one waits and takes over.

use std::time::Duration;

use tidings_core::base::Timestamp;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Batch, Change, Content, Next, Record, Source, SourceError};
use crate::config::{BatchSettings, OutboxSettings};

/// Longest wait for a connection, its login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the answer to a statement.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time after which a connection is gone whose other end acknowledges nothing.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two tries for the lock.
const LOCK_EVERY: Duration = Duration::from_secs(1);

struct Connection {
    client: Client,
    select: Statement,
    settle: Statement,
    count: Statement,
    /// Rows up to this id are handed out.
    cursor: i64,
    /// Batches handed out and not acknowledged.
    open: usize,
}

/// A table of PostgreSQL.
pub struct Outbox {
    settings: OutboxSettings,
    name: String,
    batch: BatchSettings,
    once: bool,
    connection: Option<Connection>,
}

impl Outbox {
    /// Nothing is opened yet.
    pub fn new(settings: OutboxSettings, name: &str, batch: BatchSettings, once: bool) -> Self {
        Self { settings, name: name.to_owned(), batch, once, connection: None }
    }

    async fn open(&mut self) -> Result<(), SourceError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let mut config: Config = self.settings.url.parse().map_err(|error| {
            SourceError::Wrong(format!(
                "postgres-outbox.url: {error}; such as postgres://user:password@host/database"
            ))
        })?;
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(SILENCE_TIMEOUT)
            .keepalives_idle(SILENCE_TIMEOUT)
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .application_name(format!("tidings-pull {}", self.name));
        let tls = crate::tls::client_config().map_err(SourceError::Wrong)?;
        let connecting = config.connect(MakeRustlsConnect::new(tls));
        let (client, connection) = within(CONNECT_TIMEOUT, connecting).await?.map_err(away)?;
        // Ends with the client; a fault is seen by the next query.
        actix_rt::spawn(async move { drop(connection.await) });
        self.lock(&client).await?;
        let statements = Statements::of(&self.settings);
        let prepare = async |text: &str| {
            within(ANSWER_TIMEOUT, client.prepare(text)).await?.map_err(|error| self.named(&error))
        };
        let select = prepare(&statements.select).await?;
        let settle = prepare(&statements.settle).await?;
        let count = prepare(&statements.count).await?;
        self.connection = Some(Connection { client, select, settle, count, cursor: i64::MIN, open: 0 });
        Ok(())
    }

    /// Waits until no other puller reads the table.
    async fn lock(&self, client: &Client) -> Result<(), SourceError> {
        let key = format!("tidings-pull {}", self.settings.table);
        let mut told = false;
        loop {
            let parameters: [&(dyn ToSql + Sync); 1] = [&key];
            let asked = client.query_one("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", &parameters);
            let row = within(ANSWER_TIMEOUT, asked).await?.map_err(away)?;
            if row.try_get::<_, bool>(0).map_err(away)? {
                return Ok(());
            }
            if self.once {
                return Err(SourceError::Away(format!("another puller reads {}", self.settings.table)));
            }
            if !told {
                log::info!(
                    "another puller reads {}; this one waits and takes over when it ends",
                    self.settings.table
                );
                told = true;
            }
            tokio::time::sleep(LOCK_EVERY).await;
        }
    }

    /// A fault of a statement made from the settings.
    fn named(&self, error: &tokio_postgres::Error) -> SourceError {
        let text = detail(error);
        match error.code() {
            Some(&SqlState::UNDEFINED_TABLE) => SourceError::Wrong(format!(
                "postgres-outbox.table: {text}; name it with its schema, such as shop.outbox"
            )),
            Some(&SqlState::UNDEFINED_COLUMN) => SourceError::Wrong(format!(
                "postgres-outbox: {text}; id, payload, written_at and mark name columns of {}",
                self.settings.table
            )),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                let right = if self.settings.mark.is_some() { "UPDATE" } else { "DELETE" };
                SourceError::Wrong(format!("{text}; grant SELECT and {right} on {}", self.settings.table))
            }
            Some(&(SqlState::CANNOT_COERCE | SqlState::DATATYPE_MISMATCH | SqlState::SYNTAX_ERROR)) => {
                SourceError::Wrong(format!("postgres-outbox: {text}"))
            }
            _ => SourceError::Away(text),
        }
    }

    fn record(&self, row: &Row) -> Result<(i64, Record), SourceError> {
        let id: i64 = row.try_get(0).map_err(away)?;
        let at: Option<i64> = row.try_get(1).map_err(away)?;
        let text: Option<String> = row.try_get(2).map_err(away)?;
        let record = Record {
            id: format!("{}/{id}", self.settings.table),
            at: at.map(Timestamp),
            change: Change::New,
            content: Content::Text(text.unwrap_or_default().into_bytes()),
        };
        Ok((id, record))
    }

    async fn read(&mut self) -> Result<Next<Vec<i64>>, SourceError> {
        self.open().await?;
        let limit = i64::try_from(self.batch.records).unwrap_or(i64::MAX);
        let Some(connection) = &self.connection else { return Ok(Next::Idle) };
        let parameters: [&(dyn ToSql + Sync); 2] = [&connection.cursor, &limit];
        let found = within(ANSWER_TIMEOUT, connection.client.query(&connection.select, &parameters)).await?;
        let rows = found.map_err(|error| self.named(&error))?;
        let mut records = Vec::with_capacity(rows.len());
        let mut mark = Vec::with_capacity(rows.len());
        for row in &rows {
            let (id, record) = self.record(row)?;
            mark.push(id);
            records.push(record);
        }
        let Some(connection) = &mut self.connection else { return Ok(Next::Idle) };
        if let Some(last) = mark.last() {
            connection.cursor = *last;
            connection.open += 1;
            return Ok(Next::Batch(Batch { records, mark }));
        }
        if connection.open > 0 {
            // Rows under way are still there, so reading from the start must wait for them.
            return Ok(Next::Idle);
        }
        if connection.cursor != i64::MIN {
            connection.cursor = i64::MIN;
            return Ok(Next::Idle);
        }
        if !self.once {
            tokio::time::sleep(Duration::from_millis(self.batch.wait_ms)).await;
        }
        Ok(if self.once { Next::End } else { Next::Idle })
    }
}

impl Source for Outbox {
    type Mark = Vec<i64>;

    async fn next(&mut self) -> Result<Next<Self::Mark>, SourceError> {
        let next = self.read().await;
        if next.is_err() {
            self.connection = None;
        }
        next
    }

    async fn acknowledge(&mut self, mark: Self::Mark) -> Result<(), SourceError> {
        let Some(connection) = &mut self.connection else {
            return Err(SourceError::Away("the connection was lost meanwhile".to_owned()));
        };
        connection.open = connection.open.saturating_sub(1);
        let parameters: [&(dyn ToSql + Sync); 1] = [&mark];
        let done = within(ANSWER_TIMEOUT, connection.client.execute(&connection.settle, &parameters)).await;
        let done = done.and_then(|done| done.map(drop).map_err(|error| self.named(&error)));
        if done.is_err() {
            self.connection = None;
        }
        done
    }

    async fn behind(&mut self) -> Option<u64> {
        let connection = self.connection.as_ref()?;
        let row = connection.client.query_one(&connection.count, &[]).await.ok()?;
        row.try_get::<_, i64>(0).ok().and_then(|count| u64::try_from(count).ok())
    }
}

/// Result of the work, or the fact that the database does not answer in time.
async fn within<T>(time: Duration, awaited: impl Future<Output = T>) -> Result<T, SourceError> {
    let answered = tokio::time::timeout(time, awaited).await;
    answered.map_err(|_| SourceError::Away(format!("PostgreSQL does not answer within {} s", time.as_secs())))
}

/// Statements with the names of the settings.
struct Statements {
    select: String,
    settle: String,
    count: String,
}

impl Statements {
    fn of(settings: &OutboxSettings) -> Self {
        let table = settings.table.split('.').map(quote).collect::<Vec<_>>().join(".");
        let id = quote(&settings.id);
        let payload = settings
            .payload
            .as_ref()
            .map_or("to_jsonb(t)".to_owned(), |column| format!("t.{}", quote(column)));
        let written = settings.written_at.as_ref().map_or("NULL::bigint".to_owned(), |column| {
            format!("(extract(epoch FROM t.{}::timestamptz) * 1000000)::bigint", quote(column))
        });
        let open = settings.mark.as_ref().map(|mark| format!("t.{} IS NULL", quote(mark)));
        let and = open.as_ref().map(|open| format!(" AND {open}")).unwrap_or_default();
        let only = open.map(|open| format!(" WHERE {open}")).unwrap_or_default();
        let settle = match &settings.mark {
            Some(mark) => {
                format!("UPDATE {table} SET {} = now() WHERE {id} = ANY($1::bigint[])", quote(mark))
            }
            None => format!("DELETE FROM {table} WHERE {id} = ANY($1::bigint[])"),
        };
        Self {
            select: format!(
                "SELECT t.{id}::bigint, {written}, {payload}::text FROM {table} t WHERE t.{id} > $1::bigint{and} \
                 ORDER BY t.{id} LIMIT $2::bigint"
            ),
            settle,
            // Counting a large table would cost more than it tells.
            count: format!("SELECT count(*) FROM (SELECT 1 FROM {table} t{only} LIMIT 100000) waiting"),
        }
    }
}

/// A name of SQL.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn away(error: tokio_postgres::Error) -> SourceError {
    let text = detail(&error);
    match error.code() {
        Some(
            &(SqlState::INVALID_PASSWORD
            | SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            | SqlState::INVALID_CATALOG_NAME),
        ) => SourceError::Wrong(format!("postgres-outbox.url: {text}")),
        _ => SourceError::Away(format!("PostgreSQL: {text}")),
    }
}

/// The server's own message, or the chain of causes.
fn detail(error: &tokio_postgres::Error) -> String {
    use std::error::Error;
    if let Some(database) = error.as_db_error() {
        return database.message().to_owned();
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_database_that_does_not_answer_is_away() {
        let short = Duration::from_millis(1);
        let error = within(short, std::future::pending::<()>()).await.unwrap_err();
        assert!(matches!(error, SourceError::Away(_)));
        assert_eq!(within(Duration::from_secs(60), async { 7 }).await, Ok(7));
    }

    #[test]
    fn names_are_quoted_and_parts_left_out() {
        let settings = OutboxSettings {
            url: String::new(),
            table: "shop.out\"box".to_owned(),
            id: "id".to_owned(),
            payload: Some("body".to_owned()),
            written_at: None,
            mark: Some("sent_at".to_owned()),
        };
        let statements = Statements::of(&settings);
        assert_eq!(
            statements.settle,
            "UPDATE \"shop\".\"out\"\"box\" SET \"sent_at\" = now() WHERE \"id\" = ANY($1::bigint[])"
        );
        assert!(
            statements.select.contains("t.\"body\"::text FROM \"shop\".\"out\"\"box\" t WHERE t.\"id\" > $1")
        );
        let plain = Statements::of(&OutboxSettings { payload: None, mark: None, ..settings });
        assert!(plain.select.contains("to_jsonb(t)::text") && plain.settle.starts_with("DELETE FROM"));
    }
}
