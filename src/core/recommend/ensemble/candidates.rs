//! Candidates: the items worth ordering, with what each member says of them.

use crate::base::ItemId;
use crate::recommend::models::item_set::Universe;
use crate::recommend::models::top;

use super::context::Begun;
use super::models::Models;

/// Candidates the rule is learnt on, and at least ordered by it.
pub const CANDIDATES: usize = 100;
/// Score, as a share of the best one, at which a member begins to say something: ln(1 + x / KNEE).
const KNEE: f32 = 0.01;

/// Candidates of one context: items, and a row of member shares (0…1, logarithmic) for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    /// By falling sum of the core members.
    pub items: Vec<ItemId>,
    /// Row-major, a row an item.
    pub shares: Vec<f32>,
    /// By member, the score of its best allowed item; 1 for those of begun items.
    pub best: Vec<f32>,
}

impl Candidates {
    /// Adds an item as the last; the members say nothing of one that they did not score. O(members + begun).
    pub fn push(&mut self, item: ItemId, scores: &[f32], universe: &Universe, begun: &Begun<'_>) {
        let (width, place) = (universe.width(), universe.place(item));
        let dense = scores.len() / width.max(1);
        let (of_all, of_begun) = self.best.split_at(dense.min(self.best.len()));
        let score = |index: usize| place.and_then(|place| scores.get(index * width + place)).copied();
        let of = |(index, best): (usize, &f32)| share(score(index).unwrap_or(0.0), *best);
        self.shares.extend(of_all.iter().enumerate().map(of));
        self.shares.extend(begun.of(item, of_begun.len()).map(|value| share(value, 1.0)));
        self.items.push(item);
    }

    /// Scores of the same items by these members, by their places.
    pub fn restricted(&self, to: &[usize]) -> Self {
        let pick = |values: &[f32]| -> Vec<f32> {
            to.iter().map(|index| values.get(*index).copied().unwrap_or(0.0)).collect()
        };
        let rows = self.shares.chunks(self.best.len().max(1));
        Self { items: self.items.clone(), shares: rows.flat_map(pick).collect(), best: pick(&self.best) }
    }

    /// The row of shares of an item; empty for one that is not among them.
    pub fn row(&self, item: ItemId) -> &[f32] {
        let members = self.best.len();
        let place = self.items.iter().position(|other| *other == item);
        place.and_then(|place| self.shares.get(place * members..(place + 1) * members)).unwrap_or_default()
    }
}

/// ln(1 + x / (knee · best)), scaled to 0…1; 0 for x ≤ 0.
pub(super) fn share(score: f32, best: f32) -> f32 {
    if score > 0.0 && best > 0.0 { (score / (best * KNEE)).ln_1p() / (1.0 / KNEE).ln_1p() } else { 0.0 }
}

/// The plain share of the best score behind a logarithmic one: the inverse of [`share`].
pub fn part(share: f32) -> f32 {
    ((share * (1.0 / KNEE).ln_1p()).exp() - 1.0) * KNEE
}

/// The `n` allowed items with the largest sum of the core members (each scaled to its best allowed item), and what every
/// member says of them; where no core member speaks, by popularity. Allowed `begun` items follow those. `scores` as [`Models::scores`] gives
/// them, a place of the universe each. O(members · items of the universe).
pub fn candidates(
    models: &Models,
    scores: &[f32],
    universe: &Universe,
    core: &[usize],
    n: usize,
    begun: &Begun<'_>,
    allowed: impl Fn(ItemId) -> bool,
) -> Candidates {
    let n_items = universe.width();
    let open: Vec<bool> = (0..n_items).map(|place| universe.item(place).is_some_and(&allowed)).collect();
    let mut best: Vec<f32> = scores
        .chunks(n_items.max(1))
        .map(|scores| {
            scores.iter().zip(&open).filter(|(_, open)| **open).map(|(score, _)| *score).fold(0.0, f32::max)
        })
        .collect();
    let mut sum = models.prior(universe);
    for (index, scores) in scores.chunks(n_items.max(1)).enumerate() {
        let best = best.get(index).copied().unwrap_or(0.0);
        if core.contains(&index) && best > 0.0 {
            sum.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score.max(0.0) / best);
        }
    }
    let is_open = |place: usize| open.get(place).copied().unwrap_or(false);
    let chosen = top::best(&sum, n, |place| is_open(place.index())).into_iter();
    let mut items: Vec<ItemId> = chosen.filter_map(|(place, _)| universe.item(place.index())).collect();
    for item in begun.items {
        if universe.place(*item).is_some_and(is_open) && !items.contains(item) {
            items.push(*item);
        }
    }
    let of_all = models.members().iter().filter(|member| !member.is_of_begun()).count();
    best.resize(of_all.max(best.len()), 0.0);
    best.resize(models.members().len().max(best.len()), 1.0);
    let mut candidates =
        Candidates { items: Vec::new(), shares: Vec::with_capacity(items.len() * best.len()), best };
    items.into_iter().for_each(|item| candidates.push(item, scores, universe, begun));
    candidates
}
