//! Active triggers, templates, policy, experiments and placements: built-in defaults overlaid by rows stored over the admin API.
//!
//! In: stored rows and the configured policy. Out: one immutable [`Definitions`] and a [`DefinitionProblem`] for each
//! definition that can't be used, or lacks one that it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::running_experiment::RunningExperiment;
pub use super::stored_definition::{
    DefinitionFault, DefinitionKind, DefinitionProblem, DefinitionState, StoredDefinition, in_force,
};
use crate::feedback::experiments::{Arm, ArmModel, Experiment};
use crate::notify::Rules;
use crate::notify::content::{self, Template, Templates};
use crate::notify::triggers::{self, Condition, Definition, MAX_TRIGGERS, Trigger, Triggers};
use tidings_core::base::{plain_words, suggest_nearest};
use tidings_core::config;
use tidings_core::recommend::serve::placement::{self, Placement};

/// The one name a policy may have.
pub const POLICY: &str = "default";

/// The built-in trigger for messages in the shop's own words.
const ANNOUNCEMENT: &str = "announcement";

/// Most experiments that run at a time.
const MAX_RUNNING: usize = 20;

/// Most placements.
const MAX_PLACEMENTS: usize = 200;

/// Active triggers, templates, policy, experiments and placements: built-in defaults overlaid by rows stored over the admin API.
/// Immutable; replaced whole.
#[derive(Debug)]
pub struct Definitions {
    /// Names the whole state: the largest id among the rows in force, 0 without rows. Drafts don't change it.
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
    /// Active placements, by name.
    pub placements: BTreeMap<String, Arc<Placement>>,
    /// The active policy, before any arm's changes.
    pub rules: Arc<Rules>,
}

impl Definitions {
    /// Overlays the defaults with the version of each stored name that is in force ([`in_force`]); `rows` may be whole histories.
    /// A row that can't be read is left out, and so are triggers without a template and arms without their variant. Arms that
    /// name models are taken to be served until [`Definitions::serve_where`] says otherwise.
    pub fn new(rows: &[StoredDefinition], configured: &config::Policy) -> (Self, Vec<DefinitionProblem>) {
        let rows = in_force(rows);
        let mut problems = Vec::new();
        let words = Words::new(&rows, &mut problems);
        let triggers = active_triggers(&rows, &words, &mut problems);
        let (policy_version, policy) = active_policy(&rows, configured, &mut problems);
        let experiments = running_experiments(&rows, policy_version, &policy, &words, &mut problems);
        let needed = |when: Condition| triggers.first(&when).unwrap_or_else(|| plain(when));
        // A trigger of the shop's own, for some other occasion, does not stand for all its messages.
        let announcement = triggers.find(ANNOUNCEMENT).filter(|one| one.when == Condition::Api);
        let announcement = announcement.map(|one| Trigger::of(one, None));
        let definitions = Self {
            version: rows.iter().map(|row| row.id).max().unwrap_or(0),
            login: needed(Condition::Login),
            digest: needed(Condition::Digest),
            announcement: announcement.unwrap_or_else(|| needed(Condition::Api)),
            triggers,
            templates: words.templates,
            experiments,
            placements: active_placements(&rows, &mut problems),
            rules: Arc::new(Rules { version: policy_version, ..Rules::new(&policy) }),
        };
        (definitions, problems)
    }

    /// Marks each arm as served if its variants are active and `has` its model; without either it always is.
    pub fn serve_where(&mut self, has: impl Fn(ArmModel) -> bool) {
        for running in &mut self.experiments {
            for (served, arm) in running.served.iter_mut().zip(&running.experiment.arms) {
                *served &= arm.model.is_none_or(&has);
            }
        }
    }

    /// A definition by name, the built-in ones among them.
    pub fn find(&self, name: &str) -> Option<&Arc<Definition>> {
        let built_in = [&self.login, &self.digest, &self.announcement].map(|trigger| &trigger.definition);
        self.triggers.find(name).or_else(|| built_in.into_iter().find(|definition| definition.name == name))
    }

    /// Returns whether an arm of a running experiment names a model.
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
    let policy: config::Policy =
        serde_json::from_value(whole).map_err(|error| plain_words(&suggest_nearest(&error.to_string())))?;
    policy.validate().map_err(|error| error.to_string())?;
    Ok(policy)
}

fn plain(when: Condition) -> Trigger {
    Trigger::of(&Arc::new(Definition::plain(when)), None)
}

fn of_kind<'a>(
    rows: &'a [&StoredDefinition],
    kind: DefinitionKind,
) -> impl Iterator<Item = &'a StoredDefinition> {
    rows.iter().copied().filter(move |row| row.kind == kind)
}

