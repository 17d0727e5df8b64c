//! Roles of callers.

use serde::{Deserialize, Serialize};

/// Role that a token grants; each includes what stands before it only where a route says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Role {
    /// One user: a browser. May log in, act and read as that user only.
    User,
    /// A shop's backend: may send events and catalogue, and read any user.
    Service,
    /// Everything, `/admin` too.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::User, Self::Service, Self::Admin];

    /// Name in tokens and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Admin => "admin",
        }
    }
}
