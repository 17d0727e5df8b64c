//! Table `server`: facts about this database as a whole.

use diesel::prelude::*;

use crate::postgres::StoreError;
use tidings_schema::server;

/// Incarnation of all user streams: offsets of another epoch say nothing about this database.
pub fn epoch(conn: &mut PgConnection) -> Result<String, StoreError> {
    Ok(server::table.select(server::epoch).first(conn)?)
}
