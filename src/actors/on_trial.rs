//! Model sets that arms of running experiments name, held beside the one that serves: at most [`MAX_VERSIONS`] versions, and the
//! baseline of popular items. Loaded when the definitions are read, swapped whole, read without a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::book::{Book, slice_of};
use super::shared::Shared;
use crate::base::{ExternalId, ModelVersion};
use crate::feedback::experiments::{ArmModel, Experiment, Slice};
use crate::recommend::ModelSet;
use crate::store::{Connection, models};

/// Versions that running experiments may name at a time: each is as large as the one that serves.
pub const MAX_VERSIONS: usize = 2;

/// See the module.
#[derive(Default)]
pub struct OnTrial(ArcSwap<Held>);

/// What is held at a moment.
#[derive(Clone, Default)]
struct Held {
    /// Popular items of the model that serves; `None` while no arm names it.
    popular: Option<Arc<ModelSet>>,
    /// Named versions, but for the one that serves.
    versions: BTreeMap<ModelVersion, Arc<ModelSet>>,
    /// All that are named, the one that serves among them: it is kept when another takes over.
    named: BTreeSet<ModelVersion>,
}

/// Distinct versions that experiments name, in order.
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

/// Reads a version. The error says what to do, for whoever defines an experiment.
pub fn load_version(connection: &mut Connection, version: ModelVersion) -> Result<ModelSet, String> {
    let stored = models::load(connection, version).map_err(|error| error.to_string())?;
    let artefact = stored.ok_or_else(|| {
        format!("there is no model version {version}: it was never trained, or deleted; GET /admin/models lists those there are")
    })?;
    let mut model = ModelSet::decode(&artefact)
        .map_err(|error| format!("model version {version} can't be loaded: {error}"))?;
    model.version = version;
    Ok(model)
}

impl OnTrial {
    /// The set that a named model stands for; `None` when it is not held.
    fn get(&self, model: ArmModel, serving: &Arc<ModelSet>) -> Option<Arc<ModelSet>> {
        let held = self.0.load();
        match model {
            ArmModel::Popularity => held.popular.clone(),
            ArmModel::Version(version) if version == serving.version => Some(Arc::clone(serving)),
            ArmModel::Version(version) => held.versions.get(&version).cloned(),
        }
    }

    /// Another set serves: the one before stays if an arm names it, and popularity is that of the new one.
    pub(super) fn note_serving(&self, before: &Arc<ModelSet>, serving: &ModelSet) {
        let mut held = Held::clone(&self.0.load());
        if held.named.contains(&before.version) {
            held.versions.insert(before.version, Arc::clone(before));
        }
        held.versions.remove(&serving.version);
        held.popular = held.popular.map(|_| Arc::new(serving.popular()));
        self.0.store(Arc::new(held));
    }

    /// Items came or changed.
    pub(super) fn note_items(&self, note: impl Fn(&mut ModelSet)) {
        let mut held = Held::clone(&self.0.load());
        if held.versions.is_empty() {
            return;
        }
        for model in held.versions.values_mut() {
            note(Arc::make_mut(model));
        }
        self.0.store(Arc::new(held));
    }
}

impl Shared {
    /// Loads what running experiments name and is not held yet, on top of what is held. What can't be loaded is said, once
    /// for each reading of the definitions, and its arms are not served. Blocks.
    pub(super) fn hold_trials(&self, connection: &mut Connection, experiments: &[Experiment]) {
        let named = named_versions(experiments);
        if named.len() > MAX_VERSIONS {
            log::error!(
                "experiments name more than {MAX_VERSIONS} model versions: the newest ones are not served"
            );
        }
        let named: BTreeSet<ModelVersion> = named.into_iter().take(MAX_VERSIONS).collect();
        let (held, serving) = (self.on_trial.0.load_full(), self.models.load_full());
        let missing =
            |version: &&ModelVersion| **version != serving.version && !held.versions.contains_key(*version);
        let mut loaded = Vec::new();
        for version in named.iter().filter(missing) {
            match load_version(connection, *version) {
                Ok(model) => loaded.push(model),
                Err(error) => {
                    log::error!("arms of this version are not served version={version} error={error}")
                }
            }
        }
        let popular = names_popularity(experiments);
        let _writer = self.change.lock();
        let catalogue = self.catalogue.load();
        let serving = self.models.load_full();
        let mut held = Held::clone(&self.on_trial.0.load());
        for mut model in loaded {
            model.note_unknown(&catalogue);
            held.versions.insert(model.version, Arc::new(model));
        }
        held.named.extend(named);
        if popular && held.popular.is_none() {
            held.popular = Some(Arc::new(serving.popular()));
        }
        self.on_trial.0.store(Arc::new(held));
    }

    /// Lets go of what no running experiment names any more: after the book that names it was swapped.
    pub(super) fn release_trials(&self, book: &Book) {
        let experiments: Vec<&Experiment> =
            book.experiments.iter().map(|running| &running.experiment).collect();
        let named = named_versions(experiments.iter().copied());
        let popular = names_popularity(experiments.iter().copied());
        let _writer = self.change.lock();
        let mut held = Held::clone(&self.on_trial.0.load());
        held.versions.retain(|version, _| named.contains(version));
        held.popular = held.popular.filter(|_| popular);
        held.named = named;
        self.on_trial.0.store(Arc::new(held));
    }

    /// Can an arm that names this be served?
    pub(super) fn has_model(&self, model: ArmModel) -> bool {
        self.on_trial.get(model, &self.models.load_full()).is_some()
    }

    /// The model set that ranks for this user: that of the first arm which names one, else the one that serves.
    pub fn models_for(&self, user: &ExternalId) -> Arc<ModelSet> {
        let serving = self.models.load_full();
        let book = self.book.load();
        if !book.names_models() || slice_of(&self.rules.load(), user) != Slice::Learned {
            return serving;
        }
        let user = user.to_string();
        let named = book.experiments.iter().find_map(|running| running.arm_of(&user)?.1.model);
        named.and_then(|model| self.on_trial.get(model, &serving)).unwrap_or(serving)
    }
}
