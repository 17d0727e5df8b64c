//! The OpenAPI document: what it names is there, its examples are as its schemas say, and so are the answers of a server.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidings::http::openapi::document;

use crate::helpers::http::{Http, Response};
use crate::helpers::json_schema::Schemas;
use crate::helpers::server::Server;
use crate::helpers::shop::shop;

fn parsed() -> Value {
    serde_json::from_str(&document().to_json().unwrap()).unwrap()
}

/// Operations with their methods and paths.
fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (method, path, operation))
    })
}

/// Every reference, and every schema of a body or an answer with its example.
fn walk(value: &Value, references: &mut BTreeSet<String>, examples: &mut Vec<(Value, Value)>) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                references.insert(reference.to_owned());
            }
            if let (Some(schema), Some(example)) = (fields.get("schema"), fields.get("example")) {
                examples.push((schema.clone(), example.clone()));
            }
            fields.values().for_each(|field| walk(field, references, examples));
        }
        Value::Array(parts) => parts.iter().for_each(|part| walk(part, references, examples)),
        _ => {}
    }
}

#[test]
fn references_lead_somewhere_and_examples_are_as_their_schemas_say() {
    let document = parsed();
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let (mut references, mut examples) = (BTreeSet::new(), Vec::new());
    walk(&document, &mut references, &mut examples);
    let lost: Vec<&String> =
        references.iter().filter(|name| document.pointer(name.trim_start_matches('#')).is_none()).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let named = |name: &String| references.contains(&format!("#/components/schemas/{name}"));
    let components = document["components"]["schemas"].as_object().unwrap();
    let idle: Vec<&String> = components.keys().filter(|name| !named(name)).collect();
    assert!(idle.is_empty(), "named by nothing: {idle:?}");
    assert!(examples.len() > 30, "{} examples", examples.len());
    for (schema, example) in &examples {
        assert_eq!(Schemas(&document).fault(schema, example), None, "{example}");
    }
}

#[test]
fn operations_have_names_of_their_own_and_their_parameters() {
    let document = parsed();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names: Vec<(&str, &str)> =
            parameters.map(|one| (one["in"].as_str().unwrap(), one["name"].as_str().unwrap())).collect();
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), different.len(), "{method} {path}: {names:?}");
        let in_path = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
        for name in in_path {
            assert!(names.contains(&("path", name)), "{method} {path}: {name}");
        }
        assert!(operation["responses"].as_object().unwrap().len() > 1, "{method} {path} has no errors");
    }
}

/// The routes as the table of `docs/routes.md`.
fn table(document: &Value) -> String {
    let mut table = String::from("| method | path | needs | |\n|---|---|---|---|\n");
    for (method, path, operation) in operations(document) {
        let names = operation["security"][0]["token"].as_array().into_iter().flatten();
        let names: Vec<String> = names.map(|name| format!("`{}`", name.as_str().unwrap())).collect();
        let is_person = operation["security"][0]["session"].is_array();
        let names = if is_person { vec!["a session".to_owned()] } else { names };
        let needs = if names.is_empty() { "–".to_owned() } else { names.join(" or ") };
        let (method, summary) = (method.to_uppercase(), operation["summary"].as_str().unwrap());
        table += &format!("| {method} | `{path}` | {needs} | {summary} |\n");
    }
    table
}

#[test]
fn the_table_of_routes_in_the_documentation_is_that_of_the_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/routes.md");
    let (text, table) = (std::fs::read_to_string(path).unwrap(), table(&parsed()));
    assert!(text.ends_with(&table), "docs/routes.md does not end with\n{table}");
}

/// A client that holds each answer against the document.
struct Checked {
    http: Http,
    document: Value,
    asked: BTreeSet<(String, String)>,
    faults: Vec<String>,
}

impl Checked {
    fn new(server: &Server) -> Self {
        let mut http = server.http();
        let document = http.get("/openapi.json").json();
        Self { http, document, asked: BTreeSet::new(), faults: Vec::new() }
    }

    /// The path of the document that a path is one of.
    fn template(&self, path: &str) -> String {
        let path = path.split('?').next().unwrap();
        let fits = |template: &&String| {
            let (mut there, mut here) = (template.split('/'), path.split('/'));
            let all = there.by_ref().zip(here.by_ref()).all(|(a, b)| a == b || a.starts_with('{'));
            all && template.split('/').count() == path.split('/').count()
        };
        let all = self.document["paths"].as_object().unwrap().keys().filter(fits);
        all.min_by_key(|template| template.matches('{').count()).unwrap().clone()
    }

