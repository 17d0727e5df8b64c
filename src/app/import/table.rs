//! Rows of a delimited file with 1-based line numbers, looked up by header name.

use csv::ByteRecord;

use super::input::{LineFeeds, Source, text};
use crate::intake::fields::squeeze;

/// A delimited file whose first record is its header.
pub struct Table {
    reader: csv::Reader<LineFeeds>,
    delimiter: u8,
    header: Vec<String>,
    record: ByteRecord,
    /// Fields of the record at hand, as text.
    row: Vec<String>,
}

impl Table {
    /// Reads the header; an empty file has an empty one. Quotes as RFC 4180; rows may differ in length.
    pub fn open(source: Source, delimiter: u8) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(LineFeeds::new(source));
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record)?;
        let header =
            record.iter().map(|name| text(name).trim_start_matches('\u{feff}').trim().to_owned()).collect();
        Ok(Self { reader, delimiter, header, record, row: Vec::new() })
    }

    /// The header as written.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The column with one of these names; case, blanks and punctuation don't matter. Names in order of preference.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.header.iter().position(|column| squeeze(column) == squeeze(name)))
    }

    /// Moves to the next row and returns its line; `None` at the end.
    pub fn next_row(&mut self) -> anyhow::Result<Option<u64>> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        // The record's own position is that of blank lines before it.
        let inner = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let line = self.reader.position().line().saturating_sub(1 + inner);
        self.row.resize(self.record.len(), String::new());
        for (to, from) in self.row.iter_mut().zip(&self.record) {
            to.clear();
            match std::str::from_utf8(from) {
                Ok(valid) => to.push_str(valid),
                Err(_) => to.push_str(&text(from)),
            }
        }
        Ok(Some(line))
    }

    /// A field of the row at hand; empty when the row is too short.
    pub fn field(&self, column: usize) -> &str {
        self.row.get(column).map_or("", String::as_str)
    }

    /// Number of fields of the row at hand.
    pub fn n_fields(&self) -> usize {
        self.row.len()
    }

    /// The row at hand, written as it would be in the file.
    pub fn raw(&self) -> String {
        let mut writer = csv::WriterBuilder::new().delimiter(self.delimiter).from_writer(Vec::new());
        let written = writer.write_byte_record(&self.record).is_ok();
        match writer.into_inner() {
            Ok(bytes) if written => text(bytes.trim_ascii_end()),
            _ => self.row.join(","),
        }
    }
}

#[cfg(test)]
pub fn source(text: &str) -> Source {
    Box::new(std::io::Cursor::new(text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u64, String)> {
        let mut table = Table::open(source(text), b',').unwrap();
        let mut lines = Vec::new();
        while let Some(line) = table.next_row().unwrap() {
            lines.push((line, table.field(0).to_owned()));
        }
        lines
    }

    #[test]
    fn lines_are_those_an_editor_shows() {
        let expected = [(2, "x".to_owned()), (3, "y\nz".to_owned()), (5, "w".to_owned())];
        assert_eq!(lines("a,b\nx,1\n\"y\nz\",2\nw,3\n"), expected);
        let expected = [(2, "x".to_owned()), (3, "y\nz".to_owned()), (5, "w".to_owned())];
        assert_eq!(lines("a,b\r\nx,1\r\n\"y\r\nz\",2\r\nw,3\r\n"), expected);
        assert_eq!(lines("a,b\n\nx,1\n"), [(3, "x".to_owned())]);
        assert_eq!(lines("a,b\r\n\r\nx,1\r\n"), [(3, "x".to_owned())]);
    }

    #[test]
    fn header_names_are_forgiving_and_a_mark_at_the_start_is_none_of_them() {
        let table = Table::open(source("\u{feff}Invoice No,Customer_ID\n"), b',').unwrap();
        assert_eq!(table.column(&["invoiceno"]), Some(0));
        assert_eq!(table.column(&["customer", "CustomerID"]), Some(1));
        assert_eq!(table.column(&["country"]), None);
    }

    #[test]
    fn the_raw_row_is_quoted_again_where_it_must_be() {
        let mut table = Table::open(source("a,b\n\"x, y\",\"say \"\"hi\"\"\"\n"), b',').unwrap();
        table.next_row().unwrap();
        assert_eq!(table.raw(), "\"x, y\",\"say \"\"hi\"\"\"");
        assert_eq!(table.field(7), "");
    }
}
