//! Subjects of an export, each with its statement.

use tidings_core::event::EventKind;

/// Kind of rows that can be exported from the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Stored events.
    Events,
    /// Decisions about messages, sent or not.
    Decisions,
    /// Messages, each with what came of it.
    Outcomes,
    /// The catalogue.
    Items,
    /// Users with features and consents.
    Users,
}

impl Subject {
    /// The statement whose rows are exported; bounds of time are settings of the transaction.
    pub(super) fn statement(self) -> String {
        match self {
            Self::Events => format!(include_str!("sql/events.sql"), kinds = kinds()),
            Self::Decisions => include_str!("sql/decisions.sql").to_owned(),
            Self::Outcomes => include_str!("sql/outcomes.sql").to_owned(),
            Self::Items => include_str!("sql/items.sql").to_owned(),
            Self::Users => include_str!("sql/users.sql").to_owned(),
        }
    }
}

/// `(1, 'view'), …`
pub(in crate::reports) fn kinds() -> String {
    let pairs: Vec<String> =
        EventKind::ALL.iter().map(|kind| format!("({}, '{}')", kind.code(), kind.name())).collect();
    pairs.join(", ")
}
