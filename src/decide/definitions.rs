//! Active triggers, templates, policy and experiments: built-in defaults overlaid by rows stored over the admin API.
//!
//! In: stored rows and the configured policy. Out: one immutable [`Definitions`] and a [`DefinitionProblem`] for each row that
//! this release can't read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::experiment::RunningExperiment;
use crate::config;
use crate::feedback::experiments::{Arm, ArmModel, Experiment};
use crate::notify::Rules;
use crate::notify::content::{self, Template, Templates};
use crate::notify::triggers::{self, Condition, Definition, Trigger, Triggers};

/// The one name a policy may have.
pub const POLICY: &str = "default";

/// Most experiments that run at a time.
const MAX_RUNNING: usize = 20;

/// What a definition defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DefinitionKind {
    /// When to send a message.
    Trigger,
    /// Title and body of a message.
    Template,
    /// Whether, when and on which channel to send.
    Policy,
    /// Arms that differ in policy, model or variant.
    Experiment,
}

impl DefinitionKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Trigger, Self::Template, Self::Policy, Self::Experiment];

    /// The name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Template => "template",
            Self::Policy => "policy",
            Self::Experiment => "experiment",
        }
    }
}

/// Life-cycle state of a stored version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionState {
    /// Kept aside.
    Draft,
    /// In force.
    Active,
    /// Switched off, also where a default exists.
    Paused,
}

impl DefinitionState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Active, Self::Paused];

    /// The name in the table and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// One version of a definition, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDefinition {
    /// Place in the history of all definitions; grows with each change.
    pub id: i64,
    /// What it defines.
    pub kind: DefinitionKind,
    /// Unique within its kind.
    pub name: String,
    /// Counts up from 1 within kind and name.
    pub version: i32,
    /// Life-cycle state.
    pub state: DefinitionState,
    /// The definition as JSON.
    pub body: Value,
}

/// A stored row that is left out of [`Definitions`], and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} \"{name}\", version {version}: {message}", kind.name())]
pub struct DefinitionProblem {
    /// Kind of the row.
    pub kind: DefinitionKind,
    /// Name of the row.
    pub name: String,
    /// Version of the row.
    pub version: i32,
    /// What can't be read.
    pub message: String,
}

impl DefinitionProblem {
    fn of(row: &StoredDefinition, message: impl ToString) -> Self {
        Self { kind: row.kind, name: row.name.clone(), version: row.version, message: message.to_string() }
    }
}

/// Active triggers, templates, policy and experiments: built-in defaults overlaid by rows stored over the admin API.
/// Immutable; replaced whole.
#[derive(Debug)]
pub struct Definitions {
    /// Names the whole state: the largest id among the rows it was built from, 0 without rows.
    pub version: i64,
    /// Active triggers.
    pub triggers: Triggers,
    /// Active templates, compiled.
    pub templates: Templates,
    /// The answer to a login; never switched off, since its client waits.
    pub login: Trigger,
    /// The digest.
    pub digest: Trigger,
    /// A message of the shop in its own words, as a digest mentions it.
    pub announcement: Trigger,
    /// Running experiments, by name.
    pub experiments: Vec<RunningExperiment>,
    /// The active policy, before any arm's changes.
    pub rules: Arc<Rules>,
}

impl Definitions {
    /// Overlays the defaults with the latest version of each stored name. A row that can't be read is left out and returned as a
    /// problem; arms that name models are taken to be served until [`Definitions::serve_where`] says otherwise.
    pub fn new(rows: &[StoredDefinition], configured: &config::Policy) -> (Self, Vec<DefinitionProblem>) {
        let mut problems = Vec::new();
        let triggers = active_triggers(rows, &mut problems);
        let templates = active_templates(rows, &mut problems);
        let (policy_version, policy) = active_policy(rows, configured, &mut problems);
        let experiments = running_experiments(rows, policy_version, &policy, &mut problems);
        let login = plain(triggers.values().find(|one| one.when == Condition::Login), Condition::Login);
        let digest = plain(triggers.values().find(|one| one.when == Condition::Digest), Condition::Digest);
        let announcement = plain(triggers.values().find(|one| one.when == Condition::Api), Condition::Api);
        let definitions = Self {
            version: rows.iter().map(|row| row.id).max().unwrap_or(0),
            triggers: Triggers::new(triggers.into_values()),
            templates,
            login,
            digest,
            announcement,
            experiments,
            rules: Arc::new(Rules { version: policy_version, ..Rules::new(&policy) }),
        };
        (definitions, problems)
    }

