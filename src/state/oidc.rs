//! Sign-ins with the identity provider that are under way, and the requests to it. An attempt lasts ten minutes and is good once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::RngExt;

use super::limiter::network;
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

/// An attempt under way.
struct UnderWay {
    attempt: Attempt,
    at: Instant,
    /// Network that it is of; `None` = not known.
    network: Option<u64>,
}

/// Attempts under way, by their state.
#[derive(Default)]
pub struct OidcAttempts {
    attempts: Mutex<HashMap<String, UnderWay>>,
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

    /// Begins a sign-in of a client with this address: the address of the provider's page, and the state that the browser keeps until it is
    /// back.
    pub async fn begin(
        &self,
        settings: &Oidc,
        auth: &Auth,
        redirect_uri: String,
        client_address: Option<IpAddr>,
    ) -> Result<(String, String), OidcError> {
        let provider = self.provider(settings, auth, &client(auth)?).await?;
        let (state, attempt) = (secret(), Attempt { nonce: secret(), verifier: secret(), redirect_uri });
        let url = provider.sign_in_url(settings, &attempt, &state);
        self.enter(state.clone(), attempt, client_address);
        Ok((url, state))
    }

    /// Adds an attempt. Where there are too many, the oldest of the network with most of them gives way: whoever begins many ends their own.
    fn enter(&self, state: String, attempt: Attempt, client_address: Option<IpAddr>) {
        let mut attempts = self.attempts.lock();
        if attempts.len() >= MAX_ATTEMPTS {
            attempts.retain(|_, begun| begun.at.elapsed() < LASTS);
        }
        if attempts.len() >= MAX_ATTEMPTS {
            let mut of_network: HashMap<Option<u64>, usize> = HashMap::new();
            for begun in attempts.values() {
                *of_network.entry(begun.network).or_default() += 1;
            }
            let most = of_network.values().copied().max().unwrap_or(0);
            let crowd = attempts.iter().filter(|(_, begun)| of_network.get(&begun.network) == Some(&most));
            let oldest = crowd.min_by_key(|(_, begun)| begun.at).map(|(state, _)| state.clone());
            oldest.and_then(|state| attempts.remove(&state));
        }
        let network = client_address.map(network);
        attempts.insert(state, UnderWay { attempt, at: Instant::now(), network });
    }

    /// Takes the attempt of a state out: it is good once.
    pub fn take(&self, state: &str) -> Option<Attempt> {
        let begun = self.attempts.lock().remove(state)?;
        (begun.at.elapsed() < LASTS).then_some(begun.attempt)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_begins_many_sign_ins_ends_their_own() {
        let attempts = OidcAttempts::default();
        let begin = |state: &str, address: &str| {
            let attempt =
                Attempt { nonce: state.to_owned(), verifier: String::new(), redirect_uri: String::new() };
            attempts.enter(state.to_owned(), attempt, address.parse().ok());
        };
        begin("anna", "192.0.2.7");
        for n in 0..2 * MAX_ATTEMPTS {
            // A client has a whole /64 of addresses.
            begin(&format!("flood-{n}"), &format!("2001:db8::{n:x}"));
        }
        begin("ben", "198.51.100.9");
        assert_eq!(attempts.attempts.lock().len(), MAX_ATTEMPTS);
        assert!(attempts.take("flood-0").is_none() && attempts.take("flood-1001").is_none());
        for state in ["anna", "ben", "flood-1999"] {
            assert_eq!(attempts.take(state).unwrap().nonce, state, "{state}");
            assert!(attempts.take(state).is_none(), "good once");
        }
    }
}
