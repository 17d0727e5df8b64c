//! Frequency caps: rolling windows over all of a user's channels and devices, joined by AND. A message is counted from
//! the moment it is decided (reserved), until its window has passed or it was refunded: it could not be stored, or it expired
//! before a page that somebody looks at or a push service was given it. The second needs no timer: what has expired so is
//! not counted ([`Sent::takes_place`]), and a state made anew from the tables counts the same.

use super::candidate::{Candidate, Channel};
use super::rules::Rules;
use super::state::{PolicyState, Sent};
use tidings_core::base::{Millis, Timestamp};
use tidings_core::config::Cap;

/// `category`, `channel` and `campaign` of a cap, as far as they are named: "similar_items", "push", "* ".
pub(super) fn scope(cap: &Cap) -> String {
    let named: Vec<&str> = [&cap.category, &cap.channel, &cap.campaign]
        .into_iter()
        .map(String::as_str)
        .filter(|name| *name != "*")
        .collect();
    if named.is_empty() { "*".to_owned() } else { named.join("/") }
}

fn matches(scope: &str, name: &str) -> bool {
    scope == "*" || scope == name
}

/// Returns whether the cap applies to this candidate on this channel.
fn concerns(cap: &Cap, candidate: &Candidate<'_>, channel: Channel) -> bool {
    matches(&cap.category, candidate.category)
        && matches(&cap.campaign, candidate.campaign)
        && matches(&cap.channel, channel.name())
}

fn counts(cap: &Cap, sent: &Sent, now: Timestamp) -> bool {
    sent.takes_place(now)
        && matches(&cap.category, &sent.category)
        && matches(&cap.campaign, &sent.campaign)
        && matches(&cap.channel, sent.channel.name())
}

/// Messages within the cap's window that ends at `now`: (now − window, now]. O(messages remembered).
fn used(cap: &Cap, state: &PolicyState, now: Timestamp) -> usize {
    let since = now - Millis(cap.window_min * 60_000);
    state.since(since).filter(|sent| counts(cap, sent, now)).count()
}

/// The first cap that is used up for the candidate: its place, and how much of it is used.
pub(super) fn exceeded(
    candidate: &Candidate<'_>,
    channel: Channel,
    state: &PolicyState,
    rules: &Rules,
    now: Timestamp,
) -> Option<(usize, usize)> {
    rules
        .caps
        .iter()
        .enumerate()
        .filter(|(_, cap)| concerns(cap, candidate, channel))
        .map(|(index, cap)| (index, cap.max, used(cap, state, now)))
        .find(|(_, max, used)| used >= max)
        .map(|(index, _, used)| (index, used))
}
