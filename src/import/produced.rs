//! Text that a thread of its own makes from something that is no text: sheets, columns, rows of a database, members of an
//! archive. What comes out is a [`Source`] like any other, so that all that reads files reads these as well.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::input::Source;
use tidings_intake::attributes;

/// Bytes handed over at a time.
const CHUNK_BYTES: usize = 128 * 1024;
/// Chunks that may wait.
const WAITING_CHUNKS: usize = 8;

/// Form that the rows of a source are made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// CSV with a header.
    Table,
    /// One JSON object a line.
    Records,
}

/// Starts a thread that writes, and gives what it writes to the reader. An error of the writer is the reader's, after what
/// was written before it; a writer whose reader has gone is told by an error of its own.
pub fn produce(
    name: &str,
    write: impl FnOnce(&mut Output) -> anyhow::Result<()> + Send + 'static,
) -> io::Result<Source> {
    let (send, receive) = sync_channel(WAITING_CHUNKS);
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let mut output = Output { send, buffer: Vec::with_capacity(CHUNK_BYTES), texts: Vec::new() };
        let result = write(&mut output).and_then(|()| Ok(output.flush()?));
        if let Err(error) = result {
            // Nobody to tell when the reader has gone.
            let _ = output.send.send(Err(io::Error::other(format!("{error:#}"))));
        }
    })?;
    let input = Input { receive, chunk: Vec::new(), used: 0 };
    Ok(Box::new(BufReader::with_capacity(CHUNK_BYTES, input)))
}

/// The writer's end.
pub struct Output {
    send: SyncSender<io::Result<Vec<u8>>>,
    buffer: Vec<u8>,
    /// Columns whose numbers are shown as they are: attributes of items, which are texts.
    texts: Vec<bool>,
}

impl Output {
    /// One row as CSV, its fields separated by commas. Line breaks inside of a field become blanks, so that the number of a
    /// line is that of its row.
    pub fn row<T: AsRef<str>>(&mut self, fields: impl IntoIterator<Item = T>) -> io::Result<()> {
        let mut is_first = true;
        let mut is_empty = true;
        for field in fields {
            let field = field.as_ref();
            if !std::mem::replace(&mut is_first, false) {
                self.buffer.push(b',');
                is_empty = false;
            }
            is_empty &= field.is_empty();
            if field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
                self.buffer.push(b'"');
                for byte in field.bytes() {
                    match byte {
                        b'"' => self.buffer.extend_from_slice(b"\"\""),
                        b'\n' | b'\r' => self.buffer.push(b' '),
                        other => self.buffer.push(other),
                    }
                }
                self.buffer.push(b'"');
            } else {
                self.buffer.extend_from_slice(field.as_bytes());
            }
        }
        if is_empty {
            // A blank line would be no row at all.
            self.buffer.extend_from_slice(b"\"\"");
        }
        self.end_line()
    }

    /// The header: characters by which a delimiter is guessed stand for blanks.
    pub fn header<T: AsRef<str>>(&mut self, names: impl IntoIterator<Item = T>) -> io::Result<()> {
        let names: Vec<String> =
            names.into_iter().map(|name| name.as_ref().replace([';', '\t', '|'], " ")).collect();
        self.texts = names.iter().map(|name| attributes::name(name).is_some()).collect();
        self.row(names)
    }

    /// The text of a number that its source has as a number, for one of the columns. It is never taken for one with thousands:
    /// `1.299` is written `1.2990`.
    pub fn number(&self, column: usize, mut text: String) -> String {
        let decimals = text.split_once('.').map(|(_, decimals)| decimals);
        let is_unclear = decimals.is_some_and(|decimals| {
            decimals.len() == 3 && decimals.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_unclear && !self.texts.get(column).copied().unwrap_or(false) {
            text.push('0');
        }
        text
    }

    /// One line of text without its end.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.buffer.extend_from_slice(text.as_bytes());
        self.end_line()
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.buffer.push(b'\n');
        if self.buffer.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.send.send(Ok(chunk)).map_err(|_| io::Error::from(ErrorKind::BrokenPipe))
    }
}

struct Input {
    receive: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    used: usize,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used >= self.chunk.len() {
            match self.receive.recv() {
                Ok(chunk) => (self.chunk, self.used) = (chunk?, 0),
                // The writer has ended.
                Err(_) => return Ok(0),
            }
        }
        let rest = self.chunk.get(self.used..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.used += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_as_csv_a_line_each() {
        let mut text = String::new();
        let write = |output: &mut Output| {
            output.header(["a;b", "c"])?;
            output.row(["x, y", "say \"hi\"\nthere"])?;
            output.row([""])?;
            output.row(["", ""])?;
            Ok(())
        };
        produce("test", write).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a b,c\n\"x, y\",\"say \"\"hi\"\" there\"\n\"\"\n,\n");
    }

    #[test]
    fn a_number_of_a_typed_column_reads_one_way_only() {
        let mut text = String::new();
        let write = |output: &mut Output| {
            output.header(["price", "attributes.weight"])?;
            for price in ["1.299", "0.125", "12.5", "7", "1234567"] {
                output.row([output.number(0, price.to_owned()), output.number(1, price.to_owned())])?;
            }
            Ok(())
        };
        produce("test", write).unwrap().read_to_string(&mut text).unwrap();
        let rows = "1.2990,1.299\n0.1250,0.125\n12.5,12.5\n7,7\n1234567,1234567\n";
        assert_eq!(text, format!("price,attributes.weight\n{rows}"));
        let mut survey = tidings_intake::FormSurvey::new(tidings_intake::StatedForms::default());
        survey.note(2, &tidings_intake::Row::from([(tidings_intake::Field::Price, "1.2990")]));
        let forms = survey.finish(|_| String::new()).unwrap();
        assert_eq!(forms.number("1.2990", tidings_intake::Field::Price), Some(1.299));
    }

    #[test]
    fn an_error_comes_after_what_was_written_and_a_reader_may_leave() {
        let write = |output: &mut Output| {
            output.line("one")?;
            output.flush()?;
            anyhow::bail!("the cable was pulled")
        };
        let mut source = produce("test", write).unwrap();
        let mut buffer = [0; 4];
        source.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"one\n");
        assert_eq!(source.read(&mut buffer).unwrap_err().to_string(), "the cable was pulled");
        // More than may wait: the writer would wait for ever if it were not told.
        let (told, heard) = sync_channel(1);
        let endless = move |output: &mut Output| {
            while output.line("again").is_ok() {}
            told.send(true)?;
            Ok(())
        };
        drop(produce("test", endless).unwrap());
        assert_eq!(heard.recv(), Ok(true));
    }
}
