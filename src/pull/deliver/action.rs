//! Actions on items.

use tidings_core::base::ExternalId;
use tidings_core::catalogue::NewItem;

/// Action on an item.
pub enum Action {
    /// Add or change it.
    Put(Box<NewItem>),
    /// Take it out of the catalogue.
    Delete(ExternalId),
}
