//! `tidings simulate`.

use std::time::Duration;

use tokio::sync::watch;

use super::say;
use crate::app::demo::live;

/// Shoppers against a running server, until the time is up or Ctrl-C.
pub fn run(url: String, shoppers: usize, seed: u64, duration: Option<u64>) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        let (stop, stopped) = watch::channel(false);
        let options = live::LiveOptions { shoppers, seed, ..live::LiveOptions::new(url) };
        let shoppers = actix::spawn(live::run(options, stopped));
        let time_is_up = async {
            match duration {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = time_is_up => {}
        }
        let _ = stop.send(true);
        let summary = shoppers.await??;
        say(&format!(
            "visits {}  events {}  accepted {}  errors {}  notifications {}  clicked {}  dismissed {}  muted {}  purchases {}",
            summary.visits,
            summary.events,
            summary.accepted,
            summary.errors,
            summary.notifications,
            summary.clicked,
            summary.dismissed,
            summary.muted,
            summary.purchases
        ))
    })
}
