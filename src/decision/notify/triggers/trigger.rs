//! One trigger going off, and the set of those that hold.

use std::sync::Arc;

use uuid::Uuid;

use super::condition::Condition;
use super::definition::Definition;
use tidings_core::base::{ItemId, Timestamp};

/// Most triggers of a server: each is looked at for every event.
pub const MAX_TRIGGERS: usize = 128;

/// Data of a call of the shop, as its template reads it.
pub type EventData = Arc<serde_json::Value>;

/// One definition going off, about an item or about nothing in particular.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Definition that goes off.
    pub definition: Arc<Definition>,
    /// About what.
    pub item: Option<ItemId>,
    /// Its price before, where that set it off.
    pub price_before: Option<f64>,
    /// Event data that the shop sent when it set the trigger off.
    pub event: Option<EventData>,
    /// Not worth saying after this; `None` = its lifetime from now on.
    pub expires_at: Option<Timestamp>,
    /// The call of the shop that set it off: its message is named after it.
    pub call: Option<Uuid>,
}

impl Trigger {
    /// One going off now.
    pub fn of(definition: &Arc<Definition>, item: Option<ItemId>) -> Self {
        Self {
            definition: Arc::clone(definition),
            item,
            price_before: None,
            event: None,
            expires_at: None,
            call: None,
        }
    }

    /// The name in decisions, metrics and frames.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// Category that frequency caps and mutes go by.
    pub fn category(&self) -> &str {
        &self.definition.category
    }

    /// The client asked and waits: the answer passes caps, repeats and quiet hours.
    pub fn is_asked_for(&self) -> bool {
        self.definition.when == Condition::Login
    }

    /// Returns whether its message is a digest of what was collected.
    pub fn is_digest(&self) -> bool {
        self.definition.when == Condition::Digest
    }

    /// A message of the shop in its own words.
    pub fn in_words(definition: &Arc<Definition>, title: &str, body: &str) -> Self {
        let event = serde_json::json!({"title": title, "body": body});
        Self { event: Some(Arc::new(event)), ..Self::of(definition, None) }
    }

    /// The title that the shop's call gave; `None` without one.
    pub fn title(&self) -> Option<String> {
        self.text("title")
    }

    /// The body that the shop's call gave; `None` without one.
    pub fn body(&self) -> Option<String> {
        self.text("body")
    }

    fn text(&self, field: &str) -> Option<String> {
        self.event.as_deref()?.get(field)?.as_str().map(str::to_owned)
    }

    /// The item whose neighbours are wanted.
    pub fn seed(&self) -> Option<ItemId> {
        self.item.filter(|_| self.definition.when.recommends())
    }

    /// Returns whether the shop itself sends the message, so that neither a model nor a profile has a part in it.
    pub fn is_said_by_shop(&self) -> bool {
        self.definition.when.is_said_by_shop()
    }

    /// Returns whether the message is about its one item, and not about a list.
    pub fn is_about_item(&self) -> bool {
        self.item.is_some() && !self.definition.when.recommends()
    }

    /// Returns whether the message is about a list for this user in general, beside no item.
    pub fn is_general(&self) -> bool {
        !self.is_about_item() && !self.is_said_by_shop() && self.seed().is_none()
    }
}

/// The definitions that hold, in order of priority, then of name.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    pub(super) active: Vec<Arc<Definition>>,
}

impl Triggers {
    /// Those that are switched on; beyond [`MAX_TRIGGERS`] the least urgent are left out.
    pub fn new(definitions: impl IntoIterator<Item = Definition>) -> Self {
        let mut active: Vec<Arc<Definition>> = definitions.into_iter().map(Arc::new).collect();
        active.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
        active.truncate(MAX_TRIGGERS);
        Self { active }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.active.iter()
    }

    /// By name.
    pub fn find(&self, name: &str) -> Option<&Arc<Definition>> {
        self.active.iter().find(|definition| definition.name == name)
    }

    /// Going off without an item: the first whose condition is this.
    pub fn first(&self, when: &Condition) -> Option<Trigger> {
        let definition = self.active.iter().find(|definition| definition.when == *when)?;
        Some(Trigger::of(definition, None))
    }
}
