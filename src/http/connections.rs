//! `POST /v1/connections/{connection_id}/frames`: the way back of a stream of events. Takes the frames that a WebSocket takes.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::bodies::Bodies;
use super::body::Batch;
use super::describe::{self, Described, May};
use super::error::ApiError;
use super::permit::{ActForUsers, InQueryOr};
use tidings_decision::deliver::{Inbound, InboundError, inbound};
use tidings_decision::privacy::Permission;
use tidings_transport::posts::{ConnectionKey, Streams};
use tidings_transport::ws;

/// Most frames in a request.
const MAX_FRAMES: usize = 128;

/// A page that is closing can send a request without headers.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PostQuery {
    /// In place of the header.
    pub token: Option<String>,
}

/// Frames in answer to those of a client, encoded already.
struct Replies(Vec<Arc<str>>);

impl Replies {
    fn to_json(&self) -> String {
        format!("{{\"replies\":[{}]}}", self.0.join(","))
    }
}

impl PartialSchema for Replies {
    fn schema() -> RefOr<Schema> {
        let frames =
            ArrayBuilder::new().items(ObjectBuilder::new()).description(Some("Frames, see WebSocket."));
        ObjectBuilder::new().property("replies", frames).required("replies").into()
    }
}

impl ToSchema for Replies {}

/// Descriptions of the routes.
pub fn described() -> Vec<Described> {
    vec![
        describe::post(
            "/v1/connections/{connection_id}/frames",
            May::UserOr(Permission::ActForUsers),
            "Takes frames of a client of a stream.",
        )
        .query::<PostQuery>()
        .body::<Value>()
        .body_example(r#"[{"type": "ack", "offset": 3}, {"type": "presence", "visible": false}]"#)
        .answers::<Replies>(200, "Frames that a WebSocket would have answered.")
        .example(r#"{"replies": [{"type": "accepted", "event_id": "a", "duplicate": false}]}"#)
        .refuses(&[404]),
    ]
}

/// Passes one frame or several to the actor of the stream's user, and answers with the frames that a WebSocket would have
/// answered, in the order of the frames: those of events after the commit.
pub async fn post(
    path: web::Path<String>,
    _query: web::Query<PostQuery>,
    Batch(body): Batch,
    limits: web::Data<Arc<ws::Limits>>,
    bodies: web::Data<Bodies>,
    streams: web::Data<Streams>,
    caller: InQueryOr<ActForUsers>,
) -> Result<HttpResponse, ApiError> {
    let key: ConnectionKey = path.parse()?;
    caller.may_act_for(&streams.user(key)?)?;
    let (max_bytes, max_events) = (limits.socket.max_frame_bytes, limits.max_events);
    let frames = bodies.work(body, move |body| frames(body, max_bytes, max_events)).await??;
    let replies = streams.post(key, caller.speaker(), frames).await?;
    let body = Replies(replies).to_json();
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(body))
}

/// Parses each frame; one that is too large refuses them all.
fn frames(
    body: &[u8],
    max_bytes: usize,
    max_events: usize,
) -> Result<Vec<Result<Inbound, InboundError>>, ApiError> {
    let body = std::str::from_utf8(body)
        .map_err(|_| ApiError::invalid("bad_json", None, "the body is not UTF-8"))?;
    let texts = inbound::split(body, MAX_FRAMES)
        .map_err(|error| ApiError::invalid(error.code, None, error.message))?;
    if texts.iter().any(|text| text.len() > max_bytes) {
        return Err(ApiError::TooLarge(max_bytes));
    }
    Ok(texts.into_iter().map(|text| Inbound::parse(text, max_events)).collect())
}
