//! Stores catalogue items and tells users what changed: those who are here through their actors, those who are not by a row
//! that waits for them. Bounded: at most [`tidings_state::MAX_CHANGES`] changes, a thousand absent users an item.

use std::sync::Arc;

use super::registry::Registry;
use super::unread::read_again;
use tidings_core::base::{Timestamp, UserId};
use tidings_core::catalogue::NewItem;
use tidings_decision::decide::Input;
use tidings_decision::notify::triggers::Change;
use tidings_state::AppState;
use tidings_store::deferred::{self, DeferredRow};
use tidings_store::{Along, Connection, StoreError, in_transaction, items, users};

/// Absent users told of one change: those who were interested last.
const MAX_ABSENT: i64 = 1_000;
/// Changes of one update that are looked up for absent users: each is a query over a month of events.
const MAX_LOOKUPS: usize = 20;

/// Stores items and makes them known, off the arbiters: it copies the catalogue. Returns how many.
pub async fn put_items(
    state: &Arc<AppState>,
    registry: &Arc<Registry>,
    items: Vec<NewItem>,
    along: Along<usize>,
) -> Result<usize, StoreError> {
    let (writer, count) = (Arc::clone(state), items.len());
    let put = move |connection: &mut Connection| {
        let any = items.iter().any(|item| item.new_direction().is_some());
        let put = || {
            let watch = writer.watch_items();
            let stored = in_transaction(connection, |connection| {
                let stored = items::upsert_at(connection, &items, Timestamp::now())?;
                along(connection, &items.len())?;
                Ok(stored)
            })?;
            Ok(writer.settle_stored(&watch, connection, stored, &[]))
        };
        if any { writer.with_embeddings(put) } else { put() }
    };
    let changes = state.store.run_patiently(put).await?;
    if state.models.load().content().is_due() {
        let state = Arc::clone(state);
        // Nobody waits for it: until it is done, new items are compared one by one.
        drop(tokio::task::spawn_blocking(move || state.renew_content()));
    }
    announce(state, registry, changes);
    Ok(count)
}

/// Reads items that could not be read when they were stored, as soon as that is possible. Runs as long as its thread.
pub async fn follow(state: Arc<AppState>, registry: Arc<Registry>) {
    loop {
        state.unread_items.any().await;
        let changes = read_again(&state, "items", AppState::read_items).await;
        announce(&state, &registry, changes);
    }
}

/// Fans changes out. Nothing waits for it.
fn announce(state: &Arc<AppState>, registry: &Arc<Registry>, changes: Vec<Change>) {
    if changes.is_empty() {
        return;
    }
    let changes: Arc<[Change]> = changes.into();
    for entry in registry.entries() {
        entry.happened(Input::CatalogueChanged(Arc::clone(&changes)));
    }
    let rows = rows_for_absent(state, &changes);
    if rows.is_empty() {
        return;
    }
    let (state, registry) = (Arc::clone(state), Arc::clone(registry));
    actix::spawn(async move {
        let present: Vec<_> = registry.users(usize::MAX).into_iter().map(|(user, _)| user).collect();
        let work = move |connection: &mut Connection| {
            let present: Vec<UserId> = present
                .iter()
                .filter_map(|user| users::find(connection, user).transpose())
                .collect::<Result<_, _>>()?;
            rows.iter().try_fold(0, |sum, row| {
                Ok(sum + deferred::hold_for_absent(connection, row, &present, MAX_ABSENT)?)
            })
        };
        let _steady = registry.aliases.steady().await;
        match state.store.run_patiently(work).await {
            Ok(held) => log::debug!("changes wait for absent users rows={held}"),
            Err(error) => log::error!("absent users not told of changes error={error}"),
        }
    });
}

fn rows_for_absent(state: &AppState, changes: &[Change]) -> Vec<DeferredRow> {
    let (definitions, catalogue, now) = (state.definitions.load(), state.catalogue.load(), Timestamp::now());
    let mut rows = Vec::new();
    for change in changes {
        for definition in definitions.triggers.iter() {
            if let Some(price_before) = definition.concerns_interested(*change, &catalogue, now)
                && rows.len() < MAX_LOOKUPS
            {
                let expires_at = now + definition.expires_after(definitions.rules.expires_after);
                let row = DeferredRow::unaddressed(&definition.name, &definition.category, now, expires_at);
                rows.push(DeferredRow { item: Some(change.item()), price_before, ..row });
            }
        }
    }
    rows
}
