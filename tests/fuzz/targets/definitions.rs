//! Definitions of administrators and shops: templates, triggers, policies, experiments, placements, filters of lists, settings.

use serde_json::{Value, json};
use tidings::catalogue::Catalogue;
use tidings::config::{Config, Layered};
use tidings::decide::Definitions;
use tidings::decide::definition_change::{self, NewVersion};
use tidings::decide::definitions::{DefinitionKind, DefinitionState};
use tidings::http::lists::asked::Asked;
use tidings::notify::content::{self, Template, Templates};
use tidings::recommend::serve::item_filter::ItemFilter;
use tidings::recommend::serve::placement::Placement;

use crate::done;
use crate::wire::{choice, text};

/// A template: title and body as text around a line of dashes, checked as before it is stored, and rendered as once it is.
pub fn templates(data: &[u8]) {
    let text = text(data);
    let (title, body) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let body =
        json!({"name": "t", "variants": [{"name": "a", "texts": {"en": {"title": title, "body": body}}}]});
    let Ok(template) = serde_json::from_value::<Template>(body) else { return };
    let checked = content::validate(&template, []);
    // A stored one is used as far as it renders, checked or not.
    let Ok(templates) = Templates::new([&template]) else { return };
    let item =
        json!({"id": 7, "title": "Lamp", "price": 9.5, "currency": "EUR", "category": "Lamps", "brand": "b"});
    let context = json!({
        "user": {"id": "u-1", "attributes": {"tier": "gold"}}, "item": item, "items": [item, item, item], "count": 3,
        "price_before": 12.0, "event": {"name": "Sale", "status": "sent"}, "locale": "de-CH", "now": 1_795_392_000,
    });
    for locale in ["en", "de-CH", "ar", "x"] {
        done(templates.render("t", 0, locale, &context));
    }
    done(checked);
}

/// A definition of a kind, as it would be stored.
pub fn definitions(data: &[u8]) {
    let (first, body) = choice(data);
    let kinds = [
        DefinitionKind::Trigger,
        DefinitionKind::Template,
        DefinitionKind::Policy,
        DefinitionKind::Experiment,
        DefinitionKind::Placement,
    ];
    let Some(kind) = kinds.get(usize::from(first) % kinds.len()) else { return };
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
    let change = NewVersion { state: DefinitionState::Active, body, repeats: None };
    done(definition_change::check(&[], *kind, "fuzz", &change, &Config::default().policy));
}

/// A list that is asked for, a filter, a placement.
pub fn lists(data: &[u8]) {
    let (first, body) = choice(data);
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
    match first % 3 {
        0 => {
            let Ok(asked) = Asked::of_json(body) else { return };
            done(asked.resolve(&Catalogue::default(), &Definitions::new(&[], &Config::default().policy).0));
        }
        1 => done(serde_json::from_value::<ItemFilter>(body).map(|filter| filter.validate())),
        _ => done(serde_json::from_value::<Placement>(body).map(|placement| placement.validate())),
    }
}

/// A configuration file.
pub fn settings(data: &[u8]) {
    let mut layered = Layered::default();
    if layered.file(&text(data)).is_ok() {
        done(layered.build());
        done(layered.settings());
    }
}
