//! Walks filters: whether there is one of the name, its arguments, and an upper bound of its result.

use minijinja::machinery::Span;
use minijinja::machinery::ast::{CallArg, Expr, Filter};

use super::Checker;
use super::problem::did_you_mean;
use crate::notify::content::shapes::{
    FILTERS, NUMBER_BYTES, OTHER_FILTER_NAMES, PLURAL_CATEGORIES, Shape, Typed, Use,
};
use tidings_core::base::nearest;

impl<'s> Checker<'s> {
    /// A filter whose value comes from a block.
    pub(super) fn piped(&mut self, filter: &Expr<'s>, value: Typed) -> Typed {
        match filter {
            Expr::Filter(one) => {
                let value = one.expr.as_ref().map_or(value, |before| self.piped(before, value));
                self.filter(one, value, filter.span())
            }
            other => self.expression(other),
        }
    }

    pub(super) fn filter(&mut self, filter: &Filter<'s>, value: Typed, span: Span) -> Typed {
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
