//! Bytes of a file made into UTF-8: its encoding is told by a byte order mark, by its first mebibyte, or stated.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::input::Source;

/// Bytes looked at to tell the encoding.
const PEEK_BYTES: u64 = 1 << 20;
/// Bytes decoded at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// Encoding of a file, and how it is known.
#[derive(Clone, Debug)]
pub struct TextForm {
    /// Name of the encoding.
    pub encoding: &'static str,
    /// Source of this knowledge, for people.
    pub reason: &'static str,
    lost: Arc<AtomicU64>,
}

impl TextForm {
    fn new(encoding: &'static Encoding, reason: &'static str) -> Self {
        Self { encoding: encoding.name(), reason, lost: Arc::default() }
    }

    /// Places so far where bytes were none of the encoding and became U+FFFD.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// The source as UTF-8. Single fields that are not UTF-8 in a file that is may remain: their reader takes them as Windows-1252.
pub fn as_text(mut source: Source, stated: Option<&'static Encoding>) -> anyhow::Result<(Source, TextForm)> {
    let mut head = Vec::new();
    source.by_ref().take(PEEK_BYTES).read_to_end(&mut head)?;
    let (encoding, reason, mark) = match (Encoding::for_bom(&head), stated) {
        (Some((encoding, bytes)), _) => (encoding, "its byte order mark", bytes),
        (None, Some(encoding)) => (encoding, "--encoding", 0),
        (None, None) => {
            let (encoding, reason) = detect(&head)?;
            (encoding, reason, 0)
        }
    };
    let form = TextForm::new(encoding, reason);
    let head = head.split_off(mark);
    let whole = Cursor::new(head).chain(source);
    if encoding == UTF_8 {
        return Ok((Box::new(whole), form));
    }
    let decoding = Decoding {
        inner: Box::new(whole),
        decoder: encoding.new_decoder_without_bom_handling(),
        text: Vec::new(),
        at: 0,
        ended: false,
        lost: Arc::clone(&form.lost),
    };
    Ok((Box::new(BufReader::with_capacity(CHUNK_BYTES, decoding)), form))
}

/// The encoding that bytes without a mark are in.
fn detect(head: &[u8]) -> anyhow::Result<(&'static Encoding, &'static str)> {
    if head.contains(&0) {
        return match utf_16(head) {
            Some(encoding) => Ok((encoding, "every second byte is zero")),
            None => bail!("this is no text file: it has zero bytes"),
        };
    }
    match std::str::from_utf8(head) {
        Ok(_) => Ok((UTF_8, "all of it is valid")),
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => Ok((UTF_8, "all of it is valid")),
        Err(error) if head.get(..error.valid_up_to()).is_some_and(|valid| !valid.is_ascii()) => {
            Ok((UTF_8, "most of it is valid"))
        }
        Err(_) => {
            let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
            detector.feed(head, head.len() < PEEK_BYTES as usize);
            Ok((
                detector.guess(None, Utf8Detection::Deny),
                "it is not UTF-8, and its letters look so; --encoding states another",
            ))
        }
    }
}

/// UTF-16 without a mark: of ASCII letters one byte in two is zero.
fn utf_16(head: &[u8]) -> Option<&'static Encoding> {
    let sample = head.get(..head.len().min(4_096) & !1)?;
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second, half) = (zeros(0), zeros(1), sample.len() / 2);
    if first == 0 && second * 2 > half {
        Some(UTF_16LE)
    } else if second == 0 && first * 2 > half {
        Some(UTF_16BE)
    } else {
        None
    }
}

struct Decoding {
    inner: Source,
    decoder: Decoder,
    text: Vec<u8>,
    at: usize,
    ended: bool,
    lost: Arc<AtomicU64>,
}

impl Decoding {
    fn refill(&mut self) -> io::Result<()> {
        let bytes = self.inner.fill_buf()?;
        self.ended = bytes.is_empty();
        self.at = 0;
        self.text.resize(CHUNK_BYTES * 4, 0);
        let (_, read, written, had_errors) = self.decoder.decode_to_utf8(bytes, &mut self.text, self.ended);
        self.text.truncate(written);
        self.inner.consume(read);
        self.lost.fetch_add(u64::from(had_errors), Ordering::Relaxed);
        Ok(())
    }
}

impl Read for Decoding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.ended {
            self.refill()?;
        }
        let left = self.text.get(self.at..).unwrap_or_default();
        let n = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), left.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}

/// A text of a stranger's file for the terminal: no control characters, and no longer than a line.
pub fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(120)
        .flat_map(|c| {
            let is_fine = !c.is_control() && c != '\u{fffd}';
            if is_fine { c.to_string() } else { c.escape_unicode().to_string() }.chars().collect::<Vec<_>>()
        })
        .collect();
    if text.chars().count() > 120 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], stated: Option<&'static Encoding>) -> anyhow::Result<(String, TextForm)> {
        let (mut source, form) = as_text(Box::new(Cursor::new(bytes.to_vec())), stated)?;
        let mut text = Vec::new();
        source.read_to_end(&mut text)?;
        Ok((String::from_utf8_lossy(&text).into_owned(), form))
    }

    fn utf_16(text: &str, mark: bool, little: bool) -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    }

    #[test]
    fn the_encoding_is_told_by_mark_and_content() {
        let text = "user,title\n1,Crème brûlée “€5”\n";
        let latin = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        for (bytes, encoding) in [
            (text.as_bytes().to_vec(), "UTF-8"),
            (marked, "UTF-8"),
            (latin, "windows-1252"),
            (utf_16(text, true, true), "UTF-16LE"),
            (utf_16(text, true, false), "UTF-16BE"),
            (utf_16(text, false, true), "UTF-16LE"),
            (utf_16(text, false, false), "UTF-16BE"),
        ] {
            let (read, form) = read(&bytes, None).unwrap();
            assert_eq!((read.as_str(), form.encoding, form.lost()), (text, encoding, 0));
        }
    }

    #[test]
    fn a_stated_encoding_is_used_and_what_it_lacks_is_counted() {
        let text = "пользователь,товар\n";
        let bytes = encoding_rs::KOI8_R.encode(text).0.into_owned();
        assert_eq!(read(&bytes, Some(encoding_rs::KOI8_R)).unwrap().0, text);
        let (_, form) = read(b"a\xff\xffb", Some(encoding_rs::SHIFT_JIS)).unwrap();
        assert!(form.lost() > 0);
        let long = format!("{}é", "a".repeat(CHUNK_BYTES * 2 - 1));
        let bytes = utf_16(&long, true, true);
        assert_eq!(read(&bytes, None).unwrap().0, long);
    }

    #[test]
    fn what_is_no_text_is_refused_and_shown_without_its_bytes() {
        assert!(read(b"PK\x03\x04\0\0\x08\0x\0\0\0\0", None).is_err());
        assert_eq!(printable("a\u{1b}[31m\tb"), "a\\u{1b}[31m\\u{9}b");
        assert_eq!(printable(&"x".repeat(500)).chars().count(), 121);
    }
}
