//! Messages that name a template: whether it is there, reads their variables, and renders with them.

use super::answer::Draft;
use super::audience::searchable;
use crate::error::ApiError;
use tidings_actors::App;
use tidings_core::base::{FieldError, Timestamp};
use tidings_decision::notify::content::VariablesError;
use tidings_decision::notify::message::Addressed;

/// Most messages of a request that name a template: each is tried in every language.
const MAX_WITH_TEMPLATE: usize = 100;

/// The messages whose words are there; the others are rejected in the draft.
pub(super) fn check(
    app: &App,
    addressed: Vec<(usize, Addressed)>,
    now: Timestamp,
    draft: &mut Draft,
) -> Result<Vec<(usize, Addressed)>, ApiError> {
    let n = addressed.iter().filter(|(_, one)| one.message.template.is_some()).count();
    if n > MAX_WITH_TEMPLATE {
        let message =
            format!("at most {MAX_WITH_TEMPLATE} messages of a request name a template, here {n} do");
        return Err(ApiError::invalid("too_many_templates", Some("template"), message));
    }
    let mut good = Vec::with_capacity(addressed.len());
    for (index, one) in addressed {
        match searchable(app, &one).and_then(|()| check_one(app, &one, now)) {
            Ok(()) => good.push((index, one)),
            Err(error) => draft.reject(index, error),
        }
    }
    Ok(good)
}

/// Returns whether the words of one are there.
pub(crate) fn check_one(app: &App, addressed: &Addressed, now: Timestamp) -> Result<(), FieldError> {
    let message = &addressed.message;
    let Some(template) = &message.template else { return Ok(()) };
    let catalogue = app.state.catalogue.load();
    let item = message.item_id.as_ref().map(|id| (id, catalogue.find(id)));
    if let Some((id, None)) = item {
        let message = format!("there is no item {id}");
        return Err(FieldError::new("unknown_item", "item_id", message));
    }
    let item = item.and_then(|(_, item)| item).map(AsRef::as_ref);
    let definitions = app.state.definitions.load();
    let checked = definitions.templates.check_variables(template, message.variables.as_ref(), item, now);
    checked.map_err(|error| {
        let (code, field) = match &error {
            VariablesError::UnknownTemplate { .. } => ("unknown_template", "template"),
            VariablesError::UnknownVariable { .. } => ("unknown_variable", "variables"),
            VariablesError::Unrenderable(_) => ("template_failed", "variables"),
        };
        FieldError::new(code, field, error.to_string())
    })
}
