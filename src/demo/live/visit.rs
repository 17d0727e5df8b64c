//! One visit over one WebSocket at a time: log in, act, acknowledge, react; reconnect with full jitter and resume.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::counters::count;
use super::mind::{Mind, Reaction};
use super::town::{Town, told};
use crate::session::Act;
use tidings_core::base::Timestamp;

/// First and longest back-off (PROTOCOL: 0.5 s to 20 s, full jitter).
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LAST_BACKOFF: Duration = Duration::from_secs(20);
/// A server that does not take a connection or a frame for this long is treated as gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most events kept for a repeat after a lost connection.
const MAX_UNACCEPTED: usize = 200;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// End of a connection.
enum End {
    /// The shopper had enough, or the simulation stops.
    Left,
    /// To be made again.
    Lost(String),
    /// Turned away for good.
    Refused(String),
}

/// Fields of a server frame that a shopper reads; everything else may be there or not.
#[derive(Debug, Deserialize)]
struct Incoming {
    #[serde(rename = "type")]
    kind: String,
    notification_id: Option<String>,
    epoch: Option<String>,
    offset: Option<i64>,
    event_id: Option<Value>,
    message: Option<String>,
    #[serde(default)]
    recommendations: Vec<Value>,
}

/// A thing to do later.
enum Later {
    Act,
    React { notification: String, items: Vec<i64> },
}

pub struct Visit<'a> {
    town: &'a Town,
    mind: Mind,
    /// Position to resume from.
    stream: Option<(String, i64)>,
    /// Notifications seen, so that one that comes twice counts once.
    seen: HashSet<String>,
    /// Events sent and not yet accepted, by number.
    unaccepted: BTreeMap<u64, String>,
    n_events: u64,
    agenda: Vec<(Instant, Later)>,
}

/// An address that a WebSocket client can use. TLS is not compiled in: a proxy in front speaks it.
pub fn check_url(url: &str) -> anyhow::Result<()> {
    anyhow::ensure!(url.starts_with("ws://"), "{url}: must be ws://host:port/ws");
    url.into_client_request().map(|_| ()).with_context(|| format!("{url}: not an address"))
}

impl<'a> Visit<'a> {
    pub fn new(town: &'a Town, mind: Mind) -> Self {
        let (stream, seen, unaccepted) = (None, HashSet::new(), BTreeMap::new());
        Self { town, mind, stream, seen, unaccepted, n_events: 0, agenda: Vec::new() }
    }

