//! `GET /ws`: checks host and origin and upgrades; who it is comes with the first frame.
//!
//! Two ways lead here. With `socket.backend = "direct"` the HTTP server hands over the TCP socket of every request for a
//! WebSocket ([`Upgrades`]), with `"actix-web-actors"` the request comes through the routes ([`open`], [`echo`]).

use std::io;
use std::sync::Arc;

use actix_codec::Framed;
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::ws::HandshakeError;
use actix_http::{Request, Response, h1};
use actix_web::http::Method;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::SinkExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::permit::Anybody;
use super::{origin, rates, session_cookie};
use tidings_actors::App;
use tidings_actors::gateway::UserGateway;
use tidings_transport::Gateway;
use tidings_transport::tls::Stream;
use tidings_transport::ws::{self, session, socket};

/// Upgrades inside the routes, which have checked the host.
pub async fn open(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
    limits: web::Data<Arc<ws::Limits>>,
    gateway: web::Data<Arc<UserGateway>>,
    _: Anybody,
) -> Result<HttpResponse, Error> {
    origin::check_site(request.head(), &app.state.config)?;
    rates::connects(request.head(), &app)?;
    if request.method() == Method::HEAD {
        return Err(HandshakeError::NoWebsocketUpgrade.into());
    }
    let session = session_cookie::secret(request.head(), &app.state.config);
    let gateway: Arc<dyn Gateway> =
        Arc::new(gateway.of_client(rates::address(request.head(), &app), session));
    session::upgrade(&request, payload, &limits, Some(gateway))
}

/// `GET /echo`, there only under `serve --conformance-echo` on a loopback address: sends every message back.
pub async fn echo(
    request: HttpRequest,
    payload: web::Payload,
    echo: web::Data<EchoLimits>,
    _: Anybody,
) -> Result<HttpResponse, Error> {
    match &echo.0 {
        Some(limits) => session::upgrade(&request, payload, limits, None),
        None => Err(ApiError::NotFound("this path").into()),
    }
}

/// Limits of the echo; none = there is no echo.
#[derive(Clone, Debug, Default)]
pub struct EchoLimits(pub Option<Arc<ws::Limits>>);

impl EchoLimits {
    /// Wide enough for the largest message of the Autobahn test suite.
    pub fn wide(mut socket: tidings_core::config::Socket) -> Self {
        socket.max_frame_bytes = 32 << 20;
        socket.max_frames_per_s = 1_000_000;
        Self(Some(Arc::new(ws::Limits { socket, max_events: 0 })))
    }
}

/// Admission of WebSocket upgrades, and what they are upgraded to.
pub struct Upgrades {
    /// The server.
    pub app: Arc<App>,
    /// Limits of clients.
    pub limits: Arc<ws::Limits>,
    /// Receiver of their logins.
    pub gateway: Arc<UserGateway>,
    /// The echo, if any.
    pub echo: EchoLimits,
    /// Limiter of the sockets open at once: a permit each.
    pub sockets: Arc<Semaphore>,
}

/// Limits, gateway and permit of an upgraded connection.
type Admitted = (Arc<ws::Limits>, Option<Arc<dyn Gateway>>, OwnedSemaphorePermit);

impl Upgrades {
    /// Takes the socket over, or says why not and closes it.
    pub async fn serve(
        self: Arc<Self>,
        request: Request,
        mut framed: Framed<Stream, h1::Codec>,
    ) -> Result<(), Error> {
        let shaken = match self.admit(&request) {
            Ok(admitted) => actix_http::ws::handshake(request.head())
                .map(|mut response| {
                    let offered = request.head().headers.get(SEC_WEBSOCKET_PROTOCOL);
                    let offered = offered.and_then(|names| names.to_str().ok());
                    if let Some(name) = offered.and_then(ws::subprotocol) {
                        response.insert_header((SEC_WEBSOCKET_PROTOCOL, name));
                    }
                    (admitted, response.finish().drop_body())
                })
                .map_err(|error| Response::from(error).map_into_boxed_body()),
            Err(error) => Err(error.error_response().into()),
        };
        let ((limits, gateway, permit), response) = match shaken {
            Ok(shaken) => shaken,
            Err(refusal) => return Ok(refuse(&mut framed, refusal).await?),
        };
        framed.send((response, BodySize::None).into()).await?;
        let parts = framed.into_parts();
        socket::start(parts.io, &parts.read_buf, &limits, gateway, permit);
        Ok(())
    }

    fn admit(&self, request: &Request) -> Result<Admitted, ApiError> {
        let config = &self.app.state.config;
        origin::check_host(request.head(), config)?;
        let path = config.server.base_path.strip(request.path()).unwrap_or(request.path());
        let (limits, gateway): (_, Option<Arc<dyn Gateway>>) = match (path, &self.echo.0) {
            ("/ws", _) => {
                origin::check_site(request.head(), config)?;
                rates::connects(request.head(), &self.app)?;
                let session = session_cookie::secret(request.head(), config);
                let gateway = self.gateway.of_client(rates::address(request.head(), &self.app), session);
                (&self.limits, Some(Arc::new(gateway) as Arc<dyn Gateway>))
            }
            ("/echo", Some(limits)) => (limits, None),
            _ => return Err(ApiError::NotFound("this path")),
        };
        let Ok(permit) = Arc::clone(&self.sockets).try_acquire_owned() else {
            return Err(ApiError::Unavailable("too many connections, try again in a moment".to_owned()));
        };
        Ok((Arc::clone(limits), gateway, permit))
    }
}

async fn refuse(framed: &mut Framed<Stream, h1::Codec>, refusal: Response<BoxBody>) -> io::Result<()> {
    let (response, body) = refusal.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    framed.send((response, BodySize::Sized(body.len() as u64)).into()).await?;
    framed.send(h1::Message::Chunk(Some(body))).await?;
    framed.send(h1::Message::Chunk(None)).await
}
