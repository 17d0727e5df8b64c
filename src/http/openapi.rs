//! `GET /openapi.json`: the OpenAPI 3.1 document of every route, made from what each module says of its own.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::schema::{AdditionalProperties, Object};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, License, OpenApi, OpenApiBuilder, Paths, RefOr, Schema};

use super::describe::{self, API_KEY, Described, May, Named, SESSION, TOKEN};
use super::permit::Anybody;
use super::{
    admin, api_keys, asyncapi, attributes, audit, calls, connections, consent, definitions, erasures, events,
    experiments, fire, health, inbox, items, limits, lists, live, merge, models, notifications, outcomes,
    people, personal_data, placements, preferences, preview, revocations, rules, scheduled, sources, sse,
    timeline, topics, users, webhooks, webpush,
};

/// The document as JSON; it is the same for the life of a process.
static JSON: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());

/// Answers the document.
pub async fn get(_: Anybody) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(JSON.as_str())
}

/// Every route, in the order of the table of routes.
fn described() -> Vec<Described> {
    let own = describe::get("/openapi.json", May::Anybody, "This document.")
        .answers::<serde_json::Value>(200, "OpenAPI 3.1.");
    let groups = [
        vec![own],
        asyncapi::described(),
        health::described(),
        events::described(),
        notifications::described(),
        calls::described(),
        scheduled::described(),
        inbox::described(),
        sse::described(),
        connections::described(),
        items::described(),
        lists::described(),
        attributes::described(),
        users::described(),
        personal_data::described(),
        erasures::described(),
        merge::described(),
        preferences::described(),
        consent::described(),
        topics::described(),
        fire::described(),
        webpush::described(),
        webhooks::described(),
        webhooks::log::described(),
        sources::described(),
        audit::described(),
        revocations::described(),
        api_keys::described(),
        people::sign_in::described(),
        people::oidc::described(),
        people::own::described(),
        people::described(),
        admin::described(),
        live::described(),
        models::described(),
        preview::described(),
        rules::described(),
        outcomes::described(),
        placements::described(),
        experiments::described(),
        limits::described(),
        timeline::described(),
        definitions::described(),
    ];
    groups.into_iter().flatten().collect()
}

/// The document.
pub fn document() -> OpenApi {
    let mut paths = Paths::new();
    let mut schemas: Vec<Named> = Vec::new();
    for (path, item, named) in described().into_iter().map(Described::finish) {
        match paths.paths.get_mut(path) {
            Some(known) => PathItem::merge_operations(known, item),
            None => drop(paths.paths.insert(path.to_owned(), item)),
        }
        schemas.extend(named);
    }
    let mut components = Components::new();
    components.schemas.extend(schemas);
    let closed: BTreeMap<String, Object> = components
        .schemas
        .iter()
        .filter_map(|(name, schema)| Some((name.clone(), closed(schema)?)))
        .collect();
    components.schemas.values_mut().for_each(|schema| open_parts(schema, &closed));
    components.add_security_scheme(TOKEN, token());
    components.add_security_scheme(API_KEY, api_key());
    components.add_security_scheme(SESSION, session());
    let info = InfoBuilder::new()
        .title("Tidings")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Real-time personalised notifications. A security requirement names the permissions of which the caller's role needs \
             one (docs/security/identity.md); user is any token or a user's, owner that of the user of the path; of an API key its \
             scope. Requests with a session that change something need the header X-CSRF-Token.",
        ))
        .license(Some(License::new("Apache-2.0")));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build()
}

/// An object that may have no other fields, without that rule.
fn closed(schema: &RefOr<Schema>) -> Option<Object> {
    let RefOr::T(Schema::Object(object)) = schema else { return None };
    let is_closed =
        matches!(object.additional_properties.as_deref(), Some(AdditionalProperties::FreeForm(false)));
    let mut open = object.clone();
    open.additional_properties = None;
    is_closed.then_some(open)
}

/// Parts of a schema that is put together must let the fields of the others pass, whether or not they are closed by themselves.
fn open_parts(schema: &mut RefOr<Schema>, closed: &BTreeMap<String, Object>) {
    let RefOr::T(Schema::AllOf(whole)) = schema else { return };
    for part in &mut whole.items {
        let RefOr::Ref(reference) = part else { continue };
        let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
        if let Some(object) = closed.get(name) {
            *part = RefOr::T(Schema::Object(object.clone()));
        }
    }
}

fn token() -> SecurityScheme {
    let about = "A signed token of a user, a backend or an administrator.";
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    SecurityScheme::Http(scheme.description(Some(about)).build())
}

fn api_key() -> SecurityScheme {
    let about = "An API key of a service, tdg_….";
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("API key");
    SecurityScheme::Http(scheme.description(Some(about)).build())
}

fn session() -> SecurityScheme {
    let about = "The session of a person who is signed in; without TLS, on loopback, the cookie is named tidings-session.";
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description("__Host-tidings", about)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_schemas_have_one_name() {
        let mut known = BTreeMap::new();
        for (name, schema) in described().into_iter().flat_map(|route| route.finish().2) {
            let json = serde_json::to_value(schema).unwrap();
            if let Some(other) = known.insert(name.clone(), json.clone()) {
                assert_eq!(json, other, "{name}");
            }
        }
        assert!(known.len() > 100);
    }

    #[test]
    fn no_part_of_a_schema_forbids_the_fields_of_the_others() {
        let document = serde_json::to_value(document()).unwrap();
        let schemas = &document["components"]["schemas"];
        let is_closed = |part: &serde_json::Value| {
            let name = part["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
            name.map_or(part, |name| &schemas[name])["additionalProperties"] == false
        };
        for (name, schema) in schemas.as_object().unwrap() {
            let parts = schema["allOf"].as_array().into_iter().flatten();
            assert!(!parts.into_iter().any(is_closed), "{name}");
        }
        assert_eq!(schemas["SourceReport"]["additionalProperties"], false, "what is read is closed");
    }
}
