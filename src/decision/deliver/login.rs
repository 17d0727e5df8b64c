//! The first frame of a client.

use serde::Deserialize;

use tidings_core::base::ExternalId;
use tidings_core::event::Speaker;

/// Place in the stream at which a client left off.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Resume {
    /// Incarnation of the stream.
    pub epoch: String,
    /// Last offset received.
    pub offset: i64,
}

/// The first frame.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Login {
    /// Id of the user (authentication off).
    #[serde(default)]
    pub user_id: Option<ExternalId>,
    /// Token that proves the user's identity.
    #[serde(default)]
    pub token: Option<String>,
    /// The client's name for the device.
    #[serde(default)]
    pub device: Option<String>,
    /// BCP 47.
    #[serde(default)]
    pub locale: Option<String>,
    /// IANA.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Place in the stream at which the client left off.
    #[serde(default)]
    pub resume: Option<Resume>,
    /// Source of the connection's events. The gateway says so, no client does.
    #[serde(skip)]
    pub speaker: Speaker,
    /// Visitor that the user was before the login: merged into the user.
    #[serde(default)]
    pub anonymous_id: Option<ExternalId>,
    /// Token of that visitor, which proves that it is the user's own.
    #[serde(default)]
    pub anonymous_token: Option<String>,
}

impl Login {
    /// Nothing but an id: a minimal client, which understands one message and gets it first.
    pub fn is_bare(&self) -> bool {
        self.token.is_none()
            && self.device.is_none()
            && self.locale.is_none()
            && self.time_zone.is_none()
            && self.resume.is_none()
            && self.anonymous_id.is_none()
            && self.anonymous_token.is_none()
    }
}
