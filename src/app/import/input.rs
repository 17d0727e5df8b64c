//! Opening what is imported: plain or gzip (told by the first bytes, not the name), or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;

const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes read from the files so far, compressed as they are; shared with the progress bar.
pub type BytesRead = Arc<AtomicU64>;

/// A source of bytes that may have nothing to do with a file.
pub type Source = Box<dyn BufRead + Send>;

struct Counting<R> {
    inner: R,
    bytes: BytesRead,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Opens a file, or standard input for `-`, and unpacks gzip.
pub fn open(path: &Path, bytes: &BytesRead) -> anyhow::Result<Source> {
    let raw: Box<dyn Read + Send> = if is_stdin(path) {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?)
    };
    unpack(Counting { inner: raw, bytes: Arc::clone(bytes) })
        .with_context(|| format!("cannot read {}", path.display()))
}

/// Unpacks gzip (several members too) if the first two bytes say so (RFC 1952 §2.3.1).
pub fn unpack(raw: impl Read + Send + 'static) -> io::Result<Source> {
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, raw);
    if raw.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))))
    } else {
        Ok(Box::new(raw))
    }
}

/// Turns CRLF into LF and ends the last line, so that line numbers can be told from the csv crate's: it sees the LF
/// of a CRLF as part of the next record, and blank lines as part of the one after them.
pub struct LineFeeds {
    inner: Source,
    /// A CR was read last and held back: what follows decides.
    held: bool,
    /// The last byte handed out.
    last: u8,
}

impl LineFeeds {
    /// Over any source.
    pub fn new(inner: Source) -> Self {
        Self { inner, held: false, last: b'\n' }
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
        Ok(written)
    }
}

/// Whether the path is `-`.
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

/// All bytes as text: UTF-8, or else Latin-1, in which the older MovieLens and Kaggle files are written and
/// which never fails.
pub fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Calls `each` with the 1-based number and the text of every line that is not blank.
pub fn for_each_line(
    mut source: Source,
    mut each: impl FnMut(u64, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if source.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
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
        each(number, &text(bytes.get(..end).unwrap_or(bytes)))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::{Cursor, Write};

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn read(data: Vec<u8>) -> String {
        let mut text = String::new();
        unpack(Cursor::new(data)).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn gzip_is_told_by_its_bytes_and_may_have_several_members() {
        assert_eq!(read(b"plain".to_vec()), "plain");
        assert_eq!(read(gzip(b"packed")), "packed");
        assert_eq!(read([gzip(b"one"), gzip(b"two")].concat()), "onetwo");
        assert_eq!(read(Vec::new()), "");
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
            let mut reader = LineFeeds::new(unpack(Cursor::new(given.as_bytes().to_vec())).unwrap());
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
    fn lines_are_numbered_from_one_and_blank_ones_skipped() {
        let mut lines = Vec::new();
        let source = unpack(Cursor::new(b"\xef\xbb\xbfa\t\r\n\n  \nAm\xe9lie".to_vec())).unwrap();
        for_each_line(source, |number, line| {
            lines.push((number, line.to_owned()));
            Ok(())
        })
        .unwrap();
        assert_eq!(lines, [(1, "a\t".to_owned()), (4, "Amélie".to_owned())]);
    }
}
