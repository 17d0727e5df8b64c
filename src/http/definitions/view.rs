//! Definitions as the admin API shows them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::kind::Kind;
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::decide::definitions::{DefinitionKind, DefinitionState, StoredDefinition};
use tidings_decision::feedback::experiments::Experiment;
use tidings_store::definitions::DefinitionRow;

/// A version of a definition.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Definition)]
pub(super) struct DefinitionView {
    name: String,
    /// 0 = the server's own.
    version: i32,
    /// `active`, `draft` or `paused`.
    state: &'static str,
    definition: Value,
    /// Version whose body it repeats; null for a body of its own.
    repeats: Option<i32>,
    /// Null of the server's own.
    changed_at: Option<Timestamp>,
    changed_by: String,
    /// Of an experiment: buckets of users in no arm.
    #[serde(skip_serializing_if = "Option::is_none")]
    outside: Option<u64>,
    /// Of a paused policy: the configured one, which holds then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    in_force: Option<Box<DefinitionView>>,
}

/// The version in force of a name, with its draft.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedDefinition)]
pub(super) struct Listed {
    #[serde(flatten)]
    pub(super) shown: DefinitionView,
    pub(super) draft: Option<DefinitionView>,
}

/// Definitions of a kind.
#[derive(Serialize, ToSchema)]
#[schema(as = DefinitionList)]
pub(super) struct List {
    pub(super) definitions: Vec<Listed>,
}

/// A definition with its versions, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = DefinitionHistory)]
pub(super) struct Versions {
    pub(super) latest: DefinitionView,
    pub(super) active: Option<DefinitionView>,
    pub(super) draft: Option<DefinitionView>,
    pub(super) history: Vec<DefinitionView>,
}

/// Answer to a check.
#[derive(Serialize, ToSchema)]
#[schema(as = ValidDefinition)]
pub(super) struct Valid {
    /// Always true: what is not valid is an error.
    pub(super) valid: bool,
}

/// Answer to a definition that was sent.
#[derive(Serialize, ToSchema)]
#[schema(as = DefinitionTaken)]
#[serde(untagged)]
pub(super) enum Taken {
    /// It is stored.
    Stored(DefinitionView),
    /// It was only checked.
    Checked(Valid),
}

pub(super) fn view(row: &DefinitionRow, shipped: Option<&Value>) -> DefinitionView {
    let DefinitionRow { definition, .. } = row;
    let body = shipped.filter(|_| definition.is_default()).unwrap_or(&definition.body);
    let experiment = match definition.kind {
        DefinitionKind::Experiment => serde_json::from_value::<Experiment>(definition.body.clone()).ok(),
        _ => None,
    };
    // A paused policy does not mean none: the configured one applies.
    let in_force = match (definition.kind, definition.state, shipped) {
        (DefinitionKind::Policy, DefinitionState::Paused, Some(shipped)) => {
            Some(Box::new(shipped_view(&definition.name, shipped)))
        }
        _ => None,
    };
    DefinitionView {
        name: definition.name.clone(),
        version: definition.version,
        state: definition.state.name(),
        definition: body.clone(),
        repeats: definition.repeats,
        changed_at: Some(row.changed_at),
        changed_by: row.changed_by.clone(),
        outside: experiment.map(|experiment| experiment.outside()),
        in_force,
    }
}

pub(super) fn shipped_view(name: &str, body: &Value) -> DefinitionView {
    DefinitionView {
        name: name.to_owned(),
        version: 0,
        state: DefinitionState::Active.name(),
        definition: body.clone(),
        repeats: None,
        changed_at: None,
        changed_by: "shipped".to_owned(),
        outside: None,
        in_force: None,
    }
}

pub(super) fn shipped_of(kind: Kind, name: &str, app: &App) -> Option<Value> {
    kind.shipped(app).into_iter().find(|(shipped, _)| shipped == name).map(|(_, body)| body)
}

pub(super) fn stored(rows: &[DefinitionRow]) -> Vec<StoredDefinition> {
    rows.iter().map(|row| row.definition.clone()).collect()
}
