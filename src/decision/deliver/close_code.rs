//! Reasons for the end of a connection. The code carries the verdict: 3000–3499 reconnect with back-off, 3500–3999 do not.

/// WebSocket close codes of the private range (RFC 6455 §7.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The server is going down; come back in a moment.
    ShuttingDown = 3001,
    /// The token has expired; log in with a new one.
    TokenExpired = 3005,
    /// The client reads too slowly; resume.
    TooSlow = 3008,
    /// The server lost its place in the stream; log in again.
    StreamLost = 3010,
    /// No answer to a ping.
    NoPong = 3012,
    /// Too many frames.
    TooManyRequests = 3013,
    /// The token is not valid.
    BadToken = 3500,
    /// A frame that is not a message of this protocol.
    BadFrame = 3501,
    /// No login in time.
    NoLogin = 3502,
    /// Signed out by an administrator.
    SignedOut = 3503,
    /// The user has too many open connections.
    TooManyConnections = 3504,
    /// The user was erased.
    Erased = 3505,
    /// Not allowed.
    NotPermitted = 3507,
}

impl CloseCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// Returns whether the client should come back by itself.
    pub fn reconnect(self) -> bool {
        self.code() < 3500
    }

    /// Short text for the close frame.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutting down",
            Self::TokenExpired => "token expired",
            Self::TooSlow => "too slow",
            Self::StreamLost => "stream lost, log in again",
            Self::NoPong => "no pong",
            Self::TooManyRequests => "too many requests",
            Self::BadToken => "bad token",
            Self::BadFrame => "bad frame",
            Self::NoLogin => "no login in time",
            Self::SignedOut => "signed out",
            Self::TooManyConnections => "too many connections",
            Self::Erased => "user erased",
            Self::NotPermitted => "not permitted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_says_whether_to_come_back() {
        assert!(CloseCode::TooSlow.reconnect());
        assert!(!CloseCode::BadToken.reconnect());
    }
}
