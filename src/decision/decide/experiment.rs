//! Each user's part in an experiment, and the models that arms name: at most [`MAX_VERSIONS`] versions beside the one
//! that serves, and the baseline of popular items.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::definitions::Definitions;
pub use super::running_experiment::RunningExperiment;
use crate::feedback::experiments::{ArmModel, Experiment, Slice, Slices};
use crate::notify::Rules;
use tidings_core::base::{ExternalId, ModelVersion};
use tidings_core::catalogue::Catalogue;
use tidings_core::event::Event;
use tidings_core::profile::Attributes;
use tidings_core::recommend::ModelSet;

/// Versions that running experiments may name at a time: each is as large as the one that serves.
pub const MAX_VERSIONS: usize = 2;

/// The part of the policy that applies to a user: ordinary, holdout or random.
pub fn slice_of(rules: &Rules, user: &ExternalId) -> Slice {
    if rules.holdout <= 0.0 && rules.random <= 0.0 {
        return Slice::Learned;
    }
    Slices::of_shares(rules.holdout, rules.random).of(&user.to_string())
}

/// Distinct versions that experiments name, ascending.
pub fn named_versions<'a>(experiments: impl IntoIterator<Item = &'a Experiment>) -> BTreeSet<ModelVersion> {
    let arms = experiments.into_iter().flat_map(|experiment| &experiment.arms);
    arms.filter_map(|arm| match arm.model {
        Some(ArmModel::Version(version)) => Some(version),
        Some(ArmModel::Popularity) | None => None,
    })
    .collect()
}

fn names_popularity<'a>(experiments: impl IntoIterator<Item = &'a Experiment>) -> bool {
    let mut arms = experiments.into_iter().flat_map(|experiment| &experiment.arms);
    arms.any(|arm| arm.model == Some(ArmModel::Popularity))
}

/// Model sets that arms of running experiments name, beside the one that serves. A clone is cheap; replaced whole.
#[derive(Clone, Default)]
pub struct ExperimentModels {
    /// Popular items of the model that serves; `None` while no arm names it.
    popular: Option<Arc<ModelSet>>,
    /// Named versions without the one that serves.
    versions: BTreeMap<ModelVersion, Arc<ModelSet>>,
    /// All named versions with the one that serves, which is kept when another takes over.
    named: BTreeSet<ModelVersion>,
}

impl ExperimentModels {
    /// The set that a named model stands for; `None` if not loaded.
    pub fn get(&self, model: ArmModel, serving: &Arc<ModelSet>) -> Option<Arc<ModelSet>> {
        match model {
            ArmModel::Popularity => self.popular.clone(),
            ArmModel::Version(version) if version == serving.version => Some(Arc::clone(serving)),
            ArmModel::Version(version) => self.versions.get(&version).cloned(),
        }
    }

    /// The model set that ranks for this user: that of the first arm which names one, else `serving`.
    pub fn models_for(
        &self,
        user: &ExternalId,
        attributes: &Attributes,
        definitions: &Definitions,
        serving: &Arc<ModelSet>,
    ) -> Arc<ModelSet> {
        if !definitions.names_models() || slice_of(&definitions.rules, user) != Slice::Learned {
            return Arc::clone(serving);
        }
        let user = user.to_string();
        let named =
            definitions.experiments.iter().find_map(|running| running.arm_of(&user, attributes)?.1.model);
        named.and_then(|model| self.get(model, serving)).unwrap_or_else(|| Arc::clone(serving))
    }

