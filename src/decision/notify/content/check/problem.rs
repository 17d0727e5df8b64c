//! Problems of a text: how grave, where, and what to do about them.

/// Severity of a problem: whether a text with it is still used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It can't be parsed, or could take the server's memory or time: never compiled.
    Fatal,
    /// It can be rendered, but not to what its author meant: refused when it is stored, used if it is stored already.
    Mistake,
}

/// Problem in a text, and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
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
    pub fn of(source: &str, offset: usize) -> Self {
        let end = (0..=offset.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
        let before = source.get(..end).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }
}

/// Hint at the name that was meant, if one is near.
pub(super) fn did_you_mean(name: Option<&str>) -> String {
    name.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}
