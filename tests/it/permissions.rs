//! Every route with every role, and with the id of another user, against one table.

use std::collections::BTreeSet;

use serde_json::json;
use tidings::http::describe::May;
use tidings::privacy::{Permission, Role};

use crate::helpers::client::Client;
use crate::helpers::database::TestDatabase;
use crate::helpers::server::{Server, wait_for};
use crate::helpers::tokens::{SECRET, token};

/// Callers of a route. A permission is that of the roles beside the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    /// No token.
    Nothing,
    /// Any token; what it may say or see depends on the body.
    Token,
    /// A user's token, depending on the body, or a role with the permission.
    TokenOr(Permission),
    /// A token of the user of the path, or a role with the permission.
    Own(Permission),
    /// A role with the permission.
    With(Permission),
    /// A person with a session.
    Person,
}
use Needs::{Nothing, Own, Person, Token, TokenOr, With};
use Permission as P;

const USER: &str = "17";
const UUID: &str = "0192f0a0-0000-7000-8000-000000000000";

/// The table: method, route, who may call it. WebSockets are told by their first frame who it is.
const TABLE: [(&str, &str, Needs); 127] = [
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/metrics", With(P::Monitor)),
    ("GET", "/openapi.json", Nothing),
    ("GET", "/asyncapi.json", Nothing),
    ("POST", "/v1/events", TokenOr(P::ActForUsers)),
    ("POST", "/v1/connections/{connection_id}/frames", TokenOr(P::ActForUsers)),
    ("POST", "/v1/triggers/{name}", With(P::SendMessages)),
    ("POST", "/v1/notifications", With(P::SendMessages)),
    ("GET", "/v1/notifications", With(P::ReadMessages)),
    ("GET", "/v1/notifications/scheduled", With(P::ReadMessages)),
    ("GET", "/v1/notifications/scheduled/{id}", With(P::ReadMessages)),
    ("PATCH", "/v1/notifications/scheduled/{id}", With(P::SendMessages)),
    ("DELETE", "/v1/notifications/scheduled/{id}", With(P::SendMessages)),
    ("GET", "/v1/notifications/{id}", With(P::ReadMessages)),
    ("PATCH", "/v1/notifications/{id}", With(P::SendMessages)),
    ("DELETE", "/v1/notifications/{id}", With(P::SendMessages)),
    ("POST", "/v1/notifications/{id}/pause", With(P::SendMessages)),
    ("POST", "/v1/notifications/{id}/resume", With(P::SendMessages)),
    ("GET", "/v1/items", Token),
    ("PUT", "/v1/items", With(P::WriteCatalogue)),
    ("GET", "/v1/items/{id}", Token),
    ("DELETE", "/v1/items/{id}", With(P::WriteCatalogue)),
    ("DELETE", "/v1/embeddings", With(P::WriteCatalogue)),
    ("GET", "/v1/items/{id}/similar", Token),
    ("POST", "/v1/recommend", TokenOr(P::ReadUsers)),
    ("GET", "/v1/recommendations", With(P::ReadUsers)),
    ("GET", "/v1/users/{id}", With(P::ReadUsers)),
    ("PATCH", "/v1/users/{id}", With(P::WriteUsers)),
    ("GET", "/v1/users/{id}/recommendations", Own(P::ReadUsers)),
    ("GET", "/v1/users/{id}/profile", Own(P::ReadUsers)),
    ("GET", "/v1/users/{id}/privacy", Own(P::ReadUsers)),
    ("GET", "/v1/users/{id}/export", Own(P::PersonalData)),
    ("POST", "/v1/users/{id}/merge", With(P::WriteUsers)),
    ("GET", "/v1/users/{id}/inbox", Own(P::ReadUsers)),
    ("POST", "/v1/users/{id}/inbox/read", Own(P::WriteUsers)),
    ("POST", "/v1/users/{id}/inbox/seen", Own(P::WriteUsers)),
    ("POST", "/v1/users/{id}/inbox/unread", Own(P::WriteUsers)),
    ("POST", "/v1/users/{id}/inbox/archive", Own(P::WriteUsers)),
    ("POST", "/v1/users/{id}/inbox/unarchive", Own(P::WriteUsers)),
    ("POST", "/v1/users/{id}/inbox/delete", Own(P::WriteUsers)),
    ("POST", "/v1/users/{id}/inbox/snooze", Own(P::WriteUsers)),
    ("GET", "/v1/users/{id}/preferences", Own(P::ReadUsers)),
    ("PUT", "/v1/users/{id}/preferences", Own(P::WriteUsers)),
    ("PATCH", "/v1/users/{id}/preferences", Own(P::WriteUsers)),
    ("GET", "/v1/users/{id}/consent", Own(P::ReadUsers)),
    ("POST", "/v1/users/{id}/consent", Own(P::WriteUsers)),
    ("POST", "/v1/users/{id}/mute", Own(P::WriteUsers)),
    ("GET", "/v1/topics/{name}/subscribers", With(P::ReadUsers)),
    ("PUT", "/v1/topics/{name}/subscribers", With(P::WriteUsers)),
    ("DELETE", "/v1/topics/{name}/subscribers", With(P::WriteUsers)),
    ("GET", "/v1/users/{id}/topics", Own(P::ReadUsers)),
    ("PUT", "/v1/users/{id}/topics/{name}", Own(P::WriteUsers)),
    ("DELETE", "/v1/users/{id}/topics/{name}", Own(P::WriteUsers)),
    ("GET", "/v1/webpush/key", Nothing),
    ("POST", "/v1/webpush/subscriptions", TokenOr(P::ActForUsers)),
    ("DELETE", "/v1/webpush/subscriptions", TokenOr(P::ActForUsers)),
    ("POST", "/v1/webpush/reports", Nothing),
    ("GET", "/v1/webhooks", With(P::ManageWebhooks)),
    ("POST", "/v1/webhooks", With(P::ManageWebhooks)),
    ("GET", "/v1/webhooks/{id}", With(P::ManageWebhooks)),
    ("PATCH", "/v1/webhooks/{id}", With(P::ManageWebhooks)),
    ("DELETE", "/v1/webhooks/{id}", With(P::ManageWebhooks)),
    ("POST", "/v1/webhooks/{id}/rotate", With(P::ManageWebhooks)),
    ("POST", "/v1/webhooks/{id}/test", With(P::ManageWebhooks)),
    ("GET", "/v1/webhooks/{id}/deliveries", With(P::ManageWebhooks)),
    ("POST", "/v1/webhooks/{id}/replay", With(P::ManageWebhooks)),
    ("GET", "/v1/sources", With(P::Monitor)),
    ("POST", "/v1/sources/{name}", With(P::ReportSources)),
    ("GET", "/v1/admin/audit", With(P::ReadAudit)),
    ("GET", "/v1/admin/revocations", With(P::RevokeTokens)),
    ("POST", "/v1/admin/revocations", With(P::RevokeTokens)),
    ("GET", "/v1/admin/keys", With(P::ManageKeys)),
    ("POST", "/v1/admin/keys", With(P::ManageKeys)),
    ("DELETE", "/v1/admin/keys/{id}", With(P::ManageKeys)),
    ("GET", "/v1/people/sign-in", Nothing),
    ("POST", "/v1/people/sign-in", Nothing),
    ("GET", "/v1/people/oidc", Nothing),
    ("GET", "/oidc/callback", Nothing),
    ("POST", "/v1/people/link", Nothing),
    ("POST", "/v1/people/join", Nothing),
    ("GET", "/v1/people/me", Token),
    ("GET", "/v1/people/sessions", Person),
    ("DELETE", "/v1/people/sessions/{id}", Person),
    ("POST", "/v1/people/sign-out", Person),
    ("POST", "/v1/people/sign-out-everywhere", Person),
    ("POST", "/v1/people/password", Person),
    ("GET", "/v1/people", With(P::ManagePeople)),
    ("POST", "/v1/people", With(P::ManagePeople)),
    ("PATCH", "/v1/people/{id}", With(P::ManagePeople)),
    ("POST", "/v1/people/{id}/link", With(P::ManagePeople)),
    ("GET", "/admin/metrics", With(P::ReadFigures)),
    ("GET", "/admin/segments", With(P::ReadFigures)),
    ("GET", "/admin/models", With(P::ReadFigures)),
    ("GET", "/admin/models/{version}/card", With(P::ReadFigures)),
    ("POST", "/admin/models/rollback", With(P::Operate)),
    ("DELETE", "/admin/models/shadow", With(P::Operate)),
    ("POST", "/admin/models/{version}/activate", With(P::Operate)),
    ("POST", "/admin/models/{version}/shadow", With(P::Operate)),
    ("POST", "/admin/templates/preview", With(P::EditDefinitions)),
    ("POST", "/admin/triggers/{name}/dry-run", With(P::EditDefinitions)),
    ("GET", "/admin/rules", With(P::ReadFigures)),
    ("GET", "/admin/decisions", With(P::ReadDecisions)),
    ("GET", "/admin/sessions", With(P::ReadDecisions)),
    ("GET", "/admin/outcomes", With(P::ReadFigures)),
    ("GET", "/admin/outcomes/placements", With(P::ReadFigures)),
    ("GET", "/admin/experiments/readings", With(P::ReadFigures)),
    ("GET", "/admin/experiments/{name}/reading", With(P::ReadFigures)),
    ("GET", "/admin/limits", With(P::ReadFigures)),
    ("GET", "/admin/cleaning", With(P::ReadFigures)),
    ("GET", "/admin/users", With(P::ReadDecisions)),
    ("GET", "/admin/users/{id}/timeline", With(P::ReadTimelines)),
    ("DELETE", "/admin/users/{id}/robot", With(P::Operate)),
    ("POST", "/admin/retrain", With(P::Operate)),
    ("GET", "/admin/jobs/{id}", With(P::ReadFigures)),
    ("DELETE", "/admin/jobs/{id}", With(P::Operate)),
    ("GET", "/admin/{kind}", With(P::ReadFigures)),
    ("GET", "/admin/{kind}/{name}", With(P::ReadFigures)),
    ("PUT", "/admin/{kind}/{name}", With(P::EditDefinitions)),
    ("POST", "/admin/{kind}/{name}/activate", With(P::EditDefinitions)),
    ("POST", "/admin/{kind}/{name}/pause", With(P::EditDefinitions)),
    ("GET", "/v1/erasures/{id}", TokenOr(P::EraseUsers)),
    ("POST", "/v1/erasures/{id}/release", With(P::ReleaseIds)),
    // Ends the user, and sessions of the caller: asked for last.
    ("DELETE", "/v1/users/{id}", Own(P::EraseUsers)),
    ("POST", "/v1/users/{id}/sign-out", Own(P::SignOutUsers)),
    // Streams that go on.
    ("GET", "/v1/sse", TokenOr(P::ActForUsers)),
    ("GET", "/admin/live", With(P::ReadFigures)),
];
/// Routes of users whose answer depends on more than the token: a setting, and whose erasure it is.
const REFUSED_TO_USERS: [&str; 2] = ["DELETE /v1/users/{id}", "GET /v1/erasures/{id}"];
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
            let names: Vec<&str> = operation["security"][0]["token"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|name| name.as_str().unwrap())
                .collect();
            let named = |name: &str| P::ALL.iter().copied().find(|known| known.name() == name).unwrap();
            let role = match names.as_slice() {
                [] if operation["security"][0]["session"].is_array() => Person,
                [] => Nothing,
                ["user"] => Token,
                ["user", name] => TokenOr(named(name)),
                ["owner", name] => Own(named(name)),
                [name] => With(named(name)),
                other => panic!("{method} {path}: {other:?}"),
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
fn the_signature_of_each_handler_asks_for_what_the_table_says() {
    let table: BTreeSet<_> = TABLE.iter().map(|(method, route, needs)| (*method, *route, *needs)).collect();
    let rights = tidings::http::routes::rights();
    let mut there = BTreeSet::new();
    for (method, route, may) in &rights {
        let route = route.replace(":triggers|templates|policies|experiments|placements", "");
        let needs = match *may {
            May::Anybody => Nothing,
            May::User => Token,
            May::Person => Person,
            May::UserOr(permission) => TokenOr(permission),
            May::Owner(permission) => Own(permission),
            May::Needs(permission) => With(permission),
        };
        if route != "/ws" && route != "/echo" {
            there.insert((method.to_string(), route, needs));
        }
    }
    let there: BTreeSet<_> =
        there.iter().map(|(method, route, needs)| (method.as_str(), route.as_str(), *needs)).collect();
    let differs: Vec<_> = there.symmetric_difference(&table).collect();
    assert!(differs.is_empty(), "in a signature or in the table only: {differs:#?}");
}

/// Whether callers of that role get past the check of permissions.
fn may(role: Role, needs: Needs, is_own: bool) -> bool {
    match needs {
        Nothing | Token => true,
        TokenOr(permission) => role == Role::User || role.may(permission),
        Own(permission) => (role == Role::User && is_own) || role.may(permission),
        With(permission) => role.may(permission),
        Person => false,
    }
}

#[test]
fn each_role_may_what_the_table_says_and_nothing_else() {
    let (_database, server) = start();
    let user = token(&["--role", "user", "--user", USER]);
    let others = Role::ALL.into_iter().filter(|role| *role != Role::User);
    let others: Vec<(Role, String)> =
        others.map(|role| (role, token(&["--role", role.name(), "--user", "anna"]))).collect();
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
        let to_users = !REFUSED_TO_USERS.contains(&format!("{method} {route}").as_str());
        check("another user", Some(&user), "18", unless(to_users && may(Role::User, needs, false), 403));
        if route != "/v1/users/{id}/sign-out" {
            check("the user", Some(&user), USER, unless(to_users && may(Role::User, needs, true), 403));
        }
        for (role, token) in &others {
            let is_allowed = may(*role, needs, false);
            if is_allowed && ["/admin/retrain", "/v1/users/{id}/sign-out"].contains(&route) {
                continue;
            }
            check(role.name(), Some(token), USER, unless(is_allowed, 403));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Somebody who can be told from everybody else by any of this.
const ERIKA: &str = "erika-mustermann";
const WORDS: [&str; 3] = [ERIKA, "Wolkenkuckucksheim", "Gesundheitsfrage"];

#[test]
fn people_without_the_permission_see_no_id_attribute_or_word_of_a_user() {
    let (_database, server) = start();
    let with = |role: Role| {
        let mut http = server.http();
        let token = token(&["--role", role.name(), "--user", "anna"]);
        http.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        http
    };
    let mut admin = with(Role::Admin);
    let attributes = json!({"attributes": {"city": "Wolkenkuckucksheim"}});
    assert_eq!(admin.patch(&format!("/v1/users/{ERIKA}"), &attributes).status, 200);
    let message = json!({"user_id": ERIKA, "title": "Ihre Gesundheitsfrage", "priority": "transactional"});
    assert!(admin.post("/v1/notifications", &message).status < 300);
    admin.post("/v1/events", &json!({"kind": "search", "user_id": ERIKA, "query": "Gesundheitsfrage"}));
    // What a login is answered with is decided.
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "login", "token": token(&["--role", "user", "--user", ERIKA])}));
    wait_for("the decision", || admin.get("/admin/decisions").body.contains(ERIKA));
    let mut seen_by_admin = 0;
    for role in Role::OF_PEOPLE {
        let mut http = with(role);
        let routes = TABLE.iter().filter(|(method, route, _)| *method == "GET" && !STREAMS.contains(route));
        for (_, route, needs) in routes {
            let id = if route.contains("/users/") { ERIKA } else { UUID };
            let answer = http.get(&path(&route.replace("/users/{id}", &format!("/users/{id}")), USER));
            let told = WORDS.iter().any(|word| answer.body.contains(word));
            assert!(
                !told || role.may(P::PersonalData),
                "{role:?} is told by {route} ({needs:?}): {}",
                answer.body
            );
            seen_by_admin += usize::from(told && role == Role::Admin);
        }
        let named = http.get(&format!("/admin/decisions?user_id={ERIKA}"));
        assert_eq!(named.status, if role.may(P::PersonalData) { 200 } else { 403 }, "{role:?}");
    }
    assert!(seen_by_admin >= 6, "only {seen_by_admin} routes tell anything of a user");
    let listed = with(Role::Viewer).get("/admin/users").json();
    let id = listed["users"][0]["user_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("user-") && id.len() == 17, "{id}");
    assert_eq!(with(Role::Operator).get("/admin/users").json()["users"][0]["user_id"], id);
    let dry_run = json!({"user_ids": [ERIKA]});
    assert_eq!(with(Role::Marketer).post("/admin/triggers/login/dry-run", &dry_run).status, 403);
}

/// Roles and their permissions as the table of `docs/security/identity.md`.
fn table_of_roles() -> String {
    let roles = Role::ALL.into_iter().filter(|role| *role != Role::User);
    let names: Vec<String> = roles.clone().map(|role| format!("`{}`", role.name())).collect();
    let mut table =
        format!("| permission | | {} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for permission in P::ALL {
        let marks: Vec<&str> =
            roles.clone().map(|role| if role.may(*permission) { "✓" } else { "" }).collect();
        table += &format!("| `{}` | {} | {} |\n", permission.name(), permission.about(), marks.join(" | "));
    }
    table
}

#[test]
fn the_table_of_roles_in_the_documentation_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/security/identity.md");
    let (text, table) = (std::fs::read_to_string(path).unwrap(), table_of_roles());
    assert!(text.contains(&table), "docs/security/identity.md does not contain\n{table}");
}

#[test]
fn no_spelling_of_another_s_id_opens_anything() {
    let (_database, server) = start();
    let user = token(&["--role", "user", "--user", USER]);
    for (method, route, _) in TABLE.iter().filter(|(_, _, needs)| matches!(needs, Own(_))) {
        for other in
            ["18", "%31%38", "018", "+18", "18%20", "17%2F..%2F18", "17/../18", "%EF%BC%91%EF%BC%98", "17%00"]
        {
            let found = status(&server, method, &path(route, other), Some(&user));
            assert!((400..500).contains(&found), "{method} {route} with {other}: {found}");
        }
    }
    assert_eq!(status(&server, "GET", "/v1/users/%31%37/preferences", Some(&user)), 200, "one's own");
}
