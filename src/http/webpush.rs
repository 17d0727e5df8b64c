//! Web Push for browsers: the server's key, subscriptions in and out, and what service workers report.

use actix_web::http::header::USER_AGENT;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Caller;
use super::body::Body;
use super::describe::{self, Described, May};
use super::error::{ApiError, ErrorBody};
use super::permit::{ActForUsers, Anybody, UserOr};
use tidings_actors::App;
use tidings_actors::journal::messages::Record;
use tidings_core::base::{ExternalId, Timestamp, UserId, json};
use tidings_decision::decide;
use tidings_decision::decide::Input;
use tidings_decision::feedback::FeedbackOutcome;
use tidings_decision::privacy::{Permission, report_token};
use tidings_store::feedback::FeedbackRow;
use tidings_store::push_subscriptions::{self, NewSubscription, Subscribed};
use tidings_store::{Connection, StoreError, users};
use tidings_transport::webpush::{Endpoint, MAX_ENDPOINT_BYTES, UserAgentKeys};

/// A subscription is below one kilobyte.
const MAX_BODY_BYTES: usize = 8 << 10;
/// Kept of what a browser calls itself.
const MAX_USER_AGENT_CHARS: usize = 256;

/// Bytes of a public key: an uncompressed point of P-256.
const PUBLIC_KEY_BYTES: usize = 65;

/// `PushSubscription.toJSON()`, and who for when the token does not say.
#[derive(Deserialize, ToSchema)]
#[schema(as = PushSubscription)]
struct SubscriptionBody {
    endpoint: String,
    #[serde(rename = "expirationTime")]
    expiration_time: Option<f64>,
    keys: KeysBody,
    user_id: Option<ExternalId>,
    /// `subscription.options.applicationServerKey`, base64url.
    application_server_key: Option<String>,
    /// Endpoint of the subscription that this one takes the place of.
    replaces: Option<String>,
}

/// Keys of a browser, base64url.
#[derive(Deserialize, ToSchema)]
#[schema(as = PushSubscriptionKeys)]
struct KeysBody {
    p256dh: String,
    auth: String,
}

/// A subscription that ends.
#[derive(Deserialize, ToSchema)]
#[schema(as = PushSubscriptionEnd)]
struct EndBody {
    endpoint: String,
    user_id: Option<ExternalId>,
}

/// Report of a service worker.
#[derive(Deserialize, ToSchema)]
#[schema(as = PushReport)]
struct ReportBody {
    /// Of the pushed message.
    token: String,
    /// `displayed`, `clicked` or `dismissed`.
    outcome: String,
}

/// The key that pages subscribe with.
#[derive(Serialize, ToSchema)]
#[schema(as = PushKey)]
struct Key<'a> {
    public_key: &'a str,
    application_server_key: &'a str,
}

/// A subscription that was taken.
#[derive(Serialize, ToSchema)]
#[schema(as = PushSubscribed)]
struct Taken {
    /// False = it was renewed.
    created: bool,
    /// Reason for which it had ended; null = it had not.
    ended: Option<String>,
    application_server_key: String,
}

/// A subscription made with another key than the server's.
#[derive(Serialize, ToSchema)]
#[schema(as = OtherPushKey)]
struct OtherKey {
    #[serde(flatten)]
    error: ErrorBody,
    /// The server's key.
    application_server_key: String,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    let subscriptions = "/v1/webpush/subscriptions";
    vec![
        describe::get("/v1/webpush/key", May::Anybody, "The public key that pages subscribe with.")
            .answers::<Key<'_>>(200, "The key, base64url.")
            .refuses(&[404]),
        describe::post(subscriptions, May::UserOr(Permission::ActForUsers), "Takes a PushSubscription.")
            .body::<SubscriptionBody>()
            .answers::<Taken>(200, "It is renewed.")
            .answers::<Taken>(201, "It is new.")
            .answers::<OtherKey>(
                409,
                "It was made with another key: unsubscribe, and subscribe with this one.",
            )
            .refuses(&[404]),
        describe::delete(subscriptions, May::UserOr(Permission::ActForUsers), "Ends a subscription.")
            .body::<EndBody>()
            .empty(204, "It is forgotten."),
        describe::post(
            "/v1/webpush/reports",
            May::Anybody,
            "Report of a service worker, by the token of one message.",
        )
        .body::<ReportBody>()
        .body_example(r#"{"token": "…", "outcome": "clicked"}"#)
        .empty(204, "It is recorded.")
        .refuses(&[401, 404]),
    ]
}

fn off() -> ApiError {
    ApiError::NotFound("Web Push (it is off: webpush.enabled)")
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8], what: &str) -> Result<T, ApiError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(ApiError::TooLarge(MAX_BODY_BYTES));
    }
    json::from_slice(body)
        .map_err(|error| ApiError::invalid("bad_json", None, format!("not {what}: {error}")))
}

