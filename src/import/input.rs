//! Text as it comes in: bytes counted, lines ended and numbered. What is no text is made into it by [`super::container`].

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use encoding_rs::WINDOWS_1252;

use super::quotes::{MAX_RECORD_BYTES, Quotes};

/// Bytes read from the files so far, compressed as they are; shared with the progress bar.
pub type BytesRead = Arc<AtomicU64>;

/// A source of bytes that may have nothing to do with a file.
pub type Source = Box<dyn BufRead + Send>;

/// Counts the bytes that are read.
pub struct Counting<R> {
    inner: R,
    bytes: BytesRead,
}

impl<R> Counting<R> {
    /// Adds to `bytes`.
    pub fn new(inner: R, bytes: &BytesRead) -> Self {
        Self { inner, bytes: Arc::clone(bytes) }
    }
}

impl<R: Seek> Seek for Counting<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Turns CRLF into LF and ends the last line, so that line numbers can be told from the csv crate's: it sees the LF
/// of a CRLF as part of the next record, and blank lines as part of the one after them. A quoted field that does not end is
/// an error, where the csv crate would take all that follows for its text.
pub struct LineFeeds {
    inner: Source,
    quotes: Option<Quotes>,
    /// A CR was read last and held back: what follows decides.
    held: bool,
    /// The last byte handed out.
    last: u8,
}

impl LineFeeds {
    /// Over any source; without `quotes` its quotation marks are ordinary characters.
    pub fn new(inner: Source, quotes: Option<Quotes>) -> Self {
        Self { inner, quotes, held: false, last: b'\n' }
    }
}

impl Read for LineFeeds {
    /// Wants room for two bytes or more; with less it reads nothing.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written == 0 && buffer.len() >= 2 {
            let ended = self.last == b'\n';
            let mut room = buffer.iter_mut();
            let mut put = |byte: u8| {
                if let Some(slot) = room.next() {
                    *slot = byte;
                    self.last = byte;
                    written += 1;
                }
                room.len()
            };
            let available = self.inner.fill_buf()?;
            if available.is_empty() {
                if std::mem::take(&mut self.held) {
                    put(b'\r');
                } else if !ended {
                    put(b'\n');
                }
                break;
            }
            let mut used = 0;
            let mut left = usize::MAX;
            for &byte in available {
                // A CR that turns out to stand alone and the byte after it go together.
                if left < 2 {
                    break;
                }
                used += 1;
                if self.held && byte != b'\n' {
                    left = put(b'\r');
                }
                self.held = byte == b'\r';
                if !self.held {
                    left = put(byte);
                }
            }
            self.inner.consume(used);
        }
        if let (Some(quotes), Some(bytes)) = (&mut self.quotes, buffer.get(..written)) {
            if bytes.is_empty() && buffer.len() >= 2 { quotes.end()? } else { quotes.pass(bytes)? }
        }
        Ok(written)
    }
}

/// Returns whether the path is `-`.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name shown to people: the file's last part, or "stdin".
pub fn name(path: &Path) -> String {
    if is_stdin(path) {
        return "stdin".into();
    }
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Bytes of a file that is UTF-8, or else Windows-1252, in which older files are written and which never fails.
pub fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// Calls `each` with the 1-based number and the text of every line that is not blank.
pub fn for_each_line(
    source: Source,
    mut each: impl FnMut(u64, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    lines_until(source, |number, line| each(number, line).map(ControlFlow::Continue))
}

/// The same until `each` breaks off.
pub fn lines_until(
    mut source: Source,
    mut each: impl FnMut(u64, &str) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let mut bounded = source.by_ref().take(MAX_RECORD_BYTES as u64 + 1);
        if bounded.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        if line.len() > MAX_RECORD_BYTES {
            bail!(
                "line {number} is longer than {} MiB: one record a line is expected (jq -c '.[]' FILE writes an array so)",
                MAX_RECORD_BYTES >> 20
            );
        }
        let mut bytes = line.as_slice();
        if number == 1 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        let trimmed = bytes.trim_ascii_end();
        if trimmed.is_empty() {
            continue;
        }
        // Only line ends go: a trailing tab is an empty last field.
        let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
        if each(number, &text(bytes.get(..end).unwrap_or(bytes)))?.is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn source(data: &[u8]) -> Source {
        Box::new(Cursor::new(data.to_vec()))
    }

    #[test]
    fn a_carriage_return_goes_only_before_a_line_feed() {
        for (given, kept) in [
            ("a\r\nb\r\n", "a\nb\n"),
            ("a\rb\r\r\nc\r", "a\rb\r\nc\r\n"),
            ("ab", "ab\n"),
            ("", ""),
            ("\r\n\r\n", "\n\n"),
        ] {
            let mut all = Vec::new();
            let mut reader = LineFeeds::new(source(given.as_bytes()), None);
            // Two bytes at a time: the smallest room in which a CR and its neighbour fit.
            let mut buffer = [0u8; 2];
            loop {
                let n = reader.read(&mut buffer).unwrap();
                if n == 0 {
                    break;
                }
                all.extend_from_slice(&buffer[..n]);
            }
            assert_eq!(String::from_utf8(all).unwrap(), kept, "{given:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_fills_no_memory() {
        let endless: Source = Box::new(io::BufReader::new(io::repeat(b'x')));
        let error = for_each_line(endless, |_, _| Ok(())).unwrap_err().to_string();
        assert!(error.contains("line 1 is longer than 16 MiB"), "{error}");
    }

    #[test]
    fn lines_are_numbered_from_one_and_blank_ones_skipped() {
        let mut lines = Vec::new();
        let source = source(b"\xef\xbb\xbfa\t\r\n\n  \nAm\xe9lie");
        for_each_line(source, |number, line| {
            lines.push((number, line.to_owned()));
            Ok(())
        })
        .unwrap();
        assert_eq!(lines, [(1, "a\t".to_owned()), (4, "Amélie".to_owned())]);
    }
}
