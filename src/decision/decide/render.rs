//! Title and body of a trigger's message: the template's variant is chosen, its context built, the text rendered in the user's
//! language.

use super::user_state::UserState;
use super::world::World;
use crate::feedback::experiments::Slice;
use crate::feedback::learner::WordingChoice;
use crate::notify::Content;
use crate::notify::content::{MAX_BODY_CHARS, MAX_TITLE_CHARS, Reader, TemplateContext, shorten};
use crate::notify::triggers::Trigger;
use tidings_core::base::ItemId;

/// A rendered message.
#[derive(Clone, Debug)]
pub struct RenderedMessage {
    /// Title and body.
    pub content: Content,
    /// Variants of the template, the chosen one first; empty when none could be rendered.
    pub variants: Vec<String>,
    /// Choice of the variant; `None` where there was nothing to choose.
    pub wording: Option<WordingChoice>,
    /// Error in rendering the template; the content then is what the shop's call said, else names the item.
    pub error: Option<String>,
}

impl UserState {
    /// Renders a trigger's message about `items` in the user's language; `mentions` are titles of collected messages without
    /// an item. A trigger whose template is missing or fails still tells title and body of the shop's call, or names its item.
    pub fn render(
        &self,
        trigger: &Trigger,
        items: &[ItemId],
        mentions: &[String],
        world: &World<'_>,
    ) -> RenderedMessage {
        let templates = &world.definitions.templates;
        let template = &trigger.definition.template;
        let locale = self.preferences.locale.as_deref().unwrap_or("en");
        let known = templates.variants(template);
        let mut offer = templates.on_offer(template, locale);
        let on_trial = self.variant_on_trial(world.definitions, template);
        let place = on_trial.and_then(|name| known.iter().position(|known| *known == name));
        // In another language than the user's it would be another experiment.
        if let Some(place) = place.filter(|place| offer.contains(place)) {
            offer = vec![place];
        }
        let now = world.now;
        let wording = match self.slice(world.rules()) {
            // Of every message anew, so that the log has as many draws as messages.
            Slice::Uniform => {
                WordingChoice::even(template, &known, &offer, &mut self.draw_of_moment("words", now))
            }
            // Drawn anew for each user and day.
            Slice::Learned | Slice::Holdout => {
                let mut draw = self.draw_of_day(template, now);
                world.learner.choose_wording(&self.learning, template, &known, &offer, now, &mut draw)
            }
        };
        let place = wording.as_ref().map_or_else(|| offer.first().copied(), |wording| Some(wording.index()));
        let context = self.template_context(trigger, items, world).mentioning(mentions);
        match templates.render(template, place.unwrap_or(0), locale, &context) {
            Some(Ok(rendered)) if !is_blank(&rendered.content) => {
                let others =
                    known.iter().filter(|name| **name != rendered.variant).map(|name| (*name).to_owned());
                let variants = std::iter::once(rendered.variant.clone()).chain(others).collect();
                let error = rendered.problem.map(|problem| problem.to_string());
                RenderedMessage { content: rendered.content, variants, wording, error }
            }
            failed => {
                let error = match failed {
                    None => format!("there is no template \"{template}\""),
                    Some(Ok(rendered)) => format!("variant {}: title and body are blank", rendered.variant),
                    Some(Err(error)) => error.to_string(),
                };
                let subject = trigger.item.or(items.first().copied());
                let item = subject.and_then(|item| world.catalogue.get(item));
                // A client that logs in waits for its answer, whatever the template.
                let otherwise = if trigger.is_asked_for() { "For you" } else { "" };
                let name = || item.map_or_else(|| otherwise.to_owned(), |item| item.name());
                let content = Content {
                    title: shorten(&trigger.title().unwrap_or_else(name), MAX_TITLE_CHARS),
                    body: shorten(&trigger.body().unwrap_or_default(), MAX_BODY_CHARS),
                };
                RenderedMessage { content, variants: Vec::new(), wording: None, error: Some(error) }
            }
        }
    }

    fn template_context(&self, trigger: &Trigger, items: &[ItemId], world: &World<'_>) -> TemplateContext {
        let zone = self.device_zone.as_ref().or(self.preferences.time_zone.as_ref());
        let reader = Reader {
            user_id: &self.external_id,
            segment: self.segment,
            attributes: &self.attributes,
            locale: self.preferences.locale.as_deref(),
            time_zone: zone.and_then(|zone| zone.iana_name()),
        };
        TemplateContext::new(reader, trigger, items, world.catalogue, world.now)
    }
}

fn is_blank(content: &Content) -> bool {
    content.title.trim().is_empty() && content.body.trim().is_empty()
}

impl RenderedMessage {
    /// Returns whether there is nothing to read: the template failed and there is no item to name.
    pub fn is_blank(&self) -> bool {
        is_blank(&self.content)
    }
}
