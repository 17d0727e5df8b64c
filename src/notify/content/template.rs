//! Templates: named, with variants to choose between and texts by language, compiled once. The engine is minijinja with
//! no loader, no includes, limited fuel and recursion: a template can read what it is given and nothing else.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use super::locale::fallbacks;
use super::{Content, MAX_BODY_CHARS, MAX_TITLE_CHARS, filters, shorten};

/// Longest source of one text, bytes.
const MAX_SOURCE_BYTES: usize = 2_048;
/// Most variants of a template, languages of a variant.
const MAX_VARIANTS: usize = 8;
const MAX_LANGUAGES: usize = 32;
/// Instructions one text may run: a list of fifty items takes some hundreds.
const FUEL: u64 = 10_000;
/// Calls within calls.
const MAX_RECURSION: usize = 16;
/// Longest output that is looked at, bytes; a loop that writes more runs out of fuel soon after.
const MAX_OUTPUT_BYTES: usize = 64 << 10;

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct TemplateError {
    /// Where: `variant a, de, title`.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

/// Title and body, as sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// One line.
    pub title: String,
    /// One sentence.
    pub body: String,
}

/// One way to say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name, e.g. `short`.
    pub name: String,
    /// By language tag; `en` is the last resort.
    pub texts: BTreeMap<String, Text>,
}

/// All ways to say something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name, by which triggers know it.
    pub name: String,
    /// One at least.
    pub variants: Vec<Variant>,
}

/// What came of rendering: the words and which of the variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The words.
    pub content: Content,
    /// The variant's name.
    pub variant: String,
    /// The language they are in.
    pub language: String,
}

/// A context as JSON; [`super::TemplateContext`] is the typed one.
pub type Words = serde_json::Value;

/// Compiled templates. Cheap to read from many threads.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    /// Variant → languages, in the order of the source, by template.
    known: BTreeMap<String, Vec<(String, Vec<String>)>>,
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::empty();
        environment.add_filter("upper", minijinja::filters::upper);
        environment.add_filter("lower", minijinja::filters::lower);
        environment.add_filter("title", minijinja::filters::title);
        environment.add_filter("trim", minijinja::filters::trim);
        environment.add_filter("length", minijinja::filters::length);
        environment.add_filter("first", minijinja::filters::first);
        environment.add_filter("join", minijinja::filters::join);
        environment.add_filter("default", minijinja::filters::default);
        environment.add_test("defined", minijinja::tests::is_defined);
        filters::add(&mut environment);
        // What is missing is empty: a message with a hole beats none, and previews show it.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_RECURSION);
        Self { environment, known: BTreeMap::new() }
    }
}

fn key(template: &str, variant: &str, language: &str, part: &str) -> String {
    format!("{template}/{variant}/{language}/{part}")
}

impl Templates {
    /// Compiles; a template that is wrong names its place. The last of a name holds.
    pub fn new<'a>(templates: impl IntoIterator<Item = &'a Template>) -> Result<Self, TemplateError> {
        let mut compiled = Self::default();
        for template in templates {
            compiled.add(template)?;
        }
        Ok(compiled)
    }

    fn add(&mut self, template: &Template) -> Result<(), TemplateError> {
        let wrong = |place: String, message: &str| Err(TemplateError { place, message: message.to_owned() });
        let is_name = |text: &str, also: char| {
            (1..=64).contains(&text.len())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == also)
        };
        if !is_name(&template.name, '_') {
            return wrong("name".to_owned(), "must be 1…64 of letters, digits and _");
        }
        if !(1..=MAX_VARIANTS).contains(&template.variants.len()) {
            return wrong("variants".to_owned(), "must be 1…8");
        }
        let mut known = Vec::new();
        for variant in &template.variants {
            let place = format!("variant {}", shorten(&variant.name, 64));
            if !is_name(&variant.name, '_') || known.iter().any(|(name, _)| *name == variant.name) {
                return wrong(place, "names must be 1…64 of letters, digits and _, each once");
            }
            if !(1..=MAX_LANGUAGES).contains(&variant.texts.len()) || !variant.texts.contains_key("en") {
                return wrong(
                    place,
                    "must have a text in \"en\", which the others fall back to, and at most 32 languages",
                );
            }
            for (language, text) in &variant.texts {
                if !is_name(language, '-') || *language != language.to_ascii_lowercase() {
                    return wrong(place, "languages are lower-case tags such as de or de-at");
                }
                for (part, source) in [("title", &text.title), ("body", &text.body)] {
                    let place = format!("{place}, {language}, {part}");
                    if source.len() > MAX_SOURCE_BYTES {
                        return wrong(place, "must have at most 2,048 bytes");
                    }
                    let key = key(&template.name, &variant.name, language, part);
                    if let Err(error) = self.environment.add_template_owned(key, source.clone()) {
                        return wrong(place, &error.to_string());
                    }
                }
            }
            known.push((variant.name.clone(), variant.texts.keys().cloned().collect()));
        }
        self.known.insert(template.name.clone(), known);
        Ok(())
    }

    /// Names of a template's variants, in order; empty for one that is not there.
    pub fn variants(&self, template: &str) -> Vec<&str> {
        self.known.get(template).into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// Places of the variants that speak the language best suited among all of them.
    pub fn on_offer(&self, template: &str, locale: &str) -> Vec<usize> {
        let variants = self.known.get(template).map_or(&[][..], Vec::as_slice);
        let speakers = |tag: &String| -> Vec<usize> {
            let speaks = variants.iter().enumerate().filter(|(_, (_, languages))| languages.contains(tag));
            speaks.map(|(place, _)| place).collect()
        };
        fallbacks(locale).iter().map(speakers).find(|places| !places.is_empty()).unwrap_or_default()
    }

    /// Words in the user's language, cut to their limits. `variant`: its place, taken round (so that any number chooses
    /// one). `context` is a [`super::TemplateContext`]. `None` for a template that is not there; an error when it can't be carried out.
    pub fn render(
        &self,
        template: &str,
        variant: usize,
        locale: &str,
        context: &impl Serialize,
    ) -> Option<Result<Rendered, TemplateError>> {
        let variants = self.known.get(template)?;
        let (name, languages) = variants.get(variant % variants.len().max(1))?;
        let language = fallbacks(locale).into_iter().find(|tag| languages.contains(tag))?;
        let part = |part: &str| {
            let key = key(template, name, &language, part);
            let rendered = self.environment.get_template(&key).and_then(|found| found.render(context));
            rendered.map_err(|error| TemplateError {
                place: format!("variant {name}, {language}, {part}"),
                message: shorten(&error.to_string(), MAX_BODY_CHARS),
            })
        };
        let cut = |text: String, max| {
            let end = text
                .char_indices()
                .map(|(at, _)| at)
                .find(|at| *at >= MAX_OUTPUT_BYTES)
                .unwrap_or(text.len());
            shorten(text.get(..end).unwrap_or_default(), max)
        };
        Some((|| {
            let content = Content {
                title: cut(part("title")?, MAX_TITLE_CHARS),
                body: cut(part("body")?, MAX_BODY_CHARS),
            };
            Ok(Rendered { content, variant: name.clone(), language: language.clone() })
        })())
    }
}
