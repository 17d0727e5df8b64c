//! Reads `src/` and fails on an import that points the wrong way, on files that import each other in a circle, and on a
//! domain that names the outside world.
#![cfg(test)]

#[path = "architecture/audited.rs"]
mod audited;
#[path = "architecture/authorisation.rs"]
mod authorisation;
#[path = "architecture/dependencies.rs"]
mod dependencies;
#[path = "architecture/fuzz_targets.rs"]
mod fuzz_targets;
#[path = "architecture/pages.rs"]
mod pages;
#[path = "architecture/sizes.rs"]
mod sizes;
#[path = "architecture/typed_api.rs"]
mod typed_api;
#[path = "architecture/words.rs"]
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, path::Path};

/// Modules of the domain, in the order an event flows, those of `src/core` before those of `src/decision`. A module may import those
/// before it, and its own.
const ORDER: [&str; 14] = [
    "base",
    "config",
    "catalogue",
    "event",
    "ml",
    "profile",
    "response",
    "recommend",
    "evaluate",
    "notify",
    "feedback",
    "deliver",
    "privacy",
    "decide",
];
/// Folders of the two crates of the domain; their modules are named without them.
const DOMAIN: [&str; 2] = ["core/", "decision/"];
/// Crates that make records into events, as pure as the domain.
const PURE: [&str; 1] = ["intake"];
/// The other crates, by folder, and those of them that each may depend on: an adapter sees one outside thing each and none of the
/// others, what comes after them sees all before it. That they keep to it is for the compiler.
const CRATES: [(&str, &[&str]); 11] = [
    ("schema", &[]),
    ("store", &["schema"]),
    ("transport", &[]),
    ("telemetry", &[]),
    ("state", &["store", "telemetry", "transport"]),
    ("actors", &["store", "telemetry", "transport", "state"]),
    ("http", &["store", "telemetry", "transport", "state", "actors"]),
    ("intake", &[]),
    ("import", &["store", "intake"]),
    ("demo", &["store"]),
    ("pull", &["intake"]),
];
/// Modules of the server's own crate, which assembles them.
const SHELL: [&str; 1] = ["app"];
/// Paths that the pure domain must not name.
const IMPURE: [&str; 9] = [
    "actix",
    "actix_web",
    "actix_web_actors",
    "diesel",
    "tokio",
    "log",
    "env_logger",
    "std::time::SystemTime",
    "std::time::Instant",
];
/// Paths that a decision must not name as well: it builds no JSON by hand and shares no state.
const IMPURE_TO_DECIDE: [&str; 3] = ["serde_json::json", "parking_lot", "arc_swap"];
/// Calls and types that read the clock, wherever they come from.
const CLOCK: [&str; 3] = ["Timestamp::now(", "Instant::now(", "SystemTime::now("];

fn may_import(module: &str, imported: &str) -> bool {
    let place = |name: &str| ORDER.iter().position(|module| *module == name);
    match (place(module), place(imported)) {
        (Some(own), Some(other)) => other <= own,
        _ => true,
    }
}

fn sources(dir: &Path, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Files of all crates: the module or crate, the path under `src/`, and the text.
fn each_source(mut check: impl FnMut(&str, &str, &str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "src/ was not found");
    for (path, text) in &files {
        let inside = path.strip_prefix(&format!("{}/", root.display())).unwrap();
        let of_domain = DOMAIN.iter().find_map(|folder| inside.strip_prefix(folder));
        let inside = of_domain.unwrap_or(inside);
        check(inside.split(['/', '.']).next().unwrap(), inside, text);
    }
}

/// The code of a file without its comments and without its unit tests.
fn code(text: &str) -> String {
    // Not at `mod tests;`: what follows it is no test.
    let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(crate) mod tests {"];
    let end = tests.iter().filter_map(|tests| text.find(tests)).min().unwrap_or(text.len());
    let text = text.get(..end).unwrap_or(text);
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Every path that a file imports or names: `use` trees are taken apart, and paths from `crate`, `self`, `super` and `std` in
/// the code are added. `mod` declarations are none.
fn named_paths(text: &str) -> Vec<String> {
    let text = code(text);
    let mut paths = Vec::new();
    let mut rest = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        let bare = match bare.strip_prefix("pub") {
            Some(public) => public.trim_start_matches("(crate)").trim_start_matches("(super)").trim_start(),
            None => bare,
        };
        let Some(tree) = bare.strip_prefix("use ") else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = tree.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().expect("a use ends"));
        }
        expand("", tree.split(';').next().unwrap(), &mut paths);
    }
    let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    paths.extend(rest.split(|c| !in_path(c)).filter(|word| word.contains("::")).map(str::to_owned));
    paths
}

