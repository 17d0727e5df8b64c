//! Fetches JWK sets (RFC 7517) and other documents of issuers, and posts to their endpoints: one bounded answer within one time limit, from public addresses over TLS unless private
//! ones are allowed; no redirects.

use std::time::Duration;

use awc::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use awc::{Client, SendClientRequest};

use super::outbound;
use super::webhooks::Reachable;

/// Largest JWK set, bytes.
const MAX_BYTES: usize = 256 << 10;
/// Most connections: sets are fetched one after another.
const MAX_CONNECTIONS: usize = 8;
const FORM: &str = "application/x-www-form-urlencoded";
const AGENT: &str = concat!("Tidings/", env!("CARGO_PKG_VERSION"));

/// Reason why a set did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// No answer, or none in time.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// Another status than 200.
    #[error("status {0}")]
    Status(u16),
    /// The answer is too long, or broke off.
    #[error("the answer is longer than {MAX_BYTES} bytes, or broke off")]
    Body,
}

/// The client. Lives on one thread.
pub struct JwksClient {
    client: Client,
    timeout: Duration,
}

impl JwksClient {
    /// Reads the system's certificate authorities (some milliseconds). `timeout` bounds a fetch as a whole.
    pub fn new(timeout: Duration, allow_private: bool) -> Result<Self, rustls::Error> {
        let client = outbound::client(Reachable { allow_private }, timeout, MAX_CONNECTIONS)?;
        Ok(Self { client, timeout })
    }

    /// Fetches the set.
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, JwksError> {
        let late = |_| JwksError::NoAnswer(format!("not within {} ms", self.timeout.as_millis()));
        tokio::time::timeout(self.timeout, self.read(url)).await.map_err(late)?
    }

    /// Posts a form to an endpoint of the issuer (RFC 6749 §3.2), within the same bounds.
    pub async fn post(
        &self,
        url: &str,
        form: String,
        authorization: Option<String>,
    ) -> Result<Vec<u8>, JwksError> {
        let mut request = self.client.post(url).insert_header((ACCEPT, "application/json"));
        request = request.insert_header((USER_AGENT, AGENT)).insert_header((CONTENT_TYPE, FORM));
        if let Some(authorization) = authorization {
            request = request.insert_header((AUTHORIZATION, authorization));
        }
        let late = |_| JwksError::NoAnswer(format!("not within {} ms", self.timeout.as_millis()));
        let answered = Self::answer(request.send_body(form));
        tokio::time::timeout(self.timeout, answered).await.map_err(late)?
    }

    async fn read(&self, url: &str) -> Result<Vec<u8>, JwksError> {
        let request = self
            .client
            .get(url)
            .insert_header((ACCEPT, "application/json"))
            .insert_header((USER_AGENT, AGENT));
        Self::answer(request.send()).await
    }

    async fn answer(sent: SendClientRequest) -> Result<Vec<u8>, JwksError> {
        let mut response = sent.await.map_err(|error| JwksError::NoAnswer(error.to_string()))?;
        if response.status().as_u16() != 200 {
            return Err(JwksError::Status(response.status().as_u16()));
        }
        let body = response.body().limit(MAX_BYTES).await.map_err(|_| JwksError::Body)?;
        Ok(body.to_vec())
    }
}
