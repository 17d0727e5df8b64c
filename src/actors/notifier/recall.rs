//! Taking broadcasts back. Their messages may be in three places: in the outbox, on their way through this process, and in
//! streams. The outbox is emptied first; then the notifier lets go of what it holds and looks out for what users' actors are
//! storing at that moment; then what is in streams is withdrawn. So each message is met at least once. Of triggers, which users'
//! actors decide without the notifier, what is being decided at that moment is looked for again twice, moments later.

use uuid::Uuid;

use super::messages::NotifierMessage;
use crate::mailbox::Mailbox;
use crate::registry::Registry;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_decision::decide::Input;
use tidings_decision::deliver;
use tidings_store::broadcasts::{self, Broadcast};
use tidings_store::{Connection, Store, StoreError, in_transaction};

/// Tries of one statement that met a deadlock or lost its connection.
const MAX_TRIES: usize = 5;

/// Reason why it is not known whether everything was taken back. Safe to repeat.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The notifier did not answer.
    #[error("not everything could be taken back, try again in a moment")]
    Unavailable,
}

/// Broadcasts that [`broadcasts::withdraw`] has noted as taken back.
pub struct TakenBack {
    /// As they were.
    pub rows: Vec<Broadcast>,
    /// Users with deferred triggers of them.
    pub deferred: Vec<(Uuid, ExternalId)>,
}

/// Withdraws all messages of broadcasts that were taken back; how many were in streams.
pub async fn recall(
    taken_back: TakenBack,
    notifier: &Mailbox<NotifierMessage>,
    store: &Store,
    registry: &Registry,
) -> Result<usize, RecallError> {
    let TakenBack { rows, deferred } = taken_back;
    for (call, user) in deferred {
        registry.happened(&user, Input::CallWithdrawn(call));
    }
    let batches: Vec<Uuid> = rows.iter().flat_map(|row| row.batches.iter().copied()).collect();
    if batches.is_empty() {
        return Ok(0);
    }
    if !notifier.recall(batches.clone()).await {
        return Err(RecallError::Unavailable);
    }
    let mut withdrawn = 0;
    let mut left = batches;
    let mut tries = 0;
    while !left.is_empty() {
        let wanted = left.clone();
        let some = move |connection: &mut Connection| {
            in_transaction(connection, |connection| {
                // Again: what was put off in between is there anew.
                broadcasts::remove_rows(connection, &wanted)?;
                let (ids, rest) = broadcasts::withdraw_messages(connection, &wanted, Timestamp::now())?;
                Ok((ids, rest.to_vec()))
            })
        };
        let (ids, rest) = match store.run(some).await {
            // Commits of the journal lock the same messages in the order they come.
            Err(error) if error.temporary() && !matches!(error, StoreError::Busy) && tries < MAX_TRIES => {
                tries += 1;
                continue;
            }
            taken => taken?,
        };
        withdrawn += ids.len();
        for (id, user) in ids {
            registry.happened(&user, Input::InboxChanged(deliver::Input::Withdrawn(id)));
        }
        left = rest;
    }
    Ok(withdrawn)
}
