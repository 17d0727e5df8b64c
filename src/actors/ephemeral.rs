//! Messages for whoever is looking right now: a score, a price that ticks, a sale that ends in a minute. Encoded once, given to
//! every connection of those it is for, and forgotten: no place in a stream, no row, no inbox, no second try. Each user's
//! actor still asks the policy, so mutes, consent, quiet hours, caps and the budget hold; what was shown counts for as long as the actor lives.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::registry::{Entry, Registry};
use super::send::Offer;
use super::user::messages::UserMessage;
use tidings_core::base::{NotificationId, Timestamp};
use tidings_decision::decide::{Announcement, Input};
use tidings_decision::deliver::frames;
use tidings_decision::notify::message::{self, Audience};
use tidings_state::AppState;
use tidings_telemetry::Count;

/// Users told before other work of the thread has its turn.
const AT_ONCE: usize = 512;

/// Tells users who are connected; to how many actors it went. Those it is not for, or who want to be left alone, are
/// among them.
pub async fn tell_now(
    audience: &Audience,
    message: message::Message,
    state: &AppState,
    registry: &Registry,
) -> usize {
    let entries: Vec<Arc<Entry>> = match audience {
        Audience::Users(users) => {
            // Several ids of one person lead to one actor.
            let mut seen = HashSet::new();
            let entries = users.iter().filter_map(|user| registry.get(user));
            entries.filter(|entry| seen.insert(entry.instance)).collect()
        }
        Audience::Segment(_) | Audience::Topic(_) | Audience::Meeting(_) | Audience::Everyone => {
            registry.entries()
        }
    };
    let segment = match audience {
        Audience::Segment(segment) => Some(*segment),
        Audience::Users(_) | Audience::Topic(_) | Audience::Meeting(_) | Audience::Everyone => None,
    };
    let id = NotificationId(Uuid::now_v7());
    let frame = frames::ephemeral(id, &message, Timestamp::now());
    let announcement = Arc::new(Announcement { id, message, segment, frame });
    let mut told = 0;
    for group in entries.chunks(AT_ONCE) {
        for entry in group {
            match entry.offer(UserMessage::Happened(Input::Ephemeral(Arc::clone(&announcement)))) {
                Offer::Queued => told += 1,
                Offer::Full(_) => state.metrics.add(Count::MailboxFull, 1),
                Offer::Closed(_) => {}
            }
        }
        tokio::task::yield_now().await;
    }
    told
}
