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

mod candidates;
mod context;
mod explainer;
mod from_events;
mod histories;
mod kinds;
mod member;
mod models;
mod pairs;
mod parameters;
mod ranker;
mod seasons;

use serde::{Deserialize, Serialize};

use crate::base::ItemId;
use crate::recommend::models::item_set::Universe;

pub use candidates::{CANDIDATES, Candidates, candidates, part};
pub use context::{Begun, Context};
pub use explainer::Explainer;
pub use from_events::EventRows;
pub use histories::{Histories, Interaction};
pub use kinds::{
    Act, EventKinds, KindColumn, KindFeature, KindInputs, KindModels, KindNumbers, TARGET, UserColumns,
    masked_items, merged,
};
pub use member::{BaseModel, PairModel, SideFeature};
pub use models::{FittedMembers, Models, Pairs};
pub use pairs::{LEAST_WEIGHT, PairColumn, Regressions, fit_similarity};
pub use parameters::{EnsembleParameters, als_work, similarity_work};
pub use ranker::Ranker;

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

    /// The same models under another rule for their members.
    pub fn ruled_by(self, ranker: Ranker) -> Self {
        Self { ranker, ..self }
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
    /// What was begun is
    /// always among the candidates. O(history · weights kept + members · items + candidates · members).
    pub fn recommend(
        &self,
        context: &Context<'_>,
        n: usize,
        allowed: impl Fn(ItemId) -> bool,
    ) -> Vec<(ItemId, f32)> {
        let scores = self.models.scores(context);
        let all = Universe::All(self.models.width(context));
        let universe = context.universe.unwrap_or(&all);
        let (core, most) = (&self.ranker.core, n.max(CANDIDATES));
        let candidates = candidates(&self.models, &scores, universe, core, most, &context.begun, allowed);
        let mut list = if context.history.is_empty() {
            candidates.items.iter().map(|item| (*item, 0.0)).collect()
        } else {
            self.ranker.rank(&candidates, context.history.len())
        };
        list.truncate(n);
        list
    }

    /// Returns whether its parts fit one another and every number is one. Checked after loading.
    pub fn is_sound(&self) -> bool {
        self.models.is_sound() && self.ranker.is_sound(self.models.members().len())
    }
}

#[cfg(test)]
mod tests;
