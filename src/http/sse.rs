//! `GET /v1/sse`: the stream for those who can't or won't open a WebSocket. Who it is comes with the request, since there
//! is no first frame.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ORIGIN, VARY};
use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Caller;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{ActForUsers, InQueryOr};
use super::{auth, origin, rates, session_cookie};
use tidings_actors::App;
use tidings_actors::gateway::UserGateway;
use tidings_core::base::ExternalId;
use tidings_decision::deliver::Login;
use tidings_decision::privacy::Permission;
use tidings_transport::posts::Streams;
use tidings_transport::{Gateway, sse, ws};

/// A browser's `EventSource` can set no header, so everything may be in the query.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SseQuery {
    /// User of the stream; absent = the token's.
    user_id: Option<String>,
    /// In place of the header.
    token: Option<String>,
    device: Option<String>,
    /// BCP 47 tag.
    locale: Option<String>,
    /// IANA time zone.
    time_zone: Option<String>,
    /// `epoch:offset` of the last message, on a first connect.
    last_event_id: Option<String>,
    /// Visitor who logs in.
    anonymous_id: Option<String>,
    /// Token of the visitor.
    anonymous_token: Option<String>,
}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::get(
            "/v1/sse",
            May::UserOr(Permission::ActForUsers),
            "The user's stream as Server-Sent Events.",
        )
        .query::<SseQuery>()
        .header("Last-Event-ID", "Of the last message, from which the stream resumes.")
        .answers_as::<String>(200, "text/event-stream", "Frames, one an event; it goes on."),
    ]
}

/// Opens the stream; a bad token is a 401 here, so that `EventSource` does not try again for ever.
pub async fn open(
    request: HttpRequest,
    query: web::Query<SseQuery>,
    app: web::Data<App>,
    limits: web::Data<Arc<ws::Limits>>,
    gateway: web::Data<Arc<UserGateway>>,
    streams: web::Data<Streams>,
    caller: InQueryOr<ActForUsers>,
) -> Result<HttpResponse, Error> {
    origin::check_site(request.head(), &app.state.config)?;
    let (user, login) = login(&request, query.into_inner(), &caller)?;
    rates::connects(request.head(), &app)?;
    if app.state.store.hangs() {
        return Err(ApiError::database_hangs().into());
    }
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"));
    // A page of another site that is allowed to connect must be allowed to read as well.
    if let Some(origin) = request.headers().get(ORIGIN) {
        response
            .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()))
            .insert_header((VARY, "Origin"))
            .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"));
    }
    if request.method() == Method::HEAD {
        // No stream is opened for nobody to read.
        return Ok(response.streaming(futures_util::stream::empty::<Result<web::Bytes, Error>>()));
    }
    let session = session_cookie::secret(request.head(), &app.state.config);
    let gateway: Arc<dyn Gateway> =
        Arc::new(gateway.of_client(rates::address(request.head(), &app), session));
    Ok(response.streaming(sse::open(user, Box::new(login), &limits, &gateway, &streams)))
}

/// The user and the login of a request.
fn login(request: &HttpRequest, query: SseQuery, caller: &Caller) -> Result<(ExternalId, Login), ApiError> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let token = auth::bearer(request.headers()).map(str::to_owned).or(query.token);
    let named = query.user_id.as_deref().map(ExternalId::parse).transpose()?;
    if let Some(user) = &named {
        caller.may_act_for(user)?;
    }
    let user = named.or_else(|| caller.subject().cloned());
    let missing = || ApiError::invalid("missing_field", Some("user_id"), "say whose: /v1/sse?user_id=…");
    let user = user.ok_or_else(missing)?;
    let last = header("Last-Event-ID").map(str::to_owned).or(query.last_event_id);
    let login = Login {
        user_id: Some(user.clone()),
        token,
        // Never bare: a stream begins with `welcome`.
        device: Some(query.device.unwrap_or_else(|| "sse".to_owned())),
        locale: query.locale,
        time_zone: query.time_zone,
        resume: last.as_deref().and_then(sse::resume),
        anonymous_id: query.anonymous_id.as_deref().map(ExternalId::parse).transpose()?,
        anonymous_token: query.anonymous_token,
        ..Login::default()
    };
    Ok((user, login))
}
