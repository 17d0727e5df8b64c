//! A learnt blend: collaborative, sequential and popularity models score every item for a history; the best by their sum
//! are candidates, and a list-wise regression over the logarithm of the scores orders them.
//!
//! Goes in: a history, newest first. Comes out: items with a score, best first. The weights are learnt on interactions
//! that the models did not see (see [`crate::evaluate::auto`]); they may grow or shrink with the length of the history, since
//! neighbours say more about a newcomer and factors more about a regular. Stacking: Wolpert 1992; for recommenders:
//! Sill et al. 2009 (feature-weighted linear stacking); list-wise loss: Cao et al. 2007.
//!
//! A linear rule over logarithms was chosen over boosted trees: on five splits of two data sets it gained as much, fits in
//! seconds, and every member's share of a score can be named.

mod from_events;
mod member;
mod models;
mod pairs;
mod seasons;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;

pub use from_events::{EventHistories, damped};
pub use member::{Beside, Member, PairModel};
pub use models::{EnsembleParameters, Histories, Interaction, Models, Pairs};
pub use pairs::fit_ease;

use super::top;

/// Candidates the rule is learnt on, and at least ordered by it.
pub const CANDIDATES: usize = 100;
/// Score, as a share of the best one, at which a member begins to say something: ln(1 + x / KNEE).
const KNEE: f32 = 0.01;

/// What is known of whom the list is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Items with their interest, newest first, none twice.
    pub history: &'a [(ItemId, f32)],
    /// Day (fractions count, since 1970) of the newest interaction; `None` without any.
    pub last_day: Option<f64>,
    /// Width of the columns, where larger than that of the models: the catalogue has grown.
    pub width: usize,
    /// Columns of [`Beside::ALL`], one after another, each as wide as [`Models::width`]; empty = nothing is known.
    pub beside: &'a [f32],
}

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

    /// What each member added to a candidate's score, from the candidate's row of shares; they sum to it.
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
    pub fn carried(&self, from: &[Member], to: &[Member]) -> Option<Self> {
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

    /// The candidates with their scores for a history of `n` items, best first, ties by id.
    pub fn rank(&self, candidates: &Candidates, n: usize) -> Vec<(ItemId, f32)> {
        let weights = self.weights_for(n);
        let rows = candidates.shares.chunks(weights.len().max(1));
        let score = |shares: &[f32]| {
            let logarithmic: f32 = shares.iter().zip(&weights).map(|(share, weight)| share * weight).sum();
            let linear: f32 =
                shares.iter().zip(&self.linear).map(|(share, weight)| part(*share) * weight).sum();
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

/// Candidates of one context: items, and a row of member shares (0…1, logarithmic) for each.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// By falling sum of the core members.
    pub items: Vec<ItemId>,
    /// Row-major, a row an item.
    pub shares: Vec<f32>,
    /// By member, the score of its best allowed item.
    pub best: Vec<f32>,
}

impl Candidates {
    /// Adds an item as the last. O(members).
    pub fn push(&mut self, item: ItemId, scores: &[f32], width: usize) {
        let of = |(index, best): (usize, &f32)| {
            share(scores.get(index * width + item.index()).copied().unwrap_or(0.0), *best)
        };
        self.shares.extend(self.best.iter().enumerate().map(of));
        self.items.push(item);
    }

    /// The row of shares of an item; empty for one that is not among them.
    pub fn row(&self, item: ItemId) -> &[f32] {
        let members = self.best.len();
        let place = self.items.iter().position(|other| *other == item);
        place.and_then(|place| self.shares.get(place * members..(place + 1) * members)).unwrap_or_default()
    }
}

/// Models and the rule that orders what they propose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    models: Models,
    ranker: Ranker,
}

impl Ensemble {
    /// From models and a rule learnt for the same members.
    pub fn new(models: Models, ranker: Ranker) -> Self {
        Self { models, ranker }
    }

    /// The models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The rule.
    pub fn ranker(&self) -> &Ranker {
        &self.ranker
    }

    /// At most `n` allowed items with their scores, best first, ties by id; scores are of any sign and comparable within one
    /// answer. Whoever has no history gets what the candidates were chosen by, for the rule was learnt on histories.
    /// O(history · weights kept + members · items + candidates · members).
    pub fn recommend(
        &self,
        context: &Context<'_>,
        n: usize,
        allowed: impl Fn(ItemId) -> bool,
    ) -> Vec<(ItemId, f32)> {
        let scores = self.models.scores(context);
        let width = self.models.width(context);
        let candidates =
            candidates(&self.models, &scores, width, &self.ranker.core, n.max(CANDIDATES), allowed);
        let mut list = if context.history.is_empty() {
            candidates.items.iter().map(|item| (*item, 0.0)).collect()
        } else {
            self.ranker.rank(&candidates, context.history.len())
        };
        list.truncate(n);
        list
    }

    /// Do its parts fit one another, is every number one? Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.models.is_sound() && self.ranker.is_sound(self.models.members().len())
    }
}

/// ln(1 + x / (knee · best)), scaled to 0…1; 0 for x ≤ 0.
fn share(score: f32, best: f32) -> f32 {
    if score > 0.0 && best > 0.0 { (score / (best * KNEE)).ln_1p() / (1.0 / KNEE).ln_1p() } else { 0.0 }
}

/// The plain share of the best score behind a logarithmic one: the inverse of [`share`].
pub fn part(share: f32) -> f32 {
    ((share * (1.0 / KNEE).ln_1p()).exp() - 1.0) * KNEE
}

/// The `n` allowed items with the largest sum of the core members (each scaled to its best allowed item), and what every
/// member says of them; where no core member speaks, by popularity. `scores` as [`Models::scores`] gives them, `width` each.
/// O(members · items).
pub fn candidates(
    models: &Models,
    scores: &[f32],
    width: usize,
    core: &[usize],
    n: usize,
    allowed: impl Fn(ItemId) -> bool,
) -> Candidates {
    let n_items = width;
    let open: Vec<bool> = (0u32..).take(n_items).map(|item| allowed(ItemId(item))).collect();
    let best: Vec<f32> = scores
        .chunks(n_items.max(1))
        .map(|scores| {
            scores.iter().zip(&open).filter(|(_, open)| **open).map(|(score, _)| *score).fold(0.0, f32::max)
        })
        .collect();
    let mut sum = models.prior();
    sum.resize(n_items, 0.0);
    for (index, scores) in scores.chunks(n_items.max(1)).enumerate() {
        let best = best.get(index).copied().unwrap_or(0.0);
        if core.contains(&index) && best > 0.0 {
            sum.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score.max(0.0) / best);
        }
    }
    let is_open = |item: ItemId| open.get(item.index()).copied().unwrap_or(false);
    let items: Vec<ItemId> = top::best(&sum, n, is_open).into_iter().map(|(item, _)| item).collect();
    let mut candidates =
        Candidates { items: Vec::new(), shares: Vec::with_capacity(items.len() * best.len()), best };
    items.into_iter().for_each(|item| candidates.push(item, scores, n_items));
    candidates
}

#[cfg(test)]
mod tests;
