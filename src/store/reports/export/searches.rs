//! Words of searches in an export of events: the last column says whose they are, and goes; that of the words is decrypted. Rows wait until some hundred are there, so that their keys are fetched together.

use std::mem;
use std::ops::ControlFlow;

use super::row::{Column, Row};
use crate::privacy::encryption::{Field, Owner, key_of};
use crate::store::encryption::Fields;
use crate::store::postgres::StoreError;

/// Rows that wait at most.
const WAITING: usize = 1_000;

/// Receiver of rows.
type HandOver<'a> = &'a mut dyn FnMut(&Row) -> ControlFlow<()>;

/// Rows on their way to the receiver of an export.
pub(super) struct Searches<'f> {
    fields: &'f Fields,
    /// Place of the column with the words.
    place: usize,
    /// Each with whose it is; only from one with encrypted words on.
    waiting: Vec<(Owner, Row)>,
}

impl<'f> Searches<'f> {
    /// Nothing is on its way; takes the column that is not exported out.
    pub(super) fn new(fields: &'f Fields, columns: &mut Vec<Column>) -> Self {
        columns.pop();
        let place = columns.iter().position(|column| column.name == "query").unwrap_or(columns.len());
        Self { fields, place, waiting: Vec::new() }
    }

    /// Takes the next row.
    pub(super) fn take(&mut self, row: &Row, hand_over: HandOver<'_>) -> Result<ControlFlow<()>, StoreError> {
        let mut row = row.clone();
        let owner = row.pop().and_then(|text| text.parse().ok()).map_or(Owner::SERVER, Owner);
        if self.waiting.is_empty() && row.get(self.place).and_then(key_of).is_none() {
            return Ok(hand_over(&row));
        }
        self.waiting.push((owner, row));
        if self.waiting.len() < WAITING { Ok(ControlFlow::Continue(())) } else { self.flush(hand_over) }
    }

    /// Hands over the rows that wait. Words that can't be decrypted are null, and told in the log.
    pub(super) fn flush(&mut self, hand_over: HandOver<'_>) -> Result<ControlFlow<()>, StoreError> {
        let rows = mem::take(&mut self.waiting);
        let words = rows.iter().filter_map(|(owner, row)| Some((*owner, row.get(self.place)?)));
        let opener = self.fields.opener_aside(words)?;
        for (owner, mut row) in rows {
            if let Some(words) =
                row.get(self.place).filter(|words| key_of(words).is_some()).map(str::to_owned)
            {
                let opened = opener.open(owner, Field::Query, words);
                if let Err(reason) = opened {
                    log::error!("search not decrypted event_key={:?} reason={}", row.get(0), reason.reason());
                }
                row.set(self.place, opened.ok().as_deref());
            }
            if hand_over(&row).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
