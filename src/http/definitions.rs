//! `/admin/triggers`, `/admin/templates`, `/admin/policies`, `/admin/experiments`: list, read with history, validate, store, activate, pause.
//! Every change is a new version with who and when, and applies from the next decision. A draft lies beside the version in force.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::App;
use crate::base::{nearest, suggest_nearest};
use crate::decide::Input;
use crate::decide::definition_change::{History, HistoryError, NewVersion, check};
use crate::decide::definitions::{DefinitionKind, DefinitionState, POLICY, StoredDefinition, overlay};
use crate::decide::experiment::{MAX_VERSIONS, named_versions};
use crate::feedback::experiments::Experiment;
use crate::notify::content::{self, Template};
use crate::notify::triggers::{self, Definition};
use crate::state::definitions::load_version;
use crate::store::definitions::{self, DefinitionRow};
use crate::store::{Connection, StoreError, in_transaction};

/// Versions shown of one name.
const HISTORY: usize = 100;

/// Kind of definition, one of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Occasions of messages.
    Triggers,
    /// Wording of messages.
    Templates,
    /// Whether a message is sent.
    Policies,
    /// Treatments under test, and their users.
    Experiments,
}

impl Kind {
    fn stored(self) -> DefinitionKind {
        match self {
            Self::Triggers => DefinitionKind::Trigger,
            Self::Templates => DefinitionKind::Template,
            Self::Policies => DefinitionKind::Policy,
            Self::Experiments => DefinitionKind::Experiment,
        }
    }

    /// Definitions that the server ships, by name.
    fn shipped(self, app: &App) -> Vec<(String, Value)> {
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
        }
    }

    /// Checks that the body is a definition of that name: bounds, and that a template renders for each trigger that uses it. Whether others that it names are
    /// active is checked with the change.
    fn validate(
        self,
        name: &str,
        body: &Value,
        stored: &[StoredDefinition],
        app: &App,
    ) -> Result<(), ApiError> {
        let bad = |field: Option<&'static str>, message: String| {
            ApiError::invalid("bad_definition", field, message)
        };
        let named = |said: &str| {
            if said == name {
                Ok(())
            } else {
                Err(bad(Some("name"), format!("must be \"{name}\", as in the path")))
            }
        };
        match self {
            Self::Triggers => {
                let definition: Definition = serde_json::from_value(body.clone())
                    .map_err(|error| bad(None, unreadable("a trigger", &error)))?;
                named(&definition.name)?;
                definition.validate().map_err(|error| bad(Some(error.field), error.message))?;
                let known = self::known(Self::Templates, stored, app);
                if !known.contains(&definition.template) {
                    return Err(bad(Some("template"), missing("template", &definition.template, &known)));
                }
                let templates = &app.state.definitions.load().templates;
                templates.fits(&definition.template, &definition).map_err(|error| {
                    bad(Some("template"), format!("template \"{}\", {error}", definition.template))
                })?;
            }
            Self::Templates => {
                let template: Template = serde_json::from_value(body.clone())
                    .map_err(|error| bad(None, unreadable("a template", &error)))?;
                named(&template.name)?;
                let definitions = app.state.definitions.load();
                let used_by = definitions.triggers.iter().filter(|trigger| trigger.template == name);
                content::validate(&template, used_by)
                    .map_err(|error| bad(Some("variants"), error.to_string()))?;
            }
            Self::Policies => {
                if name != POLICY {
                    return Err(bad(Some("name"), format!("there is one policy: \"{POLICY}\"")));
                }
                overlay(&app.state.config.policy, body).map_err(|error| bad(None, error))?;
            }
            Self::Experiments => {
                let experiment: Experiment = serde_json::from_value(body.clone())
                    .map_err(|error| bad(None, unreadable("an experiment", &error)))?;
                named(&experiment.name)?;
                experiment.validate().map_err(|error| bad(Some("arms"), error.to_string()))?;
                arms(&experiment, app).map_err(|message| bad(Some("arms"), message))?;
            }
        }
        Ok(())
    }
}

