//! `tidings serve` and `tidings demo`.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::say;
use crate::app::database::{Database, Sharing, open};
use crate::app::server::{self, Running};
use crate::config::Config;

/// Serves until it is told to stop.
pub fn serve(config: Config) -> anyhow::Result<()> {
    let database = open(&config, Sharing::Exclusive)?;
    let shared = server::load(config, database.store.clone())?;
    actix::System::new().block_on(async {
        let running = server::start(shared, false)?;
        announce(&running)?;
        until_told(&database).await?;
        running.stop().await;
        anyhow::Ok(())
    })?;
    log::info!("stopped");
    Ok(())
}

/// The one line that scripts wait for.
fn announce(running: &Running) -> anyhow::Result<()> {
    say(&format!("tidings is ready at http://{}/", running.address))
}

/// Waits for SIGINT or SIGTERM; an end of the private PostgreSQL is an error.
async fn until_told(database: &Database) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut check = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = check.tick() => {
                if let Some(cluster) = &database.cluster
                    && !cluster.is_running()
                {
                    anyhow::bail!("PostgreSQL has ended; start again, and it recovers by itself");
                }
            }
        }
    }
}
