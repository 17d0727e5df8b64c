//! `/v1/people`: accounts of people, for administrators.

mod me;
pub mod oidc;
pub mod own;
pub mod sign_in;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::audited::{Change, in_one};
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::page::next_after;
use super::permit::{ManagePeople, With};
use tidings_actors::App;
use tidings_core::base::{Timestamp, json, nearest, suggest_nearest};
use tidings_decision::privacy::api_key::account_is_within;
use tidings_decision::privacy::{Permission, Role, sign_in as names};
use tidings_state::sign_ins::{SignInError, page_of_link};
use tidings_store::in_transaction;
use tidings_store::people::{self, Changed, PersonRow};

/// Accounts of a page, unless another number is asked for, and the most.
const PAGE: i64 = 50;
const MAX_PAGE: i64 = 500;

/// An account as it is shown.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonView {
    person_id: Uuid,
    name: String,
    role: Role,
    /// True if a password is set.
    has_password: bool,
    /// Identity provider that the person signs in with; null = none.
    issuer: Option<String>,
    created_at: Timestamp,
    created_by: String,
    signed_in_at: Option<Timestamp>,
    /// Null = the account is not disabled.
    disabled_at: Option<Timestamp>,
}

impl From<PersonRow> for PersonView {
    fn from(row: PersonRow) -> Self {
        Self {
            person_id: row.person.id,
            name: row.person.name,
            role: row.person.role,
            has_password: row.password_hash.is_some(),
            issuer: row.issuer,
            created_at: row.created_at,
            created_by: row.created_by,
            signed_in_at: row.signed_in_at,
            disabled_at: row.disabled_at,
        }
    }
}

/// A page of accounts, by name.
#[derive(Serialize, ToSchema)]
struct People {
    people: Vec<PersonView>,
    /// `after` of the next page; null at the end.
    next: Option<String>,
}

/// Name of the last one of the page before, and how many.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PeopleQuery {
    after: Option<String>,
    /// At most 500.
    limit: Option<i64>,
}

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    /// 1…64 bytes: letters, digits and `. _ - @ +`.
    name: String,
    /// `viewer`, `marketer`, `operator`, `privacy_officer`, `developer` or `admin`.
    role: String,
}

/// A link that is good once.
#[derive(Clone, Serialize, ToSchema)]
struct PasswordLink {
    /// Address of the page below that of the dashboard, `#/join/…`; never shown again.
    link: String,
    expires_at: Timestamp,
}

/// An account that was made, with the link by which its person sets a password.
#[derive(Clone, Serialize, ToSchema)]
struct MadePerson {
    #[serde(flatten)]
    person: PersonView,
    #[serde(flatten)]
    link: PasswordLink,
}

/// Change of an account; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonPatch {
    role: Option<String>,
    disabled: Option<bool>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let may = May::Needs(Permission::ManagePeople);
    vec![
        describe::get("/v1/people", may, "Accounts of people, by name.")
            .query::<PeopleQuery>()
            .answers::<People>(200, "A page."),
        describe::post("/v1/people", may, "Makes an account, and a link to set its password.")
            .body::<NewPerson>()
            .body_example(r#"{"name": "anna", "role": "marketer"}"#)
            .answers::<MadePerson>(201, "The account and the link, never shown again.")
            .refuses(&[409]),
        describe::patch("/v1/people/{id}", may, "Changes role or state of an account.")
            .body::<PersonPatch>()
            .body_example(r#"{"role": "viewer"}"#)
            .answers::<PersonView>(200, "The account since.")
            .refuses(&[404, 409]),
        describe::post(
            "/v1/people/{id}/link",
            may,
            "Makes a link to set a new password; links before it are over.",
        )
        .answers::<PasswordLink>(201, "The link, never shown again.")
        .refuses(&[404]),
    ]
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Self::SignIn,
            SignInError::Overloaded => Self::Overloaded(error.to_string()),
            SignInError::Store(error) => error.into(),
        }
    }
}

/// A body, or what it should be.
fn parse<T: serde::de::DeserializeOwned>(body: &[u8], such_as: &str) -> Result<T, ApiError> {
    json::from_slice(body).map_err(|error| {
        let error = suggest_nearest(&error.to_string());
        ApiError::invalid("bad_json", None, format!("not a body such as {such_as}: {error}"))
    })
}

fn name(text: &str) -> Result<String, ApiError> {
    names::name(text).map_err(|message| ApiError::invalid("bad_name", Some("name"), message))
}

/// Role of a person by its name.
pub fn role(text: &str) -> Result<Role, ApiError> {
    let known = Role::named(text).filter(|role| role.is_of_people());
    known.ok_or_else(|| {
        let all = Role::OF_PEOPLE.map(Role::name);
        let of = nearest(text, all)
            .map_or_else(|| format!("one of {}", all.join(", ")), |name| format!("did you mean {name}?"));
        ApiError::invalid("bad_role", Some("role"), format!("people have no such role; {of}"))
    })
}

