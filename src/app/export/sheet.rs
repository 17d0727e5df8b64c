//! Rows of an export on their way into a file.

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::Context;

use super::destination::Destination;
use super::encode;
use super::format::FileFormat;
#[cfg(feature = "parquet")]
use super::parquet_rows::ParquetSheet;
use super::progress::Progress;
use tidings_store::export::{Column, Receiver, Row};

/// Rows and bytes of a finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows without the header.
    pub rows: u64,
    /// Bytes, compressed as they are.
    pub bytes: u64,
}

enum Form {
    Csv(Box<csv::Writer<Destination>>),
    Ndjson(Destination),
    #[cfg(feature = "parquet")]
    Parquet(ParquetSheet),
}

/// Writes rows in one form.
pub struct Sheet {
    form: Form,
    columns: Vec<Column>,
    progress: Progress,
    rows: u64,
    /// Room for one row, kept.
    buffer: Vec<u8>,
    failed: Option<anyhow::Error>,
}

impl Sheet {
    /// Without a row.
    pub fn new(destination: Destination, format: FileFormat, progress: Progress) -> Self {
        let form = match format {
            FileFormat::Csv => Form::Csv(Box::new(csv::Writer::from_writer(destination))),
            FileFormat::Ndjson => Form::Ndjson(destination),
            #[cfg(feature = "parquet")]
            FileFormat::Parquet => Form::Parquet(ParquetSheet::Waiting(Some(destination))),
        };
        Self { form, columns: Vec::new(), progress, rows: 0, buffer: Vec::new(), failed: None }
    }

    /// Ends the file; the error that stopped the export if there was one.
    pub fn finish(mut self) -> anyhow::Result<Written> {
        self.progress.finish();
        let context = || format!("the export ended after {} rows", self.rows);
        if let Some(error) = self.failed {
            return Err(error.context(context()));
        }
        let destination = match self.form {
            Form::Csv(writer) => {
                (*writer).into_inner().map_err(|error| error.into_error()).with_context(context)?
            }
            Form::Ndjson(destination) => destination,
            #[cfg(feature = "parquet")]
            Form::Parquet(sheet) => sheet.finish().with_context(context)?,
        };
        Ok(Written { rows: self.rows, bytes: destination.finish().with_context(context)? })
    }

    fn write_header(&mut self) -> anyhow::Result<()> {
        match &mut self.form {
            Form::Csv(writer) => writer.write_record(self.columns.iter().map(|column| &column.name))?,
            Form::Ndjson(_) => {}
            #[cfg(feature = "parquet")]
            Form::Parquet(sheet) => sheet.begin(&self.columns)?,
        }
        Ok(())
    }

    fn write_row(&mut self, row: &Row) -> anyhow::Result<()> {
        match &mut self.form {
            Form::Csv(writer) => {
                for (place, column) in self.columns.iter().enumerate() {
                    self.buffer.clear();
                    encode::cell(column.holds, row.get(place), &mut self.buffer)?;
                    writer.write_field(&self.buffer)?;
                }
                writer.write_record(None::<&[u8]>)?;
            }
            Form::Ndjson(destination) => {
                self.buffer.clear();
                for (place, column) in self.columns.iter().enumerate() {
                    let before = if place == 0 { "{" } else { "," };
                    write!(self.buffer, "{before}\"{}\":", column.name)?;
                    encode::json(column.holds, row.get(place), &mut self.buffer)?;
                }
                self.buffer.extend_from_slice(b"}\n");
                destination.write_all(&self.buffer)?;
            }
            #[cfg(feature = "parquet")]
            Form::Parquet(sheet) => sheet.push(row)?,
        }
        Ok(())
    }

    fn note(&mut self, outcome: anyhow::Result<()>) -> ControlFlow<()> {
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl Receiver for Sheet {
    fn columns(&mut self, columns: &[Column]) -> ControlFlow<()> {
        self.columns = columns.to_vec();
        let outcome = self.write_header();
        self.note(outcome)
    }

    fn row(&mut self, row: &Row) -> ControlFlow<()> {
        let outcome = self.write_row(row);
        self.rows += u64::from(outcome.is_ok());
        self.progress.rows(self.rows);
        self.note(outcome)
    }
}
