//! A message sent before, as training reads it.

use crate::base::{Millis, Timestamp};

use super::per_response::{PerResponse, Response};

/// A message sent before, and what came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// Moment of the decision.
    pub sent_at: Timestamp,
    /// Name of the trigger that fired.
    pub trigger: String,
    /// Category, by which caps and mutes apply.
    pub category: String,
    /// The user's segment then, 0 = A.
    pub segment: Option<u8>,
    /// As [`features`](super::features) made them then; another length (none, or an older release's) counts towards base
    /// rates only.
    pub features: Vec<f32>,
    /// Delay of each response after the message; `None` if it did not come.
    pub after: PerResponse<Option<Millis>>,
}

impl Message {
    /// Returns whether the message led to this response.
    pub fn has(&self, response: Response) -> bool {
        self.after.get(response).is_some()
    }
}
