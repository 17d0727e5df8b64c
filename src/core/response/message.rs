//! A message sent before, as training reads it.

use crate::base::{Millis, Timestamp};

use super::per_response::{PerResponse, Response};

/// A message sent before, and what came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// When decided.
    pub sent_at: Timestamp,
    /// What set it off.
    pub trigger: String,
    /// What caps and mutes go by.
    pub category: String,
    /// The user's segment then, 0 = A.
    pub segment: Option<u8>,
    /// As [`features`](super::features) made them then; another length (none, or an older release's) counts towards base
    /// rates only.
    pub features: Vec<f32>,
    /// How long after it each response came, if it did.
    pub after: PerResponse<Option<Millis>>,
}

impl Message {
    /// Did this come of it?
    pub fn has(&self, response: Response) -> bool {
        self.after.get(response).is_some()
    }
}
