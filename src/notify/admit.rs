//! A message of the shop as the policy sees it: the same steps as everything else; its kind is its campaign.

use super::message::Message;
use super::policy::{Candidate, Decision, Moment, PolicyState, Preferences, Rules, Truth, decide};

impl PolicyState {
    /// Decides about a message of the shop. O(messages remembered).
    pub fn admit(
        &self,
        message: &Message,
        moment: &Moment<'_>,
        rules: &Rules,
        preferences: &Preferences,
    ) -> Decision {
        let candidate = Candidate {
            category: &message.category,
            campaign: &message.kind,
            priority: message.priority,
            items: &[],
            subject: None,
            needs_items: false,
            asked_for: false,
            from_profile: false,
            truth: Truth::Holds,
            // Told apart when it was accepted.
            dedupe_key: None,
            expires_at: message.expires_at,
        };
        decide(&candidate, moment, self, rules, preferences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::config;
    use crate::notify::{Outcome, Priority};

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
            state.admit(message, &Moment::at(Timestamp(0)), &rules, preferences).outcome
        };
        assert_eq!(outcome(&message, &preferences), Outcome::Send);
        preferences.muted.insert("promotion".into());
        assert_eq!(outcome(&message, &preferences), Outcome::Drop);
        message.priority = Priority::Transactional;
        assert_eq!(outcome(&message, &preferences), Outcome::Send);
        message.expires_at = Timestamp(0);
        assert_eq!(outcome(&message, &preferences), Outcome::Drop);
    }
}
