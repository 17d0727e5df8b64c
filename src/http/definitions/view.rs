//! Definitions as the admin API shows them.

use serde_json::{Value, json};

use super::kind::Kind;
use crate::actors::App;
use crate::decide::definitions::{DefinitionKind, DefinitionState, StoredDefinition};
use crate::feedback::experiments::Experiment;
use crate::store::definitions::DefinitionRow;

pub(super) fn view(row: &DefinitionRow, shipped: Option<&Value>) -> Value {
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

pub(super) fn shipped_view(name: &str, body: &Value) -> Value {
    json!({
        "name": name, "version": 0, "state": "active", "definition": body, "repeats": null, "changed_at": null,
        "changed_by": "shipped",
    })
}

pub(super) fn shipped_of(kind: Kind, name: &str, app: &App) -> Option<Value> {
    kind.shipped(app).into_iter().find(|(shipped, _)| shipped == name).map(|(_, body)| body)
}

pub(super) fn stored(rows: &[DefinitionRow]) -> Vec<StoredDefinition> {
    rows.iter().map(|row| row.definition.clone()).collect()
}
