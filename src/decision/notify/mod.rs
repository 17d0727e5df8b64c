//! Decides on messages and their content, time and channel: a trigger makes a candidate, content puts it into words, the policy
//! says send, defer or drop, each with its reasons.

pub mod content;
pub mod local_time;
pub mod message;
pub mod pace;
pub mod policy;
pub mod quiet_hours;
pub mod triggers;
mod unsent;

pub use content::Content;
pub use message::{Message, Priority};
pub use policy::{
    Candidate, Channel, Channels, Decision, Moment, Outcome, PolicyState, Preferences, Rules, Sent, decide,
};
pub use triggers::Trigger;
pub use unsent::Unsent;
