//! The rows that are there already: read in one transaction whose place in the log is known, so that the log goes on where it ends.

use std::collections::{HashMap, VecDeque};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use super::columns::Table;
use super::connection::{away, connect};
use super::position::{self, Place};
use crate::source::{Change, Content, Record, SourceError};

/// Reads tables one after another, upwards by primary key.
pub struct Snapshot {
    conn: Conn,
    place: Place,
    tables: HashMap<String, Table>,
    waiting: VecDeque<String>,
    /// Primary key of the row read last.
    last: Vec<Value>,
    stamp: i64,
    rows: usize,
}

impl Snapshot {
    /// Begins the transaction. The tables are locked against writing for the moment in which the place is read: a transaction
    /// that has written to them ends before, one that will comes after the place.
    pub async fn begin(
        mut locker: Conn,
        url: &str,
        tables: HashMap<String, Table>,
        stamp: i64,
        rows: usize,
    ) -> Result<Self, SourceError> {
        if let Some((name, _)) = tables.iter().find(|(_, table)| table.key.is_empty()) {
            return Err(SourceError::Wrong(format!(
                "table {name} has no primary key, so its rows have no names: give it one, or set mysql-binlog.snapshot = false"
            )));
        }
        let mut conn = connect(url).await?;
        conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.map_err(away)?;
        let mut names: Vec<String> = tables.keys().cloned().collect();
        names.sort();
        let locks: Vec<String> = names.iter().map(|name| format!("{} READ", quote(name))).collect();
        locker.query_drop(format!("LOCK TABLES {}", locks.join(", "))).await.map_err(away)?;
        conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await.map_err(away)?;
        let place = position::present(&mut locker).await?;
        locker.query_drop("UNLOCK TABLES").await.map_err(away)?;
        log::info!("reading what is in {} at {place}", names.join(", "));
        Ok(Self { conn, place, tables, waiting: names.into(), last: Vec::new(), stamp, rows })
    }

    /// Place from which the log goes on.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The columns, for the log.
    pub fn take_tables(&mut self) -> HashMap<String, Table> {
        std::mem::take(&mut self.tables)
    }

    /// The next rows; `None` behind the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Record>>, SourceError> {
        while let Some(name) = self.waiting.front().cloned() {
            let Some(table) = self.tables.get(&name) else { return Ok(None) };
            let query = select(&name, table, !self.last.is_empty(), self.rows);
            // Prepared statements give typed keys, which go into the next query as they are.
            let rows: Vec<Row> = self.conn.exec(query, self.last.clone()).await.map_err(away)?;
            let Some(last) = rows.last() else {
                self.waiting.pop_front();
                self.last.clear();
                continue;
            };
            self.last = key(table, last);
            let records = rows.into_iter().map(|row| record(&name, table, row, self.stamp)).collect();
            return Ok(Some(records));
        }
        Ok(None)
    }
}

fn select(name: &str, table: &Table, goes_on: bool, rows: usize) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let key = table.key.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
    let behind = if goes_on {
        let marks = vec!["?"; table.key.len()].join(", ");
        format!(" WHERE ({key}) > ({marks})")
    } else {
        String::new()
    };
    format!("SELECT {} FROM {}{behind} ORDER BY {key} LIMIT {rows}", columns.join(", "), quote(name))
}

fn key(table: &Table, row: &Row) -> Vec<Value> {
    let place = |name: &String| table.columns.iter().position(|column| column.name == *name);
    table.key.iter().filter_map(|name| row.as_ref(place(name)?).cloned()).collect()
}

fn record(name: &str, table: &Table, row: Row, stamp: i64) -> Record {
    let key: Vec<String> = key(table, &row).iter().map(|value| value.as_sql(true)).collect();
    let values = row.unwrap();
    let content = match table.object(values.iter().cloned()) {
        Ok(object) => Content::Fields(object),
        Err(reason) => Content::Unreadable { reason, raw: table.raw(values.iter().map(Some)) },
    };
    Record {
        id: format!("{name}/snapshot-{stamp}/{}", key.join(",")),
        at: None,
        change: Change::New,
        content,
    }
}

/// A name of MySQL.
fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_upwards_by_the_whole_key() {
        let table = Table { columns: Vec::new(), key: vec!["a".to_owned(), "b`c".to_owned()] };
        let query = select("t", &table, true, 10);
        assert!(
            query.ends_with("FROM `t` WHERE (`a`, `b``c`) > (?, ?) ORDER BY `a`, `b``c` LIMIT 10"),
            "{query}"
        );
        assert!(!select("t", &table, false, 10).contains("WHERE"));
    }
}
