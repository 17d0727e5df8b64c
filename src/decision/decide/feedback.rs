//! Feedback of users on messages, and mutes. Conversions are computed from stored events when they are read.

use super::record::{FeedbackRow, Record};
use super::user_state::{Step, UserState};
use crate::deliver::inbound::{MuteOf, MuteWish};
use crate::deliver::{Change, Frame, frames};
use crate::feedback::FeedbackOutcome;
use crate::notify::policy::{BRAND, PreferenceChange, TOO_MANY_MUTES};
use tidings_core::base::{ConnectionId, ExternalId, NotificationId};
use tidings_core::catalogue::Item;

/// Answer to a mute for which there is no room.
fn too_many_mutes() -> Frame {
    frames::error("too_many_mutes", TOO_MANY_MUTES, false, None)
}

impl UserState {
    /// Feedback of a connection.
    pub(super) fn feedback(
        &mut self,
        connection: ConnectionId,
        id: NotificationId,
        outcome: FeedbackOutcome,
        item: Option<&ExternalId>,
        step: &mut Step<'_>,
    ) {
        if outcome == FeedbackOutcome::Converted {
            let message =
                "nobody reports a conversion: it follows from a purchase that the shop sends as an event";
            let frame = frames::error("bad_outcome", message, false, None);
            return self.answer(connection, frame, step);
        }
        let Some(sent) = self.policy.find(id) else {
            let message = "no such message to this user in the last week";
            let frame = frames::error("unknown_notification", message, false, None);
            return self.answer(connection, frame, step);
        };
        let category = sent.category.to_string();
        let now = step.now();
        let item = item.and_then(|item| step.world.catalogue.find(item).map(|item| item.id));
        step.record(Record::Feedback(FeedbackRow {
            notification_id: id,
            outcome: outcome.code(),
            user: self.user,
            item,
            value: None,
            occurred_at: now,
        }));
        self.note_response(id, outcome, step);
        if outcome == FeedbackOutcome::Clicked {
            self.change(connection, id, Change::Read, step);
        }
        self.note_rejected(id, outcome, step);
        if outcome == FeedbackOutcome::Muted {
            let mute = MuteOf::Category.into_mute(category);
            if !self.document.has_room_for(&mute) {
                return self.answer(connection, too_many_mutes(), step);
            }
            self.change_preferences(PreferenceChange::mute(now, mute), step);
        }
    }

    /// An outcome that is stored already.
    pub(super) fn reported(&mut self, id: NotificationId, outcome: FeedbackOutcome, step: &mut Step<'_>) {
        self.note_response(id, outcome, step);
        self.note_rejected(id, outcome, step);
    }

    /// A rejected message rests, and is no answer to another tab.
    fn note_rejected(&mut self, id: NotificationId, outcome: FeedbackOutcome, step: &Step<'_>) {
        if outcome.is_rejection() {
            self.policy.note_dismissed(id, step.now());
            self.last_login.take_if(|answer| answer.id == id);
        }
    }

    /// Mutes what the wish names, or what the message it came with is about, and answers.
    pub(super) fn mute(&mut self, connection: ConnectionId, wish: &MuteWish, step: &mut Step<'_>) {
        let Some(name) = self.muted_name(wish, step) else {
            let message = "give a name, or a notification_id of the last week whose message has one";
            let frame = frames::error("nothing_to_mute", message, false, None);
            return self.answer(connection, frame, step);
        };
        let mute = wish.of.into_mute(name.clone());
        if !self.document.has_room_for(&mute) {
            return self.answer(connection, too_many_mutes(), step);
        }
        if let Some(id) = wish.notification_id {
            match wish.of {
                // The outcome "muted" stands for the message's category, and mutes that.
                MuteOf::Category if self.policy.find(id).is_some() => {
                    self.feedback(connection, id, FeedbackOutcome::Muted, None, step);
                }
                MuteOf::Category => {}
                _ => self.learn_response(id, FeedbackOutcome::Muted, step),
            }
        }
        self.change_preferences(PreferenceChange::mute(step.now(), mute), step);
        self.answer(connection, frames::muted(wish.of.name(), &name), step);
    }

    /// The name of what is muted, in the terms of the preference.
    fn muted_name(&self, wish: &MuteWish, step: &Step<'_>) -> Option<String> {
        if let Some(name) = wish.name.as_ref().filter(|name| !name.is_empty()) {
            return Some(name.clone());
        }
        let catalogue = step.world.catalogue;
        let sent = wish.notification_id.and_then(|id| self.policy.find(id));
        let named = wish.item_id.as_ref().and_then(|id| catalogue.find(id));
        let first = sent.and_then(|sent| sent.items.first()).and_then(|item| catalogue.get(*item));
        let item: Option<&Item> = named.or(first).map(AsRef::as_ref);
        match wish.of {
            MuteOf::Category => sent.map(|sent| sent.category.to_string()),
            MuteOf::Kind => sent.map(|sent| sent.campaign.to_string()),
            MuteOf::Item => item.map(|item| item.external_id.to_string()),
            MuteOf::ItemCategory => item.and_then(|item| item.category.first().cloned()),
            MuteOf::Brand => item.and_then(|item| item.attributes.get(BRAND).cloned()),
        }
    }
}