    /// Until the shopper leaves or is told to. Fails only when the server turns them away for good.
    pub async fn run(mut self, stop: &mut watch::Receiver<bool>) -> anyhow::Result<Mind> {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let end = match timeout(PATIENCE, connect_async(self.town.options.url.as_str())).await {
                Err(_) => End::Lost("no answer".to_owned()),
                Ok(Err(error)) => End::Lost(error.to_string()),
                Ok(Ok((socket, _))) => {
                    backoff = FIRST_BACKOFF;
                    self.town.outage.store(false, Ordering::Relaxed);
                    count(&self.town.counters.connections);
                    self.connected(socket, stop).await
                }
            };
            match end {
                End::Left => return Ok(self.mind),
                End::Refused(reason) => anyhow::bail!("the server turns simulated shoppers away: {reason}"),
                End::Lost(reason) => {
                    if !self.town.outage.swap(true, Ordering::Relaxed) {
                        log::warn!(
                            "simulated shoppers lost the server url={} reason={reason:?}",
                            self.town.options.url
                        );
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.mul_f64(self.mind.draw())) => {}
                () = told(stop) => return Ok(self.mind),
            }
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    }

    async fn connected(&mut self, mut socket: Socket, stop: &mut watch::Receiver<bool>) -> End {
        if let Err(end) = self.greet(&mut socket).await {
            return end;
        }
        if !self.agenda.iter().any(|(_, later)| matches!(later, Later::Act)) {
            self.plan_act();
        }
        loop {
            let next = self.agenda.iter().map(|(at, _)| *at).min().unwrap_or_else(Instant::now);
            let result = tokio::select! {
                () = told(stop) => Err(End::Left),
                frame = socket.next() => self.receive(&mut socket, frame).await,
                () = sleep_until(next) => self.do_next(&mut socket).await,
            };
            match result {
                Ok(()) => {}
                Err(End::Left) => {
                    // A goodbye that can't be sent changes nothing.
                    let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                    return End::Left;
                }
                Err(end) => return end,
            }
        }
    }

    async fn greet(&mut self, socket: &mut Socket) -> Result<(), End> {
        let shopper = self.mind.shopper();
        let mut login = json!({"type": "login", "user_id": shopper.id, "device": "simulated",
            "locale": shopper.locale, "time_zone": shopper.time_zone});
        if let (Some((epoch, offset)), Some(fields)) = (&self.stream, login.as_object_mut()) {
            fields.insert("resume".to_owned(), json!({"epoch": epoch, "offset": offset}));
        }
        send(socket, login.to_string()).await?;
        send(socket, json!({"type": "presence", "visible": true}).to_string()).await?;
        // What the last connection may have lost; the server drops what it has already.
        for frame in self.unaccepted.values() {
            send(socket, frame.clone()).await?;
        }
        Ok(())
    }

    fn plan_act(&mut self) {
        let pause = self.mind.pause(self.town.options.pace);
        self.agenda.push((Instant::now() + pause, Later::Act));
    }

    async fn do_next(&mut self, socket: &mut Socket) -> Result<(), End> {
        let now = Instant::now();
        let Some(due) = self.agenda.iter().position(|(at, _)| *at <= now) else { return Ok(()) };
        match self.agenda.swap_remove(due).1 {
            Later::Act => {
                let Some(act) = self.mind.next_act() else { return Err(End::Left) };
                let pause = self.mind.pause(self.town.options.pace);
                self.agenda.push((now + pause, Later::Act));
                self.act(socket, act, pause).await
            }
            Later::React { notification, items } => self.react(socket, &notification, &items).await,
        }
    }

    /// Tells the server; a look lasts until the next act.
    async fn act(&mut self, socket: &mut Socket, act: Act, pause: Duration) -> Result<(), End> {
        let item = |index: usize| self.town.shop.items.get(index);
        let id = |index: usize| item(index).map(|item| item.id);
        let mut event = match act {
            Act::Search(query) => json!({"kind": "search", "query": query}),
            Act::View(index, _) => {
                json!({"kind": "view", "item_id": id(index), "dwell_ms": pause.as_millis() as u64})
            }
            Act::AddToCart(index) => json!({"kind": "add_to_cart", "item_id": id(index)}),
            Act::RemoveFromCart(index) => json!({"kind": "remove_from_cart", "item_id": id(index)}),
            Act::Like(index) => json!({"kind": "like", "item_id": id(index)}),
            Act::Rate(index, stars) => json!({"kind": "rate", "item_id": id(index), "value": stars}),
            Act::Purchase(index, quantity) => {
                count(&self.town.counters.purchases);
                let value = item(index).map(|item| item.price * f64::from(quantity));
                json!({"kind": "purchase", "item_id": id(index), "quantity": quantity, "value": value, "currency": "EUR"})
            }
        };
        self.n_events += 1;
        if let Some(fields) = event.as_object_mut() {
            let visit = format!("live-{}-{}", self.town.run, self.mind.shopper().id);
            fields.insert("type".to_owned(), json!("event"));
            fields.insert("event_id".to_owned(), json!(format!("{visit}-{}", self.n_events)));
            fields.insert("basket_id".to_owned(), json!(visit));
        }
        let frame = event.to_string();
        self.unaccepted.insert(self.n_events, frame.clone());
        while self.unaccepted.len() > MAX_UNACCEPTED {
            self.unaccepted.pop_first();
        }
        count(&self.town.counters.events);
        send(socket, frame).await
    }

    async fn react(&mut self, socket: &mut Socket, notification: &str, items: &[i64]) -> Result<(), End> {
        let feedback = match self.mind.react(items, Timestamp::now()) {
            Reaction::Clicks(item) => {
                count(&self.town.counters.clicked);
                json!({"type": "feedback", "notification_id": notification, "outcome": "clicked", "item_id": item})
            }
            Reaction::Dismisses => {
                count(&self.town.counters.dismissed);
                json!({"type": "feedback", "notification_id": notification, "outcome": "dismissed"})
            }
            Reaction::Mutes => {
                count(&self.town.counters.muted);
                json!({"type": "feedback", "notification_id": notification, "outcome": "muted"})
            }
            Reaction::Ignores => return Ok(()),
        };
        send(socket, feedback.to_string()).await
    }

    async fn receive(
        &mut self,
        socket: &mut Socket,
        frame: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<(), End> {
        match frame {
            None => Err(End::Lost("closed without a word".to_owned())),
            Some(Err(error)) => Err(End::Lost(error.to_string())),
            Some(Ok(Message::Close(close))) => {
                Err(verdict(close.map(|c| (u16::from(c.code), c.reason.to_string()))))
            }
            Some(Ok(Message::Text(text))) => match serde_json::from_str::<Incoming>(&text) {
                Ok(incoming) => self.understand(socket, incoming).await,
                Err(error) => Err(End::Lost(format!("a frame that can't be read: {error}"))),
            },
            // Pings are answered by the library while it reads.
            Some(Ok(_)) => Ok(()),
        }
    }

    async fn understand(&mut self, socket: &mut Socket, incoming: Incoming) -> Result<(), End> {
        match incoming.kind.as_str() {
            "welcome" => {
                if let (None, Some(epoch), Some(offset)) = (&self.stream, incoming.epoch, incoming.offset) {
                    self.stream = Some((epoch, offset));
                }
                Ok(())
            }
            "recommendation" | "notification" => self.notified(socket, incoming).await,
            "accepted" => {
                count(&self.town.counters.accepted);
                if let Some(number) = incoming.event_id.as_ref().and_then(event_number) {
                    self.unaccepted.remove(&number);
                }
                Ok(())
            }
            "error" => {
                count(&self.town.counters.errors);
                log::debug!(
                    "simulated shopper got an error user_id={} message={:?}",
                    self.mind.shopper().id,
                    incoming.message
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn notified(&mut self, socket: &mut Socket, incoming: Incoming) -> Result<(), End> {
        if let (Some(epoch), Some(offset)) = (incoming.epoch, incoming.offset) {
            self.stream = Some((epoch, offset));
            send(socket, json!({"type": "ack", "offset": offset}).to_string()).await?;
        }
        let Some(notification) = incoming.notification_id else { return Ok(()) };
        if !self.seen.insert(notification.clone()) {
            return Ok(());
        }
        count(&self.town.counters.notifications);
        let displayed = json!({"type": "feedback", "notification_id": notification, "outcome": "displayed"});
        send(socket, displayed.to_string()).await?;
        let items = incoming.recommendations.iter().filter_map(Value::as_i64).collect();
        let think = self.mind.pause(self.town.options.pace / 2);
        self.agenda.push((Instant::now() + think, Later::React { notification, items }));
        Ok(())
    }
}

/// The number at the end of an event id of ours.
fn event_number(id: &Value) -> Option<u64> {
    id.as_str()?.rsplit('-').next()?.parse().ok()
}

/// Meaning of a close code: 3500–3999 and 4500–4999 are final.
fn verdict(close: Option<(u16, String)>) -> End {
    match close {
        Some((code, reason)) if (3500..4000).contains(&code) || (4500..5000).contains(&code) => {
            End::Refused(format!("{code} {reason}"))
        }
        Some((code, reason)) => End::Lost(format!("{code} {reason}")),
        None => End::Lost("closed".to_owned()),
    }
}

async fn send(socket: &mut Socket, frame: String) -> Result<(), End> {
    match timeout(PATIENCE, socket.send(Message::text(frame))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Lost(error.to_string())),
        Err(_) => Err(End::Lost("the server does not read".to_owned())),
    }
}
