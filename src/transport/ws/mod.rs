//! WebSocket pipes (RFC 6455). What is said on a connection is one file, how it is written another:
//!
//! - `conversation.rs` login, rates, deadlines, fragments, close codes: frames in, [`Wire`] calls out;
//! - `incoming.rs` bytes to messages, headers checked before payloads are buffered;
//! - `outgoing.rs` frames waiting to be written;
//! - `socket.rs` an actor that owns its TCP socket, the default;
//! - `session.rs` an actor of actix-web-actors (`socket.backend = "actix-web-actors"`), 11 KB more a connection.
//!
//! [`Wire`]: conversation::Wire

mod conversation;
pub mod incoming;
mod outgoing;
pub mod session;
pub mod socket;

use tidings_core::config;

/// Subprotocols that a client may name in `Sec-WebSocket-Protocol` (RFC 6455 §1.9); the talk is the same without any.
pub const SUBPROTOCOLS: [&str; 1] = ["tidings.v1"];

/// The first subprotocol offered in a value of `Sec-WebSocket-Protocol` that the server knows.
pub fn subprotocol(offered: &str) -> Option<&'static str> {
    let mut offered = offered.split(',').map(str::trim);
    offered.find_map(|name| SUBPROTOCOLS.into_iter().find(|known| *known == name))
}

/// Limits of every pipe.
#[derive(Debug)]
pub struct Limits {
    /// Sizes and times.
    pub socket: config::Socket,
    /// Most events in one frame.
    pub max_events: usize,
}
