//! `GET /metrics` on an address of its own: the smallest server that Prometheus can read.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::observed::Observed;

/// Largest request head read, bytes.
const MAX_HEAD: usize = 8 << 10;
/// Longest time for one request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Serves the page until this process ends.
pub async fn serve(address: &str, observed: Rc<Observed>) -> Result<(), String> {
    let listener =
        TcpListener::bind(address).await.map_err(|error| format!("metrics.listen {address}: {error}"))?;
    match listener.local_addr() {
        Ok(address) => log::info!("metrics are at http://{address}/metrics"),
        Err(error) => log::warn!("metrics.listen: {error}"),
    }
    actix_rt::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let observed = Rc::clone(&observed);
                    actix_rt::spawn(
                        async move { tokio::time::timeout(TIMEOUT, answer(stream, &observed)).await },
                    );
                }
                // Out of sockets, most likely; others will close.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(())
}

async fn answer(mut stream: TcpStream, observed: &Observed) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_HEAD {
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            n => head.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
    let (status, kind, body) = if head.starts_with(b"GET /metrics ") || head.starts_with(b"GET /metrics?") {
        ("200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8", observed.page())
    } else {
        ("404 Not Found", "text/plain", "there is only GET /metrics\n".to_owned())
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
