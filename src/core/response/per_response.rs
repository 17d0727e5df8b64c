//! The responses to a message, and one value for each of them.

use serde::{Deserialize, Serialize};

/// No response is certain, or out of the question.
pub(super) const LEAST: f64 = 1e-4;

/// Possible response to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Response {
    /// It, or an item of it, is clicked.
    Click,
    /// An item of it is bought within the attribution window.
    Purchase,
    /// Its category is muted.
    Mute,
}

impl Response {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Click, Self::Purchase, Self::Mute];

    /// For metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Purchase => "purchase",
            Self::Mute => "mute",
        }
    }
}

/// Something for each response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerResponse<T> {
    /// [`Response::Click`].
    pub click: T,
    /// [`Response::Purchase`].
    pub purchase: T,
    /// [`Response::Mute`].
    pub mute: T,
}

/// In (0, 1) each.
pub type Probabilities = PerResponse<f32>;

impl<T> PerResponse<T> {
    /// One made for each.
    pub fn from_fn(mut make: impl FnMut(Response) -> T) -> Self {
        Self { click: make(Response::Click), purchase: make(Response::Purchase), mute: make(Response::Mute) }
    }

    /// That of a response.
    pub fn get(&self, response: Response) -> &T {
        match response {
            Response::Click => &self.click,
            Response::Purchase => &self.purchase,
            Response::Mute => &self.mute,
        }
    }

    /// That of a response, to change.
    pub fn get_mut(&mut self, response: Response) -> &mut T {
        match response {
            Response::Click => &mut self.click,
            Response::Purchase => &mut self.purchase,
            Response::Mute => &mut self.mute,
        }
    }
}

/// Of a probability, which is kept off 0 and 1.
pub(super) fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(LEAST, 1.0 - LEAST);
    (probability / (1.0 - probability)).ln()
}
