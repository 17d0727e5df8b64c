//! Drift of the response model: observed responses to messages since the model was trained, against its predictions, as a shift
//! in log odds for each trigger. A message counts when it has had its time to be answered, so that a burst of sends does not look
//! like silence. Purchases may come days later: the next training counts them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::base::{Millis, NotificationId, Timestamp};

use super::per_response::{PerResponse, Probabilities, Response, log_odds};

/// Messages waiting for their time; beyond it the oldest count at once.
const MAX_WAITING: usize = 32_768;
/// Messages that the model's own probability counts for.
const STRENGTH: f64 = 50.0;
/// Counts are halved beyond so many messages, so that the latest weigh most.
const MEMORY: f64 = 2_000.0;
/// Furthest shift: a factor of 20 in odds.
const MAX_SHIFT: f64 = 3.0;

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    messages: f64,
    expected: f64,
    observed: f64,
}

impl Tally {
    fn shift(&self) -> f64 {
        if self.messages <= 0.0 {
            return 0.0;
        }
        let expected = self.expected / self.messages;
        let observed = (self.observed + STRENGTH * expected) / (self.messages + STRENGTH);
        (log_odds(observed) - log_odds(expected)).clamp(-MAX_SHIFT, MAX_SHIFT)
    }
}

#[derive(Debug)]
struct Waiting {
    trigger: Arc<str>,
    said: Probabilities,
    came: PerResponse<bool>,
}

/// The running comparison. Bounded: 32,768 messages of some 80 bytes.
#[derive(Debug, Default)]
pub struct Drift {
    waiting: HashMap<NotificationId, Waiting>,
    order: VecDeque<(Timestamp, NotificationId)>,
    tallies: BTreeMap<Arc<str>, PerResponse<Tally>>,
}

impl Drift {
    /// Another model serves: what is known about the last one says nothing about it.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// A message was sent of which the model (unshifted) said this. `trigger` is one of the triggers' names.
    pub fn note_sent(&mut self, id: NotificationId, at: Timestamp, trigger: &str, said: Probabilities) {
        let trigger = trigger.into();
        self.waiting.insert(id, Waiting { trigger, said, came: PerResponse::default() });
        self.order.push_back((at, id));
        while self.order.len() > MAX_WAITING {
            self.settle_oldest();
        }
    }

    /// A message was answered. Each answer counts once; to an unknown message, or after its time, not at all.
    pub fn note_response(&mut self, id: NotificationId, response: Response) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            *waiting.came.get_mut(response) = true;
        }
    }

    /// Counts the messages older than `patience`.
    pub fn settle(&mut self, now: Timestamp, patience: Millis) {
        while self.order.front().is_some_and(|(at, _)| *at + patience <= now) {
            self.settle_oldest();
        }
    }

    fn settle_oldest(&mut self) {
        let Some((_, id)) = self.order.pop_front() else { return };
        let Some(waiting) = self.waiting.remove(&id) else { return };
        let tallies = self.tallies.entry(waiting.trigger).or_default();
        for response in [Response::Click, Response::Mute] {
            let tally = tallies.get_mut(response);
            tally.messages += 1.0;
            tally.expected += f64::from(*waiting.said.get(response));
            tally.observed += f64::from(u8::from(*waiting.came.get(response)));
            if tally.messages > MEMORY {
                *tally = Tally {
                    messages: tally.messages / 2.0,
                    expected: tally.expected / 2.0,
                    observed: tally.observed / 2.0,
                };
            }
        }
    }

    /// The shifts so far.
    pub fn corrections(&self) -> Corrections {
        let shifts = |tallies: &PerResponse<Tally>| {
            [Response::Click, Response::Purchase, Response::Mute]
                .map(|response| tallies.get(response).shift())
        };
        Corrections(
            self.tallies.iter().map(|(trigger, tallies)| (Arc::clone(trigger), shifts(tallies))).collect(),
        )
    }

    /// The probabilities as what came since suggests; unchanged for a trigger without messages.
    pub fn correct(&self, trigger: &str, said: Probabilities) -> Probabilities {
        self.corrections().correct(trigger, said)
    }
}

/// Shifts in log odds of predicted responses, by trigger. Immutable; replaced whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corrections(BTreeMap<Arc<str>, [f64; 3]>);

impl Corrections {
    /// The probabilities as what came since the training suggests; unchanged for a trigger without messages.
    pub fn correct(&self, trigger: &str, said: Probabilities) -> Probabilities {
        let Some([click, purchase, mute]) = self.0.get(trigger) else { return said };
        Probabilities::from_fn(|response| {
            let shift = match response {
                Response::Click => click,
                Response::Purchase => purchase,
                Response::Mute => mute,
            };
            let shifted = log_odds(f64::from(*said.get(response))) + shift;
            (1.0 / (1.0 + (-shifted).exp())) as f32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const SAID: Probabilities = Probabilities { click: 0.1, purchase: 0.02, mute: 0.01 };
    const PATIENCE: Millis = Millis::seconds(60);

    fn id(number: u128) -> NotificationId {
        NotificationId(Uuid::from_u128(number))
    }

    #[test]
    fn what_came_moves_the_trigger_it_came_for_and_no_other() {
        let mut drift = Drift::default();
        for number in 0..1_000 {
            drift.note_sent(id(number), Timestamp(0), "view", SAID);
            if number % 10 < 3 {
                drift.note_response(id(number), Response::Click);
            }
        }
        // Not yet: they may still be answered.
        drift.settle(Timestamp::from_seconds(59), PATIENCE);
        assert_eq!(drift.correct("view", SAID), SAID);
        drift.settle(Timestamp::from_seconds(60), PATIENCE);
        let corrected = drift.correct("view", SAID);
        // (300 + 50 · 0.1) / 1,050.
        assert!((f64::from(corrected.click) - 305.0 / 1_050.0).abs() < 1e-6, "{corrected:?}");
        assert!(corrected.mute < SAID.mute && corrected.mute > 0.0);
        assert_eq!(drift.correct("cart", SAID), SAID);
        drift.reset();
        assert_eq!(drift.correct("view", SAID), SAID);
    }

    #[test]
    fn memory_is_bounded_and_nonsense_is_ignored() {
        let mut drift = Drift::default();
        drift.note_response(id(1), Response::Mute);
        for number in 0..100_000 {
            drift.note_sent(id(number), Timestamp(0), "view", SAID);
        }
        assert!(drift.order.len() <= MAX_WAITING && drift.waiting.len() <= MAX_WAITING);
        let p = drift.correct("view", SAID);
        assert!(p.click > 0.0 && p.click < SAID.click);
    }
}
