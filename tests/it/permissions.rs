//! Every route with every role, and with the id of another user, against one table.

use std::collections::BTreeSet;

use crate::helpers::database::TestDatabase;
use crate::helpers::server::Server;
use crate::helpers::tokens::{SECRET, token};

/// Callers of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    /// No token.
    Nothing,
    /// Any token; what it may say or see depends on the body.
    Token,
    /// A token of the user of the path, or of the shop.
    Own,
    /// A backend.
    Service,
    /// An administrator.
    Admin,
}
use Needs::{Admin, Nothing, Own, Service, Token};

const USER: &str = "17";
const UUID: &str = "0192f0a0-0000-7000-8000-000000000000";

/// The table: method, route, who may call it. WebSockets are told by their first frame who it is.
const TABLE: [(&str, &str, Needs); 109] = [
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/metrics", Service),
    ("GET", "/openapi.json", Nothing),
    ("POST", "/v1/events", Token),
    ("POST", "/v1/connections/{connection_id}/frames", Token),
    ("POST", "/v1/triggers/{name}", Service),
    ("POST", "/v1/notifications", Service),
    ("GET", "/v1/notifications", Service),
    ("GET", "/v1/notifications/scheduled", Service),
    ("GET", "/v1/notifications/scheduled/{id}", Service),
    ("PATCH", "/v1/notifications/scheduled/{id}", Service),
    ("DELETE", "/v1/notifications/scheduled/{id}", Service),
    ("GET", "/v1/notifications/{id}", Service),
    ("PATCH", "/v1/notifications/{id}", Service),
    ("DELETE", "/v1/notifications/{id}", Service),
    ("POST", "/v1/notifications/{id}/pause", Service),
    ("POST", "/v1/notifications/{id}/resume", Service),
    ("GET", "/v1/items", Token),
    ("PUT", "/v1/items", Service),
    ("GET", "/v1/items/{id}", Token),
    ("DELETE", "/v1/items/{id}", Service),
    ("GET", "/v1/items/{id}/similar", Token),
    ("POST", "/v1/recommend", Token),
    ("GET", "/v1/recommendations", Service),
    ("GET", "/v1/users/{id}", Service),
    ("PATCH", "/v1/users/{id}", Service),
    ("GET", "/v1/users/{id}/recommendations", Own),
    ("GET", "/v1/users/{id}/profile", Own),
    ("GET", "/v1/users/{id}/privacy", Own),
    ("GET", "/v1/users/{id}/export", Own),
    ("POST", "/v1/users/{id}/merge", Service),
    ("GET", "/v1/users/{id}/inbox", Own),
    ("POST", "/v1/users/{id}/inbox/read", Own),
    ("POST", "/v1/users/{id}/inbox/seen", Own),
    ("POST", "/v1/users/{id}/inbox/unread", Own),
    ("POST", "/v1/users/{id}/inbox/archive", Own),
    ("POST", "/v1/users/{id}/inbox/unarchive", Own),
    ("POST", "/v1/users/{id}/inbox/delete", Own),
    ("POST", "/v1/users/{id}/inbox/snooze", Own),
    ("GET", "/v1/users/{id}/preferences", Own),
    ("PUT", "/v1/users/{id}/preferences", Own),
    ("PATCH", "/v1/users/{id}/preferences", Own),
    ("GET", "/v1/users/{id}/consent", Own),
    ("POST", "/v1/users/{id}/consent", Own),
    ("POST", "/v1/users/{id}/mute", Own),
    ("GET", "/v1/topics/{name}/subscribers", Service),
    ("PUT", "/v1/topics/{name}/subscribers", Service),
    ("DELETE", "/v1/topics/{name}/subscribers", Service),
    ("GET", "/v1/users/{id}/topics", Own),
    ("PUT", "/v1/users/{id}/topics/{name}", Own),
    ("DELETE", "/v1/users/{id}/topics/{name}", Own),
    ("GET", "/v1/webpush/key", Nothing),
    ("POST", "/v1/webpush/subscriptions", Token),
    ("DELETE", "/v1/webpush/subscriptions", Token),
    ("POST", "/v1/webpush/reports", Nothing),
    ("GET", "/v1/webhooks", Admin),
    ("POST", "/v1/webhooks", Admin),
    ("GET", "/v1/webhooks/{id}", Admin),
    ("PATCH", "/v1/webhooks/{id}", Admin),
    ("DELETE", "/v1/webhooks/{id}", Admin),
    ("POST", "/v1/webhooks/{id}/rotate", Admin),
    ("POST", "/v1/webhooks/{id}/test", Admin),
    ("GET", "/v1/webhooks/{id}/deliveries", Admin),
    ("POST", "/v1/webhooks/{id}/replay", Admin),
    ("GET", "/v1/sources", Service),
    ("POST", "/v1/sources/{name}", Service),
    ("GET", "/v1/admin/audit", Admin),
    ("GET", "/v1/admin/revocations", Admin),
    ("POST", "/v1/admin/revocations", Admin),
    ("GET", "/v1/admin/keys", Admin),
    ("POST", "/v1/admin/keys", Admin),
    ("DELETE", "/v1/admin/keys/{id}", Admin),
    ("GET", "/admin/metrics", Admin),
    ("GET", "/admin/segments", Admin),
    ("GET", "/admin/models", Admin),
    ("GET", "/admin/models/{version}/card", Admin),
    ("POST", "/admin/models/rollback", Admin),
    ("DELETE", "/admin/models/shadow", Admin),
    ("POST", "/admin/models/{version}/activate", Admin),
    ("POST", "/admin/models/{version}/shadow", Admin),
    ("POST", "/admin/templates/preview", Admin),
    ("POST", "/admin/triggers/{name}/dry-run", Admin),
    ("GET", "/admin/rules", Admin),
    ("GET", "/admin/decisions", Admin),
    ("GET", "/admin/sessions", Admin),
    ("GET", "/admin/outcomes", Admin),
    ("GET", "/admin/outcomes/placements", Admin),
    ("GET", "/admin/experiments/readings", Admin),
    ("GET", "/admin/experiments/{name}/reading", Admin),
    ("GET", "/admin/limits", Admin),
    ("GET", "/admin/cleaning", Admin),
    ("GET", "/admin/users", Admin),
    ("GET", "/admin/users/{id}/timeline", Admin),
    ("DELETE", "/admin/users/{id}/robot", Admin),
    ("POST", "/admin/retrain", Admin),
    ("GET", "/admin/jobs/{id}", Admin),
    ("DELETE", "/admin/jobs/{id}", Admin),
    ("GET", "/admin/{kind}", Admin),
    ("GET", "/admin/{kind}/{name}", Admin),
    ("PUT", "/admin/{kind}/{name}", Admin),
    ("POST", "/admin/{kind}/{name}/activate", Admin),
    ("POST", "/admin/{kind}/{name}/pause", Admin),
    ("GET", "/v1/erasures/{id}", Service),
    ("POST", "/v1/erasures/{id}/release", Admin),
    // Ends the user, and sessions of the caller: asked for last.
    ("DELETE", "/v1/users/{id}", Service),
    ("POST", "/v1/users/{id}/sign-out", Own),
    // Streams that go on.
    ("GET", "/v1/sse", Token),
    ("GET", "/admin/live", Admin),
];
/// Routes of the table whose answers go on, or are no HTTP: asked for without a token only.
const STREAMS: [&str; 2] = ["/v1/sse", "/admin/live"];