    /// Marks each arm as served if `has` its model; an arm without a model always is.
    pub fn serve_where(&mut self, has: impl Fn(ArmModel) -> bool) {
        for running in &mut self.experiments {
            running.served = running.experiment.arms.iter().map(|arm| arm.model.is_none_or(&has)).collect();
        }
    }

    /// A definition by name, the built-in ones among them.
    pub fn find(&self, name: &str) -> Option<&Arc<Definition>> {
        let built_in = [&self.login, &self.digest, &self.announcement].map(|trigger| &trigger.definition);
        self.triggers.find(name).or_else(|| built_in.into_iter().find(|definition| definition.name == name))
    }

    /// A message of the shop, to be mentioned in a digest.
    pub fn mention(&self, title: &str, body: &str) -> Trigger {
        Trigger::in_words(&self.announcement.definition, title, body)
    }

    /// Whether an arm of a running experiment names a model.
    pub fn names_models(&self) -> bool {
        let arms =
            |running: &RunningExperiment| running.experiment.arms.iter().any(|arm| arm.model.is_some());
        self.experiments.iter().any(arms)
    }
}

/// A stored policy over the configured one: only the fields that it names change.
pub fn overlay(configured: &config::Policy, body: &Value) -> Result<config::Policy, String> {
    let mut whole = serde_json::to_value(configured).map_err(|error| error.to_string())?;
    let (Some(fields), Some(changes)) = (whole.as_object_mut(), body.as_object()) else {
        return Err("a policy is an object of settings, as [policy] in the configuration file".to_owned());
    };
    fields.extend(changes.clone());
    let policy: config::Policy = serde_json::from_value(whole).map_err(|error| error.to_string())?;
    policy.validate().map_err(|error| error.to_string())?;
    Ok(policy)
}

fn plain(definition: Option<&Definition>, otherwise: Condition) -> Trigger {
    let definition = definition.cloned().unwrap_or_else(|| Definition::plain(otherwise));
    Trigger::of(&Arc::new(definition), None)
}

fn of_kind(rows: &[StoredDefinition], kind: DefinitionKind) -> impl Iterator<Item = &StoredDefinition> {
    rows.iter().filter(move |row| row.kind == kind)
}

fn active_triggers(
    rows: &[StoredDefinition],
    problems: &mut Vec<DefinitionProblem>,
) -> BTreeMap<String, Definition> {
    let mut triggers: BTreeMap<String, Definition> =
        triggers::defaults().into_iter().map(|one| (one.name.clone(), one)).collect();
    for row in of_kind(rows, DefinitionKind::Trigger) {
        match row.state {
            DefinitionState::Draft => {}
            DefinitionState::Paused => drop(triggers.remove(&row.name)),
            DefinitionState::Active => match serde_json::from_value(row.body.clone()) {
                Ok(definition) => drop(triggers.insert(row.name.clone(), definition)),
                Err(error) => problems.push(DefinitionProblem::of(row, error)),
            },
        }
    }
    triggers
}

fn active_templates(rows: &[StoredDefinition], problems: &mut Vec<DefinitionProblem>) -> Templates {
    let mut templates: BTreeMap<String, Template> =
        content::defaults().into_iter().map(|one| (one.name.clone(), one)).collect();
    for row in of_kind(rows, DefinitionKind::Template).filter(|row| row.state == DefinitionState::Active) {
        match serde_json::from_value::<Template>(row.body.clone()) {
            Ok(template) => drop(templates.insert(row.name.clone(), template)),
            Err(error) => problems.push(DefinitionProblem::of(row, error)),
        }
    }
    // One by one: a template that no longer compiles must not take the others with it.
    let good: Vec<&Template> =
        templates.values().filter(|template| Templates::new([*template]).is_ok()).collect();
    Templates::new(good).unwrap_or_default()
}

