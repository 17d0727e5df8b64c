//! `/v1/users/{id}/consent`: the ledger of what a user agreed to, and `/mute`: no more of something.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::audited::{Change, in_one};
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{Own, ReadUsers, WriteUsers};
use super::preferences::{self, PreferenceView, stored_by_actor};
use tidings_actors::App;
use tidings_core::base::{ExternalId, Timestamp, json};
use tidings_decision::decide::Input;
use tidings_decision::deliver::inbound::MuteOf;
use tidings_decision::notify::policy::Purpose;
use tidings_decision::privacy::Permission;
use tidings_store::consents::{self, ConsentRow};
use tidings_store::users;

/// Entries shown.
const LEDGER: i64 = 200;
/// Longest source, wording or name, bytes.
const MAX_TEXT_BYTES: usize = 128;

/// Answer of a user about one purpose.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewConsent)]
#[serde(deny_unknown_fields)]
struct ConsentBody {
    purpose: Purpose,
    granted: bool,
    /// Place where the answer was given.
    source: String,
    /// Version of the wording that the user saw.
    text_version: String,
}

/// Something that a user never wants to hear of.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewMute)]
#[serde(deny_unknown_fields)]
struct MuteBody {
    of: MuteOf,
    name: String,
}

/// An entry of the ledger.
#[derive(Serialize, ToSchema)]
struct ConsentEntry {
    /// `profiling`, `marketing` or `push`.
    purpose: String,
    granted: bool,
    source: String,
    text_version: String,
    recorded_at: Timestamp,
}

/// The current answer for each purpose, and the ledger, the latest first.
#[derive(Serialize, ToSchema)]
struct Consents {
    user_id: ExternalId,
    /// By purpose.
    consent: BTreeMap<&'static str, bool>,
    ledger: Vec<ConsentEntry>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let consent = "/v1/users/{id}/consent";
    vec![
        describe::get(consent, May::Owner(Permission::ReadUsers), "What a user agreed to, with the ledger.")
            .answers::<Consents>(200, "The latest 200 entries.")
            .example(EXAMPLE),
        describe::post(
            consent,
            May::Owner(Permission::WriteUsers),
            "Adds one entry or up to 16 to the ledger.",
        )
        .bodies::<ConsentBody>()
        .body_example(
            r#"{"purpose": "marketing", "granted": true, "source": "checkout", "text_version": "2026-05"}"#,
        )
        .answers::<Consents>(201, "As it is now."),
        describe::post(
            "/v1/users/{id}/mute",
            May::Owner(Permission::WriteUsers),
            "No more of a category, item, item category, brand or kind.",
        )
        .body::<MuteBody>()
        .body_example(r#"{"of": "brand", "name": "Acme"}"#)
        .answers::<PreferenceView>(200, "The preferences as they are now.")
        .refuses(&[404, 409]),
    ]
}

const EXAMPLE: &str = r#"{
    "user_id": 17, "consent": {"profiling": true, "marketing": false, "push": false},
    "ledger": [{"purpose": "marketing", "granted": false, "source": "account", "text_version": "2026-05",
                "recorded_at": "2026-11-29T08:00:00Z"}]
}"#;

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT_BYTES && !text.chars().any(char::is_control)
}

/// Returns the current answer for each purpose, and the ledger, the latest first.
pub async fn get(
    path: web::Path<String>,
    app: web::Data<App>,
    caller: Own<ReadUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let ledger = match app.loader.load(&user, false).await? {
        Some(loaded) => {
            app.state.store.run(move |connection| consents::ledger(connection, loaded.user, LEDGER)).await?
        }
        None => Vec::new(),
    };
    Ok(HttpResponse::Ok().json(view(&user, &ledger, app.state.rules().profiling_by_default)))
}