/// Routes of `src/http/routes.rs`, with their prefixes; a parameter's pattern is left out.
fn routes() -> BTreeSet<(String, String)> {
    let text = include_str!("../../src/http/routes.rs");
    let mut found = BTreeSet::new();
    for piece in text.split("fn ").skip(1) {
        let name = piece.split('(').next().unwrap();
        for route in piece.split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap();
            let verbs = ["get()", "post()", "put()", "patch()", "delete()"];
            let verb = verbs.into_iter().filter_map(|verb| Some((route.find(verb)?, verb))).min().unwrap().1;
            let group = match name {
                "root" | "probes" => "",
                "overview" | "model_versions" | "trials" | "readings" | "maintenance"
                | "active_definitions" => "/admin",
                _ => "/v1",
            };
            let path = path.replace(":triggers|templates|policies|experiments|placements", "");
            found.insert((verb.trim_end_matches("()").to_uppercase(), format!("{group}{path}")));
        }
    }
    found
}

fn path(route: &str, user: &str) -> String {
    let id = if route.contains("/users/") { user } else { UUID };
    let id = if route.contains("/items/") { "1" } else { id };
    let path = route.replace("{id}", id).replace("{connection_id}", UUID).replace("{version}", "1");
    path.replace("{kind}", "templates").replace("{name}", "nothing")
}

