//! What RFC 6455 asks of a frame and a message that the codec beneath does not look at: reserved bits (§5.2) and the UTF-8
//! of text that comes in fragments (§5.6, §8.1). Bytes and fragments in, whole messages or a [`Violation`] out.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::ws::Item;
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, Payload};
use futures_util::Stream;

/// How a peer broke the protocol; the number is its close code (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Violation {
    /// Frames that may not be.
    Protocol = 1002,
    /// Text that is not UTF-8.
    NotUtf8 = 1007,
    /// More than the limit.
    TooBig = 1009,
}

/// A message that came in one piece or several.
#[derive(Debug, PartialEq)]
pub enum Whole {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// Puts fragments together, at most `max_bytes` of them.
#[derive(Debug, Default)]
pub struct Assembly {
    bytes: Vec<u8>,
    is_text: bool,
    /// Known to be UTF-8 up to here.
    valid_to: usize,
}

impl Assembly {
    /// Takes a fragment; the message once it is whole. Text that can't become UTF-8 any more is refused at once.
    /// O(fragment).
    pub fn push(&mut self, item: Item, max_bytes: usize) -> Result<Option<Whole>, Violation> {
        let (bytes, is_last) = match item {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) if bytes.len() > max_bytes => {
                return Err(Violation::TooBig);
            }
            Item::FirstText(bytes) => {
                *self = Self { is_text: true, ..Self::default() };
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                *self = Self::default();
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        if self.bytes.len() + bytes.len() > max_bytes {
            return Err(Violation::TooBig);
        }
        self.bytes.extend_from_slice(&bytes);
        if self.is_text {
            self.check_text(is_last)?;
        }
        if !is_last {
            return Ok(None);
        }
        let Self { bytes, is_text, .. } = std::mem::take(self);
        if is_text {
            String::from_utf8(bytes).map(|text| Some(Whole::Text(text))).map_err(|_| Violation::NotUtf8)
        } else {
            Ok(Some(Whole::Binary(bytes)))
        }
    }

    fn check_text(&mut self, is_last: bool) -> Result<(), Violation> {
        let rest = self.bytes.get(self.valid_to..).unwrap_or_default();
        match std::str::from_utf8(rest) {
            Ok(_) => self.valid_to = self.bytes.len(),
            // A character that the next fragment may complete.
            Err(error) if error.error_len().is_none() && !is_last => self.valid_to += error.valid_up_to(),
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }
}

/// Longest frame head: two bytes, eight of length, four of mask.
const MAX_HEAD: usize = 14;

/// The bytes of a connection up to the first frame with a reserved bit set; then an error, and the flag is up.
pub struct Guarded {
    inner: Payload,
    gate: Gate,
    violated: Rc<Cell<bool>>,
}

impl Guarded {
    /// Guards what comes; `violated` tells why it ended.
    pub fn new(inner: Payload, violated: Rc<Cell<bool>>) -> Self {
        Self { inner, gate: Gate::default(), violated }
    }
}

impl Stream for Guarded {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.violated.get() {
            return Poll::Ready(Some(Err(PayloadError::EncodingCorrupted)));
        }
        let polled = Pin::new(&mut self.inner).poll_next(context);
        let Poll::Ready(Some(Ok(bytes))) = polled else { return polled };
        let good = self.gate.admit(&bytes);
        if good < bytes.len() {
            self.violated.set(true);
            // What came before it is still answered; the error follows with the next poll.
            if good > 0 {
                return Poll::Ready(Some(Ok(bytes.slice(..good))));
            }
            return Poll::Ready(Some(Err(PayloadError::EncodingCorrupted)));
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

/// Follows frame heads through a byte stream.
#[derive(Debug, Default)]
struct Gate {
    head: Vec<u8>,
    payload_left: u64,
}

impl Gate {
    /// How many of the bytes belong to frames without reserved bits. O(frames in them).
    fn admit(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if self.payload_left > 0 {
                let skipped = self.payload_left.min((bytes.len() - at) as u64);
                self.payload_left -= skipped;
                at += skipped as usize;
                continue;
            }
            let Some(&byte) = bytes.get(at) else { break };
            if self.head.is_empty() && byte & 0x70 != 0 {
                return at;
            }
            self.head.push(byte);
            at += 1;
            if let Some(length) = payload_length(&self.head) {
                self.payload_left = length;
                self.head.clear();
            } else if self.head.len() >= MAX_HEAD {
                self.head.clear();
            }
        }
        at
    }
}

/// Of a complete frame head.
fn payload_length(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (extra, short) = match second & 0x7f {
        126 => (2, 0),
        127 => (8, 0),
        short => (0, u64::from(short)),
    };
    if head.len() < 2 + extra + mask {
        return None;
    }
    let long = head.get(2..2 + extra)?.iter().fold(0, |length: u64, byte| length << 8 | u64::from(*byte));
    Some(short + long)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(0x80 | length as u8),
            126..65_536 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend([0xff; 4]);
        bytes.extend(std::iter::repeat_n(0xff, length));
        bytes
    }

    #[test]
    fn a_reserved_bit_is_found_wherever_the_bytes_are_cut() {
        let mut bytes: Vec<u8> = [0, 5, 125, 126, 300, 70_000].iter().flat_map(|n| frame(0x81, *n)).collect();
        let good = bytes.len();
        bytes.extend(frame(0xc1, 3));
        for size in [1, 2, 3, 7, 1_000, bytes.len()] {
            let mut gate = Gate::default();
            let mut admitted = 0;
            for chunk in bytes.chunks(size) {
                let taken = gate.admit(chunk);
                admitted += taken;
                if taken < chunk.len() {
                    break;
                }
            }
            assert_eq!(admitted, good, "in pieces of {size}");
        }
    }

    #[test]
    fn fragments_become_a_message_and_what_is_no_utf8_ends_at_once() {
        let mut assembly = Assembly::default();
        let bytes = Bytes::from_static;
        assert_eq!(assembly.push(Item::FirstText(bytes(b"gr\xc3")), 99), Ok(None));
        assert_eq!(assembly.push(Item::Continue(bytes(b"\xbc")), 99), Ok(None));
        let whole = assembly.push(Item::Last(bytes(b"n")), 99);
        assert_eq!(whole, Ok(Some(Whole::Text("grün".to_owned()))));
        assert_eq!(assembly.push(Item::FirstText(bytes(b"\xff")), 99), Err(Violation::NotUtf8));
        assert_eq!(assembly.push(Item::FirstBinary(bytes(b"\xff")), 99), Ok(None));
        assert_eq!(assembly.push(Item::Last(bytes(b"")), 99), Ok(Some(Whole::Binary(vec![0xff]))));
        assert_eq!(assembly.push(Item::FirstText(bytes(b"\xc3")), 99), Ok(None));
        assert_eq!(assembly.push(Item::Last(bytes(b"")), 99), Err(Violation::NotUtf8));
        assert_eq!(assembly.push(Item::FirstBinary(bytes(b"12345")), 4), Err(Violation::TooBig));
    }
}
