//! `/admin/triggers`, `/admin/templates`, `/admin/policies`, `/admin/experiments`: list, read with history, validate, store, activate, pause.
//! Every change is a new version with who and when; it holds from the next decision.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Caller;
use super::body::Body;
use super::error::ApiError;
use crate::actors::Shared;
use crate::actors::definitions::load_version;
use crate::decide::Input;
use crate::decide::definitions::{DefinitionKind, DefinitionState, POLICY, overlay};
use crate::decide::experiment::{MAX_VERSIONS, named_versions};
use crate::feedback::experiments::Experiment;
use crate::notify::content::{self, Template, Templates};
use crate::notify::triggers::{self, Condition, Definition};
use crate::store::definitions::{self, DefinitionRow};

/// Versions shown of one name.
const HISTORY: i64 = 100;

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// When to say something.
    Triggers,
    /// How to say it.
    Templates,
    /// Whether to say it.
    Policies,
    /// What is tried on whom.
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

    /// What the server ships, by name.
    fn shipped(self, shared: &Shared) -> Vec<(String, Value)> {
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
                vec![(POLICY.to_owned(), value(serde_json::to_value(&shared.config.policy)))]
            }
            Self::Experiments => Vec::new(),
        }
    }

    /// Is the body a good definition of that name? Bounds, and that templates compile.
    fn validate(self, name: &str, body: &Value, shared: &Shared) -> Result<(), ApiError> {
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
                    .map_err(|error| bad(None, format!("not a trigger: {error}")))?;
                named(&definition.name)?;
                definition.validate().map_err(|error| bad(Some(error.field), error.message))?;
                if shared.definitions.load().templates.variants(&definition.template).is_empty() {
                    return Err(bad(
                        Some("template"),
                        format!("there is no template \"{}\"", definition.template),
                    ));
                }
            }
            Self::Templates => {
                let template: Template = serde_json::from_value(body.clone())
                    .map_err(|error| bad(None, format!("not a template: {error}")))?;
                named(&template.name)?;
                Templates::new([&template]).map_err(|error| bad(None, error.to_string()))?;
            }
            Self::Policies => {
                if name != POLICY {
                    return Err(bad(Some("name"), format!("there is one policy: \"{POLICY}\"")));
                }
                overlay(&shared.config.policy, body).map_err(|error| bad(None, error))?;
            }
            Self::Experiments => {
                let experiment: Experiment = serde_json::from_value(body.clone())
                    .map_err(|error| bad(None, format!("not an experiment: {error}")))?;
                named(&experiment.name)?;
                experiment.validate().map_err(|error| bad(Some("arms"), error.to_string()))?;
                arms(&experiment, shared).map_err(|message| bad(Some("arms"), message))?;
            }
        }
        Ok(())
    }
}

/// Is what the arms change there to be changed?
fn arms(experiment: &Experiment, shared: &Shared) -> Result<(), String> {
    let definitions = shared.definitions.load();
    for arm in &experiment.arms {
        if let Some(name) = ["holdout", "random"].into_iter().find(|name| arm.policy.contains_key(*name)) {
            return Err(format!(
                "arm {}: {name} says who takes part in experiments, it can't be part of one",
                arm.name
            ));
        }
        overlay(&shared.config.policy, &Value::Object(arm.policy.clone()))
            .map_err(|error| format!("arm {}: {error}", arm.name))?;
        for (template, variant) in &arm.variants {
            if !definitions.templates.variants(template).contains(&variant.as_str()) {
                return Err(format!(
                    "arm {}: template \"{template}\" has no variant \"{variant}\"",
                    arm.name
                ));
            }
        }
    }
    Ok(())
}

/// Are the models that its arms name there, and no more of them than can be held?
async fn models(name: &str, body: &Value, shared: &Arc<Shared>) -> Result<(), ApiError> {
    let bad = |message: String| ApiError::invalid("bad_definition", Some("arms"), message);
    let Ok(experiment) = serde_json::from_value::<Experiment>(body.clone()) else { return Ok(()) };
    let named = named_versions([&experiment]);
    let definitions = shared.definitions.load_full();
    let others =
        definitions.experiments.iter().map(|running| &running.experiment).filter(|other| other.name != name);
    let all = named_versions(others.chain([&experiment]));
    if all.len() > MAX_VERSIONS && !named.is_empty() {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        return Err(bad(format!(
            "running experiments would name the model versions {}; {MAX_VERSIONS} at most can be held beside the one that \
             serves. An arm without a model gets whatever serves",
            all.join(", ")
        )));
    }
    let check = move |connection: &mut crate::store::Connection| {
        Ok(named.into_iter().find_map(|version| load_version(connection, version).err()))
    };
    shared.store.run(check).await?.map_or(Ok(()), |error| Err(bad(error)))
}

fn view(row: &DefinitionRow) -> Value {
    let DefinitionRow { definition, .. } = row;
    json!({
        "name": definition.name, "version": definition.version, "state": definition.state.name(),
        "definition": definition.body,
        "changed_at": row.changed_at, "changed_by": row.changed_by,
    })
}

fn shipped_view(name: &str, body: &Value) -> Value {
    json!({
        "name": name, "version": 0, "state": "active", "definition": body, "changed_at": null,
        "changed_by": "shipped",
    })
}

