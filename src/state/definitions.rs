//! Reads the definitions and the models that they name, and swaps both.

use std::sync::Arc;

use super::AppState;
use tidings_core::base::ModelVersion;
use tidings_core::recommend::ModelSet;
use tidings_decision::decide::Definitions;
use tidings_decision::decide::experiment::{MAX_VERSIONS, named_versions};
use tidings_decision::feedback::experiments::Experiment;
use tidings_store::{Connection, StoreError, definitions, models};

/// Reads a model version. The error says what to do, for whoever defines an experiment.
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

fn experiments(definitions: &Definitions) -> impl Iterator<Item = &Experiment> + Clone {
    definitions.experiments.iter().map(|running| &running.experiment)
}

impl AppState {
    /// Reads triggers, templates, policy and experiments; they apply from the next decision. Blocks.
    pub fn read_definitions(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let _reader = self.reading_definitions.lock();
        let rows = definitions::current(connection)?;
        let stored: Vec<_> = rows.into_iter().map(|row| row.definition).collect();
        let (mut definitions, problems) = Definitions::new(&stored, &self.config.policy);
        for problem in problems {
            log::error!("definition can't be used as stored: {problem}");
        }
        self.load_experiment_models(connection, &definitions);
        let (models, serving) = (self.experiment_models.load_full(), self.models.load_full());
        definitions.serve_where(|model| models.get(model, &serving).is_some());
        let definitions = Arc::new(definitions);
        self.definitions.store(Arc::clone(&definitions));
        self.release_experiment_models(&definitions);
        Ok(())
    }

    /// Reads definitions that were stored just now. They are stored: what can't be read at this moment is read by whoever waits for
    /// [`AppState::unread_definitions`]. Blocks.
    pub fn read_stored_definitions(&self, connection: &mut Connection) {
        if let Err(error) = self.read_definitions(connection) {
            log::warn!("stored definitions not read, tried again error={error}");
            self.unread_definitions.notify_one();
        }
    }

    /// Adds the models that running experiments name to those loaded. One that can't be loaded is logged at each reading, and
    /// its arms are not served.
    fn load_experiment_models(&self, connection: &mut Connection, definitions: &Definitions) {
        if named_versions(experiments(definitions)).len() > MAX_VERSIONS {
            log::error!(
                "experiments name more than {MAX_VERSIONS} model versions: the newest ones are not served"
            );
        }
        let serving = self.models.load().version;
        let (mut loaded, watch) = (Vec::new(), self.watch_items());
        for version in self.experiment_models.load().missing(experiments(definitions), serving) {
            let up_to_date = load_version(connection, version).and_then(|mut model| {
                let noted = self.bring_up_to_date(connection, &mut model);
                noted.map(|()| model).map_err(|error| error.to_string())
            });
            match up_to_date {
                Ok(model) => loaded.push(model),
                Err(error) => {
                    log::error!("arms of this version are not served version={version} error={error}")
                }
            }
        }
        let _writer = self.change.lock();
        let (catalogue, changed) = (self.catalogue.load(), watch.take());
        for model in &mut loaded {
            model.note_items(&catalogue, &changed);
            model.note_unknown(&catalogue);
        }
        let models = self.experiment_models.load_full().as_ref().clone();
        let models = models.with(experiments(definitions), loaded, &self.models.load());
        self.experiment_models.store(Arc::new(models));
    }

    /// Removes models that no running experiment names, after the definitions were swapped.
    fn release_experiment_models(&self, definitions: &Definitions) {
        let _writer = self.change.lock();
        let models = self.experiment_models.load_full().as_ref().clone();
        self.experiment_models.store(Arc::new(models.only(experiments(definitions))));
    }
}
