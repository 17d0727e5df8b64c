//! Finds the true cause of a recommendation: of the groups of members (behaviour, content, popularity overall, in a category,
//! in a segment) the one that added most to its score, and in it the item of the history, the category or the segment that did.

use crate::base::ItemId;
use crate::event::EventKind;
use crate::profile::Profile;
use crate::recommend::ensemble::{
    BaseModel, Candidates, Context, Explainer, KindColumn, KindFeature, Ranker, SideFeature,
};

use super::embedded;
use super::item_context::has;
use super::person::Sources;
use super::reason::Reason;
use super::request::Request;
use super::user_scores::Personal;

/// Buyers of both from which "often bought with" is true.
const OFTEN: u16 = 2;

/// Source of a part of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Pairs and factors over what people dealt with.
    Behaviour,
    /// Likeness in words, and by embeddings.
    Content,
    /// Popularity in liked categories.
    Category,
    /// Popularity in the segment.
    Segment,
    /// Popularity and trends.
    Popular,
}

impl Source {
    fn of(member: &BaseModel) -> Self {
        match member {
            BaseModel::Pair { .. } | BaseModel::Als(_) => Self::Behaviour,
            BaseModel::Kind(KindColumn { of: KindFeature::Popularity, .. }) => Self::Popular,
            BaseModel::Kind(_) => Self::Behaviour,
            BaseModel::SideFeature(SideFeature::Content | SideFeature::Embedding) => Self::Content,
            BaseModel::SideFeature(SideFeature::Category) => Self::Category,
            BaseModel::SideFeature(SideFeature::Segment) => Self::Segment,
            BaseModel::SideFeature(SideFeature::Popular)
            | BaseModel::Popularity
            | BaseModel::Trend(_)
            | BaseModel::Season(_) => Self::Popular,
        }
    }
}

/// Inputs from which the score of a recommendation is explained.
pub(super) struct Explanation<'a> {
    sources: &'a Sources<'a>,
    request: &'a Request<'a>,
    personal: &'a Personal,
    candidates: &'a Candidates,
    rule: &'a Ranker,
    explainer: Explainer<'a>,
}

impl<'a> Explanation<'a> {
    pub(super) fn new(
        sources: &'a Sources<'a>,
        request: &'a Request<'a>,
        personal: &'a Personal,
        candidates: &'a Candidates,
        rule: &'a Ranker,
    ) -> Self {
        let explainer = sources.ensemble.models().explainer(&personal.context());
        Self { sources, request, personal, candidates, rule, explainer }
    }
}

impl Explanation<'_> {
    /// Contribution of each source to the score of a candidate; negative where it lowered it. O(members).
    pub(super) fn parts(&self, item: ItemId) -> Vec<(Source, f32)> {
        let mut parts: Vec<(Source, f32)> = Vec::new();
        let added = self.rule.parts(self.candidates.row(item), self.personal.length());
        for (member, added) in self.sources.ensemble.models().members().iter().zip(added) {
            let source = Source::of(member);
            match parts.iter_mut().find(|(known, _)| *known == source) {
                Some((_, sum)) => *sum += added,
                None => parts.push((source, added)),
            }
        }
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        parts
    }

    /// The cause that added most. O(history · weights kept).
    pub(super) fn reason(&self, item: ItemId) -> Reason {
        let parts = self.parts(item);
        let speaking = parts.iter().filter(|(_, added)| *added > 0.0);
        let mut causes = speaking.filter_map(|(source, _)| self.cause(*source, item));
        causes.next().unwrap_or_else(|| match self.request.catalogue.get(item) {
            _ if self.is_popular(item) => Reason::Popular,
            Some(details) => Reason::by_age(details.created_at, self.request.now),
            None => Reason::Assortment,
        })
    }

    /// Returns whether the item was popular when the model was trained or has become so since.
    fn is_popular(&self, item: ItemId) -> bool {
        self.sources.popularity.score(item) > 0.0 || self.request.live.has(item)
    }

    fn cause(&self, source: Source, item: ItemId) -> Option<Reason> {
        match source {
            Source::Behaviour => self.behaviour(item).map(|cause| self.behaviour_reason(cause, item)),
            Source::Content => self.content_cause(item),
            Source::Category => self.request.catalogue.category_of(item).map(Reason::PopularIn),
            Source::Segment => self.request.segment.map(Reason::PopularInSegment),
            Source::Popular => self.is_popular(item).then_some(Reason::Popular),
        }
    }

    /// The item of the history that added most, over all members that speak of pairs or factors: each member's part in the
    /// score, divided among the items as its own score is.
    pub(super) fn behaviour(&self, item: ItemId) -> Option<ItemId> {
        let context = self.personal.context();
        let models = self.sources.ensemble.models();
        let added = self.rule.parts(self.candidates.row(item), self.personal.length());
        let mut sums = vec![0f32; context.history.len()];
        for (member, added) in models.members().iter().zip(added).filter(|(_, added)| *added != 0.0) {
            let parts = match member {
                BaseModel::Kind(column) => self.parts_of_kind(*column, &context, item),
                _ => self.explainer.parts(*member, item).unwrap_or_default(),
            };
            let whole: f32 = parts.iter().sum();
            if whole > 0.0 {
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += added * part / whole);
            }
        }
        let (cause, most) =
            context.history.iter().zip(sums).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.0.cmp(&a.0.0)))?;
        (most > 0.0).then_some(cause.0)
    }

    /// In order of the history.
    fn parts_of_kind(&self, column: KindColumn, context: &Context<'_>, item: ItemId) -> Vec<f32> {
        let parts = self.sources.kinds.parts(column, &self.personal.person().acts, item);
        let of = |(known, _): &(ItemId, f32)| -> f32 {
            parts.iter().filter(|(touched, _)| touched == known).map(|(_, part)| part).sum()
        };
        context.history.iter().map(of).collect()
    }

    fn behaviour_reason(&self, cause: ItemId, item: ItemId) -> Reason {
        let profile = self.request.profile;
        if !has(profile, cause) {
            return deed(profile, cause);
        }
        let near = self.sources.item_knn.neighbours(cause).iter().find(|near| near.item == item);
        match rule_reason(self.sources, profile, cause, item) {
            Some(rule) => rule,
            None if near.is_some_and(|near| near.bought_together >= OFTEN) => Reason::OftenBoughtWith(cause),
            None => Reason::SimilarTo(cause),
        }
    }

    /// The item of the history that is most alike.
    fn content_cause(&self, item: ItemId) -> Option<Reason> {
        let catalogue = self.request.catalogue;
        let alike = |(known, weight): &(ItemId, f32)| {
            (*known, weight * embedded::similarity(self.sources.content, catalogue, *known, item))
        };
        let (cause, _) = self
            .personal
            .person()
            .taste
            .iter()
            .map(alike)
            .filter(|(_, similarity)| *similarity > 0.0)
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(deed(self.request.profile, cause))
    }
}

