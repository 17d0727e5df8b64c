//! Sign-ins with the identity provider that are under way, and the requests to it. An attempt lasts ten minutes and is good once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::RngExt;

use tidings_core::base::Timestamp;
use tidings_core::config::{Auth, Oidc};
use tidings_decision::privacy::key::read_jwks;
use tidings_decision::privacy::oidc::{self, Attempt, Identified, OidcError, Provider};
use tidings_decision::privacy::sign_in::{self, BYTES};
use tidings_transport::jwks::JwksClient;

/// Longest time that somebody takes at the provider.
pub const LASTS: Duration = Duration::from_secs(600);
/// Most attempts under way.
const MAX_ATTEMPTS: usize = 1_000;
/// A discovery document serves for so long.
const FRESH: Duration = Duration::from_secs(3_600);

/// Attempts under way, by their state.
#[derive(Default)]
pub struct OidcAttempts {
    attempts: Mutex<HashMap<String, (Attempt, Instant)>>,
    provider: Mutex<Option<(Provider, Instant)>>,
}

/// A client for one sign-in; it lives on one thread.
fn client(auth: &Auth) -> Result<JwksClient, OidcError> {
    let timeout = Duration::from_millis(auth.jwks_timeout_ms);
    JwksClient::new(timeout, auth.jwks_allow_private).map_err(|error| OidcError::Provider(error.to_string()))
}

fn secret() -> String {
    sign_in::text(&rand::rng().random::<[u8; BYTES]>())
}

/// The secret of this server at the provider.
fn client_secret(settings: &Oidc) -> Result<String, OidcError> {
    match settings.client_secret_file.as_str() {
        "" => Ok(settings.client_secret.clone()),
        file => std::fs::read_to_string(file)
            .map(|text| text.trim().to_owned())
            .map_err(|error| OidcError::Provider(format!("oidc.client_secret_file: {error}"))),
    }
}

impl OidcAttempts {
    /// The provider, as its discovery document describes it.
    async fn provider(
        &self,
        settings: &Oidc,
        auth: &Auth,
        client: &JwksClient,
    ) -> Result<Provider, OidcError> {
        let known = self.provider.lock().clone().filter(|(_, at)| at.elapsed() < FRESH);
        if let Some((provider, _)) = known {
            return Ok(provider);
        }
        let document = client.fetch(&oidc::discovery_url(&settings.issuer)).await;
        let document = document.map_err(|error| OidcError::Provider(error.to_string()))?;
        let provider = Provider::parse(&document, &settings.issuer, auth.jwks_allow_private)?;
        *self.provider.lock() = Some((provider.clone(), Instant::now()));
        Ok(provider)
    }

    /// Begins a sign-in: the address of the provider's page, and the state that the browser keeps until it is back. `None` when too many are
    /// under way.
    pub async fn begin(
        &self,
        settings: &Oidc,
        auth: &Auth,
        redirect_uri: String,
    ) -> Result<Option<(String, String)>, OidcError> {
        let provider = self.provider(settings, auth, &client(auth)?).await?;
        let (state, attempt) = (secret(), Attempt { nonce: secret(), verifier: secret(), redirect_uri });
        let url = provider.sign_in_url(settings, &attempt, &state);
        let mut attempts = self.attempts.lock();
        if attempts.len() >= MAX_ATTEMPTS {
            attempts.retain(|_, (_, at)| at.elapsed() < LASTS);
        }
        if attempts.len() >= MAX_ATTEMPTS {
            return Ok(None);
        }
        attempts.insert(state.clone(), (attempt, Instant::now()));
        Ok(Some((url, state)))
    }

    /// Takes the attempt of a state out: it is good once.
    pub fn take(&self, state: &str) -> Option<Attempt> {
        let (attempt, at) = self.attempts.lock().remove(state)?;
        (at.elapsed() < LASTS).then_some(attempt)
    }

    /// Turns the code that the browser brought back into a person.
    pub async fn finish(
        &self,
        settings: &Oidc,
        auth: &Auth,
        attempt: &Attempt,
        code: &str,
    ) -> Result<Identified, OidcError> {
        let client = client(auth)?;
        let provider = self.provider(settings, auth, &client).await?;
        let told = |error: tidings_transport::jwks::JwksError| OidcError::Provider(error.to_string());
        let body = oidc::token_request(settings, attempt, code);
        let authorization = oidc::authorization(&settings.client_id, &client_secret(settings)?);
        let answer = client.post(&provider.token_endpoint, body, authorization).await.map_err(told)?;
        let id_token = oidc::id_token(&answer)?;
        let source = oidc::source(settings, &provider);
        let keys = client.fetch(&provider.jwks_uri).await.map_err(told)?;
        let keys = read_jwks(&keys, &source).map_err(|error| OidcError::Provider(error.to_string()))?;
        oidc::identify(settings, auth, (&source, &keys), attempt, &id_token, Timestamp::now())
    }
}
