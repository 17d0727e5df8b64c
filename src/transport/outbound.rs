//! The HTTP client of everything that the server sends to others: TLS, one time limit, a bounded pool, no redirects.

use std::sync::Arc;
use std::time::Duration;

use actix_tls::connect::{Connector as TcpConnector, Resolve, Resolver};
use awc::{Client, Connector};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// A client that connects to what `addresses` resolves, and to nothing else. Reads the system's certificate authorities (some
/// milliseconds).
pub(super) fn client(
    addresses: impl Resolve + 'static,
    timeout: Duration,
    max_connections: usize,
) -> Result<Client, rustls::Error> {
    let connector = Connector::new()
        .connector(TcpConnector::new(Resolver::custom(addresses)).service())
        .rustls_0_23(Arc::new(tls()?))
        .timeout(timeout)
        .handshake_timeout(timeout)
        .limit(max_connections);
    Ok(Client::builder()
        .connector(connector)
        .disable_redirects()
        .no_default_headers()
        .timeout(timeout)
        .finish())
}

/// The system's certificate authorities; those that can't be read are left out.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::warn!("certificate authority not read error={error}");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        log::warn!(
            "no certificate authorities found: no push service and no webhook can be reached; install ca-certificates"
        );
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Every server speaks it; one protocol, one set of limits.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
