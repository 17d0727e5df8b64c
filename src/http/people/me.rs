//! The caller as a page is told of it.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use tidings_core::base::Timestamp;
use tidings_decision::privacy::Role;
use tidings_decision::privacy::sign_in::csrf_token;
use tidings_state::sign_ins::Begun;

/// A caller with role and permissions.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// Null with authentication off.
    pub(super) name: Option<String>,
    pub(super) role: Role,
    /// Names of permissions.
    pub(super) permissions: Vec<&'static str>,
    /// Null with a token or an API key.
    pub(super) session_id: Option<Uuid>,
    pub(super) expires_at: Option<Timestamp>,
    /// For the header `X-CSRF-Token` of requests that change something; null without a session.
    pub(super) csrf_token: Option<String>,
}

impl Me {
    /// Somebody with a role, without a session.
    pub(super) fn new(name: Option<String>, role: Role) -> Self {
        let permissions = role.permissions().iter().map(|permission| permission.name()).collect();
        Self { name, role, permissions, session_id: None, expires_at: None, csrf_token: None }
    }

    /// The person of a session that has begun.
    pub fn of_session(begun: &Begun) -> Self {
        Self {
            session_id: Some(begun.id),
            expires_at: Some(begun.expires_at),
            csrf_token: Some(csrf_token(&begun.secret)),
            ..Self::new(Some(begun.person.name.clone()), begun.person.role)
        }
    }
}
