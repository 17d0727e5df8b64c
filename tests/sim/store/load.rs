//! A user as a server reads it, and the queries over all users.

use std::collections::VecDeque;

use tidings::base::{Millis, Timestamp};
use tidings::catalogue::Catalogue;
use tidings::decide::record::DeferredRow;
use tidings::decide::{Loaded, MAX_DEFERRED_READ, RecentSend, SentAs, StoredNotification, StoredUser};
use tidings::deliver::stream::MAX_ENTRIES;
use tidings::notify::Channel;
use uuid::Uuid;

use super::{MessageRow, Store, UserRows};
use crate::faults::Fault;

impl Store {
    /// Ends deferred triggers that expired an hour ago with a stored decision; their users did not come in time.
    pub fn expire_deferred(&mut self, now: Timestamp, mut id: impl FnMut() -> Uuid) -> Vec<(Uuid, Uuid)> {
        let mut ended = Vec::new();
        for rows in &mut self.users {
            let is_over = |row: &DeferredRow| row.expires_at < now - Millis::hours(1);
            let (over, kept) = std::mem::take(&mut rows.held).into_iter().partition(is_over);
            rows.held = kept;
            for row in over {
                let decision = row.expired(id(), now);
                ended.push((row.held_id, decision.decision_id));
                rows.decisions.push(decision);
            }
        }
        ended
    }

    /// A user as a server reads it.
    pub fn load(&self, user: usize, now: Timestamp, catalogue: &Catalogue) -> Loaded {
        let rows = &self.users[user];
        let fault = |fault| self.fault == Some(fault);
        let last_offset = rows.messages.last().map_or(0, |row| row.message.offset).max(0);
        let first = rows.messages.len().saturating_sub(MAX_ENTRIES);
        let tail: Vec<StoredNotification> =
            rows.messages[first..].iter().map(|row| self.stored(rows, row, now)).collect();
        let kept = |row: &&MessageRow| row.is_live(now) && row.message.trigger != "login";
        let older = rows.messages[..first]
            .iter()
            .filter(kept)
            .map(|row| StoredNotification { frame: String::new(), ..self.stored(rows, row, now) });
        let since = now.plus_days(-7.0);
        // As many as the policy remembers, which is more than the stream holds.
        // Of one who was merged into, not in the order of the stream.
        let mut recent: Vec<&MessageRow> = rows.messages.iter().collect();
        if rows.merged_at.is_some() {
            recent.sort_by_key(|row| row.message.created_at);
        }
        let recent = recent
            .into_iter()
            .map(|row| self.stored(rows, row, now))
            .filter(|one| one.created_at >= since)
            .filter(|one| !fault(Fault::ForgetsUnconfirmed) || !rows.is_unconfirmed(one.notification_id))
            .map(|one| recent_send(rows, &one))
            .collect();
        let mut held: VecDeque<&DeferredRow> = rows.held.iter().filter(|row| row.expires_at > now).collect();
        held.make_contiguous().sort_by_key(|row| row.until);
        let consents = rows.consents.iter().filter(|_| !fault(Fault::ForgetsConsent));
        let stored = StoredUser {
            user: rows.user,
            external_id: rows.external_id.clone(),
            robot_since: rows.robot_since,
            last_connected: rows.last_connected,
            merged_at: rows.merged_at,
            attributes: tidings::profile::Attributes::default(),
            fired_once: rows.fired_once.iter().map(|(name, at)| (name.clone(), *at)).collect(),
            events: rows.events.clone(),
            stated: None,
            preferences: rows.preferences.clone(),
            consents: consents.map(|(purpose, granted)| (purpose.name().to_owned(), *granted)).collect(),
            held: held.into_iter().take(MAX_DEFERRED_READ).cloned().collect(),
            last_offset,
            floor: tail.iter().map(|one| one.offset - 1).min().unwrap_or(last_offset).min(last_offset),
            tail,
            older: older.collect(),
            recent,
        };
        Loaded::fold(stored, catalogue)
    }

    fn stored(&self, rows: &UserRows, row: &MessageRow, now: Timestamp) -> StoredNotification {
        let message = &row.message;
        let acknowledged = message.offset <= rows.acknowledged;
        let again = row.is_live(now) && (message.created_at > now.plus_days(-1.0) || !acknowledged);
        StoredNotification {
            notification_id: message.notification_id,
            offset: message.offset,
            kind: message.kind.clone(),
            category: message.category.clone(),
            trigger: message.trigger.clone(),
            items: message.items.clone(),
            frame: if again { message.frame.to_string() } else { String::new() },
            created_at: message.created_at,
            expires_at: message.expires_at,
            acknowledged,
            collapse_key: message.collapse_key.as_deref().map(str::to_owned),
            priority: message.priority,
            marks: row.marks(self.fault),
            withdrawn: row.withdrawn,
            channel: row.channel,
            taken_back_at: row.taken_back_at,
            given: row.given && self.fault != Some(Fault::ForgetsGiven),
            call: message.call,
        }
    }

    /// What a user who was given messages before the server died has left: the sweep after a start hands it over.
    pub fn left_behind(&self, now: Timestamp) -> Vec<usize> {
        let is_left = |rows: &UserRows| {
            !rows.subscriptions.is_empty()
                && rows.messages.iter().any(|row| {
                    row.channel == Channel::Socket
                        && row.message.offset > rows.acknowledged
                        && row.message.expires_at > now
                        && row.message.created_at > now.plus_days(-1.0)
                })
        };
        (0..self.users.len()).filter(|user| is_left(&self.users[*user])).collect()
    }
}

fn recent_send(rows: &UserRows, one: &StoredNotification) -> RecentSend {
    let id = one.notification_id;
    let decision = rows.decisions.iter().find(|row| row.notification_id == Some(id)).map(|row| SentAs {
        campaign: row.trace.campaign.clone(),
        channel: row.trace.channel.clone(),
        dedupe_key: row.trace.dedupe_key,
        counted: row.trace.counted,
    });
    let of = rows.feedback.iter().filter(|row| row.notification_id == id);
    RecentSend::new(one, decision, of.map(|row| row.outcome).collect())
}
