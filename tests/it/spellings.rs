//! Every route that a running server's OpenAPI document names, by every caller, with one's own and others' ids, however the path is
//! spelled and whatever the method: nothing is opened that the document does not open, and nothing is answered beside it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tidings::privacy::Role;

use crate::helpers::database::TestDatabase;
use crate::helpers::http::Http;
use crate::helpers::server::Server;
use crate::helpers::tokens::{SECRET, token};

const OWN: &str = "17";
const OTHER: &str = "18";
const UUID: &str = "0192f0a0-0000-7000-8000-000000000000";
const METHODS: [&str; 9] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"];
/// Operations that are not asked for by those who may: their answers go on, end a user, end the caller's token, or keep the machine
/// busy.
const APART: [(&str, &str); 5] = [
    ("GET", "/v1/sse"),
    ("GET", "/admin/live"),
    ("DELETE", "/v1/users/{id}"),
    ("POST", "/v1/users/{id}/sign-out"),
    ("POST", "/admin/retrain"),
];

/// A caller, by what its token says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Caller {
    Nobody,
    /// A token that nobody signed.
    Forged,
    User,
    Viewer,
    Service,
    Admin,
}

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    /// Names of the token's requirement, of which one is needed; none = anybody.
    needs: Vec<String>,
    /// Only a session opens it, and no token.
    of_session: bool,
}

impl Operation {
    /// Whether the document opens it to a caller who asks with the id of `user`.
    fn is_open_to(&self, caller: Caller, user: &str) -> bool {
        let role = match caller {
            _ if self.of_session => return false,
            _ if self.needs.is_empty() => return true,
            Caller::Nobody | Caller::Forged => return false,
            Caller::User => Role::User,
            Caller::Viewer => Role::Viewer,
            Caller::Service => Role::Service,
            Caller::Admin => Role::Admin,
        };
        // What an erasure of a user's own needs beside the token is a setting, which is off.
        let is_erasure = self.needs.iter().any(|name| name == "erase_users");
        self.needs.iter().any(|name| match name.as_str() {
            "user" => (role == Role::User && !is_erasure) || self.needs.len() == 1,
            "owner" => role == Role::User && user == OWN && !is_erasure,
            name => role.permissions().iter().any(|permission| permission.name() == name),
        })
    }

    /// Status of a refusal.
    fn refusal(caller: Caller) -> u16 {
        if caller <= Caller::Forged { 401 } else { 403 }
    }

    /// The path with values.
    fn concrete(&self, user: &str) -> String {
        let id = match &*self.path {
            path if path.contains("/users/") => user,
            path if path.contains("/items/") => "1",
            _ => UUID,
        };
        let named = [("{id}", id), ("{connection_id}", UUID), ("{version}", "1"), ("{kind}", "templates")];
        let path = named.iter().fold(self.path.clone(), |path, (name, value)| path.replace(name, value));
        path.replace("{name}", "nothing")
    }
}

/// Spellings of a path, each with whether it means the same path (RFC 3986 §6.2.2).
fn spellings(path: &str) -> Vec<(bool, String)> {
    let (beginning, last) = path.rsplit_once('/').unwrap();
    let first = path.split('/').nth(1).unwrap();
    let rest = path.strip_prefix('/').unwrap();
    let letter = rest.find(|c: char| c.is_ascii_lowercase()).unwrap();
    let coded = format!("/{}%{:02x}{}", &rest[..letter], rest.as_bytes()[letter], &rest[letter + 1..]);
    let other = |text: String| (false, text);
    vec![
        (true, path.to_owned()),
        (true, coded.clone()),
        (true, format!("http://127.0.0.1{path}")),
        other(format!("{path}/")),
        other(format!("{path}//")),
        other(format!("/{path}")),
        other(format!("{beginning}//{last}")),
        other(format!("{beginning}/./{last}")),
        other(format!("{beginning}/%2e/{last}")),
        other(format!("/x/..{path}")),
        other(format!("/x/%2e%2e{path}")),
        other(format!("/healthz/..{path}")),
        other(format!("{path}/..")),
        other(format!("{path}/%2e%2e/{last}")),
        other(format!("{beginning}%2f{last}")),
        other(format!("{beginning}%5c{last}")),
        other(format!("{beginning}\\{last}")),
        other(coded.replace('%', "%25")),
        other(path.to_uppercase()),
        other(path.replacen(first, &first.to_uppercase(), 1)),
        other(format!("{path};x=1")),
        other(format!("{path}.json")),
        other(format!("{path}%20")),
        other(format!("{path}%00")),
        other(format!("{path}%0d%0aX-Role:admin")),
        other(format!("{path}%ff")),
    ]
}

