//! `tidings training-worker`: what a server starts to train; see [`tidings_actors::recommender::worker`].

use std::io::{BufRead, Read, stdin};

use anyhow::Context;

use super::memory::use_little_memory;
use crate::app::server;
use tidings_actors::recommender::worker::{Order, work};
use tidings_store::{Store, process_stands_back};

/// Reading, and one to spare.
const CONNECTIONS: u32 = 2;
/// The order was withdrawn.
const EXIT_WITHDRAWN: i32 = 3;

/// Carries out the order on standard input.
pub fn run() -> anyhow::Result<()> {
    // A core that clears a page of 2 MiB does nothing else meanwhile; where a hypervisor has to find the memory first, for
    // 5–25 ms at a time (measured).
    use_little_memory();
    end_with_parent();
    let mut line = String::new();
    stdin().lock().read_line(&mut line).context("no order")?;
    let Order { url, config, requested } =
        serde_json::from_str(&line).context("this is for servers to call")?;
    if let Err(error) = process_stands_back(config.training.niceness) {
        log::warn!("training keeps its priority error={error}");
    }
    std::thread::Builder::new().name("withdrawal".to_owned()).spawn(|| {
        let _ = stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(EXIT_WITHDRAWN);
    })?;
    let store = Store::connect(&url, CONNECTIONS)?;
    work(&*server::load_models(config, store)?, requested.as_ref())?;
    Ok(())
}

/// Even when this process is stopped while its parent ends; when it runs it sees that the order is withdrawn.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl(2) with numbers only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0)
    };
}