/// The user's last act on an item of the history, as the reason of what goes with it: what was put into the cart, bought or
/// sent back is only said to be alike.
pub(super) fn deed(profile: &Profile, cause: ItemId) -> Reason {
    let last = profile.recent().iter().find(|known| known.item == cause);
    match last.filter(|_| !has(profile, cause)).map(|known| known.kind) {
        Some(EventKind::View) => Reason::Viewed(cause),
        Some(EventKind::Rate) => Reason::Rated(cause),
        Some(EventKind::Like) => Reason::Liked(cause),
        _ => Reason::SimilarTo(cause),
    }
}

/// The most confident rule that leads from what the user has, the seed among it, to the item.
fn rule_reason(sources: &Sources<'_>, profile: &Profile, seed: ItemId, item: ItemId) -> Option<Reason> {
    let applying = sources.association_rules.applying(seed, |other| has(profile, other));
    let (_, rule) = applying
        .filter(|(then, rule)| *then == item && rule.lift > 1.0)
        .max_by(|(_, a), (_, b)| a.confidence.total_cmp(&b.confidence).then(a.lift.total_cmp(&b.lift)))?;
    let and = rule.antecedent.iter().copied().find(|other| *other != seed);
    Some(Reason::Rule { with: seed, and, lift: rule.lift as f32 })
}

/// Reason why an item goes with a seed: what the user did with the seed, or what the two have in common.
pub(super) fn seed_reason(
    sources: &Sources<'_>,
    request: &Request<'_>,
    seed: ItemId,
    item: ItemId,
) -> Reason {
    let neighbour = sources.item_knn.neighbours(seed).iter().find(|near| near.item == item);
    let together = neighbour.is_some_and(|near| near.bought_together >= OFTEN);
    let owned = has(request.profile, seed);
    if owned && let Some(rule) = rule_reason(sources, request.profile, seed, item) {
        rule
    } else if owned && together {
        Reason::OftenBoughtWith(seed)
    } else if !owned && request.profile.has_seen(seed) {
        deed(request.profile, seed)
    } else {
        pair_reason(sources, seed, item)
    }
}

/// Reason why two items go together, independent of the user.
pub(super) fn pair_reason(sources: &Sources<'_>, seed: ItemId, item: ItemId) -> Reason {
    let neighbour = sources.item_knn.neighbours(seed).iter().find(|near| near.item == item);
    let behaviour = neighbour.map_or(0.0, |near| near.similarity);
    match neighbour {
        Some(near)
            if near.bought_together >= OFTEN && behaviour >= sources.content.similarity(seed, item) =>
        {
            let rule = rule_reason(sources, &Profile::default(), seed, item);
            rule.unwrap_or(Reason::OftenBoughtWith(seed))
        }
        _ => Reason::SimilarTo(seed),
    }
}
