//! Counts what is allocated, over all threads: bytes alive, and the most of them since the last look.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Largest single allocation; a larger one fails, and the process ends with the input named.
const MAX_ALLOCATION: usize = 2 << 30;

static ALIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
pub struct Counting;

fn add(bytes: usize) {
    PEAK.fetch_max(ALIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; beside it only counters change.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MAX_ALLOCATION {
            return std::ptr::null_mut();
        }
        add(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > MAX_ALLOCATION {
            return std::ptr::null_mut();
        }
        // While it moves both are there, as far as can be told from here.
        add(size);
        ALIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Bytes alive.
pub fn alive() -> usize {
    ALIVE.load(Relaxed)
}

/// Begins a measurement; returns the bytes alive.
pub fn begin() -> usize {
    let alive = alive();
    PEAK.store(alive, Relaxed);
    alive
}

/// Most bytes alive since [`begin`].
pub fn peak() -> usize {
    PEAK.load(Relaxed)
}
