//! Claims of a token by the names that the configuration gives them. Others are ignored, as RFC 7519 §4 has it.

use serde_json::{Map, Value};

use super::role::Role;
use super::token_error::TokenError;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::config::Auth;

/// Seconds from 1970 beyond which a date is none: the year 9999.
const MAX_NUMERIC_DATE: f64 = 253_402_300_799.0;

/// Claims of a token, whoever issued it.
pub(super) struct Claims<'a> {
    all: &'a Map<String, Value>,
    auth: &'a Auth,
}

impl<'a> Claims<'a> {
    pub(super) fn new(all: &'a Map<String, Value>, auth: &'a Auth) -> Self {
        Self { all, auth }
    }

    /// A claim of this very name, else the one at the end of a path with dots; null counts as absent.
    fn get(&self, name: &str) -> Option<&'a Value> {
        let by_path = || {
            let (first, rest) = name.split_once('.')?;
            rest.split('.').try_fold(self.all.get(first)?, |value, part| value.get(part))
        };
        self.all.get(name).or_else(by_path).filter(|value| !value.is_null())
    }

    /// A `NumericDate`, with or without a fraction (RFC 7519 §2).
    pub(super) fn date(&self, name: &'static str) -> Result<Option<Timestamp>, TokenError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|s| (-MAX_NUMERIC_DATE..=MAX_NUMERIC_DATE).contains(s));
        seconds.map(|s| Some(Timestamp((s * 1e6).round() as i64))).ok_or(TokenError::Claim(name))
    }

    /// A text; `None` for a claim that is absent.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&'a str>, TokenError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or(TokenError::Claim(name))
    }

    /// Id of the user, or name of who calls, never empty: text, or the number that many shops have for their users.
    pub(super) fn user(&self) -> Result<String, TokenError> {
        let named = self.get(&self.auth.claims.user).and_then(id_text);
        named.filter(|name| !name.is_empty()).ok_or(TokenError::Claim("user"))
    }

    /// Role: the least where none is named, the last known one of a list, in the order of the roles.
    pub(super) fn role(&self) -> Result<Role, TokenError> {
        let known = |name: &str| {
            let name = self.auth.roles.get(name).map_or(name, String::as_str);
            Role::named(name)
        };
        match self.get(&self.auth.claims.role) {
            None => Ok(Role::User),
            Some(Value::String(name)) => known(name).ok_or(TokenError::Claim("role")),
            Some(Value::Array(names)) => {
                let roles = names.iter().filter_map(Value::as_str).filter_map(known);
                Ok(roles.max().unwrap_or(Role::User))
            }
            Some(_) => Err(TokenError::Claim("role")),
        }
    }

    pub(super) fn anonymous(&self) -> Result<bool, TokenError> {
        let Some(value) = self.get(&self.auth.claims.anonymous) else { return Ok(false) };
        value.as_bool().ok_or(TokenError::Claim("anonymous"))
    }

    pub(super) fn anonymous_id(&self) -> Result<Option<ExternalId>, TokenError> {
        let Some(value) = self.get(&self.auth.claims.anonymous_id) else { return Ok(None) };
        let id = id_text(value).and_then(|text| ExternalId::parse(&text).ok());
        id.map(Some).ok_or(TokenError::Claim("anonymous_id"))
    }

    /// Checks that one audience or several (RFC 7519 §4.1.3) name the server; a token without any is for everybody unless one is
    /// required.
    pub(super) fn check_audience(&self, required: Option<&[String]>) -> Result<(), TokenError> {
        let accepted = required.unwrap_or(&self.auth.audiences);
        let is_one_of = |name: &str| accepted.iter().any(|accepted| accepted == name);
        let named = match self.get("aud") {
            None if required.is_none() => return Ok(()),
            None => false,
            Some(Value::String(name)) => is_one_of(name),
            Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
                names.iter().filter_map(Value::as_str).any(is_one_of)
            }
            Some(_) => return Err(TokenError::Claim("aud")),
        };
        if named { Ok(()) } else { Err(TokenError::Audience) }
    }
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        _ => None,
    }
}
