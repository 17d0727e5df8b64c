//! What holds of triggers, templates, policy and experiments: the server's own, with what was stored over HTTP laid over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::shared::Shared;
use crate::base::ExternalId;
use crate::config;
use crate::feedback::experiments::{Arm, Experiment, Slice, Slices};
use crate::notify::Rules;
use crate::notify::content::{self, Template, Templates};
use crate::notify::triggers::{self, Condition, Definition, Trigger, Triggers};
use crate::store::definitions::{self, DefinitionRow};
use crate::store::{Connection, StoreError};

/// The policy that holds, by name: there is one.
pub const POLICY: &str = "default";

/// Experiments that run at a time.
const MAX_RUNNING: usize = 20;

/// Read by every decision, swapped whole.
#[derive(Debug)]
pub struct Book {
    /// Triggers that are switched on.
    pub triggers: Triggers,
    /// Templates, compiled.
    pub templates: Templates,
    /// The answer to a login; never switched off, for its client waits.
    pub login: Trigger,
    /// The digest.
    pub digest: Trigger,
    /// What is tried at present.
    pub experiments: Vec<Running>,
}

/// An experiment that is switched on.
#[derive(Debug)]
pub struct Running {
    /// As stored.
    pub experiment: Experiment,
    /// The rules of each arm; `None` where it changes none.
    pub rules: Vec<Option<Arc<Rules>>>,
    /// Whether the model that each arm names is there. An arm without its model is served to nobody, and no decision says that
    /// it was: its users are decided about as those outside.
    pub served: Vec<bool>,
}

impl Running {
    /// The arm of a user, by external id, and its place; `None` outside, and in an arm that can't be served.
    pub fn arm_of(&self, user: &str) -> Option<(usize, &Arm)> {
        let place = self.experiment.arm_of(user)?;
        let served = self.served.get(place).is_some_and(|served| *served);
        self.experiment.arms.get(place).filter(|_| served).map(|arm| (place, arm))
    }
}