/// `a::{b, c::d as e}` → `a::b`, `a::c::d`.
fn expand(before: &str, tree: &str, into: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((stem, group)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap().trim().trim_end_matches("::*");
        let path = format!("{before}{name}");
        into.push(path.trim_end_matches("::self").to_owned());
        return;
    };
    let before = format!("{before}{}", stem.trim());
    let group = group.trim_end().strip_suffix('}').expect("a group ends");
    let (mut depth, mut begin) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&before, &group[begin..at], into);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if !group[begin..].trim().is_empty() {
        expand(&before, &group[begin..], into);
    }
}

/// The module that a file defines: `actors/user/mod.rs` → `actors::user`, `actors/lib.rs` → `actors`.
fn module_of(path: &str) -> String {
    let path = path.trim_end_matches(".rs");
    let roots = ["/mod", "/lib", "/main"];
    roots.iter().find_map(|root| path.strip_suffix(root)).unwrap_or(path).replace('/', "::")
}

/// Files that import each other in a circle: for each circle (strongly connected), each file with those of the circle that it
/// imports.
fn circles(files: &[(String, String)]) -> Vec<BTreeMap<&str, Vec<&str>>> {
    let modules: BTreeMap<String, usize> =
        files.iter().enumerate().map(|(file, (path, _))| (module_of(path), file)).collect();
    let imports: Vec<BTreeSet<usize>> = files
        .iter()
        .enumerate()
        .map(|(file, (path, text))| {
            let named = named_paths(text).into_iter();
            let resolved = named.filter_map(|named| resolve(&module_of(path), &named, &modules));
            resolved.filter(|other| *other != file).collect()
        })
        .collect();
    let reached: Vec<BTreeSet<usize>> = (0..files.len())
        .map(|from| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(file) = next.pop() {
                next.extend(imports[file].iter().filter(|other| seen.insert(**other)));
            }
            seen
        })
        .collect();
    let found: BTreeSet<BTreeSet<usize>> = (0..files.len())
        .filter(|file| reached[*file].contains(file))
        .map(|file| reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect())
        .collect();
    let name = |file: &usize| files[*file].0.as_str();
    let circle = |of: BTreeSet<usize>| {
        of.iter().map(|file| (name(file), imports[*file].intersection(&of).map(name).collect())).collect()
    };
    found.into_iter().map(circle).collect()
}

