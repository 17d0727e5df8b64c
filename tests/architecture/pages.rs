//! The dashboard and the browser client: nothing that comes from outside becomes markup or code.

use std::fs;
use std::path::{Path, PathBuf};

/// Ways from a text to markup or code.
const SINKS: [&str; 10] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "setHTMLUnsafe",
    "document.write",
    "createContextualFragment",
    "parseFromString",
    "srcdoc",
    "eval(",
    "new Function",
];

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            // Code of others.
            true if path.ends_with("vendor") => {}
            true => files(&path, into),
            false => into.push(path),
        }
    }
}

#[test]
fn no_part_of_the_code_is_html_made_of_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["static", "clients/js/src"] {
        files(&root.join(folder), &mut found);
    }
    let (mut n, mut wrong) = (0, Vec::new());
    for path in found {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        n += 1;
        for (number, line) in text.lines().enumerate() {
            let sinks = SINKS.iter().filter(|sink| line.contains(**sink));
            wrong.extend(sinks.map(|sink| format!("{}:{}: {sink}", path.display(), number + 1)));
        }
    }
    assert!(n > 20, "{n} files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
