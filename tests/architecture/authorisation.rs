//! Handlers of routes that nobody's token is checked for are on a list. That each handler says who may call it is checked by the
//! compiler (`http/permit.rs`).

use std::fs;
use std::path::Path;

/// Handlers that take `Anybody`: probes, upgrades whose first frame says who it is, and what a browser needs before it has a token.
const WITHOUT: [&str; 14] = [
    "websocket::open",
    "websocket::echo",
    "health::alive",
    "health::ready",
    "openapi::get",
    "asyncapi::get",
    "webpush::key",
    "webpush::report",
    "people::sign_in::ways",
    "people::sign_in::post",
    "people::sign_in::link",
    "people::sign_in::join",
    "people::oidc::start",
    "people::oidc::callback",
];

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
    let mut files = vec![http.join(format!("{module}.rs")), http.join(&module).join("mod.rs")];
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
fn handlers_without_a_token_are_listed() {
    let handlers = handlers();
    assert!(handlers.len() > 90, "{} handlers found", handlers.len());
    let takes_anybody =
        |handler: &&String| source(handler).split_once(") ->").unwrap().0.contains(": Anybody");
    let mut public: Vec<&str> = handlers.iter().filter(takes_anybody).map(String::as_str).collect();
    let mut listed = WITHOUT.to_vec();
    public.sort_unstable();
    public.dedup();
    listed.sort_unstable();
    assert_eq!(public, listed);
}
