//! Permissions: each lets a role do one kind of thing over the API. Their names are stable.

use serde::{Deserialize, Serialize};

/// Defines the permissions with their names.
macro_rules! permissions {
    ($($(#[doc = $about:literal])+ $variant:ident $name:literal,)+) => {
        /// One kind of thing that a role may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Permission {
            $($(#[doc = $about])+ #[serde(rename = $name)] $variant,)+
        }

        impl Permission {
            /// Every permission, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Name in the documentation, the API and the dashboard.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The permission of a name; `None` for another text.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|permission| permission.name() == name)
            }

            /// Meaning in a sentence.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($about,)+).trim_ascii_start(),)+
                }
            }
        }
    };
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Permission {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .enum_values(Some(Self::ALL.iter().map(|permission| permission.name())))
            .description(Some("One kind of thing that a role may do."))
            .into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Permission {}

permissions! {
    /// Metrics for Prometheus and reports of pullers.
    Monitor "monitor",
    /// Figures of all users together, models, experiments and definitions.
    ReadFigures "read_figures",
    /// Decisions and connected users.
    ReadDecisions "read_decisions",
    /// Timelines of single users.
    ReadTimelines "read_timelines",
    /// Messages of the shop and their progress.
    ReadMessages "read_messages",
    /// Profiles, inboxes, preferences and topics of users.
    ReadUsers "read_users",
    /// Ids, attributes, texts and searches of users in answers, which are masked otherwise; exports of one user.
    PersonalData "personal_data",
    /// Sends, changes and withdraws messages, and sets triggers off.
    SendMessages "send_messages",
    /// Changes triggers, templates, policies, experiments and placements.
    EditDefinitions "edit_definitions",
    /// Changes the catalogue.
    WriteCatalogue "write_catalogue",
    /// Changes attributes, preferences, consents, inboxes and topics of users, and merges visitors.
    WriteUsers "write_users",
    /// Erases users.
    EraseUsers "erase_users",
    /// Releases ids of erased users.
    ReleaseIds "release_ids",
    /// Signs users out everywhere.
    SignOutUsers "sign_out_users",
    /// Sends events, opens streams and subscribes browsers in the name of any user.
    ActForUsers "act_for_users",
    /// Reports the state of pullers.
    ReportSources "report_sources",
    /// Starts and stops trainings, and chooses the model that serves.
    Operate "operate",
    /// Makes and changes webhooks, and reads their deliveries.
    ManageWebhooks "manage_webhooks",
    /// Makes and revokes API keys that may no more than the maker.
    ManageKeys "manage_keys",
    /// Revokes tokens.
    RevokeTokens "revoke_tokens",
    /// Reads the audit log.
    ReadAudit "read_audit",
    /// Adds people, changes their roles, and disables them.
    ManagePeople "manage_people",
}
