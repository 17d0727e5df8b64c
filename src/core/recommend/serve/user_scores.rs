//! The learnt blend for one person: their history, what the catalogue, categories and segments add to it, candidates, and
//! their order. In: a [`Request`]. Out: items with a score 0…1, and what each member contributed.
//!
//! Cost: O(history · weights kept + members · items); about a millisecond at 4,000 items.

use std::cmp::Reverse;

use crate::base::{ItemId, Timestamp};
use crate::profile::{Bought, Profile};
use crate::recommend::ensemble::{
    Act, BaseModel, Begun, CANDIDATES, Candidates, Context, Ensemble, EventKinds, PairModel, Ranker,
    SideFeature, candidates,
};
use crate::recommend::models::association_rules::AssociationRules;
use crate::recommend::models::content_based::ContentBased;
use crate::recommend::models::item_knn::ItemKnn;
use crate::recommend::models::popularity::Popularity;
use crate::recommend::session::next_item::NextItem;

use super::request::Request;

/// Items of a history that count.
const MOST_HISTORY: usize = 200;
/// Decay of each older item's weight in the content taste.
const TASTE_DECAY: f32 = 0.93;
const MICROS_A_DAY: f64 = 86_400e6;

/// The models behind a [`super::model_set::ModelSet`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    pub(super) popularity: &'a Popularity,
    pub(super) item_knn: &'a ItemKnn,
    pub(super) association_rules: &'a AssociationRules,
    pub(super) content: &'a ContentBased,
    pub(super) ensemble: &'a Ensemble,
    pub(super) sessions: &'a NextItem,
    pub(super) kinds: &'a EventKinds,
}

/// Scores of every member for every item, for one person.
#[derive(Clone, Debug)]
pub struct Personal {
    history: Vec<(ItemId, f32)>,
    /// The same, fading, for likeness in words.
    taste: Vec<(ItemId, f32)>,
    last_day: Option<f64>,
    /// Of the kinds of behaviour, oldest first.
    acts: Vec<Act>,
    beside: Vec<f32>,
    scores: Vec<f32>,
    width: usize,
}

/// Input of the ensemble, see [`Context`].
pub(crate) struct Input {
    /// Newest first.
    pub(crate) history: Vec<(ItemId, f32)>,
    /// Day of the newest interaction.
    pub(crate) last_day: Option<f64>,
    /// Columns brought along.
    pub(crate) beside: Vec<f32>,
    /// Their width.
    pub(crate) width: usize,
}

/// Newest first: the recent items with interest left, then what was bought before them. All alike: what a kind of behaviour is
/// worth is learnt.
pub(crate) fn history(profile: &Profile) -> Vec<(ItemId, f32)> {
    let recent = profile.recent();
    let mut history: Vec<(ItemId, f32)> =
        recent.iter().filter(|known| known.weight > 0.0).map(|known| (known.item, 1.0)).collect();
    let is_older = |item: ItemId| !recent.iter().any(|known| known.item == item);
    let mut older: Vec<&Bought> = profile.bought().iter().filter(|bought| is_older(bought.item)).collect();
    let missing = MOST_HISTORY.saturating_sub(history.len());
    let newest_first = |bought: &&Bought| (Reverse(bought.last_day()), bought.item);
    // Of thousands that were bought the newest are wanted.
    if missing > 0 && older.len() > missing {
        older.select_nth_unstable_by_key(missing - 1, newest_first);
        older.truncate(missing);
    }
    older.sort_unstable_by_key(newest_first);
    history.extend(older.into_iter().take(missing).map(|bought| (bought.item, 1.0)));
    history
}

impl Personal {
    pub(super) fn new(sources: &Sources<'_>, request: &Request<'_>) -> Self {
        let mut personal = Self::unscored(sources, request);
        personal.scores = sources.ensemble.models().scores(&personal.context());
        personal
    }

    /// Input of the members, before any of them has answered.
    pub(super) fn unscored(sources: &Sources<'_>, request: &Request<'_>) -> Self {
        let models = sources.ensemble.models();
        let width = request.catalogue.width().max(sources.popularity.width()).max(models.n_items());
        let history = history(request.profile);
        let mut age = 1.0f32;
        let fade = |(item, weight): &(ItemId, f32)| {
            let own = weight * age;
            age *= TASTE_DECAY;
            (*item, own)
        };
        let taste: Vec<(ItemId, f32)> = history.iter().map(fade).collect();
        let day = |at: Timestamp| at.0 as f64 / MICROS_A_DAY;
        let mut personal = Self {
            last_day: request.profile.last_seen().map(day),
            acts: sources.kinds.acts(request.profile),
            beside: vec![0f32; width * (SideFeature::ALL.len() + sources.kinds.columns().len())],
            scores: Vec::new(),
            history,
            taste,
            width,
        };
        personal.look_beside(sources, request);
        if let Some(kinds) = personal.beside.get_mut(width * SideFeature::ALL.len()..) {
            sources.kinds.models.fill_dense(&personal.acts, width, kinds);
        }
        personal
    }

