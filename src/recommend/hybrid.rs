//! The blend: each model scores every item, each is scaled to 0…1, a weighted mean ranks. With a seed (an item just
//! viewed or put into the cart) the seed's own neighbours lead and the blend only orders among them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::base::ItemId;
use crate::catalogue::CategoryId;
use crate::profile::Profile;

use super::content_based::ContentBased;
use super::item_knn::ItemKnn;
use super::parameters::Blend;
use super::popularity::Popularity;
use super::{Reason, Request};

/// Share of the seed's neighbours in the score when there is a seed.
const SEED_SHARE: f32 = 0.8;
/// Parts of popularity: overall, within the segment, within liked categories.
const OVERALL: f32 = 0.5;
const SEGMENT: f32 = 0.25;
const CATEGORY: f32 = 0.25;
/// Bounds of the weight of one item of the history.
const LEAST_WEIGHT: f32 = 0.05;
const MOST_WEIGHT: f32 = 2.0;
/// Buyers of both from which "often bought with" is true.
const OFTEN: u16 = 2;

/// The models that are blended.
#[derive(Clone, Copy, Debug)]
pub struct Models<'a> {
    /// What is popular.
    pub popularity: &'a Popularity,
    /// What the same people deal with.
    pub item_knn: &'a ItemKnn,
    /// What is alike.
    pub content: &'a ContentBased,
}

/// The scores of every item by each model, 0…1, indexed by item. All zero = the model has nothing to say.
#[derive(Clone, Debug)]
pub struct Components {
    history: Vec<(ItemId, f32)>,
    item_knn: Vec<f32>,
    content: Vec<f32>,
    popularity: Vec<f32>,
    seed: Option<Vec<f32>>,
    liked: Vec<(CategoryId, f32)>,
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
        let seed = request.seed.map(|seed| seed_scores(models, seed, width));
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
    fn weights(&self, blend: &Blend) -> Blend {
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

    /// The cause that added most to an item's score. O(history · (neighbours + words)).
    pub fn reason(&self, models: &Models<'_>, request: &Request<'_>, blend: &Blend, item: ItemId) -> Reason {
        let at = |scores: &[f32]| scores.get(item.index()).copied().unwrap_or(0.0);
        if let (Some(seed), Some(scores)) = (request.seed, &self.seed)
            && at(scores) > 0.0
        {
            return seed_reason(models, request, seed, item);
        }
        let weights = self.weights(blend);
        let item_knn = weights.item_knn * at(&self.item_knn);
        let content = weights.content * at(&self.content);
        let popularity = weights.popularity * at(&self.popularity);
        let personal = if item_knn >= content && item_knn >= popularity {
            self.behaviour_cause(models, request, item)
        } else if content >= popularity {
            self.content_cause(models, request, item)
        } else {
            None
        };
        personal.unwrap_or_else(|| popularity_reason(models, request, &self.liked, item))
    }

    /// The item of the history whose neighbourhood added most.
    fn behaviour_cause(&self, models: &Models<'_>, request: &Request<'_>, item: ItemId) -> Option<Reason> {
        let (cause, neighbour, _) = self
            .history
            .iter()
            .filter_map(|(known, weight)| {
                let neighbour = models.item_knn.neighbours(*known).iter().find(|near| near.item == item)?;
                Some((*known, *neighbour, weight * neighbour.similarity))
            })
            .max_by(|a, b| a.2.total_cmp(&b.2))?;
        let owned = request.profile.has_bought(cause) || request.profile.in_cart().contains(&cause);
        Some(if owned && neighbour.bought_together >= OFTEN {
            Reason::OftenBoughtWith(cause)
        } else if owned {
            Reason::SimilarTo(cause)
        } else {
            Reason::Viewed(cause)
        })
    }

    /// The item of the history that is most alike.
    fn content_cause(&self, models: &Models<'_>, request: &Request<'_>, item: ItemId) -> Option<Reason> {
        let (cause, _) = self
            .history
            .iter()
            .map(|(known, weight)| (*known, weight * models.content.similarity(*known, item)))
            .filter(|(_, similarity)| *similarity > 0.0)
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let owned = request.profile.has_bought(cause) || request.profile.in_cart().contains(&cause);
        Some(if owned { Reason::SimilarTo(cause) } else { Reason::Viewed(cause) })
    }
}

/// Half behaviour, half content; all of one where the other knows nothing. 0…1, indexed by item.
pub fn seed_scores(models: &Models<'_>, seed: ItemId, width: usize) -> Vec<f32> {
    let mut item_knn = vec![0f32; width];
    models.item_knn.add_scores(&[(seed, 1.0)], usize::MAX, &mut item_knn);
    let mut content = vec![0f32; width];
    models.content.add_scores(models.content.vector(seed), 1.0, &mut content);
    zero(&mut content, &[(seed, 1.0)]);
    match (scale(&mut item_knn, &[]), scale(&mut content, &[])) {
        (true, true) => item_knn.iter().zip(&content).map(|(a, b)| (a + b) / 2.0).collect(),
        (true, false) => item_knn,
        (false, _) => content,
    }
}

/// Why an item goes with a seed: what the user did with the seed, or what the two have in common.
pub fn seed_reason(models: &Models<'_>, request: &Request<'_>, seed: ItemId, item: ItemId) -> Reason {
    let neighbour = models.item_knn.neighbours(seed).iter().find(|near| near.item == item);
    let together = neighbour.is_some_and(|near| near.bought_together >= OFTEN);
    let owned = request.profile.in_cart().contains(&seed) || request.profile.has_bought(seed);
    if owned && together {
        Reason::OftenBoughtWith(seed)
    } else if !owned && request.profile.has_seen(seed) {
        Reason::Viewed(seed)
    } else {
        pair_reason(models, seed, item)
    }
}

/// What two items have in common, whoever asks.
pub fn pair_reason(models: &Models<'_>, seed: ItemId, item: ItemId) -> Reason {
    let neighbour = models.item_knn.neighbours(seed).iter().find(|near| near.item == item);
    let behaviour = neighbour.map_or(0.0, |near| near.similarity);
    match neighbour {
        Some(near) if near.bought_together >= OFTEN && behaviour >= models.content.similarity(seed, item) => {
            Reason::OftenBoughtWith(seed)
        }
        _ => Reason::SimilarTo(seed),
    }
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

/// The largest part of an item's popularity.
fn popularity_reason(
    models: &Models<'_>,
    request: &Request<'_>,
    liked: &[(CategoryId, f32)],
    item: ItemId,
) -> Reason {
    let overall = models.popularity.score(item);
    let best_share = liked.first().map_or(1.0, |(_, share)| *share);
    let category = request.catalogue.category_of(item).and_then(|id| {
        liked.iter().find(|(liked, _)| *liked == id).map(|(_, share)| (id, share / best_share))
    });
    let segment = request.segment.and_then(|id| {
        models.popularity.in_segment(id).iter().find(|(near, _)| *near == item).map(|(_, score)| (id, *score))
    });
    // Overall popularity is part of every popular item's score; the narrower cause, where there is one of note, is
    // the one that put this item before the others.
    match (category, segment) {
        (Some((id, like)), _) if like >= 0.5 && overall > 0.0 => Reason::PopularIn(id),
        (_, Some((id, score))) if score > overall => Reason::PopularInSegment(id),
        _ if overall > 0.0 => Reason::Popular,
        _ => Reason::New,
    }
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
