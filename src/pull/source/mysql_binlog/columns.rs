//! Columns of tables, and their values as JSON: from the log, where they are bare, and from a query.

use std::collections::{BTreeMap, HashMap};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use serde_json::{Map, Value as Json};
use tidings_core::base::{Timestamp, nearest};

use super::connection::away;
use crate::source::{SourceError, raw_bytes};

/// Origin of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The log: numbers without a sign, members by number, text in the column's character set, timestamps in seconds.
    Log,
    /// A query: text in UTF-8.
    Query,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Type without length, lower case, such as `bigint`.
    data_type: String,
    unsigned: bool,
    /// Members of an `enum` or a `set`.
    members: Vec<String>,
    charset: Option<String>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// In their order.
    pub columns: Vec<Column>,
    /// Names of the columns of the primary key, in its order.
    pub key: Vec<String>,
}

/// Columns of these tables of the connection's database; one that is not there is an error.
pub async fn read(conn: &mut Conn, names: &[String]) -> Result<HashMap<String, Table>, SourceError> {
    type Row = (String, String, String, String, Option<String>);
    let rows: Vec<Row> = conn
        .query(
            "SELECT table_name, column_name, data_type, column_type, character_set_name FROM information_schema.columns \
             WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
        )
        .await
        .map_err(away)?;
    let mut all: BTreeMap<String, Table> = BTreeMap::new();
    for (table, name, data_type, column_type, charset) in rows {
        all.entry(table).or_default().columns.push(Column::new(name, &data_type, &column_type, charset));
    }
    let keys: Vec<(String, String)> = conn
        .query(
            "SELECT table_name, column_name FROM information_schema.statistics \
             WHERE table_schema = DATABASE() AND index_name = 'PRIMARY' ORDER BY table_name, seq_in_index",
        )
        .await
        .map_err(away)?;
    for (table, column) in keys {
        if let Some(table) = all.get_mut(&table) {
            table.key.push(column);
        }
    }
    let mut found = HashMap::new();
    for name in names {
        let Some(table) = all.get(name) else {
            let there: Vec<&str> = all.keys().map(String::as_str).collect();
            let near = nearest(name, there.iter().copied()).map(|near| format!(", did you mean {near}?"));
            return Err(SourceError::Wrong(format!(
                "mysql-binlog.tables: there is no table {name}{}; there are {}",
                near.unwrap_or_default(),
                there.join(", ")
            )));
        };
        found.insert(name.clone(), table.clone());
    }
    Ok(found)
}

impl Table {
    /// A row of a query as an object.
    pub fn object(&self, values: impl IntoIterator<Item = Value>) -> Result<Map<String, Json>, String> {
        let mut object = Map::new();
        for (column, value) in self.columns.iter().zip(values) {
            object.insert(column.name.clone(), column.json(value, Origin::Query)?);
        }
        Ok(object)
    }

    /// Values of a row as they are, by column, for the rejects.
    pub fn raw<'a>(&self, values: impl IntoIterator<Item = Option<&'a Value>>) -> Json {
        let raw = |value: Option<&Value>| match value {
            None | Some(Value::NULL) => Json::Null,
            Some(Value::Bytes(bytes)) => raw_bytes(bytes),
            Some(other) => Json::from(other.as_sql(true).trim_matches('\'')),
        };
        let named = self.columns.iter().zip(values).map(|(column, value)| (column.name.clone(), raw(value)));
        Json::Object(named.collect())
    }
}

impl Column {
    fn new(name: String, data_type: &str, column_type: &str, charset: Option<String>) -> Self {
        let data_type = data_type.to_lowercase();
        let members = if matches!(&*data_type, "enum" | "set") { members(column_type) } else { Vec::new() };
        Self { name, unsigned: column_type.to_lowercase().contains("unsigned"), data_type, members, charset }
    }

