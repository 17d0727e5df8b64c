//! Handlers of routes that nobody's token is checked for: each takes a `Caller`, or is on the list of those that need none.

use std::fs;
use std::path::Path;

/// Handlers without a `Caller`: probes, upgrades whose first frame says who it is, and what a browser needs before it has a token.
const WITHOUT: [&str; 7] = [
    "websocket::open",
    "websocket::echo",
    "health::alive",
    "health::ready",
    "openapi::get",
    "webpush::key",
    "webpush::report",
];
/// Handlers whose caller comes by `auth::caller`, since the token may be in the query.
const BY_QUERY: [&str; 2] = ["sse::open", "connections::post"];

/// Handlers that the table of routes names, such as `lists::bulk::all`.
fn handlers() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/routes.rs")).unwrap();
    let in_calls = text.split(".to(").skip(1).chain(text.split(".bare(").skip(1));
    let named = in_calls.map(|rest| rest.split(')').next().unwrap().to_owned());
    named.filter(|name| name.contains("::")).collect()
}

/// Source of a handler: its signature and body.
fn source(handler: &str) -> String {
    let http = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let (module, name) = handler.rsplit_once("::").unwrap();
    let module = module.replace("::", "/");
    let head = format!("pub async fn {name}(");
    let mut files = vec![http.join(format!("{module}.rs"))];
    files.extend(fs::read_dir(http.join(&module)).into_iter().flatten().map(|entry| entry.unwrap().path()));
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if let Some((_, rest)) = text.split_once(&head) {
            return rest.split("\n}\n").next().unwrap().to_owned();
        }
    }
    panic!("no source of {handler} was found");
}

#[test]
fn each_handler_knows_its_caller() {
    let handlers = handlers();
    assert!(handlers.len() > 90, "{} handlers found", handlers.len());
    let mut wrong = Vec::new();
    for handler in &handlers {
        let source = source(handler);
        let (signature, body) = source.split_once("\n) ->").or_else(|| source.split_once(") ->")).unwrap();
        let takes = signature.contains(": Caller");
        let asks = BY_QUERY.contains(&handler.as_str())
            && (body.contains("auth::caller(") || body.contains("login(&request"));
        let is_public = WITHOUT.contains(&handler.as_str());
        if !takes && !asks && !is_public {
            wrong.push(handler.as_str());
        }
    }
    assert!(wrong.is_empty(), "without a Caller: {wrong:?}");
    assert!(WITHOUT.iter().chain(&BY_QUERY).all(|name| handlers.iter().any(|handler| handler == name)));
}
