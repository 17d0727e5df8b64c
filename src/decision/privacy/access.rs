//! Access rights of a caller.

use std::sync::Arc;

use uuid::Uuid;

use super::origin::Origin;
use super::permission::Permission;
use super::role::Role;
use super::scope::Scope;
use tidings_core::base::{ExternalId, Timestamp};
use tidings_core::event::Speaker;

/// Access rights of a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Role of the caller.
    pub role: Role,
    /// The user of a `user` token.
    pub user: Option<ExternalId>,
    /// The user is a visitor without an account: may be merged into one, and merges nobody.
    pub anonymous: bool,
    /// The visitor that the user was before, as the issuer says.
    pub anonymous_id: Option<ExternalId>,
    /// Subject of a token that is not a user's, as it is shown; `None` for one that names nobody.
    pub subject: Option<String>,
    /// Subject as the token has it; empty with authentication off.
    pub name: String,
    /// Id of the token (`jti`).
    pub id: Option<String>,
    /// The API key that proves it, in place of a token.
    pub api_key: Option<Uuid>,
    /// Session of a person who is signed in, in place of a token.
    pub session: Option<Uuid>,
    /// The person.
    pub person: Option<Uuid>,
    /// Moment at which the token was issued (`iat`).
    pub issued_at: Option<Timestamp>,
    /// Until when; `None` = for good.
    pub expires_at: Option<Timestamp>,
    /// Areas that an API key is confined to; `None` = all that the role may.
    pub scopes: Option<Arc<[Scope]>>,
    /// Places that an API key may be used from; `None` = anywhere.
    pub origins: Option<Arc<[Origin]>>,
    /// Permissions that an API key has, in place of those of its role.
    pub permissions: Option<Arc<[Permission]>>,
}

impl Access {
    /// Authentication is off: everyone may do everything.
    pub fn open() -> Self {
        Self {
            role: Role::Admin,
            user: None,
            anonymous: false,
            anonymous_id: None,
            subject: None,
            name: String::new(),
            id: None,
            api_key: None,
            session: None,
            person: None,
            issued_at: None,
            expires_at: None,
            scopes: None,
            origins: None,
            permissions: None,
        }
    }

    /// Returns whether nobody said who calls: authentication is off.
    pub fn is_open(&self) -> bool {
        self.name.is_empty()
    }

    /// Name of the caller in the audit log; `None` = not known.
    pub fn actor(&self) -> Option<String> {
        Some(self.name.clone()).filter(|name| !name.is_empty())
    }

    /// Role of the caller in the audit log.
    pub fn audited_role(&self) -> &'static str {
        if self.is_open() { "open" } else { self.role.name() }
    }

    /// Returns whether what the caller reports is the shop's word. With authentication off nobody can be told apart: it is.
    pub fn speaker(&self) -> Speaker {
        match self.role {
            Role::User => Speaker::Client,
            _ => Speaker::Shop,
        }
    }

    /// Permissions of the caller. A user has none.
    pub fn permissions(&self) -> &[Permission] {
        self.permissions.as_deref().unwrap_or_else(|| self.role.permissions())
    }

    /// Returns true if the caller has that permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// Returns whether the caller is that user, or has the permission for any.
    pub fn may_for(&self, user: &ExternalId, permission: Permission) -> bool {
        match self.role {
            Role::User => self.user.as_ref() == Some(user),
            _ => self.may(permission),
        }
    }

    /// Returns whether the scopes of an API key include this one.
    pub fn has_scope(&self, wanted: Scope) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope.includes(wanted)))
    }
}
