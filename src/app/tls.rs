//! TLS of a running server: the certificate told at the start, and read again on SIGHUP and when its files change.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;

use tidings_core::base::Timestamp;
use tidings_core::config::{self, listen_address};
use tidings_state::AppState;
use tidings_telemetry::{Count, Gauge};
use tidings_transport::tls::{Certificate, Handshake, Handshakes, Serving};

/// Time between two looks at the expiry of a certificate.
const EXPIRY_CHECK: Duration = Duration::from_secs(24 * 3_600);

/// Handshakes of accepted connections, and the certificate that they show; `None` where TLS is off.
pub fn enable(state: &Arc<AppState>) -> anyhow::Result<Option<(Arc<Handshakes>, Arc<Serving>)>> {
    let tls = &state.config.tls;
    if !tls.is_on() {
        let public = listen_address(&state.config.server.listen).is_some_and(|at| !at.ip().is_loopback());
        if public && state.config.server.trusted_proxies.is_empty() {
            log::warn!(
                "tokens and messages travel unencrypted: other machines reach {} without TLS. Set tls.certificate_file and \
                 tls.key_file, or put a proxy with TLS in front and name it in server.trusted_proxies",
                state.config.server.listen
            );
        }
        return Ok(None);
    }
    let serving = Arc::new(Serving::read(tls, Handshakes::provider())?);
    tell(state, &serving.current());
    let counted = Arc::clone(state);
    let handshakes = Handshakes::new(tls, Arc::clone(&serving), move |end| {
        let count = match end {
            Handshake::Done => Count::TlsDone,
            Handshake::Failed => Count::TlsFailed,
            Handshake::TimedOut => Count::TlsTimedOut,
            Handshake::Refused => Count::TlsRefused,
            Handshake::Plain => Count::TlsPlain,
        };
        counted.metrics.add(count, 1);
    })?;
    Ok(Some((Arc::new(handshakes), serving)))
}

/// Logs a certificate that serves from now on, and sets the metric of its expiry.
fn tell(state: &AppState, certificate: &Certificate) {
    log::info!(
        "certificate serves names={} expires_at={}",
        certificate.names.join(","),
        certificate.expires_at
    );
    warn(certificate);
    state.metrics.set(Gauge::CertificateExpiry, certificate.expires_at.as_millis() / 1_000);
}

fn warn(certificate: &Certificate) {
    if let Some(warning) = certificate.warning(Timestamp::now()) {
        log::warn!("{warning}");
    }
}

/// Reads the certificate again on SIGHUP and when its files have changed. Connections go on with the one they were shown. Runs as long as
/// its thread.
pub async fn keep(state: Arc<AppState>, serving: Arc<Serving>, mut hangup: Signal) {
    let config::Tls { reload_s, .. } = state.config.tls;
    let mut expiry = tokio::time::interval(EXPIRY_CHECK);
    expiry.tick().await;
    loop {
        let looked = async {
            match reload_s {
                0 => std::future::pending().await,
                seconds => tokio::time::sleep(Duration::from_secs(seconds)).await,
            }
        };
        tokio::select! {
            _ = hangup.recv() => {}
            () = looked => {
                if !serving.has_changed() {
                    continue;
                }
            }
            _ = expiry.tick() => {
                warn(&serving.current());
                continue;
            }
        }
        match serving.reload(Timestamp::now()) {
            Ok(certificate) => {
                state.metrics.add(Count::TlsReloaded, 1);
                tell(&state, &certificate);
            }
            Err(error) => {
                state.metrics.add(Count::TlsNotReloaded, 1);
                log::error!("certificate not read again, the one before serves on error={error}");
            }
        }
    }
}
