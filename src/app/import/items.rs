//! Items as the rows of a file describe them, the last word on each; handed over at the end, since a title stands in thousands
//! of rows.

use std::collections::HashMap;

use super::sink::Sink;
use crate::base::ExternalId;
use crate::catalogue::NewItem;

/// Items gathered so far, over all files.
#[derive(Default)]
pub struct Items {
    /// Of rows about items.
    catalogue: HashMap<ExternalId, NewItem>,
    /// Of rows about what was done with them.
    events: HashMap<ExternalId, NewItem>,
}

impl Items {
    /// Keeps what a row about an item says of it.
    pub fn note(&mut self, item: NewItem) {
        keep(&mut self.catalogue, item);
    }

    /// Keeps what a row about an event says of its item.
    pub fn note_of_event(&mut self, item: NewItem) {
        keep(&mut self.events, item);
    }

    /// Hands them over in order of id.
    pub fn finish(self, sink: &mut Sink) -> anyhow::Result<()> {
        for item in sorted(self.catalogue) {
            sink.item(item)?;
        }
        for item in sorted(self.events) {
            sink.item_of_events(item)?;
        }
        Ok(())
    }
}

fn sorted(items: HashMap<ExternalId, NewItem>) -> Vec<NewItem> {
    let mut items: Vec<NewItem> = items.into_values().collect();
    items.sort_by(|one, other| one.item_id.cmp(&other.item_id));
    items
}

fn keep(items: &mut HashMap<ExternalId, NewItem>, item: NewItem) {
    match items.get_mut(&item.item_id) {
        Some(known) if *known == item => {}
        Some(known) => {
            let before = known.clone();
            *known = NewItem {
                title: item.title.or(before.title),
                category: item.category.or(before.category),
                tags: item.tags.or(before.tags),
                price: item.price.or(before.price),
                currency: item.currency.or(before.currency),
                stock: item.stock.or(before.stock),
                url: item.url.or(before.url),
                image_url: item.image_url.or(before.image_url),
                attributes: item.attributes.or(before.attributes),
                consumable: item.consumable.or(before.consumable),
                ..NewItem::new(item.item_id)
            };
        }
        None => {
            items.insert(item.item_id.clone(), item);
        }
    }
}
