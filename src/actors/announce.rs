//! Tells users what changed in the catalogue: those who are here through their actors, those who are not by a row that
//! waits for them. Bounded: at most [`super::shared::MAX_CHANGES`] changes, a thousand absent users an item.

use std::sync::Arc;

use super::shared::Shared;
use crate::base::{Timestamp, UserId};
use crate::decide::Input;
use crate::notify::triggers::{Change, Condition, Definition};
use crate::store::held::{self, HeldRow};

/// Absent users told of one change: those who were interested last.
const MAX_ABSENT: i64 = 1_000;
/// Changes of one update that are looked up for absent users: each is a query over a month of events.
const MAX_LOOKUPS: usize = 20;

/// Does the change concern whoever showed interest in the very item, by this definition?
fn concerns(definition: &Definition, change: Change) -> Option<Option<f64>> {
    match (&definition.when, change) {
        (Condition::PriceDrop { percent }, Change::Cheaper { before, after, .. })
            if (before - after) * 100.0 >= percent * before =>
        {
            Some(Some(before))
        }
        (Condition::BackInStock, Change::BackInStock(_)) => Some(None),
        _ => None,
    }
}

impl Shared {
    /// Fans changes out. Nothing waits for it.
    pub fn announce(self: &Arc<Self>, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let changes: Arc<[Change]> = changes.into();
        for entry in self.registry.entries() {
            entry.happened(Input::CatalogueChanged(Arc::clone(&changes)));
        }
        let rows = self.rows_for_absent(&changes);
        if rows.is_empty() {
            return;
        }
        let shared = Arc::clone(self);
        actix::spawn(async move {
            let present: Vec<_> =
                shared.registry.users(usize::MAX).into_iter().map(|(user, _)| user).collect();
            let held = shared
                .store
                .run(move |connection| {
                    let present: Vec<UserId> = present
                        .iter()
                        .filter_map(|user| crate::store::users::find(connection, user).transpose())
                        .collect::<Result<_, _>>()?;
                    rows.iter().try_fold(0, |sum, row| {
                        Ok(sum + held::hold_for_absent(connection, row, &present, MAX_ABSENT)?)
                    })
                })
                .await;
            match held {
                Ok(held) => log::debug!("changes wait for absent users rows={held}"),
                Err(error) => log::error!("absent users not told of changes error={error}"),
            }
        });
    }

    fn rows_for_absent(&self, changes: &[Change]) -> Vec<HeldRow> {
        let (definitions, rules, now) = (self.definitions.load(), self.rules.load(), Timestamp::now());
        let mut rows = Vec::new();
        for change in changes {
            for definition in definitions.triggers.iter() {
                if let Some(price_before) = concerns(definition, *change)
                    && rows.len() < MAX_LOOKUPS
                {
                    let expires_at = now + definition.expires_after(rules.expires_after);
                    let row = HeldRow::unaddressed(&definition.name, &definition.category, now, expires_at);
                    rows.push(HeldRow { item: Some(change.item()), price_before, ..row });
                }
            }
        }
        rows
    }
}
