//! Parameters and rules of a backtest: where its trial begins, what of them makes the same models, and what a rule must keep.

use crate::catalogue::Catalogue;
use crate::profile::SegmentParameters;
use crate::recommend::ModelSet;
use crate::recommend::ensemble::{BaseModel, EnsembleParameters, Ranker, SideFeature};
use crate::recommend::models::association_rules::RuleParameters;
use crate::recommend::train::TrainingParameters;

/// Content and embeddings never go to nothing, or items that nobody touched yet could not be found: at least this share of all that
/// the rule gives to members it trusts.
const LEAST_CONTENT: f32 = 0.05;
/// Members that find items which nobody has touched yet.
static COLD: [BaseModel; 2] =
    [BaseModel::SideFeature(SideFeature::Content), BaseModel::SideFeature(SideFeature::Embedding)];

/// Members that every blend needs for this catalogue: content, and embeddings where items have them.
pub(super) fn always_there(catalogue: &Catalogue) -> &'static [BaseModel] {
    if catalogue.embeddings().is_empty() { COLD.split_at(1).0 } else { &COLD }
}

/// A rule with the members that it needs.
pub(super) struct Learnt {
    members: Vec<BaseModel>,
    rule: Ranker,
}

impl Learnt {
    /// The rule of a model.
    pub(super) fn of(model: &ModelSet) -> Self {
        let ensemble = model.ensemble();
        let (needed, all) = (ensemble.ranker().needed(), ensemble.models().members());
        let members = needed.iter().filter_map(|index| all.get(*index).copied()).collect();
        Self { members, rule: ensemble.ranker().restricted(&needed) }
    }

    /// Lets the rule order what another model's members say, if they are much the same.
    pub(super) fn carry(&self, model: &mut ModelSet) {
        if let Some(rule) = self.rule.carried(&self.members, model.ensemble().models().members()) {
            model.set_rule(rule);
        }
    }
}

/// Beginning of a trial: the choice of the model that serves, else the configured parameters.
pub(super) fn remembered(configured: &EnsembleParameters, current: Option<&ModelSet>) -> EnsembleParameters {
    let mut start = EnsembleParameters { members: Vec::new(), ..configured.clone() };
    let chosen = current.filter(|current| current.parameters.choice.is_some());
    if let Some(chosen) = chosen.map(|current| &current.parameters.ensemble) {
        if !chosen.ridges.is_empty() {
            start.ridges.clone_from(&chosen.ridges);
        }
        if !chosen.als.is_empty() && !start.als.is_empty() {
            start.als.clone_from(&chosen.als);
        }
        start.shrinkage = chosen.shrinkage;
    }
    start
}

/// Parameters that make the same models of the same members.
pub(super) fn alike(parameters: &TrainingParameters) -> TrainingParameters {
    let ensemble = EnsembleParameters { members: Vec::new(), ..parameters.ensemble.clone() };
    let parameters = twin_of(parameters);
    TrainingParameters { n_threads: 0, choice: None, kinds: None, tuning_work: 0.0, ensemble, ..parameters }
}

/// Raises the plain weights of the members that are `kept` to their least share of the weights above 0.
pub(super) fn keep_content(rule: &mut Ranker, members: &[BaseModel], kept: &[BaseModel]) {
    let trusted: f32 = rule.weights.iter().chain(&rule.linear).filter(|weight| **weight > 0.0).sum();
    rule.linear.resize(members.len(), 0.0);
    for ((member, weight), linear) in members.iter().zip(&rule.weights).zip(&mut rule.linear) {
        if kept.contains(member) {
            *linear = linear.max(LEAST_CONTENT * trusted - weight);
        }
    }
}

/// Parameters of a twin, reduced to those that matter to it. Segments play a small part in the blend: two starts are enough.
/// Rules lead from a basket to its completion, and the trial asks for lists without one.
pub(super) fn twin_of(parameters: &TrainingParameters) -> TrainingParameters {
    TrainingParameters {
        segments: SegmentParameters { starts: 2, ..parameters.segments },
        rules: RuleParameters { max_rules: 0, ..parameters.rules },
        ..parameters.clone()
    }
}
