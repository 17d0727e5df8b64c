//! WebSocket clients in numbers: small buffers, one thread's runtime, exact timestamps.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

pub type Socket = WebSocketStream<TcpStream>;

/// Room for many sockets in this process; the server inherits it.
pub fn raise_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain calls with a valid pointer.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    limit.rlim_cur
}

/// Connects and logs in; done when the welcome is there.
pub async fn login(address: SocketAddr, user: i64) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(0);
    let (mut socket, _) =
        client_async_with_config(format!("ws://{address}/ws"), stream, Some(config)).await.unwrap();
    socket.send(Message::text(json!({"type": "login", "user_id": user}).to_string())).await.unwrap();
    loop {
        let frame = socket.next().await.unwrap().unwrap();
        if let Message::Text(text) = frame
            && text.as_str().starts_with("{\"type\":\"welcome\"")
        {
            return socket;
        }
    }
}

/// One client's part of the load: views at its own moments, each answered by a push; latencies in milliseconds.
pub async fn views(
    mut socket: Socket,
    items: Vec<i64>,
    every: Duration,
    first: Duration,
) -> (Vec<f64>, usize) {
    tokio::time::sleep(first).await;
    let mut latencies = Vec::new();
    let mut unanswered = 0;
    let mut tick = tokio::time::interval(every);
    for item in items {
        tick.tick().await;
        let event = json!({"type": "event", "kind": "view", "item_id": item, "dwell_ms": 2000});
        let sent = Instant::now();
        socket.send(Message::text(event.to_string())).await.unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(5), async {
            loop {
                let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
                if text.as_str().starts_with("{\"type\":\"recommendation\"") {
                    let frame: Value = serde_json::from_str(text.as_str()).unwrap();
                    if frame["trigger"] == "view" {
                        return;
                    }
                }
            }
        })
        .await;
        match answered {
            Ok(()) => latencies.push(sent.elapsed().as_secs_f64() * 1e3),
            Err(_) => unanswered += 1,
        }
    }
    (latencies, unanswered)
}
