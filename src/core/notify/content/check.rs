//! Reads the source of one text of a template before it is compiled, and finds what the grammar lets through: names that
//! nothing has, filters and arguments that are not there, and values that could grow without bound.
//!
//! The engine limits instructions, not bytes: thirty-one `{% set a = a ~ a %}` are a hundred instructions and two gigabytes,
//! and constants are folded while compiling, before any limit. So each value is given an upper bound ([`Typed::bytes`]) from
//! those of its operands, and a text in which one could pass [`MAX_VALUE_BYTES`] is never compiled. With the engine's limit of
//! instructions and a limited writer this bounds memory and time of every rendering. Cost: linear in the source, eight times
//! that inside of three loops.

use std::collections::HashMap;

use minijinja::machinery::ast::{
    BinOp, BinOpKind, Call, CallArg, Const, Expr, Filter, ForLoop, Stmt, UnaryOpKind,
};
use minijinja::machinery::{Span, WhitespaceConfig, parse};
use minijinja::value::ValueKind;

use super::context::VARIABLES;
use super::shapes::{
    EventFields, FILTERS, NUMBER_BYTES, OTHER_FILTER_NAMES, PLURAL_CATEGORIES, Shape, TESTS, Typed, Use,
};
use crate::base::nearest;

/// Most bytes of one value.
const MAX_VALUE_BYTES: u64 = 64 << 10;
/// Loops within loops; each level doubles the work of the check.
const MAX_LOOPS: usize = 3;
/// A text may be repeated so many times by a number in the source.
const MAX_REPEATS: u64 = 100;

/// Severity of a problem: whether a text with it is still used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// It can't be parsed, or could take the server's memory or time: never compiled.
    Fatal,
    /// It can be rendered, but not to what its author meant: refused when it is stored, used if it is stored already.
    Mistake,
}

/// Problem in a text, and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub severity: Severity,
    pub position: Position,
    /// Description of the problem and its fix.
    pub message: String,
}

/// A place in a source, both from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Character of the line.
    pub column: usize,
}

impl Position {
    /// The place of a byte.
    pub(super) fn of(source: &str, offset: usize) -> Self {
        let end = (0..=offset.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
        let before = source.get(..end).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }
}

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

    fn variable(&mut self, name: &'s str, span: Span) -> Typed {
        if let Some(value) = self.scopes.iter().rev().find_map(|frame| frame.get(name)) {
            return *value;
        }
        if let Some(value) = Typed::variable(name) {
            if !self.reads.contains(&name) {
                self.reads.push(name);
            }
            return Typed { field: (name == "event").then_some(EventFields::EVENT), ..value };
        }
        let set = self.scopes.iter().flat_map(HashMap::keys).copied().collect::<Vec<_>>();
        let meant = nearest(name, VARIABLES.into_iter().chain(set));
        self.mistake(
            span,
            format!("there is no `{name}`{}; a template reads {}", did_you_mean(meant), VARIABLES.join(", ")),
        );
        Typed::MISSING
    }

    fn field(&mut self, of: Typed, name: &str, span: Span) -> Typed {
        match of.fields() {
            Some(fields) if !fields.contains(&name) => {
                let hint = match (of.shape, fields) {
                    (Shape::Items, _) => ": write items[0] or {% for item in items %}".to_owned(),
                    (_, []) => " and no fields at all".to_owned(),
                    (_, fields) => {
                        format!(
                            "{}; its fields are {}",
                            did_you_mean(nearest(name, fields.iter().copied())),
                            fields.join(", ")
                        )
                    }
                };
                self.mistake(span, format!("{} has no `{name}`{hint}", of.description()));
            }
            _ => {}
        }
        Typed { field: of.field.map(|field| self.event.child(field, name)), ..of.field(name) }
    }

