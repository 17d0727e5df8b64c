//! Posting events and items to the server until it has stored or refused each of them.

mod action;
mod answer;
mod client;
mod events;
mod items;

use std::cell::Cell;

use crate::config::ServerSettings;
use crate::source::backoff::Backoff;
use crate::translate::Outgoing;

pub use client::{Client, Fatal, Reply};

/// Outcome of a batch.
#[derive(Debug, Default, PartialEq)]
pub struct Delivered {
    /// Events stored now.
    pub stored: u64,
    /// Events that the server had already.
    pub duplicates: u64,
    /// Items put or deleted.
    pub items: u64,
    /// Refused records: index in the batch, and the reason.
    pub refused: Vec<(usize, String)>,
}

impl Delivered {
    fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.items += other.items;
        self.refused.extend(other.refused);
    }
}

/// Posts batches.
pub struct Deliverer {
    client: Client,
    lanes: usize,
    /// True if the last request was answered.
    up: Cell<bool>,
    /// For how long a server that does not answer is tried; forever if `None`.
    patience: Option<std::time::Duration>,
}

impl Deliverer {
    /// Posts to this server, in at most `lanes` requests at a time.
    pub fn new(
        settings: &ServerSettings,
        lanes: usize,
        patience: Option<std::time::Duration>,
    ) -> Result<Self, String> {
        Ok(Self { client: Client::new(settings)?, lanes, up: Cell::new(true), patience })
    }

    /// Returns whether the server answered the last request.
    pub fn is_up(&self) -> bool {
        self.up.get()
    }

    /// Posts everything of a batch, items before events; returns once the server has stored or refused each. `outgoing` pairs
    /// each with the index of its record. Tries again while the server is away; what is tried again is not stored twice.
    pub async fn deliver(&self, outgoing: Vec<(usize, Outgoing)>) -> Result<Delivered, Fatal> {
        let mut delivered = Delivered::default();
        let mut items = Vec::new();
        let mut lanes: Vec<Vec<(usize, String)>> = vec![Vec::new(); self.lanes];
        for (index, one) in outgoing {
            match one {
                Outgoing::Event { owner, line } => {
                    let lane = (owner % self.lanes as u64) as usize;
                    if let Some(lane) = lanes.get_mut(lane) {
                        lane.push((index, line));
                    }
                }
                Outgoing::Item(item) => items.push((index, action::Action::Put(item))),
                Outgoing::DeletedItem(id) => items.push((index, action::Action::Delete(id))),
                Outgoing::Skipped(_) => {}
            }
        }
        if !items.is_empty() {
            delivered.add(self.items(items).await?);
        }
        let lanes = lanes.into_iter().filter(|lane| !lane.is_empty()).map(|lane| self.events(lane));
        for lane in futures_util::future::join_all(lanes).await {
            delivered.add(lane?);
        }
        Ok(delivered)
    }

    /// The reply to a request, tried until there is one that is not for later.
    async fn ask(&self, request: impl AsyncFn() -> Result<Reply, Fatal>) -> Result<Reply, Fatal> {
        let began = tokio::time::Instant::now();
        let mut backoff = Backoff::default();
        loop {
            let (reason, wait) = match request().await? {
                Reply::Later { reason, wait } => (reason, wait),
                reply => {
                    if backoff.is_waiting() {
                        log::info!("the server answers again");
                    }
                    self.up.set(true);
                    return Ok(reply);
                }
            };
            if !backoff.is_waiting() {
                log::warn!("the server does not take events now, trying until it does: {reason}");
            }
            self.up.set(false);
            if self.patience.is_some_and(|patience| began.elapsed() > patience) {
                return Err(Fatal(format!("the server took nothing for a minute: {reason}")));
            }
            let own = backoff.next();
            tokio::time::sleep(wait.map_or(own, |wait| wait.max(own))).await;
        }
    }
}
