//! Nothing is decided again and again, and what is deferred for somebody who is there has a timer and is released in time.

use std::collections::VecDeque;

use tidings::decide::record::DecisionRow;
use tidings::decide::{Effect, Input, MAX_DEFERRED_READ, Record};

use super::Property;
use crate::sim::Sim;

const MINUTE: i64 = 60_000_000;
/// Decisions that nobody asked for, of one user in a minute: all that are deferred and read at once, and some.
const MOST_IN_A_MINUTE: usize = MAX_DEFERRED_READ + 44;
/// Decisions about one message of the API in a minute: as often as it may come back.
const MOST_OF_ONE: usize = 20;
/// A timer may be this late, microseconds.
const LATE: i64 = 5_000;
/// What is due is released within this, once its timer can know.
const RELEASED_WITHIN: i64 = 3_000_000;

#[derive(Default)]
pub struct Rates {
    /// Moments and campaigns of decisions that no client caused.
    decided: VecDeque<(i64, String)>,
    /// Since when something has been due.
    due_since: Option<i64>,
}

/// Whether a campaign is the kind of a message of the API; triggers have other names.
fn is_kind(campaign: &str) -> bool {
    campaign.strip_prefix('k').is_some_and(|number| number.parse::<u64>().is_ok())
}

impl Sim {
    pub fn check_rates(&mut self, user: usize, input: &Input, effects: &[Effect]) {
        let by_itself = matches!(
            input,
            Input::Due
                | Input::Tick
                | Input::Loaded
                | Input::DueInStore(_)
                | Input::Stored(_)
                | Input::NotStored(_)
                | Input::MessageOfApi(_)
        );
        let mono = self.mono;
        let rates = &mut self.shadow.users[user].rates;
        rates.decided.retain(|(at, _)| *at > mono - MINUTE);
        let rows = effects.iter().filter_map(|effect| match effect {
            Effect::Record(Record::Decision(row, _)) | Effect::SettleWith(_, row) => Some(row.as_ref()),
            Effect::Store(outgoing) => outgoing.decision.as_deref(),
            _ => None,
        });
        for DecisionRow { trace, .. } in rows {
            self.tally.decisions += 1;
            if !by_itself {
                continue;
            }
            let of_one = rates.decided.iter().filter(|(_, known)| *known == trace.campaign).count();
            rates.decided.push_back((mono, trace.campaign.clone()));
            // One kind is one message. What was collected for a digest has the campaign of all, and may expire at once.
            let is_of_one = is_kind(&trace.campaign);
            if (is_of_one && of_one > MOST_OF_ONE) || rates.decided.len() > 2 * MOST_IN_A_MINUTE {
                let text = format!("{of_one} decisions about {} of user {user} in a minute", trace.campaign);
                return self.fail(Property::Loop, text);
            }
            let own = rates.decided.iter().filter(|(_, name)| !is_kind(name)).count();
            if own > MOST_IN_A_MINUTE {
                return self.fail(Property::Loop, format!("{own} decisions about user {user} in a minute"));
            }
        }
    }

    pub fn check_timers(&mut self) {
        let Some(holder) = self.holder() else { return };
        let (mono, now) = (self.mono, self.now());
        for user in 0..self.names.len() {
            let of = &self.servers[holder];
            let actor = of.registry[user].and_then(|instance| of.actors.get(&instance));
            let Some(actor) = actor.filter(|actor| actor.transitions > self.jumped) else {
                self.shadow.users[user].rates.due_since = None;
                continue;
            };
            let state = actor.ready().filter(|state| state.is_connected() && !state.is_stalled());
            let due = state.and_then(|state| state.next_release());
            let Some(due) = due else {
                self.shadow.users[user].rates.due_since = None;
                continue;
            };
            let fires = actor.timer.map(|(_, at, _)| at);
            // After the clock was set, housekeeping finds what a timer can't know.
            let was_set = actor.timer.is_some_and(|(_, _, jumps)| jumps < self.jumps);
            let latest = mono + (due.0 - now.0).max(1_000_000) + LATE;
            let ticked_at = actor.ticked_at;
            let rates = &mut self.shadow.users[user].rates;
            let known = rates.due_since.unwrap_or(mono);
            let waits_for_tick = was_set && ticked_at <= known;
            let since = if due > now || waits_for_tick { mono } else { known };
            rates.due_since = (due <= now && !waits_for_tick).then_some(since);
            if fires.is_none_or(|at| at > latest && !was_set) {
                let fires = fires.map(|at| at - mono);
                let text = format!("deferred until {due}, at {now} the timer fires in {fires:?} µs");
                self.fail(Property::Timer, text);
            } else if due <= now && mono - since > RELEASED_WITHIN {
                self.fail(Property::Timer, format!("due since {due} and not released at {now}"));
            }
        }
    }
}