    fn send(&mut self, method: &str, path: &str, body: &Value) -> Response {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.http.send(method, path, "application/json", text.as_bytes()).unwrap();
        let template = self.template(path);
        let operation = &self.document["paths"][&template][method.to_lowercase()];
        let what = format!("{method} {path} {}", response.status);
        self.faults.extend(self.fault(operation, body, &response).map(|fault| format!("{what}: {fault}")));
        self.asked.insert((method.to_owned(), template));
        response
    }

    /// Fault of a request that was accepted, or of its answer.
    fn fault(&self, operation: &Value, body: &Value, response: &Response) -> Option<String> {
        let (schemas, text) = (Schemas(&self.document), &response.body);
        let said = &operation["responses"][response.status.to_string()];
        if !said.is_object() {
            return Some(format!("the status is not in the document: {text}"));
        }
        let schema = &said["content"]["application/json"]["schema"];
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        if schema.is_object() {
            if let Some(fault) = schemas.fault(schema, &answer) {
                return Some(format!("{fault}: {text}"));
            }
        } else if !said["content"].is_object() && !text.is_empty() {
            return Some(format!("the document has no body: {text}"));
        }
        let is_whole = answer["rejected"].as_array().is_none_or(Vec::is_empty);
        if body.is_null() || response.status >= 300 || !is_whole {
            return None;
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        schemas.fault(schema, body).map(|fault| format!("{fault}, of the request {body}"))
    }

    fn ok(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let response = self.send(method, path, body);
        if response.status >= 300 {
            self.faults.push(format!("{method} {path}: {} {}", response.status, response.body));
        }
        serde_json::from_str(&response.body).unwrap_or_default()
    }

    fn get(&mut self, path: &str) -> Value {
        self.ok("GET", path, &Value::Null)
    }
}

fn people(client: &mut Checked) {
    client.ok(
        "PATCH",
        "/v1/users/7",
        &json!({"attributes": {"tier": "gold", "born": {"date": "1990-01-31"}}}),
    );
    client.get("/v1/users/7");
    client.get("/v1/users/7/profile");
    client.get("/v1/users/7/privacy");
    client.get("/v1/users/7/preferences");
    client.ok("PUT", "/v1/users/7/preferences", &json!({"muted": ["promotion"], "digest": ["*"]}));
    let quiet = json!({"quiet_hours": {"from": "22:00", "to": "07:00"}, "blocked_channels": {"news": ["push"]}, "muted": null});
    client.ok("PATCH", "/v1/users/7/preferences", &quiet);
    client.ok("POST", "/v1/users/7/mute", &json!({"of": "brand", "name": "Brand 2"}));
    let consent =
        json!([{"purpose": "marketing", "granted": true, "source": "account", "text_version": "1"}]);
    client.ok("POST", "/v1/users/7/consent", &consent);
    client.get("/v1/users/7/consent");
    client.ok("PUT", "/v1/topics/vinyl/subscribers", &json!({"user_ids": [7, 9_999]}));
    client.get("/v1/topics/vinyl/subscribers?limit=1");
    client.ok("PUT", "/v1/users/7/topics/jazz", &Value::Null);
    client.get("/v1/users/7/topics");
    client.ok("DELETE", "/v1/users/7/topics/jazz", &Value::Null);
    client.ok("DELETE", "/v1/topics/vinyl/subscribers", &json!({"user_ids": [7]}));
    client.ok("POST", "/v1/events", &json!({"kind": "view", "user_id": "anon-7", "item_id": 103}));
    client.ok("POST", "/v1/users/7/merge", &json!({"anonymous_id": "anon-7"}));
}

fn catalogue_and_lists(client: &mut Checked) {
    client.ok(
        "PUT",
        "/v1/items",
        &json!([{"item_id": 141, "title": "Lamp", "stock": 3}, {"item_id": 142, "titel": 1}]),
    );
    client.get("/v1/items?q=watch&limit=3");
    client.get("/v1/items/141");
    client.ok("DELETE", "/v1/items/141", &Value::Null);
    let events = json!([{"kind": "view", "user_id": 7, "item_id": 101, "dwell_ms": 900, "event_id": "a"},
                        {"kind": "purchase", "user_id": 8, "item_id": 102, "value": 10.0, "currency": "EUR"},
                        {"kind": "view", "user_id": 7}]);
    client.ok("POST", "/v1/events", &events);
    client.get("/v1/users/7/recommendations?n=3&category=Watches");
    client.get("/v1/items/101/similar?n=2");
    client.ok("POST", "/v1/recommend", &json!({"n": 2, "context": {"page": "cart", "cart": [101]}}));
    client.ok("POST", "/v1/recommend", &json!({"user_id": 8, "category": "Nothing", "stock": "any"}));
}

fn messages(client: &mut Checked) {
    let sent = client.ok(
        "POST",
        "/v1/notifications",
        &json!({"user_id": 7, "title": "Hello", "priority": "transactional"}),
    );
    client.get(&format!("/v1/notifications/{}", sent["id"].as_str().unwrap_or_default()));
    let later = json!([{"everyone": true, "title": "Sale", "send_at": "2036-01-01T00:00:00Z", "expires_at": "2036-01-02T00:00:00Z"},
                       {"segment": "A", "titel": "x"}]);
    assert_eq!(client.send("POST", "/v1/notifications", &later).status, 400, "too far ahead");
    let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    let call = client.ok("POST", "/v1/notifications", &json!([
        {"everyone": true, "title": "Sale", "send_at": at}, {"to": {"user_ids": [7, 8]}, "title": "x"}, {"titel": "x"}]));
    client.get(&format!("/v1/notifications/{}", call["id"].as_str().unwrap_or_default()));
    let sale = json!({"everyone": true, "title": "Sale", "send_at": at, "rate_per_minute": 60});
    let id = client.ok("POST", "/v1/notifications", &sale)["id"].as_str().unwrap_or_default().to_owned();
    client.get("/v1/notifications?limit=1");
    client.get("/v1/notifications/scheduled");
    client.get(&format!("/v1/notifications/scheduled/{id}"));
    client.ok(
        "PATCH",
        &format!("/v1/notifications/{id}"),
        &json!({"title": "Winter sale", "data": {"a": 1}}),
    );
    client.ok("POST", &format!("/v1/notifications/{id}/pause"), &Value::Null);
    client.ok("POST", &format!("/v1/notifications/{id}/resume"), &Value::Null);
    client.ok("DELETE", &format!("/v1/notifications/scheduled/{id}"), &Value::Null);
    client.ok(
        "POST",
        "/v1/triggers/order_status",
        &json!({"user_ids": [7, 9_998], "event": {"status": "shipped"}}),
    );
    assert_eq!(client.send("POST", "/v1/triggers/order_status", &json!({"user_ids": [9_998]})).status, 400);
    let inbox = client.get("/v1/users/7/inbox?state=all");
    let ids = json!([inbox["messages"][0]["notification_id"]]);
    for change in ["unread", "archive", "unarchive"] {
        client.ok("POST", &format!("/v1/users/7/inbox/{change}"), &json!({"notification_ids": ids}));
    }
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5)).to_string();
    client.ok("POST", "/v1/users/7/inbox/snooze", &json!({"notification_ids": ids, "until": until}));
    client.ok("POST", "/v1/users/7/inbox/read", &json!({"all": true}));
    client.ok("POST", "/v1/users/7/inbox/seen", &json!({"up_to": 5}));
    client.ok("POST", "/v1/users/7/inbox/delete", &json!({"notification_ids": ids}));
}

