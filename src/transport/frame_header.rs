//! Headers of WebSocket frames (RFC 6455 §5.2), checked as they arrive on a byte stream: no payload is waited for whose
//! length, opcode or place in a fragmented message is not allowed. Bytes in, a [`Refusal`] or nothing out; pure.
//!
//! The codec beneath (actix-http 3.20, `ws/frame.rs`) compares a frame with its limit only once all of the frame is in its
//! buffer: a header that announces 2^40 bytes made it buffer whatever followed (555 MiB in 12 s).

use super::framing::Violation;

/// Most bytes in a control frame (RFC 6455 §5.5), which is therefore never fragmented and has no extended length.
const MAX_CONTROL_BYTES: u8 = 125;
/// 7-bit lengths that announce an extended one of 2 and of 8 bytes.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
/// Every frame of a client carries a masking key (RFC 6455 §5.1).
const MASKING_KEY_BYTES: u64 = 4;

/// A header that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Bytes of the scanned piece before the one that settled it. What follows them is not to be read.
    pub accepted: usize,
    /// The rule that was broken.
    pub violation: Violation,
}

/// Position in a stream of frames from a client. Constant size; keeps no byte of a payload.
#[derive(Debug)]
pub struct HeaderScanner {
    max_message_bytes: u64,
    position: Position,
    /// Payload bytes announced so far for the message whose fragments are arriving; `None` between messages.
    unfinished: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Before FIN, reserved bits and opcode.
    First,
    /// Before the mask bit and the 7-bit length.
    Second(Kind),
    /// Inside an extended length.
    Length { kind: Kind, missing: u8, length: u64 },
    /// Inside masking key and payload; at least one byte is left.
    Body { left: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Control,
    Data { is_last: bool },
}

impl HeaderScanner {
    /// Starts at the first byte after the handshake. `max_message_bytes` bounds the payload of a message, which is the sum of
    /// its fragments.
    pub fn new(max_message_bytes: usize) -> Self {
        Self { max_message_bytes: max_message_bytes as u64, position: Position::First, unfinished: None }
    }

    /// Checks the headers in the next piece of the stream, cut anywhere. After a refusal the stream has no meaning any more.
    /// O(frames), not O(bytes).
    pub fn scan(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            if let Position::Body { left } = self.position {
                let skipped = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                rest = rest.get(skipped..).unwrap_or_default();
                self.position = match left.saturating_sub(skipped as u64) {
                    0 => Position::First,
                    left => Position::Body { left },
                };
                continue;
            }
            let refused = |violation| Refusal { accepted: bytes.len() - rest.len(), violation };
            self.position = self.step(*byte).map_err(refused)?;
            rest = after;
        }
        Ok(())
    }

    /// The position after a byte of a header.
    fn step(&mut self, byte: u8) -> Result<Position, Violation> {
        match self.position {
            Position::First => self.first(byte).map(Position::Second),
            Position::Second(kind) => self.second(kind, byte),
            Position::Length { kind, missing, length } => {
                let length = (length << 8) | u64::from(byte);
                match missing - 1 {
                    0 => self.body(kind, length),
                    missing => Ok(Position::Length { kind, missing, length }),
                }
            }
            Position::Body { .. } => Ok(self.position),
        }
    }

    fn first(&self, byte: u8) -> Result<Kind, Violation> {
        let (is_last, reserved, opcode) = (byte & 0x80 != 0, byte & 0x70, byte & 0x0f);
        // No extension is ever negotiated, so nothing gives the reserved bits a meaning.
        match (reserved, opcode, self.unfinished) {
            (0, 0, Some(_)) | (0, 1 | 2, None) => Ok(Kind::Data { is_last }),
            (0, 8..=10, _) if is_last => Ok(Kind::Control),
            _ => Err(Violation::Protocol),
        }
    }

