//! Reads `src/` and fails on an import that points the wrong way.
#![cfg(test)]

use std::{fs, path::Path};

/// Modules in the order an event flows. A module may import those before it, and its own.
const ORDER: [&str; 12] = [
    "base",
    "config",
    "catalogue",
    "event",
    "profile",
    "recommend",
    "evaluate",
    "notify",
    "feedback",
    "deliver",
    "privacy",
    "decide",
];
/// One outside thing each; they see the domain, never one another.
const ADAPTERS: [&str; 4] = ["store", "transport", "bus", "telemetry"];
/// Each sees everything before it.
const SHELL: [&str; 3] = ["actors", "http", "app"];
/// Crates that the pure domain must not name.
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
/// What a decision must not use as well: it builds no JSON by hand and shares no state.
const IMPURE_TO_DECIDE: [&str; 3] = ["serde_json::json", "parking_lot", "arc_swap"];

fn may_import(module: &str, imported: &str) -> bool {
    if module == imported {
        return true;
    }
    let domain = |name: &str| ORDER.iter().position(|module| *module == name);
    let shell = |name: &str| SHELL.iter().position(|module| *module == name);
    match (domain(module), domain(imported)) {
        (Some(own), Some(other)) => return other < own,
        (Some(_), None) => return false,
        (None, Some(_)) => return true,
        (None, None) => {}
    }
    if ADAPTERS.contains(&module) {
        return false;
    }
    match (shell(module), shell(imported)) {
        (Some(own), Some(other)) => other < own,
        (Some(_), None) => ADAPTERS.contains(&imported),
        _ => false,
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

fn each_source(mut check: impl FnMut(&str, &str, &str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "src/ was not found");
    for (path, text) in &files {
        let inside = path.strip_prefix(&format!("{}/", root.display())).unwrap();
        let module = inside.split(['/', '.']).next().unwrap();
        check(module, inside, text);
    }
}

/// The code of a file without its comments and without its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

#[test]
fn imports_point_up_the_list_only() {
    let mut wrong = Vec::new();
    each_source(|module, path, text| {
        if module == "main" || module == "lib" {
            return;
        }
        let text = code(text);
        for piece in text.split("crate::").skip(1) {
            let imported: Vec<&str> = if let Some(group) = piece.strip_prefix('{') {
                group
                    .split('}')
                    .next()
                    .unwrap_or("")
                    .split(',')
                    .map(|name| name.trim().split("::").next().unwrap_or("").trim())
                    .collect()
            } else {
                vec![piece.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")]
            };
            for name in imported {
                let known = ORDER.contains(&name) || ADAPTERS.contains(&name) || SHELL.contains(&name);
                if known && !may_import(module, name) {
                    wrong.push(format!("{path}: {module} must not import {name}"));
                }
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_is_pure() {
    let mut wrong = Vec::new();
    each_source(|module, path, text| {
        // base/time.rs reads the clock for the shell; nothing else in the domain may.
        if !ORDER.contains(&module) || module == "config" || path == "base/time.rs" {
            return;
        }
        let text = code(text);
        for name in IMPURE {
            let named = text.lines().any(|line| {
                let line = line.trim_start();
                line.starts_with(&format!("use {name}::"))
                    || line.starts_with(&format!("use {name};"))
                    || line.contains(&format!(" {name}::"))
                    || line.contains(&format!("({name}::"))
            });
            if named {
                wrong.push(format!("{path} names {name}"));
            }
        }
        if module == "decide" {
            let named = IMPURE_TO_DECIDE.iter().filter(|name| text.contains(*name));
            wrong.extend(named.map(|name| format!("{path} names {name}")));
            if text.contains("json!(") {
                wrong.push(format!("{path} builds JSON; that is for the shell"));
            }
        }
        if text.contains("Timestamp::now(") {
            wrong.push(format!("{path} reads the clock; take `now` as an argument"));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
    assert!(!may_import("profile", "recommend"));
    assert!(!may_import("event", "store"));
    assert!(!may_import("store", "transport"));
    assert!(may_import("actors", "store"));
    assert!(!may_import("actors", "http"));
    assert!(may_import("app", "http"));
}
