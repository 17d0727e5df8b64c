//! `GET /ws`: checks the origin and upgrades.

use std::sync::Arc;

use actix_web::{Error, HttpRequest, HttpResponse, web};

use super::error::ApiError;
use super::origin;
use crate::actors::Shared;
use crate::actors::gateway::UserGateway;
use crate::transport::ws;

/// Upgrades to a WebSocket; who it is comes with the first frame.
pub async fn open(
    request: HttpRequest,
    payload: web::Payload,
    shared: web::Data<Arc<Shared>>,
    limits: web::Data<Arc<ws::Limits>>,
    gateway: web::Data<Arc<UserGateway>>,
) -> Result<HttpResponse, Error> {
    if !origin::is_allowed(&request, &shared.config.server.allowed_origins) {
        return Err(ApiError::Origin.into());
    }
    let gateway: Arc<UserGateway> = Arc::clone(&gateway);
    ws::upgrade(&request, payload, &limits, Some(gateway))
}

/// `GET /echo`, there only under `serve --conformance-echo` on a loopback address: sends every message back.
pub async fn echo(
    request: HttpRequest,
    payload: web::Payload,
    echo: web::Data<EchoLimits>,
) -> Result<HttpResponse, Error> {
    match &echo.0 {
        Some(limits) => ws::upgrade(&request, payload, limits, None),
        None => Err(ApiError::NotFound("this path").into()),
    }
}

/// What the echo keeps to; none = there is no echo.
#[derive(Clone, Debug, Default)]
pub struct EchoLimits(pub Option<Arc<ws::Limits>>);

impl EchoLimits {
    /// Wide enough for the largest message of the Autobahn test suite.
    pub fn wide(mut socket: crate::config::Socket) -> Self {
        socket.max_frame_bytes = 32 << 20;
        socket.max_frames_per_s = 1_000_000;
        Self(Some(Arc::new(ws::Limits { socket, max_events: 0 })))
    }
}
