//! Quoted fields of a delimited file, followed byte by byte as the csv crate reads them (RFC 4180, forgiving): one that is never
//! closed would take the rest of the file for its text, and one that ends far below where it began has taken rows.

use std::io;

/// Longest line of a file, or record of a delimited one; what is longer is no record, but would be kept in memory as one.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a field.
    Start,
    /// In a field that began without a quotation mark, or behind the one that closed it.
    Plain,
    /// In a quoted field.
    Quoted,
    /// Behind a quotation mark in a quoted field: the end, or the first of two.
    Closing,
}

/// Position in the quoting of a delimited file.
pub struct Quotes {
    delimiter: u8,
    state: State,
    /// Line at hand, from 1.
    line: u64,
    /// Line in which the last quoted field began.
    opened: u64,
    /// Bytes of the record at hand.
    bytes: usize,
    /// Bytes of all, as far as a byte order mark reaches.
    beginning: usize,
}

impl Quotes {
    /// At the beginning of a file whose fields stand between these.
    pub fn new(delimiter: u8) -> Self {
        Self { delimiter, state: State::Start, line: 1, opened: 0, bytes: 0, beginning: 0 }
    }

    /// The lines before this file were taken off.
    pub fn behind_lines(mut self, lines: u64) -> Self {
        self.line += lines;
        self
    }

    /// Passes over bytes. An error names the line in which the field at fault begins.
    pub fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            if self.beginning < 3 {
                self.beginning += 1;
                if b"\xef\xbb\xbf".get(self.beginning - 1) == Some(&byte) {
                    continue;
                }
                self.beginning = 3;
            }
            self.step(byte)?;
        }
        if self.bytes > MAX_RECORD_BYTES { Err(self.too_long()) } else { Ok(()) }
    }

    fn step(&mut self, byte: u8) -> io::Result<()> {
        self.bytes += 1;
        self.state = match (self.state, byte) {
            (State::Start, b'"') => {
                self.opened = self.line;
                State::Quoted
            }
            (State::Quoted, b'"') => State::Closing,
            (State::Closing, b'"') | (State::Quoted, _) => State::Quoted,
            (_, b'\n' | b'\r') => {
                self.bytes = 0;
                State::Start
            }
            (_, byte) if byte == self.delimiter => State::Start,
            (State::Closing, _) if self.opened != self.line => {
                return Err(
                    self.fault(&format!("ends in line {}, in the middle of a field there", self.line))
                );
            }
            (State::Start | State::Plain | State::Closing, _) => State::Plain,
        };
        self.line += u64::from(byte == b'\n');
        Ok(())
    }

    /// The end of the file.
    pub fn end(&self) -> io::Result<()> {
        if self.state == State::Quoted { Err(self.fault("has no end")) } else { Ok(()) }
    }

    fn too_long(&self) -> io::Error {
        let mebibytes = MAX_RECORD_BYTES >> 20;
        if self.state == State::Quoted {
            return self.fault(&format!("does not end within {mebibytes} MiB"));
        }
        io::Error::other(format!(
            "line {} is longer than {mebibytes} MiB: this is no table of rows",
            self.line
        ))
    }

    fn fault(&self, what: &str) -> io::Error {
        io::Error::other(format!(
            "the quoted field that begins in line {} {what}: a quotation mark is missing there, or one in a text is not doubled; mend \
             the line, or give --no-quotes if quotation marks are ordinary characters of this file",
            self.opened
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(text: &str) -> Result<(), String> {
        let mut quotes = Quotes::new(b',');
        quotes.pass(text.as_bytes()).and_then(|()| quotes.end()).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_that_end_are_no_fault() {
        for text in [
            "a,b\n\"x\ny\",2\n",
            "\"say \"\"hi\"\"\",1\n\"\",\"\"\n",
            "\u{feff}\"a\",b\n",
            // In the middle of a field a quotation mark is one like any other, as is what follows a field on its own line.
            "5\" nail,1\n\"19\" rack\",2\n",
        ] {
            assert_eq!(follow(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn a_field_that_takes_rows_is_named_by_its_line() {
        for (text, says) in [
            ("a,b\n1,x\n2,\"y\n3,z\n", "line 3 has no end"),
            ("a,b\n1,\"x\n2,y\n3,\"z\"\n", "line 2 ends in line 4"),
        ] {
            let error = follow(text).unwrap_err();
            assert!(error.contains(says) && error.contains("--no-quotes"), "{text:?}: {error}");
        }
        let mut quotes = Quotes::new(b',');
        quotes.pass(b"a\n\"").unwrap();
        let error = (0..).find_map(|_| quotes.pass(&[b'x'; 4096]).err());
        assert!(error.unwrap().to_string().contains("line 2 does not end within 16 MiB"));
    }
}
