//! Items as the rows of a file describe them, the last word on each; gathered before they are handed over, since a title stands in
//! thousands of rows.

use std::collections::HashMap;

use super::options::CatalogueMode;
use super::sink::{Sink, Stopped};
use tidings_core::base::ExternalId;
use tidings_core::catalogue::NewItem;

/// Items of rows about items that are gathered at most, where a later word on one holds against what is stored as well.
const AT_ONCE: usize = 50_000;

/// Items gathered so far, over all files.
#[derive(Default)]
pub struct Items {
    /// True if what is stored is kept: then a later word must come before the item is handed over.
    keeps_stored: bool,
    /// Of rows about items.
    catalogue: HashMap<ExternalId, NewItem>,
    /// Of rows about what was done with them.
    events: HashMap<ExternalId, NewItem>,
}

impl Items {
    /// For a treatment of the catalogue's items.
    pub fn new(mode: Option<CatalogueMode>) -> Self {
        Self { keeps_stored: mode == Some(CatalogueMode::Fill), ..Self::default() }
    }

    /// Keeps what a row about an item says of it; hands over what is gathered where that is much.
    pub fn note(&mut self, item: NewItem, sink: &mut Sink) -> Result<(), Stopped> {
        keep(&mut self.catalogue, item);
        if self.keeps_stored || self.catalogue.len() < AT_ONCE {
            return Ok(());
        }
        sorted(std::mem::take(&mut self.catalogue)).into_iter().try_for_each(|item| sink.item(item))
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
        Some(known) => known.overlay(item),
        None => {
            items.insert(item.item_id.clone(), item);
        }
    }
}
