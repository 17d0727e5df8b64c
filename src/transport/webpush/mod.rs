//! Sends push messages (RFC 8030): an encrypted body and its headers in, what became of it out. One client for all
//! services, with a bounded pool; it follows no redirects, reads no long answers and connects to public addresses only.

mod address;
mod encrypt;
mod endpoint;
mod retry;
mod vapid;

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::StatusCode;
use awc::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use awc::{Client, ClientResponse};

use super::outbound;
use tidings_core::base::{Millis, Timestamp};
use tidings_decision::deliver::push_payload::PushPayload;

pub use address::{NotPublic, PublicOnly, is_public};
pub use encrypt::{EncryptError, UserAgentKeys, encrypt};
pub use endpoint::{Endpoint, EndpointError, MAX_ENDPOINT_BYTES};
pub use retry::{next_attempt, retry_after};
pub use vapid::{BadVapidKey, VapidKeys};

/// Longest time a service is asked to keep a message: what the large ones allow.
const MAX_TTL_S: u64 = 28 * 86_400;
/// An identification is used this long; RFC 8292 allows a day.
const IDENTIFIED_FOR: Millis = Millis::hours(12);
/// One that ends sooner is made anew.
const IDENTIFIED_AT_LEAST: Millis = Millis::hours(1);
/// Services identified to at once; there are about five in the world.
const MAX_SERVICES: usize = 256;

/// Outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The service has it.
    Accepted,
    /// The subscription has ended (404, 410).
    Gone(u16),
    /// This message will never be taken: too large (413), or it could not be encrypted (0).
    Unfit(u16),
    /// The subscription or who sends is refused: malformed, not allowed, a redirect. 0 = no answer, the address was refused.
    Refused(u16),
    /// Later, perhaps after this long. 0 = no answer.
    Later(u16, Option<Duration>),
    /// The request was sent and no answer came: the service may have it. Later.
    Unanswered,
}

/// Settings of the client.
#[derive(Clone, Debug)]
pub struct PushSettings {
    /// `mailto:` or `https:` address of who answers for the messages; empty = not told.
    pub contact: String,
    /// Longest wait for one request, connecting included.
    pub timeout: Duration,
    /// Most connections to all services.
    pub max_connections: usize,
    /// Loopback addresses and `http` are allowed: tests and development.
    pub allow_loopback: bool,
}

/// The client. Lives on one thread.
pub struct PushClient {
    client: Client,
    keys: VapidKeys,
    settings: PushSettings,
    identified: RefCell<HashMap<String, (String, Timestamp)>>,
}

impl PushClient {
    /// Reads the system's certificate authorities (some milliseconds).
    pub fn new(keys: VapidKeys, settings: PushSettings) -> Result<Self, rustls::Error> {
        let addresses = PublicOnly { allow_loopback: settings.allow_loopback };
        let client = outbound::client(addresses, settings.timeout, settings.max_connections)?;
        Ok(Self { client, keys, settings, identified: RefCell::default() })
    }

    /// Encrypts and sends. Every failure is told as what is to be done about it.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        keys: &UserAgentKeys,
        payload: &PushPayload,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Delivery {
        let body = match encrypt(keys, payload.json.as_bytes()) {
            Ok(body) => body,
            Err(error) => {
                log::error!("push not encrypted service={endpoint} error={error}");
                return Delivery::Unfit(0);
            }
        };
        let ttl_s = (expires_at.millis_since(now).0 / 1_000).min(MAX_TTL_S);
        let mut request = self
            .client
            .post(endpoint.uri())
            .insert_header((AUTHORIZATION, self.identify(endpoint.origin(), now)))
            .insert_header((CONTENT_ENCODING, "aes128gcm"))
            .insert_header((CONTENT_TYPE, "application/octet-stream"))
            .insert_header(("TTL", ttl_s.to_string()))
            .insert_header(("Urgency", payload.urgency.name()));
        if let Some(topic) = &payload.topic {
            request = request.insert_header(("Topic", topic.as_str()));
        }
        match request.send_body(body).await {
            Ok(response) => judge(&response, now),
            Err(error) => failed(endpoint, &error),
        }
        // The answer's body says nothing we use: it is dropped unread, and a long one with its connection.
    }

    fn identify(&self, origin: &str, now: Timestamp) -> String {
        let mut identified = self.identified.borrow_mut();
        if let Some((header, end)) = identified.get(origin)
            && *end > now + IDENTIFIED_AT_LEAST
        {
            return header.clone();
        }
        if identified.len() >= MAX_SERVICES {
            identified.clear();
        }
        let end = now + IDENTIFIED_FOR;
        let header = self.keys.authorization(origin, &self.settings.contact, end);
        identified.insert(origin.to_owned(), (header.clone(), end));
        header
    }
}

/// RFC 8030 §5 and §7.3.
fn judge<S>(response: &ClientResponse<S>, now: Timestamp) -> Delivery {
    let status = response.status();
    let asked = || {
        let header = response.headers().get(RETRY_AFTER)?;
        retry_after(header.to_str().ok()?, now)
    };
    match status {
        status if status.is_success() => Delivery::Accepted,
        StatusCode::NOT_FOUND | StatusCode::GONE => Delivery::Gone(status.as_u16()),
        StatusCode::PAYLOAD_TOO_LARGE => Delivery::Unfit(status.as_u16()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Delivery::Later(status.as_u16(), asked())
        }
        status if status.is_server_error() => Delivery::Later(status.as_u16(), asked()),
        status => Delivery::Refused(status.as_u16()),
    }
}

fn failed(endpoint: &Endpoint, error: &SendRequestError) -> Delivery {
    if let SendRequestError::Connect(ConnectError::Resolver(inner)) = error
        && inner.is::<NotPublic>()
    {
        log::warn!("push refused service={endpoint} error={NotPublic}");
        return Delivery::Refused(0);
    }
    log::info!("push service not reached service={endpoint} error={error}");
    match error {
        SendRequestError::Connect(_) | SendRequestError::Url(_) | SendRequestError::Http(_) => {
            Delivery::Later(0, None)
        }
        _ => Delivery::Unanswered,
    }
}
