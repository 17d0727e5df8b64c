//! Encrypted fields in an export: the last column says whose they are, and goes; the column with them is decrypted. Rows wait until some
//! hundred are there, so that their keys are fetched together.

use std::mem;
use std::ops::ControlFlow;

use serde_json::Value;

use super::row::{Column, Row};
use super::subject::Subject;
use crate::encryption::attributes::{open_attributes, sealed_attributes};
use crate::encryption::{Fields, Opener};
use crate::postgres::StoreError;
use tidings_decision::privacy::encryption::{Field, Owner, key_of};

/// Rows that wait at most.
const WAITING: usize = 1_000;

/// Receiver of rows.
type HandOver<'a> = &'a mut dyn FnMut(&Row) -> ControlFlow<()>;

/// Rows on their way to the receiver of an export.
pub(super) struct Encrypted<'f> {
    fields: &'f Fields,
    /// Kind of the field that is encrypted.
    field: Field,
    /// Place of the column.
    place: usize,
    /// Each with whose it is; only from one with something encrypted on.
    waiting: Vec<(Owner, Row)>,
}

impl<'f> Encrypted<'f> {
    /// Nothing is on its way; takes the column that is not exported out. `None` for a subject without encrypted fields.
    pub(super) fn new(fields: &'f Fields, subject: Subject, columns: &mut Vec<Column>) -> Option<Self> {
        let (field, name) = match subject {
            Subject::Events => (Field::Query, "query"),
            Subject::Users => (Field::Attribute, "attributes"),
            Subject::Decisions | Subject::Outcomes | Subject::Items => return None,
        };
        columns.pop();
        let place = columns.iter().position(|column| column.name == name).unwrap_or(columns.len());
        Some(Self { fields, field, place, waiting: Vec::new() })
    }

    /// Ciphertexts of a row.
    fn ciphertexts(&self, row: &Row) -> Vec<String> {
        let Some(text) = row.get(self.place) else { return Vec::new() };
        match self.field {
            Field::Attribute => {
                let stored: Value = serde_json::from_str(text).unwrap_or_default();
                sealed_attributes(&stored).map(str::to_owned).collect()
            }
            _ => key_of(text).map(|_| text.to_owned()).into_iter().collect(),
        }
    }

    /// Takes the next row.
    pub(super) fn take(&mut self, row: &Row, hand_over: HandOver<'_>) -> Result<ControlFlow<()>, StoreError> {
        let mut row = row.clone();
        let owner = row.pop().and_then(|text| text.parse().ok()).map_or(Owner::SERVER, Owner);
        if self.waiting.is_empty() && self.ciphertexts(&row).is_empty() {
            return Ok(hand_over(&row));
        }
        self.waiting.push((owner, row));
        if self.waiting.len() < WAITING { Ok(ControlFlow::Continue(())) } else { self.flush(hand_over) }
    }

    /// Hands over the rows that wait. What can't be decrypted is left out, and told in the log.
    pub(super) fn flush(&mut self, hand_over: HandOver<'_>) -> Result<ControlFlow<()>, StoreError> {
        let rows = mem::take(&mut self.waiting);
        let sealed: Vec<(Owner, String)> = rows
            .iter()
            .flat_map(|(owner, row)| self.ciphertexts(row).into_iter().map(move |text| (*owner, text)))
            .collect();
        let opener = self.fields.opener_aside(sealed.iter().map(|(owner, text)| (*owner, text.as_str())))?;
        for (owner, mut row) in rows {
            if let Some(text) = row.get(self.place).map(str::to_owned) {
                match self.field {
                    Field::Attribute => self.open_attributes(&opener, owner, &text, &mut row),
                    _ => self.open(&opener, owner, text, &mut row),
                }
            }
            if hand_over(&row).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn open(&self, opener: &Opener, owner: Owner, text: String, row: &mut Row) {
        if key_of(&text).is_none() {
            return;
        }
        let opened = opener.open(owner, self.field, text);
        if let Err(reason) = opened {
            log::error!("search not decrypted event_key={:?} reason={}", row.get(0), reason.reason());
        }
        row.set(self.place, opened.ok().as_deref());
    }

    fn open_attributes(&self, opener: &Opener, owner: Owner, text: &str, row: &mut Row) {
        let mut stored: Value = serde_json::from_str(text).unwrap_or_default();
        if sealed_attributes(&stored).next().is_none() {
            return;
        }
        for (name, reason) in open_attributes(opener, owner, &mut stored) {
            log::error!("attribute not decrypted name={name:?} user={} reason={}", owner.0, reason.reason());
        }
        row.set(self.place, Some(&stored.to_string()));
    }
}
