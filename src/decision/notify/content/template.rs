//! Templates: named, with variants to choose between and texts by language, compiled once.
//!
//! The engine is minijinja without loader, includes, macros and functions: a text reads its context and nothing else. What
//! could take memory or time without bound is refused before it is compiled (`check/`); instructions and output are limited
//! while rendering. Storing a template asks more, see [`super::validate`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};
use serde::{Deserialize, Serialize};

use super::check::{Checked, Position, Severity, check};
use super::filters;
use super::languages::{Language, closest};
use super::text::{Content, MAX_BODY_CHARS, MAX_TITLE_CHARS, shorten};

/// Longest source of one text, bytes.
const MAX_SOURCE_BYTES: usize = 2_048;
/// Most variants of a template, languages of a variant.
const MAX_VARIANTS: usize = 8;
const MAX_LANGUAGES: usize = 32;
/// Instructions one text may run: a list of fifty items takes some hundreds.
const FUEL: u64 = 10_000;
/// Instructions that all texts of a template may take while it is checked: 512 texts of some hundred each, in every sample.
pub(super) const TRIAL_FUEL: u64 = 4_000_000;
/// Calls within calls.
const MAX_RECURSION: usize = 16;
/// Longest output, bytes; what a text writes beyond is lost, since far less of it is shown.
const MAX_OUTPUT_BYTES: usize = 64 << 10;
/// The language that each variant has, for readers of none of the others.
const LAST_RESORT: &str = "en";

/// Error in a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TemplateError {
    /// Text with the error: `variant a, de, title`.
    pub place: String,
    /// Position in that text; `None` if the error is not about its source.
    pub position: Option<Position>,
    /// Description of the error and its fix.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(Position { line, column }) => {
                write!(f, "{}, line {line}, column {column}: {}", self.place, self.message)
            }
            None => write!(f, "{}: {}", self.place, self.message),
        }
    }
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

impl Text {
    /// Both sources, each with its name.
    pub(super) fn parts(&self) -> [(Part, &str); 2] {
        [(Part::Title, &self.title), (Part::Body, &self.body)]
    }
}

/// Title or body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Title,
    Body,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Title => "title",
            Self::Body => "body",
        })
    }
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

/// Result of rendering: title and body, and the chosen variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Title and body.
    pub content: Content,
    /// The variant's name.
    pub variant: String,
    /// The language they are in, as the template names it.
    pub language: String,
    /// Reason the body could not be rendered and is left out.
    pub problem: Option<TemplateError>,
}

/// A variant that is compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    pub name: String,
    /// Tags as the template has them, each with what it means; in order of the tags.
    pub languages: Vec<(String, Language)>,
}

/// Compiled templates. Cheap to read from many threads.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    /// Variants in the order of the source, by template.
    known: BTreeMap<String, Vec<Compiled>>,
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::empty();
        filters::add(&mut environment);
        // What is missing is empty: a message with a hole beats none. Storing a template shows where holes can be.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_RECURSION);
        // Positions of errors need no copy of the variables.
        environment.set_debug(false);
        Self { environment, known: BTreeMap::new() }
    }
}

fn key(template: &str, variant: &str, language: &str, part: Part) -> String {
    format!("{template}/{variant}/{language}/{part}")
}

