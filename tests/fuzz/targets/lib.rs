//! Targets of fuzzing: each parser that reads what strangers, users, services, administrators or files say, as a function of bytes. A
//! target panics where the parser contradicts itself or another reader of the same text.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is how a target tells a fault"
)]

mod definitions;
mod files;
mod secrets;
mod wire;

use std::time::Duration;

/// Takes an answer that only had to come.
fn done<T>(_answer: T) {}

/// A parser under test.
pub struct Target {
    /// Name, also of the folder of its seeds.
    pub name: &'static str,
    /// Reads an input.
    pub run: fn(&[u8]),
    /// Seeds that are made rather than kept as files.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Longest input, bytes.
    pub max_input: usize,
    /// Most memory for each byte of an input, bytes.
    pub factor: usize,
    /// Most memory beside that, bytes.
    pub floor: usize,
    /// Longest time of the processor beside 50 µs for each byte, milliseconds, in a build without optimisation.
    pub floor_ms: u64,
}

impl Target {
    /// Most memory that an input of this length may take, bytes.
    pub fn max_bytes(&self, length: usize) -> usize {
        self.floor + self.factor * length
    }

    /// Longest time of the processor that an input of this length may take.
    pub fn max_time(&self, length: usize) -> Duration {
        Duration::from_millis(self.floor_ms) + Duration::from_micros(50) * length as u32
    }
}

/// A target whose seeds are files, with ordinary bounds.
const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, seeds: Vec::new, max_input: 16 << 10, factor: 64, floor: 1 << 20, floor_ms: 500 }
}

/// Every target.
pub const TARGETS: [Target; 23] = [
    Target { max_input: 64 << 10, ..target("frames", wire::frames) },
    target("inbound", wire::inbound),
    target("posted", wire::posted),
    Target { max_input: 64 << 10, ..target("shape", wire::shape) },
    target("events", wire::events),
    target("items", wire::items),
    target("messages", wire::messages),
    target("people", wire::people),
    target("queries", wire::queries),
    target("forwarded", wire::forwarded),
    target("texts", wire::texts),
    target("push_payload", wire::push_payload),
    // Trees of minijinja, and its bound for what a template makes.
    Target {
        max_input: 4 << 10,
        floor: 16 << 20,
        floor_ms: 4_000,
        ..target("templates", definitions::templates)
    },
    // All active definitions are put together anew.
    Target {
        max_input: 4 << 10,
        floor: 16 << 20,
        floor_ms: 4_000,
        ..target("definitions", definitions::definitions)
    },
    target("lists", definitions::lists),
    target("settings", definitions::settings),
    target("tokens", secrets::tokens),
    target("signed", secrets::signed),
    Target { floor_ms: 2_000, ..target("keys", secrets::keys) },
    target("endpoints", secrets::endpoints),
    Target {
        max_input: 64 << 10,
        factor: 256,
        seeds: secrets::artefacts,
        ..target("artefacts", secrets::artefact)
    },
    target("values", files::values),
    // Buffers of readers, detectors of encodings, tables of unpackers (zstd: a window of 8 MiB and more), threads.
    Target {
        max_input: 32 << 10,
        factor: 4_096,
        floor: 160 << 20,
        floor_ms: 6_000,
        ..target("files", files::import)
    },
];
