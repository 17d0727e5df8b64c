//! Items that are stored and could not be read, so that memory has not the last word of them.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use tidings_core::base::ItemId;

/// Items that memory has still to follow.
#[derive(Default)]
pub struct UnreadItems {
    ids: Mutex<HashSet<ItemId>>,
    noted: Notify,
}

impl UnreadItems {
    /// These are to be read.
    pub fn note(&self, ids: &[ItemId]) {
        self.ids.lock().extend(ids);
        self.noted.notify_one();
    }

    /// Waits until there are any.
    pub async fn any(&self) {
        while self.ids.lock().is_empty() {
            self.noted.notified().await;
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<ItemId> {
        self.ids.lock().iter().copied().collect()
    }

    /// These were read.
    pub fn forget(&self, ids: &[ItemId]) {
        let mut all = self.ids.lock();
        ids.iter().for_each(|id| {
            all.remove(id);
        });
    }
}
