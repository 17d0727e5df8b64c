//! A deferred trigger and its row in the store.

use std::sync::Arc;

use uuid::Uuid;

use super::definitions::Definitions;
use super::record::{API, DeferredRow};
use crate::notify::Message;
use crate::notify::triggers::{Definition, Trigger};
use tidings_core::base::{NotificationId, Timestamp, UserId};

/// A deferred trigger.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Deferred {
    pub id: Uuid,
    pub trigger: Trigger,
    pub until: Timestamp,
    pub for_digest: bool,
    /// Its trigger is not active: it waits until the trigger is, or until it expires.
    pub is_paused: bool,
}

impl Deferred {
    /// From its row; `None` while there is no definition of its name.
    pub fn from_row(row: &DeferredRow, definitions: &Definitions) -> Option<Self> {
        let definition = match row.for_digest && row.trigger == API {
            true => in_words(&row.category, definitions),
            false => Arc::clone(definitions.find(&row.trigger)?),
        };
        let trigger = Trigger {
            item: row.item,
            price_before: row.price_before,
            event: row.event.clone(),
            expires_at: Some(row.expires_at),
            call: row.call,
            ..Trigger::of(&definition, None)
        };
        let (id, until, for_digest) = (row.held_id, row.until, row.for_digest);
        Some(Self { id, trigger, until, for_digest, is_paused: false })
    }

    /// Takes over what its trigger is defined as now.
    pub fn follow(&mut self, definitions: &Definitions) {
        if self.for_digest && self.trigger.name() == API {
            return; // A message of the API, which no trigger fired.
        }
        let definition = definitions.find(self.trigger.name());
        self.is_paused = definition.is_none();
        if let Some(definition) = definition {
            self.trigger.definition = Arc::clone(definition);
        }
    }

    pub fn row(&self, user: UserId) -> DeferredRow {
        let trigger = &self.trigger;
        DeferredRow {
            held_id: self.id,
            user,
            trigger: trigger.name().to_owned(),
            category: trigger.category().to_owned(),
            item: trigger.item,
            price_before: trigger.price_before,
            event: trigger.event.clone(),
            for_digest: self.for_digest,
            until: self.until,
            expires_at: trigger.expires_at.unwrap_or(self.until),
            call: trigger.call,
        }
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        self.until <= now && !self.is_paused
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.trigger.expires_at.is_some_and(|at| at <= now)
    }
}

/// Definition that stands for messages of the API of a category in a digest: the announcement under their name.
fn in_words(category: &str, definitions: &Definitions) -> Arc<Definition> {
    let announcement = Definition::clone(&definitions.announcement.definition);
    Arc::new(Definition { name: API.to_owned(), category: category.to_owned(), ..announcement })
}

/// Definition that stands for a message of the API that a template puts into words.
pub(super) fn worded_by(template: &str, message: &Message, definitions: &Definitions) -> Arc<Definition> {
    let announcement = Definition::clone(&in_words(&message.category, definitions));
    Arc::new(Definition { template: template.to_owned(), priority: message.priority, ..announcement })
}

/// A message of the API, to be mentioned in a digest as long as it is worth showing and not withdrawn.
pub(super) fn mention(id: NotificationId, message: &Message, definitions: &Definitions) -> Trigger {
    let trigger = Trigger::in_words(&in_words(&message.category, definitions), &message.title, &message.body);
    Trigger { expires_at: Some(message.expires_at), call: Some(id.0), ..trigger }
}
