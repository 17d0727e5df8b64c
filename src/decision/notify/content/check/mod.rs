//! Reads the source of one text of a template before it is compiled, and finds what the grammar lets through: names that
//! nothing has, filters and arguments that are not there, and values that could grow without bound.
//!
//! The engine limits instructions, not bytes: thirty-one `{% set a = a ~ a %}` are a hundred instructions and two gigabytes,
//! and constants are folded while compiling, before any limit. So each value is given an upper bound ([`Typed::bytes`]) from
//! those of its operands, and a text in which one could pass [`MAX_VALUE_BYTES`] is never compiled. With the engine's limit of
//! instructions and a limited writer this bounds memory and time of every rendering. Cost: linear in the source, eight times
//! that inside of three loops.

use std::collections::HashMap;

use minijinja::machinery::ast::{Expr, ForLoop, Stmt};
use minijinja::machinery::{Span, WhitespaceConfig, parse};

use super::shapes::{EventFields, NUMBER_BYTES, Shape, Typed};

mod expression;
mod filter;
mod problem;

pub use problem::Position;
pub(super) use problem::{Problem, Severity};

/// Most bytes of one value.
const MAX_VALUE_BYTES: u64 = 64 << 10;
/// Loops within loops; each level doubles the work of the check.
const MAX_LOOPS: usize = 3;

/// Findings of a check.
#[derive(Debug, Default)]
pub(super) struct Checked<'s> {
    /// In the order of the source.
    pub problems: Vec<Problem>,
    /// The top-level variables that the text reads.
    pub reads: Vec<&'s str>,
    /// The fields of `event` that it reads.
    pub event: EventFields,
}

/// Checks the source of a title or body.
pub(super) fn check(source: &str) -> Checked<'_> {
    let mut checker = Checker { source, ..Checker::default() };
    match parse(source, "text", Default::default(), WhitespaceConfig::default()) {
        Ok(template) => {
            checker.scopes.push(HashMap::new());
            checker.statement(&template);
        }
        Err(error) => {
            let position = Position::of(source, error.range().map_or(0, |range| range.start));
            let detail = error.detail().unwrap_or("can't be parsed").to_owned();
            let message = match detail.strip_prefix("unknown statement ") {
                Some(name) => format!(
                    "there is no statement `{name}`; a template has {{{{ … }}}}, {{% if %}}, {{% for %}}, {{% set %}} and {{% with %}}"
                ),
                None => detail,
            };
            checker.problems.push(Problem { severity: Severity::Fatal, position, message });
        }
    }
    Checked { problems: checker.problems, reads: checker.reads, event: checker.event }
}

#[derive(Default)]
struct Checker<'s> {
    source: &'s str,
    problems: Vec<Problem>,
    reads: Vec<&'s str>,
    event: EventFields,
    /// Variables that the template sets, by frame, innermost last. As the engine has it, a frame of a loop outlives its rounds,
    /// and `{% if %}` has none of its own.
    scopes: Vec<HashMap<&'s str, Typed>>,
    loops: usize,
}

impl<'s> Checker<'s> {
    fn report(&mut self, severity: Severity, span: Span, message: String) {
        let position = Position::of(self.source, span.start_offset as usize);
        let problem = Problem { severity, position, message };
        // A loop is walked twice.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn mistake(&mut self, span: Span, message: String) {
        self.report(Severity::Mistake, span, message);
    }

    fn fatal(&mut self, span: Span, message: impl Into<String>) {
        self.report(Severity::Fatal, span, message.into());
    }

    /// The value, unless it may be too long.
    fn bounded(&mut self, value: Typed, span: Span) -> Typed {
        if value.bytes <= MAX_VALUE_BYTES {
            return value;
        }
        self.fatal(
            span,
            format!("could grow to {} bytes; a value may have {MAX_VALUE_BYTES} at most", value.bytes),
        );
        Typed { bytes: MAX_VALUE_BYTES, ..value }
    }

