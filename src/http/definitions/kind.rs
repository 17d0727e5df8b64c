//! Kinds of definitions, and the checks of one before it is stored.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;
use tidings_actors::App;
use tidings_core::base::{json, nearest, suggest_nearest};
use tidings_core::profile::SegmentId;
use tidings_core::recommend::serve::placement::{self, Placement};
use tidings_decision::decide::definitions::{DefinitionKind, POLICY, StoredDefinition, overlay};
use tidings_decision::decide::experiment::{MAX_VERSIONS, named_versions};
use tidings_decision::feedback::experiments::{Experiment, ExperimentError};
use tidings_decision::notify::content::{self, Template};
use tidings_decision::notify::triggers::{self, Condition, Definition};
use tidings_state::definitions::load_version;
use tidings_store::Connection;

/// Kind of definition, one of five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Occasions of messages.
    Triggers,
    /// Wording of messages.
    Templates,
    /// Rules by which messages are sent.
    Policies,
    /// Treatments under test, and their users.
    Experiments,
    /// Places of the shop where lists stand.
    Placements,
}

impl Kind {
    pub(super) fn stored(self) -> DefinitionKind {
        match self {
            Self::Triggers => DefinitionKind::Trigger,
            Self::Templates => DefinitionKind::Template,
            Self::Policies => DefinitionKind::Policy,
            Self::Experiments => DefinitionKind::Experiment,
            Self::Placements => DefinitionKind::Placement,
        }
    }

    /// Definitions that the server ships, by name.
    pub(super) fn shipped(self, app: &App) -> Vec<(String, Value)> {
        let value = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
        match self {
            Self::Triggers => triggers::defaults()
                .into_iter()
                .map(|one| (one.name.clone(), value(serde_json::to_value(one))))
                .collect(),
            Self::Templates => content::defaults()
                .into_iter()
                .map(|one| (one.name.clone(), value(serde_json::to_value(one))))
                .collect(),
            Self::Policies => {
                vec![(POLICY.to_owned(), value(serde_json::to_value(&app.state.config.policy)))]
            }
            Self::Experiments => Vec::new(),
            Self::Placements => placement::defaults()
                .into_iter()
                .map(|one| (one.name.clone(), value(serde_json::to_value(one))))
                .collect(),
        }
    }

    /// Checks that the body is a definition of that name: bounds, and that a template renders for each trigger that uses it. Whether others that it names are
    /// active is checked with the change.
    pub(super) fn validate(
        self,
        name: &str,
        body: &Value,
        stored: &[StoredDefinition],
        app: &App,
    ) -> Result<(), ApiError> {
        match self {
            Self::Triggers => trigger(name, body, stored, app),
            Self::Templates => template(name, body, app),
            Self::Policies if name != POLICY => {
                Err(bad(Some("name"), format!("there is one policy: \"{POLICY}\"")))
            }
            Self::Policies => {
                overlay(&app.state.config.policy, body).map_err(|error| bad(None, error))?;
                Ok(())
            }
            Self::Experiments => experiment(name, body, app),
            Self::Placements => placement(name, body),
        }
    }
}

fn bad(field: Option<&'static str>, message: String) -> ApiError {
    ApiError::invalid("bad_definition", field, message)
}

/// A body as what it is to be, `what`; its name, which `said` finds, must be that of the path.
fn read<T: DeserializeOwned>(
    name: &str,
    body: &Value,
    what: &str,
    said: fn(&T) -> &str,
) -> Result<T, ApiError> {
    let read: T = json::from_value(body.clone()).map_err(|error| bad(None, unreadable(what, &error)))?;
    if said(&read) == name {
        Ok(read)
    } else {
        Err(bad(Some("name"), format!("must be \"{name}\", as in the path")))
    }
}

fn trigger(name: &str, body: &Value, stored: &[StoredDefinition], app: &App) -> Result<(), ApiError> {
    let definition = read::<Definition>(name, body, "a trigger", |trigger| &trigger.name)?;
    definition.validate().map_err(|error| bad(Some(error.field), error.message))?;
    segments(&definition, app).map_err(|message| bad(Some("when"), message))?;
    let known = known(Kind::Templates, stored, app);
    if !known.contains(&definition.template) {
        return Err(bad(Some("template"), missing("template", &definition.template, &known)));
    }
    let templates = &app.state.definitions.load().templates;
    templates
        .fits(&definition.template, &definition)
        .map_err(|error| bad(Some("template"), format!("template \"{}\", {error}", definition.template)))
}