fn start() -> (TestDatabase, Server) {
    let database = TestDatabase::new();
    let secret = format!("auth.secret={SECRET}");
    let server = Server::start(
        &database.url,
        &[
            "--set",
            "auth.mode=token",
            "--set",
            &secret,
            "--set",
            "limits.user_per_s=0",
            "--set",
            "limits.failures_per_min=0",
        ],
    );
    (database, server)
}

fn status(server: &Server, method: &str, path: &str, token: Option<&str>) -> u16 {
    let mut http = server.http();
    if let Some(token) = token {
        http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    }
    http.send(method, path, "application/json", b"").unwrap().status
}

#[test]
fn the_table_has_every_route() {
    let listed: BTreeSet<(String, String)> =
        TABLE.iter().map(|(method, route, _)| ((*method).to_owned(), (*route).to_owned())).collect();
    let mut there = routes();
    there.retain(|(_, route)| route != "/ws" && route != "/echo");
    assert_eq!(listed, there);
}

#[test]
fn the_document_has_every_route_with_its_role() {
    let document = serde_json::to_value(tidings::http::openapi::document()).unwrap();
    let mut there = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let role = match operation["security"][0]["token"][0].as_str() {
                None => Nothing,
                Some("user") => Token,
                Some("owner") => Own,
                Some("service") => Service,
                Some("admin") => Admin,
                Some(other) => panic!("{method} {path}: {other}"),
            };
            there.insert((method.to_uppercase(), path.clone(), role));
        }
    }
    let listed: BTreeSet<_> = TABLE
        .iter()
        .map(|(method, route, needs)| ((*method).to_owned(), (*route).to_owned(), *needs))
        .collect();
    let differs: Vec<_> = there.symmetric_difference(&listed).collect();
    assert!(differs.is_empty(), "in the document or in the table only: {differs:#?}");
}

#[test]
fn each_role_may_what_the_table_says_and_nothing_else() {
    let (_database, server) = start();
    let user = token(&["--role", "user", "--user", USER]);
    let service = token(&["--role", "service", "--user", "shop"]);
    let admin = token(&["--role", "admin", "--user", "anna"]);
    let mut wrong = Vec::new();
    for (method, route, needs) in TABLE {
        let mut check = |who: &str, token: Option<&str>, id: &str, expected: Option<u16>| {
            let found = status(&server, method, &path(route, id), token);
            let is_refused = matches!(found, 401 | 403);
            if (is_refused || expected.is_some()) && expected != Some(found) {
                wrong.push(format!("{method} {route} as {who}: {found}, not {expected:?}"));
            }
            assert!(found < 500 || found == 503, "{method} {route} as {who}: {found}");
        };
        let unless = |allowed: bool, status: u16| (!allowed).then_some(status);
        check("nobody", None, USER, unless(needs == Nothing, 401));
        check("nobody with a bad token", Some("x.y.z"), USER, unless(needs == Nothing, 401));
        if STREAMS.contains(&route) {
            continue;
        }
        check("another user", Some(&user), "18", unless(needs <= Token, 403));
        if route != "/v1/users/{id}/sign-out" {
            check("the user", Some(&user), USER, unless(needs <= Own, 403));
        }
        check("a service", Some(&service), USER, unless(needs <= Service, 403));
        if !["/admin/retrain", "/v1/users/{id}/sign-out"].contains(&route) {
            check("an administrator", Some(&admin), USER, None);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_spelling_of_another_s_id_opens_anything() {
    let (_database, server) = start();
    let user = token(&["--role", "user", "--user", USER]);
    for (method, route, _) in TABLE.iter().filter(|(_, _, needs)| *needs == Own) {
        for other in
            ["18", "%31%38", "018", "+18", "18%20", "17%2F..%2F18", "17/../18", "%EF%BC%91%EF%BC%98", "17%00"]
        {
            let found = status(&server, method, &path(route, other), Some(&user));
            assert!((400..500).contains(&found), "{method} {route} with {other}: {found}");
        }
    }
    assert_eq!(status(&server, "GET", "/v1/users/%31%37/preferences", Some(&user)), 200, "one's own");
}
