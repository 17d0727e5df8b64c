use super::*;
use crate::decide::definitions::POLICY;
use crate::notify::triggers::MAX_TRIGGERS;
use DefinitionKind::{Experiment, Placement, Policy, Template, Trigger};
use DefinitionState::{Active, Draft, Paused};
use serde_json::json;

/// A store of definitions: what the admin API does, without a database.
#[derive(Default)]
struct Stored(Vec<StoredDefinition>);

impl Stored {
    fn of(&self, kind: DefinitionKind, name: &str) -> Vec<StoredDefinition> {
        self.0.iter().filter(|row| row.kind == kind && row.name == name).rev().cloned().collect()
    }

    fn add(&mut self, kind: DefinitionKind, name: &str, new: NewVersion) -> Result<(), String> {
        check(&self.0, kind, name, &new, &config::Policy::default()).map_err(|error| error.to_string())?;
        let version = self.of(kind, name).first().map_or(0, |row| row.version) + 1;
        let id = self.0.len() as i64 + 1;
        let NewVersion { state, body, repeats } = new;
        self.0.push(StoredDefinition { id, kind, name: name.into(), version, state, body, repeats });
        Ok(())
    }

    fn put(
        &mut self,
        kind: DefinitionKind,
        name: &str,
        state: DefinitionState,
        body: Value,
    ) -> Result<(), String> {
        self.add(kind, name, NewVersion { state, body, repeats: None })
    }

    fn shipped(kind: DefinitionKind, name: &str) -> Option<Value> {
        let triggers = crate::notify::triggers::defaults().into_iter().find(|one| one.name == name);
        let templates = crate::notify::content::defaults().into_iter().find(|one| one.name == name);
        match kind {
            Trigger => triggers.map(|one| serde_json::to_value(one).unwrap()),
            Template => templates.map(|one| serde_json::to_value(one).unwrap()),
            Policy => Some(serde_json::to_value(config::Policy::default()).unwrap()),
            Experiment | Placement => None,
        }
    }

    /// Returns whether something was stored.
    fn activate(&mut self, kind: DefinitionKind, name: &str, version: Option<i32>) -> Result<bool, String> {
        let (shipped, rows) = (Self::shipped(kind, name), self.of(kind, name));
        let history = History { shipped: shipped.as_ref(), rows: &rows };
        let new = history.activate(version).map_err(|error| error.to_string())?;
        let changes = new.is_some();
        new.map_or(Ok(()), |new| self.add(kind, name, new)).map(|()| changes)
    }

    fn pause(&mut self, kind: DefinitionKind, name: &str) -> Result<bool, String> {
        let (shipped, rows) = (Self::shipped(kind, name), self.of(kind, name));
        let history = History { shipped: shipped.as_ref(), rows: &rows };
        let new = history.pause().map_err(|error| error.to_string())?;
        let changes = new.is_some();
        new.map_or(Ok(()), |new| self.add(kind, name, new)).map(|()| changes)
    }

    fn definitions(&self) -> Definitions {
        let (definitions, problems) = Definitions::new(&self.0, &config::Policy::default());
        assert_eq!(problems, vec![]);
        definitions
    }

    fn category(&self, trigger: &str) -> Option<String> {
        self.definitions().triggers.find(trigger).map(|one| one.category.clone())
    }
}

fn trigger(name: &str, category: &str, template: &str) -> Value {
    json!({"name": name, "when": {"kind": "view"}, "category": category, "template": template})
}

fn template(name: &str, variants: &[&str]) -> Value {
    let text = |variant: &&str| json!({"name": variant, "texts": {"en": {"title": format!("{variant} title"), "body": "b"}}});
    json!({"name": name, "variants": variants.iter().map(text).collect::<Vec<_>>()})
}

fn experiment(variant: &str) -> Value {
    json!({"name": "words", "arms": [{"name": "control", "share": 5_000},
        {"name": "short", "share": 5_000, "variants": {"steal": variant}}]})
}

#[test]
fn a_draft_lies_beside_the_version_in_force_until_it_is_activated() {
    let mut stored = Stored::default();
    stored.put(Trigger, "seen", Active, trigger("seen", "first", "view")).unwrap();
    stored.put(Trigger, "seen", Draft, trigger("seen", "second", "view")).unwrap();
    assert_eq!(stored.category("seen").as_deref(), Some("first"));
    let version = stored.definitions().version;
    assert_eq!(version, 1, "a draft does not change what is in force");
    let rows = stored.of(Trigger, "seen");
    let history = History { shipped: None, rows: &rows };
    assert_eq!(history.draft().map(|row| row.version), Some(2));
    assert_eq!(history.in_force().map(|row| row.version), Some(1));
    stored.activate(Trigger, "seen", None).unwrap();
    assert_eq!(stored.category("seen").as_deref(), Some("second"));
    let rows = stored.of(Trigger, "seen");
    assert_eq!(History { shipped: None, rows: &rows }.draft(), None, "published");
    assert_eq!(rows[0].repeats, Some(2));
}

