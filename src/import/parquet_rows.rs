//! Rows of a Parquet file, as CSV or, where the layout is of JSON records, as one JSON object a line. Timestamps are RFC 3339 in
//! UTC, as the file means them; lists and groups in a CSV field are JSON.

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::date;
use parquet::file::reader::{ChunkReader, FileReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};

use super::produced::{Output, Shape};

/// Writes all rows of a file.
pub fn write<R: ChunkReader + 'static>(file: R, shape: Shape, output: &mut Output) -> anyhow::Result<()> {
    let reader =
        SerializedFileReader::new(file).context("the Parquet file can't be read, it may be cut off")?;
    let columns: Vec<String> = reader
        .metadata()
        .file_metadata()
        .schema()
        .get_fields()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    if shape == Shape::Table {
        output.header(&columns)?;
    }
    for row in RowIter::from_file_into(Box::new(reader)) {
        let row = row.context(
            "the Parquet file can't be read on; where its compression is not one of snappy, gzip, zstd and lz4, write it with snappy",
        )?;
        match shape {
            Shape::Table => {
                let texts = row.get_column_iter().enumerate().map(|(column, (_, field))| match field {
                    Field::Float(_) | Field::Double(_) | Field::Float16(_) | Field::Decimal(_) => {
                        output.number(column, text(field))
                    }
                    field => text(field),
                });
                let texts: Vec<String> = texts.collect();
                output.row(texts)?;
            }
            Shape::Records => output.line(&object(&row).to_string())?,
        }
    }
    Ok(())
}

fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        // As the shortest text that is the same number, never in powers of ten.
        Field::Float(number) => number.to_string(),
        Field::Double(number) => number.to_string(),
        Field::Float16(_) | Field::Decimal(_) => field.to_string(),
        field => match value(field) {
            Value::String(text) => text,
            value => value.to_string(),
        },
    }
}

fn object(row: &Row) -> Value {
    let fields = row.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value(field: &Field) -> Value {
    let moment = |moment: Result<Timestamp, jiff::Error>| {
        moment.map_or(Value::Null, |moment| Value::String(moment.to_string()))
    };
    match field {
        Field::Null => Value::Null,
        Field::Bool(flag) => Value::Bool(*flag),
        Field::Byte(number) => Value::from(*number),
        Field::Short(number) => Value::from(*number),
        Field::Int(number) => Value::from(*number),
        Field::Long(number) => Value::from(*number),
        Field::UByte(number) => Value::from(*number),
        Field::UShort(number) => Value::from(*number),
        Field::UInt(number) => Value::from(*number),
        Field::ULong(number) => Value::from(*number),
        Field::Float(number) => float(number.to_string().parse().unwrap_or(f64::from(*number))),
        Field::Double(number) => float(*number),
        Field::Str(text) => Value::String(text.clone()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Value::String(text.to_owned()),
            Err(_) => Value::Null,
        },
        Field::Date(days) => date(1970, 1, 1)
            .checked_add(jiff::Span::new().days(*days))
            .map_or(Value::Null, |day| Value::String(day.to_string())),
        Field::TimestampMillis(millis) => moment(Timestamp::from_millisecond(*millis)),
        Field::TimestampMicros(micros) => moment(Timestamp::from_microsecond(*micros)),
        // As the format writes them; a number all the same.
        Field::Float16(_) | Field::Decimal(_) => {
            let text = field.to_string();
            serde_json::from_str(&text).map_or(Value::String(text), Value::Number)
        }
        // Times of day, as the format writes them.
        Field::TimeMillis(_) | Field::TimeMicros(_) => Value::String(field.to_string()),
        Field::Group(row) => object(row),
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect()),
        Field::MapInternal(map) => {
            let entries = map.entries().iter().map(|(key, field)| (text(key), value(field)));
            Value::Object(entries.collect())
        }
    }
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
