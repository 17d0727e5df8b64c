//! What a template is given to read, and the words that come of it.

use serde_json::{Value, json};

use super::ready::Ready;
use crate::actors::shared::Shared;
use crate::base::{ItemId, Timestamp};
use crate::catalogue::{Catalogue, Item};
use crate::feedback::experiments::Slice;
use crate::feedback::learner::WordingChoice;
use crate::notify::Content;
use crate::notify::content::{MAX_TITLE_CHARS, shorten};
use crate::notify::triggers::Trigger;

/// Items a template can see.
const MAX_ITEMS: usize = 10;

/// The words, which variant they are, and all there were.
pub(super) struct Said {
    pub content: Content,
    /// The chosen one first; empty when no template was found.
    pub variants: Vec<String>,
    /// How it was chosen; `None` where there was nothing to choose.
    pub wording: Option<WordingChoice>,
}

/// An item as templates see it.
pub fn item_words(item: &Item) -> Value {
    json!({
        "item_id": item.external_id, "title": item.name(), "price": item.price, "currency": item.currency,
        "category": item.category.first(), "brand": item.attributes.get("brand"), "url": item.url,
        "stock": item.stock,
    })
}

impl Ready {
    /// In the user's language; a trigger whose template is gone or fails still says which item it is about.
    pub(super) fn words(
        &self,
        trigger: &Trigger,
        items: &[ItemId],
        catalogue: &Catalogue,
        shared: &Shared,
        now: Timestamp,
    ) -> Said {
        let definitions = shared.definitions.load();
        let template = &trigger.definition.template;
        let locale = self.preferences.locale.as_deref().unwrap_or("en");
        let known = definitions.templates.variants(template);
        let mut offer = definitions.templates.on_offer(template, locale);
        let on_trial = self.variant_on_trial(&definitions, template, &shared.rules.load());
        let place = on_trial.and_then(|name| known.iter().position(|known| *known == name));
        // In another language than the user's it would be another experiment.
        if let Some(place) = place.filter(|place| offer.contains(place)) {
            offer = vec![place];
        }
        let wording = match self.slice(&shared.rules.load()) {
            // Of every message anew, so that the log has as many draws as messages.
            Slice::Uniform => {
                WordingChoice::even(template, &known, &offer, &mut self.draw_of_moment("words", now))
            }
            // Drawn anew for each user and day.
            Slice::Learned | Slice::Holdout => {
                let mut draw = self.draw_of_day(template, now);
                let learner = shared.learner.lock();
                learner.choose_wording(&self.learning, template, &known, &offer, now, &mut draw)
            }
        };
        let place = wording.as_ref().map_or_else(|| offer.first().copied(), |wording| Some(wording.index()));
        let context = self.context(trigger, items, catalogue, now);
        let rendered = definitions.templates.render(template, place.unwrap_or(0), locale, &context);
        match rendered {
            Some(Ok(rendered)) => {
                let others =
                    known.iter().filter(|name| **name != rendered.variant).map(|name| (*name).to_owned());
                let variants = std::iter::once(rendered.variant.clone()).chain(others).collect();
                Said { content: rendered.content, variants, wording }
            }
            failed => {
                if let Some(Err(error)) = failed {
                    log::warn!("template failed name={template} error={error}");
                }
                let subject = trigger.item.or(items.first().copied()).and_then(|item| catalogue.get(item));
                let title = subject.map_or_else(|| "For you".to_owned(), |item| item.name());
                let content = Content { title: shorten(&title, MAX_TITLE_CHARS), body: String::new() };
                Said { content, variants: Vec::new(), wording: None }
            }
        }
    }

    fn context(&self, trigger: &Trigger, items: &[ItemId], catalogue: &Catalogue, now: Timestamp) -> Value {
        let listed: Vec<Value> = items
            .iter()
            .take(MAX_ITEMS)
            .filter_map(|item| catalogue.get(*item))
            .map(|item| item_words(item))
            .collect();
        let zone = self.device_zone.as_ref().or(self.preferences.time_zone.as_ref());
        json!({
            "user": {"user_id": self.external_id, "segment": self.segment.map(|segment| segment.to_string())},
            "item": trigger.item.and_then(|item| catalogue.get(item)).map(|item| item_words(item)),
            "items": listed, "count": items.len(), "price_before": trigger.price_before, "event": trigger.event.as_deref(),
            "locale": self.preferences.locale.as_deref().unwrap_or("en"),
            "time_zone": zone.and_then(|zone| zone.iana_name()), "now": now,
        })
    }
}
