//! How each server is spoken to: what follows the upgrade, what means "ready", where the body of a message is.

use super::ledger::Body;
use super::wire::{self, BINARY, TEXT};

/// A server the generator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Tidings,
    Nchan,
    Nats,
    SocketIo,
    Centrifugo,
}

/// What a frame meant.
pub enum Meaning<'a> {
    /// Logged in, or subscribed.
    Ready,
    /// Nothing to act on.
    Nothing,
    /// Bytes that may hold messages.
    Messages(&'a [u8]),
}

/// What a Tidings message says besides its body.
pub struct Envelope<'a> {
    pub id: Option<u128>,
    pub epoch: Option<&'a str>,
    pub offset: Option<i64>,
}

impl Dialect {
    pub fn path(self, user: u32) -> String {
        match self {
            Self::Tidings => "/ws".to_owned(),
            Self::Nchan => format!("/sub/{user}"),
            Self::Nats => "/".to_owned(),
            Self::SocketIo => format!("/socket.io/?EIO=4&transport=websocket&user={user}"),
            Self::Centrifugo => "/connection/websocket".to_owned(),
        }
    }

    /// Is a client ready once the upgrade is answered?
    pub fn ready_at_once(self) -> bool {
        self == Self::Nchan
    }

    /// What a client says first.
    pub fn hello(self, user: u32, resume: Option<(&str, i64)>, out: &mut Vec<u8>) {
        match self {
            Self::Tidings => {
                let resume = resume.map_or(String::new(), |(epoch, offset)| {
                    format!(",\"resume\":{{\"epoch\":\"{epoch}\",\"offset\":{offset}}}")
                });
                let login = format!("{{\"type\":\"login\",\"user_id\":{user},\"device\":\"load\"{resume}}}");
                wire::encode(TEXT, login.as_bytes(), out);
            }
            Self::Nats => {
                let hello = format!(
                    "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB all 1\r\nSUB u.{user} 2\r\nPING\r\n"
                );
                wire::encode(BINARY, hello.as_bytes(), out);
            }
            Self::Centrifugo => {
                let recover = resume.map_or(String::new(), |(epoch, offset)| {
                    format!(",\"recover\":true,\"epoch\":\"{epoch}\",\"offset\":{offset}")
                });
                let hello = format!(
                    "{{\"id\":1,\"connect\":{{}}}}\n{{\"id\":2,\"subscribe\":{{\"channel\":\"all:all\"}}}}\n\
                     {{\"id\":3,\"subscribe\":{{\"channel\":\"user:{user}\"{recover}}}}}"
                );
                wire::encode(TEXT, hello.as_bytes(), out);
            }
            Self::Nchan | Self::SocketIo => {}
        }
    }

    /// The messages of one frame.
    pub fn parts(self, payload: &[u8]) -> impl Iterator<Item = &[u8]> {
        payload.split(move |byte| self == Self::Centrifugo && *byte == b'\n')
    }

    /// Looks at one frame; answers go to `out`.
    pub fn read<'a>(self, payload: &'a [u8], out: &mut Vec<u8>) -> Meaning<'a> {
        match self {
            Self::Tidings if payload.starts_with(b"{\"type\":\"welcome\"") => Meaning::Ready,
            Self::Tidings if payload.starts_with(b"{\"type\":\"notification\"") => Meaning::Messages(payload),
            Self::Tidings if payload.starts_with(b"{\"type\":\"recommendation\"") => {
                Meaning::Messages(payload)
            }
            Self::Tidings => Meaning::Nothing,
            Self::Nchan => Meaning::Messages(payload),
            Self::Nats if payload.starts_with(b"PONG") => Meaning::Ready,
            Self::Nats if payload.starts_with(b"PING") => {
                wire::encode(BINARY, b"PONG\r\n", out);
                Meaning::Nothing
            }
            Self::Nats => Meaning::Messages(payload),
            Self::SocketIo => match payload {
                [b'0', ..] => {
                    wire::encode(TEXT, b"40", out);
                    Meaning::Nothing
                }
                [b'2'] => {
                    wire::encode(TEXT, b"3", out);
                    Meaning::Nothing
                }
                [b'4', b'0', ..] => Meaning::Ready,
                _ => Meaning::Messages(payload),
            },
            Self::Centrifugo if payload == b"{}" => {
                wire::encode(TEXT, b"{}", out);
                Meaning::Nothing
            }
            Self::Centrifugo if payload.starts_with(b"{\"id\":3,\"subscribe\"") => Meaning::Ready,
            Self::Centrifugo if payload.starts_with(b"{\"push\"") => Meaning::Messages(payload),
            Self::Centrifugo => Meaning::Nothing,
        }
    }

    /// Was the client to go on where it left off, and could not?
    pub fn is_unrecovered(self, payload: &[u8], resumed: bool) -> bool {
        match self {
            Self::Centrifugo => resumed && wire::find(payload, b"\"recovered\":true").is_none(),
            _ => wire::find(payload, b"\"recovered\":false").is_some(),
        }
    }

    /// Whose ids and offsets are checked.
    pub fn envelope(self, payload: &[u8]) -> Envelope<'_> {
        let is_numbered = match self {
            Self::Tidings => true,
            // What goes to everybody has no number of the user's own.
            Self::Centrifugo => !payload.starts_with(b"{\"push\":{\"channel\":\"all:"),
            Self::Nchan | Self::Nats | Self::SocketIo => false,
        };
        if !is_numbered {
            return Envelope { id: None, epoch: None, offset: None };
        }
        let field = |name: &[u8]| -> Option<&str> {
            let from = wire::find(payload, name)? + name.len();
            let end = payload[from..].iter().position(|byte| matches!(byte, b',' | b'}' | b'"'))?;
            std::str::from_utf8(&payload[from..from + end]).ok()
        };
        let id = field(b"\"notification_id\":\"")
            .and_then(|text| u128::from_str_radix(&text.replace('-', ""), 16).ok());
        let offset = match self {
            // Those of messages that were missed come before the channel's own.
            Self::Centrifugo => last_number(payload, b"\"offset\":"),
            _ => field(b"\"offset\":").and_then(|text| text.parse().ok()),
        };
        Envelope { id, epoch: field(b"\"epoch\":\""), offset }
    }

    /// Every body in a payload.
    pub fn bodies(self, mut payload: &[u8], mut each: impl FnMut(Result<Body, ()>)) {
        while let Some((body, end)) = Body::find(payload) {
            each(body);
            payload = &payload[end..];
        }
    }
}

fn last_number(payload: &[u8], name: &[u8]) -> Option<i64> {
    let from = payload.windows(name.len()).rposition(|window| window == name)? + name.len();
    let length = payload[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&payload[from..from + length]).ok()?.parse().ok()
}
