//! Wording of doc comments: a noun phrase or a third-person verb, no question.

use std::path::Path;

use crate::sources;

const QUESTION_WORDS: [&str; 14] = [
    "How", "What", "Whatever", "When", "Whenever", "Where", "Wherever", "Whether", "Which", "Who", "Whoever",
    "Whom", "Whose", "Why",
];
/// Largest share of doc comments that may begin with one, of 1.
const MAX_SHARE: f64 = 0.01;

/// First line of each doc comment, with its number.
fn beginnings(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let marker = |line: &str| ["///", "//!"].into_iter().find(|marker| line.trim_start().starts_with(marker));
    let mut before = None;
    text.lines().enumerate().filter_map(move |(place, line)| {
        let own = marker(line);
        let is_first = std::mem::replace(&mut before, own) != own && own.is_some();
        is_first.then(|| (place + 1, line.trim_start().get(3..).unwrap_or("").trim()))
    })
}

fn is_question(beginning: &str) -> bool {
    let word = beginning.split(|c: char| !c.is_alphabetic()).next().unwrap_or("");
    QUESTION_WORDS.contains(&word) || beginning.ends_with('?')
}

#[test]
fn doc_comments_do_not_begin_with_a_question() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let (mut all, mut questions) = (0, Vec::new());
    for (path, text) in &files {
        for (line, beginning) in beginnings(text) {
            all += 1;
            questions.extend(is_question(beginning).then(|| format!("{path}:{line}: {beginning}")));
        }
    }
    let share = questions.len() as f64 / f64::from(all);
    assert!(all > 5_000, "only {all} doc comments were found");
    assert!(share <= MAX_SHARE, "{share:.4} of {all} begin with a question:\n{}", questions.join("\n"));
}

#[test]
fn a_doc_comment_is_read_from_its_first_line() {
    let text = "//! A module.\n//! What it does.\n\n/// Whether.\n/// More.\nfn a() {}\n    /// Which?\n// Why\nlet b;";
    let found: Vec<(usize, bool)> =
        beginnings(text).map(|(line, beginning)| (line, is_question(beginning))).collect();
    assert_eq!(found, [(1, false), (4, true), (7, true)]);
    assert!(!is_question("Whatsoever") && is_question("Who's") && is_question("Empty?"));
}
