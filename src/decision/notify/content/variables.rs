//! Check of a message of the shop that names a template: whether there is one, whether it reads the variables, and whether it
//! renders with them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::check::check;
use super::context::{ItemVariables, MAX_ITEMS, TemplateContext, UserVariables};
use super::template::{Part, TemplateError, Templates, place};
use tidings_core::base::{ExternalId, Timestamp, nearest};
use tidings_core::catalogue::Item;

/// Instructions that all texts of a template may take while a message is checked: a request has up to a hundred.
const MESSAGE_FUEL: u64 = 100_000;

/// Reason why a template can't be used with these variables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariablesError {
    /// There is no such template; the nearest name.
    #[error("there is no template \"{name}\"{}", hint(near.as_deref()))]
    UnknownTemplate {
        /// As given.
        name: String,
        /// A template with a similar name.
        near: Option<String>,
    },
    /// No text of the template reads a variable; the nearest that is read.
    #[error("template \"{template}\" reads no variable \"{name}\"{}", hint(near.as_deref()))]
    UnknownVariable {
        /// Name of the template.
        template: String,
        /// As given.
        name: String,
        /// A variable with a similar name.
        near: Option<String>,
    },
    /// A text of the template does not render with the variables.
    #[error(transparent)]
    Unrenderable(#[from] TemplateError),
}

fn hint(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

impl Templates {
    /// Names of all templates, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known_names()
    }

    /// Returns whether a message may use the template with these values of `event`, about `item`. Linear in the sources.
    pub fn check_variables(
        &self,
        template: &str,
        variables: Option<&Value>,
        item: Option<&Item>,
        now: Timestamp,
    ) -> Result<(), VariablesError> {
        let variants = self.compiled(template);
        if variants.is_empty() {
            let near = nearest(template, self.names()).map(str::to_owned);
            return Err(VariablesError::UnknownTemplate { name: template.to_owned(), near });
        }
        let (mut reads, mut reads_all) = (BTreeSet::new(), false);
        for variant in variants {
            for (language, _) in &variant.languages {
                for part in [Part::Title, Part::Body] {
                    let source = self.source(template, &variant.name, language, part).unwrap_or_default();
                    let checked = check(&source);
                    reads_all |= checked.reads.contains(&"event") && checked.event.names().next().is_none();
                    reads.extend(checked.event.names().map(str::to_owned));
                }
            }
        }
        let given = variables.and_then(Value::as_object);
        let unknown = |name: &&String| !reads_all && !reads.contains(*name);
        if let Some(name) = given.into_iter().flat_map(Map::keys).find(unknown) {
            let near = nearest(name, reads.iter().map(String::as_str)).map(str::to_owned);
            let (template, name) = (template.to_owned(), name.clone());
            return Err(VariablesError::UnknownVariable { template, name, near });
        }
        self.try_variables(template, &context(variables, item, now))
    }

    /// Every title must have something to say, every body must render.
    fn try_variables(&self, template: &str, context: &TemplateContext) -> Result<(), VariablesError> {
        let left = Cell::new(MESSAGE_FUEL);
        for variant in self.compiled(template) {
            for (language, _) in &variant.languages {
                let context = TemplateContext { locale: language.clone(), ..context.clone() };
                for part in [Part::Title, Part::Body] {
                    let text = self.written(template, &variant.name, language, part, &context, &left)?;
                    if part == Part::Title && text.trim().is_empty() {
                        let place = place(&variant.name, language, part);
                        let message = "is blank with these variables".to_owned();
                        return Err(TemplateError { place, position: None, message }.into());
                    }
                }
            }
        }
        Ok(())
    }
}

/// The variables of a reader who has none of their own.
fn context(variables: Option<&Value>, item: Option<&Item>, now: Timestamp) -> TemplateContext {
    let item = item.map(ItemVariables::from);
    TemplateContext {
        user: UserVariables {
            user_id: ExternalId::Integer(0),
            segment: None,
            attributes: Value::Object(Map::new()),
        },
        items: item.clone().into_iter().take(MAX_ITEMS).collect(),
        count: usize::from(item.is_some()),
        item,
        price_before: None,
        event: variables.cloned().map(Arc::new),
        locale: String::new(),
        time_zone: None,
        now,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notify::content::Template;

    fn templates() -> Templates {
        let template: Template =
            serde_json::from_value(json!({"name": "order_ready", "variants": [{"name": "a", "texts": {
                "en": {"title": "Order {{ event.number }}", "body": "At {{ event.shop }}."},
                "de": {"title": "Bestellung {{ event.number }}", "body": "{{ event.at | date }}"},
            }}]}))
            .unwrap();
        Templates::new([&template]).unwrap()
    }

    fn check(template: &str, variables: Value) -> Result<(), VariablesError> {
        let variables = Some(&variables).filter(|one| !one.is_null()).cloned();
        templates().check_variables(template, variables.as_ref(), None, Timestamp(1_800_000_000_000_000))
    }

    #[test]
    fn variables_that_are_read_are_taken_in_any_language() {
        let given = json!({"number": "17", "shop": "Vienna", "at": "2026-12-01T09:00:00Z"});
        assert_eq!(check("order_ready", given), Ok(()));
        let given = json!({"at": "2026-12-01T09:00:00Z"});
        assert_eq!(check("order_ready", given), Ok(()), "a text that is missing is a hole");
        let error = check("order_ready", Value::Null).unwrap_err().to_string();
        assert!(error.starts_with("variant a, de, body, line 1, column 15: `date` needs"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_refused_with_the_nearest_name() {
        let error = check("order_redy", json!({})).unwrap_err();
        assert_eq!(error.to_string(), "there is no template \"order_redy\"; did you mean order_ready?");
        let error = check("order_ready", json!({"numbr": 1})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "template \"order_ready\" reads no variable \"numbr\"; did you mean number?"
        );
    }

    #[test]
    fn a_title_that_is_blank_is_refused_with_its_place() {
        let template: Template =
            serde_json::from_value(json!({"name": "bare", "variants": [{"name": "a", "texts": {
                "en": {"title": "{{ event.title }}", "body": "."},
            }}]}))
            .unwrap();
        let templates = Templates::new([&template]).unwrap();
        let error = templates.check_variables("bare", None, None, Timestamp(0)).unwrap_err();
        assert_eq!(error.to_string(), "variant a, en, title: is blank with these variables");
    }
}