/// Templates to write with.
struct Words {
    /// Compiled: active ones, and built-in ones whatever became of them.
    templates: Templates,
    /// Names of built-in templates that are compiled but paused.
    paused: BTreeSet<String>,
}

impl Words {
    fn new(rows: &[&StoredDefinition], problems: &mut Vec<DefinitionProblem>) -> Self {
        let mut templates: BTreeMap<String, Template> =
            content::defaults().into_iter().map(|one| (one.name.clone(), one)).collect();
        let mut paused = BTreeSet::new();
        for row in of_kind(rows, DefinitionKind::Template) {
            if row.state != DefinitionState::Active {
                paused.insert(row.name.clone());
                continue;
            }
            if row.is_default() && templates.contains_key(&row.name) {
                continue;
            }
            // One by one: a template that no longer compiles must not take the others with it.
            let read =
                serde_json::from_value::<Template>(row.body.clone()).map_err(|error| error.to_string());
            let compiled = read.and_then(|template| {
                Templates::new([&template]).map_err(|error| error.to_string()).map(|_| template)
            });
            match compiled {
                Ok(template) => drop(templates.insert(row.name.clone(), template)),
                Err(error) => problems.push(DefinitionProblem::unreadable(row, error)),
            }
        }
        Self { templates: Templates::new(templates.values()).unwrap_or_default(), paused }
    }

    /// Names of the variants of an active template; empty otherwise.
    fn variants(&self, template: &str) -> Vec<&str> {
        if self.paused.contains(template) { Vec::new() } else { self.templates.variants(template) }
    }
}

/// Condition that one trigger must always have, the name of the built-in one, and why.
const NEEDED: [(Condition, &str, &str); 2] = [
    (Condition::Login, "login", "a client waits for the answer to its login; change it instead"),
    (Condition::Digest, "digest", "messages that users want as a digest wait for it; change it instead"),
];

fn active_triggers(
    rows: &[&StoredDefinition],
    words: &Words,
    problems: &mut Vec<DefinitionProblem>,
) -> Triggers {
    let mut triggers: BTreeMap<String, (i32, Definition)> =
        triggers::defaults().into_iter().map(|one| (one.name.clone(), (0, one))).collect();
    for row in of_kind(rows, DefinitionKind::Trigger) {
        if row.state != DefinitionState::Active {
            triggers.remove(&row.name);
        } else if !(row.is_default() && triggers.contains_key(&row.name)) {
            match serde_json::from_value(row.body.clone()) {
                Ok(definition) => drop(triggers.insert(row.name.clone(), (row.version, definition))),
                Err(error) => problems.push(DefinitionProblem::unreadable(row, error)),
            }
        }
    }
    for (when, name, why) in NEEDED {
        if !triggers.values().any(|(_, definition)| definition.when == when) {
            problems.push(DefinitionProblem::of_trigger(name, 0, DefinitionFault::Needed(why)));
        }
    }
    triggers.retain(|name, (version, definition)| {
        if words.variants(&definition.template).is_empty() {
            let fault = DefinitionFault::Template(definition.template.clone());
            problems.push(DefinitionProblem::of_trigger(name, *version, fault));
        }
        // Without any words it would tell nothing; a paused built-in template still has some.
        !words.templates.variants(&definition.template).is_empty()
    });
    let active = Triggers::new(triggers.values().map(|(_, definition)| definition.clone()));
    for (name, (version, _)) in &triggers {
        if active.find(name).is_none() {
            let fault = DefinitionFault::TooMany(MAX_TRIGGERS);
            problems.push(DefinitionProblem::of_trigger(name, *version, fault));
        }
    }
    active
}

/// Placements by name, those that ship among them.
fn active_placements(
    rows: &[&StoredDefinition],
    problems: &mut Vec<DefinitionProblem>,
) -> BTreeMap<String, Arc<Placement>> {
    let shipped = placement::defaults().into_iter();
    let mut all: BTreeMap<String, Arc<Placement>> =
        shipped.map(|one| (one.name.clone(), Arc::new(one))).collect();
    for row in of_kind(rows, DefinitionKind::Placement) {
        if row.state != DefinitionState::Active {
            all.remove(&row.name);
        } else if row.is_default() && all.contains_key(&row.name) {
            continue;
        } else if all.len() >= MAX_PLACEMENTS && !all.contains_key(&row.name) {
            problems.push(DefinitionProblem::of(row, DefinitionFault::TooMany(MAX_PLACEMENTS)));
        } else {
            match serde_json::from_value::<Placement>(row.body.clone()) {
                Ok(one) => {
                    drop(all.insert(row.name.clone(), Arc::new(Placement { version: row.version, ..one })))
                }
                Err(error) => problems.push(DefinitionProblem::unreadable(row, error)),
            }
        }
    }
    all
}

