//! TCP options of every accepted connection.

use std::time::Duration;

use actix_web::rt::net::TcpStream;
use socket2::SockRef;

/// Bound on the unsent data of one connection in the kernel; it doubles the figure for its own bookkeeping.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Ends a connection whose peer acknowledges no data for `timeout` (RFC 5482), which a heartbeat inside a session
/// can't: a session is polled as its response's body and freezes with a client that stops reading (measured:
/// ended 2.0 s after it stopped at a setting of 2 s). Also switches off Nagle's algorithm, since messages are small and
/// urgent, and bounds what the kernel holds for a client that reads slowly: left alone it grows to 4 MB a connection.
pub fn tune(stream: &TcpStream, timeout: Duration) {
    let socket = SockRef::from(stream);
    let tuned = socket
        .set_tcp_user_timeout(Some(timeout))
        .and_then(|()| socket.set_tcp_nodelay(true))
        .and_then(|()| socket.set_send_buffer_size(SEND_BUFFER_BYTES));
    if let Err(error) = tuned {
        log::warn!("tcp options not set error={error}");
    }
}
