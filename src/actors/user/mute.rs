//! "No more of this", said about a message: what exactly is muted, stored and true from the next decision.

use super::ready::Ready;
use crate::actors::journal::Record;
use crate::actors::loader::settings;
use crate::actors::shared::Shared;
use crate::base::{ConnectionId, ItemId};
use crate::catalogue::Item;
use crate::deliver::frames;
use crate::deliver::inbound::{MuteOf, MuteWish};
use crate::feedback::FeedbackOutcome;
use crate::notify::policy::{BRAND, Mute};
use crate::store::preferences;

impl Ready {
    /// Mutes what the wish names, or what the message it came with is about, and answers.
    pub(super) fn mute(&mut self, connection: ConnectionId, wish: &MuteWish, shared: &Shared) {
        let frame = match self.name(wish, shared) {
            Some(name) => {
                // The outcome "muted" stands for the message's category, and mutes that.
                if let Some(id) = wish.notification_id.filter(|_| wish.of == MuteOf::Category)
                    && self.policy.find(id).is_some()
                {
                    self.feedback(connection, id, FeedbackOutcome::Muted, None, shared);
                }
                if let Some(id) = wish.notification_id.filter(|_| wish.of != MuteOf::Category) {
                    self.learn_response(id, FeedbackOutcome::Muted, shared);
                }
                self.put_mute(wish.of, &name, shared);
                frames::muted(wish.of.name(), &name)
            }
            None => frames::error(
                "nothing_to_mute",
                "give a name, or a notification_id of the last week whose message has one",
                false,
                None,
            ),
        };
        self.send(connection, frame, shared);
    }

    /// What the wish is about, in the terms of the preference.
    fn name(&self, wish: &MuteWish, shared: &Shared) -> Option<String> {
        if let Some(name) = wish.name.as_ref().filter(|name| !name.is_empty()) {
            return Some(name.clone());
        }
        let sent = wish.notification_id.and_then(|id| self.policy.find(id));
        let catalogue = shared.catalogue.load();
        let named = wish.item_id.as_ref().and_then(|id| catalogue.find(id));
        let first = sent.and_then(|sent| sent.items.first()).and_then(|item: &ItemId| catalogue.get(*item));
        let item: Option<&Item> = named.or(first).map(AsRef::as_ref);
        match wish.of {
            MuteOf::Category => sent.map(|sent| sent.category.to_string()),
            MuteOf::Kind => sent.map(|sent| sent.campaign.to_string()),
            MuteOf::Item => item.map(|item| item.external_id.to_string()),
            MuteOf::ItemCategory => item.and_then(|item| item.category.first().cloned()),
            MuteOf::Brand => item.and_then(|item| item.attributes.get(BRAND).cloned()),
        }
    }

    fn put_mute(&mut self, of: MuteOf, name: &str, shared: &Shared) {
        let mut stored = self.stored_preferences.clone();
        add_mute(&mut stored, of, name);
        if stored != self.stored_preferences {
            self.set_preferences(stored.clone());
            self.record(Record::Preferences(self.user, stored), shared);
        }
    }
}

/// Adds a mute to stored preferences, once.
pub fn add_mute(stored: &mut preferences::Preferences, of: MuteOf, name: &str) {
    let name = name.to_owned();
    let mute = match of {
        MuteOf::Category => {
            if !stored.muted.contains(&name) && stored.muted.len() < MAX_MUTED_CATEGORIES {
                stored.muted.push(name);
            }
            return;
        }
        MuteOf::Kind => Mute::Kind(name),
        MuteOf::Item => Mute::Item(name),
        MuteOf::ItemCategory => Mute::ItemCategory(name),
        MuteOf::Brand => Mute::Brand(name),
    };
    let mut settings = settings(stored);
    settings.mute(mute);
    stored.settings = preferences::Settings(serde_json::to_value(settings).unwrap_or_default());
}

/// As many as `PUT /v1/users/{id}/preferences` takes.
const MAX_MUTED_CATEGORIES: usize = 64;
