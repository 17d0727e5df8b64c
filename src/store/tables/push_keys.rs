//! Table `push_keys`: the private key the server identifies itself with to push services.

use diesel::prelude::*;

use crate::postgres::StoreError;
use tidings_schema::push_keys as table;

/// The stored key; `candidate` is stored when there is none. Of two servers that start together one candidate wins.
pub fn get_or_create(conn: &mut PgConnection, candidate: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
    diesel::insert_into(table::table)
        .values(table::private_key.eq(candidate.as_slice()))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(table::table.select(table::private_key).first(conn)?)
}
