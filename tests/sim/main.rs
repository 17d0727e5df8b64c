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
    reason = "a test that can't go on has nothing better to do than to end"
)]

mod devices;
mod faults;
mod journal;
mod merges;
mod notifier;
mod pauses;
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
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use faults::Fault;
use shadow::{Property, Violation};
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
    all.merges += one.merges;
    all.replayed += one.replayed;
}

/// Seeds that broke something, and how it showed.
type Broken = Vec<(u64, Violation)>;

/// Histories on every core; without `keep_on` until the first that breaks something.
fn run_seeds(seeds: Range<u64>, fault: Option<Fault>, keep_on: bool) -> (Tally, Broken) {
    let (began, said) = (Instant::now(), Mutex::new(Instant::now()));
    let (next, is_over) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let work = || {
        let (mut tally, mut broken) = (Tally::default(), Broken::new());
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let outcome = shrink::run(seed, &steps::draw(seed), fault);
            add(&mut tally, &outcome.tally);
            if let Some(violation) = outcome.violation {
                broken.push((seed, violation));
                is_over.fetch_or(!keep_on, Ordering::Relaxed);
            }
            let mut said = said.lock().unwrap();
            if said.elapsed().as_secs() >= 10 {
                *said = Instant::now();
                let done = seed + 1 - seeds.start;
                let (of, speed) = (seeds.end - seeds.start, done as f64 / began.elapsed().as_secs_f64());
                println!("sim: {done} of {of} seeds, {speed:.0}/s");
            }
        }
        (tally, broken)
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut all, mut broken) = (Tally::default(), Broken::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let (tally, found) = thread.join().unwrap();
            add(&mut all, &tally);
            broken.extend(found);
        }
    });
    broken.sort_by_key(|(seed, _)| *seed);
    (all, broken)
}

fn run_all(from: u64, seeds: u64, fault: Option<Fault>, keep_on: bool) -> bool {
    let began = Instant::now();
    let (all, broken) = run_seeds(from..from + seeds, fault, keep_on);
    if let (Some((seed, _)), false) = (broken.first(), keep_on) {
        print_shortest(*seed, fault, false);
        return false;
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "sim: {seeds} seeds from {from} in {took:.1} s ({:.0}/s), {} violations",
        seeds as f64 / took,
        broken.len()
    );
    println!(
        "sim: {} steps, {} transitions ({} replayed), {} decisions, {} messages placed, {} accepted from the shop, {} shown, \
         {} reads of users who were connected, {} merges",
        all.steps,
        all.transitions,
        all.replayed,
        all.decisions,
        all.messages,
        all.accepted,
        all.shown,
        all.reloads,
        all.merges
    );
    // Violations of one kind begin alike.
    let mut kinds: BTreeMap<(Property, String), Vec<(u64, String)>> = BTreeMap::new();
    for (seed, Violation { property, text }) in &broken {
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
    println!("sim: planted faults, seeds until one is found (at most {within}):");
    let found = Fault::ALL.map(|fault| {
        let (_, broken) = run_seeds(0..within, Some(fault), false);
        match broken.first() {
            Some((seed, violation)) => println!("  {:>5}  {fault} → {}", seed + 1, violation.property),
            None => println!("   none  {fault}"),
        }
        !broken.is_empty()
    });
    found.into_iter().all(|found| found)
}
