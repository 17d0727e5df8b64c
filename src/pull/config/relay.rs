//! `[relay]`: from webhooks to NATS.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tidings_core::config::toml_fault;

use super::error::ConfigError;
use super::expand;

/// `[relay]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelaySettings {
    /// Address and port of the endpoint.
    pub listen: String,
    /// The endpoint's secret, `whsec_…`.
    pub secret: String,
    /// Servers of NATS, separated by commas.
    pub nats: String,
    /// Subject before the name of the event; a stream must keep `SUBJECT.>`.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// File with credentials of NATS (`.creds`).
    pub credentials: Option<PathBuf>,
}

fn default_subject() -> String {
    "tidings".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRelay {
    relay: RelaySettings,
}

impl RelaySettings {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let within = |message: String| ConfigError(format!("{}: {message}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| within(error.to_string()))?;
        Self::parse(&text, |name| std::env::var(name).ok()).map_err(|ConfigError(message)| within(message))
    }

    fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let table: toml::Table =
            text.parse().map_err(|error| ConfigError(toml_fault::of_text(text, &error)))?;
        let table = expand::expand(toml::Value::Table(table), &environment)?;
        let raw: RawRelay =
            table.try_into().map_err(|error: toml::de::Error| ConfigError(toml_fault::of_value(&error)))?;
        let is_part = |part: &str| !part.is_empty() && !part.contains(['*', '>', ' ', '\t']);
        if !raw.relay.subject.split('.').all(is_part) {
            return Err(ConfigError::new(
                "relay.subject: words without * and >, separated by dots, such as \"tidings\"",
            ));
        }
        Ok(raw.relay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_needs_an_address_a_secret_and_a_server() {
        let text =
            "[relay]\nlisten = \"127.0.0.1:9300\"\nsecret = \"${SECRET}\"\nnats = \"nats://127.0.0.1\"\n";
        let parse = |text: &str| {
            let environment = |name: &str| (name == "SECRET").then(|| "whsec_YQ==".to_owned());
            RelaySettings::parse(text, environment).map_err(|error| error.to_string())
        };
        let settings = parse(text).unwrap();
        assert_eq!((settings.secret.as_str(), settings.subject.as_str()), ("whsec_YQ==", "tidings"));
        assert!(parse("[relay]\nlisten = \"a\"\n").unwrap_err().contains("secret"));
        assert!(parse(&format!("{text}subject = \"a.*\"\n")).unwrap_err().contains("relay.subject"));
        assert!(parse(&format!("{text}subjekt = \"a\"\n")).unwrap_err().contains("did you mean subject?"));
    }
}