fn unreadable(what: &str, error: &serde_json::Error) -> String {
    format!("not {what}: {}", suggest_nearest(&error.to_string()))
}

/// Names of a kind, whatever their state: those stored and those that ship.
fn known(kind: Kind, stored: &[StoredDefinition], app: &App) -> BTreeSet<String> {
    let stored = stored.iter().filter(|row| row.kind == kind.stored()).map(|row| row.name.clone());
    stored.chain(kind.shipped(app).into_iter().map(|(name, _)| name)).collect()
}

fn missing(what: &str, name: &str, known: &BTreeSet<String>) -> String {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("there is no {what} \"{name}\"; did you mean \"{near}\"?"),
        None => format!("there is no {what} \"{name}\""),
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
fn variants(experiment: &Experiment, app: &App) -> Result<(), String> {
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
fn models_held(experiment: &Experiment, app: &App) -> Result<(), String> {
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
fn models(experiment: &Experiment, connection: &mut Connection) -> Result<(), String> {
    let mut named = named_versions([experiment]).into_iter();
    named.try_for_each(|version| load_version(connection, version).map(drop))
}

fn view(row: &DefinitionRow, shipped: Option<&Value>) -> Value {
    let DefinitionRow { definition, .. } = row;
    let body = shipped.filter(|_| definition.is_default()).unwrap_or(&definition.body);
    let mut view = json!({
        "name": definition.name, "version": definition.version, "state": definition.state.name(),
        "definition": body, "repeats": definition.repeats, "changed_at": row.changed_at,
        "changed_by": row.changed_by,
    });
    let outside = match definition.kind {
        DefinitionKind::Experiment => serde_json::from_value::<Experiment>(definition.body.clone()).ok(),
        _ => None,
    };
    if let (Some(experiment), Some(fields)) = (outside, view.as_object_mut()) {
        fields.insert("outside".to_owned(), experiment.outside().into());
    }
    // A paused policy does not mean none: the configured one applies.
    if let (DefinitionKind::Policy, DefinitionState::Paused, Some(shipped), Some(fields)) =
        (definition.kind, definition.state, shipped, view.as_object_mut())
    {
        fields.insert("in_force".to_owned(), shipped_view(&definition.name, shipped));
    }
    view
}

fn shipped_view(name: &str, body: &Value) -> Value {
    json!({
        "name": name, "version": 0, "state": "active", "definition": body, "repeats": null, "changed_at": null,
        "changed_by": "shipped",
    })
}

fn shipped_of(kind: Kind, name: &str, app: &App) -> Option<Value> {
    kind.shipped(app).into_iter().find(|(shipped, _)| shipped == name).map(|(_, body)| body)
}

/// Of each name the version in force, the server's own among them, with its `draft`; a name with nothing but a draft is that.
pub async fn list(
    kind: web::Path<Kind>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let kind = *kind;
    let mut rows = app.state.store.run(definitions::current).await?;
    rows.retain(|row| row.definition.kind == kind.stored());
    let all: Vec<Value> = known(kind, &stored(&rows), &app)
        .into_iter()
        .filter_map(|name| {
            let shipped = shipped_of(kind, &name, &app);
            let of_name = || rows.iter().filter(|row| row.definition.name == name);
            let draft = of_name().find(|row| row.definition.state == DefinitionState::Draft);
            let in_force = of_name().find(|row| row.definition.state != DefinitionState::Draft);
            let draft = draft.map(|row| view(row, shipped.as_ref()));
            let shown = in_force.map(|row| view(row, shipped.as_ref()));
            let shown = shown.or_else(|| shipped.as_ref().map(|body| shipped_view(&name, body)));
            let mut shown = shown.or_else(|| draft.clone())?;
            shown.as_object_mut()?.insert("draft".to_owned(), draft.into());
            Some(shown)
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "definitions": all })))
}

/// One: the newest version, the active one, the draft beside it, and every version, the newest first.
pub async fn get(
    path: web::Path<(Kind, String)>,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (kind, name) = path.into_inner();
    let shipped = shipped_of(kind, &name, &app);
    let rows = {
        let name = name.clone();
        app.state.store.run(move |connection| definitions::history(connection, kind.stored(), &name)).await?
    };
    let stored = stored(&rows);
    let history = History { shipped: shipped.as_ref(), rows: &stored };
    let of_version = |version: i32| rows.iter().find(|row| row.definition.version == version);
    let shown = |row: &StoredDefinition| Some(view(of_version(row.version)?, shipped.as_ref()));
    let in_force = history.in_force().and_then(shown);
    let default = shipped.as_ref().map(|body| shipped_view(&name, body));
    let active = in_force.or_else(|| default.clone()).filter(|_| history.is_active());
    let draft = history.draft().and_then(shown);
    let mut all: Vec<Value> = rows.iter().take(HISTORY).map(|row| view(row, shipped.as_ref())).collect();
    all.extend(default);
    let latest = all.first().cloned().ok_or(ApiError::NotFound("this definition"))?;
    Ok(HttpResponse::Ok().json(json!({"latest": latest, "active": active, "draft": draft, "history": all})))
}

fn stored(rows: &[DefinitionRow]) -> Vec<StoredDefinition> {
    rows.iter().map(|row| row.definition.clone()).collect()
}

/// State in which a definition is to be stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutQuery {
    /// `draft` keeps it beside the version in force; absent = active.
    state: Option<String>,
    /// Only checks.
    #[serde(default)]
    validate_only: bool,
}