fn unknown() -> ApiError {
    ApiError::NotFound("this account")
}

fn last_admin() -> ApiError {
    ApiError::Conflict("this is the last administrator: make somebody else one first".to_owned())
}

/// Lists accounts, by name.
pub async fn list(
    query: web::Query<PeopleQuery>,
    app: web::Data<App>,
    _caller: With<ManagePeople>,
) -> Result<HttpResponse, ApiError> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let after = query.into_inner().after.unwrap_or_default();
    let rows = app.state.store.run(move |connection| people::list(connection, &after, limit)).await?;
    let next = next_after(&rows, limit, |row| row.person.name.clone());
    Ok(HttpResponse::Ok().json(People { people: rows.into_iter().map(PersonView::from).collect(), next }))
}

/// Makes an account, and a link to set its password.
pub async fn post(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<ManagePeople>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::new(&request, &app, StatusCode::CREATED);
    let new: NewPerson = parse(&body, r#"{"name": "anna", "role": "viewer"}"#)?;
    let (name, role, by) = (name(&new.name)?, role(&new.role)?, caller.name());
    account_is_within(role, caller.access())?;
    let (secret, hash, until) = app.state.identity.people.link(Timestamp::now());
    let made = app
        .state
        .store
        .run(move |connection| {
            in_transaction(connection, |connection| {
                let Some(row) = people::add(connection, &name, role, &by)? else { return Ok(None) };
                people::add_link(connection, &hash, Some(row.person.id), until)?;
                let person = PersonView::from(row);
                change.store(connection, (), &person)?;
                Ok(Some(person))
            })
        })
        .await?;
    let taken = || ApiError::Conflict("there is somebody of that name already".to_owned());
    let person = made.ok_or_else(taken)?;
    let link = PasswordLink { link: page_of_link(&secret), expires_at: until };
    Ok(HttpResponse::Created().json(MadePerson { person, link }))
}

/// Changes role or state of an account; sessions follow at once.
pub async fn patch(
    request: HttpRequest,
    path: web::Path<Uuid>,
    Body(body): Body,
    app: web::Data<App>,
    caller: With<ManagePeople>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::new(&request, &app, StatusCode::OK);
    let PersonPatch { role: new_role, disabled } =
        parse(&body, r#"{"role": "viewer"} or {"disabled": true}"#)?;
    let new_role = new_role.as_deref().map(role).transpose()?;
    let (id, identity, maker) = (*path, Arc::clone(&app.state.identity), caller.access().clone());
    let changed = app
        .state
        .store
        .run(move |connection| {
            let changed = in_transaction(connection, |connection| {
                // Who is enabled again has the role again.
                let known = people::by_id(connection, id)?.map(|row| row.person.role);
                let given = new_role.or(known.filter(|_| disabled == Some(false)));
                if let Some(Err(wider)) = given.map(|role| account_is_within(role, &maker)) {
                    return Ok(Err(wider.into()));
                }
                let changed = people::change(connection, id, new_role, disabled)?;
                Ok(match changed {
                    Changed::Unknown => Err(unknown()),
                    Changed::LastAdmin => Err(last_admin()),
                    Changed::Done(rows) => {
                        let (before, after) = *rows;
                        let (before, after) = (PersonView::from(before), PersonView::from(after));
                        change.store(connection, &before, &after)?;
                        Ok(after)
                    }
                })
            })?;
            identity.read_stored(connection);
            Ok(changed)
        })
        .await?;
    Ok(HttpResponse::Ok().json(changed?))
}

/// Makes a link to set a new password. The old one stays until then.
pub async fn link(
    request: HttpRequest,
    path: web::Path<Uuid>,
    _body: Body,
    app: web::Data<App>,
    caller: With<ManagePeople>,
) -> Result<HttpResponse, ApiError> {
    let (secret, hash, until) = app.state.identity.people.link(Timestamp::now());
    let (id, change) = (*path, Change::new(&request, &app, StatusCode::CREATED));
    let maker = caller.access().clone();
    in_one(&app, move |connection| {
        let Some(row) = people::by_id(connection, id)? else { return Ok(Err(unknown())) };
        // Whoever has the link signs in as the person.
        if let Err(wider) = account_is_within(row.person.role, &maker) {
            return Ok(Err(wider.into()));
        }
        people::add_link(connection, &hash, Some(id), until)?;
        change.store(connection, (), ())?;
        Ok(Ok(()))
    })
    .await?;
    Ok(HttpResponse::Created().json(PasswordLink { link: page_of_link(&secret), expires_at: until }))
}
