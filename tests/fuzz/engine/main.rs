//! Parsers under mutated input. `cargo test --test fuzz` gives each target some seconds, from its seeds in `tests/fuzz/seeds/` and one
//! seed of chance; `make fuzz` builds the code with counters of coverage, keeps what reaches new places, and goes on for an hour a target.
//! Held: no panic, no abort, memory within a factor of the input and a constant, a bound for the time, nothing left behind.
//!
//! ```text
//! fuzz                       two seconds for each target
//! fuzz NAME                  targets whose names contain NAME
//! fuzz --seconds 3600        so long for each target
//! fuzz --seed 17             another history (1)
//! fuzz NAME --input FILE     one input
//! ```
//!
//! libFuzzer was left out: it needs a nightly compiler, C++ and a lock file of its own. LLVM's counters it works with come with every
//! compiler, and around them little is left to do.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that can't go on has nothing better to do than to end"
)]

mod coverage;
mod last_words;
mod memory;
mod mutate;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::{env, fs};

use coverage::Coverage;
use mutate::{Material, Random};
use tidings_fuzz::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Time for each target under `cargo test`.
const SECONDS: f64 = 2.0;
/// Bytes that may stay behind after a target: tables that are made once, and caches with a bound.
const LEFT_BYTES: usize = 8 << 20;
/// Panics of any thread, caught ones among them.
static PANICS: AtomicU64 = AtomicU64::new(0);

struct Arguments {
    filter: String,
    seconds: f64,
    seed: u64,
    input: Option<PathBuf>,
}

fn arguments() -> Arguments {
    let mut all = Arguments { filter: String::new(), seconds: SECONDS, seed: 1, input: None };
    let mut given = env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--seconds" => all.seconds = given.next().unwrap().parse().unwrap(),
            "--seed" => all.seed = given.next().unwrap().parse().unwrap(),
            "--input" => all.input = given.next().map(PathBuf::from),
            // Of the ordinary test harness.
            option if option.starts_with('-') => {}
            name => all.filter = name.to_owned(),
        }
    }
    all
}

/// Folder of what is found: inputs that fail, and those that reach new places.
fn folder(target: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap()).collect()
}

fn name_of(input: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Time of the processor that the process has used, all threads.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it fills the struct.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs one input; the fault, if there is one. The first runs of all make what is made once, and are not measured.
fn run(target: &Target, input: &[u8], is_measured: bool) -> Option<String> {
    last_words::note(input);
    let panics = PANICS.load(SeqCst);
    let (before, began) = (memory::begin(), processor_time());
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (took, peak) = (processor_time() - began, memory::peak().saturating_sub(before));
    if result.is_err() || PANICS.load(SeqCst) > panics {
        return Some("it panicked".to_owned());
    }
    let (most, longest) = (target.max_bytes(input.len()), target.max_time(input.len()));
    if is_measured && peak > most {
        return Some(format!("{peak} bytes of memory for {} bytes, more than {most}", input.len()));
    }
    (is_measured && took > longest)
        .then(|| format!("{took:?} for {} bytes, more than {longest:?}", input.len()))
}

/// Runs a target for some time; what became of it in a line, or its fault.
fn fuzz(target: &Target, arguments: &Arguments) -> Result<String, String> {
    let (mut random, mut coverage) = (Random(arguments.seed), Coverage::new());
    let found = folder(target.name);
    let mut seeds = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target.name));
    seeds.extend((target.seeds)());
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    if coverage.is_measured() {
        seeds.extend(files(&found.join("corpus")));
        fs::create_dir_all(found.join("corpus")).unwrap();
    }
    let failed = |input: &[u8], fault: String| {
        let path = found.join(format!("failed-{}", name_of(input)));
        fs::write(&path, input).unwrap();
        format!("{fault}; fuzz {} --input {}", target.name, path.display())
    };
    for is_measured in [false, true] {
        for seed in &seeds {
            run(target, seed, is_measured).map_or(Ok(()), |fault| Err(failed(seed, fault)))?;
            coverage.take();
        }
    }
    let mut material = Material::new(seeds);
    let (begin, before, mut inputs) = (Instant::now(), memory::alive(), 0u64);
    let (mut kept_bytes, seeded) = (0, material.corpus.len());
    while begin.elapsed().as_secs_f64() < arguments.seconds {
        let input = material.next(&mut random, target.max_input);
        inputs += 1;
        run(target, &input, true).map_or(Ok(()), |fault| Err(failed(&input, fault)))?;
        if coverage.take() {
            fs::write(found.join("corpus").join(name_of(&input)), &input).unwrap();
            kept_bytes += input.capacity() + size_of::<Vec<u8>>() * 4;
            material.corpus.push(input);
        }
    }
    last_words::rest();
    let left = memory::alive().saturating_sub(before + kept_bytes);
    if left > LEFT_BYTES {
        return Err(format!("{left} bytes stayed behind after {inputs} inputs"));
    }
    let (kept, places) = (material.corpus.len() - seeded, coverage.places);
    let guided =
        if coverage.is_measured() { format!(", {places} places, {kept} kept") } else { String::new() };
    Ok(format!("{inputs} inputs{guided}, {} KiB stayed", left >> 10))
}

fn main() {
    let arguments = arguments();
    last_words::watch(&folder("").join("aborted"));
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |information| {
        PANICS.fetch_add(1, SeqCst);
        print(information);
    }));
    let mut faults = 0;
    for target in TARGETS.iter().filter(|target| target.name.contains(&arguments.filter)) {
        if let Some(path) = &arguments.input {
            let input = fs::read(path).unwrap();
            run(target, &input, false);
            println!(
                "{}: {}",
                target.name,
                run(target, &input, true).unwrap_or("nothing is wrong".to_owned())
            );
            continue;
        }
        match fuzz(target, &arguments) {
            Ok(line) => println!("fuzz {:<14} {line}", target.name),
            Err(fault) => {
                faults += 1;
                println!("fuzz {:<14} FAILED: {fault}", target.name);
            }
        }
    }
    if faults > 0 {
        std::process::exit(1);
    }
}
