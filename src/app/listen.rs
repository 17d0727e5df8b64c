//! The HTTP server on its socket: actix-web's own assembly, with one thing more, which `HttpServer` does not offer: requests
//! for a WebSocket leave it with their socket, inside TLS where that is on.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, h1};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServiceResponse, fn_service};
use actix_web::rt::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use tidings_core::config::{self, Backend};
use tidings_http::websocket::Upgrades;
use tidings_transport::tcp;
use tidings_transport::tls::{Handshakes, Stream};

/// Connections waiting to be accepted: ten thousand clients may come back at once.
const BACKLOG: u32 = 8_192;
/// Longest time a client may take to close a connection that HTTP is done with.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A bound server, not yet running, and the first address it listens on.
pub fn bind<F, A, S, B>(
    config: &config::Server,
    backend: Backend,
    upgrades: Arc<Upgrades>,
    tls: Option<Arc<Handshakes>>,
    app: F,
) -> std::io::Result<(Server, SocketAddr)>
where
    F: Fn() -> A + Send + Clone + 'static,
    A: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let workers = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    };
    let timeout = Duration::from_millis(u64::from(config.tcp_user_timeout_ms));
    let keep_alive = Duration::from_secs(config.keep_alive_s);
    let header_timeout = Duration::from_millis(config.header_timeout_ms);
    let listeners = listen(&config.listen)?;
    let address = listeners.first().ok_or(std::io::ErrorKind::AddrNotAvailable)?.local_addr()?;
    let mut builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(config.max_connections.div_ceil(workers))
        .backlog(BACKLOG)
        .shutdown_timeout(config.shutdown_grace_s)
        .disable_signals();
    let going_down = builder.graceful_shutdown_signal();
    let http = move || {
        let signal = going_down.clone();
        HttpService::build()
            .local_addr(address)
            .keep_alive(keep_alive)
            .client_request_timeout(header_timeout)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .graceful_shutdown_signal(move || {
                let signal = signal.clone();
                async move { signal.notified().await }
            })
    };
    let accept = move |stream: TcpStream| {
        let tls = tls.clone();
        async move {
            tcp::tune(&stream, timeout);
            let peer = stream.peer_addr().ok();
            let stream = match &tls {
                None => Stream::Plain(stream),
                Some(tls) => {
                    tls.accept(stream, peer.map(|peer| peer.ip())).await.map_err(DispatchError::Io)?
                }
            };
            Ok::<_, DispatchError>((stream, actix_http::Protocol::Http1, peer))
        }
    };
    let routes = move || map_config(app(), |_| AppConfig::default());
    for listener in listeners {
        let (http, routes, upgrades, accept) =
            (http.clone(), routes.clone(), Arc::clone(&upgrades), accept.clone());
        builder = match backend {
            Backend::ActixWebActors => builder.listen("http", listener, move || {
                fn_service(accept.clone()).and_then(http().finish(routes()))
            })?,
            Backend::Direct => builder.listen("http", listener, move || {
                let upgrades = Arc::clone(&upgrades);
                let upgrade = move |(request, framed): (Request, Framed<Stream, h1::Codec>)| {
                    Arc::clone(&upgrades).serve(request, framed)
                };
                fn_service(accept.clone()).and_then(http().upgrade(fn_service(upgrade)).finish(routes()))
            })?,
        };
    }
    Ok((builder.run(), address))
}

/// Every address of the name that can be listened on: `localhost` may be two.
fn listen(name: impl ToSocketAddrs) -> std::io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut failed = std::io::Error::other("the name has no address");
    for address in name.to_socket_addrs()? {
        match listen_on(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) => failed = error,
        }
    }
    if listeners.is_empty() { Err(failed) } else { Ok(listeners) }
}

fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_name_is_listened_on_and_one_that_is_taken_is_no_obstacle() {
        let any = |last: u8| SocketAddr::from(([127, 0, 0, last], 0));
        let both = listen([any(1), any(2)].as_slice()).unwrap();
        assert_eq!(both.len(), 2);
        let taken = both[0].local_addr().unwrap();
        assert_eq!(listen([taken, any(2)].as_slice()).unwrap().len(), 1);
        assert!(listen([taken].as_slice()).is_err());
    }
}
