//! Checks of RFC 6455 that the codec beneath does not make on a message: the UTF-8 of text that comes in fragments
//! (§5.6, §8.1). Fragments in, whole messages or a [`Violation`] out.

use actix_http::ws::Item;

/// Protocol violation of a peer; the number is its close code (RFC 6455 §7.4.1).
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

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::web::Bytes;

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
