//! The learnt blend for one person: what all members say of the items of a universe, candidates, and their order.
//!
//! Cost: O(history · weights kept + members · items of the universe).

use crate::base::ItemId;
use crate::recommend::ensemble::{
    BaseModel, Begun, CANDIDATES, Candidates, Context, Ensemble, PairModel, Ranker, SideFeature, candidates,
};
use crate::recommend::models::item_set::Universe;

pub(crate) use super::person::history;
use super::person::{Person, Sources};
use super::request::Request;

/// Scores of every member for the items of a universe, for one person.
#[derive(Clone, Debug)]
pub struct Personal {
    person: Person,
    universe: Universe,
    beside: Vec<f32>,
    scores: Vec<f32>,
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

impl Personal {
    pub(super) fn new(
        sources: &Sources<'_>,
        request: &Request<'_>,
        person: Person,
        universe: Universe,
    ) -> Self {
        let mut personal = Self::unscored(sources, request, person, universe);
        personal.scores = sources.ensemble.models().scores(&personal.context());
        personal
    }

    /// Input of the members, before any of them has answered.
    pub(super) fn unscored(
        sources: &Sources<'_>,
        request: &Request<'_>,
        person: Person,
        universe: Universe,
    ) -> Self {
        let beside = person.beside(sources, request, &universe);
        Self { person, universe, beside, scores: Vec::new() }
    }

    /// Input of the ensemble.
    pub(super) fn context(&self) -> Context<'_> {
        self.person.context(&self.universe, &self.beside)
    }

    /// The input of the ensemble by itself.
    pub(crate) fn into_input(self) -> Input {
        let width = self.universe.width();
        let Person { history, last_day, .. } = self.person;
        Input { history, last_day, beside: self.beside, width }
    }

    /// Length of the history.
    pub fn length(&self) -> usize {
        self.person.length()
    }

    /// Owner of the scores.
    pub(super) fn person(&self) -> &Person {
        &self.person
    }

    /// Items that are scored.
    pub(super) fn universe(&self) -> &Universe {
        &self.universe
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
        candidates(ensemble.models(), &self.scores, &self.universe, &rule.core, most, &begun, allowed)
    }

    /// Adds an item to candidates.
    pub(super) fn push(&self, candidates: &mut Candidates, item: ItemId) {
        candidates.push(item, &self.scores, &self.universe, &Begun::default());
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
        BaseModel::SideFeature(SideFeature::Content | SideFeature::Embedding) => 0.3,
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