/// Which part of the policy holds for a user: ordinary, holdout, random.
pub fn slice_of(rules: &Rules, user: &ExternalId) -> Slice {
    if rules.holdout <= 0.0 && rules.random <= 0.0 {
        return Slice::Learned;
    }
    Slices::of_shares(rules.holdout, rules.random).of(&user.to_string())
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

impl Book {
    /// Does an arm of a running experiment name a model?
    pub fn names_models(&self) -> bool {
        let arms = |running: &Running| running.experiment.arms.iter().any(|arm| arm.model.is_some());
        self.experiments.iter().any(arms)
    }

    /// The latest version of each stored name laid over the defaults. What a later release wrote and this one can't read
    /// is left out, and said.
    pub fn new(rows: &[DefinitionRow]) -> Self {
        let mut triggers: BTreeMap<String, Definition> =
            triggers::defaults().into_iter().map(|one| (one.name.clone(), one)).collect();
        let mut templates: BTreeMap<String, Template> =
            content::defaults().into_iter().map(|one| (one.name.clone(), one)).collect();
        for row in rows.iter().filter(|row| row.state != "draft") {
            let unreadable = |error: serde_json::Error| {
                log::error!("{} left out name={} version={} error={error}", row.kind, row.name, row.version);
            };
            match (row.kind.as_str(), row.state.as_str()) {
                ("trigger", "paused") => drop(triggers.remove(&row.name)),
                ("trigger", _) => match serde_json::from_value(row.body.clone()) {
                    Ok(definition) => drop(triggers.insert(row.name.clone(), definition)),
                    Err(error) => unreadable(error),
                },
                ("template", "active") => match serde_json::from_value::<Template>(row.body.clone()) {
                    Ok(template) => drop(templates.insert(row.name.clone(), template)),
                    Err(error) => unreadable(error),
                },
                _ => {}
            }
        }
        // One by one: a template that no longer compiles must not take the others with it.
        let good: Vec<&Template> =
            templates.values().filter(|template| Templates::new([*template]).is_ok()).collect();
        let login = plain(triggers.values().find(|one| one.when == Condition::Login), Condition::Login);
        let digest = plain(triggers.values().find(|one| one.when == Condition::Digest), Condition::Digest);
        Self {
            templates: Templates::new(good).unwrap_or_default(),
            triggers: Triggers::new(triggers.into_values()),
            login,
            digest,
            experiments: Vec::new(),
        }
    }
}

/// Experiments that are switched on, by name; each arm's policy lies over the one that holds.
fn experiments(rows: &[DefinitionRow], configured: &config::Policy) -> Vec<Running> {
    let (version, base) = policy(rows, configured);
    let running = |row: &DefinitionRow| -> Result<Running, String> {
        let experiment: Experiment =
            serde_json::from_value(row.body.clone()).map_err(|error| error.to_string())?;
        let of_arm = |arm: &Arm| match arm.policy.is_empty() {
            true => Ok(None),
            false => overlay(&base, &Value::Object(arm.policy.clone()))
                .map(|policy| Some(Arc::new(Rules { version, ..Rules::new(&policy) }))),
        };
        let rules = experiment.arms.iter().map(of_arm).collect::<Result<_, _>>()?;
        let served = vec![true; experiment.arms.len()];
        Ok(Running { experiment, rules, served })
    };
    let mut all = Vec::new();
    for row in rows.iter().filter(|row| row.kind == "experiment" && row.state == "active").take(MAX_RUNNING) {
        match running(row) {
            Ok(one) => all.push(one),
            Err(error) => {
                log::error!("experiment left out name={} version={} error={error}", row.name, row.version)
            }
        }
    }
    all
}

/// The stored policy, if one is active, else the configuration's; and its version.
fn policy(rows: &[DefinitionRow], configured: &config::Policy) -> (i32, config::Policy) {
    let stored = rows.iter().find(|row| row.kind == "policy" && row.name == POLICY && row.state == "active");
    match stored.map(|row| (row.version, overlay(configured, &row.body))) {
        Some((version, Ok(policy))) => (version, policy),
        Some((version, Err(error))) => {
            log::error!("policy left out version={version} error={error}");
            (0, configured.clone())
        }
        None => (0, configured.clone()),
    }
}

fn rules(rows: &[DefinitionRow], configured: &config::Policy) -> Rules {
    let (version, policy) = policy(rows, configured);
    Rules { version, ..Rules::new(&policy) }
}

impl Shared {
    /// Reads triggers, templates and policy; they hold from the next decision.
    pub fn read_book(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let rows = definitions::current(connection)?;
        let mut experiments = experiments(&rows, &self.config.policy);
        let named: Vec<Experiment> = experiments.iter().map(|running| running.experiment.clone()).collect();
        self.hold_trials(connection, &named);
        for running in &mut experiments {
            let has = |arm: &Arm| arm.model.is_none_or(|model| self.has_model(model));
            running.served = running.experiment.arms.iter().map(has).collect();
        }
        let book = Arc::new(Book { experiments, ..Book::new(&rows) });
        self.book.store(Arc::clone(&book));
        self.release_trials(&book);
        self.rules.store(Arc::new(rules(&rows, &self.config.policy)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use serde_json::json;

    fn row(kind: &str, name: &str, state: &str, body: Value) -> DefinitionRow {
        DefinitionRow {
            kind: kind.into(),
            name: name.into(),
            version: 3,
            state: state.into(),
            body,
            changed_at: Timestamp(0),
            changed_by: "admin".into(),
        }
    }

    #[test]
    fn what_is_stored_lies_over_what_is_shipped() {
        let body = json!({"name": "view", "when": {"kind": "view"}, "category": "seen", "template": "view"});
        let book = Book::new(&[
            row("trigger", "view", "active", body),
            row("trigger", "cart", "paused", json!({})),
            row("trigger", "login", "paused", json!({})),
            row("trigger", "broken", "active", json!({"nonsense": 1})),
        ]);
        assert_eq!(book.triggers.find("view").unwrap().category, "seen");
        assert!(book.triggers.find("cart").is_none() && book.triggers.find("broken").is_none());
        assert!(book.login.is_asked_for(), "a client waits for it");
        assert_eq!(book.templates.variants("view"), ["a"]);
    }

    #[test]
    fn a_policy_changes_what_it_names_and_is_checked() {
        let configured = config::Policy::default();
        let policy = overlay(&configured, &json!({"min_new_items": 1})).unwrap();
        assert_eq!((policy.min_new_items, policy.items), (1, configured.items));
        assert!(overlay(&configured, &json!({"items": 999})).unwrap_err().contains("policy.items"));
        assert!(overlay(&configured, &json!({"nonsense": 1})).is_err());
        assert!(overlay(&configured, &json!([])).is_err());
        let rows = [row("policy", POLICY, "active", json!({"min_new_items": 1}))];
        assert_eq!(rules(&rows, &configured).version, 3);
        assert_eq!(rules(&[], &configured).version, 0);
    }
}
