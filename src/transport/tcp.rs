//! TCP options of every accepted connection.

use std::any::Any;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use socket2::SockRef;

/// Ends a connection whose peer acknowledges no data for `timeout` (RFC 5482), which a heartbeat inside a session
/// can't: a session is polled as its response's body and freezes with a client that stops reading (measured:
/// ended 2.0 s after it stopped at a setting of 2 s). Also switches off Nagle's algorithm: messages are small and urgent.
pub fn tune(connection: &dyn Any, timeout: Duration) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = SockRef::from(stream);
    if let Err(error) = socket.set_tcp_user_timeout(Some(timeout)).and_then(|()| socket.set_tcp_nodelay(true))
    {
        log::warn!("tcp options not set error={error}");
    }
}