fn systems(client: &mut Checked) {
    let events = client.get("/v1/webhooks")["events"][0].clone();
    let hook = json!({"url": "https://shop.example/hooks", "events": [events]});
    let id = client.ok("POST", "/v1/webhooks", &hook)["webhook_id"].as_str().unwrap_or_default().to_owned();
    let of = |rest: &str| format!("/v1/webhooks/{id}{rest}");
    client.get(&of(""));
    client.ok("PATCH", &of(""), &json!({"description": "orders"}));
    client.ok("POST", &of("/rotate"), &Value::Null);
    client.ok("POST", &of("/test"), &Value::Null);
    client.get(&of("/deliveries"));
    client.ok("POST", &of("/replay"), &json!({"failed_since": "2026-01-01T00:00:00Z"}));
    client.ok("DELETE", &of(""), &Value::Null);
    let report = json!({"from": "kafka", "reads": "orders", "records": 3, "stored": 3, "lag_records": null, "lag_s": 0.5});
    client.ok("POST", "/v1/sources/orders", &report);
    client.get("/v1/sources");
    client.get("/v1/admin/audit?limit=2");
    let key = client.ok("POST", "/v1/admin/keys", &json!({"name": "shop", "scopes": ["events:write"]}));
    client.get("/v1/admin/keys?revoked=true");
    client.ok(
        "DELETE",
        &format!("/v1/admin/keys/{}", key["key_id"].as_str().unwrap_or_default()),
        &Value::Null,
    );
    client.ok("POST", "/v1/admin/revocations", &json!({"token_id": "t1", "reason": "lost"}));
    client.get("/v1/admin/revocations?limit=1");
    client.ok("POST", "/v1/users/9/sign-out", &Value::Null);
}

