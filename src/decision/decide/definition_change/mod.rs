//! Changes of stored definitions: which version an activation or a pause is about, and what a change would break.
//!
//! A history is never rewritten: each change is a new version. One that activates or pauses an older body repeats it and names the
//! version that it comes from. A draft lies beside the version in force until it is activated or replaced by another draft.

use serde_json::Value;

use crate::decide::definitions::{
    DefinitionKind, DefinitionProblem, DefinitionState, Definitions, StoredDefinition, in_force,
};
use tidings_core::config;

/// All versions of one name.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Body of the built-in default; `None` where nothing of that name ships.
    pub shipped: Option<&'a Value>,
    /// Stored versions, the newest first.
    pub rows: &'a [StoredDefinition],
}

/// Version to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewVersion {
    /// State of the new version.
    pub state: DefinitionState,
    /// Body of the new version.
    pub body: Value,
    /// Version that the body comes from, 0 for the built-in default; `None` for a new body.
    pub repeats: Option<i32>,
}

/// A version that can't be activated or paused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Nothing of that name.
    #[error("there is no such definition")]
    UnknownName,
    /// Not one of its versions.
    #[error("there is no version {asked}: the versions are {first}…{last}")]
    UnknownVersion {
        /// Version asked for.
        asked: i32,
        /// Least version; 0 is the built-in default.
        first: i32,
        /// Newest version.
        last: i32,
    },
    /// Only drafts.
    #[error("only a draft of it is stored, which is not in force: there is nothing to pause")]
    OnlyDraft,
}

impl<'a> History<'a> {
    /// The version in force, active or paused; `None` where the built-in default is, or nothing.
    pub fn in_force(&self) -> Option<&'a StoredDefinition> {
        in_force(self.rows).first().copied()
    }

    /// Returns whether a version or the built-in default is active.
    pub fn is_active(&self) -> bool {
        self.in_force().map_or(self.shipped.is_some(), |row| row.state == DefinitionState::Active)
    }

    /// The newest draft, if it was not activated since.
    pub fn draft(&self) -> Option<&'a StoredDefinition> {
        let draft = self.rows.iter().find(|row| row.state == DefinitionState::Draft)?;
        let is_published = self.rows.iter().any(|row| row.repeats == Some(draft.version));
        (!is_published).then_some(draft)
    }

    /// The new version that activates `version` (0 = the built-in default), or the newest one without a number: a draft is
    /// published, a paused one resumed. `None` if its body is active already.
    pub fn activate(&self, version: Option<i32>) -> Result<Option<NewVersion>, HistoryError> {
        let newest = self.rows.first().map_or(0, |row| row.version);
        let asked = version.unwrap_or(newest);
        let row = self.rows.iter().find(|row| row.version == asked);
        if row.is_none() && (asked != 0 || self.shipped.is_none()) {
            return Err(match (self.shipped, self.rows.last()) {
                (None, None) => HistoryError::UnknownName,
                (shipped, oldest) => HistoryError::UnknownVersion {
                    asked,
                    first: if shipped.is_some() { 0 } else { oldest.map_or(0, |row| row.version) },
                    last: newest,
                },
            });
        }
        let origin = row.map_or(0, StoredDefinition::origin);
        let active = self.is_active().then(|| self.in_force().map_or(0, StoredDefinition::origin));
        if active == Some(origin) {
            return Ok(None);
        }
        let (body, repeats) = self.body(row);
        Ok(Some(NewVersion { state: DefinitionState::Active, body, repeats: Some(repeats) }))
    }

    /// The new version that pauses the one in force. `None` if it is paused already.
    pub fn pause(&self) -> Result<Option<NewVersion>, HistoryError> {
        let row = self.in_force();
        if row.is_none() && self.shipped.is_none() {
            return Err(if self.rows.is_empty() {
                HistoryError::UnknownName
            } else {
                HistoryError::OnlyDraft
            });
        }
        if !self.is_active() {
            return Ok(None);
        }
        let (body, repeats) = self.body(row);
        Ok(Some(NewVersion { state: DefinitionState::Paused, body, repeats: Some(repeats) }))
    }

    /// The body that a version stands for, that of the default as it ships today, and where it comes from.
    fn body(&self, row: Option<&StoredDefinition>) -> (Value, i32) {
        match (row, self.shipped) {
            (Some(row), Some(shipped)) if row.is_default() => (shipped.clone(), 0),
            (Some(row), _) => (row.body.clone(), row.origin()),
            (None, shipped) => (shipped.cloned().unwrap_or_default(), 0),
        }
    }
}

/// A change that would leave others without something they use, or that lacks something itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", text(.kind, .name, .problems))]
pub struct ChangeConflict {
    /// Kind of the definition that was to be changed.
    pub kind: DefinitionKind,
    /// Its name.
    pub name: String,
    /// Problems that the change would cause; at least one.
    pub problems: Vec<DefinitionProblem>,
}

fn text(kind: &DefinitionKind, name: &str, problems: &[DefinitionProblem]) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("{} \"{name}\" stays as it is, because after this change: {}", kind.name(), problems.join("; "))
}

/// Checks that definitions lack nothing after a change that they have before it. `rows` are those stored, at least the ones in
/// force; a draft changes nothing.
pub fn check(
    rows: &[StoredDefinition],
    kind: DefinitionKind,
    name: &str,
    change: &NewVersion,
    configured: &config::Policy,
) -> Result<(), ChangeConflict> {
    if change.state == DefinitionState::Draft {
        return Ok(());
    }
    let newest = rows.iter().filter(|row| row.kind == kind && row.name == name).map(|row| row.version).max();
    let mut after = rows.to_vec();
    after.push(StoredDefinition {
        id: rows.iter().map(|row| row.id).max().unwrap_or(0).saturating_add(1),
        kind,
        name: name.to_owned(),
        version: newest.unwrap_or(0).saturating_add(1),
        state: change.state,
        body: change.body.clone(),
        repeats: change.repeats,
    });
    let (_, before) = Definitions::new(rows, configured);
    let (_, mut problems) = Definitions::new(&after, configured);
    // What is wrong already must not stand in the way of putting something else right.
    problems.retain(|problem| {
        let is_same = |other: &DefinitionProblem| {
            (other.kind, &other.name, &other.fault) == (problem.kind, &problem.name, &problem.fault)
        };
        !before.iter().any(is_same)
    });
    if problems.is_empty() {
        return Ok(());
    }
    Err(ChangeConflict { kind, name: name.to_owned(), problems })
}

#[cfg(test)]
mod tests;
