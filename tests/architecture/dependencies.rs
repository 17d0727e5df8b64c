//! The manifests: a dependency that no source file of its crate names is an error.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{code, sources};

/// Dependencies that no source file names, each with its reason.
const UNNAMED: [(&str, &str); 0] = [];

/// Folders of the crates beside the server's own.
fn crates() -> impl Iterator<Item = String> {
    let beside = super::CRATES.iter().map(|(name, _)| format!("src/{name}/"));
    super::DOMAIN.iter().map(|folder| format!("src/{folder}")).chain(beside)
}

/// The folder of the crate that a file belongs to, empty for the server's.
fn crate_of(path: &str) -> String {
    crates().find(|folder| path.starts_with(folder)).unwrap_or_default()
}

/// Whether the code names a crate: in a path that begins with it, or in a `use` of it alone.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let is_whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        let after = &code[at + name.len()..];
        let is_used = code[..at].ends_with("use ") && (after.starts_with(';') || after.starts_with(" as "));
        is_whole && (after.starts_with("::") || is_used)
    })
}

/// Keys of a table of a manifest, as the code writes them, with whether each is inherited from the workspace.
fn dependencies(manifest: &toml::Table, table: &str) -> Vec<(String, bool)> {
    let Some(table) = manifest.get(table).and_then(toml::Value::as_table) else { return Vec::new() };
    let is_inherited = |value: &toml::Value| value.get("workspace").is_some();
    table.iter().map(|(name, value)| (name.clone(), is_inherited(value))).collect()
}

#[test]
fn every_dependency_is_named_by_the_crate_that_declares_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| -> toml::Table { fs::read_to_string(root.join(path)).unwrap().parse().unwrap() };
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("tests"), &mut files);
    let inside = |path: &str| path[root.as_os_str().len() + 1..].to_owned();
    let is_test =
        |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("tests/");
    // What is named by tests alone is a dependency of tests.
    let of = |owner: &str, tests: bool| {
        let own =
            files.iter().map(|(path, text)| (inside(path), text)).filter(|(path, _)| crate_of(path) == owner);
        let texts = own.filter(|(path, _)| tests || !is_test(path));
        texts.map(|(_, text)| if tests { text.clone() } else { code(text) }).collect::<Vec<_>>().join("\n")
    };
    let server = read("Cargo.toml");
    let crates: Vec<_> = std::iter::once(String::new())
        .chain(crates())
        .map(|owner| {
            let path = format!("{owner}Cargo.toml");
            (read(&path), path, of(&owner, false), of(&owner, true))
        })
        .collect();
    let (mut unused, mut inherited) = (Vec::new(), BTreeSet::new());
    for (manifest, path, product, everything) in &crates {
        assert!(dependencies(manifest, "build-dependencies").is_empty(), "{path}: there is no build script");
        for (table, code) in [("dependencies", product), ("dev-dependencies", everything)] {
            for (name, is_inherited) in dependencies(manifest, table) {
                if !names_crate(code, &name.replace('-', "_")) {
                    unused.push(format!("{path}: {table}.{name}"));
                }
                if is_inherited {
                    inherited.insert(name);
                }
            }
        }
    }
    let workspace = server["workspace"].as_table().unwrap();
    let never =
        dependencies(workspace, "dependencies").into_iter().filter(|(name, _)| !inherited.contains(name));
    unused.extend(never.map(|(name, _)| format!("Cargo.toml: workspace.dependencies.{name}")));
    unused.retain(|one| !UNNAMED.iter().any(|(name, _)| one.ends_with(&format!(".{name}"))));
    assert!(unused.is_empty(), "named by no source file: {unused:#?}");
    for name in UNNAMED.iter().map(|(name, _)| name.replace('-', "_")) {
        let is_named = crates.iter().any(|(_, _, product, _)| names_crate(product, &name));
        assert!(!is_named, "{name} is named now; take it off the list");
    }
}

#[test]
fn a_crate_is_named_by_a_path_or_a_use_and_not_by_a_word() {
    for code in ["use csv;", "use csv as c;", "let r = csv::Reader::new();", "use csv::Reader;", "(csv::x)"] {
        assert!(names_crate(code, "csv"), "{code}");
    }
    for code in
        ["my_csv::x", "crate::csv::x", "let csv = 1;", "csv_core::x", "use std::{csv};", "reuse csv_x;"]
    {
        assert!(!names_crate(code, "csv"), "{code}");
    }
}
