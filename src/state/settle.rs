//! Changes of the catalogue and of models that take time, beside others: whatever was changed meanwhile is read again, so that the
//! last word in the store is the last word in memory.

use std::collections::HashSet;

use super::changed_items::Watch;
use super::{AppState, CLOCKS};
use tidings_core::base::{ItemId, Timestamp};
use tidings_core::catalogue::Item;
use tidings_core::recommend::ModelSet;
use tidings_decision::notify::triggers::Change;
use tidings_store::items::{self, Upserted};
use tidings_store::{Connection, StoreError};

/// Items that were stored or read, apart from those that another has changed in memory since then.
struct Contested {
    ids: Vec<ItemId>,
    /// All but those.
    known: Upserted,
    /// Items that were taken out, but for those.
    gone: Vec<ItemId>,
}

impl Contested {
    fn of(watch: &Watch, mut known: Upserted, removed: &[ItemId]) -> Self {
        let named = known.items.iter().map(|item| item.id).chain(removed.iter().copied());
        let ids: HashSet<ItemId> = named.filter(|id| watch.has(*id)).collect();
        known.items.retain(|item| !ids.contains(&item.id));
        let gone = removed.iter().copied().filter(|id| !ids.contains(id)).collect();
        Self { ids: ids.into_iter().collect(), known, gone }
    }

    fn read(&self, connection: &mut Connection) -> Result<Vec<Item>, StoreError> {
        if self.ids.is_empty() { Ok(Vec::new()) } else { items::load(connection, &self.ids) }
    }
}

impl AppState {
    /// To be begun before items are stored or read; see [`Self::settle`] and [`Self::put_models`].
    pub fn watch_items(&self) -> Watch {
        self.changed_items.watch()
    }

    /// Makes known what was read since `watch` began. Items that another has changed in memory since then are read again: of two changes
    /// that are stored one after the other the earlier one may come here last. Otherwise as [`Self::upsert_items`]. Blocks.
    pub fn settle(
        &self,
        watch: &Watch,
        connection: &mut Connection,
        read: Upserted,
    ) -> Result<Vec<Change>, StoreError> {
        let _order = self.items_order.lock();
        let contested = Contested::of(watch, read, &[]);
        let again = contested.read(connection)?;
        Ok(self.put(contested, Some(again)))
    }

    /// Makes known what was stored since `watch` began, items as they are and those that were taken out, as [`Self::settle`] does. It is
    /// stored: items that can't be read again at this moment are in memory as another left them until [`Self::read_items`]. Blocks.
    pub fn settle_stored(
        &self,
        watch: &Watch,
        connection: &mut Connection,
        stored: Upserted,
        removed: &[ItemId],
    ) -> Vec<Change> {
        let _order = self.items_order.lock();
        let contested = Contested::of(watch, stored, removed);
        let again = contested.read(connection);
        if let Err(error) = &again {
            log::error!(
                "stored items not read again, tried again items={} error={error}",
                contested.ids.len()
            );
            self.unread_items.note(&contested.ids);
        }
        self.put(contested, again.ok())
    }

    /// `again`: the contested items as they are stored; `None` where they can't be read.
    fn put(&self, contested: Contested, again: Option<Vec<Item>>) -> Vec<Change> {
        let Contested { ids, mut known, mut gone } = contested;
        if let Some(again) = again {
            let there: HashSet<ItemId> = again.iter().map(|item| item.id).collect();
            gone.extend(ids.into_iter().filter(|id| !there.contains(id)));
            known.items.extend(again);
        }
        gone.into_iter().for_each(|id| self.remove_item(id));
        self.upsert_items(known)
    }

    /// Reads the items that could not be read when they were stored. Blocks.
    pub fn read_items(&self, connection: &mut Connection) -> Result<Vec<Change>, StoreError> {
        let _order = self.items_order.lock();
        let ids = self.unread_items.all();
        let read = items::load(connection, &ids)?;
        self.unread_items.forget(&ids);
        let known = Upserted::default();
        Ok(self.put(Contested { ids, known, gone: Vec::new() }, Some(read)))
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
