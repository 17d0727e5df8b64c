//! Reading of what was stored and could not be read at once.

use std::sync::Arc;
use std::time::Duration;

use tidings_state::AppState;
use tidings_store::{Connection, StoreError};

/// Pause before another attempt.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Reads until the database answers; `what` is for the log.
pub async fn read_again<T: Send + 'static>(
    state: &Arc<AppState>,
    what: &str,
    read: fn(&AppState, &mut Connection) -> Result<T, StoreError>,
) -> T {
    loop {
        let reader = Arc::clone(state);
        match state.store.run_patiently(move |connection| read(&reader, connection)).await {
            Ok(done) => return done,
            Err(error) => log::warn!("stored {what} not read error={error}"),
        }
        tokio::time::sleep(READ_AGAIN).await;
    }
}