#[test]
fn a_draft_of_the_policy_or_of_a_built_in_definition_changes_nothing() {
    let mut stored = Stored::default();
    let night = json!({"quiet_from": "21:00", "quiet_to": "08:00"});
    stored.put(Policy, POLICY, Active, night).unwrap();
    stored.put(Policy, POLICY, Draft, json!({"items": 3})).unwrap();
    stored.put(Trigger, "view", Draft, trigger("view", "draft", "view")).unwrap();
    stored.put(Template, "view", Draft, template("view", &["draft"])).unwrap();
    let definitions = stored.definitions();
    assert_eq!(definitions.rules.version, 1);
    let quiet = crate::notify::Rules::new(&config::Policy {
        quiet_from: "21:00".into(),
        quiet_to: "08:00".into(),
        ..config::Policy::default()
    });
    assert_eq!(definitions.rules.quiet_hours, quiet.quiet_hours);
    assert_eq!(definitions.triggers.find("view").unwrap().category, "similar_items");
    assert_eq!(definitions.templates.variants("view"), ["a"]);
}

#[test]
fn pausing_pauses_the_version_in_force_and_activating_resumes_it_not_the_draft() {
    let mut stored = Stored::default();
    stored.put(Trigger, "seen", Active, trigger("seen", "first", "view")).unwrap();
    stored.put(Trigger, "seen", Draft, trigger("seen", "second", "view")).unwrap();
    assert!(stored.pause(Trigger, "seen").unwrap());
    assert_eq!(stored.category("seen"), None);
    assert!(!stored.pause(Trigger, "seen").unwrap(), "paused already");
    let rows = stored.of(Trigger, "seen");
    let history = History { shipped: None, rows: &rows };
    assert_eq!(history.draft().map(|row| row.version), Some(2), "still there");
    assert!(stored.activate(Trigger, "seen", None).unwrap());
    assert_eq!(stored.category("seen").as_deref(), Some("first"));
    assert!(!stored.activate(Trigger, "seen", None).unwrap(), "active already");
}

#[test]
fn an_older_version_can_be_activated_by_its_number_and_history_stays() {
    let mut stored = Stored::default();
    for category in ["first", "second", "third"] {
        stored.put(Trigger, "view", Active, trigger("view", category, "view")).unwrap();
    }
    assert!(stored.activate(Trigger, "view", Some(1)).unwrap());
    assert_eq!(stored.category("view").as_deref(), Some("first"));
    assert!(!stored.activate(Trigger, "view", Some(1)).unwrap(), "active already");
    stored.activate(Trigger, "view", Some(4)).unwrap();
    assert_eq!(stored.of(Trigger, "view").len(), 4, "version 4 repeats version 1, which is active");
    stored.activate(Trigger, "view", Some(0)).unwrap();
    assert_eq!(stored.category("view").as_deref(), Some("similar_items"), "as it ships");
    let error = stored.activate(Trigger, "view", Some(9)).unwrap_err();
    assert_eq!(error, "there is no version 9: the versions are 0…5");
    assert_eq!(stored.activate(Trigger, "nothing", Some(1)).unwrap_err(), "there is no such definition");
    stored.put(Trigger, "own", Draft, trigger("own", "own", "view")).unwrap();
    let error = stored.activate(Trigger, "own", Some(0)).unwrap_err();
    assert_eq!(error, "there is no version 0: the versions are 1…1");
    assert!(stored.pause(Trigger, "own").unwrap_err().contains("only a draft"));
}

#[test]
fn a_paused_policy_leaves_the_configured_one_and_version_0_does_too() {
    let mut stored = Stored::default();
    stored.put(Policy, POLICY, Active, json!({"items": 3})).unwrap();
    stored.put(Policy, POLICY, Active, json!({"items": 4})).unwrap();
    stored.pause(Policy, POLICY).unwrap();
    assert_eq!(stored.definitions().rules.version, 0);
    stored.activate(Policy, POLICY, Some(1)).unwrap();
    assert_eq!(stored.definitions().rules.items, 3);
    stored.activate(Policy, POLICY, Some(0)).unwrap();
    let rules = stored.definitions().rules;
    assert_eq!((rules.version, rules.items), (0, config::Policy::default().items));
}

#[test]
fn a_default_that_is_resumed_is_the_one_that_ships_today() {
    let mut stored = Stored::default();
    stored.pause(Trigger, "view").unwrap();
    // As an earlier release left it.
    stored.0[0].body = trigger("view", "of_an_earlier_release", "view");
    stored.activate(Trigger, "view", None).unwrap();
    assert_eq!(stored.category("view").as_deref(), Some("similar_items"));
}

