//! Tries a template out before it is stored: every text in the sample contexts of every trigger that uses the template.
//!
//! The grammar can't tell a name that nothing has, a filter that does not exist, or a price that is missing for half of the
//! catalogue; each of them reaches readers as a hole or as no text at all. A stored template is not tried again: what no
//! longer passes goes on being used as far as it renders.

use std::cell::Cell;
use std::sync::Arc;

use super::check::{Checked, Position, Problem, check};
use super::context::TemplateContext;
use super::samples::{Sample, samples};
use super::template::{Part, TRIAL_FUEL, Template, TemplateError, Templates, place};
use crate::notify::triggers::{self, Condition, Definition};

/// Returns whether the template may be stored: it compiles, names only what there is, and renders in every context that the
/// triggers which use it can lead to, never to a blank title. Without such a trigger: for some kind of trigger.
pub fn validate<'a>(
    template: &Template,
    used_by: impl IntoIterator<Item = &'a Arc<Definition>>,
) -> Result<(), TemplateError> {
    let compiled = Templates::new([template])?;
    let reads = check_sources(template)?;
    let left = Cell::new(TRIAL_FUEL);
    let mut is_used = false;
    for definition in used_by {
        is_used = true;
        let user = format!("trigger \"{}\"", definition.name);
        try_out(&compiled, template, &definition.when, &user, &left)?;
    }
    if is_used {
        return Ok(());
    }
    let kinds: Vec<Condition> = triggers::defaults().into_iter().map(|definition| definition.when).collect();
    let fits = |when: &Condition| try_out(&compiled, template, when, "", &left).is_ok();
    if kinds.iter().any(fits) {
        return Ok(());
    }
    // The kind that it seems to be meant for.
    let meant = kinds.iter().find(|when| match when {
        Condition::PriceDrop { .. } => reads.contains(&"price_before"),
        Condition::Api => reads.contains(&"event") && !reads.contains(&"price_before"),
        Condition::ViewedOften { .. } => reads.contains(&"item") && !reads.contains(&"event"),
        Condition::Login => !["price_before", "event", "item"].iter().any(|name| reads.contains(name)),
        _ => false,
    });
    let meant = meant.unwrap_or(&Condition::Login);
    let user =
        format!("any trigger; no trigger uses it yet, so it was tried as one of kind {}", meant.kind());
    try_out(&compiled, template, meant, &user, &left)
}

/// Returns whether all names, filters and arguments of a template are there; which top-level variables it reads.
pub fn check_sources(template: &Template) -> Result<Vec<&str>, TemplateError> {
    let mut reads = Vec::new();
    for variant in &template.variants {
        for (language, text) in &variant.texts {
            for (part, source) in text.parts() {
                let checked = check(source);
                if let Some(Problem { position, message, .. }) = checked.problems.into_iter().next() {
                    let place = place(&variant.name, language, part);
                    return Err(TemplateError { place, position: Some(position), message });
                }
                reads.extend(checked.reads);
            }
        }
    }
    Ok(reads)
}

impl Templates {
    /// Returns whether a stored template renders in every context of a trigger that is to use it. A template that is not there passes.
    pub fn fits(&self, template: &str, definition: &Definition) -> Result<(), TemplateError> {
        let left = Cell::new(TRIAL_FUEL);
        for variant in self.compiled(template) {
            for (language, _) in &variant.languages {
                let user = format!("trigger \"{}\"", definition.name);
                self.try_text(template, &variant.name, language, &definition.when, &user, &left)?;
            }
        }
        Ok(())
    }

    fn try_text(
        &self,
        template: &str,
        variant: &str,
        language: &str,
        when: &Condition,
        user: &str,
        left: &Cell<u64>,
    ) -> Result<(), TemplateError> {
        let source = |part: Part| self.source(template, variant, language, part).unwrap_or_default();
        let (title, body) = (source(Part::Title), source(Part::Body));
        for Sample { case, context } in samples(when) {
            let context = TemplateContext { locale: language.to_owned(), ..context };
            let write = |part: Part, context: &TemplateContext| {
                self.written(template, variant, language, part, context, left).map_err(|error| {
                    TemplateError { message: format!("{} (for {user}: {case})", error.message), ..error }
                })
            };
            // Fields of `event` are the shop's: the body may count on those that it reads, the title on the documented ones.
            let with_event = |source: &str| {
                let event =
                    context.event.as_deref().map(|event| Arc::new(check(source).event.example(event)));
                TemplateContext { event, ..context.clone() }
            };
            write(Part::Body, &with_event(&body))?;
            write(Part::Title, &with_event(&title))?;
            if write(Part::Title, &context)?.trim().is_empty() {
                let hint = match when {
                    Condition::Api | Condition::OrderStatus => {
                        "; of `event` only title and body are sure, so write {{ event.name or event.title }}"
                    }
                    _ => "",
                };
                return Err(TemplateError {
                    place: place(variant, language, Part::Title),
                    position: Some(Position { line: 1, column: 1 }),
                    message: format!("is blank for {user}: {case}{hint}"),
                });
            }
        }
        Ok(())
    }
}

fn try_out(
    compiled: &Templates,
    template: &Template,
    when: &Condition,
    user: &str,
    left: &Cell<u64>,
) -> Result<(), TemplateError> {
    for variant in &template.variants {
        for (language, text) in &variant.texts {
            compiled.try_text(&template.name, &variant.name, language, when, user, left)?;
            never_blank(compiled, template, (&variant.name, language, &text.body), when, user, left)?;
        }
    }
    Ok(())
}

/// A body that has a source must have something to say in some context; fields of `event` and attributes of users are the shop's,
/// so what reads them can't be known.
fn never_blank(
    compiled: &Templates,
    template: &Template,
    (variant, language, source): (&str, &str, &str),
    when: &Condition,
    user: &str,
    left: &Cell<u64>,
) -> Result<(), TemplateError> {
    let Checked { reads, .. } = check(source);
    let of_shop = reads.contains(&"event") || (reads.contains(&"user") && source.contains("attributes"));
    if source.trim().is_empty() || of_shop {
        return Ok(());
    }
    let says = |Sample { context, .. }: Sample| {
        let context = TemplateContext { locale: language.to_owned(), ..context };
        let written = compiled.written(&template.name, variant, language, Part::Body, &context, left);
        written.is_ok_and(|text| !text.trim().is_empty())
    };
    if samples(when).into_iter().any(says) {
        return Ok(());
    }
    Err(TemplateError {
        place: place(variant, language, Part::Body),
        position: Some(Position { line: 1, column: 1 }),
        message: format!("is always blank for {user}: leave it empty, or read what such a message has"),
    })
}
