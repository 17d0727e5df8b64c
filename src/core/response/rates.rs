//! Base rates: how often each response came, by trigger and by trigger × segment, each level smoothed towards the one
//! above by a Beta prior, so that a rate of three messages says little and one of three thousand much. Gelman et al.
//! 2013, ch. 5.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message::Message;
use super::per_response::{Probabilities, Response};

/// Messages that the level above counts for.
const STRENGTH: f64 = 20.0;

/// Before anything was sent: what senders of such messages see.
pub(super) const PRIOR: Probabilities = Probabilities { click: 0.05, purchase: 0.01, mute: 0.005 };

/// Messages that have had their time, and those that were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    messages: u32,
    responses: u32,
}

impl Tally {
    fn rate(self, prior: f64) -> f64 {
        (f64::from(self.responses) + STRENGTH * prior) / (f64::from(self.messages) + STRENGTH)
    }
}

/// Counts by response: over all, by trigger, by trigger and segment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct BaseRates {
    overall: BTreeMap<Response, Tally>,
    by_trigger: BTreeMap<(Response, Box<str>), Tally>,
    by_segment: BTreeMap<(Response, Box<str>, u8), Tally>,
}

impl BaseRates {
    /// Counts one message that has had its time to be answered.
    pub(super) fn note(&mut self, message: &Message, response: Response) {
        let trigger: Box<str> = message.trigger.as_str().into();
        let count = |tally: &mut Tally| {
            tally.messages = tally.messages.saturating_add(1);
            tally.responses = tally.responses.saturating_add(message.has(response).into());
        };
        count(self.overall.entry(response).or_default());
        count(self.by_trigger.entry((response, trigger.clone())).or_default());
        if let Some(segment) = message.segment {
            count(self.by_segment.entry((response, trigger, segment)).or_default());
        }
    }

    /// (0, 1), never at either end.
    pub(super) fn rate(&self, response: Response, trigger: &str, segment: Option<u8>) -> f64 {
        let overall = self.overall.get(&response).copied().unwrap_or_default();
        let overall = overall.rate(f64::from(*PRIOR.get(response)));
        let key = (response, Box::from(trigger));
        let by_trigger = self.by_trigger.get(&key).copied().unwrap_or_default().rate(overall);
        let by_segment = segment.and_then(|segment| self.by_segment.get(&(response, key.1, segment)));
        by_segment.copied().unwrap_or_default().rate(by_trigger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Millis, Timestamp};
    use crate::response::per_response::PerResponse;

    fn message(trigger: &str, segment: u8, clicked: bool) -> Message {
        Message {
            sent_at: Timestamp(0),
            trigger: trigger.to_owned(),
            category: "similar_items".to_owned(),
            segment: Some(segment),
            features: Vec::new(),
            after: PerResponse { click: clicked.then_some(Millis(5)), ..PerResponse::default() },
        }
    }

    #[test]
    fn each_level_is_smoothed_towards_the_one_above() {
        let mut rates = BaseRates::default();
        assert_eq!(rates.rate(Response::Click, "view", Some(0)), f64::from(PRIOR.click));
        for clicked in [true, false, false, false] {
            rates.note(&message("view", 0, clicked), Response::Click);
        }
        // (1 + 20 · 0.05) / 24, then with that twice more.
        let mut expected = f64::from(PRIOR.click);
        for _ in 0..3 {
            expected = (1.0 + 20.0 * expected) / 24.0;
        }
        assert!((rates.rate(Response::Click, "view", Some(0)) - expected).abs() < 1e-12);
        // Another trigger learns of it by the overall rate alone.
        let overall = (1.0 + 20.0 * f64::from(PRIOR.click)) / 24.0;
        assert!((rates.rate(Response::Click, "cart", Some(3)) - overall).abs() < 1e-12);
    }
}
