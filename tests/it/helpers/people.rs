//! People who sign in: accounts by the command line, sessions as a browser keeps them.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::database::TestDatabase;
use super::http::{Http, Response};
use super::server::Server;
use super::tokens::SECRET;

/// A password that everybody of a test has.
pub const PASSWORD: &str = "a long sentence of mine";

/// A server that people sign in to, without an account.
pub fn start(settings: &[&str]) -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let server = start_on(&database, settings);
    (database, server)
}

/// The same on a database.
pub fn start_on(database: &TestDatabase, settings: &[&str]) -> Server {
    let secret = format!("auth.secret={SECRET}");
    let mut arguments = vec!["--set", "auth.mode=token", "--set", &secret];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    Server::start(&database.url, &arguments)
}

/// Runs `tidings people` with an input; success and what it printed.
pub fn people(database: &TestDatabase, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .arg("people")
        .args(arguments)
        .env("DATABASE_URL", &database.url)
        .env("TIDINGS_LOG", "warn")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap().trim().to_owned())
}

/// Adds somebody who has [`PASSWORD`].
pub fn add(database: &TestDatabase, name: &str, role: &str) {
    let (done, text) = people(database, &["add", name, "--role", role, "--password-stdin"], PASSWORD);
    assert!(done, "{text}");
}

/// Asks for a session.
pub fn sign_in(http: &mut Http, name: &str, password: &str) -> Response {
    http.post("/v1/people/sign-in", &json!({"name": name, "password": password}))
}

/// The cookie that an answer sets, as it is sent back.
pub fn cookie(answer: &Response) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// A browser of somebody who is signed in: with the cookie, and with the token that changes need.
pub fn signed_in(server: &Server, name: &str) -> Http {
    let mut http = server.http();
    let answer = sign_in(&mut http, name, PASSWORD);
    assert_eq!(answer.status, 200, "{}", answer.body);
    keep(&mut http, &answer);
    http
}

/// Has a browser keep the session of an answer.
pub fn keep(http: &mut Http, answer: &Response) {
    let token = answer.json()["csrf_token"].as_str().unwrap().to_owned();
    http.headers = vec![("Cookie".to_owned(), cookie(answer)), ("X-CSRF-Token".to_owned(), token)];
}

/// Code of an error.
pub fn code(answer: &Response) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    (answer.status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}