fn administration(client: &mut Checked) {
    for path in [
        "/admin/metrics",
        "/admin/segments",
        "/admin/models",
        "/admin/rules?limit=2",
        "/admin/decisions?limit=5",
        "/admin/sessions",
        "/admin/outcomes?by=hour",
        "/admin/experiments/readings",
        "/admin/limits",
        "/admin/cleaning",
        "/admin/users?limit=2",
        "/admin/users?robots=true",
        "/admin/users/7/timeline",
        "/admin/live?item=101",
        "/admin/triggers",
        "/admin/templates",
        "/admin/policies",
        "/admin/experiments",
        "/admin/placements",
        "/admin/triggers/price_drop",
        "/healthz",
        "/readyz",
        "/v1/webpush/key",
    ] {
        client.get(path);
    }
    let body = client.get("/admin/triggers/price_drop")["latest"]["definition"].clone();
    client.ok("PUT", "/admin/triggers/price_drop?validate_only=true", &body);
    client.ok("PUT", "/admin/triggers/price_drop", &body);
    client.ok("POST", "/admin/triggers/price_drop/pause", &Value::Null);
    client.ok("POST", "/admin/triggers/price_drop/activate", &json!({"version": 1}));
    let arms = json!([{"name": "a", "share": 5_000}, {"name": "b", "share": 5_000, "policy": {"budget_per_hour": 9}}]);
    client.ok("PUT", "/admin/experiments/caps", &json!({"name": "caps", "arms": arms}));
    client.get("/admin/experiments/caps/reading?days=3");
    client.ok("POST", "/admin/policies/default/pause", &Value::Null);
    let asked = json!({"name": "price_drop", "item_ids": [101], "price_before": 12.0});
    client.ok("POST", "/admin/templates/preview", &asked);
    client.ok(
        "POST",
        "/admin/triggers/price_drop/dry-run",
        &json!({"user_ids": [7, 9_997], "item_id": 101, "price_before": 12.0}),
    );
}

#[test]
fn answers_are_as_the_document_says() {
    let (_database, server) = shop(&["--set", "limits.address_per_s=0"]);
    let mut client = Checked::new(&server);
    catalogue_and_lists(&mut client);
    people(&mut client);
    let device = server.login(7).0;
    messages(&mut client);
    systems(&mut client);
    let job =
        client.ok("POST", "/admin/retrain", &Value::Null)["job"].as_str().unwrap_or_default().to_owned();
    client.get(&format!("/admin/jobs/{job}"));
    administration(&mut client);
    drop(device);
    for (method, path, body) in [
        ("GET", "/v1/items/none", Value::Null),
        ("GET", "/v1/people/oidc", Value::Null),
        ("GET", "/oidc/callback?state=1", Value::Null),
        ("GET", "/v1/items?limt=3", Value::Null),
        ("DELETE", "/admin/jobs/0192f0a0-0000-7000-8000-000000000000", Value::Null),
        ("GET", "/admin/experiments/nothing/reading", Value::Null),
        ("PATCH", "/v1/users/7/preferences", json!("nonsense")),
        ("POST", "/v1/users/7/merge", json!({"anonymus_id": 1})),
        ("POST", "/v1/recommend", json!({"n": 0})),
    ] {
        let response = client.send(method, path, &body);
        assert!((400..500).contains(&response.status), "{method} {path}: {}", response.status);
    }
    assert!(client.faults.is_empty(), "{}", client.faults.join("\n"));
    assert!(client.asked.len() > 75, "{} routes asked", client.asked.len());
}
