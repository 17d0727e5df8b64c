//! Changes of definitions: a new version, an activation, a pause.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::kind::{Kind, models, models_held, unreadable, variants};
use super::view::{DefinitionView, Taken, Valid, shipped_of, shipped_view, stored, view};
use crate::audited;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::ApiError;
use crate::permit::{EditDefinitions, With};
use crate::query;
use tidings_actors::{App, definition_changes};
use tidings_core::base::json;
use tidings_decision::decide::definition_change::{History, HistoryError, NewVersion, check};
use tidings_decision::decide::definitions::DefinitionState;
use tidings_store::definitions::{self, DefinitionRow};
use tidings_store::{Connection, StoreError, in_transaction};

/// State in which a definition is to be stored.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PutQuery {
    /// `draft` keeps it beside the version in force; absent = active.
    state: Option<String>,
    /// Only checks.
    #[serde(default)]
    validate_only: bool,
}

/// Version to activate, as parameter or as body.
#[derive(Default, Deserialize, IntoParams, ToSchema)]
#[schema(as = VersionToActivate)]
#[serde(deny_unknown_fields)]
pub struct ActivateQuery {
    /// Any version of the history, 0 = the one that ships; absent = the newest.
    version: Option<i32>,
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
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<EditDefinitions>,
) -> Result<HttpResponse, ApiError> {
    let (kind, name) = path.into_inner();
    let asked: PutQuery = query::read(&request)?;
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
        return Ok(HttpResponse::Ok().json(Taken::Checked(Valid { valid: true })));
    }
    let stored = apply(change, kind, name, &request, &app, &caller).await?;
    Ok(HttpResponse::Ok().json(Taken::Stored(stored)))
}

/// Activates a version of the history, or the newest one: a draft is published, a paused one resumed.
pub async fn activate(
    path: web::Path<(Kind, String)>,
    request: HttpRequest,
    app: web::Data<App>,
    Body(body): Body,
    caller: With<EditDefinitions>,
) -> Result<HttpResponse, ApiError> {
    let (kind, name) = path.into_inner();
    let bad = |error: serde_json::Error| {
        ApiError::invalid("bad_json", None, unreadable("a version to activate", &error))
    };
    let also = match body.is_empty() {
        true => None,
        false => json::from_slice::<Option<ActivateQuery>>(&body).map_err(bad)?,
    };
    let asked: ActivateQuery = query::read(&request)?;
    let version = asked.version.or(also.unwrap_or_default().version);
    let active = apply(Change::Activate(version), kind, name, &request, &app, &caller).await?;
    Ok(HttpResponse::Ok().json(active))
}

/// Switches the version in force off, until one is activated again; refused while others use it.
pub async fn pause(
    path: web::Path<(Kind, String)>,
    request: HttpRequest,
    app: web::Data<App>,
    _body: Body,
    caller: With<EditDefinitions>,
) -> Result<HttpResponse, ApiError> {
    let (kind, name) = path.into_inner();
    Ok(HttpResponse::Ok().json(apply(Change::Pause, kind, name, &request, &app, &caller).await?))
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
            Kind::Placements => "this placement",
        }),
        HistoryError::UnknownVersion { .. } => {
            ApiError::invalid("bad_version", Some("version"), error.to_string())
        }
        HistoryError::OnlyDraft => ApiError::Conflict(error.to_string()),
    }
}

/// Checks and stores a change with its entry of the audit log under one lock, and reads the definitions again.
async fn apply(
    change: Change,
    kind: Kind,
    name: String,
    request: &HttpRequest,
    app: &web::Data<App>,
    caller: &Caller,
) -> Result<DefinitionView, ApiError> {
    let (by, entry) = (caller.name(), audited::Change::new(request, app, StatusCode::OK));
    let shipped = shipped_of(kind, &name, app);
    let default = shipped.as_ref().map(|body| shipped_view(&name, body));
    let writer = app.clone();
    let work = move |connection: &mut Connection| {
        let outcome = in_transaction(connection, |connection| {
            definitions::lock(connection)?;
            let new = match checked(&change, kind, &name, &writer, connection)? {
                Ok(new) => new,
                Err(error) => return Ok(Err(error)),
            };
            let rows = definitions::history(connection, kind.stored(), &name)?;
            let before = rows.into_iter().find(|row| row.definition.state != DefinitionState::Draft);
            let after = match new {
                Some(new) => Some(definitions::put(connection, kind.stored(), &name, &new, &by)?),
                None => before.clone(),
            };
            let shown = |row: &Option<DefinitionRow>| row.as_ref().map(|row| view(row, shipped.as_ref()));
            let answer = shown(&after);
            entry.store(connection, shown(&before), &answer)?;
            Ok(Ok(answer))
        })?;
        if outcome.is_ok() {
            writer.state.read_stored_definitions(connection);
        }
        Ok(outcome)
    };
    let answer = app.state.store.run(work).await??;
    definition_changes::announce(&app.registry);
    answer.or(default).ok_or(ApiError::NotFound("this definition"))
}
