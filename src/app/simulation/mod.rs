//! `tidings simulate`: the very policy code a server runs, against shoppers whose tastes, hours and patience it does not
//! know, faster than time. How a change of policy is judged before it ships.
//!
//! What shoppers do is of another form than what the policy assumes of them ([`shopper`]), so that it wins by learning, not
//! by construction. The same seed gives the same shoppers and the same occasions to every policy.

mod histories;
mod oracle;
mod shopper;
mod strategy;
mod world;

use serde::Serialize;

use crate::notify::Rules;

pub use histories::{Histories, histories};
pub use oracle::oracle;
pub use strategy::{Hours, Strategy, Volume, Words};
pub use world::{World, run};

/// What came of a policy over all shoppers and days.
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

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: World = World { users: 400, days: 14, warm_up_days: 0, seed: 1 };

    #[test]
    fn the_same_seed_gives_the_same_and_every_policy_meets_the_same_occasions() {
        let tally = |strategy: &Strategy| run(&WORLD, strategy);
        let policy = Strategy::named("default").unwrap();
        assert_eq!(tally(&policy), tally(&policy));
        let everything = tally(&Strategy::named("everything").unwrap());
        assert_eq!(everything.sent, everything.occasions, "it sends all of them");
        let none = Strategy::named("nothing").unwrap();
        assert_eq!(tally(&none), Tally { users: 400, occasions: tally(&none).occasions, ..Tally::default() });
    }

    #[test]
    fn who_is_told_everything_leaves_sooner() {
        let world = World { days: 28, ..WORLD };
        let rules = Strategy::named("default").unwrap().rules;
        let everything = run(&world, &Strategy::named("everything").unwrap());
        let policy = run(&world, &Strategy::named("default").unwrap());
        assert!(policy.opt_outs < everything.opt_outs, "{policy:?} {everything:?}");
        let best = oracle(&world, &rules);
        assert!(best.utility(&rules) > policy.utility(&rules), "{best:?} {policy:?}");
    }
}
