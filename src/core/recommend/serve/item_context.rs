//! Items that go with one item: the one just viewed, put into the cart, or asked about.

use crate::base::ItemId;
use crate::catalogue::Embeddings;
use crate::profile::Profile;
use crate::recommend::models::item_set::Universe;
use crate::recommend::models::top;

use super::embedded;
use super::live::Evidence;
use super::person::Sources;

/// Weight of the next-item scores relative to item-to-item: a visit is going on.
const NEXT: f32 = 2.0;
/// The same of a learnt order, of which item-to-item is a part already. Next clicks of Yoochoose on new items, HR@20 / MRR@20
/// (2026-11-30): 2 .569 / .267, 6 .570 / .274, 20 .571 / .275; what is said in words keeps an eighth.
const NEXT_TAUGHT: f32 = 6.0;

/// So many visitors must have dealt with both for what was counted since training to count half as much as item-to-item.
const ENOUGH: f32 = 10.0;

/// Source of clicks: a visit that is going on, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clicks {
    /// The profile's newest clicks lead here.
    Live,
    /// Any user: only what two items have in common.
    Any,
}

/// Behaviour, content and embeddings in equal parts; what visits like this one go on with, counting [`NEXT`] or [`NEXT_TAUGHT`] times as much; and, for what the user has in
/// the cart or has bought, the association rules that hold for it; and what people have dealt with beside it since training, the
/// more of them the more; of those that know something. 0…1, indexed by item.
pub(super) fn scores(
    sources: &Sources<'_>,
    profile: &Profile,
    seed: ItemId,
    clicks: Clicks,
    live: Evidence<'_>,
    embeddings: &Embeddings,
    width: usize,
) -> Vec<f32> {
    let near = sources.item_knn.neighbours(seed).iter();
    let item_knn = Part::Few(near.map(|near| (near.item, near.similarity)).collect());
    let mut content = vec![0f32; width];
    sources.content.add_scores(sources.content.vector(seed), &Universe::All(width), &mut content);
    if let Some(own) = content.get_mut(seed.index()) {
        *own = 0.0;
    }
    let mut embedding = vec![0f32; if embeddings.is_empty() { 0 } else { width }];
    let others = || {
        let mut near = vec![0f32; width];
        item_knn.add(1.0, &mut near);
        [content.clone(), near]
    };
    embedded::beside(embeddings, seed, &Universe::All(width), others, &mut embedding);
    let rules = match has(profile, seed) {
        true => sources.association_rules.scores(seed, |item| has(profile, item)),
        false => Vec::new(),
    };
    let next = match clicks {
        Clicks::Live => sources.sessions.scores(profile, seed, width),
        Clicks::Any => Vec::new(),
    };
    let counted = live.near.iter().map(|(item, count)| (*item, *count as f32)).collect();
    let most = live.near.first().map_or(0.0, |(_, count)| *count as f32);
    let since = most / (most + ENOUGH);
    let weight = if sources.sessions.is_taught() { NEXT_TAUGHT } else { NEXT };
    let mut parts = [
        (1.0, item_knn),
        (1.0, Part::All(content)),
        (1.0, Part::All(embedding)),
        (1.0, Part::Few(rules)),
        (weight, Part::All(next)),
        (since, Part::Few(counted)),
    ];
    parts.iter_mut().for_each(|(weight, part)| *weight *= f32::from(part.scale()));
    let all: f32 = parts.iter().map(|(weight, _)| weight).sum();
    let mut mean = vec![0f32; width];
    for (weight, part) in parts.iter().filter(|(weight, _)| *weight > 0.0) {
        part.add(weight / all, &mut mean);
    }
    mean
}

/// Scores by one source of the items beside the seed.
enum Part {
    /// Of a few items, each once.
    Few(Vec<(ItemId, f32)>),
    /// By item.
    All(Vec<f32>),
}

impl Part {
    /// Divides by the largest score. False (and all zero) when nothing is > 0.
    fn scale(&mut self) -> bool {
        match self {
            Self::Few(scores) => {
                let largest = scores.iter().map(|(_, score)| *score).filter(|score| score.is_finite());
                let largest = largest.fold(0.0, f32::max);
                scores.iter_mut().for_each(|(_, score)| *score = scaled(*score, largest));
                largest > 0.0
            }
            Self::All(scores) => {
                let largest = top::largest(scores);
                scores.iter_mut().for_each(|score| *score = scaled(*score, largest));
                largest > 0.0
            }
        }
    }

    fn add(&self, share: f32, sums: &mut [f32]) {
        match self {
            Self::Few(scores) => {
                for (item, score) in scores {
                    sums.get_mut(item.index()).into_iter().for_each(|sum| *sum += share * score);
                }
            }
            Self::All(scores) => sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += share * score),
        }
    }
}

/// 0…1.
fn scaled(score: f32, largest: f32) -> f32 {
    if largest > 0.0 && score.is_finite() { (score / largest).clamp(0.0, 1.0) } else { 0.0 }
}

/// Returns whether it is in the cart, or was ever bought.
pub(super) fn has(profile: &Profile, item: ItemId) -> bool {
    profile.in_cart().contains(&item) || profile.has_bought(item)
}