/// The user the token speaks for, or the one named; both must agree.
fn whose(caller: &Caller, named: Option<ExternalId>, app: &App) -> Result<ExternalId, ApiError> {
    let user = named.or_else(|| caller.subject().cloned()).ok_or_else(|| {
        ApiError::invalid("user_id_missing", Some("user_id"), "user_id says whose browser this is")
    })?;
    caller.known(&user, app)
}

/// The key a page subscribes with (`applicationServerKey`). Public.
pub async fn key(app: web::Data<App>, _: Anybody) -> Result<HttpResponse, ApiError> {
    let keys = app.state.push.keys().ok_or_else(off)?;
    Ok(HttpResponse::Ok().json(Key { public_key: keys.public(), application_server_key: keys.public() }))
}

/// Takes a subscription; handing the same in again renews it. 201 = new, 409 = made with another key than this server's. The answer
/// names the server's key, and the reason if the subscription had ended: the browser then subscribes anew.
pub async fn subscribe(
    request: HttpRequest,
    Body(body): Body,
    app: web::Data<App>,
    caller: UserOr<ActForUsers>,
) -> Result<HttpResponse, ApiError> {
    let key = app.state.push.keys().ok_or_else(off)?.public().to_owned();
    let body: SubscriptionBody = parse(&body, "a PushSubscription")?;
    let user = whose(&caller, body.user_id.clone(), &app)?;
    let new = checked(body, &request, app.state.config.webpush.allow_loopback)?;
    let max = i64::from(app.state.config.webpush.max_subscriptions_per_user);
    let current = key.clone();
    let steady = app.registry.aliases.steady().await;
    // It may have been merged meanwhile.
    let user = caller.known(&user, &app)?;
    let put = move |connection: &mut Connection| {
        let mut holders = Vec::new();
        let mut outcome = Subscribed::OtherKey;
        for user in users::resolve(connection, &[user])? {
            outcome = push_subscriptions::put(connection, user, &new, &current, max)?;
            holders.push(user);
        }
        if let Subscribed::Taken { taken_from, .. } = &outcome {
            holders.extend(taken_from);
        }
        let still = push_subscriptions::subscribed(connection, Some(&holders))?;
        Ok((outcome, holders, still))
    };
    let (outcome, holders, still) = app.state.store.run(put).await?;
    app.state.push.note(&holders, &still);
    drop(steady);
    let Subscribed::Taken { created, ended, .. } = outcome else {
        let message = "the browser subscribed with another key: unsubscribe, then subscribe with application_server_key";
        let error = ErrorBody::new("other_application_server_key", message, Some("application_server_key"));
        return Ok(HttpResponse::Conflict().json(OtherKey { error, application_server_key: key }));
    };
    let mut response = if created { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(Taken { created, ended, application_server_key: key }))
}

