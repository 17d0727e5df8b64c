//! HTTP to the server, with its answers sorted by what to do next.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use awc::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use awc::http::{Method, StatusCode};

use super::answer;
use crate::config::ServerSettings;

/// Longest time for one request.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer read: one reason for each of ten thousand events.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Longest wait that the server's `Retry-After` is believed.
const MAX_RETRY_AFTER_S: u64 = 300;

/// A fault that trying again does not mend, with its cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

/// Answer of the server.
#[derive(Debug)]
pub enum Reply {
    /// Done; the body.
    Done(Vec<u8>),
    /// The request is not what it should be: code and message.
    Refused(String, String),
    /// The request is larger than the server takes.
    TooLarge,
    /// No such thing.
    Missing,
    /// It may work later.
    Later {
        /// Description of what happened.
        reason: String,
        /// Wait that the server asks for before the next try.
        wait: Option<Duration>,
    },
}

/// Kept connections to one server.
pub struct Client {
    http: awc::Client,
    base: String,
    token: Option<String>,
    token_file: Option<PathBuf>,
}

impl Client {
    /// Nothing is sent yet.
    pub fn new(settings: &ServerSettings) -> Result<Self, String> {
        let connector = awc::Connector::new()
            .rustls_0_23(Arc::new(crate::tls::client_config()?))
            .timeout(Duration::from_secs(10))
            .limit(0);
        let http = awc::Client::builder().connector(connector).timeout(TIMEOUT).disable_redirects().finish();
        Ok(Self {
            http,
            base: settings.url.trim_end_matches('/').to_owned(),
            token: settings.token.clone(),
            token_file: settings.token_file.clone(),
        })
    }

    /// The token; a file is read each time, so that it can be replaced while this runs.
    fn token(&self) -> Result<Option<String>, Fatal> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(token) => Ok(Some(token.trim().to_owned())),
                Err(error) => Err(Fatal(format!("server.token_file {}: {error}", path.display()))),
            },
            (None, None) => Ok(None),
        }
    }

    /// Sends one request.
    pub async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Reply, Fatal> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = self.token()? {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        if !kind.is_empty() {
            request = request.insert_header((CONTENT_TYPE, kind));
        }
        let mut response = match request.send_body(body).await {
            Ok(response) => response,
            Err(error) => return Ok(Reply::Later { reason: format!("{}: {error}", self.base), wait: None }),
        };
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let wait = after.map(|seconds: u64| Duration::from_secs(seconds.min(MAX_RETRY_AFTER_S)));
        let body = match response.body().limit(MAX_ANSWER_BYTES).await {
            Ok(body) => body.to_vec(),
            Err(error) => return Ok(Reply::Later { reason: format!("{}: {error}", self.base), wait: None }),
        };
        self.sort(status, path, body, wait)
    }

    fn sort(
        &self,
        status: StatusCode,
        path: &str,
        body: Vec<u8>,
        wait: Option<Duration>,
    ) -> Result<Reply, Fatal> {
        if status.is_success() {
            return Ok(Reply::Done(body));
        }
        let (code, message) = answer::error(&body);
        match status.as_u16() {
            400 if code == "too_many_events" || code == "too_many_items" => Ok(Reply::TooLarge),
            413 => Ok(Reply::TooLarge),
            400 | 409 | 422 => Ok(Reply::Refused(code, message)),
            404 if code == "not_found" => Ok(Reply::Missing),
            401 => Err(Fatal(format!(
                "the server refuses the token ({message}): make one with `tidings token --role service` and name it in \
                 [server] token_file"
            ))),
            403 => Err(Fatal(format!(
                "the server does not permit this ({message}): the token needs the role service"
            ))),
            408 | 425 | 429 | 500 | 502..=504 => {
                Ok(Reply::Later { reason: format!("{status} from {}: {message}", self.base), wait })
            }
            _ => {
                Err(Fatal(format!("{status} from {}{path}: is this a Tidings server? {message}", self.base)))
            }
        }
    }
}
