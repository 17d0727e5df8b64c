//! A proxy in front of a server whose line can be broken: answers that are cut off, that are not what was asked for, or none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{io, thread};

/// State of the line. Files of the page pass in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Everything passes.
    Open,
    /// A request gets no answer.
    Gone,
    /// Answers end in the middle of their body.
    Cut,
    /// Answers are a page of HTML, as those of a login page in between.
    Html,
    /// Answers are `null`.
    Null,
    /// Answers are JSON of another shape.
    Strange,
}

struct Shared {
    state: Line,
    open: Vec<TcpStream>,
}

/// A running proxy.
pub struct BrokenLine {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl BrokenLine {
    /// An open line to a server.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared { state: Line::Open, open: Vec::new() }));
        let of_listener = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = of_listener.clone();
                thread::spawn(move || drop(serve(client, server, &shared)));
            }
        });
        Self { address, shared }
    }

    /// Changes the state; connections that are open end.
    pub fn set(&self, state: Line) {
        let mut shared = self.shared.lock().unwrap();
        shared.state = state;
        for stream in shared.open.drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// One connection: its first request decides.
fn serve(client: TcpStream, server: SocketAddr, shared: &Mutex<Shared>) -> io::Result<()> {
    let state = {
        let mut shared = shared.lock().unwrap();
        shared.open.push(client.try_clone()?);
        shared.state
    };
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let is_api = ["/v1/", "/admin/", "/ws"].iter().any(|start| path.starts_with(start));
    if state == Line::Open {
        return pass(reader, client, server, &head);
    }
    if !is_api {
        // No other request may follow on this connection.
        let head = head.replace("Connection: keep-alive", "Connection: close");
        return pass(reader, client, server, &head);
    }
    let json = |body: &str| answer("application/json", body.len(), body);
    let broken = match state {
        Line::Open | Line::Gone => String::new(),
        Line::Cut => answer("application/json", 5_000, "{\"items\":[{\"item_id\""),
        Line::Html => answer("text/html", 35, "<!doctype html><title>Log in</title>"),
        Line::Null => json("null"),
        Line::Strange => {
            json("{\"items\":7,\"users\":{},\"messages\":null,\"history\":3,\"rates\":\"none\"}")
        }
    };
    (&client).write_all(broken.as_bytes())?;
    client.shutdown(Shutdown::Both)
}

fn answer(kind: &str, length: usize, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn pass(
    mut reader: BufReader<TcpStream>,
    client: TcpStream,
    server: SocketAddr,
    head: &str,
) -> io::Result<()> {
    let upstream = TcpStream::connect(server)?;
    (&upstream).write_all(head.as_bytes())?;
    (&upstream).write_all(reader.buffer())?;
    let (mut from, mut to) = (upstream.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Both));
    });
    let buffered = reader.buffer().len();
    reader.consume(buffered);
    let mut bytes = [0; 16_384];
    loop {
        match reader.get_mut().read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(n) => (&upstream).write_all(&bytes[..n])?,
        }
    }
    drop(upstream.shutdown(Shutdown::Both));
    drop(back.join());
    Ok(())
}