fn checked(
    body: SubscriptionBody,
    request: &HttpRequest,
    allow_loopback: bool,
) -> Result<NewSubscription, ApiError> {
    Endpoint::parse(&body.endpoint, allow_loopback)
        .map_err(|error| ApiError::invalid("bad_endpoint", Some("endpoint"), error.to_string()))?;
    let decode = |text: &str| BASE64.decode(text.trim_end_matches('=')).unwrap_or_default();
    let (p256dh, auth) = (decode(&body.keys.p256dh), decode(&body.keys.auth));
    UserAgentKeys::new(&p256dh, &auth)
        .map_err(|error| ApiError::invalid("bad_keys", Some("keys"), error.to_string()))?;
    let key = match &body.application_server_key {
        Some(text) if decode(text).len() != PUBLIC_KEY_BYTES => {
            let message = "application_server_key is a public key of P-256: 65 bytes, base64url";
            return Err(ApiError::invalid("bad_keys", Some("application_server_key"), message));
        }
        Some(text) => Some(text.trim_end_matches('=').to_owned()),
        None => None,
    };
    if body.replaces.as_ref().is_some_and(|old| old.len() > MAX_ENDPOINT_BYTES) {
        let message = format!("replaces is the endpoint before, at most {MAX_ENDPOINT_BYTES} bytes");
        return Err(ApiError::invalid("bad_endpoint", Some("replaces"), message));
    }
    let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    let expires_at = body.expiration_time.filter(|ms| ms.is_finite() && (0.0..1e14).contains(ms));
    Ok(NewSubscription {
        endpoint: body.endpoint,
        p256dh,
        auth,
        user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT_CHARS).collect()),
        expires_at: expires_at.map(|ms| Timestamp::from_millis(ms as i64)),
        application_server_key: key,
        replaces: body.replaces,
    })
}

/// Forgets a subscription. One that is not known, or another user's, is no error and nothing happens.
pub async fn unsubscribe(
    Body(body): Body,
    app: web::Data<App>,
    caller: UserOr<ActForUsers>,
) -> Result<HttpResponse, ApiError> {
    let body: EndBody = parse(&body, "{\"endpoint\": …}")?;
    let user = whose(&caller, body.user_id, &app)?;
    let end = move |connection: &mut Connection| -> Result<(Option<UserId>, Vec<UserId>), StoreError> {
        let Some(user) = users::find(connection, &user)? else { return Ok((None, Vec::new())) };
        let left = push_subscriptions::remove(connection, Some(user), &body.endpoint)?;
        Ok((left, push_subscriptions::subscribed(connection, Some(left.as_slice()))?))
    };
    let (left, still) = app.state.store.run(end).await?;
    app.state.push.note(left.as_slice(), &still);
    Ok(HttpResponse::NoContent().finish())
}

/// Records the outcome of a pushed message, from a service worker: the token inside the message is the permission.
pub async fn report(Body(body): Body, app: web::Data<App>, _: Anybody) -> Result<HttpResponse, ApiError> {
    let secret = app.state.push.report_secret().ok_or_else(off)?;
    let body: ReportBody = parse(&body, "{\"token\": …, \"outcome\": …}")?;
    let now = Timestamp::now();
    let report = report_token::verify(secret, &body.token, now)?;
    let outcome = match body.outcome.as_str() {
        "displayed" => FeedbackOutcome::Displayed,
        "clicked" => FeedbackOutcome::Clicked,
        "dismissed" => FeedbackOutcome::Dismissed,
        _ => {
            let message = "outcome must be displayed, clicked or dismissed";
            return Err(ApiError::invalid("bad_outcome", Some("outcome"), message));
        }
    };
    // A user who was merged since the message was pushed is another one now.
    let user = report.user;
    let named = app.state.store.run(move |connection| users::current(connection, user)).await?;
    let row = FeedbackRow {
        notification_id: report.notification,
        outcome: outcome.code(),
        user: named.as_ref().map_or(report.user, |(user, _)| *user),
        item: None,
        value: None,
        occurred_at: now,
    };
    if !app.journal.offer(Record::Other(decide::Record::Feedback(row))).is_queued() {
        return Err(ApiError::Overloaded("too much waits to be stored, try again in a moment".to_owned()));
    }
    if let Some((_, name)) = named {
        app.registry.happened(&name, Input::Reported(report.notification, outcome));
    }
    Ok(HttpResponse::NoContent().finish())
}