    /// Fills the columns of [`SideFeature::ALL`].
    fn look_beside(&mut self, sources: &Sources<'_>, request: &Request<'_>) {
        let mut columns = self.beside.chunks_mut(self.width.max(1));
        let (Some(content), Some(popular), Some(category), Some(segment)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            return;
        };
        sources.content.add_scores(&sources.content.taste(&self.taste), 1.0, content);
        // Every item is most like itself, which says nothing about wanting it again.
        for (item, _) in &self.taste {
            if let Some(score) = content.get_mut(item.index()) {
                *score = 0.0;
            }
        }
        let liked = request.profile.affinities(request.now);
        let best_share = liked.first().map_or(0.0, |(_, share)| *share);
        let mut likes = vec![0f32; request.catalogue.n_categories()];
        for (id, share) in &liked {
            if let Some(slot) = likes.get_mut(id.0 as usize) {
                *slot = share / best_share.max(f32::MIN_POSITIVE);
            }
        }
        for (item, popular) in (0u32..).map(ItemId).zip(popular.iter_mut()) {
            *popular = sources.popularity.score(item);
        }
        for (item, interest) in request.live.popular {
            if let Some(popular) = popular.get_mut(item.index()) {
                *popular = sources.popularity.score_with(*item, *interest);
            }
        }
        for (item, (popular, category)) in (0u32..).map(ItemId).zip(popular.iter().zip(category)) {
            let id = if best_share > 0.0 { request.catalogue.category_of(item) } else { None };
            let like = id.and_then(|id| likes.get(id.0 as usize)).copied().unwrap_or(0.0);
            *category = like * *popular;
        }
        let near = request.segment.map(|id| sources.popularity.in_segment(id)).unwrap_or_default();
        for (item, score) in near {
            if let Some(slot) = segment.get_mut(item.index()) {
                *slot = *score;
            }
        }
    }

    /// Acts of the kinds of behaviour, oldest first.
    pub(super) fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// Input of the ensemble.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            history: &self.history,
            last_day: self.last_day,
            width: self.width,
            beside: &self.beside,
            begun: Begun::default(),
        }
    }

    /// The input of the ensemble by itself.
    pub(crate) fn into_input(self) -> Input {
        Input { history: self.history, last_day: self.last_day, beside: self.beside, width: self.width }
    }

    /// Length of the history.
    pub fn length(&self) -> usize {
        self.history.len()
    }

    /// The history as likeness in words reads it, newest first.
    pub(super) fn taste(&self) -> &[(ItemId, f32)] {
        &self.taste
    }

    /// One more than the largest item.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The allowed items with the largest sum over the core of `rule`, at least [`CANDIDATES`] if there are as many.
    pub fn candidates(
        &self,
        ensemble: &Ensemble,
        rule: &Ranker,
        n: usize,
        allowed: impl Fn(ItemId) -> bool,
    ) -> Candidates {
        let (most, begun) = (n.max(CANDIDATES), Begun::default());
        candidates(ensemble.models(), &self.scores, self.width, &rule.core, most, &begun, allowed)
    }

    /// Adds an item to candidates.
    pub(super) fn push(&self, candidates: &mut Candidates, item: ItemId) {
        candidates.push(item, &self.scores, self.width, &Begun::default());
    }
}

/// The rule of a shop too small to learn one, and for whoever has no history: mostly what the same people deal with, a little
/// content, a little popularity. Plain shares, as one would set them by hand.
pub fn plain_rule(members: &[BaseModel]) -> Ranker {
    let count =
        |kind: fn(&BaseModel) -> bool| members.iter().filter(|member| kind(member)).count().max(1) as f32;
    let knn = count(|member| matches!(member, BaseModel::Pair { model: PairModel::ItemKnn, .. }));
    let ease = count(|member| matches!(member, BaseModel::Pair { model: PairModel::Ease(_), .. }));
    let sequences = count(|member| matches!(member, BaseModel::Pair { model: PairModel::Sequence(_), .. }));
    let weight = |member: &BaseModel| match member {
        BaseModel::Pair { model: PairModel::ItemKnn, .. } => 1.0 / knn,
        BaseModel::Pair { model: PairModel::Ease(_), .. } => 0.3 / ease,
        BaseModel::Pair { model: PairModel::Sequence(_), .. } => 0.2 / sequences,
        BaseModel::Als(_) => 0.1,
        BaseModel::SideFeature(SideFeature::Content) => 0.3,
        BaseModel::SideFeature(SideFeature::Popular) => 0.1,
        BaseModel::SideFeature(SideFeature::Category | SideFeature::Segment) => 0.05,
        BaseModel::Popularity | BaseModel::Trend(_) | BaseModel::Season(_) | BaseModel::Kind(_) => 0.0,
    };
    only(members, weight)
}

/// The rule by which members count with these plain weights; those with a weight choose the candidates.
pub fn only(members: &[BaseModel], weight: impl Fn(&BaseModel) -> f32) -> Ranker {
    let linear: Vec<f32> = members.iter().map(weight).collect();
    Ranker {
        core: (0..members.len()).filter(|index| linear.get(*index).is_some_and(|w| *w > 0.0)).collect(),
        weights: vec![0.0; members.len()],
        slopes: Vec::new(),
        linear,
        centre: 0.0,
        spread: 1.0,
    }
}
