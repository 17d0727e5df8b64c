//! The distinct items a user last had to do with, newest first.

use serde::Serialize;

use crate::base::{ItemId, Timestamp};
use crate::event::EventKind;

/// Most items remembered; what recommending looks at.
pub const MAX_RECENT: usize = 50;

/// One item of the recent list. 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RecentItem {
    /// Item of the interaction.
    pub item: ItemId,
    /// Kind of the last event with the item.
    pub kind: EventKind,
    /// Time of that event.
    pub at: Timestamp,
    /// Interest of all events with it since it entered the list; negative once sent back or thrown out.
    pub weight: f32,
}

/// Puts an event into the list: newest first; of two at one moment the later applied comes first. An event
/// older than all of a full list changes nothing.
pub(super) fn record(recent: &mut Vec<RecentItem>, event: RecentItem) {
    let mut entry = event;
    if let Some(place) = recent.iter().position(|known| known.item == event.item) {
        let known = recent.remove(place);
        entry.weight += known.weight;
        if known.at > event.at || (known.at == event.at && known.kind > event.kind) {
            entry.kind = known.kind;
            entry.at = known.at;
        }
    }
    let place = recent.iter().position(|known| known.at <= entry.at).unwrap_or(recent.len());
    if place >= MAX_RECENT {
        return;
    }
    recent.truncate(MAX_RECENT - 1);
    if recent.len() == recent.capacity() {
        recent.reserve_exact(8.min(MAX_RECENT - recent.len()));
    }
    recent.insert(place, entry);
}
