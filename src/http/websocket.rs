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
    ws::upgrade(&request, payload, &limits, gateway)
}
