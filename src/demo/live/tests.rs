//! The simulation against a server of a few lines, over real sockets.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;

/// Accepts everything, answers each view with a recommendation; closes every connection after `frames` frames with
/// `code`. Everything received is written to the log.
async fn serve(frames: usize, code: u16) -> (String, Arc<Mutex<Vec<Value>>>, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let log = Arc::new(Mutex::new(Vec::new()));
    let (heard, hearing) = watch::channel(0);
    let (log_of_server, heard) = (Arc::clone(&log), Arc::new(heard));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (log, heard) = (Arc::clone(&log_of_server), Arc::clone(&heard));
            tokio::spawn(async move {
                let mut socket = accept_async(stream).await.unwrap();
                let mut offset = 0;
                for _ in 0..frames {
                    let Some(Ok(Message::Text(text))) = socket.next().await else { return };
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    let mut answers = Vec::new();
                    if frame["type"] == "login" {
                        answers.push(json!({"type": "welcome", "epoch": "e", "offset": 0, "user_id": frame["user_id"]}));
                    }
                    if frame["type"] == "event" {
                        answers.push(
                            json!({"type": "accepted", "event_id": frame["event_id"], "duplicate": false}),
                        );
                    }
                    if frame["kind"] == "view" {
                        offset += 1;
                        answers.push(json!({"type": "recommendation", "notification_id": format!("{}-{offset}", frame["event_id"]),
                            "epoch": "e", "offset": offset, "recommendations": [frame["item_id"], 101, 102]}));
                    }
                    log.lock().push(frame);
                    heard.send_modify(|count| *count += 1);
                    for answer in answers {
                        if socket.send(Message::text(answer.to_string())).await.is_err() {
                            return;
                        }
                    }
                }
                let close = CloseFrame { code: CloseCode::from(code), reason: "enough".into() };
                let _ = socket.close(Some(close)).await;
                while socket.next().await.is_some() {}
            });
        }
    });
    (url, log, hearing)
}

fn options(url: String) -> LiveOptions {
    let (shoppers, pace) = (6, Duration::from_millis(15));
    LiveOptions { shoppers, pace, duration: Some(Duration::from_secs(60)), ..LiveOptions::new(url) }
}

fn of_type<'a>(log: &'a [Value], kind: &str) -> Vec<&'a Value> {
    log.iter().filter(|frame| frame["type"] == kind).collect()
}

#[tokio::test]
async fn shoppers_log_in_act_acknowledge_react_and_leave_when_told() {
    let (url, log, mut heard) = serve(usize::MAX, 1000).await;
    let (stop, stopping) = watch::channel(false);
    let simulation = tokio::spawn(run(options(url), stopping));
    heard.wait_for(|count| *count > 600).await.unwrap();
    stop.send(true).unwrap();
    let summary = tokio::time::timeout(Duration::from_secs(10), simulation).await.unwrap().unwrap().unwrap();
    let log = log.lock();
    let logins = of_type(&log, "login");
    assert!(logins.len() as u64 >= 6 && summary.connections >= logins.len() as u64, "{summary:?}");
    assert!(
        logins.iter().all(|login| login["user_id"].as_i64().unwrap() >= 20 && login["time_zone"].is_string())
    );
    let kinds: HashSet<&str> =
        of_type(&log, "event").iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert!(
        ["search", "view", "add_to_cart", "purchase"].iter().all(|kind| kinds.contains(kind)),
        "{kinds:?}"
    );
    let outcomes: HashSet<&str> =
        of_type(&log, "feedback").iter().map(|feedback| feedback["outcome"].as_str().unwrap()).collect();
    assert!(
        ["displayed", "clicked", "dismissed"].iter().all(|outcome| outcomes.contains(outcome)),
        "{outcomes:?}"
    );
    assert!(!of_type(&log, "ack").is_empty());
    assert!(summary.notifications > 20 && summary.clicked > 0 && summary.accepted > 100, "{summary:?}");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_resumed() {
    let (url, log, mut heard) = serve(12, 3001).await;
    let (stop, stopping) = watch::channel(false);
    let simulation = tokio::spawn(run(options(url), stopping));
    heard.wait_for(|count| *count > 150).await.unwrap();
    stop.send(true).unwrap();
    let summary = tokio::time::timeout(Duration::from_secs(10), simulation).await.unwrap().unwrap().unwrap();
    assert!(summary.connections > summary.visits, "{summary:?}");
    let log = log.lock();
    let resumed = of_type(&log, "login").into_iter().filter(|login| login["resume"]["epoch"] == "e").count();
    assert!(resumed > 0);
}

#[tokio::test]
async fn a_final_verdict_ends_the_simulation_with_its_reason() {
    let (url, _, _) = serve(1, 3500).await;
    let (_stop, stopping) = watch::channel(false);
    let error = run(options(url), stopping).await.unwrap_err().to_string();
    assert!(error.contains("3500 enough"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_does_not_keep_the_simulation_from_stopping() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    drop(listener);
    let (stop, stopping) = watch::channel(false);
    let simulation = tokio::spawn(run(options(url), stopping));
    stop.send(true).unwrap();
    let summary = tokio::time::timeout(Duration::from_secs(10), simulation).await.unwrap().unwrap().unwrap();
    assert_eq!(summary.connections, 0);
}

#[tokio::test]
async fn an_address_of_another_kind_is_refused_at_once() {
    for url in ["http://127.0.0.1:8080", "wss://127.0.0.1/ws", "ws://", "nonsense"] {
        let (_stop, stopping) = watch::channel(false);
        assert!(run(LiveOptions::new(url), stopping).await.is_err(), "{url}");
    }
}
