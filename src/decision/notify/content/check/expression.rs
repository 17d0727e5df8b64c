//! Walks expressions: the shape of each value, an upper bound of its bytes, and names that nothing has.

use std::collections::HashMap;

use minijinja::machinery::Span;
use minijinja::machinery::ast::{
    BinOp, BinOpKind, Call, CallArg, Const, Expr, GetItem, Slice, Test, UnaryOpKind,
};
use minijinja::value::ValueKind;

use super::Checker;
use super::problem::did_you_mean;
use crate::notify::content::context::VARIABLES;
use crate::notify::content::shapes::{EventFields, FILTERS, Shape, TESTS, Typed, Use};
use tidings_core::base::nearest;

/// A text may be repeated so many times by a number in the source.
const MAX_REPEATS: u64 = 100;

impl<'s> Checker<'s> {
    pub(super) fn variable(&mut self, name: &'s str, span: Span) -> Typed {
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

    pub(super) fn expression(&mut self, expression: &Expr<'s>) -> Typed {
        let span = expression.span();
        match expression {
            Expr::Var(variable) => self.variable(variable.id, span),
            Expr::Const(constant) => of_constant(constant),
            Expr::Slice(slice) => self.slice(slice, span),
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
            Expr::Test(test) => self.test(test, span),
            Expr::GetAttr(attribute) => {
                let of = self.expression(&attribute.expr);
                self.field(of, attribute.name, span)
            }
            Expr::GetItem(item) => self.subscript(item, span),
            Expr::Call(call) => self.call(call, span),
            Expr::List(list) => self.collection(list.items.iter(), span),
            Expr::Map(map) => self.collection(map.keys.iter().chain(&map.values), span),
        }
    }

    fn slice(&mut self, slice: &Slice<'s>, span: Span) -> Typed {
        let value = self.expression(&slice.expr);
        for bound in [&slice.start, &slice.stop].into_iter().flatten() {
            self.expression(bound);
        }
        if slice.step.is_some() {
            self.fatal(span, "a slice can't have a step");
        }
        value
    }

    fn test(&mut self, test: &Test<'s>, span: Span) -> Typed {
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

    /// A field by its name, or an element by its place.
    fn subscript(&mut self, item: &GetItem<'s>, span: Span) -> Typed {
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

    /// A list or map as it would be printed: its parts, two bytes between them and two around.
    fn collection<'e>(&mut self, parts: impl Iterator<Item = &'e Expr<'s>>, span: Span) -> Typed
    where
        's: 'e,
    {
        let bytes = parts
            .fold(2u64, |sum, part| sum.saturating_add(self.expression(part).bytes.max(1)).saturating_add(2));
        self.bounded(Typed::new(Shape::Any, bytes), span)
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
    pub(super) fn arguments(&mut self, arguments: &[CallArg<'s>]) -> u64 {
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

    pub(super) fn call(&mut self, call: &Call<'s>, span: Span) -> Typed {
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
}

fn of_constant(constant: &Const) -> Typed {
    match constant.value.kind() {
        ValueKind::Bool | ValueKind::Number => Typed::NUMBER,
        ValueKind::String => Typed::text(constant.value.as_str().map_or(0, str::len) as u64),
        _ => Typed::new(Shape::Any, constant.value.to_string().len() as u64),
    }
}