/// The place of a text, for errors.
pub(super) fn place(variant: &str, language: &str, part: Part) -> String {
    format!("variant {variant}, {language}, {part}")
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
        let wrong = |place: String, message: &str| {
            Err(TemplateError { place, position: None, message: message.to_owned() })
        };
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
        let mut known: Vec<Compiled> = Vec::new();
        for variant in &template.variants {
            let whole = format!("variant {}", shorten(&variant.name, 64));
            if !is_name(&variant.name, '_') || known.iter().any(|other| other.name == variant.name) {
                return wrong(whole, "names must be 1…64 of letters, digits and _, each once");
            }
            if !(1..=MAX_LANGUAGES).contains(&variant.texts.len()) || !variant.texts.contains_key(LAST_RESORT)
            {
                return wrong(
                    whole,
                    "must have a text in \"en\", which the others fall back to, and at most 32 languages",
                );
            }
            let mut languages = Vec::new();
            for (language, text) in &variant.texts {
                let parsed = Language::parse(language);
                let Some(parsed) =
                    parsed.filter(|_| is_name(language, '-') && *language == language.to_ascii_lowercase())
                else {
                    return wrong(whole, "languages are lower-case tags such as de or de-at");
                };
                languages.push((language.clone(), parsed));
                for (part, source) in text.parts() {
                    let place = place(&variant.name, language, part);
                    if source.len() > MAX_SOURCE_BYTES {
                        return wrong(place, "must have at most 2,048 bytes");
                    }
                    let Checked { problems, .. } = check(source);
                    if let Some(problem) = problems.into_iter().find(|one| one.severity == Severity::Fatal) {
                        return Err(TemplateError {
                            place,
                            position: Some(problem.position),
                            message: problem.message,
                        });
                    }
                    let key = key(&template.name, &variant.name, language, part);
                    self.environment
                        .add_template_owned(key, source.to_owned())
                        .map_err(|error| of_engine(place, source, &error))?;
                }
            }
            known.push(Compiled { name: variant.name.clone(), languages });
        }
        self.known.insert(template.name.clone(), known);
        Ok(())
    }

    /// Names of a template's variants, in order; empty for one that is not there.
    pub fn variants(&self, template: &str) -> Vec<&str> {
        self.compiled(template).iter().map(|variant| variant.name.as_str()).collect()
    }

    pub(super) fn known_names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    pub(super) fn compiled(&self, template: &str) -> &[Compiled] {
        self.known.get(template).map_or(&[], Vec::as_slice)
    }

    /// Places of the variants that have the language closest to the reader's among those of all variants.
    pub fn on_offer(&self, template: &str, locale: &str) -> Vec<usize> {
        let variants = self.compiled(template);
        let all: BTreeMap<&str, &Language> = variants
            .iter()
            .flat_map(|variant| variant.languages.iter().map(|(tag, language)| (tag.as_str(), language)))
            .collect();
        let wanted = Language::parse(locale);
        let found = wanted.and_then(|wanted| closest(&wanted, all.values().copied()));
        let tag = found.and_then(|place| all.keys().nth(place).copied()).unwrap_or(LAST_RESORT);
        let has = |variant: &Compiled| variant.languages.iter().any(|(other, _)| other == tag);
        variants.iter().enumerate().filter(|(_, variant)| has(variant)).map(|(place, _)| place).collect()
    }

    /// Title and body in the language closest to the reader's, cut to their limits. `variant`: its place, taken round (so that
    /// any number chooses one). `context` is a [`super::TemplateContext`]. A blank title gives way to the body; a body that
    /// fails is left out. `None` for a template that is not there; an error if the title fails or both are blank. Memory and
    /// time are bounded.
    pub fn render(
        &self,
        template: &str,
        variant: usize,
        locale: &str,
        context: &impl Serialize,
    ) -> Option<Result<Rendered, TemplateError>> {
        let variants = self.known.get(template)?;
        let variant = variants.get(variant % variants.len().max(1))?;
        let wanted = Language::parse(locale);
        let found =
            wanted.as_ref().and_then(|wanted| closest(wanted, variant.languages.iter().map(|(_, one)| one)));
        let last_resort = || variant.languages.iter().position(|(tag, _)| tag == LAST_RESORT);
        let (tag, language) = variant.languages.get(found.or_else(last_resort)?)?;
        // Plural forms are those of the text's language; its region is the reader's where they are of one language.
        let speaks = wanted.is_some_and(|wanted| wanted.is_same_language(language));
        let text_locale = if speaks { locale } else { tag };
        let words = context! { text_locale, ..minijinja::Value::from_serialize(context) };
        let part = |part: Part| self.part(template, &variant.name, tag, part, &words).0;
        Some((|| {
            let mut title = shorten(&part(Part::Title)?, MAX_TITLE_CHARS);
            let (mut body, problem) = match part(Part::Body) {
                Ok(body) => (shorten(&body, MAX_BODY_CHARS), None),
                Err(error) => (String::new(), Some(error)),
            };
            if title.is_empty() {
                title = shorten(&std::mem::take(&mut body), MAX_TITLE_CHARS);
            }
            match (title.is_empty(), problem) {
                (true, Some(problem)) => Err(problem),
                (true, None) => {
                    let place = place(&variant.name, tag, Part::Title);
                    Err(TemplateError {
                        place,
                        position: None,
                        message: "is blank, as the body is".to_owned(),
                    })
                }
                (false, problem) => {
                    let content = Content { title, body };
                    Ok(Rendered { content, variant: variant.name.clone(), language: tag.clone(), problem })
                }
            }
        })())
    }

    /// The source of a text; `None` if there is none.
    pub(super) fn source(&self, template: &str, variant: &str, language: &str, part: Part) -> Option<String> {
        let found = self.environment.get_template(&key(template, variant, language, part)).ok()?;
        Some(found.source().to_owned())
    }

    /// One text, as it is written out, cut off after [`MAX_OUTPUT_BYTES`]; and the instructions it took.
    fn part(
        &self,
        template: &str,
        variant: &str,
        language: &str,
        part: Part,
        words: &minijinja::Value,
    ) -> (Result<String, TemplateError>, u64) {
        let key = key(template, variant, language, part);
        let failed =
            |source: &str, error: &minijinja::Error| of_engine(place(variant, language, part), source, error);
        let found = match self.environment.get_template(&key) {
            Ok(found) => found,
            Err(error) => return (Err(failed("", &error)), 0),
        };
        let mut output = Limited(Vec::new());
        let steps = match found.render_captured_to(words, &mut output) {
            Ok(captured) => captured.state().fuel_levels().map_or(FUEL, |(consumed, _)| consumed),
            Err(error) if error.kind() == ErrorKind::WriteFailure && output.is_full() => FUEL,
            Err(error) => return (Err(failed(found.source(), &error)), FUEL),
        };
        (Ok(String::from_utf8_lossy(&output.0).into_owned()), steps)
    }

    /// One text of a template in a context, untrimmed and uncut, for checks before it is stored. `left`: instructions that all texts of
    /// one check may still take.
    pub(super) fn written(
        &self,
        template: &str,
        variant: &str,
        language: &str,
        part: Part,
        context: &impl Serialize,
        left: &Cell<u64>,
    ) -> Result<String, TemplateError> {
        if left.get() == 0 {
            let message =
                "takes too many steps in all its variants and languages together: loop over fewer things";
            let place = place(variant, language, part);
            return Err(TemplateError { place, position: None, message: message.to_owned() });
        }
        let words = context! { text_locale => language, ..minijinja::Value::from_serialize(context) };
        let (written, steps) = self.part(template, variant, language, part, &words);
        left.set(left.get().saturating_sub(steps));
        written
    }
}

/// An error of the engine, without the parts that name its own files.
fn of_engine(place: String, source: &str, error: &minijinja::Error) -> TemplateError {
    let position = error.range().map(|range| Position::of(source, range.start));
    let message = match error.kind() {
        ErrorKind::OutOfFuel => "takes too many steps: loop over fewer things".to_owned(),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    TemplateError { place, position, message: shorten(&message, MAX_BODY_CHARS) }
}

/// Takes [`MAX_OUTPUT_BYTES`] and fails after that.
struct Limited(Vec<u8>);

impl Limited {
    fn is_full(&self) -> bool {
        self.0.len() >= MAX_OUTPUT_BYTES
    }
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_OUTPUT_BYTES.saturating_sub(self.0.len());
        if room == 0 {
            return Err(io::Error::other("the output is too long"));
        }
        let taken = bytes.get(..bytes.len().min(room)).unwrap_or(bytes);
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
