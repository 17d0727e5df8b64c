//! Versions of definitions as stored, and the faults that keep one from being used.

use std::collections::BTreeMap;

use serde_json::Value;

/// Kind of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DefinitionKind {
    /// Condition for sending a message.
    Trigger,
    /// Title and body of a message.
    Template,
    /// Rules of sending: caps, quiet hours, channels.
    Policy,
    /// Arms that differ in policy, model or variant.
    Experiment,
    /// Filters and rules of lists at one place of the shop.
    Placement,
}

impl DefinitionKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Trigger, Self::Template, Self::Policy, Self::Experiment, Self::Placement];

    /// The name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Template => "template",
            Self::Policy => "policy",
            Self::Experiment => "experiment",
            Self::Placement => "placement",
        }
    }
}

/// Life-cycle state of a stored version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionState {
    /// Kept aside.
    Draft,
    /// In force.
    Active,
    /// Switched off, also where a default exists.
    Paused,
}

impl DefinitionState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Active, Self::Paused];

    /// The name in the table and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// One version of a definition, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDefinition {
    /// Place in the history of all definitions; grows with each change.
    pub id: i64,
    /// Kind of the definition.
    pub kind: DefinitionKind,
    /// Unique within its kind.
    pub name: String,
    /// Counts up from 1 within kind and name.
    pub version: i32,
    /// Life-cycle state.
    pub state: DefinitionState,
    /// The definition as JSON.
    pub body: Value,
    /// Version whose body it repeats, 0 for the built-in default; `None` for a body of its own.
    pub repeats: Option<i32>,
}

impl StoredDefinition {
    /// Version that its body comes from; 0 for the built-in default.
    pub fn origin(&self) -> i32 {
        self.repeats.unwrap_or(self.version)
    }

    /// Returns whether it stands for the built-in default, as it is in this release.
    pub fn is_default(&self) -> bool {
        self.origin() == 0
    }
}

/// Reason why a definition can't be used, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionFault {
    /// This release can't read the body.
    #[error("can't be read: {0}")]
    Unreadable(String),
    /// A trigger without words.
    #[error("uses the template \"{0}\", which is not active")]
    Template(String),
    /// An arm without its words.
    #[error(
        "uses variant \"{variant}\" of the template \"{template}\" in arm \"{arm}\", and no such variant is active"
    )]
    Variant {
        /// Name of the arm.
        arm: String,
        /// Name of the template.
        template: String,
        /// Name of the variant.
        variant: String,
    },
    /// More than are looked at.
    #[error("is left out, since at most {0} can be active")]
    TooMany(usize),
    /// No trigger with a condition that the server needs one for.
    #[error("is needed: {0}")]
    Needed(&'static str),
}

/// A definition that can't be used, or not whole, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} \"{name}\" {fault}", kind.name())]
pub struct DefinitionProblem {
    /// Kind of the definition.
    pub kind: DefinitionKind,
    /// Name of the definition.
    pub name: String,
    /// Version in force; 0 for a built-in default.
    pub version: i32,
    /// Fault of the definition.
    pub fault: DefinitionFault,
}

impl DefinitionProblem {
    pub(super) fn unreadable(row: &StoredDefinition, error: impl ToString) -> Self {
        Self::of(row, DefinitionFault::Unreadable(error.to_string()))
    }

    pub(super) fn of(row: &StoredDefinition, fault: DefinitionFault) -> Self {
        Self { kind: row.kind, name: row.name.clone(), version: row.version, fault }
    }

    pub(super) fn of_trigger(name: &str, version: i32, fault: DefinitionFault) -> Self {
        Self { kind: DefinitionKind::Trigger, name: name.to_owned(), version, fault }
    }
}

/// The version of each name that is in force, active or paused: the newest that is no draft. Drafts lie beside it. In order
/// of kind and name.
pub fn in_force(rows: &[StoredDefinition]) -> Vec<&StoredDefinition> {
    let mut newest: BTreeMap<(DefinitionKind, &str), &StoredDefinition> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.state != DefinitionState::Draft) {
        let known = newest.entry((row.kind, row.name.as_str())).or_insert(row);
        if row.version > known.version {
            *known = row;
        }
    }
    newest.into_values().collect()
}