    /// Named versions to load: at most [`MAX_VERSIONS`], the lowest first, without those loaded and the one that serves.
    pub fn missing<'a>(
        &self,
        experiments: impl IntoIterator<Item = &'a Experiment>,
        serving: ModelVersion,
    ) -> Vec<ModelVersion> {
        let named = named_versions(experiments).into_iter().take(MAX_VERSIONS);
        named.filter(|version| *version != serving && !self.versions.contains_key(version)).collect()
    }

    /// Adds what experiments name: `loaded` versions, and the popular items of `serving` where an arm asks for them.
    /// Nothing is removed.
    #[must_use]
    pub fn with<'a>(
        mut self,
        experiments: impl IntoIterator<Item = &'a Experiment, IntoIter: Clone>,
        loaded: Vec<ModelSet>,
        serving: &ModelSet,
    ) -> Self {
        let experiments = experiments.into_iter();
        self.versions.extend(loaded.into_iter().map(|model| (model.version, Arc::new(model))));
        self.named.extend(named_versions(experiments.clone()).into_iter().take(MAX_VERSIONS));
        if self.popular.is_none() && names_popularity(experiments) {
            self.popular = Some(Arc::new(serving.popular()));
        }
        self
    }

    /// Removes what these experiments don't name.
    #[must_use]
    pub fn only<'a>(
        mut self,
        experiments: impl IntoIterator<Item = &'a Experiment, IntoIter: Clone>,
    ) -> Self {
        let experiments = experiments.into_iter();
        self.named = named_versions(experiments.clone());
        self.versions.retain(|version, _| self.named.contains(version));
        self.popular = self.popular.filter(|_| names_popularity(experiments));
        self
    }

    /// After another set took over: the one before stays if an arm names it, and popularity is that of the new one.
    #[must_use]
    pub fn after_swap(mut self, before: &Arc<ModelSet>, serving: &ModelSet) -> Self {
        if self.named.contains(&before.version) {
            self.versions.insert(before.version, Arc::clone(before));
        }
        self.versions.remove(&serving.version);
        self.popular = self.popular.map(|_| Arc::new(serving.popular()));
        self
    }

    /// After items were added or changed.
    #[must_use]
    pub fn noting_items(mut self, catalogue: &Catalogue, items: &[tidings_core::base::ItemId]) -> Self {
        for model in self.versions.values_mut() {
            Arc::make_mut(model).note_items(catalogue, items);
        }
        self
    }

    /// Without what the models remember of the person who did these events.
    #[must_use]
    pub fn without_sessions_of(mut self, events: &[Event]) -> Self {
        for model in self.versions.values_mut() {
            if let Some(masked) = model.without_sessions_of(events) {
                *model = Arc::new(masked);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::definitions::{DefinitionKind, DefinitionState, StoredDefinition};
    use serde_json::json;
    use tidings_core::config;

    fn set(version: i32) -> ModelSet {
        let mut set = ModelSet::empty();
        set.version = ModelVersion(version);
        set
    }

    /// Everybody in one of two arms: without a model, and with this one.
    fn running(model: serde_json::Value) -> Definitions {
        let body = json!({"name": "m", "arms": [{"name": "control", "share": 5000},
            {"name": "other", "share": 5000, "model": model}]});
        let row = StoredDefinition {
            id: 1,
            kind: DefinitionKind::Experiment,
            name: "m".into(),
            version: 1,
            state: DefinitionState::Active,
            body,
            repeats: None,
        };
        let policy = config::Policy { holdout: 0.0, random: 0.0, ..config::Policy::default() };
        Definitions::new(&[row], &policy).0
    }

    fn in_arm(definitions: &Definitions, arm: usize) -> ExternalId {
        let is_in =
            |user: &ExternalId| definitions.experiments[0].experiment.arm_of(&user.to_string()) == Some(arm);
        (1..).map(|id| ExternalId::parse(&id.to_string()).unwrap()).find(is_in).unwrap()
    }

    #[test]
    fn an_arm_gets_the_version_it_names_and_everybody_else_the_one_that_serves() {
        let definitions = running(json!(3));
        let named: Vec<&Experiment> = definitions.experiments.iter().map(|one| &one.experiment).collect();
        let serving = Arc::new(set(5));
        let models = ExperimentModels::default();
        assert_eq!(models.missing(named.iter().copied(), serving.version), [ModelVersion(3)]);
        let other = in_arm(&definitions, 1);
        assert_eq!(
            models.models_for(&other, &Attributes::default(), &definitions, &serving).version.0,
            5,
            "not loaded yet"
        );
        let models = models.with(named.iter().copied(), vec![set(3)], &serving);
        assert_eq!(models.models_for(&other, &Attributes::default(), &definitions, &serving).version.0, 3);
        assert_eq!(
            models
                .models_for(&in_arm(&definitions, 0), &Attributes::default(), &definitions, &serving)
                .version
                .0,
            5
        );
        assert!(models.missing(named.iter().copied(), serving.version).is_empty());
        let none = models.only([]);
        assert_eq!(none.models_for(&other, &Attributes::default(), &definitions, &serving).version.0, 5);
    }

    #[test]
    fn a_named_version_that_served_is_kept_when_another_takes_over() {
        let definitions = running(json!(3));
        let named = [&definitions.experiments[0].experiment];
        let (before, serving) = (Arc::new(set(3)), Arc::new(set(4)));
        let models = ExperimentModels::default().with(named, vec![], &before);
        let models = models.after_swap(&before, &serving);
        assert_eq!(
            models
                .models_for(&in_arm(&definitions, 1), &Attributes::default(), &definitions, &serving)
                .version
                .0,
            3
        );
        let back = models.after_swap(&serving, &before);
        assert!(back.get(ArmModel::Version(ModelVersion(4)), &before).is_none(), "nobody names it");
    }

    #[test]
    fn popularity_is_held_only_while_an_arm_names_it() {
        let definitions = running(json!("popularity"));
        let named = [&definitions.experiments[0].experiment];
        let serving = Arc::new(set(5));
        let models = ExperimentModels::default().with(named, vec![], &serving);
        assert_eq!(
            models
                .models_for(&in_arm(&definitions, 1), &Attributes::default(), &definitions, &serving)
                .version
                .0,
            0
        );
        assert!(models.only([]).get(ArmModel::Popularity, &serving).is_none());
    }
}
