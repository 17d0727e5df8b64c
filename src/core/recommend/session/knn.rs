//! Items clicked by visitors of similar sessions: session neighbours from memory. One engine, three published settings:
//! S-KNN (Jannach & Ludewig 2017), V-SKNN (Ludewig & Jannach 2018) and STAN (Garg et al. 2019).
//!
//! In: the clicks of a running session, oldest first, and a [`SessionMemory`](super::memory::SessionMemory). Out: scores ≥ 0 by item. A session's
//! similarity to the running one is Σ over the items they share of how much that click counts, divided by a norm and
//! faded by the session's age; an item's score is Σ over the neighbours it occurs in of similarity · how close to the
//! click they share it stands. Time: O(clicks · sample + neighbours · length), about 0.2 ms at 20,000 sessions.

use serde::{Deserialize, Serialize};

/// Weight of a click of the running session, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClickWeight {
    /// 1.
    Even,
    /// (Place from the start / length) to a power: V-SKNN, 1 is linear, 2 quadratic.
    Place(f32),
    /// exp(−steps back / λ): STAN's λ1.
    Exponential(f32),
}

/// Divisor of the similarity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Norm {
    /// Nothing that orders neighbours: V-SKNN.
    Running,
    /// √length of the neighbour as well: the cosine of S-KNN and STAN.
    Cosine,
}

/// Weight of a neighbour's item, by its place in the session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Proximity {
    /// All alike: S-KNN.
    Even,
    /// All alike, by how many steps back the newest shared click is: 1 / (1 + steps), V-SKNN.
    LastShared,
    /// exp(−distance / λ) from the newest shared click, one λ for items before it and one for items after it; the
    /// shared click itself counts `itself`. STAN: both λ3, itself 1.
    Around {
        /// λ of items before.
        before: f32,
        /// λ of items after.
        after: f32,
        /// The shared click.
        itself: f32,
    },
}

/// Parameters of the search for neighbours and of their scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionKnnParameters {
    /// Most similar sessions that count.
    pub neighbours: usize,
    /// Newest sessions looked at, of those that share an item.
    pub sample: usize,
    /// Clicks of the running session.
    pub click_weight: ClickWeight,
    /// Of similarity.
    pub norm: Norm,
    /// Items of the neighbour.
    pub proximity: Proximity,
    /// A neighbour fades by exp(−days / λ): STAN's λ2; infinite = never.
    pub fade_days: f32,
    /// Exponent of ln(1 + sessions / sessions with the item), of shared items; 0 = all alike.
    pub rarity: f32,
}

impl SessionKnnParameters {
    /// Binary cosine, no order.
    pub fn s_knn(neighbours: usize, sample: usize) -> Self {
        Self {
            neighbours,
            sample,
            click_weight: ClickWeight::Even,
            norm: Norm::Cosine,
            proximity: Proximity::Even,
            fade_days: f32::INFINITY,
            rarity: 0.0,
        }
    }

    /// Later clicks count more, linearly.
    pub fn v_sknn(neighbours: usize, sample: usize) -> Self {
        Self {
            click_weight: ClickWeight::Place(1.0),
            norm: Norm::Running,
            proximity: Proximity::LastShared,
            ..Self::s_knn(neighbours, sample)
        }
    }

    /// λ1 in clicks, λ2 in days, λ3 in clicks.
    pub fn stan(neighbours: usize, sample: usize, clicks: f32, days: f32, distance: f32) -> Self {
        Self {
            click_weight: ClickWeight::Exponential(clicks),
            proximity: Proximity::Around { before: distance, after: distance, itself: 1.0 },
            fade_days: days,
            ..Self::s_knn(neighbours, sample)
        }
    }
}

impl ClickWeight {
    /// Weight of the click so many `steps` back of so many.
    pub(super) fn of(self, steps: usize, clicks: usize) -> f32 {
        match self {
            Self::Even => 1.0,
            Self::Place(power) => ((clicks - steps) as f32 / clicks as f32).powf(power),
            Self::Exponential(lambda) => decay(steps as f32, lambda),
        }
    }
}

/// exp(−distance / λ); 1 for λ = ∞, 0 for λ ≤ 0 or NaN beyond distance 0.
pub(super) fn decay(distance: f32, lambda: f32) -> f32 {
    if distance <= 0.0 {
        1.0
    } else if lambda > 0.0 {
        (-distance / lambda).exp()
    } else {
        0.0
    }
}
