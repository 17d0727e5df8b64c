//! Table `definitions`, its experiments: what one was and is, and the phase that its arms begin.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Jsonb, Text, Timestamptz};
use serde_json::Value;

use crate::postgres::StoreError;
use crate::postgres::convert::from_pg;
use crate::postgres::sql::sql;
use tidings_core::base::Timestamp;
use tidings_decision::feedback::experiments::{Arm, next_phase};

/// An experiment as it is defined, and since when its arms are what they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Defined {
    /// Its latest version that was ever active.
    pub body: Value,
    /// Moment of the last change of its arms; `None` if they are what they were from the beginning.
    pub changed_at: Option<Timestamp>,
}

fn arms(body: &Value) -> Option<Vec<Arm>> {
    serde_json::from_value(body.get("arms")?.clone()).ok()
}

/// Bodies of an experiment that were ever active, the latest first, with the time of each.
fn past(conn: &mut PgConnection, name: &str) -> Result<Vec<(Value, Timestamp)>, StoreError> {
    let rows = sql::<(Jsonb, Timestamptz)>(
        "SELECT body, changed_at FROM definitions WHERE kind = 'experiment' AND name = ? AND state <> 'draft' \
         ORDER BY version DESC",
    )
    .bind::<Text, _>(name)
    .load::<(Value, PgTimestamp)>(conn)?;
    Ok(rows.into_iter().map(|(body, at)| (body, from_pg(at))).collect())
}

/// The stored definition of an experiment; `None` when there is none.
pub fn definition(conn: &mut PgConnection, name: &str) -> Result<Option<Defined>, StoreError> {
    let past = past(conn, name)?;
    let Some((body, _)) = past.first() else { return Ok(None) };
    let current = arms(body);
    let same = past.iter().take_while(|(body, _)| arms(body) == current).count();
    let changed_at = past.get(same - 1).filter(|_| same < past.len()).map(|(_, at)| *at);
    Ok(Some(Defined { body: body.clone(), changed_at }))
}

/// The body of an experiment about to be stored, with its phase ([`next_phase`]), whatever phase it names itself.
pub(super) fn in_phase(conn: &mut PgConnection, name: &str, body: &Value) -> Result<Value, StoreError> {
    let phase =
        |body: &Value| body.get("phase").and_then(Value::as_u64).and_then(|phase| u32::try_from(phase).ok());
    let past: Vec<(u32, Vec<Arm>)> = past(conn, name)?
        .iter()
        .map(|(body, _)| (phase(body).unwrap_or(0), arms(body).unwrap_or_default()))
        .collect();
    let next = next_phase(&arms(body).unwrap_or_default(), &past);
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("phase");
        if next > 0 {
            fields.insert("phase".to_owned(), next.into());
        }
    }
    Ok(body)
}
