//! Triggers of messages, as data: each [`Definition`] says when, for whom, in which category, with which template, how
//! urgent and how long true. [`Triggers`] is the set that holds; [`Trigger`] is one of them going off.
//!
//! Behaviour, catalogue, absence, a new model, a segment or a request: [`Condition`]. Whether what it says still holds is
//! asked again at the moment of sending: [`Trigger::truth`].

mod behaviour;
mod change;
mod condition;
mod defaults;
mod definition;
mod occasion;
mod once;
mod precondition;
mod price_drop;
#[cfg(test)]
mod tests;
mod trigger;

pub use behaviour::Views;
pub use change::Change;
pub use condition::{Condition, SegmentRule};
pub use defaults::defaults;
pub use definition::{Definition, DefinitionError};
pub use occasion::of_call as occasion_of_call;
pub use once::FiredOnce;
pub use trigger::{EventData, MAX_TRIGGERS, Trigger, Triggers};