/// The stored policy, if one is active, else the configured one; and its version, 0 for the configured one.
fn active_policy(
    rows: &[StoredDefinition],
    configured: &config::Policy,
    problems: &mut Vec<DefinitionProblem>,
) -> (i32, config::Policy) {
    let is_active = |row: &&StoredDefinition| row.name == POLICY && row.state == DefinitionState::Active;
    let Some(row) = of_kind(rows, DefinitionKind::Policy).find(is_active) else {
        return (0, configured.clone());
    };
    overlay(configured, &row.body).map_or_else(
        |error| {
            problems.push(DefinitionProblem::of(row, error));
            (0, configured.clone())
        },
        |policy| (row.version, policy),
    )
}

/// Active experiments, at most [`MAX_RUNNING`]; each arm's policy lies over `base`.
fn running_experiments(
    rows: &[StoredDefinition],
    policy_version: i32,
    base: &config::Policy,
    problems: &mut Vec<DefinitionProblem>,
) -> Vec<RunningExperiment> {
    let running = |row: &StoredDefinition| -> Result<RunningExperiment, String> {
        let experiment: Experiment =
            serde_json::from_value(row.body.clone()).map_err(|error| error.to_string())?;
        let of_arm = |arm: &Arm| match arm.policy.is_empty() {
            true => Ok(None),
            false => overlay(base, &Value::Object(arm.policy.clone()))
                .map(|policy| Some(Arc::new(Rules { version: policy_version, ..Rules::new(&policy) }))),
        };
        let rules = experiment.arms.iter().map(of_arm).collect::<Result<_, _>>()?;
        let served = vec![true; experiment.arms.len()];
        Ok(RunningExperiment { experiment, rules, served })
    };
    let active = of_kind(rows, DefinitionKind::Experiment).filter(|row| row.state == DefinitionState::Active);
    let mut all = Vec::new();
    for row in active.take(MAX_RUNNING) {
        match running(row) {
            Ok(one) => all.push(one),
            Err(error) => problems.push(DefinitionProblem::of(row, error)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(kind: DefinitionKind, name: &str, state: DefinitionState, body: Value) -> StoredDefinition {
        StoredDefinition { id: 7, kind, name: name.into(), version: 3, state, body }
    }

    fn trigger(name: &str, state: DefinitionState, body: Value) -> StoredDefinition {
        row(DefinitionKind::Trigger, name, state, body)
    }

    #[test]
    fn stored_rows_overlay_the_defaults_and_an_unreadable_one_is_returned() {
        let body = json!({"name": "view", "when": {"kind": "view"}, "category": "seen", "template": "view"});
        let rows = [
            trigger("view", DefinitionState::Active, body),
            trigger("cart", DefinitionState::Paused, json!({})),
            trigger("login", DefinitionState::Paused, json!({})),
            trigger("broken", DefinitionState::Active, json!({"nonsense": 1})),
        ];
        let (definitions, problems) = Definitions::new(&rows, &config::Policy::default());
        assert_eq!(definitions.triggers.find("view").unwrap().category, "seen");
        assert!(definitions.triggers.find("cart").is_none() && definitions.triggers.find("broken").is_none());
        assert!(definitions.login.is_asked_for(), "a client waits for it");
        assert_eq!(definitions.templates.variants("view"), ["a"]);
        assert_eq!(definitions.version, 7);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(problem.to_string().starts_with("trigger \"broken\", version 3: "), "{problem}");
    }

    #[test]
    fn a_policy_changes_the_settings_it_names_and_is_checked() {
        let configured = config::Policy::default();
        let policy = overlay(&configured, &json!({"min_new_items": 1})).unwrap();
        assert_eq!((policy.min_new_items, policy.items), (1, configured.items));
        assert!(overlay(&configured, &json!({"items": 999})).unwrap_err().contains("policy.items"));
        assert!(overlay(&configured, &json!({"nonsense": 1})).is_err());
        assert!(overlay(&configured, &json!([])).is_err());
        let stored =
            [row(DefinitionKind::Policy, POLICY, DefinitionState::Active, json!({"min_new_items": 1}))];
        assert_eq!(Definitions::new(&stored, &configured).0.rules.version, 3);
        let (shipped, problems) = Definitions::new(&[], &configured);
        assert_eq!((shipped.rules.version, shipped.version, problems), (0, 0, vec![]));
    }
}