    fn expression(&mut self, expression: &Expr<'s>) -> Typed {
        let span = expression.span();
        match expression {
            Expr::Var(variable) => self.variable(variable.id, span),
            Expr::Const(constant) => of_constant(constant),
            Expr::Slice(slice) => {
                let value = self.expression(&slice.expr);
                for bound in [&slice.start, &slice.stop].into_iter().flatten() {
                    self.expression(bound);
                }
                if slice.step.is_some() {
                    self.fatal(span, "a slice can't have a step");
                }
                value
            }
            Expr::UnaryOp(unary) => {
                self.expression(&unary.expr);
                match unary.op {
                    UnaryOpKind::Not | UnaryOpKind::Neg => Typed::NUMBER,
                }
            }
            Expr::BinOp(operation) => self.operation(operation, span),
            Expr::Compare(compare) => {
                self.expression(&compare.expr);
                for operand in &compare.ops {
                    self.expression(&operand.expr);
                    self.never_none(&operand.expr, span);
                }
                Typed::NUMBER
            }
            Expr::IfExpr(branch) => {
                self.expression(&branch.test_expr);
                let yes = self.expression(&branch.true_expr);
                let no = branch.false_expr.as_ref().map(|no| self.expression(no));
                yes.or(no.unwrap_or(Typed::MISSING))
            }
            Expr::Filter(filter) => {
                let value = filter.expr.as_ref().map_or(Typed::MISSING, |value| self.expression(value));
                self.filter(filter, value, span)
            }
            Expr::Test(test) => {
                self.expression(&test.expr);
                self.arguments(&test.args);
                if !TESTS.contains(&test.name) {
                    let meant = did_you_mean(nearest(test.name, TESTS));
                    self.mistake(
                        span,
                        format!("there is no test `is {}`{meant}; tests are {}", test.name, TESTS.join(", ")),
                    );
                }
                Typed::NUMBER
            }
            Expr::GetAttr(attribute) => {
                let of = self.expression(&attribute.expr);
                self.field(of, attribute.name, span)
            }
            Expr::GetItem(item) => {
                let of = self.expression(&item.expr);
                let key = self.expression(&item.subscript_expr);
                match (&item.subscript_expr, of.shape) {
                    (Expr::Const(name), Shape::User | Shape::Item | Shape::Loop | Shape::Any)
                        if key.shape == Shape::Text =>
                    {
                        let name = name.value.to_string();
                        self.field(of, &name, span)
                    }
                    (_, Shape::Items | Shape::Any) if key.shape != Shape::Text => self.element(of),
                    _ => Typed::new(Shape::Any, of.bytes),
                }
            }
            Expr::Call(call) => self.call(call, span),
            Expr::List(list) => {
                let parts = list.items.iter().map(|part| self.expression(part).bytes.max(1));
                let bytes = parts.fold(2u64, |sum, bytes| sum.saturating_add(bytes).saturating_add(2));
                self.bounded(Typed::new(Shape::Any, bytes), span)
            }
            Expr::Map(map) => {
                let parts = map.keys.iter().chain(&map.values).map(|part| self.expression(part).bytes.max(1));
                let bytes = parts.fold(2u64, |sum, bytes| sum.saturating_add(bytes).saturating_add(2));
                self.bounded(Typed::new(Shape::Any, bytes), span)
            }
        }
    }

    /// Reports a comparison with `none`: nothing ever is.
    fn never_none(&mut self, operand: &Expr<'s>, span: Span) {
        if matches!(operand, Expr::Const(constant) if constant.value.is_none()) {
            self.mistake(
                span,
                "what is missing is not none: write `is defined` or `is undefined`".to_owned(),
            );
        }
    }

