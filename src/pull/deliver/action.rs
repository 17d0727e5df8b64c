//! What is done with an item.

use tidings_core::base::ExternalId;
use tidings_core::catalogue::NewItem;

/// What to do with an item.
pub enum Action {
    /// Add or change it.
    Put(Box<NewItem>),
    /// Take it out of the catalogue.
    Delete(ExternalId),
}
