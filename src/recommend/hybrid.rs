//! The blend: each model scores every item, each is scaled to 0…1, a weighted mean ranks. With a seed (an item just
//! viewed or put into the cart) the seed's own neighbours lead and the blend only orders among them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::base::ItemId;
use crate::catalogue::CategoryId;
use crate::profile::Profile;

use super::Request;
use super::association_rules::AssociationRules;
use super::content_based::ContentBased;
use super::item_knn::ItemKnn;
use super::parameters::Blend;
use super::popularity::Popularity;

/// Share of the seed's neighbours in the score when there is a seed.
const SEED_SHARE: f32 = 0.8;
/// Parts of popularity: overall, within the segment, within liked categories.
const OVERALL: f32 = 0.5;
const SEGMENT: f32 = 0.25;
const CATEGORY: f32 = 0.25;
/// Bounds of the weight of one item of the history.
const LEAST_WEIGHT: f32 = 0.05;
const MOST_WEIGHT: f32 = 2.0;

/// The models that are blended.
#[derive(Clone, Copy, Debug)]
pub struct Models<'a> {
    /// What is popular.
    pub popularity: &'a Popularity,
    /// What the same people deal with.
    pub item_knn: &'a ItemKnn,
    /// What is bought together.
    pub association_rules: &'a AssociationRules,
    /// What is alike.
    pub content: &'a ContentBased,
}

/// The scores of every item by each model, 0…1, indexed by item. All zero = the model has nothing to say.
#[derive(Clone, Debug)]
pub struct Components {
    pub(super) history: Vec<(ItemId, f32)>,
    pub(super) item_knn: Vec<f32>,
    pub(super) content: Vec<f32>,
    pub(super) popularity: Vec<f32>,
    pub(super) seed: Option<Vec<f32>>,
    pub(super) liked: Vec<(CategoryId, f32)>,
}

/// Items with interest left, newest first, each weighing `decay` of the next newer one.
pub fn history(profile: &Profile, decay: f32) -> Vec<(ItemId, f32)> {
    let decay = if decay.is_finite() { decay.clamp(0.0, 1.0) } else { 1.0 };
    let mut age = 1.0f32;
    let mut history = Vec::with_capacity(profile.recent().len());
    for known in profile.recent().iter().filter(|known| known.weight > 0.0) {
        history.push((known.item, known.weight.clamp(LEAST_WEIGHT, MOST_WEIGHT) * age));
        age *= decay;
    }
    history
}

impl Components {
    /// Scores every item; of the blend only the history's decay and neighbours matter here.
    /// O(width + history · neighbours + postings of the taste).
    pub fn new(models: &Models<'_>, request: &Request<'_>, blend: &Blend) -> Self {
        let Blend { history_decay, neighbours, .. } = *blend;
        let width = request.catalogue.width().max(models.popularity.width());
        let history = history(request.profile, history_decay);
        let mut item_knn = vec![0f32; width];
        models.item_knn.add_scores(&history, neighbours, &mut item_knn);
        scale(&mut item_knn, &history);
        let mut content = vec![0f32; width];
        models.content.add_scores(&models.content.taste(&history), 1.0, &mut content);
        // Every item is most like itself, which says nothing about wanting it again.
        zero(&mut content, &history);
        scale(&mut content, &[]);
        let liked = request.profile.affinities(request.now);
        let popularity = popularity(models, request, &liked, width);
        let seed = request.seed.map(|seed| seed_scores(models, request.profile, seed, width));
        Self { history, item_knn, content, popularity, seed, liked }
    }

    /// The weighted mean of the models that have something to say, and the seed's lead. 0…1, indexed by item.
    pub fn blended(&self, blend: &Blend) -> Vec<f32> {
        let weights = self.weights(blend);
        let personal = (self.item_knn.iter().zip(&self.content).zip(&self.popularity)).map(
            |((item_knn, content), popularity)| {
                weights.item_knn * item_knn + weights.content * content + weights.popularity * popularity
            },
        );
        match &self.seed {
            Some(seed) if seed.iter().any(|score| *score > 0.0) => personal
                .zip(seed)
                .map(|(personal, seed)| SEED_SHARE * seed + (1.0 - SEED_SHARE) * personal)
                .collect(),
            _ => personal.collect(),
        }
    }

    /// Weights summing to 1 over the models that have something to say; negative and NaN ones count as 0.
    pub(super) fn weights(&self, blend: &Blend) -> Blend {
        let weight = |weight: f32, scores: &[f32]| {
            let speaks = weight.is_finite() && weight > 0.0 && scores.iter().any(|score| *score > 0.0);
            if speaks { weight } else { 0.0 }
        };
        let item_knn = weight(blend.item_knn, &self.item_knn);
        let content = weight(blend.content, &self.content);
        let popularity = weight(blend.popularity, &self.popularity);
        let sum = item_knn + content + popularity;
        if sum > 0.0 && sum.is_finite() {
            Blend { item_knn: item_knn / sum, content: content / sum, popularity: popularity / sum, ..*blend }
        } else {
            // Nobody of those asked knows anything: what is popular is better than nothing.
            Blend { item_knn: 0.0, content: 0.0, popularity: 1.0, ..*blend }
        }
    }
}

