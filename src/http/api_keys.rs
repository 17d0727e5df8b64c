//! `/v1/admin/keys`: API keys of services.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::audited::Change;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{ManageKeys, With};
use tidings_actors::App;
use tidings_core::base::{Timestamp, json, suggest_nearest};
use tidings_decision::privacy::api_key::{self, ApiKey, BYTES};
use tidings_decision::privacy::origin::Origin;
use tidings_decision::privacy::{Permission, Role, Scope};
use tidings_store::api_keys::{self, ApiKeyRow, MAX_KEYS};
use tidings_store::in_transaction;

/// Longest name, bytes.
const MAX_NAME_BYTES: usize = 64;
/// Most scopes or origins.
const MAX_LIST: usize = 32;

/// A key to be made, as it is asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = NewApiKey)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Name in records.
    pub name: String,
    /// `service`, which is the default, or `admin`.
    #[schema(pattern = "^(service|admin)$")]
    pub role: Option<String>,
    /// Permissions in place of those of a role; empty = those of the role.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Areas, such as `events:write`; empty = everywhere.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Addresses, networks and web origins; empty = anywhere.
    #[serde(default)]
    pub origins: Vec<String>,
    /// RFC 3339; absent = for good.
    pub expires_at: Option<String>,
}

/// Fault of a key that was asked for: field and message.
pub type KeyFault = (&'static str, String);

impl NewKey {
    /// The key and its text, which is not kept.
    pub fn make(&self, now: Timestamp) -> Result<(ApiKey, String), KeyFault> {
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES || self.name.chars().any(char::is_control)
        {
            return Err(("name", "has 1…64 bytes and no control characters".to_owned()));
        }
        let (role, permissions) = self.rights()?;
        if self.scopes.len() > MAX_LIST || self.origins.len() > MAX_LIST {
            return Err(("scopes", format!("at most {MAX_LIST} scopes and {MAX_LIST} origins")));
        }
        let scopes: Result<Vec<Scope>, KeyFault> = self
            .scopes
            .iter()
            .map(|scope| scope.parse::<Scope>().map_err(|error| ("scopes", error.to_string())))
            .collect();
        let origins: Result<Vec<Origin>, KeyFault> =
            self.origins.iter().map(|origin| origin.parse().map_err(|error| ("origins", error))).collect();
        let bad_time = || ("expires_at", "must be a time to come, such as 2027-11-29T08:00:00Z".to_owned());
        let end = |text: &String| Timestamp::parse(text).filter(|end| *end > now).ok_or_else(bad_time);
        let expires_at = self.expires_at.as_ref().map(end).transpose()?;
        let text = api_key::text(&rand::rng().random::<[u8; BYTES]>());
        let key = ApiKey {
            id: Uuid::now_v7(),
            name: self.name.clone(),
            hash: api_key::hash(&text),
            role,
            permissions,
            scopes: scopes?,
            origins: origins?,
            expires_at,
        };
        Ok((key, text))
    }

    /// Role and permissions.
    fn rights(&self) -> Result<(Role, Vec<Permission>), KeyFault> {
        let role = match self.role.as_deref() {
            None | Some("service") => Role::Service,
            Some("admin") => Role::Admin,
            Some(_) => {
                let text = "must be service or admin; for what another role may, name its permissions";
                return Err(("role", text.to_owned()));
            }
        };
        let mut permissions = self.permissions.clone();
        permissions.sort_unstable();
        permissions.dedup();
        if !permissions.is_empty() && self.role.is_some() {
            return Err(("permissions", "stand in place of a role: leave role out".to_owned()));
        }
        let has = |permission| permissions.contains(&permission);
        let reads_one = has(Permission::ReadUsers) || has(Permission::ReadTimelines);
        if reads_one && !has(Permission::PersonalData) {
            let text = "read_users and read_timelines show personal data: add personal_data";
            return Err(("permissions", text.to_owned()));
        }
        Ok((role, permissions))
    }
}

/// Rights of a key: its role, or permissions in its place.
fn role_of(key: &ApiKey) -> Option<Role> {
    key.permissions.is_empty().then_some(key.role)
}

/// A key as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct KeyView {
    key_id: Uuid,
    name: String,
    hint: String,
    /// Null with permissions of its own.
    role: Option<Role>,
    /// Its permissions.
    permissions: Vec<Permission>,
    scopes: Vec<String>,
    origins: Vec<String>,
    created_at: Timestamp,
    created_by: String,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl From<ApiKeyRow> for KeyView {
    fn from(row: ApiKeyRow) -> Self {
        let key = row.key;
        let (role, permissions) = (role_of(&key), key.may().to_vec());
        Self {
            key_id: key.id,
            name: key.name,
            hint: row.hint,
            role,
            permissions,
            scopes: key.scopes.iter().map(ToString::to_string).collect(),
            origins: key.origins.iter().map(ToString::to_string).collect(),
            created_at: row.created_at,
            created_by: row.created_by,
            expires_at: key.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// A key that was made, with its text: never shown again.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeApiKey)]
struct MadeKey {
    key_id: Uuid,
    name: String,
    /// Null with permissions of its own.
    role: Option<Role>,
    /// Its permissions.
    permissions: Vec<Permission>,
    scopes: Vec<String>,
    origins: Vec<String>,
    expires_at: Option<Timestamp>,
    key: String,
}

/// Keys, the oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeys)]
struct KeyList {
    keys: Vec<KeyView>,
}

/// Filter of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// True if revoked keys are listed too.
    #[serde(default)]
    revoked: bool,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get("/v1/admin/keys", May::Needs(Permission::ManageKeys), "API keys.")
            .query::<ListQuery>()
            .answers::<KeyList>(200, "Keys, the oldest first."),
        describe::post("/v1/admin/keys", May::Needs(Permission::ManageKeys), "Makes an API key.")
            .body::<NewKey>()
            .body_example(r#"{"name": "mailer", "permissions": ["send_messages", "read_messages"], "origins": ["10.0.0.0/8"]}"#)
            .answers::<MadeKey>(201, "The key, never shown again.")
            .refuses(&[409]),
        describe::delete("/v1/admin/keys/{id}", May::Needs(Permission::ManageKeys), "Revokes a key at once.")
            .empty(204, "It is revoked.")
            .refuses(&[404]),
    ]
}

/// Makes a key. An API key makes none that is wider than itself.
pub async fn post(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<ManageKeys>,
) -> Result<HttpResponse, ApiError> {
    let new: NewKey = json::from_slice(&body).map_err(|error| {
        let error = suggest_nearest(&error.to_string());
        ApiError::invalid("bad_key", None, format!("not an API key, such as {{\"name\":\"shop\"}}: {error}"))
    })?;
    let (key, text) = new
        .make(Timestamp::now())
        .map_err(|(field, message)| ApiError::invalid("bad_key", Some(field), message))?;
    key.is_within(caller.access())?;
    let (stored, hint, by) = (key.clone(), api_key::hint(&text), caller.name());
    let (identity, change) =
        (Arc::clone(&app.state.identity), Change::new(&request, &app, StatusCode::CREATED));
    let made = MadeKey {
        key_id: key.id,
        role: role_of(&key),
        permissions: key.may().to_vec(),
        scopes: key.scopes.iter().map(ToString::to_string).collect(),
        origins: key.origins.iter().map(ToString::to_string).collect(),
        expires_at: key.expires_at,
        name: key.name,
        key: text,
    };
    let made = app
        .state
        .store
        .run(move |connection| {
            let made = in_transaction(connection, |connection| {
                if !api_keys::insert(connection, &stored, &hint, &by)? {
                    return Ok(None);
                }
                change.store(connection, (), &made)?;
                Ok(Some(made))
            })?;
            identity.read_stored(connection);
            Ok(made)
        })
        .await?;
    let full = || ApiError::Conflict(format!("there are {MAX_KEYS} keys already; revoke one first"));
    Ok(HttpResponse::Created().json(made.ok_or_else(full)?))
}

/// Lists keys, the oldest first.
pub async fn list(
    query: web::Query<ListQuery>,
    app: web::Data<App>,
    _caller: With<ManageKeys>,
) -> Result<HttpResponse, ApiError> {
    let revoked = query.revoked;
    let rows = app.state.store.run(move |connection| api_keys::list(connection, revoked)).await?;
    Ok(HttpResponse::Ok().json(KeyList { keys: rows.into_iter().map(KeyView::from).collect() }))
}

/// Revokes a key at once.
pub async fn delete(
    request: HttpRequest,
    path: web::Path<Uuid>,
    app: web::Data<App>,
    caller: With<ManageKeys>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::new(&request, &app, StatusCode::NO_CONTENT);
    let (id, by, identity) = (*path, caller.name(), Arc::clone(&app.state.identity));
    let revoked = app
        .state
        .store
        .run(move |connection| {
            let revoked = in_transaction(connection, |connection| {
                let revoked = api_keys::revoke(connection, id, &by)?;
                if revoked {
                    change.store(connection, (), ())?;
                }
                Ok(revoked)
            })?;
            identity.read_stored(connection);
            Ok(revoked)
        })
        .await?;
    if revoked { Ok(HttpResponse::NoContent().finish()) } else { Err(ApiError::NotFound("this API key")) }
}
