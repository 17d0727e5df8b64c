//! Rows that can be exported, by name.

use clap::ValueEnum;

use tidings_store::export::Subject;

/// Rows that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// Stored events, by time. `tidings import exported FILE` reads them back, each once.
    Events,
    /// Decisions about messages, sent or not, each with its reasons and what it was made from.
    Decisions,
    /// Messages, each with what came of it: displayed, clicked, dismissed, muted, bought from.
    Outcomes,
    /// The list that each user would be given now; computed with the active model.
    Recommendations,
    /// The catalogue. `tidings import exported FILE` reads it back.
    Items,
    /// Users with segment, features and consents.
    Users,
}

impl Wanted {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Decisions => "decisions",
            Self::Outcomes => "outcomes",
            Self::Recommendations => "recommendations",
            Self::Items => "items",
            Self::Users => "users",
        }
    }

    /// The subject of the tables; `None` for what is computed.
    pub(super) fn subject(self) -> Option<Subject> {
        match self {
            Self::Events => Some(Subject::Events),
            Self::Decisions => Some(Subject::Decisions),
            Self::Outcomes => Some(Subject::Outcomes),
            Self::Recommendations => None,
            Self::Items => Some(Subject::Items),
            Self::Users => Some(Subject::Users),
        }
    }
}
