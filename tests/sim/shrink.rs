//! The shortest history that still fails: chunks are left out, then single steps, each time replayed from the beginning.

use crate::faults::Fault;
use crate::shadow::Violation;
use crate::sim::Sim;
use crate::sim::Tally;
use crate::steps::{self, Step};

/// What came of a history.
pub struct Outcome {
    pub violation: Option<Violation>,
    /// Steps until it showed.
    pub n_steps: usize,
    pub tally: Tally,
}

/// Runs the steps of a seed, then brings everything to rest.
pub fn run(seed: u64, steps: &[Step], fault: Option<Fault>) -> Outcome {
    run_on(Sim::new(seed, fault), steps)
}

/// The same, with every transition and what came of it.
pub fn print(seed: u64, steps: &[Step], fault: Option<Fault>) {
    let mut sim = Sim::new(seed, fault);
    sim.prints = true;
    run_on(sim, steps);
}

fn run_on(mut sim: Sim, steps: &[Step]) -> Outcome {
    let mut n_steps = 0;
    for step in steps {
        if sim.prints {
            println!("{step}");
        }
        n_steps += 1;
        sim.step(step);
        if sim.violation.is_some() {
            break;
        }
    }
    if sim.violation.is_none() {
        sim.come_to_rest();
        for ms in [2_000, 60_000, 3_600_000, 36_000_000, 90_000_000, 90_000_000, 120_000] {
            sim.step(&Step::Pass(ms));
        }
        sim.check_settled();
    }
    Outcome { violation: sim.violation, n_steps, tally: sim.tally }
}

/// The shortest steps found that break the same property.
pub fn shrink(seed: u64, fault: Option<Fault>) -> Option<(Vec<Step>, Violation)> {
    let all = steps::draw(seed);
    let first = run(seed, &all, fault);
    let property = first.violation.as_ref()?.property;
    let fails = |steps: &[Step]| {
        let outcome = run(seed, steps, fault);
        outcome.violation.filter(|violation| violation.property == property)
    };
    let mut best = all[..first.n_steps].to_vec();
    let mut violation = first.violation?;
    let mut chunk = best.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        let mut shorter = false;
        while start < best.len() {
            let end = (start + chunk).min(best.len());
            let rest: Vec<Step> = best[..start].iter().chain(&best[end..]).copied().collect();
            match fails(&rest) {
                Some(found) => (best, violation, shorter) = (rest, found, true),
                None => start = end,
            }
        }
        if chunk == 1 && !shorter {
            return Some((best, violation));
        }
        chunk = (chunk / 2).max(1);
    }
}