/// Version to activate, as parameter or as body.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivateQuery {
    /// Any version of the history, 0 = the one that ships; absent = the newest.
    version: Option<i32>,
}

fn query<T>(query: Result<web::Query<T>, actix_web::Error>) -> Result<T, ApiError> {
    let bad =
        |error: actix_web::Error| ApiError::invalid("bad_query", None, suggest_nearest(&error.to_string()));
    query.map(web::Query::into_inner).map_err(bad)
}

/// A change that somebody asks for.
enum Change {
    /// A body, as active or as a draft.
    Put(Value, DefinitionState),
    /// A version, or the newest one.
    Activate(Option<i32>),
    /// The version in force.
    Pause,
}

/// Checks and stores a version.
pub async fn put(
    path: web::Path<(Kind, String)>,
    asked: Result<web::Query<PutQuery>, actix_web::Error>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (kind, name) = path.into_inner();
    let asked = query(asked)?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid("bad_json", None, format!("not JSON: {error}")))?;
    let state = match asked.state.as_deref() {
        None | Some("active") => DefinitionState::Active,
        Some("draft") => DefinitionState::Draft,
        Some(_) => return Err(ApiError::invalid("bad_state", Some("state"), "must be active or draft")),
    };
    let change = Change::Put(body, state);
    if asked.validate_only {
        let writer = app.clone();
        let checked = move |connection: &mut Connection| checked(&change, kind, &name, &writer, connection);
        app.state.store.run(checked).await??;
        return Ok(HttpResponse::Ok().json(json!({"valid": true})));
    }
    apply(change, kind, name, &app, &caller).await
}

/// Activates a version of the history, or the newest one: a draft is published, a paused one resumed.
pub async fn activate(
    path: web::Path<(Kind, String)>,
    asked: Result<web::Query<ActivateQuery>, actix_web::Error>,
    app: web::Data<App>,
    caller: Caller,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (kind, name) = path.into_inner();
    let bad = |error: serde_json::Error| {
        ApiError::invalid("bad_json", None, unreadable("a version to activate", &error))
    };
    let also = match body.is_empty() {
        true => None,
        false => serde_json::from_slice::<Option<ActivateQuery>>(&body).map_err(bad)?,
    };
    let version = query(asked)?.version.or(also.unwrap_or_default().version);
    apply(Change::Activate(version), kind, name, &app, &caller).await
}

/// Switches the version in force off, until one is activated again; refused while others use it.
pub async fn pause(
    path: web::Path<(Kind, String)>,
    app: web::Data<App>,
    caller: Caller,
    _body: Body,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (kind, name) = path.into_inner();
    apply(Change::Pause, kind, name, &app, &caller).await
}

