//! Finds the true cause of a recommendation: the model that added most to its score, and in it the item of the history,
//! the category or the segment that did.

use crate::base::ItemId;
use crate::catalogue::CategoryId;
use crate::profile::Profile;

use super::hybrid::{Components, Models, has};
use super::parameters::Blend;
use super::{Reason, Request};

/// Buyers of both from which "often bought with" is true.
const OFTEN: u16 = 2;

impl Components {
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
        let owned = has(request.profile, cause);
        if owned && let Some(rule) = rule_reason(models, request.profile, cause, item) {
            return Some(rule);
        }
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
        let owned = has(request.profile, cause);
        Some(if owned { Reason::SimilarTo(cause) } else { Reason::Viewed(cause) })
    }
}

/// The most confident rule that leads from what the user has, the seed among it, to the item.
fn rule_reason(models: &Models<'_>, profile: &Profile, seed: ItemId, item: ItemId) -> Option<Reason> {
    let applying = models.association_rules.applying(seed, |other| has(profile, other));
    let (_, rule) = applying
        .filter(|(then, rule)| *then == item && rule.lift > 1.0)
        .max_by(|(_, a), (_, b)| a.confidence.total_cmp(&b.confidence).then(a.lift.total_cmp(&b.lift)))?;
    let and = rule.antecedent.iter().copied().find(|other| *other != seed);
    Some(Reason::Rule { with: seed, and, lift: rule.lift as f32 })
}

/// Why an item goes with a seed: what the user did with the seed, or what the two have in common.
pub fn seed_reason(models: &Models<'_>, request: &Request<'_>, seed: ItemId, item: ItemId) -> Reason {
    let neighbour = models.item_knn.neighbours(seed).iter().find(|near| near.item == item);
    let together = neighbour.is_some_and(|near| near.bought_together >= OFTEN);
    let owned = has(request.profile, seed);
    if owned && let Some(rule) = rule_reason(models, request.profile, seed, item) {
        rule
    } else if owned && together {
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
            let rule = rule_reason(models, &Profile::default(), seed, item);
            rule.unwrap_or(Reason::OftenBoughtWith(seed))
        }
        _ => Reason::SimilarTo(seed),
    }
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
