//! Whether a message of the shop goes out: what the user has muted is dropped, transactional messages pass.

use super::message::{Message, Priority};
use super::policy::{Decision, Outcome, PolicyState, Preferences, Rules};
use crate::base::Timestamp;

impl PolicyState {
    /// Decides about a message of the shop. O(1).
    pub fn admit(&self, message: &Message, _: &Rules, preferences: &Preferences, _: Timestamp) -> Decision {
        if message.priority == Priority::Transactional {
            let reasons = vec!["transactional: the user needs to know".into()];
            return Decision { outcome: Outcome::Send, reasons };
        }
        if preferences.muted.contains(&*message.category) {
            let reasons = vec![format!("muted: the user wants no {}", message.category)];
            return Decision { outcome: Outcome::Drop, reasons };
        }
        Decision { outcome: Outcome::Send, reasons: vec!["allowed: not muted".into()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_mute_drops_all_but_transactional_messages() {
        let mut message = Message {
            kind: "promotion".into(),
            category: "promotion".into(),
            priority: Priority::High,
            title: "t".into(),
            body: "".into(),
            url: None,
            image_url: None,
            data: None,
            collapse_key: None,
            expires_at: Timestamp(1),
        };
        let rules = Rules::new(&config::Policy::default());
        let mut preferences = Preferences::default();
        let state = PolicyState::default();
        let outcome = |message: &Message, preferences: &Preferences| {
            state.admit(message, &rules, preferences, Timestamp(0)).outcome
        };
        assert_eq!(outcome(&message, &preferences), Outcome::Send);
        preferences.muted.insert("promotion".into());
        assert_eq!(outcome(&message, &preferences), Outcome::Drop);
        message.priority = Priority::Transactional;
        assert_eq!(outcome(&message, &preferences), Outcome::Send);
    }
}