    /// Walks statements; most bytes they write in one go.
    fn block(&mut self, statements: &[Stmt<'s>]) -> u64 {
        statements.iter().fold(0, |sum: u64, statement| sum.saturating_add(self.statement(statement)))
    }

    fn statement(&mut self, statement: &Stmt<'s>) -> u64 {
        match statement {
            Stmt::Template(template) => self.block(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr).bytes,
            Stmt::EmitRaw(raw) => raw.raw.len() as u64,
            Stmt::ForLoop(for_loop) => self.for_loop(for_loop, for_loop.span()),
            Stmt::IfCond(branch) => {
                self.expression(&branch.expr);
                let yes = self.block(&branch.true_body);
                yes.max(self.block(&branch.false_body))
            }
            Stmt::WithBlock(with) => {
                self.scopes.push(HashMap::new());
                for (target, value) in &with.assignments {
                    let value = self.expression(value);
                    self.assign(target, value);
                }
                let written = self.block(&with.body);
                self.scopes.pop();
                written
            }
            Stmt::Set(set) => {
                let value = self.expression(&set.expr);
                self.assign(&set.target, value);
                0
            }
            Stmt::SetBlock(set) => {
                let written = Typed::text(self.block(&set.body));
                let mut value = self.bounded(written, set.span());
                if let Some(filter) = &set.filter {
                    value = self.piped(filter, value);
                }
                self.assign(&set.target, value);
                0
            }
            Stmt::FilterBlock(filtered) => {
                let written = Typed::text(self.block(&filtered.body));
                let written = self.bounded(written, filtered.span());
                self.piped(&filtered.filter, written).bytes
            }
            Stmt::AutoEscape(escaped) => {
                self.mistake(escaped.span(), "messages are plain text: leave autoescape out".to_owned());
                self.expression(&escaped.enabled);
                self.block(&escaped.body).saturating_mul(6)
            }
            Stmt::Do(call) => {
                self.call(&call.call, call.span());
                0
            }
        }
    }

    fn for_loop(&mut self, for_loop: &ForLoop<'s>, span: Span) -> u64 {
        let list = self.expression(&for_loop.iter);
        if list.shape == Shape::Number {
            self.mistake(
                span,
                "a number can't be looped over; loop over `items` or a list of `event`".to_owned(),
            );
        }
        if for_loop.recursive {
            self.fatal(span, "loops can't be recursive");
            return 0;
        }
        if self.loops >= MAX_LOOPS {
            self.fatal(span, format!("at most {MAX_LOOPS} loops within each other"));
            return 0;
        }
        self.loops += 1;
        self.scopes.push([("loop", Typed::new(Shape::Loop, NUMBER_BYTES))].into());
        let element = self.element(list);
        self.assign(&for_loop.target, element);
        let mut written = 0;
        let mut sizes = HashMap::new();
        // What a round sets the next one reads: a second round shows what grows.
        for round in 0..2 {
            if let Some(condition) = &for_loop.filter_expr {
                self.expression(condition);
            }
            written = self.block(&for_loop.body);
            let frame = self.scopes.last().cloned().unwrap_or_default();
            let grows = |(name, value): (&&'s str, &Typed)| {
                let before = sizes.get(name).copied().unwrap_or(value.bytes);
                (value.bytes > before).then_some(*name)
            };
            if round > 0
                && let Some(name) = frame.iter().filter_map(grows).min()
            {
                self.fatal(span, format!("`{name}` grows with every round of the loop"));
            }
            sizes = frame.into_iter().map(|(name, value)| (name, value.bytes)).collect();
        }
        self.scopes.pop();
        self.loops -= 1;
        let once = self.block(&for_loop.else_body);
        written.saturating_mul(list.elements()).max(once)
    }

    /// One element of a value, or one character.
    fn element(&mut self, of: Typed) -> Typed {
        Typed { field: of.field.map(|field| self.event.element(field)), ..of.element() }
    }

    fn assign(&mut self, target: &Expr<'s>, value: Typed) {
        match target {
            Expr::Var(name) => {
                if let Some(frame) = self.scopes.last_mut() {
                    // Inside of `{% if %}` the old value may stay.
                    let value = frame.get(name.id).map_or(value, |old| value.or(*old));
                    frame.insert(name.id, value);
                }
            }
            Expr::List(names) => {
                for name in &names.items {
                    let element = self.element(value);
                    self.assign(name, element);
                }
            }
            other => self.fatal(other.span(), "only a name can be set"),
        }
    }
}