/// Adds to the ledger; it holds from the next decision.
pub async fn post(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let said = parse(&body)?;
    let (user, order) = caller.in_order(&user, &app.registry).await?;
    let named = user.clone();
    let rows: Vec<ConsentRow> = said
        .iter()
        .map(|said| ConsentRow {
            purpose: said.purpose.name().to_owned(),
            granted: said.granted,
            source: said.source.clone(),
            text_version: said.text_version.clone(),
            recorded_at: Timestamp::now(),
        })
        .collect();
    let change = Change::new(&request, &app, StatusCode::CREATED);
    let (shown, by_default) = (user.clone(), app.state.rules().profiling_by_default);
    let after = in_one(&app, move |connection| {
        let Some(inner) = users::resolve(connection, &[named])?.pop() else {
            return Ok(Ok(view(&shown, &[], by_default)));
        };
        let before = view(&shown, &consents::ledger(connection, inner, LEDGER)?, by_default);
        consents::add(connection, inner, &rows)?;
        let after = view(&shown, &consents::ledger(connection, inner, LEDGER)?, by_default);
        change.store(connection, &before.consent, &after.consent)?;
        Ok(Ok(after))
    })
    .await?;
    let said: Vec<(Purpose, bool)> = said.iter().map(|said| (said.purpose, said.granted)).collect();
    app.registry.happened(&user, Input::ConsentChanged(said));
    drop(order);
    Ok(HttpResponse::Created().json(after))
}

fn parse(body: &[u8]) -> Result<Vec<ConsentBody>, ApiError> {
    let said = match body.trim_ascii_start().first() {
        Some(b'[') => json::from_slice::<Vec<ConsentBody>>(body),
        _ => json::from_slice(body).map(|said| vec![said]),
    };
    let said = said.map_err(|_| {
        let message = "not a consent: {\"purpose\":\"profiling|marketing|push\",\"granted\":true,\
                       \"source\":\"…\",\"text_version\":\"…\"}, or an array of them";
        ApiError::invalid("bad_consent", None, message)
    })?;
    if said.is_empty() || said.len() > 16 {
        return Err(ApiError::invalid("bad_consent", None, "1…16 entries at a time"));
    }
    for entry in &said {
        for (field, text) in [("source", &entry.source), ("text_version", &entry.text_version)] {
            if !is_text(text) {
                return Err(ApiError::invalid("bad_consent", Some(field), "must be a text of 1…128 bytes"));
            }
        }
    }
    Ok(said)
}

fn view(user: &ExternalId, ledger: &[ConsentRow], profiling_by_default: bool) -> Consents {
    let holds = |purpose: Purpose| {
        let said = ledger.iter().find(|row| row.purpose == purpose.name());
        said.map_or(purpose != Purpose::Profiling || profiling_by_default, |row| row.granted)
    };
    let entry = |row: &ConsentRow| {
        let ConsentRow { purpose, granted, source, text_version, recorded_at } = row.clone();
        ConsentEntry { purpose, granted, source, text_version, recorded_at }
    };
    Consents {
        user_id: user.clone(),
        consent: Purpose::ALL.iter().map(|purpose| (purpose.name(), holds(*purpose))).collect(),
        ledger: ledger.iter().map(entry).collect(),
    }
}

/// No more of a category, item, item category, brand or kind.
pub async fn mute(
    request: HttpRequest,
    path: web::Path<String>,
    Body(body): Body,
    app: web::Data<App>,
    caller: Own<WriteUsers>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.user(&path, &app)?;
    let wish: MuteBody = json::from_slice(&body).map_err(|_| {
        let message = "not a mute: {\"of\":\"category|item|item_category|brand|kind\",\"name\":\"…\"}";
        ApiError::invalid("bad_mute", None, message)
    })?;
    if !is_text(&wish.name) {
        return Err(ApiError::invalid("bad_mute", Some("name"), "must be a text of 1…128 bytes"));
    }
    let (user, order) = caller.in_order(&user, &app.registry).await?;
    let named = user.clone();
    stored_by_actor(&app, &user).await;
    let change = Change::new(&request, &app, StatusCode::OK);
    let (before, after) = in_one(&app, move |connection| {
        let Some(user) = users::resolve(connection, &[named])?.pop() else {
            return Ok(Err(ApiError::NotFound("this user")));
        };
        let before = tidings_store::preferences::get_for_update(connection, user)?;
        let mut after = before.clone();
        if !after.mute(wish.of.into_mute(wish.name)) {
            return Ok(Err(ApiError::TooManyMutes));
        }
        tidings_store::preferences::put(connection, user, &after)?;
        change.store(connection, preferences::view(&before), preferences::view(&after))?;
        Ok(Ok((Box::new(before), Box::new(after))))
    })
    .await?;
    let answer = preferences::view(&after);
    app.registry.happened(&user, Input::PreferencesChanged { before, after });
    drop(order);
    Ok(HttpResponse::Ok().json(answer))
}
