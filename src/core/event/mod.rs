//! Events of users: kinds, the wire form, validation, cleaning. Goes in as JSON or an imported row, comes out
//! as an [`Event`] that can't be wrong.

mod admission;
pub mod clean;
mod error;
pub mod kind;
mod new_event;
mod own_kinds;
mod raw;
pub mod robots;
mod speaker;
mod stored_event;
pub mod wire;

pub use admission::Admission;
pub use error::erased_user;
pub use kind::{EventKind, FIRST_OWN_CODE, OwnKind};
pub use new_event::NewEvent;
pub use own_kinds::OwnKinds;
pub use raw::RawEvent;
pub use speaker::Speaker;
pub use stored_event::Event;
pub use wire::EventLimits;
