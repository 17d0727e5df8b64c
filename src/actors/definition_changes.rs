//! Makes definitions known that were changed.

use std::sync::Arc;
use std::time::Duration;

use super::registry::Registry;
use tidings_decision::decide::Input;
use tidings_state::AppState;

/// Pause before stored definitions that could not be read are tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Tells the actors of all users.
pub fn announce(registry: &Registry) {
    for entry in registry.entries() {
        // An actor whose mailbox is full looks at the rules after its next event anyway.
        entry.happened(Input::DefinitionsChanged);
    }
}

/// Reads definitions that could not be read when they were stored, as soon as that is possible. Runs as long as its thread.
pub async fn follow(state: Arc<AppState>, registry: Arc<Registry>) {
    loop {
        state.unread_definitions.notified().await;
        loop {
            let reader = Arc::clone(&state);
            match state.store.run(move |connection| reader.read_definitions(connection)).await {
                Ok(()) => break announce(&registry),
                Err(error) => log::warn!("stored definitions not read error={error}"),
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
    }
}
