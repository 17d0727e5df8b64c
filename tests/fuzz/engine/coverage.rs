//! Coverage of the code under test, where it was built with counters (`tests/fuzz/instrumented`): which places an input reached, and
//! how often, in the eight classes of AFL. Without counters nothing is ever new.

use std::sync::Mutex;

/// A run of counters: address of the first, and length. They are statics of an instrumented crate.
static REGIONS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Called by each instrumented crate before `main`; the name is LLVM's (SanitizerCoverage, inline 8-bit counters).
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let (start, length) = (start as usize, stop as usize - start as usize);
    if let Ok(mut regions) = REGIONS.lock()
        && length > 0
        && !regions.contains(&(start, length))
    {
        regions.push((start, length));
    }
}

/// Places reached so far, with the classes of their counts.
pub struct Coverage {
    seen: Vec<Vec<u8>>,
    /// Places reached.
    pub places: usize,
}

/// Class of a count as a bit: 1, 2, 3, 4…7, 8…15, 16…31, 32…127, more.
fn class(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        _ => 128,
    }
}

impl Coverage {
    pub fn new() -> Self {
        let regions = REGIONS.lock().unwrap();
        Self { seen: regions.iter().map(|(_, length)| vec![0; *length]).collect(), places: 0 }
    }

    /// Whether the code was built with counters.
    pub fn is_measured(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Takes the counters since the last look, and clears them. Whether something was reached that was not before, or as often.
    pub fn take(&mut self) -> bool {
        let mut is_new = false;
        for ((start, length), seen) in REGIONS.lock().unwrap().iter().zip(&mut self.seen) {
            // SAFETY: a static of an instrumented crate, alive as long as the process; other threads only add to single bytes.
            let counters = unsafe { std::slice::from_raw_parts_mut(*start as *mut u8, *length) };
            for (counters, seen) in counters.chunks_mut(64).zip(seen.chunks_mut(64)) {
                if counters.iter().all(|count| *count == 0) {
                    continue;
                }
                for (count, seen) in counters.iter_mut().zip(seen) {
                    let class = class(std::mem::take(count));
                    if class & !*seen != 0 {
                        is_new = true;
                        self.places += usize::from(*seen == 0);
                        *seen |= class;
                    }
                }
            }
        }
        is_new
    }
}
