//! The web site of a shop: an origin of its own with a few files, for pages and service workers that are not the server's.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A site; it lasts as long as the process.
pub struct Site {
    pub address: SocketAddr,
}

impl Site {
    /// Serves these files, by their paths; below `/products/` there is an empty page wherever one looks.
    pub fn start(files: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files: BTreeMap<String, String> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let files = Arc::new(files);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let files = Arc::clone(&files);
                thread::spawn(move || answer(stream, &files));
            }
        });
        Self { address }
    }

    /// The origin, such as `http://127.0.0.1:4711`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn answer(stream: TcpStream, files: &BTreeMap<String, String>) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = first.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/");
    let asked_by_itself = path == "/favicon.ico" || path.starts_with("/products/");
    let empty = asked_by_itself.then_some("<!doctype html><title>Shop</title>");
    let found = files.get(path).map(String::as_str).or(empty);
    let kind = if path.ends_with(".js") { "text/javascript" } else { "text/html; charset=utf-8" };
    let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
    let body = found.unwrap_or_default();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    let _ = (&stream).write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
}