#[test]
fn a_template_in_use_can_neither_be_paused_nor_lose_a_variant_and_its_users_are_named() {
    let mut stored = Stored::default();
    stored.put(Template, "steal", Active, template("steal", &["a", "b"])).unwrap();
    stored.put(Trigger, "one", Active, trigger("one", "c", "steal")).unwrap();
    stored.put(Trigger, "two", Active, trigger("two", "c", "steal")).unwrap();
    stored.put(Experiment, "words", Active, experiment("b")).unwrap();
    let refused = stored.pause(Template, "steal").unwrap_err();
    for user in
        ["template \"steal\"", "trigger \"one\"", "trigger \"two\"", "experiment \"words\"", "arm \"short\""]
    {
        assert!(refused.contains(user), "{refused} does not name {user}");
    }
    let refused = stored.put(Template, "steal", Active, template("steal", &["a"])).unwrap_err();
    assert!(refused.contains("experiment \"words\" uses variant \"b\""), "{refused}");
    assert!(!refused.contains("trigger \"one\""), "{refused}");
    stored.put(Template, "steal", Draft, template("steal", &["a"])).unwrap();
    assert!(stored.activate(Template, "steal", None).is_err(), "neither by publishing a draft");
    stored.pause(Experiment, "words").unwrap();
    stored.activate(Template, "steal", None).unwrap();
    let refused = stored.activate(Experiment, "words", None).unwrap_err();
    assert!(refused.contains("arm \"short\""), "{refused}");
    for name in ["one", "two"] {
        stored.pause(Trigger, name).unwrap();
    }
    stored.pause(Template, "steal").unwrap();
    let refused = stored.activate(Trigger, "one", None).unwrap_err();
    assert!(
        refused.contains("trigger \"one\" uses the template \"steal\", which is not active"),
        "{refused}"
    );
    stored.activate(Template, "steal", Some(1)).unwrap();
    stored.activate(Trigger, "one", None).unwrap();
}

#[test]
fn a_built_in_template_in_use_can_not_be_paused_either() {
    let mut stored = Stored::default();
    assert!(stored.pause(Template, "view").unwrap_err().contains("trigger \"view\""));
    stored.pause(Trigger, "view").unwrap();
    stored.pause(Template, "view").unwrap();
    assert!(stored.activate(Trigger, "view", None).is_err());
}

#[test]
fn the_answer_to_a_login_and_the_digest_can_not_be_switched_off_by_any_way() {
    let mut stored = Stored::default();
    for name in ["login", "digest"] {
        assert!(stored.pause(Trigger, name).unwrap_err().contains(&format!("\"{name}\" is needed")));
        let other = stored.put(Trigger, name, Active, trigger(name, "c", "view"));
        assert!(other.unwrap_err().contains(&format!("\"{name}\" is needed")));
    }
    let greeting =
        json!({"name": "greeting", "when": {"kind": "login"}, "category": "c", "template": "view"});
    stored.put(Trigger, "greeting", Active, greeting).unwrap();
    stored.pause(Trigger, "login").unwrap();
    assert_eq!(stored.definitions().login.name(), "greeting");
    assert!(stored.pause(Trigger, "greeting").is_err());
}

#[test]
fn more_than_can_be_active_is_refused_instead_of_left_out() {
    let mut stored = Stored::default();
    let arms = json!([{"name": "a", "share": 5_000}, {"name": "b", "share": 5_000}]);
    for n in 0..20 {
        let name = format!("e{n:02}");
        stored.put(Experiment, &name, Active, json!({"name": name, "arms": arms})).unwrap();
    }
    let refused = stored.put(Experiment, "a", Active, json!({"name": "a", "arms": arms})).unwrap_err();
    assert!(refused.contains("experiment \"e19\" is left out, since at most 20"), "{refused}");
    let shipped = crate::notify::triggers::defaults().len();
    for n in shipped..MAX_TRIGGERS {
        let name = format!("t{n}");
        stored.put(Trigger, &name, Active, trigger(&name, "c", "view")).unwrap();
    }
    let refused = stored.put(Trigger, "more", Active, trigger("more", "c", "view")).unwrap_err();
    assert!(refused.contains("at most 128"), "{refused}");
}

#[test]
fn what_is_wrong_already_does_not_stand_in_the_way() {
    let mut stored = Stored::default();
    stored.put(Template, "steal", Active, template("steal", &["a"])).unwrap();
    stored.put(Trigger, "one", Active, trigger("one", "c", "steal")).unwrap();
    // As an earlier release allowed.
    let paused = NewVersion { state: Paused, body: template("steal", &["a"]), repeats: None };
    let StoredDefinition { id, .. } = stored.0[1];
    stored.0.push(StoredDefinition {
        id: id + 1,
        kind: Template,
        name: "steal".into(),
        version: 2,
        state: paused.state,
        body: paused.body,
        repeats: None,
    });
    let (definitions, problems) = Definitions::new(&stored.0, &config::Policy::default());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(definitions.triggers.find("one").is_none(), "it has nothing to say");
    stored.put(Policy, POLICY, Active, json!({"items": 3})).unwrap();
    stored.activate(Template, "steal", None).unwrap();
    assert!(stored.definitions().triggers.find("one").is_some());
}
