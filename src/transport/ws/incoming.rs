//! Bytes of one socket on their way to messages: headers are checked before payloads are buffered ([`HeaderScanner`]), the
//! codec decodes what passed. Pieces of the stream in, messages or a [`Violation`] out, in their order.

use actix_codec::Decoder;
use actix_http::ws::{Codec, Frame, Message, ProtocolError};
use actix_web::web::BytesMut;

use crate::frame_header::HeaderScanner;
use crate::framing::Violation;

/// Bytes taken and thrown away after a violation. A client whose frame was a little too long has most of it under way, and
/// closing a socket with unread bytes resets the connection, which can overtake the close frame; one that goes on sending is
/// not read from any longer.
const MAX_DISCARDED: usize = 64 << 10;

/// Inbound side of a WebSocket. Holds at most the limit of a message and the header of a frame between two calls of
/// [`Self::next_message`] that return `None`, and nothing while the client is silent.
#[derive(Debug)]
pub struct Incoming {
    headers: HeaderScanner,
    codec: Codec,
    /// Frames that passed and are not decoded yet.
    buffer: BytesMut,
    state: State,
    /// Bytes that came after a violation.
    discarded: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    /// A header was refused; reported when the messages before it are decoded.
    Refused(Violation),
    /// The violation was reported: nothing more is decoded.
    Broken,
}

impl Incoming {
    /// Starts behind the handshake; `max_bytes` bounds a message, in one frame or several.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            headers: HeaderScanner::new(max_bytes),
            codec: Codec::new().max_size(max_bytes),
            buffer: BytesMut::new(),
            state: State::Open,
            discarded: 0,
        }
    }

    /// Takes the next piece of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let accepted = match self.state {
            State::Open => match self.headers.scan(bytes) {
                Ok(()) => bytes.len(),
                Err(refusal) => {
                    self.state = State::Refused(refusal.violation);
                    refusal.accepted
                }
            },
            State::Refused(_) | State::Broken => 0,
        };
        self.buffer.extend_from_slice(bytes.get(..accepted).unwrap_or_default());
        self.discarded += bytes.len() - accepted;
    }

    /// Decodes the next message; one violation after the last message before it; `None` when more bytes are needed, and for
    /// ever after the violation.
    pub fn next_message(&mut self) -> Option<Result<Message, Violation>> {
        if matches!(self.state, State::Broken) {
            return None;
        }
        let decoded = match (self.codec.decode(&mut self.buffer), self.state) {
            (Ok(Some(frame)), _) => message(frame),
            (Ok(None), State::Refused(violation)) => Err(violation),
            (Ok(None), _) => {
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                return None;
            }
            (Err(ProtocolError::Overflow), _) => Err(Violation::TooBig),
            (Err(_), _) => Err(Violation::Protocol),
        };
        if decoded.is_err() {
            self.state = State::Broken;
            self.buffer = BytesMut::new();
        }
        Some(decoded)
    }

    /// Returns whether more bytes should be read from the socket: no longer once a client goes on sending after a violation.
    pub fn may_read(&self) -> bool {
        self.discarded <= MAX_DISCARDED
    }
}

fn message(frame: Frame) -> Result<Message, Violation> {
    Ok(match frame {
        Frame::Text(bytes) => Message::Text(bytes.try_into().map_err(|_| Violation::NotUtf8)?),
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Continuation(item) => Message::Continuation(item),
        Frame::Ping(bytes) => Message::Ping(bytes),
        Frame::Pong(bytes) => Message::Pong(bytes),
        Frame::Close(reason) => Message::Close(reason),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame as Encoded;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    const MAX: usize = 2_000;
    /// First byte, second byte, 64-bit length, masking key.
    const LONGEST_HEADER: usize = 14;

    fn text(text: &str) -> Vec<u8> {
        let mut frame = Encoded::message(text.to_owned().into_bytes(), OpCode::Data(Data::Text), true);
        frame.header_mut().mask = Some([7, 0, 0xff, 1]);
        let mut bytes = Vec::new();
        frame.format(&mut bytes).unwrap();
        bytes
    }

    /// Messages and violations of a stream in pieces of so many bytes; the most that was kept in between.
    fn received(stream: &[u8], at_once: usize) -> (Vec<Result<String, Violation>>, usize) {
        let mut incoming = Incoming::new(MAX);
        let (mut received, mut kept) = (Vec::new(), 0);
        for piece in stream.chunks(at_once) {
            incoming.push(piece);
            while let Some(next) = incoming.next_message() {
                received.push(next.map(|message| match message {
                    Message::Text(text) => text.to_string(),
                    other => format!("{other:?}"),
                }));
            }
            kept = kept.max(incoming.buffer.len());
        }
        (received, kept)
    }

    #[test]
    fn messages_before_a_violation_come_first_and_nothing_after_it() {
        let endless = [&[0x82, 0xff][..], &(1u64 << 40).to_be_bytes(), &[1, 2, 3, 4]].concat();
        let stream = [text("one"), text("two"), endless, vec![0; 10 * MAX], text("three")].concat();
        for at_once in [1, 5, 17, 1_000, stream.len()] {
            let (received, kept) = received(&stream, at_once);
            assert_eq!(received, [Ok("one".to_owned()), Ok("two".to_owned()), Err(Violation::TooBig)]);
            assert!(kept <= LONGEST_HEADER, "{kept} bytes were kept");
        }
        let not_utf8 = vec![0x81, 0x81, 0, 0, 0, 0, 0xff];
        let stream = [text("one"), not_utf8, text("two")].concat();
        assert_eq!(received(&stream, 4).0, [Ok("one".to_owned()), Err(Violation::NotUtf8)]);
    }

    #[test]
    fn a_client_that_goes_on_sending_after_a_violation_is_not_read_from() {
        let mut incoming = Incoming::new(MAX);
        incoming.push(&[0xff]);
        assert_eq!(incoming.next_message().map(|next| next.is_err()), Some(true));
        let mut read = 1;
        while incoming.may_read() {
            incoming.push(&[0; 1_000]);
            assert!(incoming.next_message().is_none() && incoming.buffer.is_empty());
            read += 1_000;
        }
        assert!(read <= MAX_DISCARDED + 1_000, "{read} bytes were read");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, rng_seed: RngSeed::Fixed(6_455), ..ProptestConfig::default() })]

        /// No stream, however it is cut, makes it keep more than a message and a header.
        #[test]
        fn what_is_kept_is_bounded(
            frames in proptest::collection::vec(
                (
                    prop_oneof![Just(0x81u8), Just(0x01), Just(0x00), Just(0x80), Just(0x89), any::<u8>()],
                    prop_oneof![0u64..200, 0u64..MAX as u64 + 2, any::<u64>()],
                ),
                1..20,
            ),
            at_once in 1usize..5_000,
        ) {
            let mut stream = Vec::new();
            for (first, length) in frames {
                stream.push(first);
                match length {
                    0..=125 => stream.push(0x80 | length as u8),
                    126..=0xffff => { stream.push(0xfe); stream.extend((length as u16).to_be_bytes()); }
                    _ => { stream.push(0xff); stream.extend(length.to_be_bytes()); }
                }
                stream.resize(stream.len() + 4 + length.min(3 * MAX as u64) as usize, 0);
            }
            let (received, kept) = received(&stream, at_once);
            prop_assert!(kept <= MAX + LONGEST_HEADER, "{} bytes were kept", kept);
            // A violation, if any, is the last word.
            let violations = received.iter().filter(|next| next.is_err()).count();
            prop_assert!(violations <= 1 && (violations == 0 || received.last().is_some_and(Result::is_err)));
        }
    }
}