/// The stored policy, if one is active, else the configured one; and its version, 0 for the configured one.
fn active_policy(
    rows: &[&StoredDefinition],
    configured: &config::Policy,
    problems: &mut Vec<DefinitionProblem>,
) -> (i32, config::Policy) {
    let is_active = |row: &&StoredDefinition| {
        row.name == POLICY && row.state == DefinitionState::Active && !row.is_default()
    };
    let Some(row) = of_kind(rows, DefinitionKind::Policy).find(is_active) else {
        return (0, configured.clone());
    };
    overlay(configured, &row.body).map_or_else(
        |error| {
            problems.push(DefinitionProblem::unreadable(row, error));
            (0, configured.clone())
        },
        |policy| (row.version, policy),
    )
}

/// Active experiments by name, at most [`MAX_RUNNING`]; each arm's policy lies over `base`.
fn running_experiments(
    rows: &[&StoredDefinition],
    policy_version: i32,
    base: &config::Policy,
    words: &Words,
    problems: &mut Vec<DefinitionProblem>,
) -> Vec<RunningExperiment> {
    let active = of_kind(rows, DefinitionKind::Experiment).filter(|row| row.state == DefinitionState::Active);
    let mut all = Vec::new();
    for row in active {
        if all.len() == MAX_RUNNING {
            problems.push(DefinitionProblem::of(row, DefinitionFault::TooMany(MAX_RUNNING)));
            continue;
        }
        let running = running(row, policy_version, base).map(|mut running| {
            for (served, arm) in running.served.iter_mut().zip(&running.experiment.arms) {
                let missing = missing_variant(arm, words);
                *served = missing.is_none();
                problems.extend(missing.map(|fault| DefinitionProblem::of(row, fault)));
            }
            running
        });
        match running {
            Ok(one) => all.push(one),
            Err(error) => problems.push(DefinitionProblem::unreadable(row, error)),
        }
    }
    all
}

fn running(
    row: &StoredDefinition,
    policy_version: i32,
    base: &config::Policy,
) -> Result<RunningExperiment, String> {
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
}

/// The first variant that an arm names and that is not active.
fn missing_variant(arm: &Arm, words: &Words) -> Option<DefinitionFault> {
    let (template, variant) = arm
        .variants
        .iter()
        .find(|(template, variant)| !words.variants(template).contains(&variant.as_str()))?;
    Some(DefinitionFault::Variant {
        arm: arm.name.clone(),
        template: template.clone(),
        variant: variant.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(kind: DefinitionKind, name: &str, state: DefinitionState, body: Value) -> StoredDefinition {
        StoredDefinition { id: 7, kind, name: name.into(), version: 3, state, body, repeats: None }
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
        let [broken, login] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(login.to_string().starts_with("trigger \"login\" is needed: "), "{login}");
        assert!(broken.to_string().starts_with("trigger \"broken\" can't be read: "), "{broken}");
    }

    #[test]
    fn another_trigger_of_the_shop_does_not_take_the_place_of_the_announcement() {
        let recall = json!({"name": "recall", "when": {"kind": "api"}, "category": "recalls",
            "template": "announcement", "priority": "transactional"});
        let rows = [trigger("recall", DefinitionState::Active, recall)];
        let (definitions, problems) = Definitions::new(&rows, &config::Policy::default());
        assert_eq!(problems, vec![]);
        assert_eq!(definitions.announcement.category(), "announcements");
    }

    #[test]
    fn a_policy_changes_the_settings_it_names_and_is_checked() {
        let configured = config::Policy::default();
        let policy = overlay(&configured, &json!({"min_new_items": 1})).unwrap();
        assert_eq!((policy.min_new_items, policy.items), (1, configured.items));
        assert!(overlay(&configured, &json!({"items": 999})).unwrap_err().contains("policy.items"));
        assert!(overlay(&configured, &json!({"nonsense": 1})).is_err());
        let misspelt = overlay(&configured, &json!({"quiet_form": "21:00"})).unwrap_err();
        assert_eq!(misspelt, "unknown field `quiet_form`; did you mean `quiet_from`?");
        let misspelt = overlay(&configured, &json!({"caps": [{"catgory": "*", "window_min": 1, "max": 1}]}));
        assert!(misspelt.unwrap_err().contains("did you mean `category`?"));
        assert!(overlay(&configured, &json!([])).is_err());
        let stored =
            [row(DefinitionKind::Policy, POLICY, DefinitionState::Active, json!({"min_new_items": 1}))];
        assert_eq!(Definitions::new(&stored, &configured).0.rules.version, 3);
        let (shipped, problems) = Definitions::new(&[], &configured);
        assert_eq!((shipped.rules.version, shipped.version, problems), (0, 0, vec![]));
    }
}
