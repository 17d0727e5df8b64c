//! `/v1/users/{id}`: what the shop says of a user. For the shop only: a user who could change them would choose their own audience.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::audited::{Change, in_one};
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::merge_patch::merge;
use super::permit::{ReadUsers, With, WriteUsers};
use tidings_actors::App;
use tidings_core::base::{ExternalId, json, suggest_nearest};
use tidings_core::profile::Attributes;
use tidings_decision::decide::Input;
use tidings_decision::privacy::Permission;
use tidings_store::{user_attributes, users};

/// Changes of attributes: an absent one stays as it was, null removes one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserPatch {
    attributes: Map<String, Value>,
}

/// Attributes of a user.
#[derive(Serialize, ToSchema)]
struct UserAttributes<'a> {
    user_id: &'a ExternalId,
    /// By name: a text, a number, true or false, a list of texts, or a date.
    #[schema(value_type = Object)]
    attributes: Value,
}

/// The same for the audit log.
#[derive(Serialize)]
struct AuditedAttributes {
    attributes: Value,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let user = "/v1/users/{id}";
    vec![
        describe::get(user, May::Needs(Permission::ReadUsers), "Attributes of a user.")
            .answers::<UserAttributes<'_>>(200, "All of them.")
            .example(r#"{"user_id": 17, "attributes": {"tier": "gold", "birthday": {"date": "1990-01-31"}}}"#)
            .refuses(&[404]),
        describe::patch(
            user,
            May::Needs(Permission::WriteUsers),
            "Merges into the attributes of a user (RFC 7396).",
        )
        .body::<UserPatch>()
        .body_example(r#"{"attributes": {"tier": "gold", "old": null}}"#)
        .answers::<UserAttributes<'_>>(200, "As they are now.")
        .refuses(&[404]),
    ]
}

/// Answers the attributes of a user.
pub async fn get(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: With<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let named = user.clone();
    let fields = Arc::clone(app.state.store.fields());
    let attributes = app
        .state
        .store
        .run(move |connection| match users::find(connection, &named)? {
            Some(user) => Ok(Some(user_attributes::get(connection, &fields, user)?)),
            None => Ok(None),
        })
        .await?
        .ok_or(ApiError::NotFound("this user"))?;
    Ok(answer(&user, &attributes))
}

/// Merges into the attributes (RFC 7396): an absent one stays as it was, `null` removes one. Holds from the next decision.
pub async fn patch(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let UserPatch { attributes: wish } = json::from_slice(&body).map_err(|error| {
        let error = suggest_nearest(&error.to_string());
        ApiError::invalid("bad_json", None, format!("not {{\"attributes\":{{…}}}}: {error}"))
    })?;
    let (user, order) = caller.in_order(&user, &app.registry).await?;
    let named = user.clone();
    let fields = Arc::clone(app.state.store.fields());
    let change = Change::new(&request, &app, StatusCode::OK);
    let attributes_of = |all: &Attributes| AuditedAttributes { attributes: all.to_json() };
    let attributes = in_one(&app, move |connection| {
        let Some(user) = users::resolve(connection, &[named])?.pop() else {
            return Ok(Err(ApiError::NotFound("this user")));
        };
        let before = user_attributes::get_for_update(connection, &fields, user)?;
        match changed(&before, wish) {
            Ok(after) => {
                user_attributes::put(connection, &fields, user, &after)?;
                change.store(connection, attributes_of(&before), attributes_of(&after))?;
                Ok(Ok(after))
            }
            Err(error) => Ok(Err(error)),
        }
    })
    .await?;
    let answer = answer(&user, &attributes);
    app.registry.happened(&user, Input::AttributesChanged(Box::new(attributes)));
    drop(order);
    Ok(answer)
}

fn changed(before: &Attributes, wish: Map<String, Value>) -> Result<Attributes, ApiError> {
    let Value::Object(mut document) = before.to_json() else { return Ok(Attributes::default()) };
    // A date is a value, not an object to merge into.
    for (name, value) in &wish {
        if value.is_object() {
            document.remove(name);
        }
    }
    merge(&mut document, wish);
    Attributes::parse(&document)
        .map_err(|error| ApiError::invalid("bad_attributes", Some("attributes"), error.to_string()))
}

fn answer(user: &ExternalId, attributes: &Attributes) -> HttpResponse {
    HttpResponse::Ok().json(UserAttributes { user_id: user, attributes: attributes.to_json() })
}