/// Fault of the status of an answer; `None` where it is as the document says.
fn fault(operation: &Operation, caller: Caller, user: &str, means_it: bool, status: u16) -> Option<String> {
    let is_open = operation.is_open_to(caller, user);
    let is_ready_or_not = status == 503 && operation.path == "/readyz";
    let expected = match (means_it, is_open) {
        _ if status >= 500 && !is_ready_or_not => "no failure",
        // Values of the request are what no operation likes: refused for what it says, not for who asks.
        (true, true) if matches!(status, 401 | 403) && operation.path != "/v1/webpush/reports" => "an answer",
        (true, false) if status != Operation::refusal(caller) => "a refusal of who asks",
        (false, false) if !(400..500).contains(&status) => "a refusal",
        (false, true) if (300..400).contains(&status) => "no redirection",
        _ => return None,
    };
    Some(expected.to_owned())
}

struct Subject {
    server: Server,
    _database: TestDatabase,
    tokens: BTreeMap<Caller, String>,
    operations: Vec<Operation>,
}

fn subject() -> Subject {
    let database = TestDatabase::new();
    let secret = format!("auth.secret={SECRET}");
    let settings = ["auth.mode=token", &secret, "limits.user_per_s=0", "limits.failures_per_min=0"];
    let arguments: Vec<&str> = settings.into_iter().flat_map(|setting| ["--set", setting]).collect();
    let server = Server::start(&database.url, &arguments);
    let document = server.http().get("/openapi.json").json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let requirement = &operation["security"][0];
            let names = requirement["token"].as_array().into_iter().flatten();
            let needs = names.map(|name| name.as_str().unwrap().to_owned()).collect();
            let of_session = requirement["session"].is_array();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                needs,
                of_session,
            });
        }
    }
    let tokens = BTreeMap::from([
        (Caller::Forged, "x.y.z".to_owned()),
        (Caller::User, token(&["--role", "user", "--user", OWN])),
        (Caller::Viewer, token(&["--role", "viewer", "--user", "vera"])),
        (Caller::Service, token(&["--role", "service", "--user", "shop"])),
        (Caller::Admin, token(&["--role", "admin", "--user", "anna"])),
    ]);
    Subject { server, _database: database, tokens, operations }
}

impl Subject {
    /// Asks on a kept connection, on a new one where the server has closed it.
    fn status(&self, http: &mut Http, caller: Caller, method: &str, path: &str) -> u16 {
        let bearer =
            self.tokens.get(&caller).map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
        http.headers = bearer.into_iter().collect();
        let answer = http.send(method, path, "", b"").or_else(|_| {
            let headers = std::mem::take(&mut http.headers);
            *http = self.server.http();
            http.headers = headers;
            http.send(method, path, "", b"")
        });
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}")).status
    }

    /// Runs a check of each operation on several connections; what is wrong, all of it.
    fn each(&self, check: impl Fn(&Operation, &mut Http, &mut Vec<String>) + Sync) {
        let (next, wrong) = (Mutex::new(self.operations.iter()), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut http = self.server.http();
                    loop {
                        let Some(operation) = next.lock().unwrap().next() else { return };
                        let mut faults = Vec::new();
                        check(operation, &mut http, &mut faults);
                        wrong.lock().unwrap().extend(faults);
                    }
                });
            }
        });
        let wrong = wrong.into_inner().unwrap();
        assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

const CALLERS: [(Caller, &str); 6] = [
    (Caller::Nobody, "nobody"),
    (Caller::Forged, "a forger"),
    (Caller::User, "a user"),
    (Caller::Viewer, "a viewer"),
    (Caller::Service, "a service"),
    (Caller::Admin, "an administrator"),
];

#[test]
fn no_spelling_of_a_path_opens_what_the_document_does_not_open() {
    let subject = subject();
    assert!(subject.operations.len() > 100);
    subject.each(|operation, http, faults| {
        let is_apart = APART.contains(&(&*operation.method, &*operation.path));
        let users: &[&str] = if operation.path.contains("/users/{id}") { &[OTHER, OWN] } else { &[OWN] };
        for (user, (caller, who)) in users.iter().flat_map(|user| CALLERS.map(|caller| (*user, caller))) {
            for (means_it, path) in spellings(&operation.concrete(user)) {
                if is_apart && operation.is_open_to(caller, user) {
                    continue;
                }
                let status = subject.status(http, caller, &operation.method, &path);
                if let Some(expected) = fault(operation, caller, user, means_it, status) {
                    faults.push(format!("{} {path} as {who}: {status}, not {expected}", operation.method));
                }
            }
        }
    });
}

