//! A WebSocket client as a stranger would write one.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::described;

pub struct Client {
    socket: WebSocket<TcpStream>,
}

impl Client {
    /// Connects without logging in.
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), address)
    }

    /// Connects with headers of a browser.
    pub fn connect_with(address: SocketAddr, headers: &[(&'static str, &str)]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = tungstenite::client(request, stream).unwrap();
        Self { socket }
    }

    /// Connects with a receive buffer so small that not reading is soon noticed.
    pub fn connect_small(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into(), address)
    }

    fn over(stream: TcpStream, address: SocketAddr) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{address}/ws"), stream).unwrap();
        Self { socket }
    }

    /// Connects and logs in as the minimal exchange does; returns the first recommendation too.
    pub fn login(address: SocketAddr, user: Value) -> (Self, Value) {
        let mut client = Self::connect(address);
        client.send(&json!({"type": "login", "user_id": user}));
        let recommendation = client.expect("recommendation");
        (client, recommendation)
    }

    pub fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).unwrap();
    }

    pub fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// The TCP stream beneath, for bytes that no client would send.
    pub fn tcp(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }

    /// The next JSON frame; an error when the connection ends or nothing comes in time.
    pub fn next(&mut self) -> Result<Value, tungstenite::Error> {
        loop {
            match self.socket.read()? {
                Message::Text(text) => {
                    let frame = serde_json::from_str(text.as_str()).unwrap();
                    described::check(&frame);
                    return Ok(frame);
                }
                Message::Close(_) => return Err(tungstenite::Error::ConnectionClosed),
                _ => {}
            }
        }
    }

    /// Reads until a frame of this type comes.
    pub fn expect(&mut self, kind: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let frame = self.next().unwrap_or_else(|error| panic!("waiting for {kind}: {error}"));
            if frame["type"] == kind {
                return frame;
            }
        }
        panic!("no {kind} in time");
    }

    /// Reads until the server closes; the code it gives.
    pub fn close_code(&mut self) -> u16 {
        self.close().0
    }

    /// Reads until the server closes; the code and the reason it gives.
    pub fn close(&mut self) -> (u16, String) {
        loop {
            match self.socket.read() {
                Ok(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
                Ok(_) => {}
                Err(error) => panic!("ended without a close frame: {error}"),
            }
        }
    }
}
