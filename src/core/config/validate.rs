//! Bounds, and what would be unsafe.

use std::net::{Ipv4Addr, SocketAddr};

use super::auth::AuthMode;
use super::bounds::{invalid, within};
use super::error::ConfigError;
use super::settings::Config;

/// The address that a text names. `localhost` is loopback wherever it resolves (RFC 6761); other names are not looked up.
pub fn listen_address(text: &str) -> Option<SocketAddr> {
    let of_localhost =
        || Some(SocketAddr::from((Ipv4Addr::LOCALHOST, text.strip_prefix("localhost:")?.parse().ok()?)));
    text.parse().ok().or_else(of_localhost)
}

/// Most networks of proxies: each forwarded address is compared with all of them.
const MAX_PROXIES: usize = 256;

impl Config {
    /// Checks every bound once; what passes is never checked again.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_exposure()?;
        within("server.workers", self.server.workers, 0, 1_024)?;
        within("server.max_connections", self.server.max_connections, 1, 10_000_000)?;
        within("server.trusted_proxies", self.server.trusted_proxies.len(), 0, MAX_PROXIES)?;
        within("server.keep_alive_s", self.server.keep_alive_s, 0, 3_600)?;
        within("server.header_timeout_ms", self.server.header_timeout_ms, 100, 600_000)?;
        within("server.body_timeout_ms", self.server.body_timeout_ms, 100, 3_600_000)?;
        within("server.max_body_bytes", self.server.max_body_bytes, 1 << 10, 1 << 30)?;
        within("server.tcp_user_timeout_ms", self.server.tcp_user_timeout_ms, 100, 3_600_000)?;
        self.tls.validate()?;
        within("database.pool_size", self.database.pool_size, 2, 200)?;
        within("socket.ping_ms", self.socket.ping_ms, 50, 3_600_000)?;
        within("socket.pong_ms", self.socket.pong_ms, 50, 3_600_000)?;
        within("socket.login_deadline_ms", self.socket.login_deadline_ms, 50, 600_000)?;
        within("socket.max_frame_bytes", self.socket.max_frame_bytes, 1 << 10, 16 << 20)?;
        within("socket.max_frames_per_s", self.socket.max_frames_per_s, 1, 1_000_000)?;
        within("socket.max_connections_per_user", self.socket.max_connections_per_user, 1, 10_000)?;
        within("socket.max_outbound_bytes", self.socket.max_outbound_bytes, 4 << 10, 64 << 20)?;
        within("ingest.max_batch", self.ingest.max_batch, 1, 100_000)?;
        within("ingest.max_commit", self.ingest.max_commit, 1, 100_000)?;
        within("ingest.max_waiting", self.ingest.max_waiting, self.ingest.max_batch, 10_000_000)?;
        within("ingest.robot_rest_h", self.ingest.robot_rest_h, 0, 8_760)?;
        within("training.segments", self.training.segments, 1, 26)?;
        within("training.gate_tolerance", self.training.gate_tolerance, 0.0, 1.0)?;
        within("training.keep_versions", self.training.keep_versions, 1, 1_000)?;
        within("training.dense_work", self.training.dense_work, 0, 1_000_000)?;
        within("training.tuning_work", self.training.tuning_work, 0, 1_000_000)?;
        within("training.niceness", self.training.niceness, 0, 19)?;
        self.auth.validate()?;
        self.people.validate()?;
        self.oidc.validate(self.auth.jwks_allow_private)?;
        self.limits.validate()?;
        self.event.validate()?;
        self.money.validate()?;
        self.recommend.validate()?;
        self.validate_webpush()?;
        self.webhooks.validate()?;
        self.privacy.validate()?;
        self.encryption.validate()?;
        self.retention.validate()?;
        self.validate_policy()
    }

    fn validate_webpush(&self) -> Result<(), ConfigError> {
        let webpush = &self.webpush;
        let contact = &webpush.contact;
        let known = ["mailto:", "https://"].iter().any(|scheme| contact.starts_with(scheme));
        if !contact.is_empty() && (!known || contact.len() > 256 || contact.chars().any(char::is_control)) {
            return invalid("webpush.contact", "must be an address such as mailto:ops@shop.example");
        }
        within("webpush.grace_ms", webpush.grace_ms, 100, 600_000)?;
        within("webpush.max_subscriptions_per_user", webpush.max_subscriptions_per_user, 1, 1_000)?;
        within("webpush.max_concurrent", webpush.max_concurrent, 1, 1_000)?;
        within("webpush.max_concurrent_per_service", webpush.max_concurrent_per_service, 1, 1_000)?;
        within("webpush.max_refusals", webpush.max_refusals, 1, 1_000)?;
        within("webpush.timeout_ms", webpush.timeout_ms, 100, 60_000)
    }

    fn validate_policy(&self) -> Result<(), ConfigError> {
        self.policy.validate()
    }

    /// A public address needs tokens with a secret of its own.
    fn validate_exposure(&self) -> Result<(), ConfigError> {
        let Some(address) = listen_address(&self.server.listen) else {
            return invalid(
                "server.listen",
                format!(
                    "must be an address and a port such as 127.0.0.1:8080 or localhost:8080, is \"{}\"",
                    self.server.listen
                ),
            );
        };
        match self.auth.mode {
            AuthMode::Off if !address.ip().is_loopback() => invalid(
                "server.listen",
                format!(
                    "{address} is reachable from other machines while auth.mode is \"off\"; set auth.mode = \"token\" and auth.secret, or listen on 127.0.0.1"
                ),
            ),
            AuthMode::Off | AuthMode::Token => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn localhost_is_loopback_and_other_names_are_refused() {
        let with = |listen: &str| {
            let mut config = Config::default();
            config.server.listen = listen.into();
            config.validate()
        };
        for good in ["localhost:8080", "127.0.0.1:0", "[::1]:8080"] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        for bad in ["localhost", "localhost:http", "localhost:99999", "shop.example:8080", "8080", ""] {
            assert!(with(bad).unwrap_err().to_string().contains("localhost:8080"), "{bad}");
        }
    }

    #[test]
    fn a_public_address_needs_tokens_and_a_real_secret() {
        let mut config = Config::default();
        config.server.listen = "0.0.0.0:8080".into();
        assert!(config.validate().unwrap_err().to_string().contains("auth.mode"));
        config.auth.mode = AuthMode::Token;
        for bad in
            ["", "short", "changeme-changeme-changeme-changeme-1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
        {
            config.auth.secret = bad.into();
            assert!(config.validate().unwrap_err().to_string().starts_with("auth.secret"), "{bad}");
        }
        config.auth.secret = "9f2c4e7a1b3d5f6081a2c3e4d5f60718".into();
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn bounds_are_checked_with_the_key_in_the_error() {
        let mut config = Config::default();
        config.policy.quiet_from = "25:00".into();
        assert!(config.validate().unwrap_err().to_string().starts_with("policy.quiet_from"));
        let mut config = Config::default();
        config.policy.time_zone = "Mars/Olympus".into();
        assert!(config.validate().unwrap_err().to_string().starts_with("policy.time_zone"));
        let mut config = Config::default();
        config.training.segments = 0;
        assert!(config.validate().unwrap_err().to_string().starts_with("training.segments"));
        let mut config = Config::default();
        config.server.keep_alive_s = 7_200;
        assert!(config.validate().unwrap_err().to_string().starts_with("server.keep_alive_s"));
        let mut config = Config::default();
        config.auth.audiences = vec!["push".into(), String::new()];
        assert!(config.validate().unwrap_err().to_string().starts_with("auth.audiences"));
    }
}