#[test]
fn no_method_beside_those_of_the_document_is_answered() {
    let subject = subject();
    subject.each(|operation, http, faults| {
        let known: Vec<&str> = subject
            .operations
            .iter()
            .filter(|other| other.path == operation.path)
            .map(|other| other.method.as_str())
            .collect();
        // Once for each path.
        if known[0] != operation.method {
            return;
        }
        let reads = known.contains(&"GET");
        for method in METHODS.iter().filter(|method| !known.contains(method)) {
            for (caller, who) in CALLERS {
                let status = subject.status(http, caller, method, &operation.concrete(OWN));
                let is_right = match *method {
                    "OPTIONS" => status == 204,
                    // As the GET, without its body; a stream would go on.
                    "HEAD" if reads => continue,
                    _ => status == 405,
                };
                if !is_right {
                    faults.push(format!("{method} {} as {who}: {status}", operation.path));
                }
            }
        }
    });
}

#[test]
fn a_head_is_open_to_whom_its_get_is_open() {
    let subject = subject();
    subject.each(|operation, http, faults| {
        if operation.method != "GET" {
            return;
        }
        let is_apart = APART.contains(&("GET", &*operation.path));
        for (user, (caller, who)) in
            [OTHER, OWN].iter().flat_map(|user| CALLERS.map(|caller| (*user, caller)))
        {
            if is_apart && operation.is_open_to(caller, user) {
                continue;
            }
            let status = subject.status(http, caller, "HEAD", &operation.concrete(user));
            if let Some(expected) = fault(operation, caller, user, true, status) {
                faults.push(format!("HEAD {} as {who}: {status}, not {expected}", operation.path));
            }
        }
    });
}

/// Paths that scanners and people who guess ask for.
const GUESSED: [&str; 28] = [
    "/v1",
    "/v1/",
    "/admin",
    "/admin/",
    "/v1/users",
    "/v1/admin",
    "/v2/items",
    "/api/v1/items",
    "/.env",
    "/.git/config",
    "/server-status",
    "/debug/pprof/",
    "/actuator/health",
    "/swagger.json",
    "/openapi.yaml",
    "/v1/openapi.json",
    "/v1/metrics",
    "/admin/healthz",
    "/v1/v1/items",
    "/admin/v1/items",
    "/v1/admin/metrics",
    "/static/index.html",
    "/src/main.rs",
    "/Cargo.toml",
    "/../Cargo.toml",
    "/%2e%2e/Cargo.toml",
    "/..%2fCargo.toml",
    "/vendor/../../Cargo.toml",
];

#[test]
fn nothing_is_answered_by_a_path_that_the_document_has_not() {
    let subject = subject();
    let mut paths: Vec<String> = GUESSED.map(str::to_owned).into();
    for operation in &subject.operations {
        let concrete = operation.concrete(OWN);
        paths.extend([format!("{concrete}/more"), format!("{concrete}/{UUID}")]);
        let ends = concrete.match_indices('/').map(|(at, _)| at);
        paths.extend(ends.filter(|at| *at > 0).map(|at| concrete[..at].to_owned()));
    }
    paths.sort();
    paths.dedup();
    // A path of the document has as many parts, each the same or a parameter.
    let is_known = |path: &str| {
        subject.operations.iter().any(|operation| {
            let (mut there, mut here) = (operation.path.split('/'), path.split('/'));
            operation.path.split('/').count() == path.split('/').count()
                && there
                    .by_ref()
                    .zip(here.by_ref())
                    .all(|(there, here)| there.starts_with('{') || there == here)
        })
    };
    paths.retain(|path| !is_known(path));
    assert!(paths.len() > 100, "{} paths", paths.len());
    let (mut http, mut wrong) = (subject.server.http(), Vec::new());
    for path in &paths {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            for caller in [Caller::Nobody, Caller::Admin] {
                let status = subject.status(&mut http, caller, method, path);
                if status != 404 {
                    wrong.push(format!("{method} {path}: {status}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
