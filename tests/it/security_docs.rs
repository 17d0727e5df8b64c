//! The threat model and the table of the ASVS: the tests they name exist, and no requirement is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn functions(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| line.split_once("fn ")?.1.split_once('('));
            into.extend(names.map(|(name, _)| name.to_owned()));
        }
    }
}

/// Names of functions of the code and its tests.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for folder in ["src", "tests"] {
        functions(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut known);
    }
    known
}

/// Texts between backticks.
fn named(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let known = known();
    let page = read("docs/security/threats.md");
    let threats = page.split_once("## Threats").unwrap().1.split_once("## Rate limits").unwrap().0;
    let mut n = 0;
    for row in threats.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| test |")) {
        let names = named(row.trim_end_matches(" |").rsplit_once("| ").unwrap().1);
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            assert!(known.contains(name), "{name} does not exist: {row}");
        }
        n += 1;
    }
    assert!(n > 20, "{n} threats found");
}

#[test]
fn every_requirement_of_the_asvs_has_its_line_and_its_tests_exist() {
    let known = known();
    let list = read("tests/it/fixtures/asvs-5.0.0.txt");
    let mut missing: BTreeMap<&str, &str> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    assert_eq!(missing.len(), 253);
    let page = read("docs/security/asvs.md");
    let (mut wrong, mut states) = (Vec::new(), BTreeMap::new());
    for row in page.lines().filter(|line| line.starts_with("| V")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[ids, levels, what, state, shown] = cells.as_slice() else { panic!("not five cells: {row}") };
        for id in ids.split(", ") {
            match missing.remove(id) {
                Some(level) if levels.split(", ").any(|one| one == level) => {
                    *states.entry(state).or_insert(0) += 1
                }
                Some(level) => wrong.push(format!("{id} is of level {level}: {row}")),
                None => wrong.push(format!("{id} is no requirement, or has two lines")),
            }
        }
        let tests: Vec<&str> =
            named(shown).into_iter().filter(|name| name.matches('_').count() > 2).collect();
        wrong.extend(
            tests
                .iter()
                .filter(|name| !known.contains(**name))
                .map(|name| format!("{ids}: there is no {name}")),
        );
        // A state is nothing without what it rests on.
        if what.is_empty() || shown.is_empty() || !["met", "partly", "not met", "n/a"].contains(&state) {
            wrong.push(format!("{ids}: {row}"));
        }
    }
    wrong.extend(missing.keys().map(|id| format!("{id} has no line")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{states:?}");
}
