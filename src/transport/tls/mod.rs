//! TLS 1.2 and 1.3 for accepted connections (RFC 8446, RFC 5246), by rustls:
//!
//! - `certificate.rs` the pair of files that serves, replaced whole while connections go on;
//! - `handshake.rs` a connection's first bytes: bounded in time, in number and by address;
//! - `stream.rs` an accepted connection with or without TLS.

mod certificate;
mod handshake;
mod stream;

pub use certificate::{Certificate, CertificateError, Serving};
pub use handshake::{Handshake, Handshakes};
pub use stream::Stream;
