//! `/admin/triggers`, `/admin/templates`, `/admin/policies`, `/admin/experiments`, `/admin/placements`: list, read with history, validate, store, activate, pause.
//! Every change is a new version with who and when, and applies from the next decision. A draft lies beside the version in force.

mod change;
mod kind;
mod view;

use actix_web::{HttpResponse, web};

use self::change::{ActivateQuery, PutQuery};
pub use self::change::{activate, pause, put};
use self::kind::{Kind, known};
use self::view::{DefinitionView, List, Listed, Taken, Versions, shipped_of, shipped_view, stored, view};
use super::describe::{self, Described, May};
use super::error::ApiError;
use crate::permit::{ReadFigures, With};
use tidings_actors::App;
use tidings_decision::decide::definition_change::History;
use tidings_decision::decide::definitions::{DefinitionState, StoredDefinition};
use tidings_decision::privacy::Permission;
use tidings_store::definitions;

/// Versions shown of one name.
const HISTORY: usize = 100;

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let one = "/admin/{kind}/{name}";
    vec![
        describe::get(
            "/admin/{kind}",
            May::Needs(Permission::ReadFigures),
            "Definitions of a kind, in force and as drafts.",
        )
        .answers::<List>(200, "Each name once.")
        .refuses(&[404]),
        describe::get(one, May::Needs(Permission::ReadFigures), "One definition with its versions.")
            .answers::<Versions>(200, "The newest first.")
            .refuses(&[404]),
        describe::put(one, May::Needs(Permission::EditDefinitions), "Checks and stores a version.")
            .query::<PutQuery>()
            .body::<serde_json::Value>()
            .answers::<Taken>(200, "It is stored, or valid.")
            .refuses(&[404, 409]),
        describe::post(
            "/admin/{kind}/{name}/activate",
            May::Needs(Permission::EditDefinitions),
            "Activates a version of the history, or the newest one.",
        )
        .query::<ActivateQuery>()
        .optional_body::<ActivateQuery>()
        .answers::<DefinitionView>(200, "The version that is active now.")
        .refuses(&[404, 409]),
        describe::post(
            "/admin/{kind}/{name}/pause",
            May::Needs(Permission::EditDefinitions),
            "Switches the version in force off.",
        )
        .answers::<DefinitionView>(200, "The version that is paused.")
        .refuses(&[404, 409]),
    ]
}

/// Of each name the version in force, the server's own among them, with its `draft`; a name with nothing but a draft is that.
pub async fn list(
    kind: web::Path<Kind>,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let kind = *kind;
    let mut rows = app.state.store.run(definitions::current).await?;
    rows.retain(|row| row.definition.kind == kind.stored());
    let definitions = known(kind, &stored(&rows), &app)
        .into_iter()
        .filter_map(|name| {
            let shipped = shipped_of(kind, &name, &app);
            let of_name = || rows.iter().filter(|row| row.definition.name == name);
            let draft = of_name().find(|row| row.definition.state == DefinitionState::Draft);
            let in_force = of_name().find(|row| row.definition.state != DefinitionState::Draft);
            let draft = draft.map(|row| view(row, shipped.as_ref()));
            let shown = in_force.map(|row| view(row, shipped.as_ref()));
            let shown = shown.or_else(|| shipped.as_ref().map(|body| shipped_view(&name, body)));
            Some(Listed { shown: shown.or_else(|| draft.clone())?, draft })
        })
        .collect();
    Ok(HttpResponse::Ok().json(List { definitions }))
}

/// One: the newest version, the active one, the draft beside it, and every version, the newest first.
pub async fn get(
    path: web::Path<(Kind, String)>,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let (kind, name) = path.into_inner();
    let shipped = shipped_of(kind, &name, &app);
    let rows = {
        let name = name.clone();
        app.state.store.run(move |connection| definitions::history(connection, kind.stored(), &name)).await?
    };
    let stored = stored(&rows);
    let versions = History { shipped: shipped.as_ref(), rows: &stored };
    let of_version = |version: i32| rows.iter().find(|row| row.definition.version == version);
    let shown = |row: &StoredDefinition| Some(view(of_version(row.version)?, shipped.as_ref()));
    let in_force = versions.in_force().and_then(shown);
    let default = shipped.as_ref().map(|body| shipped_view(&name, body));
    let active = in_force.or_else(|| default.clone()).filter(|_| versions.is_active());
    let draft = versions.draft().and_then(shown);
    let mut history: Vec<DefinitionView> =
        rows.iter().take(HISTORY).map(|row| view(row, shipped.as_ref())).collect();
    history.extend(default);
    let latest = history.first().cloned().ok_or(ApiError::NotFound("this definition"))?;
    Ok(HttpResponse::Ok().json(Versions { latest, active, draft, history }))
}
