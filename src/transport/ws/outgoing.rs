//! Frames on their way to one socket. Text is shared, not copied: a message to ten thousand clients lies in memory once.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use tidings_decision::deliver::Frame;

/// Frames written with one call.
const AT_ONCE: usize = 16;
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// An encoded frame; servers do not mask (RFC 6455 §5.1).
struct Piece {
    head: [u8; 10],
    head_len: u8,
    /// Counts against the pipe's bound until it is written.
    metered: bool,
    body: Body,
}

enum Body {
    Shared(Frame),
    Own(Box<[u8]>),
}

impl Piece {
    fn new(first: u8, body: Body, metered: bool) -> Self {
        let mut head = [0; 10];
        let length = body.bytes().len();
        let head_len = match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..=125), _) => fill(&mut head, &[first, short], &[]),
            (_, Ok(medium)) => fill(&mut head, &[first, 126], &medium.to_be_bytes()),
            _ => fill(&mut head, &[first, 127], &(length as u64).to_be_bytes()),
        };
        Self { head, head_len, metered, body }
    }

    fn head(&self) -> &[u8] {
        self.head.get(..usize::from(self.head_len)).unwrap_or_default()
    }

    fn len(&self) -> usize {
        usize::from(self.head_len) + self.body.bytes().len()
    }
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(frame) => frame.as_bytes(),
            Self::Own(bytes) => bytes,
        }
    }
}

fn fill(head: &mut [u8; 10], start: &[u8], length: &[u8]) -> u8 {
    for (slot, byte) in head.iter_mut().zip(start.iter().chain(length)) {
        *slot = *byte;
    }
    (start.len() + length.len()) as u8
}

/// Queue of the pieces that wait for one socket, in order.
#[derive(Default)]
pub struct Outgoing {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are out already.
    sent: usize,
    bytes: usize,
}

impl Outgoing {
    /// A text frame of the user's actor: its bytes are reported by [`Self::write`] once they are out.
    pub fn metered(&mut self, frame: Frame) {
        self.push(Piece::new(TEXT, Body::Shared(frame), true));
    }

    /// A text frame of the pipe's own.
    pub fn text(&mut self, frame: Frame) {
        self.push(Piece::new(TEXT, Body::Shared(frame), false));
    }

    /// A whole message, as it is.
    pub fn message(&mut self, bytes: Vec<u8>, is_text: bool) {
        let first = if is_text { TEXT } else { BINARY };
        self.push(Piece::new(first, Body::Own(bytes.into()), false));
    }

    /// A control frame: ping 9, pong 10, close 8; at most 125 bytes, the rest is cut off (RFC 6455 §5.5).
    pub fn control(&mut self, opcode: u8, payload: &[u8]) {
        let payload = payload.get(..payload.len().min(125)).unwrap_or_default();
        self.push(Piece::new(0x80 | opcode, Body::Own(payload.into()), false));
    }

    fn push(&mut self, piece: Piece) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
    }

    /// Returns whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes that wait to be written.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.bytes - self.sent
    }

    /// Memory that waits: a pong of 2 bytes on the wire takes some twenty times as much here.
    pub fn held_bytes(&self) -> usize {
        self.bytes - self.sent + self.pieces.len() * size_of::<Piece>()
    }

    /// Writes as much as the socket takes; how many metered bytes are out with it. `Ready` = nothing waits any more, here or in TLS.
    pub fn write(
        &mut self,
        mut socket: Pin<&mut impl AsyncWrite>,
        task: &mut Context<'_>,
        mut written: impl FnMut(usize),
    ) -> Poll<io::Result<()>> {
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); 2 * AT_ONCE];
            let mut filled = 0;
            for (slot, bytes) in slices.iter_mut().zip(self.waiting()) {
                *slot = IoSlice::new(bytes);
                filled += 1;
            }
            let slices = slices.get(..filled).unwrap_or_default();
            let n = ready!(socket.as_mut().poll_write_vectored(task, slices))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            written(self.advance(n));
        }
        // An idle connection holds no queue.
        self.pieces = VecDeque::new();
        // TLS may have taken what the socket has not.
        socket.poll_flush(task)
    }

    fn waiting(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().enumerate().flat_map(|(place, piece)| {
            let sent = if place == 0 { self.sent } else { 0 };
            let (head, body) = (piece.head(), piece.body.bytes());
            let of_body = sent.saturating_sub(head.len());
            [head.get(sent..).unwrap_or_default(), body.get(of_body..).unwrap_or_default()]
        })
    }

    /// So many bytes are out; how many metered ones belonged to frames that are whole now.
    fn advance(&mut self, n: usize) -> usize {
        let mut freed = 0;
        self.sent += n;
        while let Some(piece) = self.pieces.front().filter(|piece| piece.len() <= self.sent) {
            self.sent -= piece.len();
            self.bytes -= piece.len();
            if piece.metered {
                freed += piece.body.bytes().len();
            }
            self.pieces.pop_front();
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// Takes a few bytes at a time.
    struct Slow {
        taken: Vec<u8>,
        at_once: usize,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let n = bytes.len().min(self.at_once);
            self.taken.extend(bytes.iter().take(n));
            Poll::Ready(Ok(n))
        }
        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).take(self.at_once).collect();
            self.taken.extend(&bytes);
            Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn frames_go_out_whole_and_in_order_however_little_the_socket_takes() {
        let texts: Vec<String> = [0, 1, 125, 126, 65_535, 65_536].iter().map(|n| "x".repeat(*n)).collect();
        let mut expected = Vec::new();
        for text in &texts {
            match text.len() {
                n @ 0..126 => expected.extend([0x81, n as u8]),
                n @ 126..65_536 => {
                    expected.extend([0x81, 126]);
                    expected.extend((n as u16).to_be_bytes());
                }
                n => {
                    expected.extend([0x81, 127]);
                    expected.extend((n as u64).to_be_bytes());
                }
            }
            expected.extend(text.as_bytes());
            expected.extend([0x89, 2, b'h', b'i']);
        }
        for at_once in [1, 2, 3, 7, 1_000, 1 << 20] {
            let mut outgoing = Outgoing::default();
            for text in &texts {
                outgoing.metered(text.as_str().into());
                outgoing.control(9, b"hi");
            }
            assert_eq!(outgoing.bytes(), expected.len());
            let mut socket = Slow { taken: Vec::new(), at_once };
            let mut freed = 0;
            let mut task = Context::from_waker(Waker::noop());
            let done = outgoing.write(Pin::new(&mut socket), &mut task, |n| freed += n);
            assert!(matches!(done, Poll::Ready(Ok(()))));
            assert!(socket.taken == expected, "{at_once} bytes at a time");
            assert_eq!(freed, texts.iter().map(String::len).sum::<usize>());
            assert!(outgoing.is_empty() && outgoing.bytes() == 0);
        }
    }

    #[test]
    fn many_small_answers_weigh_what_they_take() {
        let mut outgoing = Outgoing::default();
        for _ in 0..1_000 {
            outgoing.control(10, b"");
        }
        assert_eq!(outgoing.bytes(), 2_000);
        assert!(outgoing.held_bytes() >= 1_000 * size_of::<Piece>());
    }

    #[test]
    fn a_control_frame_is_never_longer_than_the_protocol_allows() {
        let mut outgoing = Outgoing::default();
        outgoing.control(8, &[7; 300]);
        assert_eq!(outgoing.bytes(), 2 + 125);
    }
}