fn template(name: &str, body: &Value, app: &App) -> Result<(), ApiError> {
    let template = read::<Template>(name, body, "a template", |template| &template.name)?;
    let definitions = app.state.definitions.load();
    let used_by = definitions.triggers.iter().filter(|trigger| trigger.template == name);
    content::validate(&template, used_by).map_err(|error| bad(Some("variants"), error.to_string()))
}

fn experiment(name: &str, body: &Value, app: &App) -> Result<(), ApiError> {
    let experiment = read::<Experiment>(name, body, "an experiment", |experiment| &experiment.name)?;
    let field = |error: &ExperimentError| match error {
        ExperimentError::Only(_) => "only",
        _ => "arms",
    };
    experiment.validate().map_err(|error| bad(Some(field(&error)), error.to_string()))?;
    arms(&experiment, app).map_err(|message| bad(Some("arms"), message))
}

fn placement(name: &str, body: &Value) -> Result<(), ApiError> {
    let placement = read::<Placement>(name, body, "a placement", |placement| &placement.name)?;
    placement.validate().map_err(|error| bad(Some(error.field), error.message))
}

pub(super) fn unreadable(what: &str, error: &serde_json::Error) -> String {
    format!("not {what}: {}", suggest_nearest(&error.to_string()))
}

/// Names of a kind, whatever their state: those stored and those that ship.
pub(super) fn known(kind: Kind, stored: &[StoredDefinition], app: &App) -> BTreeSet<String> {
    let stored = stored.iter().filter(|row| row.kind == kind.stored()).map(|row| row.name.clone());
    stored.chain(kind.shipped(app).into_iter().map(|(name, _)| name)).collect()
}

fn missing(what: &str, name: &str, known: &BTreeSet<String>) -> String {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("there is no {what} \"{name}\"; did you mean \"{near}\"?"),
        None => format!("there is no {what} \"{name}\""),
    }
}

/// Checks that the segments which a rule names can exist.
fn segments(definition: &Definition, app: &App) -> Result<(), String> {
    let Condition::Segment { rule } = &definition.when else { return Ok(()) };
    let models = app.state.models.load();
    let trained = models.segmentation.as_ref().map_or(0, |segmentation| segmentation.summaries().len());
    let there_are = trained.max(app.state.config.training.segments);
    let names: Vec<String> = (0..26).take(there_are).map(|index| SegmentId(index).to_string()).collect();
    match rule.segments.iter().find(|name| !names.contains(name)) {
        Some(unknown) => Err(format!("there is no segment {unknown}; there are {}", names.join(", "))),
        None => Ok(()),
    }
}

/// Checks that each arm's policy is valid and does not say who takes part.
fn arms(experiment: &Experiment, app: &App) -> Result<(), String> {
    for arm in &experiment.arms {
        if let Some(name) = ["holdout", "random"].into_iter().find(|name| arm.policy.contains_key(*name)) {
            return Err(format!(
                "arm {}: {name} says who takes part in experiments, it can't be part of one",
                arm.name
            ));
        }
        overlay(&app.state.config.policy, &Value::Object(arm.policy.clone()))
            .map_err(|error| format!("arm {}: {error}", arm.name))?;
    }
    Ok(())
}

/// Checks that the variants that its arms name are active.
pub(super) fn variants(experiment: &Experiment, app: &App) -> Result<(), String> {
    let definitions = app.state.definitions.load();
    for arm in &experiment.arms {
        for (template, variant) in &arm.variants {
            let known = definitions.templates.variants(template);
            if known.contains(&variant.as_str()) {
                continue;
            }
            let near = nearest(variant, known.iter().copied());
            let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
            return Err(format!(
                "arm {}: template \"{template}\" has no variant \"{variant}\"{near}",
                arm.name
            ));
        }
    }
    Ok(())
}

/// Checks that running experiments would name no more models than can be held.
pub(super) fn models_held(experiment: &Experiment, app: &App) -> Result<(), String> {
    let named = named_versions([experiment]);
    let definitions = app.state.definitions.load_full();
    let running = definitions.experiments.iter().map(|running| &running.experiment);
    let others = running.filter(|other| other.name != experiment.name);
    let all = named_versions(others.chain([experiment]));
    if all.len() > MAX_VERSIONS && !named.is_empty() {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        return Err(format!(
            "running experiments would name the model versions {}; {MAX_VERSIONS} at most can be held beside the one that \
             serves. An arm without a model gets whatever serves",
            all.join(", ")
        ));
    }
    Ok(())
}

/// Checks that the models that its arms name are there.
pub(super) fn models(experiment: &Experiment, connection: &mut Connection) -> Result<(), String> {
    let mut named = named_versions([experiment]).into_iter();
    named.try_for_each(|version| load_version(connection, version).map(drop))
}
