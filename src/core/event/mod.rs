//! Events of users: kinds, the wire form, validation, cleaning. Goes in as JSON or an imported row, comes out
//! as an [`Event`] that can't be wrong.

pub mod clean;
pub mod kind;
mod new_event;
pub mod robots;
mod stored_event;
pub mod wire;

pub use kind::EventKind;
pub use new_event::NewEvent;
pub use stored_event::Event;
pub use wire::{EventError, EventLimits, RawEvent};
