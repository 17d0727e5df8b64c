//! Utility within reach of somebody who knows the shoppers: the bound that regret is measured against.

use super::shopper::{Occasion, Shopper, occasions};
use super::tally::Tally;
use super::world::World;
use tidings_core::base::random::rng;
use tidings_decision::notify::Rules;

/// Gains that are asked for, in clicks; the best of them in hindsight counts.
const THRESHOLDS: [f64; 8] = [0.0, 0.01, 0.02, 0.04, 0.06, 0.09, 0.13, 0.2];
/// Hours looked ahead for a better one.
const HOURS: usize = 24;

/// Knows tastes, hours, wear and patience: tells each occasion at the best hour of the next day in the best words, where the
/// gain is above a threshold, the best of eight in hindsight.
pub fn oracle(world: &World, rules: &Rules) -> Tally {
    let tallies = THRESHOLDS.map(|threshold| with(world, rules, threshold));
    tallies.into_iter().max_by(|a, b| a.utility(rules).total_cmp(&b.utility(rules))).unwrap_or_default()
}

fn with(world: &World, rules: &Rules, threshold: f64) -> Tally {
    let mut tally = Tally { users: world.users as u64, ..Tally::default() };
    for number in 0..world.users {
        let mut shopper = Shopper::new(world.seed, number);
        let mut draws = rng(world.seed ^ ((number as u64) << 20), "occasions");
        for day in 0..world.warm_up_days + world.days {
            for occasion in occasions(&shopper, day, &mut draws) {
                if !shopper.has_left {
                    tell(&mut shopper, occasion, rules, threshold, day >= world.warm_up_days, &mut tally);
                }
            }
        }
    }
    tally
}

fn tell(
    shopper: &mut Shopper,
    occasion: Occasion,
    rules: &Rules,
    threshold: f64,
    counts: bool,
    tally: &mut Tally,
) {
    tally.occasions += u64::from(counts);
    let gain = |at: f64| {
        let click = shopper.click_probability(at, occasion.relevance, shopper.best_wording(at));
        let worth = &rules.worth;
        click * (worth.click + worth.purchase * Shopper::purchase_rate())
            - worth.mute_cost * shopper.leave_probability(at)
    };
    let moments = (0..HOURS).map(|hour| occasion.day + hour as f64 / HOURS as f64);
    let Some(at) = moments.max_by(|a, b| gain(*a).total_cmp(&gain(*b))) else { return };
    if gain(at) <= threshold {
        return;
    }
    let response = shopper.take(at, occasion.relevance, shopper.best_wording(at));
    if counts {
        tally.sent += 1;
        tally.clicks += u64::from(response.clicked);
        tally.purchases += u64::from(response.purchased);
        tally.dismissed += u64::from(response.dismissed);
        tally.opt_outs += u64::from(response.left);
    }
}
