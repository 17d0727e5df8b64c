//! Changes of the catalogue and of models that take time, beside others: whatever was changed meanwhile is read again, so that the
//! last word in the store is the last word in memory.

use std::collections::HashSet;

use super::changed_items::Watch;
use super::{AppState, CLOCKS};
use crate::base::{ItemId, Timestamp};
use crate::notify::triggers::Change;
use crate::recommend::ModelSet;
use crate::store::items::{self, Upserted};
use crate::store::{Connection, StoreError};

impl AppState {
    /// To be begun before items are stored or read; see [`Self::settle`] and [`Self::put_models`].
    pub fn watch_items(&self) -> Watch {
        self.changed_items.watch()
    }

    /// Makes known what was stored or read since `watch` began: items as they are, and those that were taken out. Those that
    /// another has changed in memory since then are read again: of two changes that are stored one after the other the earlier one
    /// may come here last. Otherwise as [`Self::upsert_items`]. Blocks.
    pub fn settle(
        &self,
        watch: &Watch,
        connection: &mut Connection,
        mut stored: Upserted,
        removed: &[ItemId],
    ) -> Result<Vec<Change>, StoreError> {
        let _order = self.items_order.lock();
        let named = stored.items.iter().map(|item| item.id).chain(removed.iter().copied());
        let mut again: HashSet<ItemId> = named.filter(|id| watch.has(*id)).collect();
        let mut gone: Vec<ItemId> = removed.iter().copied().filter(|id| !again.contains(id)).collect();
        if !again.is_empty() {
            stored.items.retain(|item| !again.contains(&item.id));
            for item in items::load(connection, &again.iter().copied().collect::<Vec<_>>())? {
                again.remove(&item.id);
                stored.items.push(item);
            }
            gone.extend(again);
        }
        gone.into_iter().for_each(|id| self.remove_item(id));
        Ok(self.upsert_items(stored))
    }

    /// Lets a model learn of items that were changed since `watch` began, or since this was asked last, and of those that it does
    /// not know. May take seconds.
    pub fn note_changed(&self, models: &mut ModelSet, watch: &Watch) {
        let changed = watch.take();
        let catalogue = self.catalogue.load();
        models.note_items(&catalogue, &changed);
        models.note_unknown(&catalogue);
    }

    /// Lets a model that was trained some time ago learn of the items that were changed since. Blocks.
    pub fn bring_up_to_date(
        &self,
        connection: &mut Connection,
        models: &mut ModelSet,
    ) -> Result<(), StoreError> {
        if models.trained_at == Timestamp(0) {
            return Ok(());
        }
        let changed = items::changed_since(connection, models.trained_at - CLOCKS)?;
        let catalogue = self.catalogue.load();
        models.note_items(&catalogue, &changed);
        models.note_unknown(&catalogue);
        Ok(())
    }
}