    /// The value as JSON; zero dates are null.
    pub fn json(&self, value: Value, origin: Origin) -> Result<Json, String> {
        Ok(match value {
            Value::NULL => Json::Null,
            Value::Int(number) => self.integer(number),
            Value::UInt(number) => Json::from(number),
            Value::Float(number) => Json::from(number),
            Value::Double(number) => Json::from(number),
            Value::Date(0, ..) => Json::Null,
            Value::Date(year, month, day, hour, minute, second, micros) => {
                let date = format!("{year:04}-{month:02}-{day:02}");
                match &*self.data_type {
                    "date" => Json::from(date),
                    // Of a connection whose times are UTC.
                    "timestamp" => {
                        Json::from(format!("{date}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"))
                    }
                    _ if micros == 0 => Json::from(format!("{date} {hour:02}:{minute:02}:{second:02}")),
                    _ => Json::from(format!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}")),
                }
            }
            Value::Time(negative, days, hours, minutes, seconds, _) => {
                let sign = if negative { "-" } else { "" };
                let hours = u64::from(days) * 24 + u64::from(hours);
                Json::from(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"))
            }
            Value::Bytes(bytes) => self.bytes(bytes, origin)?,
        })
    }

    /// In the log every integer is signed, unless the log says more than it has to.
    fn integer(&self, number: i64) -> Json {
        if self.data_type == "enum" {
            let member = usize::try_from(number - 1).ok().and_then(|index| self.members.get(index));
            return member.map_or(Json::Null, |member| Json::from(member.as_str()));
        }
        if self.data_type == "timestamp" {
            return moment(number, 0);
        }
        if !self.unsigned || number >= 0 {
            return Json::from(number);
        }
        match &*self.data_type {
            "tinyint" => Json::from(number + (1 << 8)),
            "smallint" => Json::from(number + (1 << 16)),
            "mediumint" => Json::from(number + (1 << 24)),
            "int" => Json::from(number + (1 << 32)),
            _ => Json::from(number as u64),
        }
    }

    fn bytes(&self, bytes: Vec<u8>, origin: Origin) -> Result<Json, String> {
        let data_type = &*self.data_type;
        if data_type == "bit" {
            return Ok(Json::from(number(&bytes)));
        }
        if origin == Origin::Log && data_type == "set" {
            let chosen = bytes.iter().rev().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
            let names = self.members.iter().enumerate().filter(|(bit, _)| chosen >> bit & 1 == 1);
            return Ok(Json::from(names.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(",")));
        }
        let text = if origin == Origin::Log { self.decode(bytes)? } else { utf8(&self.name, bytes)? };
        if data_type == "timestamp" {
            return Ok(timestamp(&text));
        }
        if matches!(data_type, "date" | "datetime") && text.starts_with("0000-00-00") {
            return Ok(Json::Null);
        }
        Ok(Json::from(text))
    }

    /// Text of the log, in the column's character set.
    fn decode(&self, bytes: Vec<u8>) -> Result<String, String> {
        match self.charset.as_deref() {
            Some("latin1") => Ok(bytes.into_iter().map(windows_1252).collect()),
            None | Some("utf8" | "utf8mb3" | "utf8mb4" | "ascii" | "binary") => utf8(&self.name, bytes),
            Some(other) if bytes.is_ascii() && !other.starts_with("ucs") && !other.starts_with("utf") => {
                utf8(&self.name, bytes)
            }
            Some(other) => Err(format!(
                "column {} has the character set {other}, which the log is not read in; convert the table to utf8mb4",
                self.name
            )),
        }
    }
}

fn utf8(name: &str, bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| format!("column {name} holds bytes that are no text"))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// RFC 3339.
fn moment(seconds: i64, micros: i64) -> Json {
    if seconds == 0 && micros == 0 {
        return Json::Null;
    }
    Json::from(Timestamp(seconds * 1_000_000 + micros).to_string())
}

/// Seconds and their fraction.
fn timestamp(text: &str) -> Json {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let micros = format!("{fraction:0<6}").parse().unwrap_or(0);
    seconds.parse().map_or(Json::Null, |seconds| moment(seconds, micros))
}

/// Decodes a byte of the character set that MySQL calls latin1.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH.get(usize::from(byte - 0x80)).copied().unwrap_or('\u{fffd}'),
        other => char::from(other),
    }
}

/// Members of `enum('a','b''c')`.
fn members(column_type: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut rest = column_type.split_once('(').map_or("", |(_, rest)| rest);
    while let Some((_, after)) = rest.split_once('\'') {
        let mut member = String::new();
        rest = after;
        while let Some((piece, after)) = rest.split_once('\'') {
            member.push_str(piece);
            rest = after;
            match after.strip_prefix('\'') {
                Some(after) => {
                    member.push('\'');
                    rest = after;
                }
                None => break,
            }
        }
        members.push(member);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data_type: &str, column_type: &str, charset: Option<&str>) -> Column {
        Column::new("c".to_owned(), data_type, column_type, charset.map(str::to_owned))
    }

    #[test]
    fn values_of_the_log_are_what_a_query_gives() {
        let json = |column: &Column, value: Value| column.json(value, Origin::Log).unwrap();
        let unsigned = column("int", "int(10) unsigned", None);
        assert_eq!(json(&unsigned, Value::Int(-1)), Json::from(4_294_967_295_u64));
        assert_eq!(
            json(&column("bigint", "bigint(20) unsigned", None), Value::Int(-1)),
            Json::from(u64::MAX)
        );
        assert_eq!(json(&column("int", "int(11)", None), Value::Int(-1)), Json::from(-1));
        let kinds = column("enum", "enum('view','it''s','buy')", None);
        assert_eq!(json(&kinds, Value::Int(2)), Json::from("it's"));
        let tags = column("set", "set('a','b','c')", None);
        assert_eq!(json(&tags, Value::Bytes(vec![0b101])), Json::from("a,c"));
        let latin = column("varchar", "varchar(9)", Some("latin1"));
        assert_eq!(json(&latin, Value::Bytes(vec![b'5', 0x80, 0xe9])), Json::from("5€é"));
        let at = column("timestamp", "timestamp(6)", None);
        let from_query = at.json(Value::Date(2020, 9, 13, 12, 26, 40, 0), Origin::Query).unwrap();
        assert_eq!(from_query, Json::from("2020-09-13T12:26:40.000000Z"));
        assert_eq!(json(&at, Value::Bytes(b"1600000000".to_vec())), Json::from("2020-09-13T12:26:40Z"));
        let fraction = json(&at, Value::Bytes(b"1600000000.250000".to_vec()));
        assert_eq!(fraction, Json::from("2020-09-13T12:26:40.25Z"));
        let when = column("datetime", "datetime", None);
        assert_eq!(json(&when, Value::Date(2020, 9, 13, 12, 26, 40, 0)), Json::from("2020-09-13 12:26:40"));
        assert_eq!(json(&when, Value::Date(0, 0, 0, 0, 0, 0, 0)), Json::Null);
    }

    #[test]
    fn a_character_set_that_is_not_read_is_named() {
        let error = column("varchar", "varchar(9)", Some("sjis"))
            .json(Value::Bytes(vec![0x82]), Origin::Log)
            .unwrap_err();
        assert!(error.contains("sjis") && error.contains("utf8mb4"), "{error}");
    }
}
