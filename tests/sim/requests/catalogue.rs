//! Changes of items, and what then waits for users who are away.

use std::sync::Arc;

use tidings::base::{ItemId, Timestamp};
use tidings::catalogue::{Currency, Item, PricePoint};
use tidings::decide::Input;
use tidings::decide::record::DeferredRow;
use tidings::event::EventKind;
use tidings::notify::triggers;

use crate::faults::Fault;
use crate::setting;
use crate::sim::Sim;
use crate::steps::ItemChange;

impl Sim {
    pub(super) fn change_item(&mut self, id: ItemId, change: ItemChange) {
        let Some(server) = self.holder() else { return };
        let before = self.catalogue.get(id).map(|item| Item::clone(item));
        let was = before.clone().unwrap_or_else(|| setting::item(id.0));
        let price = was.price.unwrap_or(100.0);
        let after = match change {
            ItemChange::Gone => None,
            ItemChange::Cheaper => Some(Item { price: Some((price * 0.8).max(10.0)), ..was }),
            ItemChange::Dearer => Some(Item { price: Some((price * 1.3).min(300.0)), ..was }),
            ItemChange::SoldOut => Some(Item { stock: Some(0), ..was }),
            ItemChange::Back | ItemChange::New => Some(Item { stock: Some(5), ..was }),
        };
        let mut catalogue = tidings::catalogue::Catalogue::clone(&self.catalogue);
        let changes =
            after.as_ref().map(|after| triggers::Change::between(before.as_ref(), after)).unwrap_or_default();
        let now_costs = after.as_ref().and_then(|after| after.price).filter(|costs| *costs != price);
        if let Some(costs) = now_costs {
            let currency = Currency::parse("EUR");
            let point = |since, price| (id, PricePoint { since, price, currency });
            catalogue.note_prices(&[point(Timestamp(0), price), point(self.now(), costs)]);
        }
        match after {
            Some(item) => catalogue.upsert(item),
            None => catalogue.remove(id),
        }
        self.catalogue = Arc::new(catalogue);
        if self.fault == Some(Fault::CatalogueKeepsVersion) {
            self.shadow.keep_catalogue(self.catalogue.version());
        } else {
            self.shadow.note_catalogue(Arc::clone(&self.catalogue));
        }
        if changes.is_empty() {
            return;
        }
        let shared: Arc<[triggers::Change]> = changes.clone().into();
        for user in 0..self.names.len() {
            self.tell(server, user, Input::CatalogueChanged(Arc::clone(&shared)));
        }
        for change in changes {
            self.hold_for_absent(server, change);
        }
    }

    /// What waits for users without an actor who dealt with an item that changed.
    fn hold_for_absent(&mut self, server: usize, change: triggers::Change) {
        let active = &setting::SETTING.active[self.active].definitions;
        let item = change.item();
        for definition in active.triggers.iter() {
            let Some(price_before) = definition.concerns_interested(change, &self.catalogue, self.now())
            else {
                continue;
            };
            for user in 0..self.names.len() {
                let rows = &self.store.users[user];
                let kinds = [EventKind::View, EventKind::AddToCart, EventKind::Like];
                let dealt =
                    rows.events.iter().any(|event| event.item == Some(item) && kinds.contains(&event.kind));
                let bought = rows
                    .events
                    .iter()
                    .any(|event| event.item == Some(item) && event.kind == EventKind::Purchase);
                let waits = rows
                    .held
                    .iter()
                    .any(|row| row.item == Some(item) && row.trigger == definition.name && !row.for_digest);
                if self.servers[server].registry[user].is_some() || !dealt || bought || waits {
                    continue;
                }
                let now = self.now();
                let row = DeferredRow {
                    held_id: self.uuid("held"),
                    user: self.store.users[user].user,
                    item: Some(item),
                    price_before,
                    ..DeferredRow::unaddressed(
                        &definition.name,
                        &definition.category,
                        now,
                        now + definition.expires_after(active.rules.expires_after),
                    )
                };
                self.store.put_held(&row);
            }
        }
    }
}
