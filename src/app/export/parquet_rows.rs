//! Rows as Parquet: a typed column each, in groups of rows, so that memory holds one group. Ids and lists are text, lists as JSON.

use std::sync::Arc;

use anyhow::{Context, bail};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::destination::Destination;
use super::encode;
use tidings_core::base::Timestamp;
use tidings_store::export::{Column, Holds, Row};

/// A group of rows is written when it has this many, or texts of this many bytes.
const GROUP_ROWS: usize = 50_000;
const GROUP_BYTES: usize = 32 << 20;

/// Values of one column that are there, of one group.
enum Values {
    Text(Vec<ByteArray>),
    Integer(Vec<i64>),
    Real(Vec<f32>),
    Double(Vec<f64>),
    Boolean(Vec<bool>),
}

/// One column of a group: values, and for each row whether there is one.
struct Pending {
    holds: Holds,
    values: Values,
    levels: Vec<i16>,
}

/// An open file.
pub struct ParquetRows {
    writer: SerializedFileWriter<Destination>,
    columns: Vec<Pending>,
    rows: usize,
    bytes: usize,
    /// Room for one value, kept.
    buffer: Vec<u8>,
}

/// A file that begins when its columns are known.
pub enum ParquetSheet {
    /// Nothing written yet; `None` once it was taken.
    Waiting(Option<Destination>),
    /// With a header.
    Open(Box<ParquetRows>),
}

impl ParquetSheet {
    /// Begins the file.
    pub fn begin(&mut self, columns: &[Column]) -> anyhow::Result<()> {
        if let Self::Waiting(destination) = self {
            let destination = destination.take().context("the file was begun before")?;
            *self = Self::Open(Box::new(ParquetRows::new(destination, columns)?));
        }
        Ok(())
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row) -> anyhow::Result<()> {
        match self {
            Self::Waiting(_) => bail!("a row before the columns"),
            Self::Open(rows) => rows.push(row),
        }
    }

    /// Ends the file.
    pub fn finish(self) -> anyhow::Result<Destination> {
        match self {
            Self::Waiting(destination) => destination.context("the file was not begun"),
            Self::Open(rows) => rows.finish(),
        }
    }
}

/// Declaration of a column in Parquet's own language.
fn declared(column: &Column) -> String {
    let name = &column.name;
    match column.holds {
        Holds::Id | Holds::Text => format!("optional binary {name} (UTF8);"),
        Holds::Ids | Holds::Json => format!("optional binary {name} (JSON);"),
        Holds::Integer => format!("optional int64 {name};"),
        Holds::Real => format!("optional float {name};"),
        Holds::Double => format!("optional double {name};"),
        Holds::Boolean => format!("optional boolean {name};"),
        Holds::Time => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
    }
}

impl Pending {
    fn new(holds: Holds) -> Self {
        let values = match holds {
            Holds::Id | Holds::Ids | Holds::Text | Holds::Json => Values::Text(Vec::new()),
            Holds::Integer | Holds::Time => Values::Integer(Vec::new()),
            Holds::Real => Values::Real(Vec::new()),
            Holds::Double => Values::Double(Vec::new()),
            Holds::Boolean => Values::Boolean(Vec::new()),
        };
        Self { holds, values, levels: Vec::new() }
    }

    /// Adds a field; returns the bytes of its text.
    fn push(&mut self, field: Option<&str>, buffer: &mut Vec<u8>) -> anyhow::Result<usize> {
        self.levels.push(i16::from(field.is_some()));
        let Some(text) = field else { return Ok(0) };
        match (&mut self.values, self.holds) {
            (Values::Text(values), holds) => {
                buffer.clear();
                encode::cell(holds, Some(text), buffer)?;
                values.push(ByteArray::from(buffer.clone()));
                return Ok(buffer.len());
            }
            (Values::Integer(values), Holds::Time) => {
                let at = Timestamp::parse(&encode::time(text)).with_context(|| format!("no time: {text}"))?;
                values.push(at.0);
            }
            (Values::Integer(values), _) => values.push(text.parse()?),
            (Values::Real(values), _) => values.push(text.parse()?),
            (Values::Double(values), _) => values.push(text.parse()?),
            (Values::Boolean(values), _) => values.push(text == "t"),
        }
        Ok(0)
    }

    fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> anyhow::Result<()> {
        let levels = Some(self.levels.as_slice());
        match &self.values {
            Values::Text(values) => writer.typed::<ByteArrayType>().write_batch(values, levels, None),
            Values::Integer(values) => writer.typed::<Int64Type>().write_batch(values, levels, None),
            Values::Real(values) => writer.typed::<FloatType>().write_batch(values, levels, None),
            Values::Double(values) => writer.typed::<DoubleType>().write_batch(values, levels, None),
            Values::Boolean(values) => writer.typed::<BoolType>().write_batch(values, levels, None),
        }?;
        writer.close()?;
        *self = Self::new(self.holds);
        Ok(())
    }
}

impl ParquetRows {
    /// A file with these columns and no rows.
    fn new(destination: Destination, columns: &[Column]) -> anyhow::Result<Self> {
        let declared: Vec<String> = columns.iter().map(declared).collect();
        let schema = parse_message_type(&format!("message tidings {{ {} }}", declared.join(" ")))?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let writer = SerializedFileWriter::new(destination, Arc::new(schema), Arc::new(properties))?;
        let columns = columns.iter().map(|column| Pending::new(column.holds)).collect();
        Ok(Self { writer, columns, rows: 0, bytes: 0, buffer: Vec::new() })
    }

    /// Adds a row.
    fn push(&mut self, row: &Row) -> anyhow::Result<()> {
        for (place, column) in self.columns.iter_mut().enumerate() {
            self.bytes += column.push(row.get(place), &mut self.buffer)?;
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.write_group() } else { Ok(()) }
    }

    /// Writes what is left, and the footer.
    fn finish(mut self) -> anyhow::Result<Destination> {
        if self.rows > 0 {
            self.write_group()?;
        }
        Ok(self.writer.into_inner()?)
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let writer = group.next_column()?.context("a column less than declared")?;
            column.write(writer)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}
