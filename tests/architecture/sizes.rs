//! Bounds of files and functions: 450 lines a file, 60 lines a function's body.

use std::fs;
use std::path::Path;

use crate::sources;

const FILE_LINES: usize = 450;
const FUNCTION_LINES: usize = 60;
/// Written by `diesel print-schema`.
const GENERATED: [&str; 1] = ["src/schema/schema.rs"];

/// Name, first line and lines of the body of each function, as `rustfmt` sets them: the body ends at the first brace that is
/// indented as the function is.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        let Some(name) = name_of(bare) else { continue };
        let is_indented = |line: &str, rest: &str| {
            line.len() == indent + rest.len() && line.ends_with(rest) && line[..indent].trim().is_empty()
        };
        let ends_signature = |at: usize, line: &str| {
            let of_its_own = line.get(indent..).is_some_and(|rest| rest.starts_with([')', '{']));
            at == first || (of_its_own && line[..indent].trim().is_empty())
        };
        let from_first = || lines.iter().enumerate().skip(first);
        let Some((open, _)) =
            from_first().find(|(at, line)| line.ends_with('{') && ends_signature(*at, line))
        else {
            continue;
        };
        // A declaration without a body ends before that.
        let ends = |(at, line): (usize, &&str)| line.ends_with([';', '}']) && ends_signature(at, line);
        if from_first().take(open - first).any(ends) {
            continue;
        }
        let close = (open + 1..lines.len()).find(|at| is_indented(lines[*at], "}"));
        if let Some(close) = close {
            found.push((name, first + 1, close - open - 1));
        }
    }
    found
}

/// The function that a line begins.
fn name_of(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let words = ["const", "async", "unsafe", "extern", "\"C\"", "default"];
    let is_qualifier = |word: &str| word.starts_with("pub") || words.contains(&word);
    // `pub(in a::b)` has a blank.
    let is_head = before.split_whitespace().all(|word| is_qualifier(word) || word.ends_with(')'));
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (is_head && !name.is_empty()).then_some(name)
}

fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut files);
    }
    let prefix = format!("{}/", root.display());
    let named = |(path, text): (String, String)| (path.strip_prefix(&prefix).unwrap().to_owned(), text);
    files.into_iter().map(named).collect()
}

#[test]
fn files_are_short() {
    let is_long = |(path, text): &(String, String)| {
        let lines = text.lines().count();
        (lines > FILE_LINES && !GENERATED.contains(&path.as_str())).then(|| format!("{path}: {lines} lines"))
    };
    let long: Vec<String> = files().iter().filter_map(is_long).collect();
    assert!(long.is_empty(), "over {FILE_LINES} lines, split by subject:\n{}", long.join("\n"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(GENERATED.iter().all(|path| fs::exists(root.join(path)).unwrap()), "{GENERATED:?}");
}

#[test]
fn functions_are_short() {
    let mut n_functions = 0;
    let mut long = Vec::new();
    for (path, text) in files() {
        for (name, line, lines) in functions(&text) {
            n_functions += 1;
            if lines > FUNCTION_LINES {
                long.push(format!("{path}:{line}: {name} has {lines} lines"));
            }
        }
    }
    assert!(n_functions > 5_000, "only {n_functions} functions were found");
    assert!(long.is_empty(), "over {FUNCTION_LINES} lines, take apart by subject:\n{}", long.join("\n"));
}

#[test]
fn the_lines_of_a_function_are_counted_however_it_is_written() {
    let text = "\
pub(crate) async fn one(a: u8) -> u8 {
    a
}
trait T {
    fn declared(&self) -> u8;
    fn long_declared(
        &self,
    ) -> u8;
    fn two(&self) {
        if true {
            other();
        }
    }
}
fn empty() {}
fn three<F>(
    f: F,
) -> u8
where
    F: Fn() -> u8,
{
    // Said here: fn none() {
    f();
    1
}
";
    let counted: Vec<(String, usize, usize)> = functions(text);
    let counted: Vec<(&str, usize, usize)> =
        counted.iter().map(|(name, a, b)| (name.as_str(), *a, *b)).collect();
    assert_eq!(counted, [("one", 1, 1), ("two", 9, 3), ("three", 16, 3)]);
}
