//! Rows of a delimited file with 1-based line numbers, looked up by header name.

use std::io::BufRead;

use csv::ByteRecord;

use super::input::{LineFeeds, Source, text};
use super::quotes::Quotes;
use super::text::printable;
use tidings_intake::fields::squeeze;

/// Meaning of quotation marks in a delimited file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quotation {
    /// They stand around fields, as RFC 4180 has it.
    #[default]
    Marks,
    /// They are ordinary characters.
    None,
}

/// A delimited file whose first record is its header.
pub struct Table {
    reader: csv::Reader<LineFeeds>,
    delimiter: u8,
    header: Vec<String>,
    /// Lines before the header.
    skipped: u64,
    record: ByteRecord,
    /// Fields of the record at hand, as text.
    row: Vec<String>,
    /// Fields so far that were not UTF-8.
    recoded: u64,
}

impl Table {
    /// Reads the header; an empty file has an empty one. Quotes as RFC 4180; rows may differ in length.
    pub fn open(source: Source, delimiter: u8) -> anyhow::Result<Self> {
        Self::with(source, delimiter, Quotation::Marks, 0)
    }

    /// Behind `skipped` lines that were taken off.
    fn with(source: Source, delimiter: u8, quotation: Quotation, skipped: u64) -> anyhow::Result<Self> {
        let is_quoted = quotation == Quotation::Marks;
        let quotes = is_quoted.then(|| Quotes::new(delimiter).behind_lines(skipped));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(is_quoted)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(LineFeeds::new(source, quotes));
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(fault)?;
        let header =
            record.iter().map(|name| text(name).trim_start_matches('\u{feff}').trim().to_owned()).collect();
        Ok(Self { reader, delimiter, header, skipped, record, row: Vec::new(), recoded: 0 })
    }

    /// Opens a file that may begin with a line `sep=;`, as spreadsheets write it, with the stated delimiter, or that of this line,
    /// or else the most frequent of comma, semicolon, tab and bar in the header.
    pub fn detect(mut source: Source, stated: Option<u8>, quotation: Quotation) -> anyhow::Result<Self> {
        let declared = take_declaration(&mut source)?;
        let delimiter = match stated.or(declared) {
            Some(delimiter) => delimiter,
            None => guess_delimiter(&mut source)?,
        };
        Self::with(source, delimiter, quotation, u64::from(declared.is_some()))
    }

    /// The delimiter in words.
    pub fn delimiter(&self) -> String {
        match self.delimiter {
            b',' => "comma".into(),
            b';' => "semicolon".into(),
            b'\t' => "tab".into(),
            b'|' => "bar".into(),
            other => format!("{:?}", char::from(other)),
        }
    }

    /// The header for people.
    pub fn columns(&self) -> String {
        let names: Vec<String> = self.header.iter().take(60).map(|name| printable(name)).collect();
        format!("{}{}", names.join(", "), if self.header.len() > 60 { ", …" } else { "" })
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
        if !self.reader.read_byte_record(&mut self.record).map_err(fault)? {
            return Ok(None);
        }
        // The record's own position is that of blank lines before it.
        let inner = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let line = self.reader.position().line().saturating_sub(1 + inner) + self.skipped;
        self.row.resize(self.record.len(), String::new());
        for (to, from) in self.row.iter_mut().zip(&self.record) {
            to.clear();
            match std::str::from_utf8(from) {
                Ok(valid) => to.push_str(valid),
                Err(_) => {
                    self.recoded += 1;
                    to.push_str(&text(from));
                }
            }
        }
        Ok(Some(line))
    }

    /// A field of the row at hand; empty when the row is too short.
    pub fn field(&self, column: usize) -> &str {
        self.row.get(column).map_or("", String::as_str)
    }

    /// Fields so far that were not UTF-8 and were taken as Windows-1252.
    pub fn recoded(&self) -> u64 {
        self.recoded
    }

    /// Returns whether all fields of the row at hand are blank, as spreadsheets leave rows behind.
    pub fn is_blank(&self) -> bool {
        self.row.iter().all(|field| field.trim().is_empty())
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

/// The fault of the source itself, where it is one.
fn fault(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => anyhow::anyhow!("{other:?}"),
    }
}

/// Takes a first line `sep=;` off and returns its delimiter.
fn take_declaration(source: &mut Source) -> std::io::Result<Option<u8>> {
    let beginning = source.fill_buf()?;
    let is_declared = beginning.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"sep="));
    let Some((delimiter, rest)) = beginning.get(4..).and_then(<[u8]>::split_first).filter(|_| is_declared)
    else {
        return Ok(None);
    };
    let delimiter = *delimiter;
    let end = match rest {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return Ok(None),
    };
    source.consume(5 + end);
    Ok(Some(delimiter))
}

/// The most frequent of comma, semicolon, tab and bar outside of quotes in the first line that is not blank; the comma if there is
/// none.
fn guess_delimiter(source: &mut Source) -> std::io::Result<u8> {
    let beginning = source.fill_buf()?;
    let mut lines = beginning.split(|byte| matches!(byte, b'\n' | b'\r'));
    let header = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let count = |delimiter: u8| {
        let mut quoted = false;
        let mut n = 0;
        for byte in header {
            quoted ^= *byte == b'"';
            n += usize::from(*byte == delimiter && !quoted);
        }
        n
    };
    let mut best = b',';
    for delimiter in [b';', b'\t', b'|'] {
        if count(delimiter) > count(best) {
            best = delimiter;
        }
    }
    Ok(best)
}

#[cfg(test)]
pub(crate) fn source(text: &str) -> Source {
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

    #[test]
    fn the_delimiter_is_declared_or_the_most_frequent() {
        for (text, delimiter, line) in [
            ("sep=;\r\na,b;c\r\n1,2;3\r\n", "semicolon", 3),
            ("SEP=|\na|b\n1|2\n", "bar", 3),
            ("a;b,c;d\n1;2;3\n", "semicolon", 2),
            ("a\tb\n1\t2\n", "tab", 2),
            ("\"a;b;c\",d\n1,2\n", "comma", 2),
            ("a\n1\n", "comma", 2),
            ("\r\n\na;b\n1;2\n", "semicolon", 4),
        ] {
            let mut table = Table::detect(source(text), None, Quotation::Marks).unwrap();
            assert_eq!(
                (table.delimiter().as_str(), table.next_row().unwrap()),
                (delimiter, Some(line)),
                "{text:?}"
            );
        }
        let table = Table::detect(source("a,b;c\n"), Some(b';'), Quotation::Marks).unwrap();
        assert_eq!(table.header(), ["a,b", "c"]);
    }

    #[test]
    fn a_quoted_field_without_an_end_is_an_error_and_the_rows_before_it_are_read() {
        let text = "sep=,\na,b\nx,1\n\"y,2\nz,3\n";
        let mut table = Table::detect(source(text), None, Quotation::Marks).unwrap();
        assert_eq!(table.next_row().unwrap(), Some(3));
        let error = table.next_row().unwrap_err().to_string();
        assert!(error.contains("begins in line 4 has no end"), "{error}");
        let mut table = Table::detect(source(text), None, Quotation::None).unwrap();
        let mut fields = Vec::new();
        while table.next_row().unwrap().is_some() {
            fields.push(table.field(0).to_owned());
        }
        assert_eq!(fields, ["x", "\"y", "z"]);
    }
}