/// The version to store, checked against all others; `None` if nothing would change.
fn checked(
    change: &Change,
    kind: Kind,
    name: &str,
    app: &App,
    connection: &mut Connection,
) -> Result<Result<Option<NewVersion>, ApiError>, StoreError> {
    let rows = stored(&definitions::history(connection, kind.stored(), name)?);
    let all = stored(&definitions::current(connection)?);
    let shipped = shipped_of(kind, name, app);
    let history = History { shipped: shipped.as_ref(), rows: &rows };
    let mut check_all = || {
        let new = match change {
            Change::Put(body, state) => Some(NewVersion { state: *state, body: body.clone(), repeats: None }),
            Change::Activate(version) => history.activate(*version).map_err(|error| refused(error, kind))?,
            Change::Pause => history.pause().map_err(|error| refused(error, kind))?,
        };
        let Some(new) = new else { return Ok(None) };
        // Switching off must work, whatever has become of the body.
        if new.state != DefinitionState::Paused {
            kind.validate(name, &new.body, &all, app)?;
            if let (Kind::Experiments, Ok(experiment)) = (kind, serde_json::from_value(new.body.clone())) {
                let bad = |message: String| ApiError::invalid("bad_definition", Some("arms"), message);
                if new.repeats.is_none() {
                    variants(&experiment, app).map_err(bad)?;
                    experiment.validate_unit().map_err(|error| bad(error.to_string()))?;
                }
                if new.state == DefinitionState::Active {
                    models_held(&experiment, app).map_err(bad)?;
                }
                models(&experiment, connection).map_err(bad)?;
            }
        }
        check(&all, kind.stored(), name, &new, &app.state.config.policy)
            .map_err(|error| ApiError::Conflict(error.to_string()))?;
        Ok(Some(new))
    };
    Ok(check_all())
}

fn refused(error: HistoryError, kind: Kind) -> ApiError {
    match error {
        HistoryError::UnknownName => ApiError::NotFound(match kind {
            Kind::Triggers => "this trigger",
            Kind::Templates => "this template",
            Kind::Policies => "this policy",
            Kind::Experiments => "this experiment",
        }),
        HistoryError::UnknownVersion { .. } => {
            ApiError::invalid("bad_version", Some("version"), error.to_string())
        }
        HistoryError::OnlyDraft => ApiError::Conflict(error.to_string()),
    }
}

/// Checks and stores a change under one lock, and reads the definitions again.
async fn apply(
    change: Change,
    kind: Kind,
    name: String,
    app: &web::Data<App>,
    caller: &Caller,
) -> Result<HttpResponse, ApiError> {
    let by = caller.name();
    let shipped = shipped_of(kind, &name, app);
    let writer = app.clone();
    let asked = name.clone();
    let work = move |connection: &mut Connection| {
        let outcome = in_transaction(connection, |connection| {
            definitions::lock(connection)?;
            let new = match checked(&change, kind, &name, &writer, connection)? {
                Ok(new) => new,
                Err(error) => return Ok(Err(error)),
            };
            let Some(new) = new else {
                let rows = definitions::history(connection, kind.stored(), &name)?;
                return Ok(Ok(rows.into_iter().find(|row| row.definition.state != DefinitionState::Draft)));
            };
            definitions::put(connection, kind.stored(), &name, &new, &by).map(|row| Ok(Some(row)))
        })?;
        if outcome.is_ok() {
            writer.state.read_definitions(connection)?;
        }
        Ok(outcome)
    };
    let row = app.state.store.run(work).await??;
    for entry in app.registry.entries() {
        // An actor whose mailbox is full looks at the rules after its next event anyway.
        entry.happened(Input::DefinitionsChanged);
    }
    let answer = row.map(|row| view(&row, shipped.as_ref()));
    let answer = answer.or_else(|| shipped.map(|body| shipped_view(&asked, &body)));
    Ok(HttpResponse::Ok().json(answer.ok_or(ApiError::NotFound("this definition"))?))
}
