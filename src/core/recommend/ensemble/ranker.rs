//! The linear rule that orders candidates.

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

use super::candidates::{Candidates, part};
use super::member::BaseModel;

/// Weight of each member, and how it changes with the length of the history. A score is
/// `Σ (weight + slope · length) · share + linear · part` over the members, share the logarithmic and part the plain share of the
/// member's best score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranker {
    /// Indices of the members that choose the candidates.
    pub core: Vec<usize>,
    /// One a member.
    pub weights: Vec<f32>,
    /// One a member, times the standardised logarithm of the history's length; empty = none.
    pub slopes: Vec<f32>,
    /// One a member, times the plain share; empty = none.
    pub linear: Vec<f32>,
    /// Mean of ln(1 + length) over those it was learnt on.
    pub centre: f32,
    /// And its standard deviation, > 0.
    pub spread: f32,
}

impl Ranker {
    /// Standardised logarithm of a history's length.
    pub fn length(&self, n: usize) -> f32 {
        ((n as f32).ln_1p() - self.centre) / self.spread.max(1e-3)
    }

    /// The weights for a history of this length.
    fn weights_for(&self, n: usize) -> Vec<f32> {
        let length = self.length(n).clamp(-3.0, 3.0);
        let slopes = self.slopes.iter().copied().chain(std::iter::repeat(0.0));
        self.weights.iter().zip(slopes).map(|(weight, slope)| weight + slope * length).collect()
    }

    /// Contribution of each member to a candidate's score, from the candidate's row of shares; they sum to it.
    pub fn parts(&self, shares: &[f32], n: usize) -> Vec<f32> {
        let linear = self.linear.iter().copied().chain(std::iter::repeat(0.0));
        let weights = self.weights_for(n);
        shares
            .iter()
            .zip(&weights)
            .zip(linear)
            .map(|((share, weight), linear)| share * weight + linear * part(*share))
            .collect()
    }

    /// The same rule for other members: a weight goes to the member of the same name. `None` when less than half of them
    /// are there.
    pub fn carried(&self, from: &[BaseModel], to: &[BaseModel]) -> Option<Self> {
        let places: Vec<Option<usize>> =
            to.iter().map(|member| from.iter().position(|other| other == member)).collect();
        if 2 * places.iter().flatten().count() < from.len() {
            return None;
        }
        let pick = |values: &[f32]| -> Vec<f32> {
            let at =
                |place: &Option<usize>| place.and_then(|place| values.get(place)).copied().unwrap_or(0.0);
            if values.is_empty() { Vec::new() } else { places.iter().map(at).collect() }
        };
        let core = (0..to.len())
            .filter(|index| places.get(*index).copied().flatten().is_some_and(|old| self.core.contains(&old)))
            .collect();
        Some(Self {
            core,
            weights: pick(&self.weights),
            slopes: pick(&self.slopes),
            linear: pick(&self.linear),
            ..*self
        })
    }

    /// Indices of the members that choose candidates or have a weight, rising.
    pub fn needed(&self) -> Vec<usize> {
        let weighs = |values: &[f32], index: usize| values.get(index).is_some_and(|weight| *weight != 0.0);
        let needed = |index: &usize| {
            let rules = [&self.weights, &self.slopes, &self.linear];
            self.core.contains(index) || rules.iter().any(|values| weighs(values, *index))
        };
        (0..self.weights.len()).filter(needed).collect()
    }

    /// The same rule where only these members, in this order, are left.
    pub fn restricted(&self, to: &[usize]) -> Self {
        let pick = |values: &[f32]| -> Vec<f32> {
            let at = |index: &usize| values.get(*index).copied().unwrap_or(0.0);
            if values.is_empty() { Vec::new() } else { to.iter().map(at).collect() }
        };
        Self {
            core: self.core.iter().filter_map(|index| to.iter().position(|other| other == index)).collect(),
            weights: pick(&self.weights),
            slopes: pick(&self.slopes),
            linear: pick(&self.linear),
            ..*self
        }
    }

    /// The candidates with their scores for a history of `n` items, best first, ties by id.
    pub fn rank(&self, candidates: &Candidates, n: usize) -> Vec<(ItemId, f32)> {
        let weights = self.weights_for(n);
        let rows = candidates.shares.chunks(weights.len().max(1));
        let score = |shares: &[f32]| {
            let logarithmic: f32 = shares.iter().zip(&weights).map(|(share, weight)| share * weight).sum();
            let plain = shares.iter().zip(&self.linear).filter(|(_, weight)| **weight != 0.0);
            let linear: f32 = plain.map(|(share, weight)| part(*share) * weight).sum();
            logarithmic + linear
        };
        let mut list: Vec<(ItemId, f32)> =
            candidates.items.iter().zip(rows).map(|(item, shares)| (*item, score(shares))).collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        list
    }

    pub(super) fn is_sound(&self, members: usize) -> bool {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        self.weights.len() == members
            && (self.slopes.is_empty() || self.slopes.len() == members)
            && (self.linear.is_empty() || self.linear.len() == members)
            && self.core.iter().all(|index| *index < members)
            && finite(&self.weights)
            && finite(&self.slopes)
            && finite(&self.linear)
            && self.centre.is_finite()
            && self.spread.is_finite()
    }
}
