//! Counts of what came of a policy, and what they are worth.

use serde::Serialize;

use tidings_decision::notify::Rules;

/// Totals of a policy over all shoppers and days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Shoppers there were.
    pub users: u64,
    /// Occasions to say something.
    pub occasions: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages clicked.
    pub clicks: u64,
    /// Purchases after a click.
    pub purchases: u64,
    /// Dismissed unread.
    pub dismissed: u64,
    /// Shoppers who opted out.
    pub opt_outs: u64,
}

impl Tally {
    /// Clicks, purchases and opt-outs by what the rules say they are worth, in clicks.
    pub fn utility(&self, rules: &Rules) -> f64 {
        let worth = &rules.worth;
        worth.click * self.clicks as f64 + worth.purchase * self.purchases as f64
            - worth.mute_cost * self.opt_outs as f64
    }

    /// Clicks a message.
    pub fn click_through(&self) -> f64 {
        self.clicks as f64 / self.sent.max(1) as f64
    }

    /// Purchases a message.
    pub fn conversion(&self) -> f64 {
        self.purchases as f64 / self.sent.max(1) as f64
    }

    /// Opt-outs a thousand shoppers.
    pub fn opt_outs_per_thousand(&self) -> f64 {
        1_000.0 * self.opt_outs as f64 / self.users.max(1) as f64
    }

    /// Of both together.
    pub fn add(&mut self, other: &Self) {
        self.users += other.users;
        self.occasions += other.occasions;
        self.sent += other.sent;
        self.clicks += other.clicks;
        self.purchases += other.purchases;
        self.dismissed += other.dismissed;
        self.opt_outs += other.opt_outs;
    }
}
