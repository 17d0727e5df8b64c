//! Candidates: the items worth ordering, with what each member says of them.

use crate::base::ItemId;
use crate::recommend::models::top;

use super::context::Begun;
use super::models::Models;

/// Candidates the rule is learnt on, and at least ordered by it.
pub const CANDIDATES: usize = 100;
/// Score, as a share of the best one, at which a member begins to say something: ln(1 + x / KNEE).
const KNEE: f32 = 0.01;

/// Candidates of one context: items, and a row of member shares (0…1, logarithmic) for each.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// By falling sum of the core members.
    pub items: Vec<ItemId>,
    /// Row-major, a row an item.
    pub shares: Vec<f32>,
    /// By member, the score of its best allowed item; 1 for those of begun items.
    pub best: Vec<f32>,
}

impl Candidates {
    /// Adds an item as the last. O(members + begun).
    pub fn push(&mut self, item: ItemId, scores: &[f32], width: usize, begun: &Begun<'_>) {
        let dense = scores.len() / width.max(1);
        let (of_all, of_begun) = self.best.split_at(dense.min(self.best.len()));
        let of = |(index, best): (usize, &f32)| {
            share(scores.get(index * width + item.index()).copied().unwrap_or(0.0), *best)
        };
        self.shares.extend(of_all.iter().enumerate().map(of));
        self.shares.extend(begun.of(item, of_begun.len()).map(|value| share(value, 1.0)));
        self.items.push(item);
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
/// member says of them; where no core member speaks, by popularity. Allowed `begun` items follow those. `scores` as [`Models::scores`] gives them, `width` each.
/// O(members · items).
pub fn candidates(
    models: &Models,
    scores: &[f32],
    width: usize,
    core: &[usize],
    n: usize,
    begun: &Begun<'_>,
    allowed: impl Fn(ItemId) -> bool,
) -> Candidates {
    let n_items = width;
    let open: Vec<bool> = (0u32..).take(n_items).map(|item| allowed(ItemId(item))).collect();
    let mut best: Vec<f32> = scores
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
    let mut items: Vec<ItemId> = top::best(&sum, n, is_open).into_iter().map(|(item, _)| item).collect();
    for item in begun.items {
        if is_open(*item) && !items.contains(item) {
            items.push(*item);
        }
    }
    best.resize(models.members().len().max(best.len()), 1.0);
    let mut candidates =
        Candidates { items: Vec::new(), shares: Vec::with_capacity(items.len() * best.len()), best };
    items.into_iter().for_each(|item| candidates.push(item, scores, n_items, begun));
    candidates
}
