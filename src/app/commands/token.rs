//! `tidings token`.

use super::say;
use crate::app::usage::Usage;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::config::Config;
use tidings_decision::privacy::Role;
use tidings_decision::privacy::token::{NOBODY, NewToken};

/// Prints a token and nothing else.
pub fn run(
    config: &Config,
    role: Role,
    user: Option<&str>,
    anonymous: bool,
    days: f64,
) -> anyhow::Result<()> {
    if config.auth.secret.is_empty() {
        return Err(Usage::error("auth.secret is not set; make one with: openssl rand -hex 32"));
    }
    if !(days > 0.0 && days <= 3_650.0) {
        return Err(Usage::error("--days must be more than 0 and at most 3650"));
    }
    let subject = match (role, user) {
        (Role::User, Some(user)) => {
            ExternalId::parse(user).map_err(|error| Usage::error(format!("--user: {error}")))?.to_string()
        }
        (Role::User, None) => return Err(Usage::error("a user token needs --user")),
        (_, user) => user.unwrap_or(NOBODY).to_owned(),
    };
    if anonymous && role != Role::User {
        return Err(Usage::error("--anonymous goes with --role user"));
    }
    let (now, id) = (Timestamp::now(), uuid::Uuid::now_v7().to_string());
    let token = NewToken {
        role,
        subject: &subject,
        anonymous,
        issuer: config.auth.issuers.first().map(String::as_str),
        id: Some(&id),
        issued_at: Some(now),
        expires_at: now.plus_days(days),
    };
    say(&token.sign(&config.auth.secret)?)
}