/// The file that defines what is named: that of the longest known prefix.
fn resolve(module: &str, named: &str, modules: &BTreeMap<String, usize>) -> Option<usize> {
    let mut parts: Vec<&str> = named.split("::").collect();
    let mut path: Vec<&str> = module.split("::").collect();
    match *parts.first()? {
        // The domain's modules and the server's stand in the root of their crates.
        "crate" => path.truncate(usize::from(CRATES.iter().any(|(name, _)| path.first() == Some(name)))),
        "self" => {}
        "super" => {
            while parts.get(1) == Some(&"super") {
                path.pop();
                parts.remove(0);
            }
            path.pop();
        }
        // A child, named without `self`.
        child if modules.contains_key(&format!("{module}::{child}")) => parts.insert(0, "self"),
        _ => return None,
    }
    path.extend(parts.iter().skip(1));
    (1..=path.len()).rev().find_map(|n| modules.get(&path[..n].join("::")).copied())
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut wrong = Vec::new();
    let crates = CRATES.iter().map(|(name, _)| name);
    for root in ORDER.iter().chain(crates).chain(&SHELL) {
        let mut files = Vec::new();
        each_source(|module, path, text| {
            if module == *root {
                files.push((path.to_owned(), text.to_owned()));
            }
        });
        for circle in circles(&files) {
            wrong.push(format!("a circle of {} files:", circle.len()));
            wrong.extend(
                circle.iter().map(|(file, others)| format!("  {file} imports {}", others.join(", "))),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [
        file("a/mod.rs", "pub mod b;\nmod c;\npub use c::C;\nmod d;"),
        file("a/b.rs", "use std::fmt::{self, Debug};\nuse super::{\n    C,\n};"),
        file("a/c/mod.rs", "mod e;\npub struct C;\nimpl C { fn d(_: crate::a::d::D) {} }"),
        file("a/c/e.rs", "use super::C; // use crate::a::b;"),
        file("a/d.rs", "use crate::{base::Id, a::{c::{self, C as Other}}};"),
    ];
    let circle = BTreeMap::from([("a/c/mod.rs", vec!["a/d.rs"]), ("a/d.rs", vec!["a/c/mod.rs"])]);
    assert_eq!(circles(&files), [circle]);
    assert!(circles(&files[..2]).is_empty());
    let after_tests =
        [file("a/mod.rs", "#[cfg(test)]\nmod tests;\npub use b::B;"), file("a/b.rs", "use super::B;")];
    assert_eq!(circles(&after_tests).len(), 1);
}

#[test]
fn the_lists_name_the_modules_there_are() {
    let mut there = BTreeSet::new();
    each_source(|module, _, _| {
        there.insert(module.to_owned());
    });
    let crates = CRATES.iter().map(|(name, _)| name);
    let listed = ORDER.iter().chain(crates).chain(&SHELL).chain(&["lib", "main"]);
    assert_eq!(there, listed.map(|name| (*name).to_owned()).collect());
}

#[test]
fn imports_point_up_the_list_only() {
    let mut wrong = Vec::new();
    each_source(|module, path, text| {
        let named = named_paths(text);
        let imported = named.iter().filter_map(|path| path.strip_prefix("crate::")?.split("::").next());
        let forbidden = imported.filter(|name| !may_import(module, name));
        wrong.extend(forbidden.map(|name| format!("{path}: {module} must not import {name}")));
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_depend_on_those_that_are_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for (name, allowed) in [("core", &[] as &[&str]), ("decision", &["core"])].iter().chain(&CRATES) {
        let path = format!("src/{name}/Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(root.join(&path)).unwrap().parse().unwrap();
        let dependencies = manifest["dependencies"].as_table().unwrap().keys();
        let own: BTreeSet<&str> = dependencies.filter_map(|name| name.strip_prefix("tidings-")).collect();
        let sees_domain = *name != "core" && *name != "decision";
        let is_domain = |other: &str| DOMAIN.iter().any(|folder| folder.trim_end_matches('/') == other);
        let may = |other: &str| allowed.contains(&other) || sees_domain && is_domain(other);
        let forbidden = own.iter().filter(|other| !may(other));
        wrong.extend(forbidden.map(|other| format!("{path}: {name} must not depend on {other}")));
        wrong.extend(
            allowed.iter().filter(|other| !own.contains(*other)).map(|other| {
                format!("{path}: {name} may depend on {other} and does not; take it off the list")
            }),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether something under `forbidden` is named.
fn names(paths: &[String], forbidden: &str) -> bool {
    let under = format!("{forbidden}::");
    paths.iter().any(|path| path == forbidden || path.starts_with(&under))
}

/// What the domain must not name and this file does.
fn impurities(module: &str, path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    // base/time.rs reads the clock for the shell, config/ reads the environment; nothing else in the domain may.
    if path == "base/time.rs" || path.ends_with("/tests.rs") || path.contains("/tests/") {
        return found;
    }
    let (paths, text) = (named_paths(text), code(text));
    if module != "config" {
        found.extend(
            IMPURE.iter().filter(|name| names(&paths, name)).map(|name| format!("{path} names {name}")),
        );
    }
    let clock = CLOCK.iter().filter(|call| text.contains(*call));
    found.extend(clock.map(|call| format!("{path} calls {call}); take `now` as an argument")));
    if module == "decide" {
        let named = IMPURE_TO_DECIDE.iter().filter(|name| names(&paths, name));
        found.extend(named.map(|name| format!("{path} names {name}; that is for the shell")));
    }
    found
}

#[test]
fn the_domain_is_pure() {
    let mut wrong = Vec::new();
    each_source(|module, path, text| {
        if ORDER.contains(&module) || PURE.contains(&module) {
            wrong.extend(impurities(module, path, text));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn impurity_is_found_however_it_is_written() {
    let found = |text: &str| !impurities("decide", "decide/x.rs", text).is_empty();
    for text in [
        "use std::time::{Duration, Instant};",
        "fn f() { std::time::SystemTime::now(); }",
        "fn f() -> Timestamp { Timestamp::now() }",
        "use serde_json::{Value, json};",
        "fn f() { serde_json::json!({}); }",
        "use parking_lot::Mutex;",
        "fn f() { log::warn!(\"no\"); }",
    ] {
        assert!(found(text), "{text}");
    }
    assert!(!found("use std::time::Duration;\nuse crate::catalogue::Catalogue; // tokio::spawn"));
}

#[test]
fn one_file_names_the_deprecated_websocket_crate() {
    let mut named = Vec::new();
    each_source(|_, path, text| {
        if code(text).contains("actix_web_actors") {
            named.push(path.to_owned());
        }
    });
    assert_eq!(named, ["transport/ws/session.rs"]);
}

#[test]
fn the_rules_hold_for_an_example() {
    assert!(may_import("recommend", "profile"));
    assert!(may_import("recommend", "recommend"));
    assert!(!may_import("profile", "recommend"));
    assert!(!may_import("notify", "decide"));
}

/// Markdown files that name places in the source.
fn maps(root: &Path) -> Vec<std::path::PathBuf> {
    let in_docs =
        ["docs", "docs/decisions"].into_iter().flat_map(|dir| fs::read_dir(root.join(dir)).unwrap());
    let docs =
        in_docs.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "md"));
    docs.chain(["src/ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"].map(|path| root.join(path))).collect()
}

/// Every path in backticks of the documentation: of a file or a directory of the repository, of `src/`, `src/core/` or `src/decision/`, or the
/// name of a file somewhere in it.
#[test]
fn the_documentation_names_files_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    each_source(|_, path, _| {
        names.insert(path.rsplit('/').next().unwrap().to_owned());
    });
    let there = |name: &str| {
        let places = ["src", "src/core", "src/decision", "."];
        name.contains(['{', '*'])
            || names.contains(name)
            || places.iter().any(|place| root.join(place).join(name).exists())
    };
    let mut wrong = Vec::new();
    for map in maps(root) {
        // A block of code may hold anything.
        let prose: String = fs::read_to_string(&map).unwrap().split("```").step_by(2).collect();
        let named = prose.split('`').skip(1).step_by(2).map(|name| name.split("::").next().unwrap());
        let paths = named.filter(|name| {
            name.ends_with(".rs") || (name.ends_with('/') && !name.starts_with('/') && !name.contains(' '))
        });
        wrong.extend(paths.filter(|name| !there(name)).map(|name| format!("{}: {name}", map.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