    fn operation(&mut self, operation: &BinOp<'s>, span: Span) -> Typed {
        let (left, right) = (self.expression(&operation.left), self.expression(&operation.right));
        if matches!(operation.op, BinOpKind::Eq | BinOpKind::Ne) {
            self.never_none(&operation.left, span);
            self.never_none(&operation.right, span);
        }
        let is_number = |value: Typed| value.shape == Shape::Number;
        let sum = left.bytes.saturating_add(right.bytes);
        if let BinOpKind::Add
        | BinOpKind::Sub
        | BinOpKind::Mul
        | BinOpKind::Div
        | BinOpKind::FloorDiv
        | BinOpKind::Rem
        | BinOpKind::Pow = operation.op
        {
            self.event.note(left.field, Use::Number);
            self.event.note(right.field, Use::Number);
        }
        match operation.op {
            BinOpKind::ScAnd | BinOpKind::ScOr => left.or(right),
            BinOpKind::Concat => self.bounded(Typed::text(sum), span),
            BinOpKind::Add if is_number(left) || is_number(right) => Typed::NUMBER,
            BinOpKind::Add => self.bounded(Typed::new(Shape::Any, sum), span),
            BinOpKind::Mul if is_number(left) && is_number(right) => Typed::NUMBER,
            BinOpKind::Mul => {
                let times = |side: &Expr<'s>| match side {
                    Expr::Const(constant) => u64::try_from(constant.value.clone()).ok(),
                    _ => None,
                };
                let times = times(&operation.left).or_else(|| times(&operation.right));
                match times.filter(|times| *times <= MAX_REPEATS) {
                    Some(times) => {
                        let longest = left.bytes.max(right.bytes).max(1);
                        self.bounded(Typed::new(Shape::Any, longest.saturating_mul(times)), span)
                    }
                    None => {
                        self.fatal(
                            span,
                            format!(
                                "`*` could repeat a text or a list without bound; multiply numbers (a field of `event` with \
                                 the filter `float`), or by at most {MAX_REPEATS}"
                            ),
                        );
                        Typed::NUMBER
                    }
                }
            }
            _ => Typed::NUMBER,
        }
    }

    /// Walks arguments; the sum of their bytes.
    fn arguments(&mut self, arguments: &[CallArg<'s>]) -> u64 {
        arguments.iter().fold(0, |sum: u64, argument| {
            let value = match argument {
                CallArg::Pos(value) | CallArg::Kwarg(_, value) => value,
                CallArg::PosSplat(value) | CallArg::KwargSplat(value) => {
                    self.fatal(value.span(), "arguments can't be unpacked from a list or map");
                    value
                }
            };
            sum.saturating_add(self.expression(value).bytes)
        })
    }

    fn call(&mut self, call: &Call<'s>, span: Span) -> Typed {
        let bytes = self.arguments(&call.args);
        match &call.expr {
            Expr::GetAttr(method) if matches!(method.name, "cycle" | "changed") => {
                let of = self.expression(&method.expr);
                if method.name == "cycle"
                    && !call.args.iter().any(|argument| matches!(argument, CallArg::Pos(_)))
                {
                    // The engine divides by their number.
                    self.fatal(span, "`cycle` needs a value");
                } else if of.shape != Shape::Loop {
                    self.mistake(span, format!("only `loop` has `{}`", method.name));
                }
            }
            other => {
                let name = match other {
                    Expr::Var(function) => function.id,
                    Expr::GetAttr(method) => {
                        self.expression(&method.expr);
                        method.name
                    }
                    _ => "",
                };
                let meant = nearest(name, FILTERS.iter().map(|(name, _)| *name));
                let hint = meant.map(|name| format!(": write {{{{ … | {name} }}}}")).unwrap_or_default();
                self.mistake(span, format!("a template can't call functions{hint}"));
            }
        }
        Typed::new(Shape::Any, bytes)
    }

    /// A filter whose value comes from a block.
    fn piped(&mut self, filter: &Expr<'s>, value: Typed) -> Typed {
        match filter {
            Expr::Filter(one) => {
                let value = one.expr.as_ref().map_or(value, |before| self.piped(before, value));
                self.filter(one, value, filter.span())
            }
            other => self.expression(other),
        }
    }

    fn filter(&mut self, filter: &Filter<'s>, value: Typed, span: Span) -> Typed {
        let arguments = self.arguments(&filter.args);
        let Some((name, positional)) = FILTERS.iter().find(|(name, _)| *name == filter.name) else {
            let other =
                OTHER_FILTER_NAMES.iter().find(|(other, _)| *other == filter.name).map(|(_, name)| *name);
            let meant = other.or_else(|| nearest(filter.name, FILTERS.iter().map(|(name, _)| *name)));
            let all: Vec<&str> = FILTERS.iter().map(|(name, _)| *name).collect();
            self.mistake(
                span,
                format!(
                    "there is no filter `{}`{}; filters are {}",
                    filter.name,
                    did_you_mean(meant),
                    all.join(", ")
                ),
            );
            return Typed::new(Shape::Any, value.bytes.saturating_add(arguments));
        };
        let given = filter.args.iter().filter(|argument| matches!(argument, CallArg::Pos(_))).count();
        if given > *positional {
            self.mistake(
                span,
                format!("the filter `{name}` takes {positional} arguments at most, not {given}"),
            );
        }
        self.named_arguments(filter, span);
        match *name {
            "money" | "number" | "plural" | "int" | "float" => self.event.note(value.field, Use::Number),
            "date" | "relative" => self.event.note(value.field, Use::Time),
            _ => {}
        }
        let result = match *name {
            "upper" | "lower" | "title" => Typed::text(value.bytes.saturating_mul(3)),
            "trim" => Typed::text(value.bytes),
            "length" | "int" | "float" => Typed::NUMBER,
            "first" => self.element(value),
            "join" => {
                let between = arguments.saturating_mul(value.elements());
                Typed::text(value.bytes.saturating_add(between))
            }
            "default" => value.or(Typed::new(value.shape, arguments)),
            "plural" => Typed::text(self.longest_form(filter)),
            _ => Typed::text(NUMBER_BYTES.saturating_mul(2).saturating_add(arguments)),
        };
        self.bounded(result, span)
    }

    fn named_arguments(&mut self, filter: &Filter<'s>, span: Span) {
        let named = filter.args.iter().filter_map(|argument| match argument {
            CallArg::Kwarg(name, _) => Some(*name),
            _ => None,
        });
        let named: Vec<&str> = named.collect();
        if filter.name != "plural" {
            if let Some(name) = named.first() {
                self.mistake(span, format!("the filter `{}` has no argument `{name}`", filter.name));
            }
            return;
        }
        if let Some(name) = named.iter().find(|name| !PLURAL_CATEGORIES.contains(name)) {
            let meant = did_you_mean(nearest(name, PLURAL_CATEGORIES));
            self.mistake(
                span,
                format!("`{name}` is no plural category{meant}; they are {}", PLURAL_CATEGORIES.join(", ")),
            );
        }
        if !named.contains(&"other") {
            self.mistake(
                span,
                "the filter `plural` needs `other=`, the form of all other numbers".to_owned(),
            );
        }
    }

    /// Most bytes of a plural form with its number written for each `#`.
    fn longest_form(&mut self, filter: &Filter<'s>) -> u64 {
        let forms = filter.args.iter().map(|argument| match argument {
            CallArg::Pos(Expr::Const(form)) | CallArg::Kwarg(_, Expr::Const(form)) => {
                let text = form.value.to_string();
                (text.matches('#').count() as u64)
                    .saturating_mul(NUMBER_BYTES)
                    .saturating_add(text.len() as u64)
            }
            CallArg::Pos(form)
            | CallArg::Kwarg(_, form)
            | CallArg::PosSplat(form)
            | CallArg::KwargSplat(form) => self.expression(form).bytes.saturating_mul(NUMBER_BYTES),
        });
        forms.max().unwrap_or(0)
    }
}

fn of_constant(constant: &Const) -> Typed {
    match constant.value.kind() {
        ValueKind::Bool | ValueKind::Number => Typed::NUMBER,
        ValueKind::String => Typed::text(constant.value.as_str().map_or(0, str::len) as u64),
        _ => Typed::new(Shape::Any, constant.value.to_string().len() as u64),
    }
}

fn did_you_mean(name: Option<&str>) -> String {
    name.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}
