//! The deterministic simulation: many histories of a few users each, drawn from seeds, against a store, a network and a clock that
//! fail in every way a test can think of. `cargo test --test sim` runs some hundreds and looks for each planted fault;
//! `make simulate-faults SEEDS=10000` runs many.
//!
//! ```text
//! sim                       some histories, and every planted fault
//! sim --seeds 10000         so many histories, from --from (0)
//! sim --seed 17             one, and the shortest history that fails alike (--print: with every transition)
//! sim --faults 1000         every planted fault, at most so many seeds each
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test that can't go on has nothing better to do than to end"
)]

mod devices;
mod faults;
mod journal;
mod notifier;
mod push;
mod requests;
mod setting;
mod shadow;
mod shell;
mod shrink;
mod sim;
mod steps;
mod store;

use std::collections::BTreeMap;
use std::time::Instant;

use faults::Fault;
use shadow::Property;
use sim::Tally;

/// Histories of `cargo test`.
const SEEDS: u64 = 300;
/// Seeds within which each planted fault must be found.
const WITHIN: u64 = 1_000;

struct Arguments {
    seeds: Option<u64>,
    from: u64,
    seed: Option<u64>,
    faults: Option<u64>,
    fault: Option<usize>,
    /// Part of a test's name, as `cargo test` passes it to every test binary.
    filter: Option<String>,
    keep_on: bool,
    prints: bool,
}

fn arguments() -> Arguments {
    let mut all = Arguments {
        seeds: None,
        from: 0,
        seed: None,
        faults: None,
        fault: None,
        filter: None,
        keep_on: false,
        prints: false,
    };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut number = || given.next().and_then(|text| text.parse().ok());
        match argument.as_str() {
            "--seeds" => all.seeds = number(),
            "--from" => all.from = number().unwrap_or(0),
            "--seed" => all.seed = number(),
            "--faults" => all.faults = Some(number().unwrap_or(WITHIN)),
            "--fault" => all.fault = number().map(|place| place as usize),
            "--keep-on" => all.keep_on = true,
            "--print" => all.prints = true,
            "--list" => std::process::exit(0),
            text if text.starts_with('-') => {}
            text => all.filter = Some(text.to_owned()),
        }
    }
    all
}

fn main() {
    let arguments = arguments();
    if arguments.filter.as_ref().is_some_and(|filter| !"sim".contains(filter.as_str())) {
        return;
    }
    let fault = arguments.fault.map(|place| Fault::ALL[place]);
    if let Some(seed) = arguments.seed {
        return print_shortest(seed, fault, arguments.prints);
    }
    let is_plain = arguments.seeds.is_none() && arguments.faults.is_none();
    let seeds = arguments.seeds.or(is_plain.then_some(SEEDS));
    let mut good = true;
    if let Some(seeds) = seeds {
        good &= run_all(arguments.from, seeds, fault, arguments.keep_on);
    }
    if let Some(within) = arguments.faults.or(is_plain.then_some(WITHIN)) {
        good &= find_faults(within);
    }
    if !good {
        std::process::exit(1);
    }
}

fn add(all: &mut Tally, one: &Tally) {
    all.steps += one.steps;
    all.transitions += one.transitions;
    all.decisions += one.decisions;
    all.messages += one.messages;
    all.accepted += one.accepted;
    all.shown += one.shown;
    all.reloads += one.reloads;
    all.replayed += one.replayed;
}

fn run_all(from: u64, seeds: u64, fault: Option<Fault>, keep_on: bool) -> bool {
    let began = Instant::now();
    let mut all = Tally::default();
    let mut broken: Vec<(u64, Property, String)> = Vec::new();
    let mut said = Instant::now();
    for seed in from..from + seeds {
        let outcome = shrink::run(seed, &steps::draw(seed), fault);
        add(&mut all, &outcome.tally);
        if let Some(violation) = outcome.violation {
            if !keep_on {
                print_shortest(seed, fault, false);
                return false;
            }
            broken.push((seed, violation.property, violation.text));
        }
        if said.elapsed().as_secs() >= 10 {
            said = Instant::now();
            let done = seed + 1 - from;
            println!("sim: {done} of {seeds} seeds, {:.0}/s", done as f64 / began.elapsed().as_secs_f64());
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "sim: {seeds} seeds from {from} in {took:.1} s ({:.0}/s), {} violations",
        seeds as f64 / took,
        broken.len()
    );
    println!(
        "sim: {} steps, {} transitions ({} replayed), {} decisions, {} messages placed, {} accepted from the shop, {} shown, \
         {} reads of users who were connected",
        all.steps,
        all.transitions,
        all.replayed,
        all.decisions,
        all.messages,
        all.accepted,
        all.shown,
        all.reloads
    );
    // Violations of one kind begin alike.
    let mut kinds: BTreeMap<(Property, String), Vec<(u64, String)>> = BTreeMap::new();
    for (seed, property, text) in &broken {
        let kind =
            text.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit())).take(3);
        let kind = kind.collect::<Vec<_>>().join(" ");
        kinds.entry((*property, kind)).or_default().push((*seed, text.clone()));
    }
    for ((property, _), of) in kinds {
        let (seed, text) = &of[0];
        let more: Vec<String> = of.iter().skip(1).take(6).map(|(seed, _)| seed.to_string()).collect();
        println!("sim: {} × {property}; seed {seed}: {text}; also {}", of.len(), more.join(" "));
    }
    broken.is_empty()
}

fn print_shortest(seed: u64, fault: Option<Fault>, prints: bool) {
    let Some((steps, violation)) = shrink::shrink(seed, fault) else {
        println!("sim: seed {seed} breaks nothing");
        return;
    };
    println!("sim: seed {seed} breaks \"{}\": {}", violation.property, violation.text);
    println!("sim: the shortest history found, {} steps:", steps.len());
    for step in &steps {
        println!("  {step}");
    }
    if prints {
        shrink::print(seed, &steps, fault);
    }
    println!("sim: again with: make simulate-faults SEED={seed}");
}

/// Each planted fault is found, and after how many seeds.
fn find_faults(within: u64) -> bool {
    let mut good = true;
    println!("sim: planted faults, seeds until one is found (at most {within}):");
    for fault in Fault::ALL {
        let found = (0..within).find_map(|seed| {
            let violation = shrink::run(seed, &steps::draw(seed), Some(fault)).violation?;
            Some((seed + 1, violation.property))
        });
        match found {
            Some((seeds, property)) => println!("  {seeds:>5}  {fault} → {property}"),
            None => println!("   none  {fault}"),
        }
        good &= found.is_some();
    }
    good
}
