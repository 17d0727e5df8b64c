//! A route that changes something stores the entry of the audit log with the change (`Change` of `http/audited.rs`), not after its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{code, sources};

/// Handlers of other methods than GET that make no entry: they change nothing, or pass on what users and their devices do.
const WITHOUT: [&str; 10] = [
    "connections::post",
    "events::post",
    "lists::post",
    "people::sign_in::link",
    "preview::preview",
    "preview::try_trigger",
    "sources::post",
    "webpush::report",
    "webpush::subscribe",
    "webpush::unsubscribe",
];
/// Begin of a change.
const BEGINS: [&str; 2] = ["Change::new(", "Change::signing_in("];
/// Its entry: stored in the transaction, handed to an actor for its own, or stored before what is done in memory.
const STORES: [&str; 3] = [".store(connection,", ".entry((),", ".store_first("];

/// Handlers in the table of routes whose method is another than GET.
fn changing(table: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for route in table.split(".route(").skip(1) {
        let call = [".to(", ".bare("]
            .iter()
            .filter_map(|call| route.split_once(call))
            .min_by_key(|(head, _)| head.len());
        let Some((head, rest)) = call.filter(|(head, _)| !head.contains("get()")) else { continue };
        assert!(["post()", "put()", "patch()", "delete()"].iter().any(|verb| head.contains(verb)), "{head}");
        found.insert(rest.split(')').next().unwrap().to_owned());
    }
    found
}

/// Functions of `src/http` by their file and name, each with its signature and body.
fn functions() -> BTreeMap<(String, String), String> {
    let http = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let mut files = Vec::new();
    sources(&http, &mut files);
    let mut found = BTreeMap::new();
    for (path, text) in files {
        let file = path.strip_prefix(&format!("{}/", http.display())).unwrap().to_owned();
        let text = code(&text);
        for (at, _) in text.match_indices("fn ") {
            let rest = &text[at + 3..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let indent = text[line..].chars().take_while(|c| *c == ' ').count();
            let end = format!("\n{}}}\n", " ".repeat(indent));
            let body = rest.split(&end).next().unwrap().to_owned();
            found.insert((file.clone(), name), body);
        }
    }
    found
}

/// Code of a handler with all free functions that it calls of its own file or folder.
fn reached(handler: &str, functions: &BTreeMap<(String, String), String>) -> String {
    let (module, name) = handler.rsplit_once("::").unwrap();
    let module = module.replace("::", "/");
    let folder = module.rsplit_once('/').map_or(module.as_str(), |(folder, _)| folder);
    let folder = format!("{folder}/");
    let own = [format!("{module}.rs"), format!("{module}/mod.rs")].map(|file| (file, name.to_owned()));
    let elsewhere =
        || functions.keys().find(|(file, own)| own == name && file.starts_with(&format!("{module}/")));
    let found =
        own.iter().find_map(|key| functions.get_key_value(key).map(|(key, _)| key)).or_else(elsewhere);
    let mut waiting = vec![found.unwrap_or_else(|| panic!("no source of {handler} was found"))];
    let (mut seen, mut text) = (BTreeSet::new(), String::new());
    while let Some(key) = waiting.pop() {
        if !seen.insert(key) {
            continue;
        }
        let body = &functions[key];
        text.push_str(body);
        let in_name = |c: char| c.is_alphanumeric() || c == '_';
        for (at, _) in body.match_indices('(') {
            let begin = body[..at].rfind(|c| !in_name(c)).map_or(0, |before| before + 1);
            // A function of another module, or a method.
            if body[..begin].ends_with([':', '.']) {
                continue;
            }
            let called = &body[begin..at];
            let same = (key.0.clone(), called.to_owned());
            match functions.get_key_value(&same) {
                Some((same, _)) => waiting.push(same),
                None => waiting.extend(
                    functions.keys().filter(|(file, own)| own == called && file.starts_with(&folder)),
                ),
            }
        }
    }
    text
}

#[test]
fn a_route_that_changes_something_stores_its_entry_with_the_change() {
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/routes.rs")).unwrap();
    let (changing, functions) = (changing(&table), functions());
    assert!(changing.len() > 50, "{} handlers found", changing.len());
    let without = |handler: &&String| {
        let text = reached(handler, &functions);
        let has = |all: &[&str]| all.iter().any(|part| text.contains(part));
        !(has(&BEGINS) && has(&STORES))
    };
    let found: Vec<&str> = changing.iter().filter(without).map(String::as_str).collect();
    assert_eq!(found, WITHOUT, "an entry that follows its change is lost by a crash in between");
}
