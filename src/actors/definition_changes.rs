//! Makes definitions known that were changed.

use std::sync::Arc;

use super::registry::Registry;
use super::unread::read_again;
use tidings_decision::decide::Input;
use tidings_state::AppState;

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
        read_again(&state, "definitions", AppState::read_definitions).await;
        announce(&registry);
    }
}
