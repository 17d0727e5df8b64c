//! Who sends: HTTP over kept connections, several in flight; for NATS its own protocol. A message counts as accepted
//! when the server has answered for it.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::dialect::Dialect;
use super::ledger::{Body, Ledger};
use super::wire;

/// Channels of Centrifugo's that one request publishes to.
const CHANNELS_A_REQUEST: usize = 500;

/// Sends for one server; each takes one request at a time.
pub struct Publisher {
    dialect: Dialect,
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    /// Each message has a key by which a repetition is known. No peer has that.
    keyed: bool,
    /// Messages to everyone are for those connected now and not kept, which is all that most peers can do.
    ephemeral: bool,
    /// Users that there are, for a peer that keeps a message to everyone only by naming each.
    kept_for: u32,
}

impl Publisher {
    /// Connects with the first request. For NATS, `address` is that of its own protocol.
    pub fn new(dialect: Dialect, address: SocketAddr) -> Self {
        Self {
            dialect,
            address,
            stream: None,
            buffer: Vec::new(),
            keyed: false,
            ephemeral: false,
            kept_for: 0,
        }
    }

    /// For who sends again when it is not known whether a message was taken.
    pub fn with_keys(self) -> Self {
        Self { keyed: true, ..self }
    }

    /// What goes to everyone is not kept for them.
    pub fn ephemeral(self) -> Self {
        Self { ephemeral: true, ..self }
    }

    /// What goes to everyone is kept for each of so many.
    pub fn kept_for(self, users: u32) -> Self {
        Self { kept_for: users, ..self }
    }

    /// The same with a connection of its own to come: an answer that is still due must not be taken for another's.
    pub fn again(self) -> Self {
        Self { stream: None, buffer: Vec::new(), ..self }
    }

    /// Sends messages, notes those accepted. An error leaves it open whether they were taken.
    pub async fn send(&mut self, bodies: &[Body], ledger: &Rc<RefCell<Ledger>>) -> io::Result<()> {
        let result = match self.dialect {
            Dialect::Tidings => self.tidings(bodies).await,
            Dialect::Nchan => self.nchan(bodies).await,
            Dialect::Nats => self.nats(bodies).await,
            Dialect::SocketIo => self.socket_io(bodies).await,
            Dialect::Centrifugo => self.centrifugo(bodies).await,
        };
        match result {
            Ok(()) => {
                let mut ledger = ledger.borrow_mut();
                bodies.iter().for_each(|body| ledger.accepted(*body));
                Ok(())
            }
            Err(error) => {
                self.stream = None;
                self.buffer.clear();
                Err(error)
            }
        }
    }

    async fn tidings(&mut self, bodies: &[Body]) -> io::Result<()> {
        let messages: Vec<serde_json::Value> = bodies
            .iter()
            .map(|body| {
                let to = match body.user {
                    0 => serde_json::json!({"everyone": true}),
                    user => serde_json::json!({"user_ids": [user]}),
                };
                let mut message = serde_json::json!({"to": to, "kind": "announcement", "category": "news",
                    "title": "News", "body": body.encode()});
                if self.ephemeral {
                    message["ephemeral"] = true.into();
                }
                if self.keyed {
                    message["dedupe_key"] = format!("{}-{}", body.user, body.n).into();
                }
                message
            })
            .collect();
        let text = match messages.as_slice() {
            [one] => one.to_string(),
            many => serde_json::Value::from(many).to_string(),
        };
        let (status, answer) = self.request("/v1/notifications", "application/json", text.as_bytes()).await?;
        let refused = wire::find(&answer, b"\"rejected\":[]").is_none()
            && wire::find(&answer, b"\"rejected\"").is_some();
        if !(200..300).contains(&status) || refused {
            let answer = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
            return Err(io::Error::other(format!("{status} {answer}")));
        }
        Ok(())
    }

    /// One request a message: nchan has no other way to tell users apart.
    async fn nchan(&mut self, bodies: &[Body]) -> io::Result<()> {
        for body in bodies {
            let path =
                format!("/pub/{}", if body.user == 0 { "all".to_owned() } else { body.user.to_string() });
            let (status, _) = self.request(&path, "text/plain", body.encode().as_bytes()).await?;
            if !(200..300).contains(&status) {
                return Err(io::Error::other(format!("nchan answered {status}")));
            }
        }
        Ok(())
    }