/// Behaviour and content in equal parts and, for what the user has in the cart or has bought, the association rules that
/// hold for it; of those that know something. 0…1, indexed by item.
pub fn seed_scores(models: &Models<'_>, profile: &Profile, seed: ItemId, width: usize) -> Vec<f32> {
    let mut item_knn = vec![0f32; width];
    models.item_knn.add_scores(&[(seed, 1.0)], usize::MAX, &mut item_knn);
    let mut content = vec![0f32; width];
    models.content.add_scores(models.content.vector(seed), 1.0, &mut content);
    zero(&mut content, &[(seed, 1.0)]);
    let mut rules = vec![0f32; width];
    if has(profile, seed) {
        models.association_rules.add_scores(seed, |item| has(profile, item), &mut rules);
    }
    let mut parts = [item_knn, content, rules];
    let speaking: Vec<&[f32]> =
        parts.iter_mut().filter_map(|part| scale(part, &[]).then_some(part.as_slice())).collect();
    let mut mean = vec![0f32; width];
    for part in &speaking {
        for (sum, score) in mean.iter_mut().zip(*part) {
            *sum += score / speaking.len() as f32;
        }
    }
    mean
}

/// In the cart, or ever bought?
pub(super) fn has(profile: &Profile, item: ItemId) -> bool {
    profile.in_cart().contains(&item) || profile.has_bought(item)
}

fn popularity(
    models: &Models<'_>,
    request: &Request<'_>,
    liked: &[(CategoryId, f32)],
    width: usize,
) -> Vec<f32> {
    let mut scores = vec![0f32; width];
    for (index, score) in (0u32..).zip(scores.iter_mut()) {
        *score = OVERALL * models.popularity.score(ItemId(index));
    }
    let best_share = liked.first().map_or(0.0, |(_, share)| *share);
    if best_share > 0.0 {
        let mut by_category = vec![0f32; request.catalogue.n_categories()];
        for (category, share) in liked {
            if let Some(slot) = by_category.get_mut(category.0 as usize) {
                *slot = share / best_share;
            }
        }
        for (index, score) in (0u32..).zip(scores.iter_mut()) {
            let category = request.catalogue.category_of(ItemId(index));
            let like = category.and_then(|id| by_category.get(id.0 as usize)).copied().unwrap_or(0.0);
            *score += CATEGORY * like * models.popularity.score(ItemId(index));
        }
    }
    if let Some(segment) = request.segment {
        for (item, popular) in models.popularity.in_segment(segment) {
            if let Some(score) = scores.get_mut(item.index()) {
                *score += SEGMENT * popular;
            }
        }
    }
    scores
}

/// Divides by the largest score of an item outside the history, so that the best news is 1; what is above stays at 1.
/// False (and all zero) when nothing is > 0.
fn scale(scores: &mut [f32], history: &[(ItemId, f32)]) -> bool {
    let own: Vec<f32> =
        history.iter().map(|(item, _)| scores.get(item.index()).copied().unwrap_or(0.0)).collect();
    zero(scores, history);
    let mut largest = largest(scores.iter().copied());
    for ((item, _), own) in history.iter().zip(own) {
        if let Some(score) = scores.get_mut(item.index()) {
            *score = own;
        }
    }
    if largest <= 0.0 {
        largest = self::largest(scores.iter().copied());
    }
    for score in scores.iter_mut() {
        *score = if largest > 0.0 && score.is_finite() { (*score / largest).clamp(0.0, 1.0) } else { 0.0 };
    }
    largest > 0.0
}

fn largest(scores: impl Iterator<Item = f32>) -> f32 {
    scores.filter(|score| score.is_finite()).fold(0.0, f32::max)
}

fn zero(scores: &mut [f32], items: &[(ItemId, f32)]) {
    for (item, _) in items {
        if let Some(score) = scores.get_mut(item.index()) {
            *score = 0.0;
        }
    }
}

struct Candidate(f32, ItemId);

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Candidate {}

/// The n best items with a score > 0 that may be shown, best first, ties by id. `allowed` is asked only for as many
/// as it takes: O(width + (n + refused) · log width).
pub fn best(scores: &[f32], n: usize, allowed: impl Fn(ItemId) -> bool) -> Vec<(ItemId, f32)> {
    let candidates = (0u32..).map(ItemId).zip(scores).filter(|(_, score)| **score > 0.0);
    let mut heap: BinaryHeap<Candidate> =
        candidates.map(|(item, score)| Candidate(*score, item)).collect::<Vec<_>>().into();
    let mut best = Vec::with_capacity(n.min(heap.len()));
    while best.len() < n {
        let Some(Candidate(score, item)) = heap.pop() else { break };
        if allowed(item) {
            best.push((item, score));
        }
    }
    best
}