/// The latest version of each, the server's own among them.
pub async fn list(
    kind: web::Path<Kind>,
    shared: web::Data<Arc<Shared>>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let kind = *kind;
    let mut rows = shared.store.run(definitions::current).await?;
    rows.retain(|row| row.definition.kind == kind.stored());
    let mut all: Vec<Value> = rows.iter().map(view).collect();
    for (name, body) in kind.shipped(&shared) {
        if !rows.iter().any(|row| row.definition.name == name) {
            all.push(shipped_view(&name, &body));
        }
    }
    all.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    Ok(HttpResponse::Ok().json(json!({ "definitions": all })))
}

/// One, with every version, the latest first.
pub async fn get(
    path: web::Path<(Kind, String)>,
    shared: web::Data<Arc<Shared>>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (kind, name) = path.into_inner();
    let mut history = versions(&shared, kind, &name).await?.iter().map(view).collect::<Vec<_>>();
    if let Some((name, body)) = kind.shipped(&shared).into_iter().find(|(shipped, _)| *shipped == name) {
        history.push(shipped_view(&name, &body));
    }
    let latest = history.first().cloned().ok_or(ApiError::NotFound("this definition"))?;
    Ok(HttpResponse::Ok().json(json!({"latest": latest, "history": history})))
}

async fn versions(shared: &Shared, kind: Kind, name: &str) -> Result<Vec<DefinitionRow>, ApiError> {
    let name = name.to_owned();
    let read = move |connection: &mut crate::store::Connection| {
        definitions::history(connection, kind.stored(), &name, HISTORY)
    };
    Ok(shared.store.run(read).await?)
}

/// How it is to be stored.
#[derive(Deserialize)]
pub struct PutQuery {
    /// `draft` keeps it aside; absent = active.
    state: Option<String>,
    /// Only says whether it is good.
    #[serde(default)]
    validate_only: bool,
}

/// Checks and stores a version.
pub async fn put(
    path: web::Path<(Kind, String)>,
    query: web::Query<PutQuery>,
    Body(body): Body,
    shared: web::Data<Arc<Shared>>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let (kind, name) = path.into_inner();
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid("bad_json", None, format!("not JSON: {error}")))?;
    kind.validate(&name, &body, &shared)?;
    if kind == Kind::Experiments {
        models(&name, &body, &shared).await?;
    }
    if query.validate_only {
        return Ok(HttpResponse::Ok().json(json!({"valid": true})));
    }
    let state = match query.state.as_deref() {
        None | Some("active") => DefinitionState::Active,
        Some("draft") => DefinitionState::Draft,
        Some(_) => return Err(ApiError::invalid("bad_state", Some("state"), "must be active or draft")),
    };
    store(&shared, &caller, kind, name, state, body).await
}

async fn store(
    shared: &Arc<Shared>,
    caller: &Caller,
    kind: Kind,
    name: String,
    state: DefinitionState,
    body: Value,
) -> Result<HttpResponse, ApiError> {
    let by = caller.user().map_or_else(|| "admin".to_owned(), ToString::to_string);
    let writer = Arc::clone(shared);
    let rows = shared
        .store
        .run(move |connection| {
            definitions::put(connection, kind.stored(), &name, state, &body, &by)?;
            writer.read_definitions(connection)?;
            definitions::history(connection, kind.stored(), &name, 1)
        })
        .await?;
    for entry in shared.registry.entries() {
        entry.happened(Input::DefinitionsChanged);
    }
    let row = rows.first().ok_or(ApiError::NotFound("this definition"))?;
    Ok(HttpResponse::Ok().json(view(row)))
}

/// Switches on the latest version, or the one that ships with the server.
pub async fn activate(
    path: web::Path<(Kind, String)>,
    shared: web::Data<Arc<Shared>>,
    caller: Caller,
    _body: Body,
) -> Result<HttpResponse, ApiError> {
    set_state(path.into_inner(), DefinitionState::Active, &shared, &caller).await
}

/// Switches off, until it is activated again.
pub async fn pause(
    path: web::Path<(Kind, String)>,
    shared: web::Data<Arc<Shared>>,
    caller: Caller,
    _body: Body,
) -> Result<HttpResponse, ApiError> {
    set_state(path.into_inner(), DefinitionState::Paused, &shared, &caller).await
}

async fn set_state(
    (kind, name): (Kind, String),
    state: DefinitionState,
    shared: &Arc<Shared>,
    caller: &Caller,
) -> Result<HttpResponse, ApiError> {
    caller.admin()?;
    let stored = versions(shared, kind, &name).await?.first().map(|row| row.definition.body.clone());
    let shipped =
        || kind.shipped(shared).into_iter().find(|(shipped, _)| *shipped == name).map(|(_, body)| body);
    let body = stored.or_else(shipped).ok_or(ApiError::NotFound("this definition"))?;
    if state == DefinitionState::Paused
        && kind == Kind::Triggers
        && body.get("when") == Some(&json!(Condition::Login))
    {
        return Err(ApiError::Conflict("a login waits for its answer: mute or change it instead".to_owned()));
    }
    kind.validate(&name, &body, shared)?;
    // Switching off must work, whatever has been deleted.
    if kind == Kind::Experiments && state == DefinitionState::Active {
        models(&name, &body, shared).await?;
    }
    store(shared, caller, kind, name, state, body).await
}
