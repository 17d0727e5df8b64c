//! Tidings: a real-time personalised notification server. `src/ARCHITECTURE.md` walks one event through it.
//!
//! Each layer is a crate; this one assembles them, and names their modules for tests and benchmarks.

pub use tidings_actors as actors;
pub use tidings_core::{base, catalogue, config, evaluate, event, ml, profile, recommend, response};
pub use tidings_decision::{decide, deliver, feedback, notify, privacy};
pub use tidings_demo as demo;
pub use tidings_http as http;
pub use tidings_import as import;
pub use tidings_intake as intake;
pub use tidings_schema as schema;
pub use tidings_state as state;
pub use tidings_store as store;
pub use tidings_telemetry as telemetry;
pub use tidings_transport as transport;

pub mod app;
