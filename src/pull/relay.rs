//! Webhooks of the server as messages of NATS JetStream: an endpoint that verifies a webhook, publishes it under
//! `SUBJECT.EVENT` and answers once JetStream has stored it. Whatever is not answered so the server sends again, under the same
//! id, by which JetStream drops the second one within the stream's duplicate window.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, HeaderMap as NatsHeaders, ServerAddr};
use serde_json::Value;
use tidings_decision::privacy::webhook_secret::WebhookSecret;

use crate::config::RelaySettings;
use crate::pipeline::Failure;

/// Largest webhook taken; JetStream takes a mebibyte by default.
const MAX_BYTES: usize = 900_000;
/// Longest wait for JetStream; the server's own patience with an endpoint is `webhooks.timeout_ms`.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(8);
/// Seconds that requests under way are given at the end.
const GRACE_S: u64 = 10;

/// State that the requests share.
struct Relay {
    secret: WebhookSecret,
    context: Context,
    subject: String,
}

/// Relays until SIGTERM.
pub fn run(settings: RelaySettings) -> Result<(), Failure> {
    let wrong =
        |name: &str, error: &dyn std::fmt::Display| Failure::Configuration(format!("relay.{name}: {error}"));
    let not_ours = "is not the secret that POST /v1/webhooks answered: whsec_ and base64";
    let secret = WebhookSecret::parse(&settings.secret).ok_or_else(|| wrong("secret", &not_ours))?;
    let servers: Result<Vec<ServerAddr>, _> =
        settings.nats.split(',').map(|one| one.trim().parse()).collect();
    let servers =
        servers.map_err(|error| wrong("nats", &format!("{error}; such as nats://127.0.0.1:4222")))?;
    actix_rt::System::new().block_on(async move {
        let mut options = ConnectOptions::new().name("tidings relay").retry_on_initial_connect();
        if let Some(path) = &settings.credentials {
            let read = options.credentials_file(path).await;
            options = read.map_err(|error| wrong("credentials", &format!("{}: {error}", path.display())))?;
        }
        let client = async_nats::connect_with_options(servers, options).await;
        let context = jetstream::new(client.map_err(|error| Failure::Failed(format!("NATS: {error}")))?);
        let relay = web::Data::new(Relay { secret, context, subject: settings.subject });
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::clone(&relay))
                .app_data(web::PayloadConfig::new(MAX_BYTES))
                .default_service(web::post().to(take))
        });
        let server = server.workers(1).shutdown_timeout(GRACE_S).bind(&settings.listen);
        let server = server.map_err(|error| wrong("listen", &format!("{}: {error}", settings.listen)))?;
        log::info!("webhooks for http://{} go to JetStream", settings.listen);
        server.run().await.map_err(|error| Failure::Failed(error.to_string()))
    })
}

async fn take(request: HttpRequest, body: web::Bytes, relay: web::Data<Relay>) -> HttpResponse {
    let now = tidings_core::base::Timestamp::now().as_seconds();
    let header = |name: &str| text(request.headers(), name);
    let (id, at, signatures) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let verifies = |at: i64| relay.secret.verifies(&id, at, &signatures, &body, now);
    if !at.parse().is_ok_and(verifies) {
        return HttpResponse::Unauthorized()
            .body("not signed with relay.secret, or more than five minutes ago");
    }
    let Some(subject) = subject(&relay.subject, &body) else {
        return HttpResponse::BadRequest().body("no webhook of Tidings: there is no type");
    };
    let mut headers = NatsHeaders::new();
    headers.insert("Nats-Msg-Id", id.as_str());
    let publishing = async {
        let sent = relay
            .context
            .publish_with_headers(subject, headers, body)
            .await
            .map_err(|error| error.to_string())?;
        sent.await.map_err(|error| error.to_string())
    };
    match tokio::time::timeout(PUBLISH_TIMEOUT, publishing).await {
        Ok(Ok(_)) => HttpResponse::NoContent().finish(),
        Ok(Err(error)) => later(&error),
        Err(_) => later("JetStream does not answer"),
    }
}

/// Not stored: the server sends it again.
fn later(reason: &str) -> HttpResponse {
    log::warn!("a webhook is not stored, it will come again: {reason}");
    HttpResponse::ServiceUnavailable().body("not stored")
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The subject of a webhook, by the type that its body has.
fn subject(prefix: &str, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let event = body.get("type")?.as_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_subject = event.split('.').all(|part| !part.is_empty()) && event.chars().all(is_plain);
    is_subject.then(|| format!("{prefix}.{event}"))
}

#[cfg(test)]
mod tests {
    use super::subject;

    #[test]
    fn the_subject_is_that_of_the_event() {
        assert_eq!(
            subject("tidings", br#"{"type":"message.clicked"}"#).as_deref(),
            Some("tidings.message.clicked")
        );
        for body in
            ["", "[]", r#"{"type":7}"#, r#"{"type":"a b"}"#, r#"{"type":"a..b"}"#, r#"{"type":"*.>"}"#]
        {
            assert_eq!(subject("tidings", body.as_bytes()), None, "{body}");
        }
    }
}