    fn second(&mut self, kind: Kind, byte: u8) -> Result<Position, Violation> {
        let (is_masked, length) = (byte & 0x80 != 0, byte & 0x7f);
        match (kind, length) {
            _ if !is_masked => Err(Violation::Protocol),
            (Kind::Control, _) if length > MAX_CONTROL_BYTES => Err(Violation::Protocol),
            (_, LENGTH_16) => Ok(Position::Length { kind, missing: 2, length: 0 }),
            (_, LENGTH_64) => Ok(Position::Length { kind, missing: 8, length: 0 }),
            _ => self.body(kind, length.into()),
        }
    }

    /// A header whose length is known. A 64-bit length with its most significant bit set, which §5.2 forbids, is too big as
    /// well.
    fn body(&mut self, kind: Kind, length: u64) -> Result<Position, Violation> {
        if let Kind::Data { is_last } = kind {
            let message = self.unfinished.unwrap_or(0).saturating_add(length);
            if message > self.max_message_bytes {
                return Err(Violation::TooBig);
            }
            self.unfinished = (!is_last).then_some(message);
        }
        Ok(Position::Body { left: MASKING_KEY_BYTES.saturating_add(length) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    const MAX: usize = 70_000;

    /// Masked frames of another implementation's encoder.
    fn encoded(frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for mut frame in frames {
            frame.header_mut().mask = Some([0x81, 0xff, 0x7f, 0x00]);
            frame.format(&mut bytes).unwrap();
        }
        bytes
    }

    fn data(opcode: Data, length: usize, is_last: bool) -> Frame {
        Frame::message(vec![0xff; length], OpCode::Data(opcode), is_last)
    }

    /// Bytes taken of a stream that comes in pieces of so many, and what was refused.
    fn scanned(bytes: &[u8], at_once: usize) -> (usize, Option<Violation>) {
        let mut scanner = HeaderScanner::new(MAX);
        let mut taken = 0;
        for piece in bytes.chunks(at_once) {
            match scanner.scan(piece) {
                Ok(()) => taken += piece.len(),
                Err(refusal) => return (taken + refusal.accepted, Some(refusal.violation)),
            }
        }
        (taken, None)
    }

    fn header(first: u8, length: &[u8]) -> Vec<u8> {
        [&[first], length].concat()
    }

    #[test]
    fn what_may_not_be_is_refused_by_the_byte_of_the_header_that_says_so() {
        let long = |length: u64| [&[0xff][..], &length.to_be_bytes()].concat();
        let start = encoded([data(Data::Text, MAX - 10, false)]);
        let after_start = |rest: Vec<u8>| [start.clone(), rest].concat();
        let table = [
            ("a text of 2^40 bytes", header(0x81, &long(1 << 40)), Violation::TooBig),
            ("bytes, 2^40 of them", header(0x82, &long(1 << 40)), Violation::TooBig),
            ("a first fragment of 2^40 bytes", header(0x01, &long(1 << 40)), Violation::TooBig),
            ("one byte too many", header(0x81, &long(MAX as u64 + 1)), Violation::TooBig),
            ("the largest length", header(0x81, &long(i64::MAX as u64)), Violation::TooBig),
            ("the most significant bit", header(0x81, &long(1 << 63)), Violation::TooBig),
            ("all bits", header(0x81, &long(u64::MAX)), Violation::TooBig),
            ("a continuation of 2^40 bytes", after_start(header(0x00, &long(1 << 40))), Violation::TooBig),
            ("a last one of 2^40 bytes", after_start(header(0x80, &long(1 << 40))), Violation::TooBig),
            ("a sum that overflows", after_start(header(0x80, &long(u64::MAX))), Violation::TooBig),
            ("a sum of one too many, 7 bits", after_start(header(0x80, &[0x80 | 11])), Violation::TooBig),
            ("a sum of too many, 16 bits", after_start(header(0x00, &[0xfe, 0, 126])), Violation::TooBig),
            ("a ping of 126 bytes", header(0x89, &[0xfe]), Violation::Protocol),
            ("a pong of 2^40 bytes", header(0x8a, &[0xff]), Violation::Protocol),
            ("a long close between fragments", after_start(header(0x88, &[0xfe])), Violation::Protocol),
            ("a fragmented ping", vec![0x09], Violation::Protocol),
            ("a continuation of nothing", vec![0x80], Violation::Protocol),
            ("a text between fragments", after_start(vec![0x81]), Violation::Protocol),
            ("reserved bits", vec![0xc1], Violation::Protocol),
            ("an unknown opcode", vec![0x83], Violation::Protocol),
            ("an unknown control opcode", vec![0x8b], Violation::Protocol),
            ("a frame without a mask", vec![0x81, 0x05], Violation::Protocol),
        ];
        for (what, bytes, violation) in table {
            let followed = [&bytes[..], &[0; 100]].concat();
            for at_once in [1, 2, 3, 16 << 10, usize::MAX] {
                // Settled by the last byte of the header, whatever follows.
                let expected = (bytes.len() - 1, Some(violation));
                assert_eq!(scanned(&bytes, at_once), expected, "{what}, {at_once} at once");
                assert_eq!(scanned(&followed, at_once), expected, "{what} and more, {at_once} at once");
            }
        }
    }

    #[test]
    fn a_message_may_have_as_much_as_the_limit_in_one_frame_or_several_and_so_may_the_next() {
        let ping = || Frame::ping(vec![0xff; 125]);
        let bytes = encoded([
            data(Data::Text, MAX, true),
            ping(),
            data(Data::Binary, MAX - 66_000, false),
            ping(),
            data(Data::Continue, 0, false),
            data(Data::Continue, 66_000, true),
            data(Data::Text, 0, true),
            data(Data::Text, MAX, true),
        ]);
        for at_once in [1, 7, 16 << 10, usize::MAX] {
            assert_eq!(scanned(&bytes, at_once), (bytes.len(), None));
        }
    }

    /// A message in fragments with control frames between them; lengths at and around the borders of their encodings.
    fn message() -> impl Strategy<Value = Vec<Frame>> {
        let length = prop_oneof![0usize..4, 120usize..130, 65_530usize..65_540, 0usize..2_000];
        let between = proptest::collection::vec((any::<bool>(), 0usize..=125), 0..3);
        (any::<bool>(), proptest::collection::vec((length, between), 1..5)).prop_map(|(is_text, pieces)| {
            let last = pieces.len() - 1;
            let mut left = MAX;
            let mut frames = Vec::new();
            for (place, (length, between)) in pieces.into_iter().enumerate() {
                let length = length.min(left);
                left -= length;
                let opcode = match (place, is_text) {
                    (0, true) => Data::Text,
                    (0, false) => Data::Binary,
                    _ => Data::Continue,
                };
                frames.push(data(opcode, length, place == last));
                frames.extend(between.into_iter().map(|(is_ping, length)| match is_ping {
                    true => Frame::ping(vec![0xff; length]),
                    false => Frame::pong(vec![0xff; length]),
                }));
            }
            frames
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(6_455), ..ProptestConfig::default() })]

        /// Frames that another encoder made are taken whole however the stream is cut, and a header too big behind them is
        /// refused by its last byte.
        #[test]
        fn legal_frames_pass_and_the_header_behind_them_is_found(
            messages in proptest::collection::vec(message(), 0..4),
            excess in 1u64..1 << 62,
            at_once in 1usize..20_000,
        ) {
            let mut bytes = encoded(messages.into_iter().flatten());
            prop_assert_eq!(scanned(&bytes, at_once), (bytes.len(), None));
            bytes.extend(header(0x82, &[0xff]));
            bytes.extend((MAX as u64 + excess).to_be_bytes());
            let settled = bytes.len() - 1;
            bytes.extend([0x81; 50]);
            prop_assert_eq!(scanned(&bytes, at_once), (settled, Some(Violation::TooBig)));
        }

        /// The cut of a stream makes no difference, whatever is in it.
        #[test]
        fn the_verdict_does_not_depend_on_where_the_stream_is_cut(
            bytes in proptest::collection::vec(
                prop_oneof![Just(0x81u8), Just(0x01), Just(0x80), Just(0x89), Just(0xfe), Just(0xff), any::<u8>()],
                0..400,
            ),
            at_once in 1usize..50,
        ) {
            prop_assert_eq!(scanned(&bytes, at_once), scanned(&bytes, usize::MAX));
        }
    }
}
