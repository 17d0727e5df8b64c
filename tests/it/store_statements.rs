//! Statements of the store: long ones are files of their own, which say what they do and with which parameters.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a statement inside a string literal.
const MAX_LINES: usize = 6;

/// Every file under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Lines of the longest statement that stands in a string literal.
fn longest_statement(text: &str) -> usize {
    let starts = ["SELECT ", "WITH ", "INSERT ", "UPDATE ", "DELETE "];
    let pieces = text.split('"').filter(|piece| starts.iter().any(|start| piece.starts_with(start)));
    pieces.map(|piece| piece.lines().count()).max().unwrap_or(0)
}

#[test]
fn long_statements_are_sql_files_and_each_is_used() {
    assert_eq!(longest_statement("f(\"SELECT 1 \\\n FROM t\"); g(\"no\n\nSQL\")"), 2);
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let (mut included, mut there) = (BTreeSet::new(), BTreeSet::new());
    for path in files(&store) {
        let text = fs::read_to_string(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "sql") {
            there.insert(path);
            continue;
        }
        let lines = longest_statement(&text);
        assert!(lines <= MAX_LINES, "{}: a statement of {lines} lines", path.display());
        let names = text.split('"').filter(|piece| piece.ends_with(".sql"));
        included.extend(names.map(|name| path.with_file_name(name)));
    }
    assert!(there.len() > 10, "{there:?}");
    assert_eq!(included, there);
}

#[test]
fn each_sql_file_says_what_it_does_and_its_parameters() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    for path in files(&store).into_iter().filter(|path| path.extension().is_some_and(|e| e == "sql")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("-- ") && text.contains("\n-- Parameters: "), "{}", path.display());
        // Each question mark of the text is a parameter, and each brace a part that is put in.
        let comments = text.lines().filter(|line| line.trim_start().starts_with("--"));
        assert!(comments.clone().all(|line| !line.contains(['?', '{'])), "{}", path.display());
    }
}
