//! Progress of messages of the shop, counted from what is stored: the same after a restart.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::sql::sql;

/// Users of a message of the shop, by what has become of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Users with the message in their stream.
    pub sent: usize,
    /// Users for whom it was last put off.
    pub deferred: usize,
    /// Users who get it not, by the name of the reason.
    pub refused: BTreeMap<String, usize>,
    /// Of `sent`: it was on a screen.
    pub displayed: usize,
    /// Of `sent`: it was clicked.
    pub clicked: usize,
}

impl Progress {
    /// Users who have had their turn.
    pub fn done(&self) -> usize {
        self.sent + self.refused.values().sum::<usize>()
    }
}

/// Progress of each of these calls (ids of broadcasts); none of which nothing is stored.
pub fn read(conn: &mut PgConnection, calls: &[Uuid]) -> Result<HashMap<Uuid, Progress>, StoreError> {
    let rows = sql::<(SqlUuid, Text, Text, BigInt)>(include_str!("sql/call_progress.sql"))
        .bind::<Array<SqlUuid>, _>(calls)
        .bind::<Array<SqlUuid>, _>(calls)
        .bind::<Array<SqlUuid>, _>(calls)
        .bind::<Array<SqlUuid>, _>(calls)
        .load::<(Uuid, String, String, i64)>(conn)?;
    let mut progress: HashMap<Uuid, Progress> = HashMap::new();
    for (call, kind, reason, n) in rows {
        let (one, n) = (progress.entry(call).or_default(), usize::try_from(n).unwrap_or(0));
        match kind.as_str() {
            "sent" => one.sent = n,
            "displayed" => one.displayed = n,
            "clicked" => one.clicked = n,
            "deferred" => one.deferred = n,
            _ => {
                *one.refused.entry(reason).or_default() += n;
            }
        }
    }
    Ok(progress)
}
