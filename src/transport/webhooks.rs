//! Sends webhooks: a signed body in, the status and the first bytes of the answer out. It follows no redirects, reads no long answers and,
//! unless private addresses are allowed, speaks TLS to public addresses only.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use actix_tls::connect::Resolve;
use awc::Client;
use awc::error::{ConnectError, SendRequestError};
use awc::http::Uri;
use awc::http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;

use super::outbound;
use super::webpush::{NotPublic, PublicOnly, retry_after};
use tidings_core::base::{Millis, Timestamp};

/// Longest address of an endpoint.
pub const MAX_URL_BYTES: usize = 2_048;
/// Bytes of an answer that are kept.
const ANSWER_BYTES: usize = 256;
/// Longest wait for these bytes once the status is there.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
const AGENT: &str = concat!("Tidings/", env!("CARGO_PKG_VERSION"));

/// Reason why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL with a host.
    #[error("must be a URL of at most {MAX_URL_BYTES} bytes, such as https://shop.example/hooks")]
    NotUrl,
    /// Plain HTTP.
    #[error("must be an https URL; webhooks.allow_private lets http pass")]
    NotHttps,
    /// An address by number, or a name with a user in it.
    #[error("must name a public host; webhooks.allow_private lets addresses pass")]
    Host,
}

/// Checks the address of an endpoint. What its name resolves to is checked when connecting.
pub fn check_url(text: &str, allow_private: bool) -> Result<(), UrlError> {
    let uri: Uri = text.parse().map_err(|_| UrlError::NotUrl)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(UrlError::NotUrl);
    };
    if text.len() > MAX_URL_BYTES || authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(UrlError::NotUrl);
    }
    if !(scheme == "https" || (allow_private && scheme == "http")) {
        return Err(UrlError::NotHttps);
    }
    let host = authority.host();
    let by_number = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    if by_number && !allow_private { Err(UrlError::Host) } else { Ok(()) }
}

/// Resolves names by the system's resolver; keeps public addresses unless all are allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reachable {
    /// All addresses are allowed.
    pub(super) allow_private: bool,
}

impl Resolve for Reachable {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> LocalBoxFuture<'a, Result<Vec<SocketAddr>, Box<dyn Error>>> {
        if !self.allow_private {
            return Box::pin(async move { PublicOnly { allow_loopback: false }.lookup(host, port).await });
        }
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Settings of the client.
#[derive(Clone, Copy, Debug)]
pub struct WebhookSettings {
    /// Longest wait for one request, connecting included.
    pub timeout: Duration,
    /// Most connections to all endpoints.
    pub max_connections: usize,
    /// Private addresses and plain HTTP are allowed.
    pub allow_private: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// Address of the endpoint.
    pub url: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`, Unix seconds.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// The body.
    pub body: String,
}

/// An answer, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// HTTP status; 0 = no answer.
    pub status: u16,
    /// First bytes of the answer, or why there was none.
    pub text: String,
    /// `Retry-After`.
    pub asked: Option<Millis>,
    /// From the first byte to the last.
    pub took: Duration,
}

/// The client. Lives on one thread.
pub struct WebhookClient {
    client: Client,
    allow_private: bool,
}

impl WebhookClient {
    /// Reads the system's certificate authorities (some milliseconds).
    pub fn new(settings: WebhookSettings) -> Result<Self, rustls::Error> {
        let addresses = Reachable { allow_private: settings.allow_private };
        let client = outbound::client(addresses, settings.timeout, settings.max_connections)?;
        Ok(Self { client, allow_private: settings.allow_private })
    }

    /// Sends. An address that is not allowed any more is an answer too.
    pub async fn send(&self, request: WebhookRequest) -> WebhookAnswer {
        let began = Instant::now();
        let without = |text: String| WebhookAnswer { status: 0, text, asked: None, took: began.elapsed() };
        if let Err(error) = check_url(&request.url, self.allow_private) {
            return without(format!("the address {error}"));
        }
        let sent = self
            .client
            .post(&request.url)
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((USER_AGENT, AGENT))
            .insert_header(("webhook-id", request.id))
            .insert_header(("webhook-timestamp", request.timestamp.to_string()))
            .insert_header(("webhook-signature", request.signature))
            .send_body(request.body)
            .await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => return without(reason(&error)),
        };
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|value| retry_after(value, Timestamp::now()));
        let mut bytes = Vec::new();
        let read = async {
            while let Some(Ok(chunk)) = response.next().await {
                bytes.extend(chunk.iter().take(ANSWER_BYTES - bytes.len()));
                if bytes.len() >= ANSWER_BYTES {
                    break; // The rest is dropped unread, and the connection with it.
                }
            }
        };
        let _ = tokio::time::timeout(ANSWER_WAIT, read).await;
        WebhookAnswer {
            status: response.status().as_u16(),
            text: printable(&bytes),
            asked: asked.map(|asked| Millis(u64::try_from(asked.as_millis()).unwrap_or(u64::MAX))),
            took: began.elapsed(),
        }
    }
}

/// Text that PostgreSQL and a terminal take: no control characters.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn reason(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(ConnectError::Resolver(inner)) if inner.is::<NotPublic>() => {
            "the address is not a public one; webhooks.allow_private lets it pass".to_owned()
        }
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
            "no answer in time".to_owned()
        }
        error => error.to_string().chars().take(ANSWER_BYTES).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_to_a_name_passes_unless_private_addresses_are_allowed() {
        for (url, public, private) in [
            ("https://shop.example/hooks?a=1", Ok(()), Ok(())),
            ("http://shop.example/hooks", Err(UrlError::NotHttps), Ok(())),
            ("https://10.0.0.1/hooks", Err(UrlError::Host), Ok(())),
            ("https://[::1]/hooks", Err(UrlError::Host), Ok(())),
            ("http://127.0.0.1:9/hooks", Err(UrlError::NotHttps), Ok(())),
            ("ftp://shop.example/", Err(UrlError::NotHttps), Err(UrlError::NotHttps)),
            ("https://me:secret@shop.example/", Err(UrlError::NotUrl), Err(UrlError::NotUrl)),
            ("/hooks", Err(UrlError::NotUrl), Err(UrlError::NotUrl)),
            ("", Err(UrlError::NotUrl), Err(UrlError::NotUrl)),
        ] {
            assert_eq!((check_url(url, false), check_url(url, true)), (public, private), "{url}");
        }
    }

    #[actix::test]
    async fn names_of_this_machine_resolve_only_where_allowed() {
        assert!(Reachable { allow_private: false }.lookup("localhost", 443).await.is_err());
        assert!(Reachable { allow_private: true }.lookup("localhost", 443).await.is_ok());
    }

    #[test]
    fn an_answer_is_kept_without_what_breaks_terminals() {
        assert_eq!(printable(b"no\0pe\x1b[1m\xff"), "no pe [1m\u{fffd}");
    }
}
