//! Roles of callers, and the permissions of each.

use serde::{Deserialize, Serialize};

use super::permission::Permission;

/// Role that a token grants, or that a person has. Of several that a token names the last one here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Role {
    /// One user: a browser. May log in, act and read as that user only.
    User,
    /// Reads figures, decisions and messages; users are masked.
    Viewer,
    /// Sends messages and changes their definitions; users are masked.
    Marketer,
    /// Runs the server: trainings, models, revocations; users are masked.
    Operator,
    /// Answers for personal data: reads, rectifies and erases it, and reads the audit log.
    PrivacyOfficer,
    /// A shop's backend: may send events and catalogue, and read any user.
    Service,
    /// Connects systems: everything of a service, webhooks and API keys.
    Developer,
    /// Everything.
    Admin,
}

use Permission as P;

const VIEWER: &[P] = &[P::Monitor, P::ReadFigures, P::ReadDecisions, P::ReadMessages];
const MARKETER: &[P] = &[
    P::Monitor,
    P::ReadFigures,
    P::ReadDecisions,
    P::ReadMessages,
    P::SendMessages,
    P::EditDefinitions,
    P::WriteCatalogue,
];
const OPERATOR: &[P] = &[
    P::Monitor,
    P::ReadFigures,
    P::ReadDecisions,
    P::ReadMessages,
    P::SignOutUsers,
    P::Operate,
    P::RevokeTokens,
];
const PRIVACY_OFFICER: &[P] = &[
    P::Monitor,
    P::ReadFigures,
    P::ReadDecisions,
    P::ReadTimelines,
    P::ReadMessages,
    P::ReadUsers,
    P::PersonalData,
    P::WriteUsers,
    P::EraseUsers,
    P::ReleaseIds,
    P::SignOutUsers,
    P::RevokeTokens,
    P::ReadAudit,
];
const SERVICE: &[P] = &[
    P::Monitor,
    P::ReadMessages,
    P::ReadUsers,
    P::PersonalData,
    P::SendMessages,
    P::WriteCatalogue,
    P::WriteUsers,
    P::EraseUsers,
    P::SignOutUsers,
    P::ActForUsers,
    P::ReportSources,
];
const DEVELOPER: &[P] = &[
    P::Monitor,
    P::ReadFigures,
    P::ReadDecisions,
    P::ReadTimelines,
    P::ReadMessages,
    P::ReadUsers,
    P::PersonalData,
    P::SendMessages,
    P::EditDefinitions,
    P::WriteCatalogue,
    P::WriteUsers,
    P::EraseUsers,
    P::SignOutUsers,
    P::ActForUsers,
    P::ReportSources,
    P::Operate,
    P::ManageWebhooks,
    P::ManageKeys,
];

impl Role {
    /// Every role, in the order in which they count.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Viewer,
        Self::Marketer,
        Self::Operator,
        Self::PrivacyOfficer,
        Self::Service,
        Self::Developer,
        Self::Admin,
    ];
    /// Roles of people, who sign in to the dashboard.
    pub const OF_PEOPLE: [Self; 6] =
        [Self::Viewer, Self::Marketer, Self::Operator, Self::PrivacyOfficer, Self::Developer, Self::Admin];

    /// Name in tokens and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Viewer => "viewer",
            Self::Marketer => "marketer",
            Self::Operator => "operator",
            Self::PrivacyOfficer => "privacy_officer",
            Self::Service => "service",
            Self::Developer => "developer",
            Self::Admin => "admin",
        }
    }

    /// The role of a name; `None` for another text.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Permissions of the role. A user has none: what users may is their own.
    pub fn permissions(self) -> &'static [Permission] {
        match self {
            Self::User => &[],
            Self::Viewer => VIEWER,
            Self::Marketer => MARKETER,
            Self::Operator => OPERATOR,
            Self::PrivacyOfficer => PRIVACY_OFFICER,
            Self::Service => SERVICE,
            Self::Developer => DEVELOPER,
            Self::Admin => Permission::ALL,
        }
    }

    /// Returns whether the role has that permission.
    pub fn may(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// Returns whether the role is one of people, and neither a user's nor a service's.
    pub fn is_of_people(self) -> bool {
        Self::OF_PEOPLE.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_the_configuration_are_the_roles() {
        assert_eq!(tidings_core::config::ROLES.map(Some), Role::ALL.map(|role| Some(role.name())));
        assert!(Role::ALL.into_iter().all(|role| Role::named(role.name()) == Some(role)));
        assert_eq!(Role::named("root"), None);
    }

    #[test]
    fn only_administrators_manage_people_and_few_see_personal_data() {
        let with = |permission| Role::ALL.into_iter().filter(|role| role.may(permission)).collect::<Vec<_>>();
        assert_eq!(with(Permission::ManagePeople), [Role::Admin]);
        assert_eq!(with(Permission::ReadAudit), [Role::PrivacyOfficer, Role::Admin]);
        assert_eq!(
            with(Permission::PersonalData),
            [Role::PrivacyOfficer, Role::Service, Role::Developer, Role::Admin]
        );
    }

    #[test]
    fn who_reads_single_users_sees_personal_data() {
        // Answers about one user are asked for by the id, which no mask hides; lists of them may be no JSON.
        for role in Role::ALL {
            let reads = role.may(Permission::ReadUsers) || role.may(Permission::ReadTimelines);
            assert!(!reads || role.may(Permission::PersonalData), "{role:?}");
        }
    }

    #[test]
    fn permissions_have_names_of_their_own_and_are_listed_once() {
        for role in Role::ALL {
            let mut names: Vec<&str> = role.permissions().iter().map(|one| one.name()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), role.permissions().len(), "{role:?}");
        }
        assert_eq!(Permission::Monitor.about(), "Metrics for Prometheus and reports of pullers.");
    }
}