    async fn socket_io(&mut self, bodies: &[Body]) -> io::Result<()> {
        let messages: Vec<serde_json::Value> =
            bodies.iter().map(|body| serde_json::json!({"user": body.user, "body": body.encode()})).collect();
        let text = serde_json::Value::from(messages).to_string();
        let (status, _) = self.request("/publish", "application/json", text.as_bytes()).await?;
        if status == 202 { Ok(()) } else { Err(io::Error::other(format!("Socket.IO answered {status}"))) }
    }

    /// What goes to everyone goes to one channel, or is kept in the channel of each of `kept_for` users.
    async fn centrifugo(&mut self, bodies: &[Body]) -> io::Result<()> {
        let data = |body: &Body| serde_json::json!({"body": body.encode()});
        let publish = |channel: String, body: &Body| serde_json::json!({"publish": {"channel": channel, "data": data(body)}});
        let users: Vec<u32> = (1..=self.kept_for).collect();
        let is_kept = !self.ephemeral;
        for body in bodies.iter().filter(|body| body.user == 0 && is_kept) {
            // All channels in one request are more than its time allows.
            for some in users.chunks(CHANNELS_A_REQUEST) {
                let channels: Vec<String> = some.iter().map(|user| format!("user:{user}")).collect();
                let command = serde_json::json!({"broadcast": {"channels": channels, "data": data(body)}});
                self.batch(vec![command]).await?;
            }
        }
        let commands: Vec<serde_json::Value> = bodies
            .iter()
            .filter_map(|body| match body.user {
                0 if self.ephemeral => Some(publish("all:all".to_owned(), body)),
                0 => None,
                user => Some(publish(format!("user:{user}"), body)),
            })
            .collect();
        if commands.is_empty() { Ok(()) } else { self.batch(commands).await }
    }

    /// Commands of Centrifugo's in one request, answered for together.
    async fn batch(&mut self, commands: Vec<serde_json::Value>) -> io::Result<()> {
        let text = serde_json::json!({"commands": commands, "parallel": true}).to_string();
        let (status, answer) = self.request("/api/batch", "application/json", text.as_bytes()).await?;
        if status == 200 && wire::find(&answer, b"\"error\"").is_none() {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
        Err(io::Error::other(format!("{status} {answer}")))
    }

    /// All at once, then PING: its PONG says that the server has read them.
    async fn nats(&mut self, bodies: &[Body]) -> io::Result<()> {
        let mut out = Vec::new();
        if self.stream.is_none() {
            self.stream = Some(TcpStream::connect(self.address).await?);
            out.extend_from_slice(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        }
        for body in bodies {
            let subject = if body.user == 0 { "all".to_owned() } else { format!("u.{}", body.user) };
            let text = body.encode();
            out.extend_from_slice(format!("PUB {subject} {}\r\n{text}\r\n", text.len()).as_bytes());
        }
        out.extend_from_slice(b"PING\r\n");
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(&out).await?;
        self.buffer.clear();
        while wire::find(&self.buffer, b"PONG\r\n").is_none() {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if wire::find(&self.buffer, b"PING\r\n").is_some() {
                stream.write_all(b"PONG\r\n").await?;
            }
        }
        Ok(())
    }

    /// `POST`; status and body.
    pub async fn request(&mut self, path: &str, kind: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let stream = match &mut self.stream {
            Some(stream) => stream,
            empty => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                empty.insert(stream)
            }
        };
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        stream.write_all(&request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = wire::find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_lowercase();
        let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        let length: Option<usize> =
            text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        // Chunks are left as they came: nothing but errors is looked for in them.
        let is_chunked = text.contains("transfer-encoding: chunked");
        let is_whole = |buffer: &[u8]| match length {
            Some(length) => buffer.len() >= head + length,
            None => !is_chunked || buffer[head..].ends_with(b"0\r\n\r\n"),
        };
        while !is_whole(&self.buffer) {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok((status, self.buffer[head..].to_vec()))
    }
}
